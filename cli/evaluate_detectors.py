"""What `cv evaluate` prints about detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .options import plain
from .tables import print_table, shown_figure

if TYPE_CHECKING:
    from ..detect.assess import Assessed, Assessment
    from ..detect.metrics import DetectorScores

_MOST_CLASSES = 30


def tell_detectors(done: Assessment, dataset: str, *, learned_from: bool) -> None:
    """The figures on standard output, what to know of them on standard error.

    Args:
        done: What was measured.
        dataset: The dataset's name.
        learned_from: It also has pictures to learn from.
    """
    from ..core.progress import say, warn
    from ..core.words import many

    first = done.models[0].evaluation
    boxes = many(first.scores.boxes, "box", "boxes")
    typer.echo(
        plain(f"{many(len(first), f'{first.split} picture')} of {dataset} with {boxes}; in brackets the 95% interval")
    )
    if first.protocol == "ultralytics":
        say("counted as Ultralytics' val does, where a box may be of several classes; cv predict gives it one")
    rows = []
    for one in done.models:
        rows.append(_model_row(one.evaluation.model, one.evaluation.scores))
        if one.leak:
            rows.append(_model_row(f"  without the {one.leak.leaked} that leak", one.clean))
    print_table(("model", "mAP50", "mAP50-95", "precision", "recall"), rows)
    for first_name, second_name, difference in done.comparisons:
        verdict = difference.verdict
        typer.echo(plain(f"{second_name} against {first_name}: {difference.measure} {difference.points()}: {verdict}"))
    for one in done.models:
        _tell_model(one, named=len(done.models) > 1)
    common = [remark for remark in done.models[0].remarks if all(remark in one.remarks for one in done.models)]
    for remark in common:
        warn(remark)
    for one in done.models:
        for remark in one.remarks:
            if remark not in common:
                warn(f"{one.evaluation.model}: {remark}" if len(done.models) > 1 else remark)
        if one.leak:
            warn(one.leak.sentence(one.evaluation.model))
    if learned_from and first.split != "train" and not any(one.leak for one in done.models):
        say(f"No {first.split} picture shows what a picture of an earlier split shows: none leaks.")


def _tell_model(one: Assessed, *, named: bool) -> None:
    """Classes, sizes and mistakes of one model."""
    scores = one.evaluation.scores
    if not scores.boxes:
        return
    typer.echo(plain(f"\n{one.evaluation.model}" if named else ""))
    occurring = [cls for cls in scores.classes if cls.boxes or cls.found]
    rows = [
        [cls.name, str(cls.boxes), f"{cls.threshold:.3f}",
         *map(shown_figure, (cls.ap50, cls.ap50_95, cls.precision, cls.recall))]
        for cls in occurring[:_MOST_CLASSES]
    ]  # fmt: skip
    print_table(("class", "boxes", "threshold", "AP50", "AP50-95", "precision", "recall"), rows)
    if rest := len(occurring) - len(rows):
        typer.echo(f"... and {rest} more; --json has them all")
    typer.echo("")
    rows = [
        [size.name, str(size.boxes), *map(shown_figure, (size.ap50, size.ap50_95, size.recall))]
        for size in scores.sizes
    ]
    print_table(("size", "boxes", "mAP50", "mAP50-95", "recall"), rows)
    typer.echo(plain(_sizes_in_words(one)))
    typer.echo("")
    rows = [[kind, str(sum(counts)), f"{100 * one.costs[kind]:.1f}"] for kind, counts in one.counts.items()]
    print_table(("mistake", "how many", "costs points of mAP50"), rows)


def _sizes_in_words(one: Assessed) -> str:
    """Small is below 32 pixels of the original; the model sees the picture smaller or larger."""
    import numpy as np

    sides = [max(picture.width, picture.height) for picture in one.evaluation.pictures]
    scale = one.evaluation.imgsz / float(np.median(sides))
    return (
        f"small: below 32 x 32 pixels of the picture, large: from 96 x 96; the model sees the picture at"
        f" {one.evaluation.imgsz} pixels, where these sides are {32 * scale:.0f} and {96 * scale:.0f} pixels."
    )


def _model_row(name: str, scores: DetectorScores | None) -> list[str]:
    if scores is None:
        return [name, *["-"] * 4]
    return [name, *map(shown_figure, (scores.map50, scores.map50_95, scores.precision, scores.recall))]
