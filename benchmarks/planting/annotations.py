"""Faults of COCO and Pascal VOC annotations, and unusual but right ones that must not be called faulty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .site import Shot, Site, voc_object, voc_text

_NAN, _INF = float("nan"), float("inf")


class CocoFault(NamedTuple):
    """One more annotation of a picture: its category id and its box."""

    kind: str | tuple[str, ...]
    variant: str
    category_id: object
    bbox: object


COCO_FAULTS: tuple[CocoFault, ...] = (
    CocoFault("label-unknown-class", "category 77", 77, [10.0, 10.0, 30.0, 30.0]),
    CocoFault("label-unknown-class", "category -1", -1, [10.0, 10.0, 30.0, 30.0]),
    CocoFault(("label-unknown-class", "label-not-a-number"), "category null", None, [10.0, 10.0, 30.0, 30.0]),
    CocoFault("label-nan", "NaN", 1, [_NAN, 10.0, 30.0, 30.0]),
    CocoFault("label-nan", "infinity", 1, [10.0, 10.0, _INF, 30.0]),
    CocoFault("label-not-a-number", "words for numbers", 1, ["left", "top", 30.0, 30.0]),
    CocoFault(("label-not-a-number", "label-row-length"), "null for a box", 1, None),
    CocoFault("label-row-length", "three numbers", 1, [10.0, 10.0, 30.0]),
    CocoFault("label-row-length", "no number", 1, []),
    CocoFault("label-out-of-range", "far outside", 1, [5000.0, 10.0, 30.0, 30.0]),
    CocoFault("label-clipped", "past the left edge", 1, [-40.0, 10.0, 90.0, 30.0]),
    CocoFault("label-no-area", "no width", 1, [10.0, 10.0, 0.0, 30.0]),
    CocoFault(("label-no-area", "label-out-of-range"), "negative height", 1, [10.0, 60.0, 30.0, -30.0]),
)


def plant_coco_faults(site: Site) -> None:
    """One bad annotation beside the right ones of each picture, and pictures that are listed wrongly."""
    for kind, variant, category_id, bbox in COCO_FAULTS:
        shot = site.take()
        site.annotate(shot.split, _number(site, shot), category_id, bbox)
        site.plant(kind, variant, *shot.files)
    shot = site.take()
    annotations = site.documents[shot.split]["annotations"]
    box = next(row["bbox"] for row in annotations if row["image_id"] == _number(site, shot))
    site.annotate(shot.split, _number(site, shot), shot.class_id + 1, list(box))
    site.plant("label-duplicate", "the same box twice", *shot.files)
    shot = site.take()
    site.annotate(shot.split, _number(site, shot), shot.class_id + 1, [0.0, 0.0, *map(float, shot.size)])
    site.plant("label-covers-all", "the whole picture", *shot.files)
    _plant_listing_faults(site)
    site.save_coco()


def _plant_listing_faults(site: Site) -> None:
    shot = site.take()
    site.documents[shot.split]["images"][_number(site, shot)] |= {"width": shot.size[0] * 2, "height": shot.size[1] * 2}
    site.plant("label-size-differs", "twice the size", *shot.files)
    shot = site.take()
    _drop_annotations(site, shot)
    site.plant("picture-without-objects", "no annotation", *shot.files)
    shot = site.take()
    _drop_annotations(site, shot)
    site.documents[shot.split]["images"].remove(_listed(site, shot))
    site.plant("picture-without-label", "not in the list", *shot.files)
    shot = site.take()
    shot.image.unlink()
    site.plant("label-without-picture", "listed, not there", *shot.files)
    for variant, name in {"a way out": "../../elsewhere/a.jpg", "an address": "https://example.invalid/a.jpg"}.items():
        document = site.documents["train"]
        document["images"].append({"id": 9000 + len(name), "file_name": name, "width": 100, "height": 100})
        site.annotate("train", 9000 + len(name), 1, [10.0, 10.0, 30.0, 30.0])
        home = site.root / "train"
        files = home / "_annotations.coco.json", home / Path(name).name
        site.plant(("label-without-picture", "links-leaving"), f"listed as {variant}", *files)
    site.annotate("valid", 123456, 1, [10.0, 10.0, 30.0, 30.0])
    site.plant(
        ("label-without-picture", "labels-left-out"),
        "annotation of no picture",
        site.root / "valid" / "_annotations.coco.json",
    )


def plant_supercategory(site: Site) -> None:
    """Roboflow's category 0, which only groups the others."""
    for document in site.documents.values():
        group = {"id": 0, "name": "things", "supercategory": "none"}
        document["categories"] = [group, *(row | {"supercategory": "things"} for row in document["categories"])]
    site.save_coco()
    site.plant("coco-category", "category 0 groups the others", *{shot.label for shot in site.shots})


def plant_good_coco(site: Site) -> None:
    """Numbers at the edge, ids that are no row numbers, keys that nobody knows."""
    shot = site.take()
    width, height = map(float, shot.size)
    site.annotate(shot.split, _number(site, shot), 1, [0.0, 0.0, width / 2, height / 3])
    site.annotate(shot.split, _number(site, shot), 2, [width / 2, height / 2, width / 2, height / 2])
    shot = site.take()
    site.annotate(shot.split, _number(site, shot), 1, [-1e-6, 4.0, 30.0, 30.0])
    shot = site.take()
    annotation = site.annotate(shot.split, _number(site, shot), 1, [3, 4, 30, 31])
    annotation.update(attributes={"colour": "red"}, score=1)
    for document in site.documents.values():
        document["info"] = {"year": "2026", "contributor": "", "url": ""}
        document["categories"] = [row | {"id": row["id"] * 10 + 5} for row in reversed(document["categories"])]
        for annotation in document["annotations"]:
            annotation["category_id"] = annotation["category_id"] * 10 + 5
            annotation["id"] += 7_000_000_000
    site.save_coco()


def _number(site: Site, shot: Shot) -> int:
    return int(_listed(site, shot)["id"])


def _listed(site: Site, shot: Shot) -> dict[str, Any]:
    return next(row for row in site.documents[shot.split]["images"] if row["file_name"] == shot.image.name)


def _drop_annotations(site: Site, shot: Shot) -> None:
    document, number = site.documents[shot.split], _number(site, shot)
    document["annotations"] = [row for row in document["annotations"] if row["image_id"] != number]


class VocFault(NamedTuple):
    """One more object of a picture: its corners, or a change of the whole text."""

    kind: str | tuple[str, ...]
    variant: str
    corners: tuple[object, object, object, object] | None = None
    change: Callable[[str], str] | None = None


_BROKEN = "<object><name>cat</name><bndbox><xmin>4</xmin>"
_BOMB = (
    '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>\n<annotation>&y;&y;&y;</annotation>'
)

VOC_FAULTS: tuple[VocFault, ...] = (
    VocFault("label-nan", "nan", ("nan", 10, 40, 40)),
    VocFault("label-not-a-number", "a word", ("left", 10, 40, 40)),
    VocFault(("label-not-a-number", "label-row-length"), "nothing", ("", 10, 40, 40)),
    VocFault("label-no-area", "no width", (20, 10, 20, 40)),
    VocFault(("label-no-area", "label-out-of-range", "label-clipped"), "corners the other way round", (60, 50, 20, 10)),
    VocFault("label-out-of-range", "far outside", (5000, 5000, 5060, 5060)),
    VocFault("label-clipped", "past the right edge", (60, 20, 2000, 60)),
    VocFault("label-unreadable", "cut off", None, lambda text: text[: len(text) // 2] + _BROKEN),
    VocFault("label-unreadable", "entities in entities", None, lambda _: _BOMB),
    VocFault("label-unreadable", "not XML", None, lambda _: "404 not found"),
    VocFault("label-unreadable", "no byte", None, lambda _: ""),
    VocFault("label-unreadable", "other XML", None, lambda _: "<html><body>404</body></html>"),
)


def plant_voc_faults(site: Site) -> None:
    """One bad object beside the right ones of each picture, and files that are wrong as a whole."""
    for kind, variant, corners, change in VOC_FAULTS:
        shot = site.take()
        text = voc_text(shot, site.names, objects=voc_object("cat", *corners) if corners else "")
        shot.label.write_text(change(text) if change else text)
        site.plant(kind, variant, *shot.files)
    shot = site.take()
    again = shot.label.read_text().split("  <object>")[1].removesuffix("</annotation>\n")
    shot.label.write_text(voc_text(shot, site.names, objects="  <object>" + again))
    site.plant("label-duplicate", "the same object twice", *shot.files)
    shot = site.take()
    shot.label.write_text(voc_text(shot, site.names, objects=voc_object("cat", 0, 0, *shot.size)))
    site.plant("label-covers-all", "the whole picture", *shot.files)
    shot = site.take()
    shot.label.write_text(voc_text(shot, site.names, size=(shot.size[0] * 2, shot.size[1] * 2)))
    site.plant("label-size-differs", "twice the size", *shot.files)
    shot = site.take()
    shot.rows.clear()
    shot.label.write_text(voc_text(shot, site.names))
    site.plant("picture-without-objects", "no object", *shot.files)
    shot = site.take()
    shot.label.unlink()
    site.plant("picture-without-label", "no file", *shot.files)
    shot = site.take()
    shot.image.unlink()
    site.plant("label-without-picture", "its picture was deleted", shot.label)


def plant_one_based(site: Site) -> None:
    """All boxes counted from 1, as the first VOC did: some start at 1, some end at the width itself, none at 0."""
    for number, shot in enumerate(site.shots):
        width, height = shot.size
        edges = [(1, 1, width // 2, height // 2), (width // 2, height // 3, width, height)]
        objects = "".join(voc_object(site.names[(number + place) % 3], *box) for place, box in enumerate(edges))
        shot.rows.clear()
        shot.label.write_text(voc_text(shot, site.names, objects=objects))
    site.plant("label-one-based", "every file", *(file for shot in site.shots for file in shot.files))


def plant_good_voc(site: Site) -> None:
    """Boxes counted from 0, fractions of pixels, a mark of the encoding, more keys: all of it is right."""
    for shot in site.shots:
        objects = voc_object("cat", 0, 0, shot.size[0] // 2, shot.size[1] // 3)
        shot.label.write_text(voc_text(shot, site.names, objects=objects))
    shot = site.take()
    shot.label.write_text(voc_text(shot, site.names, objects=voc_object("car", 4.25, 5.5, 40.75, 33.125)))
    shot = site.take()
    shot.label.write_text('<?xml version="1.0" encoding="utf-8"?>\n' + shot.label.read_text())
    shot = site.take()
    shot.label.write_bytes(b"\xef\xbb\xbf" + shot.label.read_bytes().replace(b"\n", b"\r\n"))
    shot = site.take()
    shot.label.write_text(
        shot.label.read_text().replace("<difficult>0", "<pose>Left</pose><occluded>1</occluded><difficult>1")
    )
