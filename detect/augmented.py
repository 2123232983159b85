"""A spec in place of Ultralytics' own random changes.

Ultralytics takes a list of Albumentations transforms too (`augmentations=`), which does not do: it raises on a box that
is out of range by 1e-7, keeps slivers of boxes, trains without any change when a transform cannot be built, and cannot
batch pictures that a crop made smaller. So the spec is applied to each picture as it is read, before the mosaic is put
together, by the code that `cv preview` and the classifiers use.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from ..datasets.augment import Augmentation
from ..datasets.augment_spec import AugmentSpec, read_spec
from ..datasets.model import Boxes

SPEC_NAME = "augment.yaml"
OWN_CHANGES: Mapping[str, Any] = {
    "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "degrees": 0.0, "translate": 0.0, "scale": 0.0, "shear": 0.0,
    "perspective": 0.0, "flipud": 0.0, "fliplr": 0.0, "bgr": 0.0, "augmentations": [],
}  # fmt: skip
"""Ultralytics' arguments that leave all its own changes out but those that put pictures together, such as mosaic."""


def spec_line(spec: AugmentSpec, settings: Mapping[str, Any]) -> str:
    """One line that tells which changes are made and which are not, given what a person set of Ultralytics' own."""
    kept = ", ".join(sorted(settings.keys() & OWN_CHANGES.keys()))
    return (
        f"augmentation: {spec}, sha256 {spec.sha256[:8]}; Ultralytics' own colours, geometry and flips are off"
        f"{f' but for {kept}' if kept else ''}, its mosaic stays (--set mosaic=0 turns it off)"
    )


def read_run_spec(run: Path) -> AugmentSpec | None:
    """The spec that stands in a run's folder, where the processes of several GPUs find it too."""
    path = run / SPEC_NAME
    return read_spec(path) if path.exists() else None


class AugmentedReader:
    """Reads a picture with its labels as Ultralytics does, then changes both.

    Args:
        dataset: Ultralytics' dataset; this takes the place of its `get_image_and_label`.
        spec: What to do.
    """

    def __init__(self, dataset: Any, spec: AugmentSpec) -> None:
        self._dataset = dataset
        self._spec = spec
        self._augmentation: Augmentation | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Each process that reads pictures builds its own."""
        return {**self.__dict__, "_augmentation": None}

    def __call__(self, index: int) -> dict[str, Any]:
        """The label dictionary of one picture: `img`, `cls`, `instances` and their sizes."""
        from ultralytics.utils.instance import Instances

        label = type(self._dataset).get_image_and_label(self._dataset, index)
        bgr, instances = label["img"], label["instances"]
        height, width = bgr.shape[:2]
        instances.convert_bbox("xywh")
        instances.normalize(width, height)
        boxes = Boxes(instances.bboxes, label["cls"].reshape(-1).astype("int64"))
        if self._augmentation is None:
            self._augmentation = Augmentation(self._spec)
        # Ultralytics seeds `random` in each process that reads pictures.
        bgr, boxes = self._augmentation(bgr, random.getrandbits(32), boxes)
        label["img"] = _with_long_side(bgr, max(height, width))
        label["cls"] = boxes.class_id.reshape(-1, 1).astype(label["cls"].dtype)
        label["instances"] = Instances(boxes.cxcywh, instances.segments[:0], bbox_format="xywh", normalized=True)
        label["resized_shape"] = label["img"].shape[:2]
        return label


def _with_long_side(bgr: Any, pixels: int) -> Any:
    """What a crop left, as large as pictures are read: so a crop comes nearer."""
    height, width = bgr.shape[:2]
    scale = pixels / max(height, width)
    if scale == 1:
        return bgr
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR)
