"""`cv evaluate`: how good a trained model is on labelled pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .options import DatasetArgument, DeviceOption, JsonOption, WorkspaceOption, plain, print_json

if TYPE_CHECKING:
    from ..classify.assess import Assessment, TargetEffect
    from ..classify.metrics import ClassifierScores
    from ..datasets.model import Dataset
    from ..report.bootstrap import Figure
    from ..weights.bundle import Bundle


def evaluate(
    dataset: DatasetArgument,
    weights: Annotated[
        list[str],
        typer.Option(
            "--weights",
            help="The trained model: its name or folder. Several classifiers are measured alone and as one.",
        ),
    ],
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option("--split", help="Pictures to measure on. Default: test, or valid where there are none."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Choose a threshold for each class on the valid pictures, below which the answer is 'unknown':"
            " precision=0.95 or recall=0.9.",
        ),
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the thresholds of --target into the model.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write a page with curves and pictures: reports/evaluate-....html.")
    ] = False,
    device: DeviceOption = "auto",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained model on labelled pictures, and say how far the figures can be trusted.

    Example: cv evaluate flowers --weights flowers-vgg16 --target precision=0.95
    """
    from ..core.errors import UsageError
    from ..core.workspace import Workspace
    from ..datasets.read import open_dataset
    from ..weights.bundle import open_bundle

    if save and target is None:
        raise UsageError("There is nothing to save.", where="--save", next_step="add --target precision=0.95, say")
    if save and len(weights) > 1:
        raise UsageError("Thresholds are saved into one model.", where="--save", next_step="give a single --weights")
    place = Workspace.find(workspace)
    opened = open_dataset(dataset, place, to_measure=True)
    bundles = [open_bundle(one, place) for one in weights]
    if opened.task == "detect":
        if target or html:
            raise UsageError(
                "Thresholds and pages are made for classifiers; this dataset is for detectors.",
                where="--target" if target else "--html",
                next_step="leave it out",
            )
        _evaluate_detectors(bundles, opened, split, device, as_json)
        return
    from ..classify.assess import AssessConfig, assess_classifiers, save_thresholds
    from ..classify.report import write_evaluation_page
    from ..core.progress import say

    if target and len(bundles) > 1:
        say("the thresholds of several models as one are shown here and cannot be saved: they belong to none of them")
    done = assess_classifiers(bundles, opened, AssessConfig(split=split, target=target, device=device))
    saved = save_thresholds(bundles[0], done.target, opened) if save and done.target else None
    page = write_evaluation_page(done, bundles, opened, place) if html else None
    if as_json:
        print_json({**done.as_record(), "dataset": opened.name, "saved": saved and str(saved.folder),
                    "page": page and str(page)})  # fmt: skip
        return
    _tell(done, learned_from=next(opened.items("train"), None) is not None)
    if saved:
        say(f"the thresholds are in {saved.folder}")
    if page:
        say(f"The page: {page}")


def _evaluate_detectors(
    bundles: list[Bundle], dataset: Dataset, split: Literal["train", "valid", "test"] | None, device: str, as_json: bool
) -> None:
    """Each detector's average precision; with the pictures that leak and without."""
    from dataclasses import asdict

    from ..core.progress import progress, warn
    from ..datasets.check.run import check_dataset
    from ..datasets.holdout import first_split
    from ..detect.assess import leak_effect_of
    from ..detect.evaluate import check_fits, evaluate_detector

    for bundle in bundles:
        check_fits(bundle, dataset)  # before every picture is read
    chosen = split or first_split(dataset)
    with progress("looking for pictures that two splits share", dataset.count()) as advance:
        leaked = frozenset(check_dataset(dataset, advance=advance).leaked)
    rows = []
    for bundle in bundles:
        evaluation = evaluate_detector(bundle, dataset, chosen, device=device)
        rows.append((bundle, evaluation.scores, leak_effect_of(evaluation, leaked)))
    if as_json:
        print_json({
            "dataset": dataset.name, "split": chosen,
            "models": [
                {"name": bundle.name, **scores.as_record(), "leak": effect and asdict(effect)}
                for bundle, scores, effect in rows
            ],
        })  # fmt: skip
        return
    names = ("mAP50", "mAP50-95", "precision", "recall")
    shown = [
        [bundle.name, *(f"{value:.3f}" for value in scores.as_metrics().values())]
        if scores.boxes
        else [bundle.name, *["-"] * len(names)]
        for bundle, scores, _ in rows
    ]
    first = rows[0][1]
    typer.echo(plain(f"{first.pictures} {chosen} pictures of {dataset.name} with {first.boxes} boxes"))
    _print_table(("model", *names), shown)
    for bundle, scores, effect in rows:
        if not scores.boxes:
            warn(f"{bundle.name}: no picture of '{chosen}' has a box, so there is nothing to measure")
        if effect:
            warn(effect.sentence(bundle.name))


def _together(done: Assessment) -> str:
    """What several models as one are worth, against the best of them alone."""
    whole = done.evaluation
    best = max(whole.members, key=lambda member: member.scores.accuracy.value)
    gain = next(gain for gain in done.gains if gain.member == best.model)
    low, high = (100 * value for value in (gain.difference.low, gain.difference.high))
    noise = "within noise" if gain.within_noise else f"{low:+.1f} to {high:+.1f} points"
    together, alone = (one.scores.accuracy.value for one in (whole, best))
    return f"together {together:.3f}, best alone {alone:.3f} ({best.model}): {noise}"


def _tell(done: Assessment, *, learned_from: bool) -> None:
    """The figures on standard output; `learned_from`: the dataset also has pictures to learn from."""
    from ..core.progress import say, warn

    whole = done.evaluation
    scores = whole.scores
    typer.echo(plain(f"{scores.pictures} {scores.split} pictures; in brackets the 95% interval"))
    _print_table(
        ("model", "accuracy", "balanced accuracy", "F1", "calibration error", "unknown"),
        [_row(one.model, one.scores) for one in (*whole.members, whole)],
    )
    typer.echo("")
    rows = [[one.name, str(one.pictures), *map(_shown, (one.precision, one.recall, one.f1))] for one in scores.classes]
    _print_table(("class", "pictures", "precision", "recall", "F1"), rows)
    if done.gains:
        typer.echo(plain(_together(done)))
    if done.target:
        _tell_target(done.target)
    for remark in done.remarks:
        warn(remark)
    if done.leak:
        warn(done.leak.sentence(whole.model))
    elif scores.split != "train" and learned_from:
        say(f"No {scores.split} picture shows what a picture of an earlier split shows: none leaks.")


def _tell_target(effect: TargetEffect) -> None:
    scores = effect.evaluation.scores
    typer.echo(plain(f"\nwith thresholds for {effect.target}, chosen on the valid pictures:"))
    rows = [
        [name, f"{threshold:.3f}" if threshold else "0: answers always", _shown(reached)]
        for name, threshold, reached in zip(
            effect.evaluation.names, effect.evaluation.thresholds.tolist(), effect.reached, strict=True
        )
    ]
    _print_table(("class", "threshold", f"{effect.target.metric} on {effect.evaluation.split}"), rows)
    typer.echo(
        f"answered {scores.answered:.1%} of the pictures, of these {_shown(scores.accuracy_answered)} right;"
        f" 'unknown' {scores.unknown:.1%}"
    )


def _row(name: str, scores: ClassifierScores) -> list[str]:
    error = f"{scores.ece:.3f}"
    if scores.ece_before is not None and scores.ece_before != scores.ece:
        error += f" (before calibration {scores.ece_before:.3f})"
    figures = map(_shown, (scores.accuracy, scores.balanced_accuracy, scores.f1))
    return [name, *figures, error, f"{scores.unknown:.1%}"]


def _shown(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _print_table(head: tuple[str, ...], rows: list[list[str]]) -> None:
    """A plain table on standard output: it is what was asked for."""
    cells = [list(head), *[[plain(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
