"""Label files, by hand and by chance: no row gets lost. Rows in = boxes out + rows named as left out."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lensmith.core.workspace import Workspace
from lensmith.datasets.formats.labels import read_labels
from lensmith.datasets.model import Boxes, Dataset, LabelProblem
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture
from tests.suites.label_cases import CLASSES, COCO, VOC, YOLO, Case, annotation, coco, voc, voc_object
from tests.suites.label_rows import any_voc_object, coco_annotation, mutated, yolo_row

FILES_IN_A_CASE = 50
BY_CHANCE = {"yolo": 100, "voc": 60, "coco": 40}
COUNT = 3 + sum(BY_CHANCE.values())
MEMORY_BYTES = 512 << 20
FILE_BYTES = 64 << 20


def warm_up() -> None:
    """All that is loaded later would count as memory of a case."""


def prepare(number: int, folder: Path) -> Callable[[], list[str]]:
    """Lay out a case: a folder of label files, and what is to be held against what comes out."""
    given = folder / "given"
    given.mkdir()
    if number < 3:
        return (_yolo_by_hand, _voc_by_hand, _coco_by_hand)[number](given)
    rng = random.Random(number)
    number -= 3
    for kind, make in (("yolo", _yolo_by_chance), ("voc", _voc_by_chance), ("coco", _coco_by_chance)):
        if number < BY_CHANCE[kind]:
            return make(given, rng)
        number -= BY_CHANCE[kind]
    raise ValueError(number)


def run(check: Callable[[], list[str]], _folder: Path) -> tuple[str, str, list[str]]:
    """One case; see `box.Outcome`."""
    return "ok", "", check()


def _yolo_by_hand(given: Path) -> Callable[[], list[str]]:
    paths = _write(given, YOLO, ".txt")

    def check() -> list[str]:
        return [line for case, path in paths for line in _compare(case, *read_labels(path, CLASSES))]

    return check


def _voc_by_hand(given: Path) -> Callable[[], list[str]]:
    """All in one dataset, with two files more so that it has classes and pixels counted from 0."""
    train = given / "train"
    train.mkdir()
    _write(train, VOC, ".xml")
    (train / "base.xml").write_text(voc(voc_object(xmin=0, ymin=0)))
    for path in sorted(train.glob("*.xml")):
        make_picture(path.with_suffix(".png"))

    def check() -> list[str]:
        dataset = _open(given)
        found = {item.image.stem: dataset.boxes(item) for item in dataset.items()}
        return [line for number, case in enumerate(VOC) for line in _compare(case, *found[f"{number:03d}"])]

    return check


def _coco_by_hand(given: Path) -> Callable[[], list[str]]:
    for number, (_, data, *_) in enumerate(COCO):
        home = given / f"{number:03d}" / "train"
        make_picture(home / "a.png")
        (home / "_annotations.coco.json").write_bytes(data)

    def check() -> list[str]:
        wrong = []
        for number, case in enumerate(COCO):
            dataset = _open(given / f"{number:03d}")
            (item,) = dataset.items()
            wrong += _compare(case, *dataset.boxes(item))
        return wrong

    return check


def _write(folder: Path, cases: list[Case], suffix: str) -> list[tuple[Case, Path]]:
    paths = []
    for number, case in enumerate(cases):
        path = folder / f"{number:03d}{suffix}"
        path.write_bytes(case.data)
        paths.append((case, path))
    return paths


def _compare(case: Case, boxes: Boxes, problems: list[LabelProblem]) -> list[str]:
    faults = tuple(sorted(problem.fault for problem in problems))
    wrong = [f"'{case.label}': {line}" for line in _sound(boxes)]
    if len(boxes) != case.boxes:
        wrong.append(f"'{case.label}': {len(boxes)} boxes instead of {case.boxes}; {problems}")
    if faults != case.faults:
        wrong.append(f"'{case.label}': {faults} instead of {case.faults}")
    return wrong


def _sound(boxes: Boxes, classes: int = 1000) -> list[str]:
    """What is wrong with boxes whatever they were read from."""
    wrong = []
    if boxes.cxcywh.dtype != np.float32 or boxes.cxcywh.shape != (len(boxes.class_id), 4):
        return [f"an array of {boxes.cxcywh.dtype} {boxes.cxcywh.shape}"]
    cxcywh = boxes.cxcywh.astype(np.float64)
    if not np.isfinite(cxcywh).all() or (cxcywh[:, 2:] <= 0).any():
        wrong.append("boxes that are none")
    low, high = cxcywh[:, :2] - cxcywh[:, 2:] / 2, cxcywh[:, :2] + cxcywh[:, 2:] / 2
    if len(boxes) and (low.min() < -2e-6 or high.max() > 1 + 2e-6):
        wrong.append("boxes outside the picture")
    if len(boxes) and not (boxes.class_id.min() >= 0 and boxes.class_id.max() < classes):
        wrong.append("classes without names")
    return wrong


def _accounted(rows: int, boxes: Boxes, problems: list[LabelProblem], classes: int) -> list[str]:
    """What is wrong when so many rows were in one file."""
    wrong = _sound(boxes, classes)
    left_out = [problem.row for problem in problems if problem.reason.startswith("left out")]
    if any(not problem.reason.startswith(("left out: ", "clipped: ", "mended: ")) for problem in problems):
        wrong.append("a problem of no kind")
    if 0 in left_out:
        return wrong if len(boxes) == 0 else [*wrong, "boxes of a file that was left out"]
    if len(set(left_out)) != len(left_out):
        wrong.append(f"a row is named twice: {left_out}")
    if rows != len(boxes) + len(left_out):
        wrong.append(f"{rows} rows in, {len(boxes)} boxes and {len(left_out)} left out")
    return wrong


def _yolo_by_chance(given: Path, rng: random.Random) -> Callable[[], list[str]]:
    files: list[tuple[Path, int | None]] = []
    for number in range(FILES_IN_A_CASE):
        lines = [yolo_row(rng) for _ in range(rng.randrange(8))]
        text = rng.choice(["\n", "\r\n", "\r", "\n\n"]).join(lines)
        rows: int | None = sum(bool(line.split()) for line in lines)
        data = text.encode(rng.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]))
        if rng.random() < 0.3:  # whose rows nobody can count
            data, rows = mutated(data, rng), None
        path = given / f"{number}.txt"
        path.write_bytes(data)
        files.append((path, rows))

    def check() -> list[str]:
        wrong = []
        for path, rows in files:
            boxes, problems = read_labels(path, CLASSES)
            found = _sound(boxes, CLASSES) if rows is None else _accounted(rows, boxes, problems, CLASSES)
            wrong += [f"{path.read_bytes()!r}: {line}" for line in found]
        return wrong

    return check


def _voc_by_chance(given: Path, rng: random.Random) -> Callable[[], list[str]]:
    train = given / "train"
    rows: dict[str, int | None] = {"base": 1}
    make_picture(train / "base.png")
    (train / "base.xml").write_text(voc(voc_object(xmin=0, ymin=0)))
    picture = (train / "base.png").read_bytes()
    for number in range(FILES_IN_A_CASE):
        objects = [any_voc_object(rng) for _ in range(rng.randrange(6))]
        size = rng.choice(
            [None, None, "", "<size><width>0</width><height>48</height></size>", "<size/>", "<size>x</size>"]
        )
        data = (voc("".join(objects)) if size is None else voc("".join(objects), size)).encode()
        known: int | None = len(objects)
        if rng.random() < 0.3:
            data, known = mutated(data, rng), None
        (train / f"{number}.xml").write_bytes(data)
        (train / f"{number}.png").write_bytes(picture)
        rows[str(number)] = known

    def check() -> list[str]:
        dataset = _open(given)
        wrong = [] if dataset.count() == len(rows) else [f"{dataset.count()} pictures of {len(rows)}"]
        for item in dataset.items():
            boxes, problems = dataset.boxes(item)
            known = rows[item.image.stem]
            classes = len(dataset.names)
            found = _sound(boxes, classes) if known is None else _accounted(known, boxes, problems, classes)
            wrong += [f"{item.label and item.label.read_bytes()!r}: {line}" for line in found]
        return wrong

    return check


def _coco_by_chance(given: Path, rng: random.Random) -> Callable[[], list[str]]:
    train = given / "train"
    make_picture(train / "0.png")
    picture = (train / "0.png").read_bytes()
    images: list[Any] = []
    for number in range(FILES_IN_A_CASE):
        (train / f"{number}.png").write_bytes(picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        if rng.random() < 0.1:
            images[-1].update(rng.choice([{"width": 0}, {"height": "48"}, {"width": None}, {"width": 1e300}]))
    images += rng.sample([None, 3, {}, {"id": 1, "file_name": "1.png"}, {"id": 777, "file_name": "1.png"}], 2)
    annotations = [coco_annotation(rng, number, FILES_IN_A_CASE) for number in range(FILES_IN_A_CASE * 4)]
    categories = [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}, None, {"id": "x"}, {"name": "none"}]
    data = coco([annotation(image_id=0), *annotations], images, categories)
    (train / "_annotations.coco.json").write_bytes(data)

    def check() -> list[str]:
        dataset = _open(given)
        boxes, left_out, wrong = 0, 0, []
        for item in dataset.items():
            found, problems = dataset.boxes(item)
            wrong += _sound(found, len(dataset.names))
            boxes += len(found)
            # Crowds are told of together, in a remark; a picture with nothing else names them once more.
            left_out += sum(problem.left_out and problem.fault != "crowd" for problem in problems)
        told = sum(
            int(match[1])
            for remark in dataset.remarks
            if (match := re.match(r"(\d+) annotations (?:outline|belong)", remark.what))
        )
        rows = 1 + len(annotations)
        if rows != boxes + left_out + told:
            wrong.append(f"{rows} annotations in, {boxes} boxes, {left_out} left out, {told} told of together")
        return wrong

    return check


def _open(given: Path) -> Dataset:
    return open_dataset(given, Workspace(given.parent))
