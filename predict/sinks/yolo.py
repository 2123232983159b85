"""YOLO label files with confidences, as Ultralytics writes them with `save_txt save_conf`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.errors import told_when_full
from ...core.files import write_atomic
from ..results import Detections, Prediction
from .base import Sink
from .pictures import FileNames


class YoloLabels(Sink):
    """`labels/NAME.txt` for each frame: `class cx cy w h confidence`, parts of the picture's size; see `Sink`.

    A frame without objects has an empty file. Frames of a video are told apart by their number, pictures of the same
    name by a number behind it. `labels/classes.txt` has the class names, one a line.

    Args:
        folder: Where `labels` is made.
        names: The class names.
        numbered: Whether the frames are of a video.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], *, numbered: bool) -> None:
        self.folder = folder / "labels"
        self.folder.mkdir()
        self._names, self._numbered = FileNames(), numbered
        self._files = 0
        self._names.free("classes.txt")  # no picture's labels take its place
        lines = "".join(" ".join(name.split()) + "\n" for name in names)
        self._put("classes", lines)

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:  # noqa: ARG002 - as every sink
        """See `Sink.write`."""
        frame, found = prediction.frame, prediction.result
        if not isinstance(found, Detections):
            return
        name = self._names.free(f"{Path(frame.source).stem}-{frame.index:06d}.x" if self._numbered else frame.source)
        height, width = frame.bgr.shape[:2]
        rows = []
        for class_id, confidence, (x1, y1, x2, y2) in zip(
            found.class_id.tolist(), found.confidence.tolist(), found.xyxy.tolist(), strict=True
        ):
            box = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            rows.append(f"{class_id} {' '.join(f'{value:.6f}' for value in box)} {confidence:.6f}\n")
        self._put(name, "".join(rows))
        self._files += 1

    def _put(self, name: str, text: str) -> None:
        target = self.folder / f"{name}.txt"
        with told_when_full(target, kept=f"{self._files} label files" if self._files else ""):
            write_atomic(target, text, durable=False)

    def close(self) -> None:
        """See `Sink.close`."""
