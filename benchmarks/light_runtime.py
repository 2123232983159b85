"""How small Lensmith is where models only run, and how soon the first prediction is there.

    python benchmarks/light_runtime.py --weights BUNDLE [--picture FILE] [--rounds 5] [--extras run openvino]

Builds the wheel, and for each extra makes a fresh environment with `lensmith[EXTRA]` alone, from the package index of
the person's own settings (uv is $UV, or the one on PATH, or `python -m uv`). Then the size of its site-packages and of
what Python compiles there (pip does so at once, uv when a module is first used), the largest packages in it, and the
seconds from the start of `cv predict PICTURE --weights BUNDLE --json` to its end, which is when the first prediction is
written: once with an empty cache (the bundle is tried out and its golden samples are compared then), and the median of
the rounds after that. Beside it, in the same turns, a peer: Python starting, importing the same engine and OpenCV, and
running the same model once, without anything of ours.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent
_ROOMS = ("core", "report", "datasets", "weights", "predict", "detect", "classify", "cli")
_GOALS = {"run": 400, "openvino": 500}
_PEER = {
    "run": """
import sys, cv2, numpy, onnxruntime
side = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1])
session.run(None, {"pictures": numpy.zeros((1, side, side, 3), numpy.uint8)})
""",
    "openvino": """
import sys, cv2, numpy, openvino
side = int(sys.argv[2])
core = openvino.Core()
graph = core.read_model(sys.argv[1])
graph.reshape([1, side, side, 3])
core.compile_model(graph, "CPU")(numpy.zeros((1, side, side, 3), numpy.uint8))
""",
}


def uv() -> list[str]:
    """The command that starts uv."""
    named = os.environ.get("UV") or shutil.which("uv")
    return [named] if named else [sys.executable, "-m", "uv"]


def build(place: Path) -> Path:
    """The wheel, built from a copy: setuptools leaves folders behind in what it builds."""
    source = place / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(_REPOSITORY / name, source / name)
    for room in _ROOMS:
        shutil.copytree(_REPOSITORY / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([*uv(), "build", "--quiet", "--wheel", "--out-dir", str(place), str(source)], check=True)
    return next(place.glob("*.whl"))


def environment(wheel: Path, extra: str, place: Path) -> Path:
    """A fresh environment with one extra; gives its Python."""
    folder = place / f"environment-{extra}"
    subprocess.run([*uv(), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = f"{wheel}[{extra}]"
    # Compiled as pip does it: without, the first start of every module is slower and the figures would flatter us.
    install = [*uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), wanted]
    subprocess.run(install, check=True)
    return python


def sizes(python: Path) -> tuple[float, float, list[tuple[str, float]]]:
    """Megabytes of site-packages, of what Python compiled there, and of the largest folders in it."""
    asked = subprocess.run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    folder = Path(asked.stdout.strip())
    parts = {
        child.name: sum(file.lstat().st_size for file in child.rglob("*") if file.is_file()) / 1e6
        for child in folder.iterdir()
        if child.is_dir()
    }
    whole = sum(parts.values()) + sum(file.lstat().st_size for file in folder.iterdir() if file.is_file()) / 1e6
    compiled = sum(file.lstat().st_size for file in folder.rglob("*.pyc")) / 1e6
    return whole, compiled, sorted(parts.items(), key=lambda item: -item[1])[:5]


def seconds(command: list[str], cache: Path) -> float:
    """How long a command takes from its start to its end."""
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "CV_CACHE": str(cache)}, capture_output=True, text=True,
                          check=False, cwd=cache.parent)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}")
    return time.perf_counter() - started


def side_of(bundle: Path) -> int:
    """The side of the model's input in pixels."""
    from lensmith.weights.bundle import read_record

    return read_record(bundle).preprocessing.height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--extras", nargs="+", choices=sorted(_GOALS), default=["run", "openvino"])
    given = parser.parse_args()
    bundle = given.weights.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        picture = given.picture.resolve() if given.picture else place / "picture.jpg"
        if given.picture is None:
            import cv2
            import numpy as np

            cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))
        wheel, side = build(place), side_of(bundle)
        print(f"{'extra':10}{'MB':>8}{'+ pyc':>8}{'goal':>8}{'first s':>10}{'again s':>10}{'peer s':>10}{'ratio':>8}")
        for extra in given.extras:
            python = environment(wheel, extra, place)
            whole, compiled, largest = sizes(python)
            ours = [str(python), "-m", "lensmith.cli", "predict", str(picture), "--weights", str(bundle), "--json"]
            peer = [str(python), "-c", _PEER[extra], str(bundle / "model.onnx"), str(side)]
            seconds(peer, place / "warm")  # both have their files in the system's memory
            seconds(ours, place / "warm")
            first = seconds(ours, place / f"cache-{extra}")
            told = [
                (seconds(ours, place / f"cache-{extra}"), seconds(peer, place / "warm")) for _ in range(given.rounds)
            ]
            again, beside = (statistics.median(column) for column in zip(*told, strict=True))
            size = f"{extra:10}{whole - compiled:8.0f}{compiled:8.0f}{_GOALS[extra]:8}"
            print(f"{size}{first:10.2f}{again:10.2f}{beside:10.2f}{again / beside:8.2f}")
            print(f"{'':10}{', '.join(f'{name} {size:.0f}' for name, size in largest)}")


if __name__ == "__main__":
    main()
