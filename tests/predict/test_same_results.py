"""A real detector over 128 photographs: every engine finds what torch finds.

The tolerance that is promised, for detections above a confidence of 0.25: 99 of 100 have one of the same class in the
other engine's answer that overlaps by IoU 0.9 or more with a confidence within 0.05; where the engine computes in 16
bits, 95 of 100. The mAP50-95 differs by less than half a point either way. (Seen: 176 of 176, and 342 of 349.)
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.images import read_image
from lensmith.core.isolation import isolate_ultralytics
from lensmith.predict.decode import decode_detections
from lensmith.predict.engines.choose import open_engine
from lensmith.predict.engines.golden import CONFIDENCE_TOLERANCE, MIN_IOU
from lensmith.predict.prepare import Geometry, fit
from lensmith.predict.results import Detections
from lensmith.weights.bundle import Bundle, BundleRecord, DetectorRecord, Preprocessing, write_bundle

_PHOTOGRAPHS = 128
_SIDE = 320
_ALIKE = {"f32": 0.99, "bf16": 0.95, "f16": 0.95}
_POINTS = 0.005


def _bundle(checkpoint: Path, place: Path, pictures: list[np.ndarray]) -> Bundle:
    isolate_ultralytics()
    from lensmith.detect.portable import export_portable, strip_checkpoint
    from lensmith.predict.engines.ultralytics import TorchDetector

    work = place / "work"
    work.mkdir()
    strip_checkpoint(checkpoint, work / "model.pt", 300)
    assert export_portable(work / "model.pt", work / "model.onnx", _SIDE, 300)
    detector = TorchDetector(work / "model.pt", "cpu")
    record = BundleRecord(
        name="coco", task="detect", names=tuple(detector.model.names.values()),
        preprocessing=Preprocessing(width=_SIDE, height=_SIDE, resize="letterbox"),
        detector=DetectorRecord(family="yolov8n", output="raw"),
    )  # fmt: skip
    inputs = np.stack([fit(picture, record.preprocessing)[0] for picture in pictures[:2]])

    def fill(folder: Path) -> None:
        for name in ("model.pt", "model.onnx"):
            shutil.copyfile(work / name, folder / name)

    return write_bundle(place / "coco", record, fill, golden=(inputs, detector.infer(inputs)))


def _photographs(data: Path) -> list[Path]:
    """Half of pets, half of everything else, spread over the folders."""
    found: list[Path] = []
    for folder, wanted in (("classify/catsdogs", _PHOTOGRAPHS // 2), ("detect", _PHOTOGRAPHS // 2)):
        every = sorted(path for path in (data / folder).rglob("*.jpg"))
        found += [every[index] for index in np.linspace(0, len(every) - 1, wanted).astype(int)]
    return found


def _alike(wanted: Detections, offered: Detections) -> int:
    """How many of `wanted` above 0.25 have a partner in `offered`."""
    count = 0
    for box, class_id, sure in zip(wanted.xyxy, wanted.class_id, wanted.confidence, strict=True):
        if sure > 0.25:
            sides = np.clip(
                np.minimum(box[2:], offered.xyxy[:, 2:]) - np.maximum(box[:2], offered.xyxy[:, :2]), 0, None
            )
            shared = sides.prod(axis=1)
            areas = (offered.xyxy[:, 2:] - offered.xyxy[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
            partner = (shared / (areas - shared) >= MIN_IOU) & (offered.class_id == class_id)
            count += bool((partner & (np.abs(offered.confidence - sure) <= CONFIDENCE_TOLERANCE)).any())
    return count


def _map(answers: list[Detections], truth: list[tuple[np.ndarray, np.ndarray]], names: tuple[str, ...]) -> float:
    from lensmith.detect.matching import match_pictures
    from lensmith.detect.metrics import score

    rows = ((found, xyxy, class_id) for found, (xyxy, class_id) in zip(answers, truth, strict=True))
    return score(match_pictures(rows), names, "test", np.full(len(names), 0.25, np.float32), ()).as_metrics()[
        "mAP50-95"
    ]


@pytest.mark.torch
def test_every_engine_finds_what_torch_finds(tmp_path: Path, test_data: Path) -> None:
    pictures = [read_image(path) for path in _photographs(test_data)]
    assert len(pictures) == _PHOTOGRAPHS
    bundle = _bundle(test_data / "weights" / "yolov8n-coco.pt", tmp_path, pictures)
    record = bundle.record
    fitted: list[tuple[np.ndarray, Geometry]] = [fit(picture, record.preprocessing) for picture in pictures]
    answers: dict[str, list[Detections]] = {}
    alike: dict[str, float] = {}
    for name in ("ultralytics", "onnxruntime", "openvino"):
        engine = open_engine(bundle, engine=name, device="cpu")
        alike[name] = _ALIKE[engine.precision]
        batches = ((geometry, picture[None]) for picture, geometry in fitted)
        answers[name] = [
            decode_detections(raw[0], record, geometry, 0.001) for geometry, raw in engine.stream(batches)
        ]  # fmt: skip
    torch = answers.pop("ultralytics")
    # Labels that are not simply torch's answers: those moved a little, and some left out.
    rng = np.random.default_rng(0)
    truth = []
    for found in torch:
        kept = (found.confidence > 0.3) & (rng.random(len(found)) < 0.8)
        boxes = found.xyxy[kept]
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        truth.append(((boxes + rng.normal(0, 0.04, boxes.shape) * sides).astype(np.float32), found.class_id[kept]))
    reference = _map(torch, truth, record.names)
    assert 0.3 < reference < 0.9  # it tells good from bad
    for name, found in answers.items():
        pairs = list(zip(found, torch, strict=True))
        clear = [sum(int((one[side].confidence > 0.25).sum()) for one in pairs) for side in (0, 1)]
        assert min(clear) > 100
        assert sum(_alike(mine, theirs) for mine, theirs in pairs) >= alike[name] * clear[0], name
        assert sum(_alike(theirs, mine) for mine, theirs in pairs) >= alike[name] * clear[1], name
        assert abs(_map(found, truth, record.names) - reference) < _POINTS, name
    # `cv evaluate --as ultralytics` gives detectors other shapes than their own.
    wide = fitted[0][0][: _SIDE // 2][None]
    told = [open_engine(bundle, engine=name).infer(wide) for name in ("openvino", "onnxruntime")]
    assert told[0].shape == told[1].shape
    assert np.abs(told[0][:, 4:] - told[1][:, 4:]).max() < CONFIDENCE_TOLERANCE
