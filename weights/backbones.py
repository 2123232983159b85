"""The backbones that a classifier can be built on: what there is to know about each before it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.errors import UsageError


@dataclass(frozen=True)
class ImageNetFile:
    """Keras' own file of ImageNet weights without top.

    Attributes:
        url: Its address.
        md5: The checksum that Keras itself compares it with.
        licence: Under which terms these weights come.
    """

    url: str
    md5: str
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
        default_size: Side in pixels of the pictures that its ImageNet weights were trained on.
        smallest_size: The smallest side that it can be built for.
        blocks: Its blocks from the input to the output.
        unfreeze: The block or layer from which on fine-tuning changes it, unless another is asked for.
        pixels: "centred" wants RGB from -1 to 1, "caffe" BGR from 0 to 255 less the ImageNet mean.
        weights: Its ImageNet weights; None where there are none.
    """

    name: str
    builder: str | None
    default_size: int
    smallest_size: int
    blocks: tuple[Block, ...]
    unfreeze: str
    pixels: Literal["centred", "caffe"]
    weights: ImageNetFile | None


_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"
_VGG_LICENCE = "CC BY 4.0 (Visual Geometry Group, Oxford)"

BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="vgg16", builder="VGG16", default_size=224, smallest_size=32,
            blocks=tuple(Block(f"block{n}", f"block{n}_conv1") for n in range(1, 6)), unfreeze="block5",
            pixels="caffe",
            weights=ImageNetFile(
                f"{_KERAS_FILES}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "6d6bbae143d832006294945121d1f1fc", _VGG_LICENCE,
            ),
        ),
        Backbone(
            name="xception", builder="Xception", default_size=299, smallest_size=71,
            blocks=(Block("block1", "block1_conv1"),
                    *(Block(f"block{n}", f"block{n}_sepconv1{'_act' if n > 2 else ''}") for n in range(2, 15))),
            unfreeze="block13",
            pixels="centred",
            weights=ImageNetFile(
                f"{_KERAS_FILES}/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "b0042744bf5b25fce3cb969f33bebb97", "MIT (François Chollet, Keras)",
            ),
        ),
    )
}  # fmt: skip


def find_backbone(name: str) -> Backbone:
    """The backbone of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in BACKBONES:
        raise UsageError(
            f"There is no backbone called '{name}'.",
            where="--backbone",
            next_step=f"use one of: {', '.join(BACKBONES)}",
        )
    return BACKBONES[name]
