"""How fast a folder of photographs is predicted on with a GPU, beside Ultralytics' CLI on the same GPU.

    python benchmarks/gpu_predict.py [--pictures 2048] [--size 640] [--rounds 3] [--data FOLDER] [--half]

The same photographs, the same yolov8n with COCO's classes, each command in a process of its own, in turns; the medians
of the rounds. "img/s" is the slope between a folder of a quarter of the photographs and the whole one, so that the
start of the process counts for neither; "whole" is the process on the whole folder with its start. The rows:
`cv predict` with each engine that finds a GPU here, `yolo predict` as it comes (one picture at a time), and with
batches of 32 and half precision, which a person has to know of. With --half, a half-precision export of the model is
measured too where `cv export` can make one here.

Says so, and ends with 0, where there is no GPU.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from evaluate_speed import make_bundle
from whole_commands import cv_predict, seconds_of, slope, yolo_predict

_REPOSITORY = Path(__file__).resolve().parent.parent
_ENGINES = ("auto", "ultralytics", "onnxruntime", "tensorrt")

Command = Callable[[Path], list[str]]


def gpu_name() -> str | None:
    """The name of the first GPU, asked in a process of its own; None where torch sees none."""
    code = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def make_folders(data: Path, place: Path, count: int) -> tuple[Path, Path]:
    """A quarter of the photographs, and so many; repeated where there are fewer."""
    found = sorted(path for path in data.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not found:
        raise SystemExit(f"there is no photograph in {data}")
    made = []
    for name, many in (("quarter", count // 4), ("all", count)):
        folder = place / name
        folder.mkdir()
        for number in range(many):
            shutil.copyfile(found[number % len(found)], folder / f"{number:06d}.jpg")
        made.append(folder)
    return made[0], made[1]


def half_export(bundle: Path, workspace: Path) -> Path | None:
    """The model exported in half precision for this GPU, None where that cannot be done here."""
    weights = workspace / "weights" / "coco"
    weights.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, weights)
    command = [sys.executable, "-m", "lensmith.cli", "export", "coco", "--to", "tensorrt", "--half", "--name", "half",
               "--workspace", str(workspace)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print("no half-precision export here:", next(iter(done.stderr.splitlines()[-3:]), ""))
        return None
    return workspace / "weights" / "half"


def usable(commands: dict[str, Command], folder: Path, cache: Path) -> dict[str, Command]:
    """Those that run here; each is warm afterwards: engines measured, caches filled."""
    found = {}
    for name, command in commands.items():
        try:
            seconds_of(command(folder), cache)
        except SystemExit as error:
            print(f"left out: {name}: {str(error).strip().splitlines()[-1]}")
        else:
            found[name] = command
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared/data"))
    parser.add_argument("--data", type=Path, default=data / "classify/catsdogs")
    parser.add_argument("--checkpoint", type=Path, default=data / "weights/yolov8n-coco.pt")
    parser.add_argument("--pictures", type=int, default=2048)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--device", default="0", help="the GPU's number; cpu tries the benchmark itself out")
    given = parser.parse_args()
    name = "the CPU" if given.device == "cpu" else gpu_name()
    if name is None:
        print("There is no GPU here that torch sees: nothing is measured. benchmarks/video_speed.py measures on a CPU.")
        return
    with tempfile.TemporaryDirectory() as temporary:
        compare(given, name, Path(temporary))


def compare(given: argparse.Namespace, name: str, place: Path) -> None:
    """The rounds and the table."""
    cache = place / "cache"
    cache.mkdir()
    bundle = make_bundle(given.checkpoint.resolve(), place, given.size)
    quarter, whole_folder = make_folders(given.data.resolve(), place, given.pictures)
    device = ("--device", given.device)
    commands: dict[str, Command] = {
        f"cv predict, {engine}": lambda folder, engine=engine: cv_predict(folder, bundle, "--engine", engine, *device)
        for engine in _ENGINES
    }
    if given.half and (half := half_export(bundle, place / "ws")):
        commands["cv predict, half export"] = lambda folder: cv_predict(folder, half, *device)
    checkpoint, where = bundle / "model.pt", f"device={given.device}"
    commands["yolo predict"] = lambda folder: yolo_predict(folder, checkpoint, given.size, where)
    commands["yolo predict, batch=32 half"] = lambda folder: yolo_predict(
        folder, checkpoint, given.size, where, "batch=32", "half=True"
    )
    commands = usable(commands, quarter, cache)
    quick: dict[str, list[float]] = {way: [] for way in commands}
    whole: dict[str, list[float]] = {way: [] for way in commands}
    for _ in range(given.rounds):
        for way, command in commands.items():
            quick[way].append(seconds_of(command(quarter), cache))
            whole[way].append(seconds_of(command(whole_folder), cache))
    tell(given, name, quick, whole)


def tell(given: argparse.Namespace, name: str, quick: dict[str, list[float]], whole: dict[str, list[float]]) -> None:
    """The table; ratios to `yolo predict` as it comes."""
    more = given.pictures - given.pictures // 4
    seconds = {way: statistics.median(values) for way, values in whole.items()}
    rates = {way: more / slope(quick[way], whole[way]) for way in whole}
    peer = "yolo predict"
    print(f"{given.pictures} photographs, yolov8n at {given.size} pixels, {name}, {os.cpu_count()} cores,"
          f" medians of {given.rounds} rounds")  # fmt: skip
    print(f"{'':30}{'img/s':>9}{'ratio':>8}{'whole s':>10}{'ratio':>8}")
    for way, rate in rates.items():
        print(f"{way:30}{rate:9.1f}{rate / rates[peer]:8.2f}{seconds[way]:10.2f}{seconds[peer] / seconds[way]:8.2f}")


if __name__ == "__main__":
    main()
