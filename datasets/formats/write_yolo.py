"""Write the YOLO layout: `train/images/a.jpg`, `train/labels/a.txt`, and a data.yaml."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ..model import SPLITS, Boxes, Split
from .data_yaml import write_data_yaml
from .picture import Names, Picture, place, write_new


def write_yolo(
    folder: Path,
    final: Path | None,
    pictures: Iterable[Picture],
    names: Sequence[str],
    *,
    link: bool = False,
    advance: Callable[[float], None] | None = None,
) -> Iterator[tuple[Picture, str, str]]:
    """Write pictures with boxes into an empty folder, one after the other as the result is consumed.

    Args:
        folder: Where to write.
        final: The absolute path that this folder will have, for data.yaml; None for a folder that is to be sent away.
        pictures: What to write. One whose boxes are None gets no label file, unlike one that has no objects.
        names: Class names in order.
        link: Hard links instead of copies where the disk allows it.
        advance: Called with 1 after each picture.

    Yields:
        Each file of the layout once: the picture it belongs to, its path below `folder` with forward slashes, and its
        SHA-256. data.yaml is written at the end, and is not among them.

    Raises:
        OSError: as the system gave it.
    """
    given: dict[Split, Names] = {}
    for picture in pictures:
        split = picture.split
        if split not in given:
            given[split] = Names()
            for part in ("images", "labels"):
                (folder / split / part).mkdir(parents=True)
        name = given[split].file(picture.name)
        image = f"{split}/images/{name}"
        yield picture, image, place(picture, f"{folder}/{image}", link=link)
        if picture.boxes is not None:
            text = label_rows(picture.boxes).encode()
            label = f"{split}/labels/{name.rpartition('.')[0]}.txt"
            write_new(f"{folder}/{label}", text)
            yield picture, label, hashlib.sha256(text).hexdigest()
        if advance is not None:
            advance(1)
    places: dict[Split, list[str]] = {split: [f"{split}/images"] for split in SPLITS if split in given}
    write_data_yaml(folder, final, places, names)


def label_rows(boxes: Boxes) -> str:
    """The rows of a label file, `class cx cy w h`, with as many digits as a float32 needs to come back the same."""
    return "".join(
        f"{class_id} {cx:.9g} {cy:.9g} {w:.9g} {h:.9g}\n"
        for class_id, (cx, cy, w, h) in zip(boxes.class_id.tolist(), boxes.cxcywh.tolist(), strict=True)
    )
