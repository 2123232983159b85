"""Small real pictures, datasets and commands for the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

COUNTS = {"train": 4, "valid": 2, "test": 2}


def make_picture(path: Path, width: int = 64, height: int = 48, seed: int = 0) -> Path:
    """A smooth random picture, so that JPEG keeps it nearly as it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    assert done
    path.write_bytes(data.tobytes())
    return path


def make_yolo_dataset(
    root: Path,
    counts: Mapping[str, int] = COUNTS,
    names: Sequence[str] = ("cat", "dog"),
    width: int = 64,
    height: int = 48,
) -> Path:
    """A dataset in Roboflow's YOLO layout, with its `../train/images` paths; one box a picture.

    Each box is a filled rectangle in the colour of its class, so that a model can learn it.
    """
    colours = [(40, 40, 220), (220, 40, 40), (40, 220, 40), (40, 220, 220)]
    for split, count in counts.items():
        (root / split / "images").mkdir(parents=True, exist_ok=True)
        (root / split / "labels").mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = sum(split.encode()) + number
            rng = np.random.default_rng(seed)
            picture = make_picture(root / split / "images" / f"{split}-{number:03d}.png", width, height, seed)
            class_id = number % len(names)
            w, h = rng.uniform(0.3, 0.5, 2)
            cx, cy = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
            bgr = cv2.imdecode(np.frombuffer(picture.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            corner = (int((cx - w / 2) * width), int((cy - h / 2) * height))
            opposite = (int((cx + w / 2) * width), int((cy + h / 2) * height))
            cv2.rectangle(bgr, corner, opposite, colours[class_id % len(colours)], -1)
            picture.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
            label = root / split / "labels" / f"{picture.stem}.txt"
            label.write_text(f"{class_id} {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n")
    data = {
        "train": "../train/images",
        "val": "../valid/images",
        "test": "../test/images",
        "nc": len(names),
        "names": list(names),
    }
    (root / "data.yaml").write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return root


def make_folder_dataset(
    root: Path,
    counts: Mapping[str, int] = COUNTS,
    names: Sequence[str] = ("cat", "dog"),
    width: int = 64,
    height: int = 48,
) -> Path:
    """A folder-per-class dataset; `counts` are pictures per class. Each class has a tint of its own."""
    for split, count in counts.items():
        for class_id, name in enumerate(names):
            for number in range(count):
                path = root / split / name / f"{split}-{class_id}-{number:03d}.png"
                make_picture(path, width, height, sum(split.encode()) + 100 * class_id + number)
                bgr = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
                bgr[:, :, class_id % 3] = np.clip(bgr[:, :, class_id % 3].astype(int) + 120, 0, 255).astype(np.uint8)
                path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
    return root


def run_cv(
    *args: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the real `cv` in a process of its own."""
    return subprocess.run(
        [cv_path(), *map(str, args)],
        cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def records_of(stdout: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What `cv predict --json` printed: a record for each frame, and the reason for each picture that was skipped."""
    lines = [json.loads(line) for line in stdout.splitlines()]
    return [one for one in lines if "skipped" not in one], {x["source"]: x["skipped"] for x in lines if "skipped" in x}


def cv_path() -> str:
    """The `cv` that belongs to the Python which runs the tests."""
    return str(Path(sys.executable).with_name("cv.exe" if os.name == "nt" else "cv"))
