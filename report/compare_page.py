"""The page of `cv compare`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.files import slug
from ..core.workspace import Workspace
from .compare import Comparison, Pair
from .page import Page
from .parts import told_short
from .plots import curves

_LONGEST_NAME = 90
_MOST_CLASSES = 100


def write_comparison(comparison: Comparison, workspace: Workspace) -> Path:
    """Write `reports/compare-A-B.html`, whole or not at all, and return its path."""
    names = comparison.names
    what = "detectors" if comparison.runs[0].task == "detect" else "classifiers"
    page = Page(
        f"{len(names)} {what} beside each other",
        " ".join(
            f"{n}: {run.name}{f', {run.epochs}' if run.epochs else ''}." for n, run in enumerate(comparison.runs, 1)
        ),
    )
    page.notes([*(said for pair in comparison.pairs for said in pair.sentences()), *comparison.remarks])
    heads = _heads(comparison)
    for pair in comparison.pairs:
        _add_pair(page, pair, heads)
    _add_own_figures(page, comparison)
    _add_curves(page, comparison)
    page.section("The data")
    page.table(["", *heads.values()], comparison.data)
    page.section("Options that differ", "" if comparison.options else "None.")
    if comparison.options:
        page.table(["option", *heads.values()], comparison.options)
    page.section("Time and device")
    page.table(["", *heads.values()], comparison.timings)
    page.section("Versions that differ", "" if comparison.versions else "None.")
    if comparison.versions:
        page.table(["", *heads.values()], comparison.versions)
    return page.write(workspace.root / "reports" / f"{_file_name(names)}.html")


def _file_name(names: Sequence[str]) -> str:
    whole = f"compare-{'-'.join(names)}"
    if len(whole) > _LONGEST_NAME:  # cut off, two comparisons could have one name
        whole = f"{whole[:_LONGEST_NAME]}-{hashlib.sha256(whole.encode(errors='replace')).hexdigest()[:8]}"
    return slug(whole)


def _heads(comparison: Comparison) -> dict[str, str]:
    """What stands above a run's column: its number and what was trained; its name is too long for that."""
    found = {}
    for number, run in enumerate(comparison.runs, 1):
        model = run.manifest.options.get("model") or run.manifest.options.get("backbone")
        found[run.name] = f"{number}: {Path(str(model)).name}" if model else str(number)
    return found


def _add_pair(page: Page, pair: Pair, heads: Mapping[str, str]) -> None:
    if not pair.differences:
        return
    whole = [one for one in pair.differences if not one.of]
    page.section(
        f"{pair.second} against {pair.first}",
        f"On the {pair.shared} {pair.split} pictures that both were measured on.",
    )
    page.numbers(
        (
            one.measure,
            f"{100 * one.difference.value:+.1f}",
            f"points, {limits_in_points(one.difference)}: {one.verdict}",
        )
        for one in whole
    )
    page.table(
        ["figure", heads[pair.first], heads[pair.second], "points more", ""],
        [[one.measure, told_short(one.first), told_short(one.second), one.points(), one.verdict] for one in whole],
        "In brackets 95% intervals, from drawing the pictures with replacement; for the difference both models get the"
        " same pictures in each draw. Where its interval holds 0, the difference is within noise.",
    )
    classes = [one for one in pair.differences if one.of]
    if not classes:
        return
    order = sorted(range(len(classes)), key=lambda n: (classes[n].within_noise, -abs(classes[n].difference.value)))
    page.table(
        ["class", "figure", "pictures", heads[pair.first], heads[pair.second], "points more", ""],
        [
            [one.of, one.measure, one.pictures, f"{one.first.value:.3f}", f"{one.second.value:.3f}", one.points(),
             one.verdict]
            for one in (classes[n] for n in order[: 4 * _MOST_CLASSES])
        ],
        "What is beyond noise first. Of twenty rows in which nothing differs, about one looks as if it did.",
    )  # fmt: skip


def limits_in_points(figure: tuple[float, float, float]) -> str:
    """The interval of a difference in points."""
    return f"{100 * figure[1]:+.1f} to {100 * figure[2]:+.1f}"


def _add_own_figures(page: Page, comparison: Comparison) -> None:
    """What each run came to on all its own pictures."""
    rows, measures = [], {}
    for name, splits in comparison.alone.items():
        for split, values in splits.items():
            own = {measure: value for (of, measure), value in values.items() if not of}
            measures |= dict.fromkeys(own)
            rows.append((name, split, own))
    if not rows:
        return
    page.section(
        "Each run on its own pictures",
        "These stand beside each other. Which is better, only pictures tell that both were measured on.",
    )
    page.table(
        ["run", "pictures", *measures],
        [[name, split, *(told_short(own.get(measure)) for measure in measures)] for name, split, own in rows],
    )


def _add_curves(page: Page, comparison: Comparison) -> None:
    drawn = []
    for what in dict.fromkeys(name for run in comparison.runs for name in run.curves):
        lines = {run.name: run.curves[what] for run in comparison.runs if what in run.curves}
        if any(math.isfinite(value) for values in lines.values() for value in values):
            drawn.append((curves(lines, x_label="epoch", y_label=what, width=5), ""))
    if drawn:
        page.section("The epochs", "On each run's own validation pictures, while it was trained.")
        page.plots(drawn)
