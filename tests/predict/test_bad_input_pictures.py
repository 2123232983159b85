"""Every odd picture of the picture suite through the real `cv predict`: none ends it, none is lost without a word."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from lensmith.core.images import ImageError, read_image
from lensmith.core.workspace import Workspace
from tests.helpers import cv_path, records_of
from tests.suites.picture_cases import NO_PICTURES, bombs, damaged, kinds

from .make_bundle import make_detector

_DAMAGED = 60
_MEMORY_BYTES = 4 << 30  # addresses, not pages: the libraries alone reserve two of them


def _limited(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The real `cv` with a limit on memory: a bomb that goes off ends it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))

    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [cv_path(), *map(str, args)], cwd=cwd, env={**os.environ, **threads}, capture_output=True, text=True,
        errors="replace", timeout=120, check=False, preexec_fn=limit,
    )  # fmt: skip


def _lay(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


@pytest.fixture
def odd(workspace: Workspace) -> Path:
    """A folder of them all, and a bundle called "cells"."""
    make_detector(workspace.weights / "cells")
    folder = workspace.root / "odd"
    _lay(folder / "kinds", kinds())
    _lay(folder / "none", NO_PICTURES)
    _lay(folder / "bombs", bombs())
    _lay(folder / "damaged", dict(damaged(number) for number in range(_DAMAGED)))
    (folder / "folder.jpg").mkdir()
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    return folder


def test_what_goes_in_comes_out_or_is_named(odd: Path, workspace: Workspace) -> None:
    given = {str(path.relative_to(workspace.root)) for path in odd.rglob("*.*") if path.is_file()}
    done = _limited("predict", "odd", "--weights", "cells", "--save", "--json", cwd=workspace.root)
    assert done.returncode == 5, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    records, told = records_of(done.stdout)
    out = {record["source"]: record for record in records}
    (run,) = workspace.runs.iterdir()
    skipped = [path for path, reason in json.loads((run / "run.json").read_text())["result"]["skipped"] if reason]
    assert len(skipped) == len(set(skipped))
    assert list(told) == skipped
    assert all(told.values())
    not_ours = re.compile("libpng|JPEG|imdecode|loadsave|WARN|ERROR")
    assert not [line for line in done.stderr.splitlines() if not_ours.search(line)]
    assert not set(out) & set(skipped)
    assert given <= {*out, *skipped}
    assert {*out, *skipped} - given <= {"odd/gone.jpg"}
    assert {f"odd/kinds/{name}" for name in kinds()} <= set(out)
    assert {f"odd/none/{name}" for name in NO_PICTURES} <= set(skipped)
    assert f"skipped: {len(skipped)}" in done.stderr
    saved = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(saved) == len(out) == len(records)
    for name in given:  # one decoder: what training could use is predicted on, upright and in the same size
        try:
            height, width = read_image(workspace.root / name).shape[:2]
        except ImageError:
            assert name in skipped
        else:
            assert (out[name]["width"], out[name]["height"]) == (width, height)
            assert read_image(run / out[name]["drawn"]).shape[:2] == (height, width)


def test_a_folder_of_nothing_usable_is_told_and_is_no_success(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    _lay(workspace.root / "none", NO_PICTURES)
    done = _limited("predict", "none", "--weights", "cells", "--json", cwd=workspace.root)
    assert done.returncode == 5, done.stderr
    frames, told = records_of(done.stdout)
    assert frames == []
    assert {Path(path).name for path in told} == set(NO_PICTURES)
    assert f"skipped: {len(NO_PICTURES)}" in done.stderr
    assert f"and {len(NO_PICTURES) - 10} more: --json or --save names them all" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("given", ["", "  "])
def test_an_empty_source_is_not_the_current_folder(given: str, workspace: Workspace) -> None:
    """`cv predict "$PHOTOS"` where the variable is not set."""
    make_detector(workspace.weights / "cells")
    _lay(workspace.root / "kinds", kinds())
    done = _limited("predict", given, "--weights", "cells", cwd=workspace.root)
    assert done.returncode == 2, done.stderr
    assert "The source is empty" in done.stderr
