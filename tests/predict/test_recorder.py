"""Recordings that play: after a kill, on a full disk, with pictures that change their size."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.errors import DataError, DiskFullError, LensmithError, UsageError
from lensmith.predict.mp4 import Mp4File, read_encoded
from lensmith.predict.recorder import VideoRecorder

_RECORD_ON_AND_ON = """
import sys, numpy as np
from pathlib import Path
from lensmith.predict.recorder import VideoRecorder
recorder = VideoRecorder(Path(sys.argv[1]), 20)
while True:
    recorder.write(np.full((48, 64, 3), recorder.frames % 250, np.uint8))
    print(recorder.frames, flush=True)
"""


def _values(path: Path) -> list[int]:
    """The mean grey of each frame that OpenCV reads."""
    capture, means = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        means.append(round(float(read[1].mean())))
    return means


def _grey(value: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


@pytest.mark.parametrize("frames", [25, 47, 100])
def test_a_killed_process_loses_a_second_at_most(frames: int, tmp_path: Path) -> None:
    path = tmp_path / "film ü.mp4"
    process = subprocess.Popen([sys.executable, "-c", _RECORD_ON_AND_ON, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    while int(process.stdout.readline()) < frames:
        pass
    process.kill()
    last = [int(line) for line in process.stdout.read().splitlines()] or [frames]
    process.wait(30)
    means = _values(path)
    assert max(last) - 20 <= len(means) <= max(last) + 1
    np.testing.assert_allclose(means, np.arange(len(means)) % 250, atol=4)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 20


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed (Debian: apt install ffmpeg)")
@pytest.mark.parametrize("finished", [True, False])
def test_other_peoples_tools_read_it(finished: bool, tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "x.mp4", 29.97)
    for value in range(75):
        recorder.write(_grey(value))
    recorder.flush()
    if finished:
        recorder.close()
    shown = "stream=codec_name,nb_read_frames,avg_frame_rate,width,height:format=duration"
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", shown, "-of", "json", str(tmp_path / "x.mp4")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stderr == ""
    data = json.loads(told.stdout)
    assert data["streams"] == [
        {"codec_name": "mpeg4", "width": 64, "height": 48, "avg_frame_rate": "2997/100", "nb_read_frames": "75"}
    ]
    assert float(data["format"]["duration"]) == pytest.approx(75 / 29.97, abs=0.002)
    recorder.close()


def test_a_finished_file_can_be_wound_to_any_frame(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "x.mov", 10) as recorder:
        for value in range(0, 250, 5):
            recorder.write(_grey(value))
    capture = cv2.VideoCapture(str(tmp_path / "x.mov"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 50
    for number in (41, 3, 27):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        assert capture.read()[1].mean() == pytest.approx(5 * number, abs=4)


def test_a_wait_of_unknown_length_finds_everything_in_the_file(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "x.mp4", 25)
    recorder.write_at(_grey(10), 3.0)
    assert not (tmp_path / "x.mp4").exists()
    recorder.flush()
    assert len(_values(tmp_path / "x.mp4")) == 1
    recorder.write_at(_grey(200), 3.04)
    recorder.close()
    np.testing.assert_allclose(_values(tmp_path / "x.mp4"), [10, 200], atol=4)


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    VideoRecorder(tmp_path / "deep" / "x.mp4", 25).close()
    assert not list(tmp_path.iterdir())


def test_pictures_that_change_their_size_get_borders(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "x.mp4", 10) as recorder:
        for size in [(48, 64), (96, 128), (64, 48)]:
            recorder.write(_grey(200, size))
    means = _values(tmp_path / "x.mp4")
    assert means[0] == pytest.approx(200, abs=4)
    assert means[1] == pytest.approx(200, abs=4)
    assert 80 < means[2] < 140  # black at both sides


def test_a_file_that_came_in_between_is_left_alone(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "x.mp4", 10)
    recorder.write(_grey(1))
    (tmp_path / "x.mp4").write_bytes(b"precious")
    with pytest.raises(LensmithError, match="exists"):
        recorder.close()
    assert (tmp_path / "x.mp4").read_bytes() == b"precious"
    with pytest.raises(UsageError, match="already"):
        VideoRecorder(tmp_path / "x.mp4", 10)


def test_a_disk_that_is_full_keeps_what_was_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of file size are Unix'")
    recorder = VideoRecorder(tmp_path / "x.mp4", 5)
    noise = np.random.default_rng(0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))  # the error is that of a full disk
    try:
        with pytest.raises(DiskFullError) as caught:
            for _ in range(200):
                recorder.write(noise.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(_values(tmp_path / "x.mp4")) == recorder.frames > 0
    assert recorder.frames % 5 == 0
    assert f"{recorder.frames} frames" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x09mdatx", b"\0\0\0\0moov", b"x" * 100, b"\0\0\1\0ftyp"])
def test_what_is_no_encoded_video_is_said_so(data: bytes) -> None:
    with pytest.raises(DataError):
        read_encoded(data)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        Mp4File(tmp_path / "x.mp4", (64, 48), 25)


def test_a_frame_that_is_too_large_for_the_format_is_told_so(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "x.mp4", 10) as recorder:
        recorder.write(_grey(90, (64, 8190)))
    assert _values(tmp_path / "x.mp4") == pytest.approx([90], abs=4)
    with pytest.raises(DataError, match=r"8190 pixels .* 8200 x 64"):
        VideoRecorder(tmp_path / "y.mp4", 10).write(_grey(90, (64, 8200)))


@pytest.mark.parametrize("size", [(481, 641), (48, 65), (1, 1)])
def test_odd_sizes_lose_nothing_and_the_file_says_what_is_in_it(size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    bgr = _grey(60, size)
    bgr[-1, -1] = 240
    bgr[-20:, -20:] = 240
    with VideoRecorder(tmp_path / "x.mp4", 10) as recorder:
        recorder.write(bgr)
        recorder.write(bgr)
    done, read = cv2.VideoCapture(str(tmp_path / "x.mp4")).read()
    assert done
    assert read.shape == (height + height % 2, width + width % 2, 3)
    assert read[height - 1, width - 1].mean() > 180  # the corner
    header = (tmp_path / "x.mp4").read_bytes()
    at = header.index(b"tkhd") + 4 + 4 + 8 + 8 + 4 + 4 + 8 + 16 + 36
    assert np.frombuffer(header[at : at + 8], ">u4").tolist() == [read.shape[1] << 16, read.shape[0] << 16]


@pytest.mark.parametrize(("free", "error"), [(0, DiskFullError), (1_000_000_000, LensmithError)])
def test_frames_that_the_encoder_loses_are_a_full_disk_only_where_it_is_full(
    free: int, error: type[LensmithError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="limits of file size are Unix'")
    recorder = VideoRecorder(tmp_path / "x.mp4", 100)
    noise = np.random.default_rng(0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        for _ in range(30):
            recorder.write(noise.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        monkeypatch.setattr("lensmith.predict.recorder.shutil.disk_usage", lambda _: type("", (), {"free": free}))
        with pytest.raises(LensmithError) as caught:
            recorder.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert type(caught.value) is error
    assert "0 frames were written before" in str(caught.value)
