"""Videos that are not what they should be, through the real `cv predict`: told, counted, never a hang or a crash."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.workspace import Workspace
from tests.helpers import records_of, run_cv

from .make_bundle import make_detector

_FRAMES = 40


def _encoded(path: Path, kind: str = "MJPG", size: tuple[int, int] = (64, 48), frames: int = _FRAMES) -> bytes:
    """A noisy video as OpenCV writes it: noise makes every frame some kilobytes."""
    noise = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*kind), 10, size)
    assert writer.isOpened()
    for _ in range(frames):
        writer.write(noise.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    writer.release()
    return path.read_bytes()


def _cut(folder: Path) -> Path:
    data = _encoded(folder / "clip.avi")
    (folder / "clip.avi").write_bytes(data[: len(data) // 2])
    return folder / "clip.avi"


def _without_its_index(folder: Path) -> Path:
    """As a camera leaves it that lost its power: MP4 has its index at the end."""
    data = _encoded(folder / "clip.mp4", "mp4v")
    (folder / "clip.mp4").write_bytes(data[: len(data) // 2])
    return folder / "clip.mp4"


def _no_frames(folder: Path) -> Path:
    _encoded(folder / "clip.avi", frames=0)
    return folder / "clip.avi"


def _counted(folder: Path, count: int) -> Path:
    """The header says another number of frames than there is."""
    data = bytearray(_encoded(folder / "clip.avi"))
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, count)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, count)
    (folder / "clip.avi").write_bytes(data)
    return folder / "clip.avi"


def _two_sizes(folder: Path) -> Path:
    """The second half comes in another size, as when somebody turns to a stream's other resolution."""
    small = _encoded(folder / "small.ts", "MPG2", frames=_FRAMES // 2)
    large = _encoded(folder / "large.ts", "MPG2", (96, 64), _FRAMES // 2)
    (folder / "clip.ts").write_bytes(small + large)
    return folder / "clip.ts"


def _noise_inside(folder: Path) -> Path:
    data = bytearray(_encoded(folder / "clip.avi"))
    rng = np.random.default_rng(1)
    for at in rng.integers(len(data) // 4, len(data) // 2, 400):
        data[at] = rng.integers(256)
    (folder / "clip.avi").write_bytes(data)
    return folder / "clip.avi"


@pytest.mark.parametrize(
    ("make", "code", "says", "least", "most"),
    [
        pytest.param(_cut, 5, "cut short or damaged", 10, 30, id="cut in the middle"),
        pytest.param(_without_its_index, 5, "cannot be opened as a video", 0, 0, id="without its index"),
        pytest.param(_no_frames, 5, "clip.avi", 0, 0, id="no frames"),
        pytest.param(lambda folder: _counted(folder, 100_000), 5, "header is wrong", 40, 40, id="promises too many"),
        pytest.param(lambda folder: _counted(folder, 5), 0, "40 frames", 40, 40, id="promises too few"),
        pytest.param(_two_sizes, 0, "frames", 36, 40, id="changing size"),
        pytest.param(_noise_inside, None, "clip", 0, 40, id="noise inside"),
    ],
)
def test_a_bad_video(
    make: Callable[[Path], Path], code: int | None, says: str, least: int, most: int, workspace: Workspace
) -> None:
    make_detector(workspace.weights / "cells")
    video = make(workspace.root)
    done = run_cv("predict", video.name, "--weights", "cells", "--save", "--json", cwd=workspace.root)
    assert done.returncode in ({0, 5} if code is None else {code}), done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    records, _ = records_of(done.stdout)
    assert least <= len(records) <= most
    assert [record["index"] for record in records] == list(range(len(records)))
    seconds = [record["seconds"] for record in records]
    assert seconds == sorted(seconds)
    if records:
        (run,) = workspace.runs.iterdir()
        drawn = cv2.VideoCapture(str(run / "drawn.mp4"))
        shapes = []
        while True:
            got, bgr = drawn.read()
            if not got:
                break
            shapes.append(bgr.shape)
        assert len(shapes) == len(records)
        assert len(set(shapes)) == 1


def test_frames_of_8k(workspace: Workspace) -> None:
    """Each is 100 MB decoded: only a few may wait at a time."""
    make_detector(workspace.weights / "cells")
    writer = cv2.VideoWriter(str(workspace.root / "large.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (7680, 4320))
    frame = np.zeros((4320, 7680, 3), np.uint8)
    frame[:, :, 2] = 255
    for _ in range(2):
        writer.write(frame)
    writer.release()
    done = run_cv("predict", "large.avi", "--weights", "cells", "--json", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    records, _ = records_of(done.stdout)
    assert [(record["width"], record["height"]) for record in records] == [(7680, 4320)] * 2
    assert all(found["class"] == "red" for record in records for found in record["detections"])
    assert all(min(f["xyxy"]) >= 0 and max(f["xyxy"]) <= 7680 for record in records for f in record["detections"])
