"""What an export is worth: run, compared with its source's own answers, timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..core.errors import DataError, LensmithError
from ..weights.bundle import PORTABLE_NAME, Bundle, BundleRecord
from ..weights.export.formats import FORMATS
from ..weights.record import ExportFormat
from .decode import decode_detections, iou_with
from .engines.base import Engine
from .engines.choose import open_engine
from .engines.foreign import ForeignEngine
from .engines.golden import compare, golden_samples
from .engines.race import take_turns
from .prepare import Geometry

_CLEAR = 0.25
_SAME_OBJECT = 0.5
_ROUNDS = 6
_ON = {"onnx": "onnxruntime", "openvino": "openvino"}  # libraries that run a source and its export alike


@contextmanager
def engine_of(staged: Bundle) -> Iterator[Engine]:
    """What runs an export: the engine that `cv predict` would use, in 32 bits, or for other formats a runner."""
    exported = staged.record.exported
    if exported is None:
        raise DataError("This is no export.", where=staged.folder)
    kind = exported.format
    if kind == "onnx":
        from .engines.onnx import OnnxEngine

        yield OnnxEngine(staged)
    elif kind == "openvino":
        from .engines.openvino_engine import OpenVinoEngine

        yield OpenVinoEngine(staged, live=True, exact=True)
    elif kind == "tensorrt":
        yield open_engine(staged, engine="tensorrt", device="gpu")
    else:
        with ForeignEngine(kind, staged.folder / FORMATS[kind].entry) as engine:
            yield engine


def check_answers(staged: Bundle, engine: Engine) -> dict[str, float]:
    """The gate: an export answers the golden samples as its source does. Gives `differences`.

    Raises:
        LensmithError: it does not, and how far off it is.
    """
    inputs, expected = golden_samples(staged)
    outputs = np.concatenate([engine.infer(inputs[one : one + 1]) for one in range(len(inputs))])
    problem = compare(outputs, expected, staged.record)
    if not np.isfinite(outputs).all():
        problem = "some of its answers are no numbers"
    if problem is None:
        return differences(outputs, expected, staged.record)
    advice = {"int8": "calibrate with more pictures that look like those it will see, or use --half instead of --int8",
              "fp16": "leave --half out"}  # fmt: skip
    precision = staged.record.exported.precision if staged.record.exported else "fp32"
    raise LensmithError(
        f"The exported model gives other answers than the model that it was made from: {problem}. Nothing was kept.",
        where=staged.name,
        next_step=advice.get(precision, "choose another --to"),
    )


def reference_engine(bundle: Bundle, kind: ExportFormat) -> Engine:
    """The source in 32 bits: by the library that runs an export of this format, or else as near to it as can be.

    That is its portable model, which needs no framework, or what it was trained with where it has none.
    """
    if bundle.file(PORTABLE_NAME) is None:
        return open_engine(bundle, device="cpu")
    if kind == "openvino":
        from .engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(bundle, live=True, exact=True)
    return open_engine(bundle, engine="onnxruntime", device="cpu")


def time_both(bundle: Bundle, staged: Bundle, engine: Engine) -> tuple[tuple[str, float], tuple[str, float]]:
    """How long source and export take as `cv live` runs them: in turns, one picture at a time.

    Both on one library where it runs both. Otherwise the source on the one that "auto" takes for it: on the CPU, or on
    the GPU that a TensorRT model is made for.

    Args:
        bundle: The source.
        staged: The export.
        engine: From `engine_of`.

    Returns:
        For the source and for the export the library's name, and milliseconds a picture, the best of some rounds.
    """
    kind = staged.record.exported.format if staged.record.exported else "onnx"
    source = open_engine(bundle, engine=_ON.get(kind, "auto"), device="gpu" if kind == "tensorrt" else "cpu", live=True)
    if kind == "openvino":  # the gate's computes in 32 bits
        engine = open_engine(staged, engine=kind, device="cpu", live=True)
    pictures, _ = golden_samples(bundle)
    before, after = take_turns((source, engine), pictures, live=True, rounds=_ROUNDS)
    return (source.name, before), (engine.name, after)


def differences(outputs: np.ndarray, expected: np.ndarray, record: BundleRecord) -> dict[str, float]:
    """The worst differences over the golden samples.

    Args:
        outputs: Raw answers of the export, float32 `(n, ...)`.
        expected: The source's.
        record: The source's.

    Returns:
        For a classifier "probability". For a detector, over the source's boxes with a confidence of 0.25 or more after
        suppression: "confidence", "overlap_lost" (1 minus the IoU of the box of the same class that overlaps most), and
        "boxes_lost", the share of them without any such box of IoU 0.5 or more; the first two without those.
    """
    if record.task == "classify":
        return {"probability": float(np.abs(outputs - expected).max())}
    size = record.preprocessing
    same = Geometry(size.width, size.height, 1.0, 1.0, 0, 0)
    confidence, overlap, lost, boxes = 0.0, 0.0, 0, 0
    for mine, reference in zip(outputs, expected, strict=True):
        found = decode_detections(mine, record, same, _CLEAR / 2)
        wanted = decode_detections(reference, record, same, _CLEAR)
        for box, class_id, sure in zip(wanted.xyxy, wanted.class_id, wanted.confidence, strict=True):
            boxes += 1
            alike = found.class_id == class_id
            ious = iou_with(box, found.xyxy[alike])
            best = int(ious.argmax()) if len(ious) else -1
            if best < 0 or ious[best] < _SAME_OBJECT:
                lost += 1
                continue
            overlap = max(overlap, 1 - float(ious[best]))
            confidence = max(confidence, abs(float(found.confidence[alike][best] - sure)))
    return {"confidence": confidence, "overlap_lost": overlap, "boxes_lost": lost / max(boxes, 1)}
