"""`cv predict` and `cv live` with what comes after the detector, as a person runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lensmith.cli.stage_options import stages_config
from lensmith.core.errors import UsageError
from lensmith.core.extras import has_extra
from lensmith.core.workspace import Workspace
from lensmith.predict.model import open_model
from lensmith.predict.stages import open_stages
from lensmith.weights.bundle import open_bundle

from ..helpers import cv_path, run_cv
from .films import Way, film, straight, write_film
from .make_bundle import blocks, make_classifier, make_detector, make_follower

tracked = pytest.mark.skipif(not has_extra("track"), reason="the libraries for tracking are not installed")
_ENGINE = ("--engine", "onnxruntime")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with bundles, and a film in which blue crosses the middle downwards and red upwards and back."""
    folder = tmp_path_factory.mktemp("stages")
    make_follower(folder / "weights" / "follower", ("blue", "green", "red"))
    make_detector(folder / "weights" / "blocks", ("piece", "hand", "board"))
    make_classifier(folder / "weights" / "colours", ("sky", "leaf", "brick"))
    up = straight((90, 110), (0, -3))
    ways: dict[int, Way] = {
        0: straight((30, 16), (0, 2.5)),
        2: lambda number: up(number) if number < 24 else up(48 - number),
    }
    write_film(folder / "film.mp4", film(ways, 40))
    return folder


def _records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@tracked
def test_a_film_is_followed_counted_and_drawn(place: Path) -> None:
    done = run_cv(
        "predict", "film.mp4", "--weights", "follower", "--track", "--line", "door=0,0.5,1,0.5",
        "--zone", "0.5,0,1,0,1,1,0.5,1", "--save", "--json", *_ENGINE, cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = _records(done.stdout)
    assert len(records) == 40
    ids = {(one["class"], one["track_id"]) for record in records[1:] for one in record["detections"]}
    assert len(ids) == 2
    assert {track for _, track in ids} == {1, 2}
    assert records[-1]["counts"] == {
        "door": {"in": {"blue": 1, "red": 1}, "out": {"red": 1}},
        "zone": {"inside": {"red": 1}, "entered": {"red": 1}},
    }
    assert "door, in: blue 1, red 1" in done.stderr
    assert "different objects followed: blue 1, red 1" in done.stderr
    (run,) = (place / "runs").glob("predict-film-*")
    result = json.loads((run / "run.json").read_text())["result"]
    assert result["counts"]["door"]["out"] == {"red": 1}
    assert (run / "drawn.mp4").stat().st_size > 0


def test_a_second_model_names_what_is_in_the_boxes(place: Path, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "two.png"), blocks(128, 128, (0, 0, 16, 16, 2), (64, 64, 80, 80, 0)))
    args = ("predict", tmp_path / "two.png", "--weights", "blocks", "--classifier", "colours", "--json", *_ENGINE)
    done = run_cv(*args, cwd=place)
    assert done.returncode == 0, done.stderr
    (record,) = _records(done.stdout)
    said = {one["class"]: one["classifier"]["class"] for one in record["detections"]}
    assert said == {"board": "brick", "piece": "sky"}
    assert "piece as the classifier sees it: sky 1" in done.stderr
    assert "colours' does not say" in done.stderr


@tracked
def test_live_has_the_same_stages(place: Path) -> None:
    done = run_cv(
        "live", "--source", "film.mp4", "--weights", "follower", "--classifier", "colours", "--track",
        "--line", "0,0.5,1,0.5", "--no-window", "--json", *_ENGINE, cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = _records(done.stdout)
    last = [one for record in records for one in record["detections"]][-1]
    assert last["track_id"] in {1, 2}
    assert last["classifier"]["class"] in {"sky", "brick", "leaf"}
    assert set(records[-1]["counts"]["line"]) == {"in", "out"}
    assert "line, in:" in done.stderr


@tracked
def test_pictures_are_followed_with_a_warning(place: Path) -> None:
    import cv2

    (place / "shots").mkdir()
    for frame in film({0: straight((30, 16), (0, 2.5))}, 4):
        cv2.imwrite(str(place / "shots" / f"{frame.index}.png"), frame.bgr)
    done = run_cv("predict", "shots", "--weights", "follower", "--track", "--json", *_ENGINE, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "frames of one film" in " ".join(done.stderr.split())
    assert [record["detections"][0]["track_id"] for record in _records(done.stdout)] == [None, 1, 1, 1]


_NOTHING: dict[str, Any] = {
    "classifiers": None, "classifier_confidence": None, "track": False, "lines": None, "zones": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "options", "words"),
    [
        ("follower", {"lines": ["0,0.5,1,0.5"]}, "add --track"),
        ("follower", {"lines": ["oops"], "track": True}, "not a row of numbers"),
        ("follower", {"classifier_confidence": 0.5}, "no classifier"),
        ("follower", {"classifiers": ["follower"]}, "'follower' is a detector"),
        ("colours", {"classifiers": ["follower"]}, "--weights follower --classifier colours"),
        ("colours", {"track": True}, "finds no objects"),
        ("colours", {"zones": ["0,0,1,0,1,1"]}, "finds no objects"),
    ],
)
def test_what_does_not_fit_together_is_said(place: Path, weights: str, options: dict[str, Any], words: str) -> None:
    workspace = Workspace(place)
    model = open_model(open_bundle(weights, workspace), engine="onnxruntime")
    with pytest.raises(UsageError) as caught:
        open_stages(model, stages_config(workspace, **{**_NOTHING, **options}))
    assert words in str(caught.value)


def test_a_slip_is_a_wrong_use_before_any_model_is_opened(place: Path) -> None:
    done = run_cv("predict", "nowhere.mp4", "--weights", "nobody", "--line", "0,0.5,1,0.5", cwd=place)
    assert (done.returncode, "add --track" in " ".join(done.stderr.split())) == (2, True)


def test_a_classifier_that_is_not_there_is_not_found(place: Path) -> None:
    done = run_cv("predict", "film.mp4", "--weights", "follower", "--classifier", "nobody", cwd=place)
    assert done.returncode == 3


@tracked
def test_ctrl_c_ends_a_long_film_with_what_was_found_so_far(place: Path, tmp_path: Path) -> None:
    still: dict[int, Way] = {0: lambda _: (64, 64)}
    long = write_film(tmp_path / "long.mp4", film(still, 3000))
    process = subprocess.Popen(
        [cv_path(), "predict", str(long), "--weights", "follower", "--track", "--zone", "0,0,1,0,1,1,0,1", "--save",
         *_ENGINE],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while process.poll() is None and time.monotonic() < deadline:
        written = [
            path for path in (place / "runs").glob("predict-long-*/predictions.jsonl") if path.stat().st_size > 999
        ]
        if written:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 130, talk
    (run,) = (place / "runs").glob("predict-long-*")
    records = _records((run / "predictions.jsonl").read_text())
    assert 0 < len(records) < 3000
    assert records[-1]["counts"]["zone"]["entered"] == {"blue": 1}
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
