"""How long it takes to measure a detector, beside Ultralytics' own `val`, and what both come to.

    python benchmarks/evaluate_speed.py [--pictures 300] [--size 320] [--rounds 3] [--data FOLDER]

The same photographs of cats and dogs, the same yolov8n with COCO's classes, the same labels (what the model sees at
another size, moved a little), each in a process of its own, in turns: `cv evaluate`'s library call through the shipped
path (ONNX Runtime), Ultralytics' `YOLO.val` as it comes (batch 16), and the same with all CPU threads. "measuring" is
from the loaded model to the figures with their intervals (of Ultralytics: `val` without its imports), "whole" the
process from start to end; the median of the rounds, and the ratio to Ultralytics as it comes. Then the milliseconds a
picture that each stage of our loop takes, the figures with our 1000 draws, and, beside Ultralytics' figures, ours
counted as it counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

_REPOSITORY = Path(__file__).resolve().parent.parent
_WAYS = ("ours", "ultralytics", "ultralytics, all threads")
_LABEL_SIZE = 480


def make_bundle(checkpoint: Path, place: Path, size: int) -> Path:
    """The checkpoint as a bundle, as `cv weights import` makes it."""
    command = [sys.executable, "-P", "-m", "lensmith.cli", "weights", "import", str(checkpoint.resolve()), "--name",
               f"coco{size}", "--imgsz", str(size), "--workspace", str(place)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return place / "weights" / f"coco{size}"


def make_dataset(photographs: list[Path], bundle: Path, root: Path, count: int) -> None:
    """So many copies of photographs, labelled with what the model sees, moved a little and a fifth left out."""
    from lensmith.predict.loop import predict_frames
    from lensmith.predict.model import open_model
    from lensmith.predict.results import Detections
    from lensmith.predict.sources import PictureSource
    from lensmith.weights.bundle import read_bundle

    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True)
    model = open_model(read_bundle(bundle), device="cpu")
    chosen = [photographs[number % len(photographs)] for number in range(count)]
    rows: dict[Path, str] = {}
    for prediction in predict_frames(PictureSource("photographs", sorted(set(chosen))), model, confidence=0.3):
        assert isinstance(prediction.result, Detections)
        height, width = prediction.frame.bgr.shape[:2]
        found = prediction.result.xyxy / np.array([width, height, width, height])
        moved = np.clip(found + rng.normal(0, 0.02, found.shape), 0, 1)
        rows[Path(prediction.frame.source)] = "".join(
            f"{c} {(a + d) / 2:.6f} {(b + e) / 2:.6f} {d - a:.6f} {e - b:.6f}\n"
            for c, (a, b, d, e) in zip(prediction.result.class_id, moved, strict=True)
            if rng.random() < 0.8 and d - a > 0.01 and e - b > 0.01
        )
    for number, picture in enumerate(chosen):
        shutil.copyfile(picture, root / "valid" / "images" / f"{number:05d}.jpg")
        (root / "valid" / "labels" / f"{number:05d}.txt").write_text(rows.get(picture, ""))
    shutil.copyfile(chosen[0], root / "train" / "images" / "one.jpg")
    names = dict(enumerate(read_bundle(bundle).record.names))
    data = {"path": str(root), "train": "train/images", "val": "valid/images", "names": names}
    (root / "data.yaml").write_text(yaml.safe_dump(data))


def ours(bundle: Path, root: Path) -> dict[str, Any]:
    """Through the shipped path; "profile" is measured in a second pass."""
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.read import open_dataset
    from lensmith.detect.evaluate import evaluate_items
    from lensmith.predict.loop import predict_frames
    from lensmith.predict.model import open_model
    from lensmith.predict.sources import PictureSource
    from lensmith.weights.bundle import read_bundle

    opened, dataset = read_bundle(bundle), open_dataset(root, Workspace(root.parent))
    model = open_model(opened, device="cpu")
    items = list(dataset.items("valid"))
    started = time.perf_counter()
    evaluation = evaluate_items(opened, model, dataset, items, "valid")
    found = time.perf_counter()
    scores = evaluation.scores
    done = time.perf_counter()
    stages: dict[str, float] = {}
    for prediction in predict_frames(
        PictureSource("again", [item.image for item in items[:100]]), model, confidence=0.001
    ):
        for stage, spent in prediction.milliseconds.items():
            stages[stage] = stages.get(stage, 0.0) + spent / min(len(items), 100)
    detections = sum(len(one.found) for one in evaluation.pictures) / max(len(evaluation), 1)
    return {"measuring": done - started, "figures": done - found, "stages": stages, "draws": scores.draws,
            "detections": detections, "metrics": scores.as_metrics()}  # fmt: skip


def as_ultralytics_counts(bundle: Path, root: Path) -> dict[str, Any]:
    """Our figures, counted as its `val` does."""
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.read import open_dataset
    from lensmith.detect.evaluate import evaluate_detector
    from lensmith.weights.bundle import read_bundle

    dataset = open_dataset(root, Workspace(root.parent))
    evaluation = evaluate_detector(read_bundle(bundle), dataset, "valid", device="cpu", protocol="ultralytics")
    return {"metrics": evaluation.scores.as_metrics()}


def theirs(bundle: Path, root: Path, *, all_threads: bool) -> dict[str, Any]:
    """`YOLO.val`, as it comes or with all threads."""
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    import torch
    from ultralytics import YOLO

    from lensmith.core.device import usable_cores

    size = int(bundle.name.removeprefix("coco"))
    model = YOLO(bundle / "model.pt")
    if all_threads:
        model.add_callback("on_val_start", lambda _: torch.set_num_threads(usable_cores()))
    (root / "valid" / "labels.cache").unlink(missing_ok=True)
    started = time.perf_counter()
    found = model.val(data=str(root / "data.yaml"), imgsz=size, device="cpu", plots=False, verbose=False, workers=0,
                      project=str(root.parent / "runs"), name="val", exist_ok=True)  # fmt: skip
    return {"measuring": time.perf_counter() - started,
            "metrics": {"mAP50": float(found.box.map50), "mAP50-95": float(found.box.map)}}  # fmt: skip


def child(way: str, bundle: Path, root: Path) -> dict[str, Any]:
    """One way in this process."""
    cv2.setNumThreads(0)
    if way == "ours":
        told = ours(bundle, root)
    elif way == "as ultralytics counts":
        told = as_ultralytics_counts(bundle, root)
    else:
        told = theirs(bundle, root, all_threads=way.endswith("threads"))
    status = Path("/proc/self/status").read_text()  # what getrusage says counts the parent too
    told["memory"] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return told


def run(way: str, bundle: Path, root: Path) -> dict[str, Any]:
    """One way in a process of its own."""
    started = time.perf_counter()
    environment = {**os.environ, "CV_CACHE": str(root.parent / "cache")}
    command = [sys.executable, __file__, "--child", way, "--bundle", str(bundle), "--root", str(root)]
    done = subprocess.run(command, env=environment, cwd=_REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    return {**json.loads(done.stdout.splitlines()[-1]), "whole": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CV_TEST_DATA", "../shared/data")))
    parser.add_argument("--child")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child, given.bundle, given.root)))
        return
    source = (given.data / "classify/catsdogs").resolve()
    photographs = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        checkpoint = (given.data / "weights/yolov8n-coco.pt").resolve()
        bundle, root = make_bundle(checkpoint, place, given.size), place / "pets"
        make_dataset(photographs, make_bundle(checkpoint, place, _LABEL_SIZE + 32), root, given.pictures)
        told = {way: [] for way in _WAYS}
        for _ in range(given.rounds):
            for way in _WAYS:
                told[way].append(run(way, bundle, root))
        alike = run("as ultralytics counts", bundle, root)
    tell(given, told, alike)


def tell(given: argparse.Namespace, told: dict[str, list[dict[str, Any]]], alike: dict[str, Any]) -> None:
    """The table."""
    print(f"{given.pictures} pictures at {given.size} pixels, {given.rounds} rounds, {os.cpu_count()} cores")
    print(f"{'':26}{'measuring s':>14}{'ratio':>8}{'whole s':>10}{'ratio':>8}{'MiB':>8}")
    median = {way: {key: statistics.median(one[key] for one in rounds) for key in ("measuring", "whole", "memory")}
              for way, rounds in told.items()}  # fmt: skip
    base = median["ultralytics"]
    for way, row in median.items():
        print(f"{way:26}{row['measuring']:14.2f}{row['measuring'] / base['measuring']:8.2f}{row['whole']:10.2f}"
              f"{row['whole'] / base['whole']:8.2f}{row['memory']:8.0f}")  # fmt: skip
    last = told["ours"][-1]
    stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in last["stages"].items())
    print(f"ours, ms a picture: {stages}; {last['detections']:.0f} detections each; figures with {last['draws']} draws"
          f" {last['figures']:.2f} s in all")  # fmt: skip
    rows = {"ours": last, "ours, as Ultralytics counts": alike, "ultralytics": told["ultralytics"][-1]}
    for name, row in rows.items():
        print(f"{name}: mAP50 {row['metrics']['mAP50']:.4f}, mAP50-95 {row['metrics']['mAP50-95']:.4f}")


if __name__ == "__main__":
    main()
