"""Drawing, records, pictures and videos on disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.draw import class_colour
from lensmith.core.errors import LensmithError, UsageError
from lensmith.predict.draw import draw, draw_note
from lensmith.predict.recorder import VideoRecorder
from lensmith.predict.results import Detections, Frame, Prediction, Scores
from lensmith.predict.sinks import PictureFolder, RecordFile
from lensmith.predict.video import open_video


def _prediction(
    box: tuple[float, float, float, float] = (20, 30, 90, 80), size: tuple[int, int] = (120, 160)
) -> Prediction:
    frame = Frame(np.full((*size, 3), 100, np.uint8), "made")
    found = Detections(np.array([box], np.float32), np.array([1]), np.array([0.8], np.float32))
    return Prediction(frame, found)


def test_drawing_shows_the_box_in_the_colour_of_its_class_on_a_copy() -> None:
    prediction = _prediction()
    drawn = draw(prediction, ("cat", "hünd 犬"))
    assert (prediction.frame.bgr == 100).all()
    assert tuple(drawn[70, 20]) == class_colour(1)
    assert tuple(drawn[80, 60]) == class_colour(1)
    assert (drawn[55, 55] == 100).all()
    assert (drawn[10:29, 20:60] != 100).any()  # the label above the box


@pytest.mark.parametrize("box", [(0, 0, 160, 120), (-5, -5, 3, 3), (150, 110, 160, 120), (0, 60, 0.4, 60.4)])
@pytest.mark.parametrize("name", ["x", "", "a\nb", "e\u0301 😀 عربى " * 9])
def test_drawing_stays_inside_the_picture(box: tuple[float, float, float, float], name: str) -> None:
    drawn = draw(_prediction(box), ("cat", name))
    assert drawn.shape == (120, 160, 3)


def test_drawing_on_a_tiny_picture() -> None:
    drawn = draw(_prediction((0, 0, 2, 2), size=(3, 2)), ("cat", "dog"))
    draw_note(drawn, "12.0 fps")
    assert drawn.shape == (3, 2, 3)


def test_class_banner_and_unknown_differ() -> None:
    frame = Frame(np.zeros((100, 200, 3), np.uint8), "made")
    sure = draw(Prediction(frame, Scores(np.array([0.9, 0.1], np.float32), 0.5)), ("cat", "dog"))
    unsure = draw(Prediction(frame, Scores(np.array([0.9, 0.1], np.float32), 0.95)), ("cat", "dog"))
    assert tuple(sure[1, 1]) == class_colour(0)
    assert tuple(unsure[1, 1]) == (96, 96, 96)


def test_colours_of_neighbours_differ() -> None:
    colours = np.array([class_colour(i) for i in range(20)], int)
    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 100


def test_same_names_from_different_folders_do_not_overwrite(tmp_path: Path) -> None:
    sink = PictureFolder(tmp_path)
    picture = np.zeros((8, 8, 3), np.uint8)
    written = [
        sink.write(picture, source).name for source in ["a/1.png", "b/1.jpg", "b/1-2.png", "c/1.PNG", "d/../x.png"]
    ]
    assert len(set(written)) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)


def test_name_that_points_outside_stays_inside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for source in ["../../x", "..\\x.png", "/etc/..", "C:\\a.png", "\x00.png"]:
        PictureFolder(folder).write(np.zeros((8, 8, 3), np.uint8), source)
    assert list(tmp_path.iterdir()) == [folder]


def test_records_without_keys(tmp_path: Path) -> None:
    with RecordFile(tmp_path / "r.jsonl") as sink:
        sink.write({"source": "http://me:pass@cam/?api_key=abcdefgh", "class": "ü"})
        sink.write({"n": 2})
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"source": "http://***@cam/?api_key=***", "class": "ü"}, {"n": 2}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_is_an_error() -> None:
    with pytest.raises(LensmithError, match="disk is full"), RecordFile(Path("/dev/full")) as sink:
        sink.write({"n": 1})


_FILL = """
import sys, numpy as np
from pathlib import Path
from lensmith.core.errors import LensmithError
from lensmith.predict.sinks import PictureFolder, RecordFile
folder = Path(sys.argv[1])
noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
told = 0
try:
    sink = PictureFolder(folder)
    for i in range(1000):
        sink.write(noise, f"{i}.png")
except LensmithError as error:
    told += "disk is full" in str(error)
try:
    with RecordFile(folder / "r.jsonl") as records:
        for i in range(1000000):
            records.write({"n": i, "filler": "x" * 500})
except LensmithError as error:
    told += "disk is full" in str(error)
print(told)
"""


def _on_a_small_disk(tmp_path: Path, megabytes: int, code: str) -> tuple[str, Path]:
    """Run a program on a file system of its own, as small as this; what it printed, and a copy of what it left."""
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    script = (
        f'mount -t tmpfs -o size={megabytes}m none "{disk}" && "{sys.executable}" -c "$CODE" "{disk}"'
        f' && cp -a "{disk}/." "{out}"'
    )
    if shutil.which("unshare") is None:
        pytest.skip("a small disk needs Linux' unshare")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env={**os.environ, "CODE": code}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"this user may not make a small disk: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), out


def test_really_full_disk_leaves_only_whole_files(tmp_path: Path) -> None:
    told, out = _on_a_small_disk(tmp_path, 2, _FILL)
    assert told == "2"
    lines = (out / "r.jsonl").read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == list(range(len(lines)))
    pictures = list(out.glob("*.jpg"))
    assert len(pictures) > 3
    assert all(cv2.imdecode(np.frombuffer(p.read_bytes(), np.uint8), 1).shape == (400, 400, 3) for p in pictures)


_RECORD = """
import sys, numpy as np
from pathlib import Path
from lensmith.core.errors import LensmithError
from lensmith.predict.recorder import VideoRecorder
recorder = VideoRecorder(Path(sys.argv[1]) / "x.mp4", 25)
noise = np.random.default_rng(0)
try:
    for _ in range(500):
        recorder.write(noise.integers(0, 256, (480, 640, 3), dtype=np.uint8))
except LensmithError as error:
    print(recorder.frames if "nearly full" in str(error) else error)
recorder.close()
"""


def test_recording_on_a_disk_that_fills_up_still_plays(tmp_path: Path) -> None:
    frames, out = _on_a_small_disk(tmp_path, 22, _RECORD)
    assert 0 < int(frames) < 500
    assert open_video(out / "x.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == int(frames)


def _grey(value: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("rate", [15.0, 29.97, 12.345])
def test_video_has_the_right_speed(suffix: str, rate: float, tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / f"out{suffix}", rate)
    for value in range(0, 250, 10):
        recorder.write(_grey(value, (49, 65)))  # odd sizes too
    recorder.close()
    recorder.close()
    capture = open_video(tmp_path / f"out{suffix}")
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]
    count = 0
    while capture.read()[0]:
        count += 1
    assert count == 25


def test_recording_by_the_clock(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "out.mp4", 10)
    for seconds, value in [(5.0, 0), (5.02, 99), (5.5, 80), (5.6, 160), (65.0, 240), (65.1, 250)]:
        recorder.write_at(_grey(value), seconds)
    recorder.close()
    capture = open_video(tmp_path / "out.mp4")
    means = []
    while True:
        done, bgr = capture.read()
        if not done:
            break
        means.append(bgr.mean())
    # half a second of the first frame, then each in its place; the minute that is missing is a second long
    np.testing.assert_allclose(means, [0] * 5 + [80] + [160] * 11 + [240, 250], atol=6)


def test_frames_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "out.mp4", 10)
    for size in [(48, 64), (96, 128), (64, 48)]:
        recorder.write(_grey(200, size))
    recorder.close()
    assert open_video(tmp_path / "out.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_recording_never_replaces_a_file_and_knows_its_endings(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match="already"):
        VideoRecorder(tmp_path / "mine.mp4", 10)
    with pytest.raises(UsageError, match="cannot be written as"):
        VideoRecorder(tmp_path / "out.gif", 10)
    assert (tmp_path / "mine.mp4").read_bytes() == b"precious"
