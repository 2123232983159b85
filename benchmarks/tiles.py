"""What tiles bring, and whether what several tiles say is put together rightly.

    python benchmarks/tiles.py [--data FOLDER] [--weights yolov8n-coco.pt] [--pictures 16] [--save FOLDER]

merging: crowds of things of which each tile reports exactly what it sees. Of 1,000 things, how many are lost, come out
twice or as a part, and how long a crowd takes: with `merge_tiles`, with plain suppression, and with SAHI's own merging
(GreedyNMM, intersection over smaller above 0.5) where the package `sahi` is installed.

pictures: photographs of cats and dogs, pasted small onto large photographs of flowers, 2560 x 1706. The boxes are those
which the same model finds in the photographs at their full size, so what is missing is lost by the size alone. mAP,
recall of what is shown, and milliseconds a picture, as a whole and in tiles; then what `choose_tiles` would do, also
for the photographs as they are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import yaml

from lensmith.core.images import read_image, write_image
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.evaluate import evaluate_items
from lensmith.detect.tiles import choose_tiles
from lensmith.predict.decode import suppress
from lensmith.predict.draw import draw
from lensmith.predict.loop import predict_frames
from lensmith.predict.merge import merge_tiles
from lensmith.predict.model import Model, open_model
from lensmith.predict.results import Detections, Frame
from lensmith.predict.tiles import Tiled, tile_places
from lensmith.weights.bundle import Bundle, Tiles

_REPOSITORY = Path(__file__).resolve().parent.parent
_CROWDS = 20
_NAMES = ("cat", "dog")
_LARGE = (2560, 1706)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--save", type=Path, help="write the pictures with what was found in them here")
    given = parser.parse_args()
    merging()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        bundle = make_bundle(given.weights or given.data / "weights" / "yolov8n-coco.pt", Path(folder) / "bundle")
        pictures(bundle, given.data, workspace, given.pictures, given.save)


def merging() -> None:
    """Crowds in tiles with a perfect detector."""
    print(f"{'merging':<22}{'lost':>8}{'too many':>10}{'ms a crowd':>12}   of 1,000 things")
    for name, merge in _rules().items():
        lost = extra = things = 0
        seconds = []
        for seed in range(_CROWDS):
            truth, found, places = crowd(seed)
            begun = time.perf_counter()
            got = merge(found, places)
            seconds.append(time.perf_counter() - begun)
            right = sum(bool(len(got)) and float(np.abs(got - box).max(axis=1).min()) < 0.5 for box in truth)
            lost += len(truth) - right
            extra += len(got) - right
            things += len(truth)
        print(f"{name:<22}{1000 * lost / things:>8.1f}{1000 * extra / things:>10.1f}"
              f"{1000 * statistics.median(seconds):>12.1f}")  # fmt: skip


def crowd(seed: int) -> tuple[np.ndarray, list[Detections], np.ndarray]:
    """True boxes, what each tile reports of those it sees at least a third of, and the tiles, 1400 x 1000 pixels."""
    rng = np.random.default_rng(seed)
    places = tile_places(1400, 1000, Tiles(size=400, overlap=0.2))
    centre, side = rng.uniform([60, 60], [1340, 940], (150, 2)), rng.uniform(20, 78, (150, 2))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    boxes = boxes[[i for i in range(150) if not i or _iou(boxes[i], boxes[:i]).max() < 0.45]]
    found = []
    for x1, y1, x2, y2 in places.tolist():
        inside = np.clip(boxes, [x1, y1, x1, y1], [x2, y2, x2, y2])
        share = (inside[:, 2:] - inside[:, :2]).prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        seen = np.flatnonzero(share > 1 / 3)
        sure = np.sort(rng.uniform(0.4, 0.9, len(seen)))[::-1].astype(np.float32)
        found.append(Detections((inside[seen] - [x1, y1, x1, y1]).astype(np.float32), np.zeros(len(seen), int), sure))
    return boxes, found, places


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return sides.prod(axis=1) / (areas - sides.prod(axis=1))


def _rules() -> dict[str, Callable[[list[Detections], np.ndarray], np.ndarray]]:
    def ours(found: list[Detections], places: np.ndarray) -> np.ndarray:
        return merge_tiles(found, places, np.zeros(1), 1000).xyxy

    def plain(found: list[Detections], places: np.ndarray) -> np.ndarray:
        xyxy, sure = _together(found, places)
        return xyxy[suppress(xyxy, np.zeros(len(xyxy), int), sure, 0.5, 1000)]

    rules = {"merge_tiles": ours, "suppression, IoU 0.5": plain}
    if importlib.util.find_spec("sahi"):
        rules["SAHI's GreedyNMM"] = _sahi
    return rules


def _together(found: list[Detections], places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    boxes = [one.xyxy + np.tile(place[:2], 2) for one, place in zip(found, places, strict=True)]
    return np.concatenate(boxes).astype(np.float32), np.concatenate([one.confidence for one in found])


def _sahi(found: list[Detections], places: np.ndarray) -> np.ndarray:
    from sahi.postprocess.combine import GreedyNMMPostprocess
    from sahi.prediction import ObjectPrediction

    xyxy, sure = _together(found, places)
    things = [
        ObjectPrediction(bbox=box.tolist(), category_id=0, category_name="thing", score=float(score))
        for box, score in zip(xyxy, sure, strict=True)
    ]
    merge = GreedyNMMPostprocess(match_threshold=0.5, match_metric="IOS")
    return np.array([one.bbox.to_xyxy() for one in merge(things)], np.float32).reshape(-1, 4)


def make_bundle(weights: Path, folder: Path) -> Bundle:
    """A bundle of a checkpoint as it comes."""
    from lensmith.core.isolation import isolate_ultralytics
    from lensmith.detect.portable import export_portable, strip_checkpoint
    from lensmith.predict.engines.ultralytics import MODEL_NAME, TorchDetector
    from lensmith.weights.bundle import PORTABLE_NAME, BundleRecord, DetectorRecord, Preprocessing, write_bundle

    isolate_ultralytics()
    folder.mkdir()
    strip_checkpoint(weights, folder / MODEL_NAME, 300)
    export_portable(folder / MODEL_NAME, folder / PORTABLE_NAME, 640, 300)
    from ultralytics.nn.tasks import load_checkpoint

    names = load_checkpoint(folder / MODEL_NAME)[0].names
    detector = TorchDetector(folder / MODEL_NAME, "cpu")
    record = BundleRecord(
        name="coco", task="detect", names=tuple(names[i] for i in range(len(names))),
        preprocessing=Preprocessing(width=640, height=640, resize="letterbox"),
        detector=DetectorRecord(family="yolov8n", output=detector.output),
    )  # fmt: skip
    sample = np.full((1, 640, 640, 3), 114, np.uint8)

    def fill(target: Path) -> None:
        for name in (MODEL_NAME, PORTABLE_NAME):
            (folder / name).rename(target / name)

    return write_bundle(folder.with_name("coco"), record, fill, golden=(sample, detector.infer(sample)))


def pictures(bundle: Bundle, data: Path, workspace: Workspace, count: int, save: Path | None) -> None:
    """Small cats and dogs in large pictures."""
    model = open_model(bundle)
    photographs = find_animals(model, data / "classify" / "catsdogs", 3 * count)
    paste(photographs, data / "classify" / "flowers", workspace.datasets / "large", count)
    write_dataset(photographs, workspace.datasets / "photographs")
    print(f"\n{'pictures':<22}{'mAP50':>8}{'mAP50-95':>10}{'recall':>8}{'ms':>8}")
    for name in ("large", "photographs"):
        dataset = open_dataset(name, workspace)
        items = list(dataset.items("valid"))
        plain = None
        for tiles in (None, Tiles(size=640), Tiles(size=1280)):
            used = Tiled(model, tiles) if tiles else model
            begun = time.perf_counter()
            found = evaluate_items(bundle, used, dataset, items, "valid")
            ms = 1000 * (time.perf_counter() - begun) / len(items)
            plain = plain or found
            told = found.scores.as_metrics()
            title = f"{name}, {f'tiles of {tiles.size}' if tiles else 'whole'}"
            print(f"{title:<22}{told['mAP50']:>8.3f}{told['mAP50-95']:>10.3f}{told['recall']:>8.3f}{ms:>8.0f}")
        assert plain is not None
        choice = choose_tiles(plain, model, dataset, items, "auto", None)
        print(f"{name}: tiles {'not even tried' if choice.trial is None else choice.tiles or 'not used'}")
    if save:
        save_drawn(model, open_dataset("large", workspace), save)


def find_animals(model: Model, folder: Path, count: int) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Photographs in which the model finds one cat or dog and is sure: BGR, xyxy of the box, class."""
    found = []
    paths = [path for name in ("cat", "dog") for path in sorted(folder.rglob(f"*{name}*.jpg"))[:200]]
    rng = np.random.default_rng(0)
    rng.shuffle(paths)  # type: ignore[arg-type]
    frames = (Frame(read_image(path), str(path), number) for number, path in enumerate(paths))
    for done in predict_frames(frames, model, confidence=0.25):
        result = done.result
        assert isinstance(result, Detections)
        if len(result) == 1 and result.confidence[0] > 0.6 and model.names[int(result.class_id[0])] in _NAMES:
            found.append((done.frame.bgr, result.xyxy[0], model.names[int(result.class_id[0])]))
        if len(found) == count:
            break
    return found


def paste(animals: list[tuple[np.ndarray, np.ndarray, str]], flowers: Path, root: Path, count: int) -> Path:
    """Large pictures with six small photographs on each, one in each field of a grid of 3 x 2."""
    rng = np.random.default_rng(1)
    grounds = sorted(flowers.rglob("*.jpg"))
    rows: list[tuple[np.ndarray, list[tuple[np.ndarray, str]]]] = []
    for number in range(count):
        canvas = cv2.resize(read_image(grounds[number]), _LARGE, interpolation=cv2.INTER_CUBIC)
        boxes = []
        for place in range(6):
            bgr, box, name = animals[(6 * number + place) % len(animals)]
            scale = rng.uniform(64, 110) / np.sqrt((box[2:] - box[:2]).prod())
            small = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            height, width = small.shape[:2]
            x = 853 * (place % 3) + int(rng.integers(0, 853 - width))
            y = 853 * (place // 3) + int(rng.integers(0, 853 - height))
            canvas[y : y + height, x : x + width] = small
            boxes.append((box * scale + [x, y, x, y], name))
        rows.append((canvas, boxes))
    return _write(root, rows)


def write_dataset(animals: list[tuple[np.ndarray, np.ndarray, str]], root: Path) -> Path:
    """The photographs as they are."""
    return _write(root, [(bgr, [(box, name)]) for bgr, box, name in animals])


def _write(root: Path, rows: list[tuple[np.ndarray, list[tuple[np.ndarray, str]]]]) -> Path:
    for part in ("images", "labels"):
        (root / "train" / part).mkdir(parents=True)
        (root / "valid" / part).mkdir(parents=True)
    for number, (bgr, boxes) in enumerate(rows):
        size = np.array([bgr.shape[1], bgr.shape[0]])
        lines = []
        for box, name in boxes:
            centre, side = (box[:2] + box[2:]) / 2 / size, (box[2:] - box[:2]) / size
            lines.append(f"{_NAMES.index(name)} {' '.join(f'{value:.6f}' for value in (*centre, *side))}\n")
        for split in ("train", "valid") if not number else ("valid",):  # a dataset has something to learn from
            write_image(root / split / "images" / f"{number}.png", bgr)
            (root / split / "labels" / f"{number}.txt").write_text("".join(lines), encoding="utf-8")
    data = {"train": "train/images", "val": "valid/images", "names": list(_NAMES)}
    (root / "data.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return root


def save_drawn(model: Model, dataset: Dataset, folder: Path) -> None:
    """The large pictures with what was found in tiles."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = (Frame(read_image(item.image), item.image.name) for item in dataset.items("valid"))
    for done in predict_frames(frames, Tiled(model, Tiles(size=640))):
        write_image(folder / f"{Path(done.frame.source).stem}.jpg", draw(done, model.names))


if __name__ == "__main__":
    main()
