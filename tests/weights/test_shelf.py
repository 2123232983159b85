"""Two runs that end at the same moment get two folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.weights.shelf import write_for_run


def test_a_name_that_is_taken_while_writing_gets_a_number(workspace: Workspace) -> None:
    tried: list[str] = []

    def write(folder: Path) -> None:
        tried.append(folder.name)
        if len(tried) == 1:  # the other run is a moment faster
            folder.mkdir(parents=True)
            raise DataError("taken")
        folder.mkdir()

    assert write_for_run(workspace, "mine", "run-2", write) == workspace.weights / "mine-2"
    assert tried == ["mine", "mine-2"]


def test_another_error_is_not_tried_again(workspace: Workspace) -> None:
    def write(_folder: Path) -> None:
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        write_for_run(workspace, "mine", "run-2", write)
