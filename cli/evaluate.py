"""`cv evaluate`: how good a trained model is on labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .options import DatasetArgument, DeviceOption, JsonOption, WorkspaceOption, plain, print_json
from .tables import print_table, shown_figure

if TYPE_CHECKING:
    from ..classify.assess import Assessment, TargetEffect
    from ..classify.metrics import ClassifierScores
    from ..core.workspace import Workspace
    from ..datasets.model import Dataset
    from ..detect.assess import Assessment as DetectorAssessment
    from ..weights.bundle import Bundle, BundleRecord


@dataclass(frozen=True)
class _Options:
    """What was asked for, see `evaluate`."""

    split: Literal["train", "valid", "test"] | None
    target: str | None
    save: bool
    html: bool
    protocol: Literal["predict", "ultralytics"]
    device: str
    as_json: bool


def evaluate(
    dataset: DatasetArgument,
    weights: Annotated[
        list[str],
        typer.Option(
            "--weights",
            help="The trained model: its name or folder. Several classifiers are measured alone and as one, several"
            " detectors each and against each other.",
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
            help="Choose a threshold for each class on the valid pictures, below which the answer is 'unknown' and a"
            " box is not shown: precision=0.95 or recall=0.9.",
        ),
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the thresholds of --target into the model.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Also write a page with curves and pictures: reports/evaluate-....html.")
    ] = False,
    protocol: Annotated[
        Literal["predict", "ultralytics"],
        typer.Option(
            "--protocol",
            help="How a detector's boxes count: one class a box, as cv predict gives them, or as in Ultralytics' val,"
            " which lets a box be of several classes and so differs.",
        ),
    ] = "predict",
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
    if save and protocol != "predict":
        raise UsageError(
            "Thresholds for cv predict are chosen as it counts: one class a box.",
            where="--save",
            next_step="leave out --protocol",
        )
    place = Workspace.find(workspace)
    opened = open_dataset(dataset, place, to_measure=True)
    bundles = [open_bundle(one, place) for one in weights]
    if opened.task == "detect":
        _evaluate_detectors(bundles, opened, place, _Options(split, target, save, html, protocol, device, as_json))
        return
    if protocol != "predict":
        raise UsageError(
            "Ultralytics counts boxes, and this dataset has none.", where="--protocol", next_step="leave it out"
        )
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


def _evaluate_detectors(bundles: list[Bundle], dataset: Dataset, place: Workspace, options: _Options) -> None:
    from ..core.progress import say
    from ..detect.assess import AssessConfig, assess_detectors, save_thresholds
    from .evaluate_detectors import tell_detectors

    config = AssessConfig(
        split=options.split, target=options.target, device=options.device, protocol=options.protocol
    )  # fmt: skip
    done = assess_detectors(bundles, dataset, config)
    before = bundles[0].record
    saved = save_thresholds(bundles[0], done.models[0], dataset) if options.save else None
    page = None
    if options.html:
        from ..detect.report import write_evaluation_page

        page = write_evaluation_page(done, dataset, place)
    if options.as_json:
        print_json({**done.as_record(), "dataset": dataset.name, "saved": saved and str(saved.folder),
                    "page": page and str(page)})  # fmt: skip
        return
    tell_detectors(done, dataset.name, learned_from=next(dataset.items("train"), None) is not None)
    if saved:
        say(f"the thresholds are in {saved.folder}: {_changed(before, saved.record)}")
    if page:
        say(f"The page: {page}")
    if options.protocol == "predict" and any(_may_be_of_several(bundle) for bundle in bundles):
        say("Ultralytics' val lets a box be of several classes and so mostly comes out higher: compare with it by"
            " --protocol ultralytics")  # fmt: skip
    for line in _next(options, done, [bundle.name for bundle in bundles], dataset.name, saved=saved is not None):
        say(line)


def _next(options: _Options, done: DetectorAssessment, names: list[str], dataset: str, *, saved: bool) -> list[str]:
    """What to do with what was found about detectors."""
    import shlex

    again = " ".join(["cv evaluate", shlex.quote(dataset), *(f"--weights {shlex.quote(name)}" for name in names)])
    if options.target and len(names) == 1 and not saved and options.protocol == "predict":
        if done.models[0].missed:
            return ["next: better not --save these thresholds; ask for less, or train with more pictures"]
        return ["next: add --save to use these thresholds from now on"]
    if not options.html:
        return [f"next: {again} --html, for curves and pictures of the mistakes"]
    best = max(done.models, key=lambda one: one.evaluation.scores.as_metrics().get("mAP50-95", 0.0)).evaluation.model
    return [f"next: cv predict PICTURES --weights {shlex.quote(best)} --save"]


def _changed(before: BundleRecord, after: BundleRecord) -> str:
    """The thresholds of a detector, old and new: "cat 0.250 -> 0.712"."""
    old = before.thresholds or [before.confidence] * len(before.names)
    return ", ".join(
        f"{name} {was:.3f} -> {now:.3f}"
        for name, was, now in zip(after.names, old, after.thresholds or (), strict=True)
    )


def _may_be_of_several(bundle: Bundle) -> bool:
    """Whether Ultralytics' `val` may give a box of this detector several classes."""
    detector = bundle.record.detector
    return detector is not None and detector.output == "raw" and len(bundle.record.names) > 1


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
    print_table(
        ("model", "accuracy", "balanced accuracy", "F1", "calibration error", "unknown"),
        [_row(one.model, one.scores) for one in (*whole.members, whole)],
    )
    typer.echo("")
    rows = [
        [one.name, str(one.pictures), *map(shown_figure, (one.precision, one.recall, one.f1))] for one in scores.classes
    ]
    print_table(("class", "pictures", "precision", "recall", "F1"), rows)
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
        [name, f"{threshold:.3f}" if threshold else "0: answers always", shown_figure(reached)]
        for name, threshold, reached in zip(
            effect.evaluation.names, effect.evaluation.thresholds.tolist(), effect.reached, strict=True
        )
    ]
    print_table(("class", "threshold", f"{effect.target.metric} on {effect.evaluation.split}"), rows)
    typer.echo(
        f"answered {scores.answered:.1%} of the pictures, of these {shown_figure(scores.accuracy_answered)} right;"
        f" 'unknown' {scores.unknown:.1%}"
    )


def _row(name: str, scores: ClassifierScores) -> list[str]:
    error = f"{scores.ece:.3f}"
    if scores.ece_before is not None and scores.ece_before != scores.ece:
        error += f" (before calibration {scores.ece_before:.3f})"
    figures = map(shown_figure, (scores.accuracy, scores.balanced_accuracy, scores.f1))
    return [name, *figures, error, f"{scores.unknown:.1%}"]
