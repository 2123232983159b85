"""Augmentation: random changes to training pictures, so that a model learns what does not matter.

What is done stands in a spec (`datasets.augment_spec`); here it is held against Albumentations and carried out, by the
same code for a detector, for a classifier and for `cv preview`. An unknown name or argument is an error here, where
Albumentations itself would only warn.
"""

from __future__ import annotations

import difflib
import hashlib
import inspect
import random
import re
import sys
import threading
import warnings
from importlib.util import find_spec
from typing import Any, NoReturn

import cv2
import numpy as np
from pydantic import ValidationError

from ..core.errors import DataError, UsageError
from ..core.extras import need_extra
from ..core.isolation import hidden, isolate_albumentations
from .augment_spec import GROUPS, AugmentSpec, Transform
from .model import Boxes

_REFUSED = {
    "Lambda": "it runs code",
    "ReplayCompose": "it is no transform",
    "Compose": "it is no transform; Sequential keeps some together",
    "RandomGridShuffle": "it tears objects apart, and leaves their boxes where they were",
    "ConstrainedCoarseDropout": "it needs masks",
    "CropNonEmptyMaskIfExists": "it needs masks",
    "MaskDropout": "it needs masks",
    "RandomCropNearBBox": "it needs a box of its own for each picture; BBoxSafeRandomCrop does not",
    "Normalize": "the model scales pictures itself, so they have to stay 8-bit",
    "ToFloat": "the model scales pictures itself, so they have to stay 8-bit",
    "FromFloat": "pictures are 8-bit already",
    "ToTensorV2": "the model takes pictures as they are",
    "ToTensor3D": "the model takes pictures as they are",
}
_importing = threading.Lock()
_FROM_ELSEWHERE = {"metadata_key", "read_fn", "reference_images", "font_path", "templates"}
_TRIAL_SIZE = (960, 1280)
_TOO_LARGE = re.compile(r"Crop size \(height, width\) exceeds image dimensions \(height, width\): \((\d+), (\d+)\)")


class Augmentation:
    """A spec, ready to change pictures. Give each thread one of its own: it holds the state of the random numbers.

    Boxes go along: they are clipped to the picture, and a box of which one change leaves less than
    `spec.min_visibility` of its area, or less than a pixel, is dropped.

    Args:
        spec: What to do.

    Raises:
        UsageError: an unknown transform or argument, a value that it does not take, or a transform that is refused.
    """

    def __init__(self, spec: AugmentSpec) -> None:
        self._spec = spec
        albumentations = import_albumentations() if spec.transforms else None
        if albumentations is None:
            self._compose = None
            return
        parameters = albumentations.BboxParams(
            "yolo",
            label_fields=["class_id"],
            clip=True,  # a box that is out of range by 1e-7 would raise
            filter_invalid_bboxes=True,
            min_area=1,
            min_visibility=spec.min_visibility,
        )
        # Advice on style, and that boxes come along where only colours change; what matters is an error here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            built = [_build(transform, spec, albumentations) for transform in spec.transforms]
            self._compose = albumentations.Compose(built, bbox_params=parameters)

    def __call__(self, bgr: np.ndarray, seed: int, boxes: Boxes | None = None) -> tuple[np.ndarray, Boxes]:
        """Change one picture.

        Args:
            bgr: uint8 `(h, w, 3)`; stays as it is.
            seed: 0..2**32-1; the same seed makes the same change.
            boxes: The picture's boxes; None for none.

        Returns:
            The new picture, uint8 BGR `(h', w', 3)`, and the boxes that are left, as fractions of it.

        Raises:
            DataError: this picture cannot be changed so: a crop that is larger than it, say.
        """
        boxes = boxes or Boxes.empty()
        if self._compose is None:
            return bgr.copy(), boxes
        # set_random_seed would give every transform the same numbers: each that is as likely would happen together.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311 - no secret
        try:
            done = self._compose(
                image=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), bboxes=boxes.cxcywh, class_id=boxes.class_id.astype(float)
            )
        except Exception as error:  # noqa: BLE001 - a transform raises what it likes: ValueError, IndexError, cv2.error
            self._fail(f"{next(iter(str(error).splitlines()), type(error).__name__)}", bgr, error)
        rgb = done["image"]
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
            self._fail(f"it makes a {rgb.dtype} picture of shape {rgb.shape}", bgr, None)
        cxcywh = np.asarray(done["bboxes"], np.float32).reshape(-1, 4)
        class_id = np.rint(np.asarray(done["class_id"], np.float64)).astype(np.int64).reshape(-1)
        return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR), Boxes(cxcywh, class_id)

    def _fail(self, reason: str, bgr: np.ndarray, error: Exception | None) -> NoReturn:
        height, width = bgr.shape[:2]
        next_step = "change that line of the file, or take it out"
        if piece := _TOO_LARGE.match(reason):
            reason = f"it takes out a piece of {piece[2]} x {piece[1]}, which is larger."
            next_step = (
                "make it smaller than the shorter side, or set pad_if_needed: true. Pictures come as large as they are"
                " trained on; for a detector the longer side has --imgsz pixels, 640 as a rule"
            )
        raise DataError(
            f"The augmentation cannot be done on a picture of {width} x {height} pixels: {reason}",
            where=self._spec.source,
            next_step=next_step,
        ) from error


def check_spec(spec: AugmentSpec) -> None:
    """Hold a spec against Albumentations, and try each of its transforms once on a picture of 1280 x 960.

    Raises:
        UsageError: an unknown transform or argument, a value that it does not take, or one that fails.
    """
    Augmentation(spec)
    picture = np.random.default_rng(0).integers(0, 256, (*_TRIAL_SIZE, 3), np.uint8)
    boxes = Boxes(np.array([[0.5, 0.5, 0.4, 0.4], [0.2, 0.8, 0.2, 0.2]], np.float32), np.array([0, 1]))
    for transform in (leaf for top in spec.transforms for leaf in top.leaves()):
        always = Transform(transform.name, {**transform.arguments, "p": 1.0}, line=transform.line)
        try:
            Augmentation(AugmentSpec(spec.name, (always,), spec.min_visibility, spec.source))(picture, 0, boxes)
        except DataError as error:
            where = _where(spec, transform)
            raise UsageError(f"{transform.name}: {error.what}", where=where, next_step=error.next_step) from None


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

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("albumentations") is None:  # a person may have it without the rest of that part
        need_extra("data", "An augmentation")
    with _importing:  # the threads that load pictures ask for it all at once
        if "albumentations" in sys.modules:
            return sys.modules["albumentations"]
        isolate_albumentations()
        with hidden("torch"):
            import albumentations
        return albumentations


def _build(transform: Transform, spec: AugmentSpec, albumentations: Any) -> Any:
    where = _where(spec, transform)
    kind = _find_kind(transform.name, where, albumentations)
    known = [name for name in inspect.signature(kind.__init__).parameters if name not in {"self", "transforms"}]
    for name in transform.arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise UsageError(
                f"{transform.name} takes no argument '{name}'{f'; did you mean {near[0]}?' if near else '.'}",
                where=where,
                next_step=f"it takes: {', '.join(known)}",
            )
    inside = [_build(inner, spec, albumentations) for inner in transform.inside]
    try:
        return kind(inside, **transform.arguments) if inside else kind(**transform.arguments)
    except Exception as error:  # noqa: BLE001 - constructors raise what they like, and all of it is about the values
        raise UsageError(f"{transform.name} does not take these values: {_reason(error)}", where=where) from None


def _reason(error: Exception) -> str:
    """The first thing wrong, in one line; Albumentations wraps pydantic's errors into a page of text."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return next(iter(str(error).splitlines()), type(error).__name__)
    first = cause.errors()[0]
    spot = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return f"{spot} is missing"
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{spot}: {message}, not {first['input']!r}" if spot else message


def _find_kind(name: str, where: str, albumentations: Any) -> type:
    kind = getattr(albumentations, name, None)
    if name in GROUPS:
        return getattr(albumentations, name)
    if inspect.isclass(kind) and issubclass(kind, albumentations.BasicTransform) and name not in _bases(albumentations):
        parameters = inspect.signature(kind.__init__).parameters
        reason = _REFUSED.get(name)
        if issubclass(kind, albumentations.Transform3D):
            reason = "it is for volumes, not for pictures"
        elif _FROM_ELSEWHERE & set(parameters):
            reason = "it takes in other files or pictures"
        if reason is None:
            return kind
        raise UsageError(f"{name} cannot be used here: {reason}.", where=where, next_step="take it out")
    if name in _REFUSED:
        raise UsageError(f"{name} cannot be used here: {_REFUSED[name]}.", where=where, next_step="take it out")
    near = difflib.get_close_matches(name, _offered(albumentations), n=1)
    raise UsageError(
        f"Albumentations has no transform called '{name}'{f'; did you mean {near[0]}?' if near else '.'}",
        where=where,
        next_step="https://albumentations.ai/docs lists them",
    )


def _bases(albumentations: Any) -> set[str]:
    """The classes that transforms are made of, which do nothing themselves."""
    kinds = (albumentations.BasicTransform, albumentations.ImageOnlyTransform, albumentations.DualTransform,
             albumentations.Transform3D)  # fmt: skip
    return {kind.__name__ for kind in kinds}


def _offered(albumentations: Any) -> list[str]:
    kinds = vars(albumentations).items()
    named = [name for name, kind in kinds if inspect.isclass(kind) and issubclass(kind, albumentations.BasicTransform)]
    return [*(name for name in named if name not in _REFUSED), *GROUPS]


def _where(spec: AugmentSpec, transform: Transform) -> str:
    return f"{spec.source}, line {transform.line}" if transform.line else spec.source
