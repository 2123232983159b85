"""All datasets of the benchmark: which faults lie together in which layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2

from . import annotations, classes, layouts, pictures, twins, yolo_labels
from .photos import Photos
from .site import COUNTS, NAMES, Layout, Site, make_site

_SMALL = {"train": 33, "valid": 9, "test": 9}
_LARGE = {"train": 60, "valid": 30, "test": 30}


@dataclass(frozen=True)
class Case:
    """One dataset.

    Attributes:
        plant: Plants its faults.
        longest: The longer side of its pictures, in pixels.
    """

    name: str
    layout: Layout
    plant: Callable[[Site], object]
    counts: dict[str, int]
    longest: int = 160
    names: tuple[str, ...] = NAMES

    def make(self, folder: Path, seed: int, *, real: bool = True) -> Site:
        """Write the dataset into the folder, under its name."""
        photos = Photos(seed, longest=self.longest, real=real)
        site = make_site(folder / self.name, self.layout, photos, seed, self.counts, self.names)
        self.plant(site)
        return site


def cases(each: int = 40, video: Path | None = None) -> list[Case]:
    """All of them.

    Args:
        each: How many photographs go through each edit.
        video: A real video for the frames; one is drawn where there is none.
    """
    many = {"train": 20 + each * len(twins.EDITS), "valid": 20, "test": 20}
    return [
        *(Case(f"clean-{layout}", layout, lambda _: None, COUNTS) for layout in ("yolo", "coco", "voc", "folder")),
        Case("pictures-folder", "folder", _picture_files, _LARGE),
        Case("pictures-yolo", "yolo", _picture_files, _LARGE),
        Case("labels-yolo", "yolo", _label_files, _LARGE),
        Case("polygons-some", "yolo", partial(yolo_labels.plant_polygons, share=0.3), _SMALL),
        Case("polygons-all", "yolo", partial(yolo_labels.plant_polygons, share=1), _SMALL),
        Case("annotations-coco", "coco", annotations.plant_coco_faults, COUNTS),
        Case("supercategory", "coco", annotations.plant_supercategory, _SMALL),
        Case("good-coco", "coco", annotations.plant_good_coco, _SMALL),
        Case("annotations-voc", "voc", annotations.plant_voc_faults, COUNTS),
        Case("one-based", "voc", annotations.plant_one_based, _SMALL),
        Case("good-voc", "voc", annotations.plant_good_voc, _SMALL),
        *_layout_cases(),
        *_class_cases(),
        Case("edits", "folder", partial(twins.plant_edits, each=each), many, longest=400),
        Case("twins", "yolo", partial(_all_twins, video=video), COUNTS, longest=256),
        Case("letterboxed", "yolo", twins.plant_letterboxed, COUNTS, longest=256),
        Case("two-classes", "folder", twins.plant_two_classes, COUNTS),
        Case("copies", "folder", _copies_and_siblings, COUNTS, longest=256),
    ]


def _layout_cases() -> list[Case]:
    found = [
        Case(f"yaml-{number:02d}-{fault.kind}", "yolo", partial(layouts.plant_yaml, fault=fault), _SMALL)
        for number, fault in enumerate(layouts.YAML_FAULTS)
    ]
    found += [
        Case(f"yaml-good-{number}", "yolo", partial(_good_yaml, lines=lines), _SMALL)
        for number, lines in enumerate(layouts.GOOD_YAML)
    ]
    for layout in ("yolo", "coco", "voc", "folder"):
        for split in ("valid", "test"):
            found.append(Case(f"no-{split}-{layout}", layout, partial(layouts.drop_split, split=split), _SMALL))
    found += [Case(f"unsplit-{layout}", layout, layouts.unsplit, _SMALL) for layout in ("yolo", "voc", "folder")]
    found += [Case(f"links-{layout}", layout, layouts.plant_links, _SMALL) for layout in ("yolo", "folder")]
    return [
        *found,
        Case("other-coco", "yolo", partial(layouts.plant_other_format, other="coco"), _SMALL),
        Case("other-coco-empty", "yolo", partial(layouts.plant_other_format, other="coco", listing=False), _SMALL),
        Case("other-voc", "yolo", partial(layouts.plant_other_format, other="voc"), _SMALL),
        Case("yaml-leaving", "yolo", layouts.plant_leaving_path, _SMALL),
        Case("caches", "yolo", layouts.plant_caches, _SMALL),
        Case("loose", "folder", layouts.plant_loose, _SMALL),
        *(Case(f"dead-ends-{layout}", layout, layouts.plant_dead_ends, _SMALL) for layout in ("yolo", "folder")),
        *(Case(f"capitals-{layout}", layout, layouts.rename_splits, _SMALL) for layout in ("yolo", "voc", "folder")),
    ]


def _class_cases() -> list[Case]:
    found = []
    for layout in ("yolo", "folder"):
        found += [
            Case(f"class-few-{layout}", layout, classes.plant_few, _SMALL),
            Case(f"class-absent-{layout}", layout, classes.plant_absent, _SMALL),
            Case(f"class-alike-{layout}", layout, partial(classes.plant_alike, names=("Dog", "dog")), _SMALL),
        ]
    return [
        *found,
        Case(
            "class-alike-marks", "yolo", partial(classes.plant_alike, names=("traffic light", "traffic_light")), _SMALL
        ),
        Case("class-unused", "yolo", classes.plant_unused, _SMALL),
        Case("class-imbalance", "yolo", classes.plant_imbalance, _SMALL),
        Case(
            "class-names-near",
            "folder",
            lambda _: None,
            {"train": 48, "valid": 8, "test": 8},
            names=("cat", "car", "cap", "bat"),
        ),
    ]


def _picture_files(site: Site) -> None:
    pictures.plant_picture_faults(site)
    pictures.plant_good_pictures(site)


def _label_files(site: Site) -> None:
    yolo_labels.plant_bad_rows(site)
    yolo_labels.plant_good_rows(site)
    yolo_labels.plant_doubles(site)
    yolo_labels.plant_whole_files(site)
    yolo_labels.plant_labels_without_pictures(site)


def _good_yaml(site: Site, lines: dict[str, str]) -> None:
    layouts.write_yaml(site, **lines)


def _copies_and_siblings(site: Site) -> None:
    twins.plant_copies(site)
    twins.plant_siblings(site)
    twins.plant_strangers(site)


def _all_twins(site: Site, video: Path | None) -> None:
    _copies_and_siblings(site)
    edits = ("mirrored", "quarter turn left", "JPEG quality 30", "25% brighter", "cropped by 10% of its area, centred")
    twins.plant_edits(site, 1, edits)
    frames = _read_frames(video, 20) if video else twins.draw_video(site.rng, 20, 256, 192)
    twins.plant_frames(site, frames)


def _read_frames(video: Path, count: int) -> list[cv2.typing.MatLike]:
    capture = cv2.VideoCapture(str(video))
    frames = []
    while len(frames) < count and (read := capture.read())[0]:
        frames.append(cv2.resize(read[1], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))
    capture.release()
    return frames
