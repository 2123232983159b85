"""Rows of labels by chance."""

from __future__ import annotations

import random
import struct
from typing import Any

from tests.suites.label_cases import GOOD, annotation, voc_object

_NUMBERS = [
    "0", "1", "0.5", "0.25", "1.0", "-0.0", "1e-7", "0.999999", "1.004", "-0.003", "2", "640", "1e308", "nan", "inf",
    "-inf", "", "abc", "0,5", "1e400", "0x1", "1_0", "٣", "+.5", ".5.", "--1", "0.5;", "null", "9" * 50,
]  # fmt: skip


def yolo_row(rng: random.Random) -> str:
    """One row of a YOLO file: right, wrong, or nearly right."""
    if rng.random() < 0.4:
        return GOOD.strip() if rng.random() < 0.2 else " ".join([str(rng.randrange(4)), *_four(rng)])
    count = rng.choice([0, 1, 4, 5, 5, 5, 5, 6, 7, 9, 11, 30])
    fields = [
        rng.choice(_NUMBERS) if rng.random() < 0.3 else f"{rng.random():.{rng.randrange(1, 9)}f}" for _ in range(count)
    ]
    if fields and rng.random() < 0.8:
        fields[0] = rng.choice(["0", "1", "2", "3", "-1", "1.0", "1e0", "99999999999999999999"])
    return rng.choice([" ", " ", " ", "\t", "  ", ",", ";"]).join(fields)


def _four(rng: random.Random) -> list[str]:
    """Bits of float32, so that every kind of number comes up, or something near the edges."""
    if rng.random() < 0.3:
        return [repr(struct.unpack("<f", rng.randbytes(4))[0]) for _ in range(4)]
    return [f"{rng.choice([0, 0.5, 1]) + rng.uniform(-0.02, 0.02):.9g}" for _ in range(4)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes of a file with some damage."""
    mutable = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(mutable) + 1)
        match rng.randrange(4):
            case 0:
                mutable[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del mutable[at : at + rng.randrange(9)]
            case 2:
                mutable[at:at] = rng.randbytes(rng.randrange(9))
            case 3:
                mutable[at:at] = rng.choice(
                    [b"\0", b"\xff\xfe", b"\xc3", b"\x0b", b"\x1c", b"\xe2\x80\xa8", b"\x85", b","]
                )
    return bytes(mutable)


def any_voc_object(rng: random.Random) -> str:
    """One object of a VOC file."""
    edges: dict[str, Any] = {}
    for edge in ("xmin", "ymin", "xmax", "ymax"):
        if rng.random() < 0.6:
            edges[edge] = rng.choice([rng.randrange(-5, 80), rng.uniform(0, 64), rng.choice(_NUMBERS), None, "1e9"])
    name = rng.choice(["cat", "cat", "dog", "", "a &amp; b", "é", "x" * 300, "<i>cat</i>"])
    return rng.choice([voc_object(name, **edges), voc_object(name, **edges), "<object/>", "<object><bndbox/></object>"])


def coco_annotation(rng: random.Random, number: int, pictures: int) -> Any:
    """One annotation, or what stands in its place."""
    if rng.random() < 0.05:
        return rng.choice([None, 1, "x", [], {}, {"image_id": 1}, {"image_id": [1]}, {"image_id": 10**30}])
    fields: dict[str, Any] = {"id": number, "image_id": rng.randrange(pictures)}
    fields["bbox"] = [rng.uniform(-5, 70) for _ in range(4)]
    if rng.random() < 0.5:
        odd: list[dict[str, Any]] = [
            {"bbox": None}, {"bbox": []}, {"bbox": [1, 2, 3]}, {"bbox": "0 0 1 1"}, {"bbox": {"x": 1}},
            {"bbox": [1, 2, 3, None]}, {"bbox": [1, 2, float("inf"), 3]}, {"bbox": [1e308] * 4},
            {"bbox": [1, 2, 10**320, 3]},
            {"category_id": 99}, {"category_id": "x"}, {"category_id": []}, {"category_id": 7.0}, {"iscrowd": 1},
            {"iscrowd": "1"}, {"iscrowd": 1, "segmentation": {"counts": [], "size": [1, 1]}}, {"image_id": "1"},
            {"image_id": 5.0}, {"image_id": -1}, {"id": None}, {"id": 10**40},
            {"bbox": None, "segmentation": [[1, 2, 3]]},
            {"bbox": None, "segmentation": [[1, 1, 9, 1, 9, 9]]}, {"bbox": None, "segmentation": "x"},
            {"bbox": None, "segmentation": [[None] * 8]}, {"bbox": [10, 10, 5, 5]}, {"image_id": True},
        ]  # fmt: skip
        fields.update(rng.choice(odd))
    return annotation(**fields)
