"""A clean dataset on disk in one of the four layouts, and the record of what was planted into it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from .photos import Photos

Layout = Literal["yolo", "coco", "voc", "folder"]
Row = tuple[int, float, float, float, float]
COUNTS = {"train": 36, "valid": 12, "test": 12}
NAMES = ("cat", "car", "bird")


@dataclass(frozen=True)
class Planted:
    """One fault at one place.

    Attributes:
        kinds: The kind of finding that it is; more than one where either word is right.
        variant: What was done, for a person.
        files: A finding that names any of these has found it; none for a fault of the whole dataset.
        words: What the sentence of a finding without files must hold.
        pair: Two pictures that must come out as one group.
    """

    kinds: tuple[str, ...]
    variant: str
    files: frozenset[Path] = frozenset()
    words: tuple[str, ...] = ()
    pair: tuple[Path, Path] | None = None


@dataclass
class Shot:
    """One clean picture; `label` is its own label file, or in COCO the one of its split."""

    image: Path
    split: str
    label: Path
    class_id: int
    rows: list[Row]
    size: tuple[int, int]

    @property
    def files(self) -> frozenset[Path]:
        """A finding about this picture may name it, or its label file."""
        return frozenset({self.image, self.label})

    def bgr(self) -> np.ndarray:
        """Its pixels, BGR uint8 `(h, w, 3)`."""
        return decode(self.image.read_bytes())


@dataclass
class Site:
    """A dataset, what was planted in it, and which findings are neither right nor wrong there.

    Attributes:
        planted: Each fault.
        allowed: Pairs of a kind and a file (None for all files) that may be named without being counted.
    """

    root: Path
    layout: Layout
    names: tuple[str, ...]
    photos: Photos
    rng: np.random.Generator
    shots: list[Shot] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    allowed: set[tuple[str, Path | None]] = field(default_factory=set)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    free: list[Shot] = field(default_factory=list)

    def take(self, split: str | None = None, class_id: int | None = None) -> Shot:
        """A clean picture that nobody took yet; it stays for whoever took it."""
        for shot in self.free:
            if split in {None, shot.split} and class_id in {None, shot.class_id}:
                self.free.remove(shot)
                return shot
        raise LookupError(f"{self.root.name}: no clean picture is left in {split or 'any split'}; make the site larger")

    def plant(self, kind: str | tuple[str, ...], variant: str, *files: Path, words: tuple[str, ...] = ()) -> None:
        """Note a fault."""
        kinds = (kind,) if isinstance(kind, str) else kind
        self.planted.append(Planted(kinds, variant, frozenset(files), words))

    def plant_pair(self, kind: str | tuple[str, ...], variant: str, first: Path, second: Path) -> None:
        """Note two pictures that show the same thing."""
        kinds = (kind,) if isinstance(kind, str) else kind
        self.planted.append(Planted(kinds, variant, frozenset({first, second}), pair=(first, second)))

    def allow(self, kind: str, *files: Path) -> None:
        """Note what may be found without being counted: for these files, or anywhere."""
        self.allowed |= {(kind, file) for file in files} or {(kind, None)}

    def add(self, split: str, name: str, data: bytes, class_id: int = 0, rows: list[Row] | None = None) -> Shot:
        """Put one more picture in, with its label."""
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        shot = Shot(
            *self._places(split, name, class_id),
            class_id=class_id,
            rows=rows or [],
            size=(picture.shape[1], picture.shape[0]) if picture is not None else (1, 1),
        )
        shot.image.parent.mkdir(parents=True, exist_ok=True)
        shot.image.write_bytes(data)
        self.shots.append(shot)
        if self.layout == "yolo":
            shot.label.parent.mkdir(parents=True, exist_ok=True)
            shot.label.write_text("".join(yolo_row(row) for row in shot.rows))
        elif self.layout == "voc":
            shot.label.write_text(voc_text(shot, self.names))
        elif self.layout == "coco":
            self._add_to_coco(shot)
        return shot

    def _places(self, split: str, name: str, class_id: int) -> tuple[Path, str, Path]:
        home = self.root / split
        if self.layout == "yolo":
            return home / "images" / name, split, (home / "labels" / name).with_suffix(".txt")
        if self.layout == "voc":
            return home / name, split, (home / name).with_suffix(".xml")
        if self.layout == "coco":
            return home / name, split, home / "_annotations.coco.json"
        image = home / self.names[class_id] / name
        return image, split, image

    def _add_to_coco(self, shot: Shot) -> None:
        document = self.documents.setdefault(shot.split, {"images": [], "annotations": [], "categories": []})
        document["categories"] = [
            {"id": number + 1, "name": name, "supercategory": "none"} for number, name in enumerate(self.names)
        ]
        number = len(document["images"])
        width, height = shot.size
        document["images"].append({"id": number, "file_name": shot.image.name, "width": width, "height": height})
        for class_id, cx, cy, w, h in shot.rows:
            box = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height]
            self.annotate(shot.split, number, class_id + 1, box)

    def annotate(self, split: str, image_id: object, category_id: object, bbox: object) -> dict[str, Any]:
        """One more COCO annotation, returned so that a fault can be made of it."""
        annotations = self.documents[split]["annotations"]
        area = bbox[2] * bbox[3] if isinstance(bbox, list) and len(bbox) == 4 else 1
        annotation = {
            "id": len(annotations), "image_id": image_id, "category_id": category_id, "bbox": bbox,
            "area": area if isinstance(area, float) else 1, "segmentation": [], "iscrowd": 0,
        }  # fmt: skip
        annotations.append(annotation)
        return annotation

    def save_coco(self) -> None:
        """Write the annotations of every split; NaN and infinity as Python writes them."""
        for split, document in self.documents.items():
            (self.root / split / "_annotations.coco.json").write_text(json.dumps(document))


def make_site(
    root: Path,
    layout: Layout,
    photos: Photos,
    seed: int,
    counts: dict[str, int] | None = None,
    names: tuple[str, ...] = NAMES,
) -> Site:
    """A clean dataset: every class in every split, two boxes a picture, all numbers inside the picture.

    Its names count through all splits (img-0007.jpg in "train", img-0008.jpg in "valid"), as names often do; that is no
    sign of a video.
    """
    site = Site(root, layout, names, photos, np.random.default_rng(seed))
    number = 0
    for split, count in (counts or COUNTS).items():
        for place in range(count):
            number += 1
            class_id = place % len(names)
            rows = [] if layout == "folder" else two_boxes(site.rng, class_id, (class_id + 1) % len(names))
            site.add(split, f"img-{number:04d}.jpg", jpeg(photos.take()), class_id, rows)
    if layout == "yolo":
        write_yaml(site)
    site.save_coco()
    site.free = [site.shots[place] for place in site.rng.permutation(len(site.shots))]
    return site


def two_boxes(rng: np.random.Generator, left: int, right: int) -> list[Row]:
    """Two boxes that do not touch, of ordinary sizes, in six decimals."""
    rows: list[Row] = []
    for class_id, start in ((left, 0.0), (right, 0.5)):
        w, h = rng.uniform(0.15, 0.4), rng.uniform(0.2, 0.7)
        cx, cy = start + rng.uniform(w / 2, 0.5 - w / 2), rng.uniform(h / 2, 1 - h / 2)
        rows.append((class_id, *(round(float(value), 6) for value in (cx, cy, w, h))))  # type: ignore[arg-type]
    return rows


def yolo_row(row: Row) -> str:
    """One line of a label file."""
    return f"{row[0]} " + " ".join(f"{value:.6f}" for value in row[1:]) + "\n"


def voc_text(shot: Shot, names: tuple[str, ...], *, size: tuple[int, int] | None = None, objects: str = "") -> str:
    """A VOC file as Roboflow writes it: whole pixels from 0, and more `objects` given as text."""
    width, height = shot.size
    boxes = ""
    for class_id, cx, cy, w, h in shot.rows:
        corners = (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height
        boxes += voc_object(names[class_id], *(int(value) for value in corners))
    width, height = size or shot.size
    return (
        f"<annotation>\n  <folder></folder>\n  <filename>{shot.image.name}</filename>\n  <size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>\n{boxes}{objects}</annotation>\n"
    )


def voc_object(name: str, xmin: object, ymin: object, xmax: object, ymax: object) -> str:
    """One object of a VOC file."""
    box = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"  <object><name>{name}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>\n"


def write_yaml(site: Site, **lines: str) -> Path:
    """The data.yaml of a YOLO site; keys given replace its lines, and add to them."""
    content = {split if split != "valid" else "val": f"{split}/images" for split in ("train", "valid", "test")}
    content = {key: value for key, value in content.items() if (site.root / value).is_dir()}
    content |= {"nc": str(len(site.names)), "names": json.dumps(list(site.names))} | lines
    path = site.root / "data.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in content.items() if value))
    return path


def decode(data: bytes) -> np.ndarray:
    """The pixels of a good picture file, BGR uint8 `(h, w, 3)`."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("this is no picture")
    return bgr


def jpeg(bgr: np.ndarray, quality: int = 92) -> bytes:
    """The bytes of a JPEG file."""
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
