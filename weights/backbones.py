"""The backbones that a classifier can be built on: what there is to know about each before it is built."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from ..core.errors import UsageError


@dataclass(frozen=True)
class ImageNetFile:
    """Keras' own file of ImageNet weights without top.

    Attributes:
        url: Its address.
        checksum: The one that Keras' own source gives: MD5 in 32 hexadecimal digits, or SHA-256 in 64.
        licence: Under which terms these weights come.
    """

    url: str
    checksum: str
    licence: str

    @property
    def name(self) -> str:
        """The file's name, the same on a mirror."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Block:
    """A part of a backbone that is unfrozen as a whole.

    Attributes:
        name: What a person calls it: "block5".
        first: Its first layer.
    """

    name: str
    first: str


@dataclass(frozen=True)
class Backbone:
    """One backbone.

    Attributes:
        name: What a person calls it.
        builder: Its function in `keras.applications`; None for our own small network.
        default_size: Side in pixels of the pictures that its ImageNet weights were trained on; of our own network, the
            side that it was made for.
        smallest_size: The smallest side that it can be built for.
        blocks: Its blocks from the input to the output.
        unfreeze: The block or layer from which on fine-tuning changes it, unless another is asked for.
        pixels: What it wants to see. "centred": RGB from -1 to 1; "caffe": BGR from 0 to 255 less ImageNet's mean;
            "standard": RGB less ImageNet's mean, divided by ImageNet's deviation.
        weights: Its ImageNet weights; None where there are none.
        prepares_itself: Whether Keras' function would put the preparation of pixels into the network.
    """

    name: str
    builder: str | None
    default_size: int
    smallest_size: int
    blocks: tuple[Block, ...]
    unfreeze: str
    pixels: Literal["centred", "caffe", "standard"]
    weights: ImageNetFile | None
    prepares_itself: bool = False


_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"
_VGG_LICENCE = "CC BY 4.0 (Visual Geometry Group, Oxford)"
_GOOGLE_LICENCE = "Apache 2.0 (Google)"


def _blocks(*pairs: tuple[str, str]) -> tuple[Block, ...]:
    return tuple(Block(*pair) for pair in pairs)


_VGG_BLOCKS = _blocks(*((f"block{n}", f"block{n}_conv1") for n in range(1, 6)))
_XCEPTION_BLOCKS = _blocks(
    ("block1", "block1_conv1"),
    ("block2", "block2_sepconv1"),
    *((f"block{n}", f"block{n}_sepconv1_act") for n in range(3, 14)),
    ("block14", "block14_sepconv1"),
)
_MOBILENET_BLOCKS = _blocks(
    ("conv", "conv"),
    ("expanded_conv", "expanded_conv_depthwise"),
    *((f"expanded_conv_{n}", f"expanded_conv_{n}_expand") for n in range(1, 15)),
    ("conv_1", "conv_1"),
)
_EFFICIENTNET_BLOCKS = _blocks(
    ("stem", "stem_conv"),
    ("block1", "block1a_project_conv"),
    *((f"block{n}", f"block{n}a_expand_conv") for n in range(2, 7)),
    ("top", "top_conv"),
)
_CONVNEXT_BLOCKS = _blocks(
    ("stage_0", "convnext_tiny_stem_conv"),
    *((f"stage_{n}", f"convnext_tiny_downsampling_layernorm_{n - 1}") for n in range(1, 4)),
)


def _published(path: str, checksum: str, licence: str) -> ImageNetFile:
    return ImageNetFile(f"{_KERAS_FILES}/{path}", checksum, licence)


BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            "vgg16", "VGG16", 224, 32, _VGG_BLOCKS, "block5", "caffe",
            _published("vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
                       "6d6bbae143d832006294945121d1f1fc", _VGG_LICENCE),
        ),
        Backbone(
            "vgg19", "VGG19", 224, 32, _VGG_BLOCKS, "block5", "caffe",
            _published("vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
                       "253f8cb515780f3b799900260a226db6", _VGG_LICENCE),
        ),
        Backbone(
            "xception", "Xception", 299, 71, _XCEPTION_BLOCKS, "block13", "centred",
            _published("xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
                       "b0042744bf5b25fce3cb969f33bebb97", "MIT (François Chollet, Keras)"),
        ),
        Backbone(
            "resnet50", "ResNet50", 224, 32,
            _blocks(("conv1", "conv1_pad"), *((f"conv{n}", f"conv{n}_block1_1_conv") for n in range(2, 6))),
            "conv5", "caffe",
            _published("resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                       "4d473c1dd8becc155b73f8504c6f6626", "MIT (Kaiming He, Microsoft)"),
        ),
        Backbone(
            "mobilenetv3", "MobileNetV3Large", 224, 32, _MOBILENET_BLOCKS, "expanded_conv_12", "centred",
            _published("mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
                       "07fb09a5933dd0c8eaafa16978110389", _GOOGLE_LICENCE),
            prepares_itself=True,
        ),
        Backbone(
            "efficientnetv2b0", "EfficientNetV2B0", 224, 32, _EFFICIENTNET_BLOCKS, "block6", "standard",
            _published("efficientnet_v2/efficientnetv2-b0_notop.h5",
                       "893217f2bb855e2983157299931e43ff", _GOOGLE_LICENCE),
            prepares_itself=True,
        ),
        Backbone(
            "convnext_tiny", "ConvNeXtTiny", 224, 32, _CONVNEXT_BLOCKS, "stage_3", "standard",
            _published("convnext/convnext_tiny_notop.h5",
                       "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
                       "MIT (Meta Platforms, ConvNeXt)"),
            prepares_itself=True,
        ),
        Backbone(
            "cnn", None, 96, 16,
            _blocks(*((f"block{n}", f"block{n}_conv") for n in range(1, 6))), "block4", "centred", None,
        ),
    )
}  # fmt: skip


def find_backbone(name: str) -> Backbone:
    """The backbone of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in BACKBONES:
        near = get_close_matches(name, BACKBONES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? There are" if near else "use one of"
        raise UsageError(
            f"There is no backbone called '{name}'.",
            where="--backbone",
            next_step=f"{hint}: {', '.join(BACKBONES)}",
        )
    return BACKBONES[name]
