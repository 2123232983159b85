"""COCO results, as pycocotools and most evaluation services take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...core.redact import redact
from ..results import Detections, Prediction, Scores
from .base import AppendFile, Sink

RESULTS_NAME = "coco_results.json"
IMAGES_NAME = "coco_images.json"


class CocoResults(Sink):
    """Boxes in `coco_results.json`, and what their ids mean in `coco_images.json`; see `Sink`.

    Results are `{"image_id", "category_id", "bbox": [x, y, width, height] in pixels, "score"}`. Images are counted from
    1 in the order of the source; categories are the class numbers plus 1, as `cv export-dataset --format coco` counts
    them. Both files are valid JSON at any moment.

    Args:
        folder: Where.
        names: The class names.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
        head = f'{{"categories": {_json(categories)},\n"images": ['
        self._images = AppendFile(folder / IMAGES_NAME, "images", head=head.encode(), tail=b"\n]}\n")
        self._results = AppendFile(folder / RESULTS_NAME, "images' results", head=b"[", tail=b"\n]\n")

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        """See `Sink.write`."""
        number = self._images.pieces + 1
        image = {
            "id": number, "file_name": record["source"], "width": record["width"], "height": record["height"],
            "index": record["index"],
        }  # fmt: skip
        rows = _rows(prediction.result, number)
        self._images.append(f"{',' if number > 1 else ''}\n{_json(image)}".encode(errors="backslashreplace"))
        if rows:
            try:
                self._results.append((("," if self._results.pieces else "") + ",".join(rows)).encode())
            except BaseException:
                self._images.undo()  # it would stand there as a picture without objects
                raise

    def close(self) -> None:
        """See `Sink.close`."""
        self._images.close()
        self._results.close()


def _rows(found: Detections | Scores, image: int) -> list[str]:
    """A line for each box."""
    if not isinstance(found, Detections):
        return []
    rows = []
    for class_id, score, (x1, y1, x2, y2) in zip(
        found.class_id.tolist(), found.confidence.tolist(), found.xyxy.tolist(), strict=True
    ):
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        row = {"image_id": image, "category_id": class_id + 1, "bbox": box, "score": round(score, 5)}
        rows.append(f"\n{json.dumps(row)}")
    return rows


def _json(value: Any) -> str:
    return redact(json.dumps(value, ensure_ascii=False))
