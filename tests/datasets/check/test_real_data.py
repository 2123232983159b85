"""The known defects of real datasets are found, and what a person's eye found besides; see the data's README."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.finding import CheckReport, Finding
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.read import open_dataset


@cache
def _report(folder: Path) -> CheckReport:
    return check_dataset(open_dataset(folder, Workspace(folder.parent)))


def _found(report: CheckReport, kind: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind == kind]


def _files(report: CheckReport, kind: str) -> set[str]:
    """Names of the files of all findings of a kind, without what Roboflow appends."""
    return {file.name.partition(".rf.")[0] for finding in _found(report, kind) for file in finding.files}


def _pairs(report: CheckReport, *, across: bool) -> set[frozenset[str]]:
    return {
        frozenset(item.image.name.partition(".rf.")[0] for item in (twin.first, twin.second))
        for twin in report.twins
        if twin.across == across
    }


def _kinds(report: CheckReport) -> set[str]:
    return {finding.kind for finding in report.findings}


def test_rubik_has_paths_that_leave_and_seven_copies(test_data: Path) -> None:
    report = _report(test_data / "detect/rubik-yolo")
    assert _files(report, "yaml-path") == {"data.yaml"}
    assert sum(twin.kind == "copy" and not twin.across for twin in report.twins) == 7
    assert not {"copy-across", "sibling-across"} & _kinds(report)


def test_rubik_has_shots_of_one_burst_in_two_splits(test_data: Path) -> None:
    """Not in the data's README: seen by eye."""
    report = _report(test_data / "detect/rubik-yolo")
    leaked = {path.name.partition("_jpg.rf.")[0] for path in report.leaked}
    assert len(leaked) >= 10


def test_waste_shares_photographs_between_train_and_test(test_data: Path) -> None:
    report = _report(test_data / "detect/waste-yolo")
    assert _found(report, "split-shared")
    shared = {path.name.partition(".rf.")[0] for path in report.leaked}
    assert len(shared) == 44
    assert len(report.leaked) == 55
    (imbalance,) = _found(report, "class-imbalance")
    assert "b3" in imbalance.what


def test_chess_has_foreign_paths_a_stray_class_and_twins(test_data: Path) -> None:
    report = _report(test_data / "detect/chess-yolo")
    assert _files(report, "yaml-path") == {"data.yaml"}
    assert any("bishop (1 box" in finding.what for finding in _found(report, "class-few"))
    assert any("bishop" in finding.what for finding in _found(report, "class-absent"))
    assert "26d663ab5ffbec49f9dc8e592982cfd4_jpg" in _files(report, "label-duplicate")
    assert "e0d38d159ad3a801d0304d7e275812cc_jpg" in _files(report, "picture-without-objects")
    assert _found(report, "near-across")


def test_robot_has_copies_pictures_without_labels_and_leaks(test_data: Path) -> None:
    report = _report(test_data / "detect/robot-coco")
    assert sum(finding.count for finding in _found(report, "picture-without-objects")) == 131
    assert sum(twin.kind == "copy" and not twin.across for twin in report.twins) == 22
    assert _found(report, "coco-category")
    sources = {stem for pair in _pairs(report, across=True) for stem in pair}
    assert {twin.second.image for twin in report.twins if twin.across} == set(report.leaked)
    assert len(report.leaked) == 24  # every picture of valid and test
    assert len(sources) >= 16


def test_books_has_no_valid_split(test_data: Path) -> None:
    report = _report(test_data / "detect/books-voc")
    assert any("valid" in finding.what for finding in _found(report, "split-missing"))
    assert not {"label-one-based", "label-clipped", "label-no-area", "label-unreadable"} & _kinds(report)


@pytest.mark.parametrize(
    "folder", ["detect/rubik-yolo", "detect/waste-yolo", "detect/chess-yolo", "detect/robot-coco", "detect/books-voc"]
)
def test_no_picture_of_the_real_data_is_called_faulty(test_data: Path, folder: str) -> None:
    """Each was opened and looked at: all of them are plain RGB JPEGs, whole and upright."""
    assert not {kind for kind in _kinds(_report(test_data / folder)) if kind.startswith("picture-")} - {
        "picture-without-objects"
    }


@pytest.mark.slow
def test_cats_and_dogs_have_one_pair_of_twins(test_data: Path) -> None:
    """Not in the data's README: one photograph of five puppies, saved twice."""
    report = _report(test_data / "classify/catsdogs")
    assert _pairs(report, across=False) == {frozenset({"dog.180.jpg", "dog.74.jpg"})}
    assert not _pairs(report, across=True)


@pytest.mark.slow
def test_flowers_have_photographs_in_two_splits(test_data: Path) -> None:
    """Not in the data's README: photographs that their author published twice, in colour and in grey say."""
    report = _report(test_data / "classify/flowers")
    pairs = _pairs(report, across=True)
    assert frozenset({"33885735373_444ba02d9c_n_jpg", "34310869690_56cdc84a17_n_jpg"}) in pairs
    assert len(pairs) <= 12  # those seen by eye; more would be made up
    assert not {kind for kind in _kinds(report) if kind.startswith(("picture-", "copy-", "sibling-"))}
