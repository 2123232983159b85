"""The training's own view of a dataset."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from lensmith.core.errors import DataError
from lensmith.core.images import inspect_image, read_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect import view
from lensmith.detect.view import build_view, read_view
from tests.detect.odd import ODD, UNREADABLE, hashes, make_odd_dataset
from tests.helpers import make_yolo_dataset


@pytest.fixture
def odd(workspace: Workspace) -> Dataset:
    return open_dataset(make_odd_dataset(workspace.datasets / "odd"), workspace)


def test_the_persons_files_stay_as_they_are(odd: Dataset, tmp_path: Path) -> None:
    before = hashes(odd.root)
    build_view(odd, tmp_path / "data", seed=0)
    assert hashes(odd.root) == before


def test_every_picture_is_used_or_named(odd: Dataset, tmp_path: Path) -> None:
    report = build_view(odd, tmp_path / "data", seed=0)
    assert report.counts == {"train": 8 + len(ODD), "valid": 4}
    assert sorted(Path(path).name for path, _ in report.skipped) == sorted(UNREADABLE)
    assert all(reason for _, reason in report.skipped)
    assert len(report.sources) == sum(report.counts.values())
    assert report.label_problems
    assert read_view(tmp_path / "data") == report


def test_odd_pictures_become_what_our_decoder_sees(odd: Dataset, tmp_path: Path) -> None:
    report = build_view(odd, tmp_path / "data", seed=0)
    for file, source in report.sources.items():
        made = tmp_path / "data" / file
        assert inspect_image(made).plain, source
        np.testing.assert_array_equal(read_image(made), read_image(Path(source)))
        if inspect_image(Path(source)).plain:
            assert made.samefile(source)
        else:
            assert not made.samefile(source)
    turned = next(file for file, source in report.sources.items() if source.endswith("turned.jpg"))
    assert read_image(tmp_path / "data" / turned).shape == (64, 48, 3)


def test_labels_are_ours_and_a_bad_row_costs_only_itself(odd: Dataset, tmp_path: Path) -> None:
    report = build_view(odd, tmp_path / "data", seed=0)
    rows = {
        Path(source).name: (tmp_path / "data" / file.replace("/images/", "/labels/")).with_suffix(".txt").read_text()
        for file, source in report.sources.items()
    }
    assert rows["deep.png"].splitlines() == ["0 0.5000000 0.5000000 0.4000000 0.4000000"]
    assert rows["grey.png"] == rows["alpha.png"] == ""
    data = yaml.safe_load((tmp_path / "data" / "data.yaml").read_text(encoding="utf-8"))
    assert data["path"] == str(tmp_path / "data")
    assert data["names"] == {0: "cat", 1: "dog"}
    assert "download" not in data


def test_where_links_are_impossible_pictures_are_copied(
    odd: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", no_links)
    report = build_view(odd, tmp_path / "data", seed=0)
    for file, source in report.sources.items():
        assert not (tmp_path / "data" / file).samefile(source)


def test_boxes_past_the_edge_are_clipped(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(workspace.datasets / "edge")
    (root / "train" / "labels" / "train-000.txt").write_text("0 0.95 0.5 0.2 0.4\n")
    build_view(open_dataset(root, workspace), tmp_path / "data", seed=0)
    for label in (tmp_path / "data" / "train" / "labels").iterdir():
        for row in label.read_text().splitlines():
            _, cx, cy, w, h = map(float, row.split())
            assert cx - w / 2 + 1e-6 >= 0
            assert cx + w / 2 <= 1 + 1e-6
            assert w > 0 < h
            assert cy - h / 2 + 1e-6 >= 0


def test_without_valid_some_pictures_are_held_out(workspace: Workspace, tmp_path: Path) -> None:
    root = _without_valid(make_yolo_dataset(workspace.datasets / "novalid", {"train": 10}))
    report = build_view(open_dataset(root, workspace), tmp_path / "data", seed=3)
    assert report.held_out == report.counts["valid"] == 2
    assert report.counts["train"] == 8


def _without_valid(root: Path) -> Path:
    """Take out the split and its line in data.yaml."""
    shutil.rmtree(root / "valid", ignore_errors=True)
    data = yaml.safe_load((root / "data.yaml").read_text())
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "../train/images", "names": data["names"]}))
    return root


def _no_labels(root: Path) -> None:
    for label in (root / "train" / "labels").iterdir():
        label.write_text("")


def _no_train(root: Path) -> None:
    shutil.rmtree(root / "train" / "images")
    (root / "train" / "images").mkdir()


def _all_broken(root: Path) -> None:
    for picture in (root / "train" / "images").iterdir():
        picture.write_bytes(b"")


def _one_picture(root: Path) -> None:
    _without_valid(root)
    for picture in list((root / "train" / "images").iterdir())[1:]:
        picture.unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_labels, "nothing to learn"),
        (_no_train, "no training pictures"),
        (_all_broken, "can be used"),
        (_one_picture, "too few"),
    ],
)
def test_a_dataset_that_cannot_be_trained_on(workspace: Workspace, tmp_path: Path, spoil, says: str) -> None:
    root = make_yolo_dataset(workspace.datasets / "bad")
    spoil(root)
    with pytest.raises(DataError) as refused:
        build_view(open_dataset(root, workspace), tmp_path / "data", seed=0)
    assert says in str(refused.value)
    assert not (tmp_path / "data").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".data")]


def test_what_the_check_found_whole_is_not_decoded_again(
    odd: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = build_view(odd, tmp_path / "before", seed=0)
    shutil.rmtree(tmp_path / "before")
    check_dataset(odd)
    decoded: list[str] = []

    def read(path: Path) -> np.ndarray:
        decoded.append(path.name)
        return read_image(path)

    monkeypatch.setattr(view, "read_image", read)
    changed = next((odd.root / "valid" / "images").iterdir())
    changed.write_bytes(changed.read_bytes())
    report = build_view(odd, tmp_path / "data", seed=0)
    assert set(decoded) <= {*ODD, *UNREADABLE, changed.name}
    assert changed.name in decoded  # what the check saw of it does not hold any more
    assert report == plain
