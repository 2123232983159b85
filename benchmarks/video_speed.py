"""How fast a video is predicted on: beside its parts, decoding alone and the model alone, and Ultralytics' CLI.

    python benchmarks/video_speed.py [--video FILE] [--frames 600] [--size 640] [--rounds 3] [--engine auto]

The video is made from the given one, repeated to so many frames at 1280 x 720, MPEG-4 as OpenCV writes it; the model is
yolov8n with COCO's classes. Everything runs in a process of its own, in turns, and the median of the rounds counts:

- decoding alone: OpenCV reads every frame and throws it away, one thread.
- model alone: the engine that `cv predict` takes, over frames that are ready in memory.
- cv predict: the real command with --json. yolo predict: Ultralytics' real command as it comes, nothing saved.

For the commands, "ms a frame" is the slope between a video of a quarter of the frames and the whole one, so that the
start of the process counts for neither; "whole" is the process on the long video with its start. "bound" is what
perfect overlapping would give: the slower of the two parts where there are two cores or more, else their sum.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from evaluate_speed import make_bundle
from whole_commands import cv_predict, seconds_of, slope, yolo_predict

_REPOSITORY = Path(__file__).resolve().parent.parent
_SIZE = (1280, 720)


def make_videos(given: Path, place: Path, frames: int) -> tuple[Path, Path]:
    """The short one, a quarter of the frames, and the long one."""
    capture = cv2.VideoCapture(str(given))
    pictures = []
    while True:
        done, bgr = capture.read()
        if not done:
            break
        pictures.append(cv2.resize(bgr, _SIZE))
    if not pictures:
        raise SystemExit(f"no frame of {given} can be read")
    made = []
    for name, count in (("short", frames // 4), ("long", frames)):
        path = place / f"{name}.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, _SIZE)
        for number in range(count):
            writer.write(pictures[number % len(pictures)])
        writer.release()
        made.append(path)
    return made[0], made[1]


def decode(video: Path) -> float:
    """Milliseconds a frame of reading alone."""
    from lensmith.predict.video import VideoSource

    source = VideoSource(video)
    started = time.perf_counter()
    count = sum(1 for _ in source)
    return 1000 * (time.perf_counter() - started) / count


def model_alone(video: Path, bundle: Path, engine: str, frames: int) -> dict[str, object]:
    """Milliseconds a frame of the model alone, as the loop uses it, and the engine's name."""
    from lensmith.predict.model import open_model
    from lensmith.predict.video import VideoSource
    from lensmith.weights.bundle import read_bundle

    model = open_model(read_bundle(bundle), engine=engine)
    ready = []
    for frame in VideoSource(video):
        ready.append(model.prepare(frame.bgr))
        if len(ready) == 64:
            break
    size = model.batch
    batches = [[ready[(start + step) % len(ready)] for step in range(size)] for start in range(0, frames, size)]
    for _ in model.stream(enumerate(batches[: max(16 // size, 2)])):
        pass  # warm
    started = time.perf_counter()
    for _, answers in model.stream(enumerate(batches)):
        np.asarray([np.asarray(one).ravel()[0] for one in answers])  # in our hands, not only promised
    took = time.perf_counter() - started
    return {"ms": 1000 * took / (size * len(batches)), "engine": model.engine_name}


def in_child(part: str, given: argparse.Namespace, video: Path, bundle: Path, cache: Path) -> dict[str, object]:
    """One of the parts in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--video", str(video), "--bundle", str(bundle),
               "--frames", str(given.frames), "--engine", given.engine]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, "CV_CACHE": str(cache)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared/data"))
    parser.add_argument("--video", type=Path, default=data / "video/household-items-short.mp4")
    parser.add_argument("--checkpoint", type=Path, default=data / "weights/yolov8n-coco.pt")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--part")
    parser.add_argument("--bundle", type=Path)
    given = parser.parse_args()
    if given.part == "decode":
        print(json.dumps({"ms": decode(given.video)}))
        return
    if given.part == "model":
        print(json.dumps(model_alone(given.video, given.bundle, given.engine, given.frames)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(given, Path(temporary))


def compare(given: argparse.Namespace, place: Path) -> None:
    """The rounds and the table."""
    from lensmith.core.device import usable_cores

    bundle = make_bundle(given.checkpoint.resolve(), place, given.size)
    short, long = make_videos(given.video.resolve(), place, given.frames)
    cache = place / "cache"
    cache.mkdir()
    options = ("--engine", given.engine)
    commands = {
        "cv predict": lambda video: cv_predict(video, bundle, *options),
        "yolo predict": lambda video: yolo_predict(video, bundle / "model.pt", given.size),
    }
    for command in commands.values():  # measures its engines, fills its caches
        seconds_of(command(short), cache)
    parts: dict[str, list[float]] = {"decoding alone": [], "model alone": []}
    quick: dict[str, list[float]] = {name: [] for name in commands}
    whole: dict[str, list[float]] = {name: [] for name in commands}
    engine = ""
    for _ in range(given.rounds):
        parts["decoding alone"].append(float(str(in_child("decode", given, long, bundle, cache)["ms"])))
        alone = in_child("model", given, long, bundle, cache)
        parts["model alone"].append(float(str(alone["ms"])))
        engine = str(alone["engine"])
        for name, command in commands.items():
            quick[name].append(seconds_of(command(short), cache))
            whole[name].append(seconds_of(command(long), cache))
    tell(given, engine, usable_cores(), parts, quick, whole)


def tell(
    given: argparse.Namespace, engine: str, cores: int, parts: dict[str, list[float]], quick: dict[str, list[float]],
    whole: dict[str, list[float]],
) -> None:  # fmt: skip
    """The table."""
    medians = [statistics.median(values) for values in parts.values()]
    bound = max(medians) if cores > 1 else sum(medians)
    print(f"{given.frames} frames of {_SIZE[0]} x {_SIZE[1]}, model at {given.size} pixels on {engine}, cores: {cores},"
          f" medians of {given.rounds} rounds")  # fmt: skip
    print(f"{'':16}{'ms a frame':>12}{'of bound':>10}{'whole s':>10}")
    for name, middle in zip(parts, medians, strict=True):
        print(f"{name:16}{middle:12.2f}{middle / bound:10.2f}")
    print(f"{'bound':16}{bound:12.2f}{1:10.2f}")
    more = given.frames - given.frames // 4
    middle = {name: 1000 * slope(quick[name], whole[name]) / more for name in whole}
    for name, values in whole.items():
        print(f"{name:16}{middle[name]:12.2f}{middle[name] / bound:10.2f}{statistics.median(values):10.2f}")
    ratio = statistics.median(whole["yolo predict"]) / statistics.median(whole["cv predict"])
    print(f"cv predict is {middle['yolo predict'] / middle['cv predict']:.2f} times as fast a frame as yolo predict,"
          f" {ratio:.2f} times with the start of both")  # fmt: skip


if __name__ == "__main__":
    main()
