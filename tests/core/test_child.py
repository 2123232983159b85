"""Processes that we start take no module from the folder that the person is in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lensmith
from lensmith.core.health import run_probe
from lensmith.predict.proof import prove_bundle
from lensmith.predict.window import window_problem
from tests.helpers import make_picture, run_cv
from tests.predict.films import film, straight, write_film
from tests.predict.make_bundle import make_classifier, make_detector


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: whatever is run of it leaves a mark. Gives where the marks would be."""
    folder, marks = tmp_path / "unpacked", tmp_path / "marks"
    (folder / "lensmith" / "predict").mkdir(parents=True)
    marks.mkdir()
    names = ("cv2.py", "json.py", "numpy.py", "openvino.py", "lensmith/__init__.py", "lensmith/predict/__init__.py",
             "lensmith/predict/proof.py")  # fmt: skip
    for name in names:
        mark = marks / name.replace("/", "-")
        (folder / name).write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(folder)
    return marks


def test_files_of_the_current_folder_are_not_run(trap: Path, tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "tint")
    assert prove_bundle(bundle.folder)
    window_problem()
    assert run_probe("import json, cv2, lensmith; print(json.dumps({'file': lensmith.__file__}))") == {
        "file": lensmith.__file__
    }
    assert sorted(path.name for path in trap.iterdir()) == []


def test_nor_are_they_run_by_commands_that_start_other_processes(trap: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    bundle = make_detector(place / "weights" / "cells")
    record = json.loads((bundle.folder / "bundle.json").read_bytes())
    (bundle.folder / "bundle.json").write_text(json.dumps({**record, "run": "elsewhere"}))  # so that it is tried out
    here = Path.cwd()
    make_picture(here / "one.png")
    write_film(here / "film.mp4", film({0: straight((30, 30), (2, 1))}, 5))
    for command in (
        ["predict", "one.png", "--weights", "cells"],
        ["live", "--source", "film.mp4", "--weights", "cells", "--record", "seen.mp4"],
        ["weights", "verify", "cells"],
    ):
        done = run_cv(*command, "--workspace", place, cwd=here, env={"DISPLAY": ":99"})
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in trap.iterdir()) == []


def test_every_process_of_ours_is_started_that_way() -> None:
    root = Path(str(lensmith.__file__)).parent
    rooms = ("core", "report", "datasets", "weights", "predict", "detect", "classify", "cli")
    texts = {path: path.read_text(encoding="utf-8") for room in rooms for path in (root / room).rglob("*.py")}
    assert len(texts) > 100
    assert [str(path) for path, text in texts.items() if "[sys.executable" in text and path.name != "child.py"] == []
