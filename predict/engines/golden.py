"""Does an engine give what the bundle says it must give? Checked once per bundle, engine and machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from ...core.errors import DataError
from ...weights.bundle import GOLDEN_NAME, Bundle, BundleRecord
from ..decode import decode_detections, iou_with, read_rows
from ..prepare import Geometry
from .base import Engine, Precision
from .memo import Memo

PROBABILITY_TOLERANCE = 0.02
CONFIDENCE_TOLERANCE = 0.05
MIN_IOU = 0.9
_LOW_CONFIDENCE = 0.05


@dataclass(frozen=True)
class Tolerance:
    """How far an engine's answers may lie from the native model's.

    Attributes:
        probability: Of a classifier's class, either way.
        confidence: Of a detection, either way.
        iou: Least overlap of a detection with the one that stands for it.
        strays: Share of the clear detections of all samples that nothing need stand for; never more than a quarter.
    """

    probability: float
    confidence: float
    iou: float
    strays: float = 0.0


# In 16 bits, of the weights or of the computing, about one detection in a hundred is of another class where two classes
# were equally likely (chess detectors: 1 to 3 of 92 to 186), which leaves the figures as they are (mAP50-95 0.348 and
# 0.348, 0.335 and 0.333, 0.382 and 0.380 on 87 photographs in 32 and in 16 bits). An int8 export's answers are
# compared with those of the model that it was made from: 8 bits move them further (1 to 8 % of the detections above
# 0.35 without one within these limits), and what that costs is measured on a dataset when it is made.
_TOLERANCES = {
    "fp32": Tolerance(PROBABILITY_TOLERANCE, CONFIDENCE_TOLERANCE, MIN_IOU),
    "fp16": Tolerance(PROBABILITY_TOLERANCE, CONFIDENCE_TOLERANCE, MIN_IOU, strays=0.05),
    "int8": Tolerance(probability=0.15, confidence=0.3, iou=0.5, strays=0.2),
}


def disagreement(engine: Engine, bundle: Bundle) -> str | None:
    """How the engine's answers to the golden samples differ from those in the bundle; None when they agree.

    Classifiers agree when no probability differs by more than 0.02. Detectors agree when each reference detection
    above 0.1 has a box of the same class that overlaps it by IoU 0.9 with a confidence within 0.05, the other way
    round too, and the highest confidences lie within 0.05. Boxes are looked for before suppression, which may
    keep either of two near-twins. Engines that compute in 16 bits, and exports in 16 and in 8, may differ in a few
    detections, see `_TOLERANCES`.

    Raises:
        DataError: the golden samples are missing, damaged, or do not fit the bundle.
    """
    allowed = tolerance_of(bundle.record, engine.precision)
    memo = Memo("golden", bundle, [engine.name], engine.device, engine.precision, allowed)
    known = memo.read()
    if known is not None and "problem" in known:
        return None if known["problem"] is None else str(known["problem"])
    inputs, expected = golden_samples(bundle)
    outputs = np.concatenate([engine.infer(inputs[i : i + 1]) for i in range(len(inputs))])
    found = compare(outputs, expected, bundle.record, engine.precision)
    memo.keep({"bundle": bundle.name, "engine": engine.name, "device": engine.device, "problem": found})
    return found


def tolerance_of(record: BundleRecord, precision: Precision = "f32") -> Tolerance:
    """What holds for a bundle on an engine of this precision: an export's own counts where it is the coarser one."""
    of_weights = record.exported.precision if record.exported else "fp32"
    return _TOLERANCES["fp16" if of_weights == "fp32" and precision != "f32" else of_weights]


def compare(
    outputs: np.ndarray, expected: np.ndarray, record: BundleRecord, precision: Precision = "f32"
) -> str | None:
    """See `disagreement`; both are float32 raw outputs `(n, ...)` for the same inputs."""
    allowed = tolerance_of(record, precision)
    if outputs.shape[0] != expected.shape[0] or (record.task == "classify" and outputs.shape != expected.shape):
        return f"the output has shape {outputs.shape} instead of {expected.shape}"
    if record.task == "classify":
        worst = float(np.abs(outputs - expected).max())
        return None if worst <= allowed.probability else f"a probability differs by {worst:.3f}"
    strays: list[str] = []
    clear = 0
    for number, (mine, reference) in enumerate(zip(outputs, expected, strict=True)):
        top_mine, top_reference = _top(mine, record), _top(reference, record)
        if not abs(top_mine - top_reference) <= allowed.confidence:  # also where it is no number
            return (
                f"golden sample {number + 1}: the highest confidence is {top_mine:.3f} instead of {top_reference:.3f}"
            )
        for wanted, offered, what in ((reference, mine, "is not found"), (mine, reference, "should not be there")):
            lost, looked_at = _without_partner(wanted, offered, record, allowed)
            strays += [f"golden sample {number + 1}: {one} {what}" for one in lost]
            clear += looked_at
    if len(strays) <= min(ceil(allowed.strays * clear), clear // 4):
        return None
    return strays[0] + (f", and {len(strays) - 1} more of {clear}" if len(strays) > 1 else "")


def _top(raw: np.ndarray, record: BundleRecord) -> float:
    return float(read_rows(raw, record, 0.0)[2].max(initial=0.0))


def _without_partner(
    wanted: np.ndarray, offered: np.ndarray, record: BundleRecord, allowed: Tolerance
) -> tuple[list[str], int]:
    """The clear detections in `wanted` that no row of `offered` stands for, and how many clear ones there are."""
    size = record.preprocessing
    same = Geometry(size.width, size.height, 1.0, 1.0, 0, 0)
    detections = decode_detections(wanted, record, same, _LOW_CONFIDENCE + allowed.confidence)
    xyxy, class_id, confidence = read_rows(offered, record, _LOW_CONFIDENCE)
    xyxy = same.to_original(xyxy)
    lost: list[str] = []
    for box, wanted_class, sure in zip(detections.xyxy, detections.class_id, detections.confidence, strict=True):
        partner = (
            (class_id == wanted_class)
            & (np.abs(confidence - sure) <= allowed.confidence)
            & (iou_with(box, xyxy) >= allowed.iou)
        )
        if not partner.any():
            lost.append(f"a '{record.names[int(wanted_class)]}' with confidence {sure:.2f}")
    return lost, len(detections)


def golden_samples(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Inputs uint8 `(n, h, w, 3)` at the bundle's input size, and float32 outputs; errors as in `disagreement`."""
    inputs, outputs = bundle.golden()
    size = bundle.record.preprocessing
    fits = inputs.dtype == np.uint8 and inputs.shape[1:] == (size.height, size.width, 3)
    if not fits or len(inputs) == 0 or len(inputs) != len(outputs) or not np.isfinite(outputs).all():
        raise DataError(
            "The golden samples do not fit the bundle.",
            where=bundle.folder / GOLDEN_NAME,
            next_step="make the bundle again by training or exporting",
        )
    return inputs, outputs.astype(np.float32, copy=False)
