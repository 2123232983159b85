"""The page of a tuning: what was tried, what mattered, and whether it was worth it."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.duration import duration_words
from ..core.manifest import RunManifest
from ..report import plots
from ..report.page import Page
from ..report.parts import add_commands, add_facts, plain_value
from .job import DetectorRun
from .tune_finish import Verdict
from .tune_space import Value, with_values
from .tune_study import TrialRow

OF_TUNING = "tune"  # in the options: what is of `cv tune` and of no training
REPORT_NAME = "report.html"


def write_tune_page(
    run: Path,
    manifest: RunManifest,
    rows: Sequence[TrialRow],
    best: TrialRow,
    done: tuple[DetectorRun, Verdict],
    importances: Mapping[str, float],
) -> Path:
    """Write `report.html`.

    Args:
        run: The tuning's folder.
        manifest: Its record.
        rows: All trials.
        best: The best of them.
        done: What it became, and how that compares with the training that changed nothing.
        importances: How much each argument mattered, 0..1; empty where nobody can tell.

    Returns:
        The page.
    """
    detector, verdict = done
    used = verdict.defaults or detector
    name = manifest.dataset.name if manifest.dataset else "a dataset"
    page = Page(
        f"Tuning on {name}",
        "Many short trainings with other options, judged on the validation pictures; the best became a model.",
    )
    page.notes(verdict.sentences)
    page.numbers(_cards(rows, best, detector, verdict.defaults))
    page.section("The trials", "The score is the best mAP50-95 of a trial's epochs on validation pictures.")
    scores = [math.nan if row.score is None else row.score for row in rows]
    so_far = [
        max((score for score in scores[: end + 1] if score == score), default=math.nan) for end in range(len(rows))
    ]
    page.plot(plots.curves({"each trial": scores, "best so far": so_far}, x_label="trial", y_label="mAP50-95 on valid"))
    page.table(
        ["trial", "score", "epochs", "how it ended", "took", "what it changed"],
        [
            [row.number + 1, "-" if row.score is None else f"{row.score:.3f}", row.epochs, _ending(row),
             duration_words(row.seconds), changed(row)]
            for row in sorted(rows, key=lambda row: -(row.score if row.score is not None else -1.0))
        ],
    )  # fmt: skip
    _add_space(page, manifest, best)
    if importances:
        page.section("What mattered", "How much of the difference between good and other trials each argument makes.")
        page.plot(plots.bars(importances, x_label="share"))
    add_commands(page, [
        ("look at the best training's own report", os.path.relpath(detector.report or detector.run, run)),
        ("use the model", f"cv predict PICTURES --weights {used.bundle.name}"),
        ("train it longer", f"cv resume {used.run.name} --extend {manifest.options['epochs']}"),
        *([] if verdict.defaults or best.defaults else [("train anew with what it changed", _command(manifest, best))]),
    ])  # fmt: skip
    asked = manifest.options[OF_TUNING]
    limit = "none" if asked["time"] is None else duration_words(asked["time"])
    facts = [("trials asked for", str(asked["trials"])), ("time limit", limit), ("with Ray", plain_value(asked["ray"]))]
    of_a_trial = {key: value for key, value in manifest.options.items() if key != OF_TUNING}
    add_facts(page, manifest.model_copy(update={"options": of_a_trial}), facts)
    return page.write(run / REPORT_NAME)


def changed(row: TrialRow) -> str:
    """What a trial changed, in words."""
    return ", ".join(f"{name} {in_short(value)}" for name, value in row.values.items()) or "nothing"


def in_short(value: Value) -> str:
    """A value to three digits: more of them decide nothing."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _ending(row: TrialRow) -> str:
    if row.state == "interrupted":
        return "interrupted, and done again"
    return next(iter((row.error or row.state).splitlines()), row.state)


def _add_space(page: Page, manifest: RunManifest, best: TrialRow) -> None:
    """What was tried, and what of it the best trial had."""
    lines = []
    for name, tried in manifest.options[OF_TUNING]["space"].items():
        if isinstance(tried, dict):
            how = ", small values as often as large ones" if tried.get("log") else ""
            step = f" in steps of {in_short(tried['step'])}" if tried.get("step") else ""
            words = f"{in_short(tried['low'])} to {in_short(tried['high'])}{step}{how}"
        else:
            words = " or ".join(map(in_short, tried))
        lines.append([name, words, in_short(best.values[name]) if name in best.values else "unchanged"])
    page.section("What was tried", "Of each argument its range or its choices; the first trial changes none.")
    page.table(["argument", "tried", f"trial {best.number + 1}, the best"], lines)


def _command(manifest: RunManifest, best: TrialRow) -> str:
    """A training of its own with the best trial's options, for `--epochs` of the person's choice."""
    options = with_values(manifest.options, best.values)
    words = [manifest.dataset.name if manifest.dataset else "DATASET"]
    for name in ("model", "imgsz", "batch", "freeze", "weights", "augment"):
        value = manifest.options["augment"] and "SPEC" if name == "augment" else options.get(name)
        words += [f"--{name}", str(value)] if value not in (None, 0) else []
    words += ["--from-scratch"] if options.get("from_scratch") else []
    for name, value in options["settings"].items():
        words += ["--set", f"{name}={value}"]
    return f"cv train-yolo {shlex.join(words)} --epochs 100"


def _cards(
    rows: Sequence[TrialRow], best: TrialRow, detector: DetectorRun, kept: DetectorRun | None
) -> list[tuple[str, str, str]]:
    first = next((row for row in rows if row.defaults and row.score is not None), None)
    cards = [
        ("trials", str(len(rows)), f"{sum(row.state == 'stopped' for row in rows)} stopped early"),
        ("best on valid", f"{best.score or 0:.3f}", f"mAP50-95 of trial {best.number + 1}; chosen by it, so too good"),
    ]
    if first is not None:
        cards.append(("nothing changed", f"{first.score or 0:.3f}", "mAP50-95 on valid"))
    if kept and (score := kept.metrics.get("mAP50-95")) is not None:
        cards.append((f"nothing changed, on {kept.split}", f"{score:.3f}", "mAP50-95 of the model to use"))
    if (score := detector.metrics.get("mAP50-95")) is not None:
        cards.append((f"on {detector.split}", f"{score:.3f}", "mAP50-95 of the best trial"))
    return cards
