"""Hostile and odd datasets by hand. Each case gets a small sound dataset and spoils it.

CANARY in a text stands for a file that appears when somebody runs what a dataset must not run; OUTSIDE for a folder
with private pictures and labels that no dataset holds.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset
from tests.suites.yaml_cases import YAML


class Place(NamedTuple):
    """Where a case is laid out."""

    root: Path
    outside: Path
    canary: Path

    @property
    def images(self) -> Path:
        return self.root / "train/images"

    @property
    def labels(self) -> Path:
        return self.root / "train/labels"


Case = tuple[str, Callable[[Place], None]]


def cases() -> list[Case]:
    """All of them, in a fixed order."""
    return [*_yamls(), *_programs(), *_links(), *_odd_files(), *_names(), *_others()]


class _Runs:
    """A pickle of this makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.canary}'",)


def _base(place: Place) -> None:
    make_yolo_dataset(place.root, {"train": 3, "valid": 2})


def _yamls() -> list[Case]:
    def make(text: str | bytes) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            _base(place)
            data = text.encode() if isinstance(text, str) else text
            data = data.replace(b"CANARY", bytes(place.canary)).replace(b"OUTSIDE", bytes(place.outside))
            (place.root / "data.yaml").write_bytes(data)

        return lay_out

    return [(f"data.yaml: {label}", make(text)) for label, text in YAML]


def _programs() -> list[Case]:
    """Files that other programs would load."""

    def caches(place: Place) -> None:
        _base(place)
        data = pickle.dumps(_Runs(place.canary))
        for home in (place.root, place.root / "train", place.root / "valid", place.labels, place.images):
            for name in ("labels.cache", "images.cache", "train.cache", "x.pkl", "x.pt"):
                (home / name).write_bytes(data)

    def arrays(place: Place) -> None:
        _base(place)
        for picture in place.images.glob("*.png"):
            np.save(picture.with_suffix(".npy"), np.array([_Runs(place.canary)], dtype=object), allow_pickle=True)

    def modules(place: Place) -> None:
        _base(place)
        text = f"open({str(place.canary)!r}, 'w')\n"
        for name in (
            "sitecustomize.py",
            "usercustomize.py",
            "conftest.py",
            "__init__.py",
            "setup.py",
            "cv2.py",
            "yaml.py",
        ):
            (place.root / name).write_text(text)
            (place.images / name).write_text(text)

    def settings(place: Place) -> None:
        _base(place)
        for name in (".env", "pyproject.toml", "pytest.ini", ".git/config", "Makefile", "tox.ini"):
            (place.root / name).parent.mkdir(exist_ok=True)
            (place.root / name).write_text(f"CV_WORKSPACE={place.outside}\n[core]\nfsmonitor = touch {place.canary}\n")

    def record(place: Place) -> None:
        _base(place)
        files = {"../../outside/images/private.png": "0" * 64, "/etc/passwd": "0" * 64}
        (place.root / "dataset.json").write_text(json.dumps({"schema_version": 2, "task": "detect", "files": files}))

    def record_of_nonsense(place: Place) -> None:
        _base(place)
        (place.root / "dataset.json").write_bytes(b"[" * 100_000)

    return [
        ("caches", caches), ("pickled arrays", arrays), ("modules", modules), ("settings", settings),
        ("a forged record", record), ("a record of nonsense", record_of_nonsense),
    ]  # fmt: skip


def _links() -> list[Case]:
    """Links to what lies outside, in every place."""

    def link(where: str, to: str) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            _base(place)
            path = place.root / where
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            path.symlink_to(to.replace("OUTSIDE", str(place.outside)))

        return lay_out

    pairs = [
        ("train/images/x.png", "OUTSIDE/images/private.png"), ("train/images/x.png", "/dev/zero"),
        ("train/images/x.png", "x.png"), ("train/images/x.png", "/proc/self/mem"), ("train/images/x.png", "nowhere"),
        ("train/images", "OUTSIDE/images"), ("train/labels", "OUTSIDE/labels"), ("train", "OUTSIDE"),
        ("valid", "train"),
        ("train/labels/train-000.txt", "OUTSIDE/labels/private.txt"), ("train/labels/train-000.txt", "/dev/urandom"),
        ("train/images/deep", ".."), ("train/images/deep", "OUTSIDE/images"), ("data.yaml", "OUTSIDE/names.yaml"),
        ("data.yaml", "/dev/zero"), ("test", "OUTSIDE"), ("dataset.json", "OUTSIDE/names.yaml"), ("images", "/"),
    ]  # fmt: skip
    return [(f"a link: {where} to {to}", link(where, to)) for where, to in pairs]


def _odd_files() -> list[Case]:
    """Things in place of files that block, never end, or are none."""

    def pipe(where: str) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            _base(place)
            (place.root / where).unlink(missing_ok=True)
            os.mkfifo(place.root / where)

        return lay_out

    def folder(where: str) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            _base(place)
            (place.root / where).unlink(missing_ok=True)
            (place.root / where).mkdir()

        return lay_out

    def huge(where: str) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            _base(place)
            with (place.root / where).open("r+b" if (place.root / where).exists() else "wb") as file:
                file.truncate(3 << 30)

        return lay_out

    def plug(place: Place) -> None:
        _base(place)
        here = Path.cwd()
        os.chdir(place.images)  # the path of a socket may not be long
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("x.png")
        os.chdir(here)

    names = ("train/images/x.png", "train/labels/train-000.txt", "data.yaml", "dataset.json", "classes.txt")
    pipes = [(f"a pipe: {name}", pipe(name)) for name in (*names, "train/x.xml", "annotations.json")]
    folders = [(f"a folder: {name}", folder(name)) for name in names]
    sizes = [
        (f"three gigabytes: {name}", huge(name)) for name in (*names, "train/images/train-000.png", "x.json", "x.xml")
    ]
    return [*pipes, *folders, *sizes, ("a socket", plug)]


def _names() -> list[Case]:
    """File and folder names that are hard on shells, terminals, pages and encoders."""
    odd = [
        b"-rf", b"a\nb", b"\x1b[31m", b"\xff\xfe", b"<img src=x onerror=alert(1)>",
        b"$(touch CANARY)", b"a;touch CANARY",
        b"%s%n", b"con", b"..x", b" ", b"x" * 240,
    ]  # fmt: skip

    def lay_out(place: Place) -> None:
        _base(place)
        picture = (place.images / "train-000.png").read_bytes()
        for name in odd:
            Path(os.fsdecode(bytes(place.images) + b"/" + name + b".png")).write_bytes(picture)
            Path(os.fsdecode(bytes(place.labels) + b"/" + name + b".txt")).write_text("0 0.5 0.5 0.1 0.1\n")

    def classes(place: Place) -> None:
        make_folder_dataset(place.root, {"train": 2, "valid": 1})
        for name in odd:
            home = os.fsdecode(bytes(place.root) + b"/train/" + name)
            shutil.copytree(place.root / "train/cat", home)

    def deep(place: Place) -> None:
        _base(place)
        home = place.images.joinpath(*["d"] * 200)
        home.mkdir(parents=True)
        make_picture(home / "x.png")

    return [("odd names of files", lay_out), ("odd names of classes", classes), ("200 folders deep", deep)]


def _others() -> list[Case]:
    """The other layouts."""

    def with_coco(images: list, names: tuple[str, ...] = ("cat",)) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            make_picture(place.root / "train/a.png")
            content = {
                "images": [{"id": 1, "file_name": "a.png"}, *images],
                "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
            }  # fmt: skip
            text = json.dumps(content).replace("OUTSIDE", str(place.outside))
            (place.root / "train/_annotations.coco.json").write_text(text)

        return lay_out

    def nested_json(place: Place) -> None:
        make_picture(place.root / "train/a.png")
        text = '{"images": [], "annotations": ' + "[" * 200_000
        (place.root / "train/_annotations.coco.json").write_text(text)

    def voc(text: str) -> Callable[[Place], None]:
        def lay_out(place: Place) -> None:
            make_picture(place.root / "train/a.png")
            (place.root / "train/a.xml").write_text(text.replace("OUTSIDE", str(place.outside)))

        return lay_out

    def lists(place: Place) -> None:
        voc(_VOC)(place)
        home = place.root / "ImageSets/Main"
        home.mkdir(parents=True)
        (home / "train.txt").write_text("a\n../../../outside/images/private\n/etc/passwd\n")

    def classes(place: Place) -> None:
        make_folder_dataset(place.root, {"train": 2, "valid": 1})
        (place.root / "train/more").symlink_to(place.outside / "images")
        (place.root / "train/loop").symlink_to("..")

    def yaml_and_classes(place: Place) -> None:
        make_folder_dataset(place.root, {"train": 2, "valid": 1})
        (place.root / "data.yaml").write_text(yaml.safe_dump({"train": str(place.outside / "images"), "names": ["x"]}))

    places = [
        "../../../outside/images/private.png",
        "OUTSIDE/images/private.png",
        "a.png/../../../x.png",
        "\\..\\..\\x.png",
        "",
    ]
    nowhere = [{"id": number, "file_name": f"{number}.png"} for number in range(9, 100_000)]
    outside = [{"id": 2 + number, "file_name": name} for number, name in enumerate(places)]
    entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://OUTSIDE/names.yaml">]>{_VOC.replace("cat", "&x;")}'
    return [
        ("COCO: pictures outside", with_coco(outside)),
        ("COCO: names that are none", with_coco([{"id": 9, "file_name": ["a.png"]}, {"id": 8, "file_name": "\0.png"}])),
        ("COCO: 100,000 pictures that are not there", with_coco(nowhere)),
        ("COCO: half a character", with_coco([{"id": 9, "file_name": "\ud800.png"}], names=("\udcff", "b"))),
        ("COCO: half a character in a file's name", with_coco([{"id": 9, "file_name": "\ud800.png"}])),
        ("COCO: brackets", nested_json),
        ("VOC: an entity", voc(entity)),
        ("VOC: paths", voc(_VOC.replace("<object>", "<path>OUTSIDE/images/private.png</path><object>"))),
        ("VOC: lists that leave", lists),
        ("classes: links", classes),
        ("classes: with a data.yaml", yaml_and_classes),
        ("nothing at all", lambda place: place.root.mkdir()),
    ]  # fmt: skip


_VOC = (
    "<annotation><size><width>64</width><height>48</height></size><object><name>cat</name><bndbox><xmin>0</xmin>"
    "<ymin>0</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)
