"""`cv predict` as somebody meets it who does not know it yet: slips are told at once, and what is advised is true."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lensmith.core.errors import NotFoundError
from lensmith.core.words import near_names
from lensmith.core.workspace import Workspace
from lensmith.predict.advice import Situation, faster_than, where_time_went
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.loop import Waited
from lensmith.predict.model import Model
from lensmith.predict.sources import open_source
from lensmith.predict.tiles import Tiled
from lensmith.weights.bundle import Bundle, Tiles
from lensmith.weights.record import Export
from tests.helpers import cv_path, make_picture, records_of, run_cv

from .make_bundle import make_classifier, make_detector


@pytest.fixture
def place(workspace: Workspace) -> Workspace:
    """With a folder of three pictures, a detector and a classifier."""
    for number in range(3):
        make_picture(workspace.root / "shots" / f"{number}.png")
    make_detector(workspace.weights / "cells")
    make_classifier(workspace.weights / "tint")
    return workspace


def test_results_of_runs_are_not_looked_at_again(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    done = run_cv("predict", "shots", "--weights", "cells", "--save", cwd=place.root)
    assert done.returncode == 0, done.stderr
    make_picture(place.root / "datasets" / "chess" / "train" / "a.png")
    make_picture(place.root / "own.png")
    (run,) = place.runs.iterdir()
    source = open_source(place.root)
    assert source.total == 5
    told = capsys.readouterr().err
    assert f"earlier runs are left out: runs/{run.name}" in told
    assert "5 pictures: 3 in shots, 1 in datasets, 1 in the folder itself" in told
    assert open_source(run).total == 3  # by its own name it is a folder like any other
    with pytest.raises(NotFoundError) as nothing:
        open_source(place.runs)
    assert str(run) in str(nothing.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shots", "--weights", "cells", "--format", "xml"], "no format of results"),
        (["shots", "--weights", "tint", "--format", "coco"], "holds boxes"),
        (["shots", "--weights", "tint", "--track"], "finds no objects"),
        (["shots", "--weights", "tint", "--zone", "0,0,1,0,1,1"], "finds no objects"),
        (["shots", "--weights", "cells", "--classifier", "cells"], "--classifier"),
        (["shots", "--weights", "tint", "--classifier", "cells"], "--weights cells --classifier tint"),
    ],
)
def test_what_does_not_fit_is_told_before_a_model_is_opened(
    arguments: list[str], says: str, place: Workspace, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    done = run_cv("predict", *arguments, cwd=place.root, env={"CV_CACHE": str(cache)})
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "engine:" not in done.stderr
    assert not list(cache.glob("golden/*"))  # an opened engine leaves a note there


def test_something_is_offered_for_a_name_that_is_nearly_right(place: Workspace) -> None:
    make_picture(place.root / "photo of a dog.jpg")
    (place.root / "shots.txt.bak").write_text("no source")
    for given, meant in [("shot", "shots"), ("shots/3.png", "shots/"), ("Photo.jpg", "photo of a dog.jpg")]:
        with pytest.raises(NotFoundError) as nothing:
            open_source(place.root / given)
        assert nothing.value.next_step is not None
        assert f"did you mean {place.root / meant}" in nothing.value.next_step
        assert "bak" not in nothing.value.next_step
    with pytest.raises(NotFoundError, match="no picture, folder or video") as nothing:
        open_source(place.root / "zebra")
    assert "a pattern in quotes" in str(nothing.value)


def test_names_that_are_near_and_those_that_are_not() -> None:
    assert near_names("coco", ["chess-crops", "tint"]) == []
    assert near_names("chess", ["chess-crops-xception", "tint", "Chess"]) == ["chess-crops-xception", "Chess"]
    assert near_names("ches-yolo", ["chess-yolo", "tint"]) == ["chess-yolo"]


def test_a_model_must_be_given(place: Workspace) -> None:
    done = run_cv("predict", "shots", cwd=place.root)
    assert done.returncode == 2
    assert "cv weights lists the models" in " ".join(done.stderr.split())


def test_nothing_on_standard_input_is_told(place: Workspace) -> None:
    done = subprocess.run(
        [cv_path(), "predict", "-", "--weights", "tint"],
        cwd=place.root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Nothing came on standard input" in done.stderr


def test_a_reader_that_has_enough_is_no_failure(place: Workspace) -> None:
    """`cv predict ... --json | head -1`."""
    shots = place.root / "many"
    for number in range(300):
        make_picture(shots / f"{number}.png", 32, 32)
    process = subprocess.Popen(
        [cv_path(), "predict", "many", "--weights", "tint", "--json"],
        cwd=place.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        _, talk = process.communicate(timeout=60)
        assert process.returncode == 0, talk
    finally:
        process.kill()
        process.wait()
    assert "per second" not in talk
    assert "Traceback" not in talk


def test_an_address_in_a_list_is_told_as_it_stands(place: Workspace) -> None:
    (place.root / "list.txt").write_text("shots/0.png\nhttp://me:verysecret@x/y.jpg\nC://x.png\n")
    done = run_cv("predict", "list.txt", "--weights", "tint", "--json", cwd=place.root)
    assert done.returncode == 5, done.stderr
    records, skipped = records_of(done.stdout)
    assert len(records) == 1
    address, windows = skipped
    assert address == "http://***@x/y.jpg"
    assert "only files are read here" in skipped[address]
    assert skipped[windows] == "there is no such file"
    assert "verysecret" not in done.stdout + done.stderr


def test_each_word_of_the_docstring_fills_the_line(place: Workspace) -> None:
    done = run_cv("predict", "--help", cwd=place.root, env={"COLUMNS": "80"})
    lines = [line.strip() for line in done.stdout.splitlines()]
    paragraph = [line for line in lines[: lines.index(next(x for x in lines if x.startswith("Example")))] if line][2:]
    assert all(len(line) > 60 for line in paragraph[:-1])
    assert len(lines) < 100
    for panel in ("Results", "Behind the detector", "Labelling", "How the model runs"):
        assert f"─ {panel} ─" in done.stdout
    assert "RANGE" not in done.stdout


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--conf", "1.5", "0 at least and 1 at most"), ("--conf", "nan", "0 at least"), ("--conf", "high", "no number"),
        ("--limit", "0", "1 at least"), ("--limit", "2.5", "no whole number"), ("--seconds", "0", "0.1 at least"),
    ],
)  # fmt: skip
def test_numbers_out_of_range(option: str, value: str, says: str, place: Workspace) -> None:
    done = run_cv("predict", "shots", "--weights", "tint", option, value, cwd=place.root)
    assert done.returncode == 2, done.stderr
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert option in done.stderr


def _opened(bundle: Bundle, **changes: Any) -> Model:
    record = bundle.record.model_copy(update=changes)
    return Model(Bundle(bundle.folder, record), OnnxEngine(bundle))


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A detector, on a machine without a GPU."""
    monkeypatch.setattr("lensmith.predict.advice.nvidia_gpus", list)
    return make_detector(tmp_path / "cells")


def test_no_other_engine_is_advised_where_all_were_measured(cells: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _opened(cells)
    assert faster_than(model, measured=True) == ["a smaller model", "a GPU"]
    assert faster_than(model, measured=False)[0].startswith("--engine auto")
    monkeypatch.setattr("lensmith.predict.advice.find_spec", lambda _: None)
    assert faster_than(model, measured=True)[0].startswith("OpenVINO, which")
    monkeypatch.setattr("lensmith.predict.advice.nvidia_gpus", lambda: ["H100"])
    assert "--device gpu" in faster_than(model, measured=True)
    assert faster_than(Tiled(model, Tiles(size=64, overlap=0.2)), measured=True)[0].startswith("--no-tiles")


def test_no_export_of_an_export_is_advised(cells: Bundle) -> None:
    half = Export(format="onnx", precision="fp16", source="cells", source_sha256="0" * 64)
    for model, exports in [(_opened(cells), True), (_opened(cells, exported=half), False)]:
        model.device = "cuda:0"
        ways = faster_than(model, measured=True)
        assert ways[-1] == "a smaller model"
        assert any("tensorrt --half" in way for way in ways) is exports
    model = _opened(cells)
    model.device, model.engine_name = "cuda:0", "tensorrt"
    assert faster_than(model, measured=True) == ["a smaller model"]


@pytest.mark.parametrize(
    ("waited", "situation", "says"),
    [
        (Waited(source=5), Situation(), "faster disk"),
        (Waited(source=5), Situation(live=True), "follows the camera"),
        (Waited(source=5), Situation(typed=True), "to be named and read"),
        (Waited(model=5), Situation(), "a smaller model or a GPU would help"),
        (Waited(results=5), Situation(), "a higher --conf"),
        (Waited(output=5), Situation(saves=True), "without --save"),
        (Waited(output=5), Situation(saves=False), "whoever takes them"),
        (Waited(model=0.5), Situation(), ""),
    ],
)
def test_where_the_time_went(waited: Waited, situation: Situation, says: str, cells: Bundle) -> None:
    told = where_time_went(waited, {}, _opened(cells), situation)
    assert says in told
    assert bool(told) is bool(says)
    assert not says or told.startswith("100% of the time")
