"""The page of a tuning: what was tried, what mattered, and whether it was worth it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.duration import duration_words
from ..core.manifest import RunManifest
from ..report import plots
from ..report.page import Page
from ..report.parts import add_commands, add_facts
from .job import DetectorRun
from .tune_finish import Verdict
from .tune_study import TrialRow

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
    page.numbers(_cards(rows, best, detector))
    page.section("The trials", "The score is the best mAP50-95 of a trial's epochs on validation pictures.")
    scores = [math.nan if row.score is None else row.score for row in rows]
    so_far = [
        max((score for score in scores[: end + 1] if score == score), default=math.nan) for end in range(len(rows))
    ]
    page.plot(plots.curves({"each trial": scores, "best so far": so_far}, x_label="trial", y_label="mAP50-95 on valid"))
    page.table(
        ["trial", "score", "epochs", "how it ended", "took", "what it changed"],
        [
            [row.number + 1, "-" if row.score is None else f"{row.score:.3f}", row.epochs, row.error or row.state,
             duration_words(row.seconds), changed(row)]
            for row in sorted(rows, key=lambda row: -(row.score if row.score is not None else -1.0))
        ],
    )  # fmt: skip
    if importances:
        page.section("What mattered", "How much of the difference between good and other trials each argument makes.")
        page.plot(plots.bars(importances, x_label="share"))
    add_commands(page, [
        ("look at the best training's own report", os.path.relpath(detector.report or detector.run, run)),
        ("use the model", f"cv predict PICTURES --weights {used.bundle.name}"),
        ("train it longer", f"cv resume {used.run.name} --extend {manifest.options['epochs']}"),
    ])  # fmt: skip
    add_facts(page, manifest)
    return page.write(run / REPORT_NAME)


def changed(row: TrialRow) -> str:
    """What a trial changed, in words."""
    return ", ".join(f"{name} {value}" for name, value in row.values.items()) or "nothing"


def _cards(rows: Sequence[TrialRow], best: TrialRow, detector: DetectorRun) -> list[tuple[str, str, str]]:
    first = next((row for row in rows if row.defaults and row.score is not None), None)
    cards = [
        ("trials", str(len(rows)), f"{sum(row.state == 'stopped' for row in rows)} stopped early"),
        ("best on valid", f"{best.score or 0:.3f}", f"mAP50-95 of trial {best.number + 1}; chosen by it, so too good"),
    ]
    if first is not None:
        cards.append(("nothing changed", f"{first.score or 0:.3f}", "mAP50-95 on valid"))
    if (score := detector.metrics.get("mAP50-95")) is not None:
        cards.append((f"on {detector.split}", f"{score:.3f}", "mAP50-95 of the best trial"))
    return cards
