"""The page of a run, `report.html`, and that of `cv evaluate --html`: figures, curves and pictures in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.files import slug
from ..core.manifest import RunManifest
from ..core.progress import warn
from ..core.words import many
from ..core.workspace import Workspace
from ..datasets.check.leaks import LeakEffect
from ..datasets.check.run import check_dataset
from ..datasets.check.tell import shown_path
from ..datasets.model import SPLITS, Dataset
from ..report.bootstrap import Figure
from ..report.page import Page
from ..report.parts import add_commands, add_facts, add_left_out, add_skipped, as_sentence, told
from ..report.plots import curves, xy_lines
from ..report.target import Target, parse_target
from ..weights.bundle import Bundle, BundleRecord
from ..weights.card import started_from
from .assess import Assessment, leak_effect_of
from .calibrate import about_temperature, shortfalls
from .evaluate import Evaluation
from .folds import what_folds_learn
from .history import Row, overfitting, read_history, shipped_row, stage_rows
from .report_parts import (
    add_classes,
    add_curves,
    add_gallery,
    add_lead_figures,
    add_thresholds,
    compare_rows,
)

REPORT_NAME = "report.html"
_MEASURED = {
    "accuracy": "Training: while it learns, with augmentation and dropout where these are used, so it may lie below.",
    "loss": "Where validation rises while training falls, the model learns the pictures by heart.",
}


def write_report(run: Path, bundle: Bundle, evaluations: Sequence[Evaluation], dataset: Dataset) -> Path:
    """Write a run's `report.html`, whole or not at all, and return its path.

    What its reader must not overlook (overfitting, leaks, too few pictures) is said on the terminal too.

    Args:
        run: The run's folder, with `run.json` and `history.json`.
        bundle: What the run ended with.
        evaluations: From `bundling.measure`: on validation pictures first; the last is what the page leads with.
        dataset: What it was trained on, for the leaks (see `datasets.check`, which remembers).

    Raises:
        DataError: `run.json` or `history.json` is damaged.
    """
    manifest, history = RunManifest.load(run), read_history(run)
    main = evaluations[-1]
    leak = leak_effect_of(main, frozenset(check_dataset(dataset).leaked))
    record = bundle.record
    backbone = record.classifier.backbone if record.classifier else "an unknown backbone"
    page = Page(
        bundle.name,
        f"A classifier of {many(len(record.names), 'class', 'classes')} on {backbone}, trained on {dataset.name}"
        f" ({', '.join(f'{dataset.count(split)} {split}' for split in SPLITS)} pictures) and measured on"
        f" {many(len(main), 'picture')} of its {main.split} split.",
    )
    add_lead_figures(page, main.scores)
    # Only a network that starts from nothing has no frozen blocks, unless it is told to.
    partly_frozen = backbone != "cnn" or bool(stage_rows(history, "frozen"))
    notes = [
        *_caveats(evaluations, leak, bundle.name, dataset),
        *about_temperature(record.temperature, len(evaluations[0])),
        *overfitting(history, partly_frozen=partly_frozen),
    ]
    page.notes(notes)
    for sentence in notes:
        warn(sentence)
    _add_training(page, manifest, history, record)
    _add_folds(page, manifest, dataset.count("train"))
    if len(evaluations) > 1:
        page.section("On each split")
        rows = compare_rows({one.split: one for one in evaluations})
        page.table(["split", "accuracy", "balanced accuracy", "F1", "calibration error"], rows)
    target = parse_target(manifest.options["target"]) if manifest.options.get("target") else None
    _add_evaluation(page, main, dataset.root, target, _about_target(evaluations[0], target) if target else ())
    add_left_out(page, [(shown_path(Path(path), dataset.root), why) for path, why in _left_out(manifest)])
    add_commands(page, [
        ("ask it about pictures", f"cv predict PICTURES --weights {bundle.name}"),
        ("see what it looks at", f"cv explain PICTURES --weights {bundle.name}"),
        ("measure it again", f"cv evaluate {dataset.name} --weights {bundle.name} --html"),
    ])  # fmt: skip
    add_facts(page, manifest, _facts(manifest, record))
    return page.write(run / REPORT_NAME)


def write_evaluation_page(
    assessment: Assessment, bundles: Sequence[Bundle], dataset: Dataset, workspace: Workspace
) -> Path:
    """Write the page of `cv evaluate` into the workspace's `reports` folder, and return its path."""
    whole = assessment.evaluation
    page = Page(
        f"{whole.model} on {dataset.name}",
        f"Measured on {many(len(whole), 'picture')} of the {whole.split} split, through the loop that predicts.",
    )
    add_lead_figures(page, whole.scores)
    page.notes([*assessment.remarks, *([assessment.leak.sentence(whole.model)] if assessment.leak else [])])
    if whole.members:
        page.section("What the ensemble buys", " ".join(f"{as_sentence(str(gain))}." for gain in assessment.gains))
        rows = compare_rows({one.model: one for one in (*whole.members, whole)})
        page.table(["model", "accuracy", "balanced accuracy", "F1", "calibration error"], rows)
    effect = assessment.target
    _add_evaluation(page, effect.evaluation if effect else whole, dataset.root, effect and effect.target)
    page.section("The models")
    page.table(
        ["model", "made", "data", "temperature"],
        [
            [one.name, f"{one.record.created:%Y-%m-%d}", one.record.dataset.name if one.record.dataset else "unknown",
             f"{one.record.temperature:.3f}"]
            for one in bundles
        ],
    )  # fmt: skip
    name = slug(f"evaluate-{dataset.name}-{whole.model}")
    return page.write(workspace.root / "reports" / f"{name}.html")


def _add_evaluation(
    page: Page, evaluation: Evaluation, root: Path, target: Target | None, remarks: Sequence[str] = ()
) -> None:
    add_classes(page, evaluation)
    add_thresholds(page, evaluation, target)
    page.notes(remarks)
    add_curves(page, evaluation)
    add_gallery(page, evaluation, root)
    add_skipped(page, [(shown_path(Path(entry.path), root), entry.reason) for entry in evaluation.skipped])


def _about_target(valid: Evaluation, target: Target) -> list[str]:
    return shortfalls(valid.probability, valid.labels, tuple(valid.thresholds.tolist()), target, valid.names)


def _caveats(evaluations: Sequence[Evaluation], leak: LeakEffect | None, name: str, dataset: Dataset) -> list[str]:
    main = evaluations[-1]
    said = main.scores.remarks()
    if main is evaluations[0]:
        none = next(dataset.items("test"), None) is None
        missing = "There are no test pictures" if none else "No test picture could be read"
        said.append(
            f"{missing}: these figures come from the {main.split} pictures, by which the best epoch"
            " and the temperature were chosen, so they are somewhat too good."
        )
    if leak:
        said.append(leak.sentence(name))
    return [*said, *(sentence for one in evaluations for sentence in one.about_skipped(dataset.root))]


def _add_training(page: Page, manifest: RunManifest, history: Sequence[Row], record: BundleRecord) -> None:
    page.section("The training", _about_stages(manifest, history))
    stages = [stage for stage in ("frozen", "tuned") if stage_rows(history, stage)]
    if stages:
        head = ["stage", "learned from", "epochs", "best", "validation accuracy", "validation loss", "highest rate"]
        rows = [_stage_row(manifest, stage, stage_rows(history, stage)) for stage in stages]
        page.table([*head, "time", "waiting for data"], rows)
        _add_history(page, history)
    for stage, search in _searches(manifest).items():
        page.plot(
            xy_lines({"loss": (search["rates"], search["losses"])}, x_label="learning rate", y_label="loss", log_x=True,
                     marks={float(search["chosen"]): f"chosen: {float(search['chosen']):.2g}"}),
            f"The search for the {stage} stage's learning rate: {search.get('reason', '')}",
        )  # fmt: skip
    if record.classifier:
        head = record.classifier
        page.table(
            ["part", "what"],
            [
                ["backbone", head.backbone],
                ["began with", started_from(head) or "unknown"],
                ["head", f"{head.pooling} pooling, {head.units} units, {head.activation}, dropout {head.dropout:g}"],
                ["changed from", head.unfrozen_from or "nothing: the backbone is as it came"],
                ["input", f"{record.preprocessing.width} x {record.preprocessing.height} pixels, "
                          f"{record.preprocessing.resize}"],
            ],
        )  # fmt: skip


def _stage_row(manifest: RunManifest, stage: str, epochs: Sequence[Row]) -> list[object]:
    best = max(epochs, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    waited = [row["waited"] * row["seconds"] for row in epochs if "waited" in row]
    seconds = sum(row["seconds"] for row in epochs)
    return [
        stage, _source(manifest, stage), len(epochs), best["epoch"], f"{best['val_accuracy']:.3f}",
        f"{best['val_loss']:.3f}", _rate(epochs), f"{seconds:.1f} s",
        f"{sum(waited) / seconds:.1%}" if waited and seconds else "-",
    ]  # fmt: skip


def _add_history(page: Page, history: Sequence[Row]) -> None:
    frozen = len(stage_rows(history, "frozen"))
    marks = {frozen: "fine-tuning"} if 0 < frozen < len(history) else {}
    drawn = []
    for measure in _MEASURED:
        lines = {
            "training": [row[measure] for row in history],
            "validation": [row[f"val_{measure}"] for row in history],
        }
        drawn.append((curves(lines, x_label="epoch", y_label=measure, marks=marks, width=5), _MEASURED[measure]))
    page.plots(drawn)
    rates = [row["learning_rate"] for row in history if "learning_rate" in row]
    if len(set(rates)) > 1 and len(rates) == len(history):
        page.plot(curves({"rate": rates}, x_label="epoch", y_label="learning rate at its end", marks=marks, log_y=True))


def _about_stages(manifest: RunManifest, history: Sequence[Row]) -> str:
    shipped = shipped_row(history)
    if shipped is None:
        return "The run kept no history."
    text = f"The model that ships is that of epoch {shipped['epoch']} of the {shipped['stage']} stage"
    tuned = stage_rows(history, "tuned")
    if shipped["stage"] == "frozen" and tuned:
        best = max(row["val_accuracy"] for row in tuned)
        text += (
            f": fine-tuning came to {best:.3f} on the validation pictures and did not beat the frozen stage's"
            f" {shipped['val_accuracy']:.3f}"
        )
    elif shipped["stage"] == "tuned" and (frozen := stage_rows(history, "frozen")):
        best = max(row["val_accuracy"] for row in frozen)
        text += f": {shipped['val_accuracy']:.3f} on the validation pictures, after {best:.3f} with the backbone frozen"
    text += "."
    if stopped := manifest.result.get("stopped"):
        text += f" {stopped}, so training ended there."
    spent = sum(manifest.timings.values())
    return f"{text} All of it took {spent:.0f} seconds on {manifest.device}." if spent else text


def _source(manifest: RunManifest, stage: str) -> str:
    found = (manifest.result.get("features") or {}).get(stage)
    if not found or "engine" not in found:
        return "pictures"
    once = "from the cache" if found["from_cache"] else f"computed in {found['seconds']:.1f} s"
    return f"features of {many(found['views'], 'view')}, {found['engine']}, {once}"


def _left_out(manifest: RunManifest) -> list[list[str]]:
    """Training pictures that could not be read."""
    stages = (manifest.result.get("features") or {}).values()
    return [list(entry) for entry in dict.fromkeys(tuple(one) for stage in stages if stage for one in stage["skipped"])]


def _add_folds(page: Page, manifest: RunManifest, train: int) -> None:
    folds = manifest.result.get("folds")
    if not folds:
        return
    accuracy, count = Figure(**folds["accuracy"]), len(folds["accuracies"])
    page.section(
        "Cross-validation",
        f"The same recipe {count} times, each time measured on a part of the training and validation pictures that it"
        f" had not seen: {told(accuracy)} of {folds['pictures']} pictures right. "
        f"{what_folds_learn(count, folds['pictures'], train)}",
    )
    page.table(
        ["fold", "accuracy"],
        [[number, f"{value:.3f}"] for number, value in enumerate(folds["accuracies"], 1)],
        f"Spread {folds['spread']:.3f}: so much luck is in a single split.",
    )


def _rate(epochs: Sequence[Row]) -> str:
    rates = [row["learning_rate"] for row in epochs if "learning_rate" in row]
    return f"{max(rates):.2g}" if rates else "-"


def _searches(manifest: RunManifest) -> Mapping[str, Mapping[str, Any]]:
    found = manifest.result.get("searches")
    return found if isinstance(found, dict) else {}


def _facts(manifest: RunManifest, record: BundleRecord) -> list[tuple[str, str]]:
    proof = manifest.result.get("proof")
    proved = (
        [("rebuilt in a fresh process", f"no probability differs by more than {proof:.2g}")]
        if proof is not None
        else []
    )
    return [("run", record.run or "unknown"), *proved]
