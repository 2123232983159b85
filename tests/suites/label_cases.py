"""Label files by hand: what stands in them, how many boxes come out, and what must be named."""

from __future__ import annotations

import codecs
import json
from typing import Any, NamedTuple

CLASSES = 3
GOOD = "0 0.5 0.5 0.2 0.2\n"


class Case(NamedTuple):
    """One label file.

    Attributes:
        boxes: How many come out.
        faults: The faults that are named, sorted; a row may have one that is left out and several that are mended.
    """

    label: str
    data: bytes
    boxes: int
    faults: tuple[str, ...] = ()


def _case(label: str, text: str | bytes, boxes: int, *faults: str) -> Case:
    return Case(label, text.encode() if isinstance(text, str) else text, boxes, tuple(sorted(faults)))


YOLO = [
    _case("a box", GOOD, 1),
    _case("nothing", "", 0),
    _case("blank lines", "\n\n  \n\t\n", 0),
    _case("no newline at the end", GOOD.strip(), 1),
    _case("Windows", GOOD.replace("\n", "\r\n") + "1 0.2 0.2 0.1 0.1\r\n", 2),
    _case("old Macintosh", "0 0.5 0.5 0.2 0.2\r1 0.5 0.5 0.1 0.1\r", 2),
    _case("tabs", GOOD.replace(" ", "\t"), 1),
    _case("a mark at the front", codecs.BOM_UTF8 + GOOD.encode(), 1),
    _case("UTF-16", GOOD.encode("utf-16"), 1, "encoding"),
    _case("UTF-16 without a mark", GOOD.encode("utf-16-le"), 1, "encoding"),
    _case("UTF-16 the other way", codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be"), 1, "encoding"),
    _case("Latin-1", b"\xe9 0.5 0.5 0.1 0.1\n" + GOOD.encode(), 1, "encoding", "not-a-number"),
    _case("noughts", b"\0" * 100, 0, "encoding"),
    _case("decimal commas", "0 0,5 0,5 0,2 0,2\n", 1, "decimal-comma"),
    _case("semicolons", "0;0.5;0.5;0.2;0.2\n", 1, "decimal-comma"),
    _case("a comma table", "0,0.5,0.5,0.2,0.2\n", 1, "decimal-comma"),
    _case("a class without a name", "3 0.5 0.5 0.1 0.1\n", 0, "unknown-class"),
    _case("a negative class", "-1 0.5 0.5 0.1 0.1\n", 0, "unknown-class"),
    _case("half a class", "0.5 0.5 0.5 0.1 0.1\n", 0, "unknown-class"),
    _case("a class of 400 digits", "9" * 400 + " 0.5 0.5 0.1 0.1\n", 0, "nan"),
    _case("a class in words", "cat 0.5 0.5 0.1 0.1\n", 0, "not-a-number"),
    _case("NaN", "0 nan 0.5 0.1 0.1\n", 0, "nan"),
    _case("infinity", "0 0.5 inf 0.1 0.1\n0 0.5 0.5 1e999 0.1\n", 0, "nan", "nan"),
    _case("pixels", "0 320 240 100 80\n", 0, "out-of-range"),
    _case("far left", "0 -0.5 0.5 0.1 0.1\n", 0, "out-of-range"),
    _case("no width", "0 0.5 0.5 0 0.2\n", 0, "no-area"),
    _case("less than no width", "0 0.5 0.5 -0.005 0.2\n", 0, "no-area"),
    _case("hardly any", "0 0.5 0.5 1e-9 1e-9\n", 0, "no-area"),
    _case("over the edge", "0 0.95 0.5 0.3 0.2\n", 1, "clipped"),
    _case("just over the edge", "0 0.9 0.5 0.2001 0.2\n", 1),
    _case("the same twice", GOOD + GOOD, 1, "duplicate"),
    _case("the same with another class", GOOD + "1" + GOOD[1:], 2),
    _case("four numbers", "0 0.5 0.5 0.1\n", 0, "row-length"),
    _case("six numbers", "0 0.5 0.5 0.1 0.1 0.9\n", 0, "row-length"),
    _case("one number", "0\n", 0, "row-length"),
    _case("a polygon", "0 0.1 0.1 0.5 0.1 0.5 0.5\n", 1),
    _case("a line for a polygon", "0 0.1 0.1 0.5 0.1 0.9 0.1\n", 0, "no-area"),
    _case("a polygon of 5,000 corners", "0" + " 0.2 0.3 0.4 0.5" * 2500 + "\n", 1),
    _case("underscores, which Python reads", "0 0.5 0.5 0_1 0.1\n", 1),
    _case("other digits", "0 0.5 0.5 ٠.٢ 0.2\n", 1),
    _case("hexadecimal", "0 0x1 0.5 0.1 0.1\n", 0, "not-a-number"),
    _case("an expression", "__import__('os') 0 0 0 0\n", 0, "not-a-number"),
]

_BOX = {"xmin": 10, "ymin": 10, "xmax": 30, "ymax": 30}


def voc(objects: str, size: str = "<size><width>64</width><height>48</height></size>") -> str:
    """A VOC file of a picture of 64 x 48."""
    return f"<annotation>{size}{objects}</annotation>"


def voc_object(name: str = "cat", **edges: object) -> str:
    """An object; an edge given as None is left out."""
    box = {**_BOX, **edges}
    inside = "".join(f"<{edge}>{value}</{edge}>" for edge, value in box.items() if value is not None)
    return f"<object><name>{name}</name><bndbox>{inside}</bndbox></object>"


_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
_FILE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'

VOC = [
    _case("an object", voc(voc_object()), 1),
    _case("none", voc(""), 0),
    _case("nothing at all", "", 0, "unreadable"),
    _case("half of it", voc(voc_object())[:60], 0, "unreadable"),
    _case("no XML", "0 0.5 0.5 0.1 0.1", 0, "unreadable"),
    _case("entities", _LAUGHS + voc(voc_object("&b;")), 0, "unreadable"),
    _case("somebody's file", _FILE + voc(voc_object("&f;")), 0, "unreadable"),
    _case("declared otherwise", b'<?xml version="1.0" encoding="ascii"?>' + voc(voc_object("caf\xe9")).encode(), 1),
    _case("an encoding nobody knows", '<?xml version="1.0" encoding="x-none"?>' + voc(voc_object()), 1),
    _case("no name", voc(voc_object("")), 0, "unknown-class"),
    _case("an edge missing", voc(voc_object(xmin=None)), 0, "row-length"),
    _case("an edge in words", voc(voc_object(xmin="left")), 0, "not-a-number"),
    _case("NaN", voc(voc_object(xmin="nan")), 0, "nan"),
    _case("the wrong way round", voc(voc_object(xmin=30, xmax=10)), 1, "no-area"),
    _case("no width", voc(voc_object(xmin=20, xmax=20)), 0, "no-area"),
    _case("outside", voc(voc_object(xmin=100, xmax=200)), 0, "out-of-range"),
    _case("over the edge", voc(voc_object(xmax=90)), 1, "clipped"),
    _case("no size", voc(voc_object(), ""), 1),
    _case("parts of an object", voc(voc_object("cat</name><part><name>paw</name></part><name>cat")), 1),
    _case("deep", "<a>" * 3000 + "</a>" * 3000, 0, "unreadable"),
    _case("the same twice", voc(voc_object() + voc_object()), 1, "duplicate"),
]  # fmt: skip


def coco(annotations: Any, images: Any = None, categories: Any = None) -> bytes:
    """A COCO file of one picture of 64 x 48, with an annotation that is good on another one."""
    images = images if images is not None else [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}]
    categories = categories if categories is not None else [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}]
    return json.dumps({"images": images, "categories": categories, "annotations": annotations}).encode()


def annotation(**fields: Any) -> dict[str, Any]:
    """An annotation of that picture; a field given as None is left out."""
    whole = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 20], **fields}
    return {key: value for key, value in whole.items() if value is not None}


_ELSEWHERE = annotation(id=99, bbox=[40, 20, 10, 10])
COCO = [
    _case(label, coco([annotation(**fields), _ELSEWHERE]), 1 + boxes, *faults)
    for label, fields, boxes, *faults in [
        ("a box", {}, 1),
        ("no bbox", {"bbox": None}, 0, "row-length"),
        ("three numbers", {"bbox": [1, 2, 3]}, 0, "row-length"),
        ("words", {"bbox": ["left", 2, 3, 4]}, 0, "not-a-number"),
        ("true and false, which are 1 and 0", {"bbox": [True, False, True, True]}, 1),
        ("NaN", {"bbox": [float("nan"), 2, 3, 4]}, 0, "nan"),
        ("a number of 400 digits", {"bbox": [10**400, 2, 3, 4]}, 0, "not-a-number"),
        ("lists in lists", {"bbox": [[1], [2], [3], [4]]}, 0, "not-a-number"),
        ("less than no width", {"bbox": [10, 10, -5, 5]}, 0, "no-area"),
        ("outside", {"bbox": [100, 100, 5, 5]}, 0, "out-of-range"),
        ("over the edge", {"bbox": [50, 10, 50, 5]}, 1, "clipped"),
        ("a category nobody has", {"category_id": 5}, 0, "unknown-class"),
        ("a category in words", {"category_id": "dog"}, 0, "unknown-class"),
        ("no category", {"category_id": None}, 0, "unknown-class"),
        ("a polygon only", {"bbox": None, "segmentation": [[1, 1, 20, 1, 20, 20]]}, 1),
        ("the same twice", {"bbox": [40, 20, 10, 10]}, 0, "duplicate"),
        ("an id in words", {"id": "x" * 50}, 1),
    ]
]
