"""Ultralytics is imported while the dataset is looked over, and nothing wrong is told later for that."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from lensmith.core.errors import NotFoundError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect import ahead, train
from lensmith.detect.ahead import imported_ahead
from lensmith.detect.config import YoloConfig
from tests.helpers import make_yolo_dataset


def wait_for_imports() -> None:
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join()


def test_libraries_come_while_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_library.py").write_text("from lensmith_signals import here\nhere.wait(20)\n")
    (tmp_path / "next_library.py").write_text("")
    (tmp_path / "lensmith_signals.py").write_text("import threading\nhere = threading.Event()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ahead, "_LIBRARIES", ("slow_library", "next_library"))
    signals = __import__("lensmith_signals")
    with pytest.raises(ValueError, match="refused"), imported_ahead():
        raise ValueError("refused")  # the first library is still being imported
    signals.here.set()
    wait_for_imports()
    assert "next_library" not in sys.modules
    with imported_ahead():
        wait_for_imports()
    assert "next_library" in sys.modules


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (YoloConfig(weights=Path("nowhere.pt")), NotFoundError),
        (YoloConfig(from_scratch=True, imgsz=65), UsageError),
        (YoloConfig(from_scratch=True, name="taken"), UsageError),
    ],
)
def test_what_is_wrong_with_a_choice_is_told_before_the_long_look(
    config: YoloConfig, error: type[Exception], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object, **__: object) -> None:
        raise AssertionError("the dataset was looked over first")

    (workspace.weights / "taken").mkdir(parents=True)
    monkeypatch.setattr(train, "refuse_problems", look)
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "small"), workspace)
    with pytest.raises(error):
        train.resolved(dataset, workspace, config.model_copy(update={"device": "cpu"}), train.COMMAND)
