"""A person who trains is told when the test pictures give the answers away."""

from __future__ import annotations

import re
import shutil

import pytest

from lensmith.core.workspace import Workspace
from lensmith.datasets.check.leaks import LeakEffect, warn_of_leaks
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


@pytest.mark.parametrize(
    ("pictures", "leaked", "clean", "said"),
    [
        pytest.param(20, 8, 0.9, "without the 8 that leak. Pictures that leak show", id="many clean ones"),
        pytest.param(20, 14, 0.9, "trust the second figure", id="just enough"),
        pytest.param(10, 8, 0.999, "With only 2 other pictures nobody can tell", id="two"),
        pytest.param(10, 9, 0.999, "without the 9 that leak. .* With only 1 other picture nobody", id="one"),
        pytest.param(10, 10, None, "is not known", id="none"),
        pytest.param(10, 1, None, "without the 1 that leaks", id="the others have no box"),
    ],
)
def test_what_leaks_do_to_a_score_is_told_with_what_can_be_trusted(
    pictures: int, leaked: int, clean: float | None, said: str
) -> None:
    sentence = LeakEffect("test", pictures, leaked, "mAP50", 0.995, clean).sentence("m")
    assert re.search(said, sentence)
    assert ("trust the second figure" in sentence) is (clean is not None and pictures - leaked >= 6)
