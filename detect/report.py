"""The page of a detector's run, `report.html`, and that of `cv evaluate --html`: figures, curves and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.files import slug
from ..core.manifest import RunManifest
from ..core.progress import warn
from ..core.words import many, some
from ..core.workspace import Workspace
from ..datasets.check.finding import CheckReport
from ..datasets.check.run import check_dataset
from ..datasets.check.tell import shown_path, skipped_sentences
from ..datasets.model import SPLITS, Dataset
from ..report.page import Page
from ..report.parts import add_commands, add_facts, add_left_out, add_skipped
from ..report.target import Target, parse_target
from ..weights.bundle import Bundle
from .assess import Assessed, Assessment, leak_effect_of
from .evaluate import Evaluation
from .finish import most_telling
from .gallery import add_gallery
from .history import overfitting, read_history
from .metrics import FIGURES
from .report_parts import add_classes, add_curves, add_lead_figures, add_sizes, add_thresholds, compare_rows
from .thresholds import missed
from .training_report import add_tiles, add_training

REPORT_NAME = "report.html"
_UNEVEN = 10  # times as many boxes as another class


def write_report(run: Path, bundle: Bundle, evaluations: Sequence[Evaluation], dataset: Dataset) -> Path:
    """Write a run's `report.html`, whole or not at all, and return its path.

    What its reader must not overlook (overfitting, leaks, too few pictures) is said on the terminal too.

    Args:
        run: The run's folder, with `run.json` and Ultralytics' `results.csv`.
        bundle: What the run ended with.
        evaluations: What it found in validation pictures, then in test pictures; see `most_telling`.
        dataset: What it was trained on; what a check finds in it is remembered since the start.

    Raises:
        DataError: `run.json` or `results.csv` is damaged.
    """
    manifest, history = RunManifest.load(run), read_history(run)
    main = most_telling(evaluations)
    report = check_dataset(dataset)
    record = bundle.record
    family = record.detector.family if record.detector else "unknown"
    page = Page(
        bundle.name,
        f"A detector of {many(len(record.names), 'class', 'classes')} ({family}, {record.preprocessing.width} pixels),"
        f" trained on {dataset.name} ({', '.join(f'{dataset.count(split)} {split}' for split in SPLITS)} pictures) and"
        f" measured on {many(len(main), 'picture')} of its {main.split} split, through the loop that predicts.",
    )
    add_lead_figures(page, main.scores)
    target = parse_target(manifest.options["target"]) if manifest.options.get("target") else None
    short = missed(main, target) if target else []
    new = [*short, *_caveats(evaluations, main, report, bundle.name), *overfitting(history)]
    page.notes([*new, *_about_boxes(report)])
    for sentence in new:  # what is wrong with the boxes was said before the training
        warn(sentence)
    add_training(page, manifest, history, record)
    add_tiles(page, manifest.result.get("tiles"))
    if len(evaluations) > 1:
        page.section("On each split")
        page.table(["split", "pictures", "boxes", *FIGURES], compare_rows({one.split: one for one in evaluations}))
    _add_evaluation(page, main, dataset.root, target)
    lost = manifest.result.get("skipped") or []
    add_left_out(page, [(shown_path(Path(path), dataset.root), reason) for path, reason in lost])
    add_commands(page, [
        ("find objects in pictures", f"cv predict PICTURES --weights {bundle.name} --save"),
        ("watch a camera", f"cv live --weights {bundle.name}"),
        ("measure it again", f"cv evaluate {dataset.name} --weights {bundle.name} --html"),
        ("beside another run", f"cv compare {run.name} RUN"),
    ])  # fmt: skip
    add_facts(page, manifest, [("run", run.name)])
    return page.write(run / REPORT_NAME)


def write_evaluation_page(assessment: Assessment, dataset: Dataset, workspace: Workspace) -> Path:
    """Write the page of `cv evaluate` into the workspace's `reports` folder, and return its path.

    Of several models the first one is told in full; how they compare is told of all.
    """
    evaluations = assessment.evaluations
    main = evaluations[0]
    names = [one.model for one in evaluations]
    how = "through the loop that predicts" if main.protocol == "predict" else "counted as Ultralytics' val counts"
    page = Page(
        f"{' and '.join(names)} on {dataset.name}",
        f"Measured on {many(len(main), 'picture')} of the {main.split} split, {how}.",
    )
    add_lead_figures(page, main.scores)
    page.notes(_remarks(assessment.models))
    if len(evaluations) > 1:
        page.section("The models", f"All that follows this section tells of {main.model}.")
        rows = compare_rows({one.model: one for one in evaluations})
        page.table(["model", *FIGURES], [[name, *figures] for name, _, _, *figures in rows])
        page.table(
            ["model", "against", "points more", ""],
            [[second, first, one.points(), one.verdict] for first, second, one in assessment.comparisons],
            "mAP50-95 on the same pictures; in brackets 95% intervals, for which both models get the same draws.",
        )
    _add_evaluation(page, main, dataset.root, assessment.target)
    return page.write(workspace.root / "reports" / f"{slug('-'.join(['evaluate', dataset.name, *names]))}.html")


def _remarks(models: Sequence[Assessed]) -> list[str]:
    """What holds for all models, then what holds for one, with its name."""
    common = [said for said in models[0].remarks if all(said in one.remarks for one in models)]
    own = [f"{one.evaluation.model}: {said}" for one in models for said in one.remarks if said not in common]
    return [*common, *own, *(one.leak.sentence(one.evaluation.model) for one in models if one.leak)]


def _add_evaluation(page: Page, evaluation: Evaluation, root: Path, target: Target | None) -> None:
    if evaluation.scores.boxes:
        add_classes(page, evaluation)
        add_thresholds(page, evaluation, target)
        add_curves(page, evaluation)
        add_sizes(page, evaluation)
    add_gallery(page, evaluation, root)
    add_skipped(page, [(shown_path(Path(entry.path), root), entry.reason) for entry in evaluation.skipped])


def _caveats(evaluations: Sequence[Evaluation], main: Evaluation, report: CheckReport, name: str) -> list[str]:
    said = main.scores.remarks()
    if main is evaluations[0]:
        counts = {one.split: one for one in evaluations}
        missing = "No test picture has a box" if "test" in counts else "There are no test pictures"
        said.append(
            f"{missing}: these figures come from the {main.split} pictures, by which the best epoch and the thresholds"
            " were chosen, so they are somewhat too good."
        )
    if leak := leak_effect_of(main, frozenset(report.leaked)):
        said.append(leak.sentence(name))
    for one in evaluations:
        said += skipped_sentences(one.split, one.skipped, report.dataset.root)
    return said


def _about_boxes(report: CheckReport) -> list[str]:
    """Classes that training pictures hardly show."""
    names, boxes = report.dataset.names, report.objects[SPLITS.index("train")]
    said = []
    if none := [name for name, count in zip(names, boxes, strict=True) if not count]:
        said.append(f"No training picture shows {some(none)}: the model cannot know what that looks like.")
    used = np.flatnonzero(boxes)
    if len(used) > 1:
        most, fewest = used[boxes[used].argmax()], used[boxes[used].argmin()]
        if boxes[most] >= _UNEVEN * boxes[fewest]:
            said.append(
                f"The training pictures hold {boxes[most]} boxes of {names[most]} and {boxes[fewest]} of"
                f" {names[fewest]}: rare classes are learned worse. More pictures of them help most, --balance"
                " resample somewhat."
            )
    return said
