"""Write the COCO layout as Roboflow has it: `train/a.jpg` and, for all of them, `train/_annotations.coco.json`."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from ...core.images import ImageError
from ..model import SPLITS, Boxes, Split
from .picture import LeftOut, Names, Picture, place
from .picture_size import size_of

FILE_NAME = "_annotations.coco.json"
_PARENT = "objects"  # Some readers take a category whose supercategory is "none" for one that only groups others.


@dataclass
class _SplitFile:
    """The COCO file of one split while it is written: pictures go into it, annotations beside it until the end."""

    file: IO[str]
    annotations: IO[str]
    names: Names = field(default_factory=Names)
    pictures: int = 0
    boxes: int = 0


def write_coco(
    folder: Path,
    pictures: Iterable[Picture],
    names: Sequence[str],
    *,
    licence: str | None = None,
    link: bool = False,
    advance: Callable[[float], None] | None = None,
) -> list[LeftOut]:
    """Write pictures with boxes into an empty folder.

    Boxes are left, top, width, height in pixels from the upper left edge, with all the digits that bring back the same
    float32. Category ids count from 1. A picture without a label is put there and not listed.

    Args:
        folder: Where to write.
        pictures: What to write.
        names: Class names in order.
        licence: Written into each file.
        link: Hard links instead of copies where the disk allows it.
        advance: Called with 1 after each picture.

    Returns:
        The pictures that were left out, because their size in pixels cannot be read.

    Raises:
        OSError: as the system gave it.
    """
    left_out: list[LeftOut] = []
    open_files: dict[Split, _SplitFile] = {}
    with ExitStack() as stack:
        for picture in pictures:
            if picture.split not in open_files:
                open_files[picture.split] = _start(folder / picture.split, names, licence, stack)
            written = open_files[picture.split]
            if advance is not None:
                advance(1)
            try:
                size = (0, 0) if picture.boxes is None else size_of(picture.source)
            except ImageError as error:
                left_out.append(LeftOut(picture, error.reason))
                continue
            name = written.names.file(picture.name)
            place(picture, f"{folder}/{picture.split}/{name}", link=link)
            if picture.boxes is not None:
                _add(written, name, picture.boxes, size)
        for split in SPLITS:
            if split in open_files:
                _finish(open_files[split])
    return left_out


def _start(home: Path, names: Sequence[str], licence: str | None, stack: ExitStack) -> _SplitFile:
    home.mkdir()
    file = stack.enter_context((home / FILE_NAME).open("x", encoding="utf-8"))
    head = {
        "info": {"description": "Exported by lensmith"},
        "licenses": [{"id": 1, "name": licence, "url": ""}] if licence else [],
        "categories": [{"id": number, "name": name, "supercategory": _PARENT} for number, name in enumerate(names, 1)],
    }
    file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "images": [')
    return _SplitFile(file, stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")))


def _add(written: _SplitFile, name: str, boxes: Boxes, size: tuple[int, int]) -> None:
    width, height = size
    about = {"id": written.pictures, "file_name": name, "width": width, "height": height}
    written.file.write((", " if written.pictures else "") + "\n" + json.dumps(about, ensure_ascii=False))
    exact = boxes.cxcywh.astype(np.float64)
    wh = exact[:, 2:] * size
    xy = (exact[:, :2] - exact[:, 2:] / 2) * size
    for class_id, box in zip(boxes.class_id.tolist(), np.concatenate([xy, wh], axis=1).tolist(), strict=True):
        annotation = {
            "id": written.boxes, "image_id": written.pictures, "category_id": class_id + 1, "bbox": box,
            "area": box[2] * box[3], "segmentation": [], "iscrowd": 0,
        }  # fmt: skip
        written.annotations.write((", " if written.boxes else "") + "\n" + json.dumps(annotation))
        written.boxes += 1
    written.pictures += 1


def _finish(written: _SplitFile) -> None:
    written.file.write('], "annotations": [')
    written.annotations.seek(0)
    shutil.copyfileobj(written.annotations, written.file)
    written.file.write("]}\n")
