"""`cv predict`, the real command."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import PORTABLE_NAME
from tests.helpers import cv_path, records_of, run_cv
from tests.roboflow_server import Project, serve

from .make_bundle import blocks, make_classifier, make_detector
from .mjpeg import NetworkCamera
from .test_sources import make_video
from .test_unsure import shots


def _shots(folder: Path) -> Path:
    for place in ("a", "b ü"):
        (folder / place).mkdir(parents=True)
        data = cv2.imencode(".png", blocks(256, 256, (64, 64, 128, 128, 2)))[1].tobytes()
        (folder / place / "shot 1.png").write_bytes(data)
    return folder


def test_save_and_json(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells", ("blue", "green", "../x"))
    _shots(workspace.root / "shots")
    (workspace.root / "shots" / "bad.jpg").write_bytes(b"no picture")
    done = run_cv("predict", "shots", "--weights", "cells", "--save", "--json", cwd=workspace.root)
    assert done.returncode == 5, done.stderr
    assert "bad.jpg" in done.stderr
    records, skipped = records_of(done.stdout)
    assert list(skipped) == ["shots/bad.jpg"]
    assert [record["source"] for record in records] == ["shots/a/shot 1.png", "shots/b ü/shot 1.png"]
    assert {found["class"] for record in records for found in record["detections"]} == {"../x"}
    (run,) = workspace.runs.iterdir()
    saved = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert saved == records
    assert len({record["drawn"] for record in saved}) == 2
    assert all(read_image(run / record["drawn"]).shape == (256, 256, 3) for record in saved)
    manifest = json.loads((run / "run.json").read_text())
    assert (manifest["status"], manifest["result"]["frames"]) == ("done", 2)
    # nothing but the run was written, whatever a class is called
    assert {path.name for path in workspace.root.iterdir()} == {"weights", "shots", "runs"}
    assert {path.name for path in run.iterdir()} == {"predictions.jsonl", "run.json", *(r["drawn"] for r in saved)}


def test_video_becomes_a_drawn_video_of_the_same_speed(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    make_video(workspace.root / "clip.mp4", frames=20, rate=12.5)
    done = run_cv("predict", "clip.mp4", "--weights", "tint", "--save", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    (run,) = workspace.runs.iterdir()
    drawn = cv2.VideoCapture(str(run / "drawn.mp4"))
    assert (drawn.get(cv2.CAP_PROP_FRAME_COUNT), drawn.get(cv2.CAP_PROP_FPS)) == (20, 12.5)
    assert len((run / "predictions.jsonl").read_text().splitlines()) == 20


def test_without_save_nothing_is_written(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    _shots(workspace.root / "shots")
    done = run_cv("predict", "shots/**/*.png", "--weights", "tint", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert not workspace.runs.exists()
    assert "2 pictures" in done.stderr
    assert "objects" not in done.stderr
    assert [line.split() for line in done.stderr.splitlines() if line.startswith("shots/a/")] == [
        ["shots/a/shot", "1.png", "red", "53%"]
    ]


def _changed(workspace: Workspace) -> None:
    path = make_detector(workspace.weights / "cells").folder / PORTABLE_NAME
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "says"),
    [
        pytest.param(lambda w: None, ["shots"], 3, "no model called 'cells'", id="no bundle"),
        pytest.param(_changed, ["shots"], 5, "changed after it was made", id="changed byte"),
        pytest.param(
            lambda w: make_detector(w.weights / "cells", golden_shift=0.2),
            ["shots", "--engine", "onnxruntime"], 5, "other results", id="golden samples",
        ),
        pytest.param(lambda w: make_detector(w.weights / "cells"), ["nowhere"], 3, "nowhere", id="no source"),
        pytest.param(lambda w: make_detector(w.weights / "cells"), ["shots", "--conf", "7"], 2, "conf", id="threshold"),
        pytest.param(
            lambda w: make_detector(w.weights / "cells"), ["shots", "--engine", "abacus"], 2, "abacus", id="engine"
        ),
    ],
)  # fmt: skip
def test_one_message_and_the_exit_code(
    prepare: object, arguments: list[str], code: int, says: str, workspace: Workspace
) -> None:
    assert callable(prepare)
    prepare(workspace)
    _shots(workspace.root / "shots")
    done = run_cv("predict", *arguments, "--weights", "cells", cwd=workspace.root)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_ctrl_c_keeps_what_was_written(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    make_video(workspace.root / "long.mp4", frames=3000, rate=25)
    process = subprocess.Popen(
        [cv_path(), "predict", "long.mp4", "--weights", "tint", "--save", "--json"],
        cwd=workspace.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 130, talk
    (run,) = workspace.runs.iterdir()
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    drawn = cv2.VideoCapture(str(run / "drawn.mp4"))
    assert 20 <= drawn.get(cv2.CAP_PROP_FRAME_COUNT) < 3000
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert "Traceback" not in talk


def test_every_format_at_once_tells_the_same(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    _shots(workspace.root / "shots")
    options = [word for one in ("csv", "yolo", "coco", "jsonl") for word in ("--format", one)]
    done = run_cv("predict", "shots", "--weights", "cells", *options, cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    (run,) = workspace.runs.iterdir()
    assert {path.name for path in run.iterdir()} == {
        "run.json", "predictions.jsonl", "predictions.csv", "labels", "coco_results.json", "coco_images.json",
    }  # fmt: skip
    records = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    boxes = [found["xyxy"] for record in records for found in record["detections"]]
    assert len(boxes) >= 2
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as file:
        assert [[float(row[name]) for name in ("x1", "y1", "x2", "y2")] for row in csv.DictReader(file)] == boxes
    results = json.loads((run / "coco_results.json").read_text())
    assert [[x, y, x + w, y + h] for x, y, w, h in (one["bbox"] for one in results)] == boxes
    labels = [np.loadtxt(run / "labels" / name, ndmin=2) for name in ("shot-1.txt", "shot-1-2.txt")]
    centres = np.vstack(labels)[:, 1:3] * 256
    np.testing.assert_allclose(centres, [[(x1 + x2) / 2, (y1 + y2) / 2] for x1, y1, x2, y2 in boxes], atol=0.01)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--format", "coco"], "holds boxes"),
        (["--format", "xml"], "no format"),
        (["--limit", "3"], "--upload"),
        (["--seconds", "3"], "a camera or a stream"),
    ],
)
def test_what_does_not_go_together(options: list[str], says: str, workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    _shots(workspace.root / "shots")
    done = run_cv("predict", "shots", "--weights", "tint", *options, cwd=workspace.root)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert says in done.stderr
    assert not workspace.runs.exists()


def test_paths_on_standard_input(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    shots = _shots(workspace.root / "shots")
    lines = "".join(f"{path}\n" for path in sorted(shots.rglob("*.png"))) + "gone.png\n"
    done = subprocess.run(
        [cv_path(), "predict", "-", "--weights", "tint", "--json"],
        cwd=workspace.root, input=lines, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    records, skipped = records_of(done.stdout)
    assert [Path(record["source"]).parent.name for record in records] == ["a", "b ü"]
    assert skipped == {"gone.png": "there is no such file"}
    assert "gone.png: there is no such file" in done.stderr


def test_ctrl_c_while_nothing_comes_on_standard_input(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    shots = _shots(workspace.root / "shots")
    process = subprocess.Popen(
        [cv_path(), "predict", "-", "--weights", "tint", "--json"],
        cwd=workspace.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdin
        assert process.stdout
        lines = [f"{path}\n" for path in sorted(shots.rglob("*.png"))]
        process.stdin.write("".join(lines * 20))
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130  # standard input is still open
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_a_stream_with_whole_files_and_a_summary(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    camera = NetworkCamera().plug_in()
    process = subprocess.Popen(
        [cv_path(), "predict", camera.address, "--weights", "cells", "--save", "--json", "--format", "coco"],
        cwd=workspace.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        for _ in range(10):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=60)
    finally:
        process.kill()
        camera.unplug()
    assert process.returncode == 130, talk
    assert "overtaken by newer ones" in talk
    (run,) = workspace.runs.iterdir()
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) >= 10
    assert len(json.loads((run / "coco_images.json").read_text())["images"]) == len(lines)
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert cv2.VideoCapture(str(run / "drawn.mp4")).read()[0]


def test_a_stream_for_some_seconds(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "tint")
    camera = NetworkCamera().plug_in()
    try:
        done = run_cv("predict", camera.address, "--weights", "tint", "--seconds", "0.5", "--json", cwd=workspace.root)
    finally:
        camera.unplug()
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert records[0]["source"] == camera.address
    assert 0.3 < records[-1]["seconds"] - records[0]["seconds"] < 5


def test_uncertain_frames_are_uploaded_from_where_they_were_seen(workspace: Workspace) -> None:
    pytest.importorskip("roboflow")
    make_detector(workspace.weights / "cells")
    folder = shots(workspace.root / "shots", 1.0, 0.3, 0.5, 0.4)
    with zipfile.ZipFile(workspace.root / "all.zip", "w") as packed:
        for picture in folder.iterdir():
            packed.write(picture, picture.name)
    options = ["--weights", "cells", "--conf", "0.7", "--limit", "2", "--save"]
    with serve(Project(b"")) as server:
        done = run_cv(
            "predict", "all.zip", *options, "--upload", "acme/parts", cwd=workspace.root, env=server.env()
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "uploaded: 2 pictures to acme/parts" in done.stderr
        arrived = sorted(server.uploads.pictures.values(), key=lambda picture: picture.name)
        assert [picture.name for picture in arrived] == ["all-000002.jpg", "all-000003.jpg"]
        assert all(picture.annotations[0]["prediction"] == "true" for picture in arrived)
        wrong = run_cv("predict", "all.zip", *options, "--upload", "acme/none", cwd=workspace.root, env=server.env())
        assert wrong.returncode == 3
    assert len(list(workspace.runs.iterdir())) == 1  # it was known before anything was predicted
