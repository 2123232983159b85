"""Augmentation: random changes to training pictures, so that a model learns what does not matter.

A preset is data: names of Albumentations transforms with their arguments. An unknown name or argument is an error
here, where Albumentations itself would only warn.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import UsageError
from ..core.isolation import isolate_albumentations

_REFLECT = 4  # cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class Transform:
    """One Albumentations transform: the name of its class, and arguments by keyword."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


_LIGHT = (
    Transform("HorizontalFlip", {"p": 0.5}),
    Transform("RandomBrightnessContrast", {"brightness_limit": 0.15, "contrast_limit": 0.15, "p": 0.5}),
)
_DEFAULT = (
    Transform("RandomCropFromBorders", {"crop_left": 0.12, "crop_right": 0.12, "crop_top": 0.12, "crop_bottom": 0.12,
                                        "p": 0.8}),
    Transform("HorizontalFlip", {"p": 0.5}),
    Transform("Affine", {"rotate": (-15, 15), "scale": (0.9, 1.15), "border_mode": _REFLECT, "p": 0.5}),
    Transform("ColorJitter", {"brightness": (0.8, 1.2), "contrast": (0.8, 1.2), "saturation": (0.8, 1.2),
                              "hue": (-0.03, 0.03), "p": 0.6}),
)  # fmt: skip
_HEAVY = (
    Transform("RandomCropFromBorders", {"crop_left": 0.2, "crop_right": 0.2, "crop_top": 0.2, "crop_bottom": 0.2,
                                        "p": 0.9}),
    Transform("HorizontalFlip", {"p": 0.5}),
    Transform("Affine", {"rotate": (-30, 30), "scale": (0.8, 1.25), "shear": (-8, 8), "border_mode": _REFLECT,
                         "p": 0.7}),
    Transform("ColorJitter", {"brightness": (0.65, 1.35), "contrast": (0.65, 1.35), "saturation": (0.6, 1.4),
                              "hue": (-0.06, 0.06), "p": 0.8}),
    Transform("GaussianBlur", {"sigma_limit": (0.3, 1.5), "p": 0.2}),
    Transform("GaussNoise", {"std_range": (0.02, 0.08), "p": 0.2}),
    Transform("CoarseDropout", {"num_holes_range": (1, 3), "p": 0.3}),
)  # fmt: skip
PRESETS: dict[str, tuple[Transform, ...]] = {"none": (), "light": _LIGHT, "default": _DEFAULT, "heavy": _HEAVY}


def find_preset(name: str) -> tuple[Transform, ...]:
    """The transforms of a preset.

    Raises:
        UsageError: there is no preset of this name.
    """
    if name not in PRESETS:
        raise UsageError(
            f"There is no augmentation called '{name}'.",
            where="--augment",
            next_step=f"use one of: {', '.join(PRESETS)}",
        )
    return PRESETS[name]


def build_augmentation(transforms: Sequence[Transform], *, boxes: bool = False) -> Any:
    """Build an `albumentations.Compose`; give each thread one of its own, because it holds the random numbers.

    Args:
        transforms: What to do, in order.
        boxes: Whether boxes (YOLO: cxcywh in 0..1) come along, with `class_id` beside them. Boxes are clipped to the
            picture, and those of which less than a pixel is left are dropped.

    Returns:
        Called as `compose(image=uint8 (h, w, 3))`, it gives `{"image": uint8 (h', w', 3)}`.

    Raises:
        UsageError: an unknown transform or argument, or a value that it does not take.
    """
    albumentations = import_albumentations()
    built = [_build(transform, albumentations) for transform in transforms]
    if not boxes:
        return albumentations.Compose(built)
    # Without clipping, a box that is out of range by 1e-7 would raise.
    parameters = albumentations.BboxParams(
        "yolo", label_fields=["class_id"], clip=True, filter_invalid_bboxes=True, min_area=1
    )
    return albumentations.Compose(built, bbox_params=parameters)


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of one picture in one epoch, 0..2**32-1; the same on every machine.

    Global seeds do nothing in Albumentations, and workers would otherwise draw the same numbers.
    """
    digest = hashlib.blake2b(f"{seed}/{epoch}/{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest)


def import_albumentations() -> Any:
    """Import Albumentations without the update check, and without torch.

    It imports torch for its tensor transforms wherever torch is installed. Nothing here uses those, and a process that
    runs TensorFlow must not load torch: the two abort each other. A process that has torch already keeps it.
    """
    if "albumentations" in sys.modules:
        return sys.modules["albumentations"]
    isolate_albumentations()
    with hidden("torch"):
        import albumentations
    return albumentations


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Let a package that is not loaded yet seem not installed while the block runs.

    For libraries that load a framework merely because it is there.
    """
    hide = _Hide(package)
    if package not in sys.modules:
        sys.meta_path.insert(0, hide)
    try:
        yield
    finally:
        if hide in sys.meta_path:
            sys.meta_path.remove(hide)


class _Hide(importlib.abc.MetaPathFinder):
    """While it stands first in `sys.meta_path`, the package is not found."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if fullname.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"{self._package} is hidden from this import", name=fullname)


def _build(transform: Transform, albumentations: Any) -> Any:
    kind = getattr(albumentations, transform.name, None)
    if not (inspect.isclass(kind) and issubclass(kind, albumentations.BasicTransform)) or transform.name == "Lambda":
        raise UsageError(
            f"Albumentations has no transform called '{transform.name}'.",
            where="augmentation",
            next_step="https://albumentations.ai/docs lists them",
        )
    known = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    if unknown := sorted(set(transform.arguments) - set(known)):
        raise UsageError(
            f"{transform.name} takes no argument '{unknown[0]}'.",
            where="augmentation",
            next_step=f"it takes: {', '.join(known)}",
        )
    try:
        return kind(**transform.arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{transform.name} does not take these values: {error}", where="augmentation") from None
