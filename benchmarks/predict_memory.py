"""Memory and time of `cv predict` over many small pictures, over a long video, and over very large frames.

Each case runs in a process of its own, which says at its end how much memory it had at most. Ratios and differences are
between cases of the same run:

    pictures   many against few: the peak may grow by 50 MB, the time per picture may not
    video      an hour against a minute: the same
    8K         frames of 100 MB each: how many of them are about at a time

The model is a tiny one of our own, so that what is measured is everything around it. Linux only: the system is asked
for the peak (VmHWM).

    python benchmarks/predict_memory.py                                       the whole: 5 to 10 minutes
    python benchmarks/predict_memory.py --pictures 5000 --minutes 5 --large 4
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

_FEW = 1000
_PER_FOLDER = 1000
_RATE = 5  # frames per second of the video; an hour is 18,000 frames

_CHILD = """
import json, sys, time
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.predict.batch import PredictConfig, predict_source
from lensmith.predict.model import open_model
from lensmith.predict.sources import open_source
from lensmith.weights.bundle import open_bundle

def peak_memory():  # what getrusage says includes the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

home, source, save = sys.argv[1:]
place = Workspace(Path(home))
model = open_model(open_bundle("tiny", place), engine="onnxruntime")
before = peak_memory()
began = time.perf_counter()
config = PredictConfig(save=save == "save", formats=("csv", "yolo", "coco") if save == "save" else ())
done = predict_source(open_source(source), model, place, config)
print(json.dumps({
    "frames": done.summary.frames, "skipped": len(done.summary.skipped), "seconds": time.perf_counter() - began,
    "before": before, "peak": peak_memory(),
}))
"""


def main() -> None:
    """Make what is looked at, run the cases, print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=int, default=100_000, help="how many small pictures")
    options.add_argument("--minutes", type=int, default=60, help="how long the video is")
    options.add_argument("--large", type=int, default=12, help="how many frames of 7680 x 4320")
    options.add_argument("--save", action="store_true", help="write drawn copies and all formats too")
    chosen = options.parse_args()
    root = Path(__file__).resolve().parent.parent
    sys.path.insert(0, str(root))
    from tests.predict.make_bundle import make_detector

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_detector(home / "weights" / "tiny")
        cases = {
            f"{_FEW} pictures": _pictures(home / "few", _FEW),
            f"{chosen.pictures} pictures": _pictures(home / "many", chosen.pictures),
            "1 minute of video": _video(home / "short.mp4", 60 * _RATE),
            f"{chosen.minutes} minutes of video": _video(home / "long.mp4", 60 * _RATE * chosen.minutes),
        }
        if chosen.large:
            cases[f"{chosen.large} frames of 8K"] = _large(home / "large.avi", chosen.large)
        sys.stdout.write(f"{'':24}{'frames':>9}{'seconds':>9}{'per second':>12}{'peak MB':>9}{'grown by MB':>13}\n")
        measured = {name: _run(home, source, save=chosen.save, name=name) for name, source in cases.items()}
    for kind in ("pictures", "video"):
        few, many = (one for name, one in measured.items() if kind in name)
        grown = (many["peak"] - few["peak"]) / 1e6
        slower = (many["seconds"] / many["frames"]) / (few["seconds"] / few["frames"])
        sys.stdout.write(f"{kind}: {grown:+.0f} MB at most, time per frame x {slower:.2f}\n")


def _run(home: Path, source: Path, *, save: bool, name: str) -> dict[str, float]:
    command = [sys.executable, "-c", _CHILD, str(home), str(source), "save" if save else ""]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    one = json.loads(done.stdout)
    sys.stdout.write(
        f"{name:24}{one['frames']:9}{one['seconds']:9.1f}{one['frames'] / one['seconds']:12.1f}"
        f"{one['peak'] / 1e6:9.0f}{(one['peak'] - one['before']) / 1e6:13.0f}\n"
    )
    sys.stdout.flush()
    shutil.rmtree(home / "runs", ignore_errors=True)
    return one


def _pictures(folder: Path, count: int) -> Path:
    """Small JPEGs in folders of a thousand; each is a file of its own, but there are only a few contents."""
    rng = np.random.default_rng(0)
    contents = [
        cv2.imencode(".jpg", cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (160, 120)))[1].tobytes()
        for _ in range(16)
    ]
    for number in range(count):
        place = folder / f"{number // _PER_FOLDER:03d}"
        if number % _PER_FOLDER == 0:
            place.mkdir(parents=True)
        (place / f"picture-{number:06d}.jpg").write_bytes(contents[number % len(contents)])
    return folder


def _video(path: Path, frames: int) -> Path:
    if shutil.which("ffmpeg") is None:
        raise SystemExit("this needs ffmpeg to make its videos")
    source = f"testsrc=duration={frames / _RATE}:size=320x240:rate={_RATE}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-q:v", "8", str(path)]
    subprocess.run(command, check=True)
    return path


def _large(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), _RATE, (7680, 4320))
    frame = np.zeros((4320, 7680, 3), np.uint8)
    for number in range(frames):
        frame[:, :, number % 3] = 255 * number // max(frames - 1, 1)
        writer.write(frame)
    writer.release()
    return path


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    sys.stdout.write(f"took {time.perf_counter() - began:.0f} s\n")
