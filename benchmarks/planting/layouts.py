"""Faults of a dataset as a whole: data.yaml, caches and scripts, links, splits, two formats in one folder."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .site import Site, jpeg, voc_text, write_yaml


class YamlFault(NamedTuple):
    """What data.yaml says instead."""

    kind: str
    variant: str
    lines: dict[str, str]


YAML_FAULTS: tuple[YamlFault, ...] = (
    YamlFault("labels-keypoints", "of four points", {"kpt_shape": "[4, 2]"}),
    YamlFault("yaml-path", "absolute, of another computer", {"train": "/home/maria/pets/train/images"}),
    YamlFault("yaml-path", "absolute, of Windows", {"val": "D:/pets/valid/images", "test": "D:/pets/test/images"}),
    YamlFault("yaml-path", "with backslashes", {"train": "C:\\Users\\maria\\pets\\train\\images"}),
    YamlFault(
        "yaml-path", "Roboflow's ../", {"train": "../train/images", "val": "../valid/images", "test": "../test/images"}
    ),
    YamlFault("yaml-path", "a folder that is not there", {"val": "validation/pictures"}),
    YamlFault("yaml-path", "a list, one of them wrong", {"train": "[train/images, train/more-images]"}),
    YamlFault("yaml-path", "an absolute path: above right ones", {"path": "/content/datasets/pets"}),
    YamlFault("yaml-names", "nc too high", {"nc": "5"}),
    YamlFault("yaml-names", "nc too low", {"nc": "2"}),
    YamlFault("yaml-names", "nc is a word", {"nc": "three"}),
    YamlFault("yaml-download", "an address", {"download": "https://example.invalid/pets.zip"}),
    YamlFault("yaml-download", "a script", {"download": "|\n  import os\n  os.system('true')"}),
    YamlFault("split-shared", "val is test", {"val": "test/images"}),
    YamlFault("split-shared", "val is train", {"val": "train/images"}),
)

GOOD_YAML: tuple[dict[str, str], ...] = (
    {"path": "."},
    {"train": "[train/images]", "val": "./valid/images"},
    {"nc": ""},
    {"names": "{0: cat, 1: car, 2: bird}"},
    {"roboflow": "{workspace: w, project: p, version: 1, license: MIT, url: u}"},
)


def plant_yaml(site: Site, fault: YamlFault) -> None:
    """One fault of data.yaml; a missing valid split that follows from it is allowed."""
    path = write_yaml(site, **fault.lines)
    site.plant(fault.kind, fault.variant, path, *(site.root / split / "images" for split in ("train", "valid", "test")))
    if fault.kind == "split-shared":
        site.allow("split-missing")
        site.allow("yaml-path")


def plant_leaving_path(site: Site) -> None:
    """A path to a folder that is there, beside the dataset, with other pictures: nothing of it may be read."""
    outside = site.root.with_name(site.root.name + "-elsewhere") / "valid" / "images"
    outside.mkdir(parents=True)
    (outside / "private.jpg").write_bytes(jpeg(site.photos.take()))
    path = write_yaml(site, val=f"../{outside.parents[1].name}/valid/images")
    site.plant("yaml-path", "../ to a folder that is there", path)


def plant_caches(site: Site) -> None:
    """Files that run code when they are opened, and harmless ones beside them."""
    files: dict[str, tuple[str, bytes]] = {
        "a cache of labels": ("train/labels.cache", pickle.dumps({"version": "1.0.3"})),
        "a cache beside the pictures": ("valid/images/test.cache", b"\x80\x04."),
        "a pickle": ("annotations.pkl", pickle.dumps([1, 2])),
        "a script": ("convert.py", b"print('hello')\n"),
        "a shell script": ("get_data.sh", b"#!/bin/sh\ntrue\n"),
    }
    for variant, (name, data) in files.items():
        (site.root / name).write_bytes(data)
        site.plant("cache-file", variant, site.root / name)
    for name in ("README.md", "notes.txt", ".DS_Store", "train/Thumbs.db", "LICENSE"):
        (site.root / name).write_bytes(b"by hand\n")


def plant_links(site: Site) -> None:
    """Links out of the dataset, to a picture and to a folder; and one that stays inside, which is no fault."""
    outside = site.root.with_name(site.root.name + "-outside")
    outside.mkdir()
    (outside / "private.jpg").write_bytes(jpeg(site.photos.take()))
    home = site.take("train").image.parent
    for variant, name, target in (
        ("a picture", "linked.jpg", outside / "private.jpg"),
        ("a folder", "linked", outside),
    ):
        (home / name).symlink_to(target)
        site.plant("links-leaving", variant, home / name)
    if site.layout == "yolo":
        site.allow("picture-without-label")


def plant_dead_ends(site: Site) -> None:
    """A link to nothing, one that leads in a circle, a folder called like a picture, one in the place of a label."""
    home = site.take("train").image.parent
    (home / "nothing.jpg").symlink_to("gone.jpg")
    site.plant(("picture-unreadable", "links-leaving"), "a link to nothing", home / "nothing.jpg")
    (home / "round").symlink_to(home.parent)
    (home / "folder.jpg").mkdir()
    if site.layout == "yolo":
        site.allow("picture-without-label", home / "nothing.jpg")
        shot = site.take("train")
        shot.label.unlink()
        shot.label.mkdir()
        site.plant(("label-unreadable", "picture-without-label"), "a folder in its place", *shot.files)


def rename_splits(site: Site) -> None:
    """Folders called Train, Validation and TEST, which is no fault."""
    for old, new in (("train", "Train"), ("valid", "Validation"), ("test", "TEST")):
        (site.root / old).rename(site.root / new)
    if site.layout == "yolo":
        write_yaml(site, train="", val="", test="")
    for shot in site.shots:
        new = {"train": "Train", "valid": "Validation", "test": "TEST"}[shot.split]
        shot.image, shot.label = (
            site.root / new / path.relative_to(site.root / shot.split) for path in (shot.image, shot.label)
        )


def plant_loose(site: Site) -> None:
    """Pictures that lie in no class folder."""
    for number in range(2):
        path = site.root / "train" / f"loose-{number}.jpg"
        path.write_bytes(jpeg(site.photos.take()))
        site.plant("loose-pictures", "beside the class folders", path)


def plant_other_format(site: Site, other: str, *, listing: bool = True) -> None:
    """Labels of a second format beside those of the first; a COCO file without pictures is no fault."""
    home = site.root / "train"
    if other == "coco":
        files = [home / "_annotations.coco.json"]
        listed = [{"id": 0, "file_name": site.take("train").image.name, "width": 160, "height": 120}] if listing else []
        content = {
            "images": listed,
            "annotations": [],
            "categories": [{"id": 0, "name": "cat", "supercategory": "none"}],
        }
        files[0].write_text(json.dumps(content))
    else:
        shots = [site.take("train") for _ in range(4)]
        files = [shot.image.with_suffix(".xml") for shot in shots]
        for file, shot in zip(files, shots, strict=True):
            file.write_text(voc_text(shot, site.names))
    if listing:
        site.plant("other-format", f"{other} beside {site.layout}", *files)


def drop_split(site: Site, split: str) -> None:
    """Take a whole split away."""
    shutil.rmtree(site.root / split)
    gone = [shot for shot in site.shots if shot.split == split]
    site.shots = [shot for shot in site.shots if shot.split != split]
    site.free = [shot for shot in site.free if shot not in gone]
    if site.layout == "yolo":
        write_yaml(site)
    site.plant("split-missing", f"no {split}", words=(split,))


def unsplit(site: Site) -> None:
    """Move everything out of the folders of the splits."""
    moves: dict[str, Callable[[Path], Path]] = {
        "yolo": lambda path: site.root / path.parent.name / path.name,
        "folder": lambda path: site.root / path.parent.name / path.name,
        "voc": lambda path: site.root / path.name,
    }
    for shot in site.shots:
        places = {path: moves[site.layout](path) for path in (shot.image, shot.label)}
        for old, new in places.items():
            new.parent.mkdir(exist_ok=True)
            old.rename(new)
        shot.image, shot.label = places[shot.image], places[shot.label]
    for split in ("train", "valid", "test"):
        shutil.rmtree(site.root / split)
    if site.layout == "yolo":
        write_yaml(site, train="", val="", test="")
    site.plant("split-none", site.layout)
    site.allow("split-missing")
