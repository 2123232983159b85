"""Write the Pascal VOC layout as Roboflow has it: `train/a.jpg` and, for each of them, `train/a.xml`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from ...core.images import ImageError
from ..model import Boxes, Split
from .picture import LeftOut, Names, Picture, place, write_new
from .picture_size import size_of
from .voc import OUR_DATABASE

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass
class VocLosses:
    """What a VOC dataset does not hold of what was written into it.

    Attributes:
        left_out: Pictures whose size in pixels cannot be read.
        boxes: How many boxes there are.
        moved: How many of them had to be moved to whole pixels.
        farthest: How far the edge that moved most did, in pixels.
        unused: Classes without a box; VOC keeps no list of classes.
    """

    left_out: list[LeftOut] = field(default_factory=list)
    boxes: int = 0
    moved: int = 0
    farthest: float = 0.0
    unused: list[str] = field(default_factory=list)


def write_voc(
    folder: Path,
    pictures: Iterable[Picture],
    names: Sequence[str],
    *,
    link: bool = False,
    advance: Callable[[float], None] | None = None,
) -> VocLosses:
    """Write pictures with boxes into an empty folder.

    Pixels are whole and counted from 1, and the last pixel of an object belongs to it, as in VOC itself. A picture
    without a label gets no XML file.

    Args:
        folder: Where to write.
        pictures: What to write.
        names: Class names in order.
        link: Hard links instead of copies where the disk allows it.
        advance: Called with 1 after each picture.

    Raises:
        OSError: as the system gave it.
    """
    losses = VocLosses()
    given: dict[Split, Names] = {}
    used: Counter[int] = Counter()
    for picture in pictures:
        if picture.split not in given:
            given[picture.split] = Names()
            (folder / picture.split).mkdir()
        if advance is not None:
            advance(1)
        try:
            size = (0, 0) if picture.boxes is None else size_of(picture.source)
        except ImageError as error:
            losses.left_out.append(LeftOut(picture, error.reason))
            continue
        name = given[picture.split].file(picture.name)
        place(picture, f"{folder}/{picture.split}/{name}", link=link)
        if picture.boxes is not None:
            used.update(picture.boxes.class_id.tolist())
            text = _xml(name, picture.boxes, names, size, losses)
            write_new(f"{folder}/{picture.split}/{name.rpartition('.')[0]}.xml", text.encode())
    losses.unused = [name for number, name in enumerate(names) if number not in used]
    return losses


def _xml(name: str, boxes: Boxes, names: Sequence[str], size: tuple[int, int], losses: VocLosses) -> str:
    width, height = size
    exact = boxes.cxcywh.astype(np.float64)
    low = (exact[:, :2] - exact[:, 2:] / 2) * size
    high = (exact[:, :2] + exact[:, 2:] / 2) * size
    first = np.clip(np.rint(low), 0, np.array(size) - 1)
    last = np.clip(np.rint(high), first + 1, size)
    shift = np.maximum(np.abs(first - low), np.abs(last - high)).max(axis=1, initial=0)
    losses.boxes += len(boxes)
    losses.moved += int((shift > 1e-3).sum())
    losses.farthest = max(losses.farthest, float(shift.max(initial=0)))
    pixels: list[list[int]] = np.concatenate([first + 1, last], axis=1).astype(np.int64).tolist()
    class_ids: list[int] = boxes.class_id.tolist()
    objects = "".join(
        f"\t<object>\n\t\t<name>{_text(names[class_id])}</name>\n\t\t<pose>Unspecified</pose>\n"
        "\t\t<truncated>0</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        f"\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymin>{y1}</ymin>\n"
        f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for class_id, (x1, y1, x2, y2) in zip(class_ids, pixels, strict=True)
    )
    return (
        f"<annotation>\n\t<folder></folder>\n\t<filename>{_text(name)}</filename>\n\t<path>{_text(name)}</path>\n"
        f"\t<source>\n\t\t<database>{OUR_DATABASE}</database>\n\t</source>\n"
        f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
        f"\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


def _text(value: str) -> str:
    """A text as XML holds it; characters that XML knows in no form become question marks."""
    return escape(_NOT_IN_XML.sub("?", value), {"\r": "&#13;"})
