"""A person who trains is told when the test pictures give the answers away."""

from __future__ import annotations

import shutil

import pytest

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.leaks import leak_sentence, warn_of_leaks
from lensmith.datasets.read import open_dataset
from tests.helpers import make_yolo_dataset


def test_leaks_are_counted_by_split_and_said(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_yolo_dataset(workspace.datasets / "pets", {"train": 4, "valid": 2, "test": 3})
    assert warn_of_leaks(open_dataset("pets", workspace)) == {}
    assert "warning" not in capsys.readouterr().err
    for number, source in enumerate(sorted((root / "train" / "images").iterdir())[:2]):
        shutil.copyfile(source, root / "test" / "images" / f"again-{number}.png")
    assert warn_of_leaks(open_dataset("pets", workspace)) == {"test": 2}
    told = capsys.readouterr().err
    assert "2 of the 5 test pictures" in told
    assert "cv fix-dataset pets" in told


def test_one_picture_or_more() -> None:
    assert "1 of the test pictures shows" in leak_sentence("test", 1)
    assert "2 of the test pictures show" in leak_sentence("test", 2)
