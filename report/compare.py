"""Runs beside each other: what went into them, what came out, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import UsageError
from ..core.manifest import RunManifest
from ..core.words import many
from .bootstrap import Figure
from .paired import Difference, Key, Measured, compare_samples, own_figures, shared_pictures
from .parts import plain_value

_ABOUT_THE_RUN = ("name",)  # options that say nothing about how it was trained


@dataclass(frozen=True)
class ComparedRun:
    """A finished run.

    Attributes:
        name: Of its folder.
        task: "detect" or "classify".
        manifest: Its record.
        curves: What was followed over the epochs, by name.
        measured: What its model said, by split.
        leading: Of the figures, which one an overview of the classes shows.
        pictures: How many each split had for it.
        epochs: How many it was trained for, of how many, and why it ended there; empty where nobody knows.
        cut_short: It ended because time was over and not because it had learned what it could.
    """

    name: str
    task: str
    manifest: RunManifest
    curves: Mapping[str, Sequence[float]]
    measured: Mapping[str, Measured]
    leading: str
    pictures: Mapping[str, int]
    epochs: str = ""
    cut_short: bool = False


@dataclass(frozen=True)
class Pair:
    """Two runs on the pictures of one split.

    Attributes:
        first, second: Their names.
        split: Which pictures; None when both were measured on no split.
        shared: How many pictures both were measured on, with the same labels.
        counts: How many each was measured on.
        relabelled: How many pictures both have, with other labels; these do not count.
        differences: Of each figure; none where no picture is shared.
    """

    first: str
    second: str
    split: str | None
    shared: int = 0
    counts: tuple[int, int] = (0, 0)
    relabelled: int = 0
    differences: tuple[Difference, ...] = ()

    def sentences(self) -> list[str]:
        """What came out, in plain words: the answer first."""
        if self.split is None:
            return [f"'{self.first}' and '{self.second}' were not measured on the same split: nothing can be compared."]
        of = f"{many(self.shared, f'{self.split} picture')}"
        said = []
        if not self.differences:
            said.append(
                f"'{self.first}' and '{self.second}' cannot be compared: no {self.split} picture with the same labels"
                " is among those of both. Their own figures stand beside each other and do not tell which is better."
            )
        else:
            lead = self.differences[0]
            more = "higher" if lead.difference.value >= 0 else "lower"
            value, low, high = (100 * part for part in lead.difference)
            what = f": {lead.verdict}" if lead.within_noise else ""
            said.append(
                f"{lead.measure} of '{self.second}' is {abs(value):.1f} points {more} than that of '{self.first}' on"
                f" {of} ({low:+.1f} to {high:+.1f}){what}."
            )
            if (self.shared, self.shared) != self.counts:
                said.append(
                    f"They were measured on {self.counts[0]} and {self.counts[1]} {self.split} pictures; only the"
                    f" {self.shared} that both have, with the same labels, count here."
                )
        if self.relabelled:
            said.append(f"{many(self.relabelled, 'picture')} both have, but labelled differently: left out.")
        if self.split == "valid" and self.differences:
            said.append("Both were chosen by their validation pictures, so both figures are somewhat too good.")
        return said


@dataclass(frozen=True)
class Comparison:
    """Two or more runs; each is compared with the first one.

    Attributes:
        runs: As they were given.
        alone: Of each run all its figures, on all its own pictures: by run, then by split.
        pairs: The first run with each other one.
        data, options, versions, timings: Rows of a name and a value per run; of options and versions only what differs.
        remarks: What a reader must know, in plain sentences.
    """

    runs: tuple[ComparedRun, ...]
    alone: Mapping[str, Mapping[str, Mapping[Key, Figure]]]
    pairs: tuple[Pair, ...]
    data: tuple[tuple[str, ...], ...]
    options: tuple[tuple[str, ...], ...]
    versions: tuple[tuple[str, ...], ...]
    timings: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the runs."""
        return tuple(run.name for run in self.runs)

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON."""

        def table(rows: Sequence[Sequence[str]]) -> dict[str, dict[str, str]]:
            return {row[0]: dict(zip(self.names, row[1:], strict=True)) for row in rows}

        return {
            "runs": list(self.names),
            "task": self.runs[0].task,
            "data": table(self.data), "options": table(self.options), "versions": table(self.versions),
            "timings": table(self.timings),
            "figures": {
                name: {
                    split: [{"class": of or None, "measure": what, **value._asdict()}
                            for (of, what), value in values.items()]
                    for split, values in splits.items()
                }
                for name, splits in self.alone.items()
            },
            "pairs": [
                {
                    "first": pair.first, "second": pair.second, "split": pair.split, "shared": pair.shared,
                    "pictures": list(pair.counts), "relabelled": pair.relabelled,
                    "differences": [
                        {"class": one.of or None, "measure": one.measure, "first": one.first._asdict(),
                         "second": one.second._asdict(), "difference": one.difference._asdict(),
                         "pictures": one.pictures, "within_noise": one.within_noise}
                        for one in pair.differences
                    ],
                }
                for pair in self.pairs
            ],
            "remarks": list(self.remarks),
        }  # fmt: skip


def compare_runs(runs: Sequence[ComparedRun]) -> Comparison:
    """Put finished runs of the same kind beside each other.

    Raises:
        UsageError: there is only one, one is named twice, or they are of different kinds.
    """
    names = [run.name for run in runs]
    if len(runs) < 2:
        raise UsageError("A run is compared with another one.", next_step="name two or more: cv compare RUN RUN")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"The run '{twice[0]}' is named twice.", next_step="name each run once")
    if len({run.task for run in runs}) > 1:
        kinds = {"detect": "detectors", "classify": "classifiers"}
        raise UsageError(
            f"Detectors and classifiers are measured by different figures: '{runs[0].name}' is among the"
            f" {kinds[runs[0].task]}, and not all the others are.",
            next_step="compare runs of the same command",
        )
    pairs = tuple(compare_two(runs[0], other) for other in runs[1:])
    return Comparison(
        runs=tuple(runs),
        alone={run.name: {split: own_figures(one) for split, one in run.measured.items()} for run in runs},
        pairs=pairs,
        data=_about_data(runs),
        options=_differing([_options(run.manifest) for run in runs]),
        versions=_differing([run.manifest.versions for run in runs]),
        timings=_about_time(runs),
        remarks=tuple(_remarks(runs)),
    )


def compare_two(first: ComparedRun, second: ComparedRun) -> Pair:
    """Compare two runs on the test pictures that both have, or on validation pictures where they share none."""
    found = [compare_on(first, second, split) for split in ("test", "valid") if _both(first, second, split)]
    if not found:
        return Pair(first.name, second.name, None)
    return next((pair for pair in found if pair.differences), found[0])


def _both(first: ComparedRun, second: ComparedRun, split: str) -> bool:
    return split in first.measured and split in second.measured


def compare_on(first: ComparedRun, second: ComparedRun, split: str) -> Pair:
    """Compare two runs on a split that both were measured on."""
    one, two = first.measured[split], second.measured[split]
    pairs, relabelled = shared_pictures(one, two)
    counts = len(one.pictures), len(two.pictures)
    pair = Pair(first.name, second.name, split, len(pairs), counts, relabelled)
    if not len(pairs):
        return pair
    draws = min(one.draws, two.draws)
    before, after = one.measure(pairs[:, 0], draws), two.measure(pairs[:, 1], draws)
    differences = tuple(compare_samples(key, before[key], after[key]) for key in before if key in after)
    return Pair(first.name, second.name, split, len(pairs), counts, relabelled, differences)


def _about_data(runs: Sequence[ComparedRun]) -> tuple[tuple[str, ...], ...]:
    references = [run.manifest.dataset for run in runs]
    rows = [
        ("dataset", *(reference.name if reference else "unknown" for reference in references)),
        ("fingerprint", *(reference.fingerprint[:12] if reference else "unknown" for reference in references)),
    ]
    rows += [
        (f"{split} pictures", *(str(run.pictures.get(split, "-")) for run in runs))
        for split in ("train", "valid", "test")
        if any(split in run.pictures for run in runs)
    ]
    return tuple(rows)


def _about_time(runs: Sequence[ComparedRun]) -> tuple[tuple[str, ...], ...]:
    stages = dict.fromkeys(stage for run in runs for stage in run.manifest.timings)
    rows = [("device", *(run.manifest.device for run in runs))]
    counts = [max(map(len, run.curves.values()), default=0) for run in runs]
    rows.append(("trained for", *(run.epochs or (many(count, "epoch") if count else "-")
                                  for run, count in zip(runs, counts, strict=True))))  # fmt: skip
    for stage in stages:
        values = (run.manifest.timings.get(stage) for run in runs)
        rows.append((f"seconds: {stage}", *("-" if value is None else f"{value:.1f}" for value in values)))
    rows.append(("seconds: all", *(f"{sum(run.manifest.timings.values()):.1f}" for run in runs)))
    return tuple(rows)


def _options(manifest: RunManifest) -> dict[str, str]:
    found = {}
    for key, value in manifest.options.items():
        if key not in _ABOUT_THE_RUN:
            found[key] = plain_value(value)
    return found | {"seed": str(manifest.seed)}


def _differing(found: Sequence[Mapping[str, str]]) -> tuple[tuple[str, ...], ...]:
    keys = dict.fromkeys(key for one in found for key in one)
    rows = ((key, *(one.get(key, "-") for one in found)) for key in keys)
    return tuple(row for row in rows if len(set(row[1:])) > 1)


def _remarks(runs: Sequence[ComparedRun]) -> list[str]:
    said = []
    marks = {run.manifest.dataset.fingerprint if run.manifest.dataset else run.name for run in runs}
    if len(marks) > 1:
        said.append("The runs did not learn from the same data: a difference may come from that and not from options.")
    if len({run.manifest.device for run in runs}) > 1:
        said.append("They ran on different devices, so the seconds cannot be compared.")
    said += [
        f"'{run.name}' was trained for {run.epochs}: with more time it might be better than it looks here."
        for run in runs
        if run.cut_short
    ]
    said += [
        f"'{run.name}' kept no answers of its model: an older version made it. Train it again to compare it."
        for run in runs
        if not run.measured
    ]
    return said
