"""A bundle's README.md: what the model is, how good it is, what it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bundle import BundleRecord, ClassifierRecord

RUN_HERE = frozenset({"onnx", "openvino", "tensorrt"})  # the formats of an export that an engine of ours runs
_MADE = {"trained": "made with", "imported": "imported into", "exported": "exported with"}
_PRECISION = {
    "fp32": "numbers of 32 bits",
    "fp16": "numbers of 16 bits (fp16)",
    "int8": "whole numbers of 8 bits (int8)",
}
_WORDS = {
    "f1": "F1",
    "ece": "calibration error",
    "ece_before": "calibration error before calibration",
    "answered": "share answered, the rest is 'unknown'",
    "accuracy_answered": "accuracy where it answers",
}
# Of the pictures that chose the epoch, beside those of the split that was measured last.
_CHOSEN_BY = {"valid_accuracy": "valid", "held-out_accuracy": "held-out"}


def card_of(record: BundleRecord) -> str:
    """The text of the card, Markdown."""
    size = f"{record.preprocessing.width} x {record.preprocessing.height}"
    what = (
        record.detector.family if record.detector else record.classifier.backbone if record.classifier else record.task
    )
    lines = [
        f"# {record.name}",
        "",
        f"A {what} {'detector' if record.task == 'detect' else 'classifier'} {_MADE[record.origin]} Lensmith.",
        "",
    ]
    lines += [f"- classes: {', '.join(record.names)}", f"- input: {size} pixels, {record.preprocessing.resize}"]
    if record.detector and (tiles := record.detector.tiles):
        also = " and as a whole" if tiles.whole else ""
        lines.append(f"- looks at larger pictures in tiles of {tiles.size} pixels{also} (--no-tiles: as a whole alone)")
    if record.classifier and (start := started_from(record.classifier)):
        lines.append(f"- {record.classifier.backbone} began with: {start}")
    lines += _about_answers(record)
    if record.dataset:
        lines.append(f"- data: {record.dataset.name}, fingerprint {record.dataset.fingerprint}")
    lines += [f"- {name}: {value}" for name, value in told_origin(record)]
    if record.metrics:
        lines += ["", "How good it is, and in brackets the pictures that it was measured on:", ""]
        lines += [f"- {name}: {value}" for name, value in told_metrics(record)]
    if record.exported and record.exported.format not in RUN_HERE:
        lines += ["", "It is for other programs. `cv predict` runs the model that it was made from.", ""]
    else:
        lines += ["", f"Use it: `cv predict PICTURES --weights {record.name}`, `cv live --weights {record.name}`", ""]
    return "\n".join(lines)


def told_origin(record: BundleRecord) -> list[tuple[str, str]]:
    """Where a bundle comes from, and what it lost on the way, as a person reads it: (what, said)."""
    day = f"{record.created:%Y-%m-%d}"
    if record.origin == "imported":
        return [("origin", f"imported on {day} from a file that another program made")]
    if not (exported := record.exported):
        return [("made", f"{day} by run {record.run or 'unknown'}")]
    told = [
        ("origin", f"exported on {day} from the model '{exported.source}'"),
        ("its record", f"sha256 {exported.source_sha256}"),
        ("format", f"{exported.format}, {_PRECISION[exported.precision]}"),
    ]
    if record.run:
        told.append(("trained by", f"run {record.run}"))
    if exported.machine:
        told.append(("only for", exported.machine))
    if exported.calibrated_on:
        told.append(("calibrated on", exported.calibrated_on.name))
    if exported.difference:
        worst = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in exported.difference.items())
        told.append(("largest differences", worst))
    if exported.loss:
        lost = ", ".join(f"{name} {value:+.4f}" for name, value in exported.loss.items())
        on = f"'{exported.measured_on.name}', " if exported.measured_on else ""
        told.append((f"against it ({on}{exported.split or 'unknown split'})", lost))
    return told


def started_from(record: ClassifierRecord) -> str | None:
    """What a classifier's backbone began with, in words; None where nobody knows."""
    told = {"imagenet": "weights from ImageNet", "file": "weights from a file", "none": "random numbers"}
    return record.weights and told[record.weights]


def told_metrics(record: BundleRecord) -> list[tuple[str, str]]:
    """A bundle's figures as a person reads them, each with its split, and its interval where it has one."""
    told, metrics = [], record.metrics
    for name, value in metrics.items():
        if name.endswith(("_low", "_high")):
            continue
        between = record.interval(name)
        limits = f" (95% interval {between[0]:.4f} to {between[1]:.4f})" if between else ""
        split = record.metrics_split or "unknown split"
        if name in _CHOSEN_BY:
            split, name = _CHOSEN_BY[name], "accuracy"
        told.append((
            f"{_WORDS.get(name, name.replace('_', ' '))} ({split})",
            f"{value:.0f}" if name == "pictures" else f"{value:.4f}{limits}",
        ))  # fmt: skip
    return told


def _about_answers(record: BundleRecord) -> list[str]:
    """How probabilities become answers, and which boxes are shown; nothing where they are taken as they are."""
    lines = []
    if record.temperature != 1:
        lines.append(
            f"- calibrated on validation pictures: the temperature of its probabilities is {record.temperature:.4f}"
        )
    if record.thresholds is not None:
        pairs = (f"{name} {value:.3f}" for name, value in zip(record.names, record.thresholds, strict=True))
        limit = "shown above a confidence of" if record.task == "detect" else "'unknown' below"
        lines.append(f"- {limit}: {', '.join(pairs)}")
    return lines
