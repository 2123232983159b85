"""`cv export`: a trained model in the format of another program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .options import JsonOption, SeedOption, WorkspaceOption, plain, print_json
from .tables import print_table

if TYPE_CHECKING:
    from ..predict.exporting import Exported

_MUCH = 0.02  # of mAP or accuracy: more than other options of a training usually change
_MEGABYTE = 1e6


def export(
    name: Annotated[str | None, typer.Argument(help="The trained model: its name or folder.")] = None,
    to: Annotated[
        Literal["onnx", "openvino", "tensorrt", "tflite", "coreml", "torchscript", "savedmodel"] | None,
        typer.Option("--to", help="The format. cv predict runs onnx, openvino and tensorrt; the rest are for others."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Numbers of 16 bits (fp16): half as large.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Numbers of 8 bits: a quarter as large; costs some accuracy.")
    ] = False,
    calibrate: Annotated[
        str | None,
        typer.Option(
            "--calibrate",
            help="With --int8: the dataset whose training pictures show the model which numbers come, 300 at most."
            " Default: the one that the model was trained on.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Measure model and export on this dataset. Default: that of --calibrate, or the one that the model was"
            " trained on.",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option("--split", help="Pictures to measure on. Default: test, or valid where there are none."),
    ] = None,
    new_name: Annotated[
        str | None, typer.Option("--name", help="What to call the export. Default: NAME-FORMAT-PRECISION.")
    ] = None,
    seed: SeedOption = 0,
    show: Annotated[
        bool, typer.Option("--list", help="Show which formats can be made on this machine, and why others cannot.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a trained model into the format of another program, and check that it still gives the same answers.

    Example: cv export chess-yolo26n --to openvino --half
    """
    from ..core.errors import UsageError

    if show:
        _list(as_json)
        return
    if name is None or to is None:
        raise UsageError(
            "A model and a format are needed.", where="cv export",
            next_step="cv export NAME --to openvino, say; cv weights lists the models, cv export --list the formats",
        )  # fmt: skip
    if half and int8:
        raise UsageError("Numbers have 16 bits or 8.", where="--half, --int8", next_step="give one of the two")
    from ..core.workspace import Workspace
    from ..predict.exporting import ExportConfig
    from ..weights.bundle import open_bundle

    place = Workspace.find(workspace)
    config = ExportConfig(
        kind=to, precision="fp16" if half else "int8" if int8 else "fp32", name=new_name, dataset=dataset,
        split=split, calibrate=calibrate, seed=seed,
    )  # fmt: skip
    bundle = open_bundle(name, place)
    if bundle.record.task == "detect":
        from ..detect.exported import export_detector

        done = export_detector(bundle, config, place)
    else:
        from ..classify.exported import export_classifier

        done = export_classifier(bundle, config, place)
    if as_json:
        print_json({
            "folder": str(done.bundle.folder), **done.bundle.record.model_dump(mode="json"),
            "speed": {"source": vars(done.source), "export": vars(done.export)},
        })  # fmt: skip
    else:
        _tell(done)


def _tell(done: Exported) -> None:
    import shlex

    from ..core.progress import say, warn
    from ..weights.export.formats import FORMATS

    record = done.bundle.record
    exported = record.exported
    if exported is None:
        return
    rows = [
        (metric, f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
        for metric, (before, after) in done.measured.items()
    ]
    faster = done.source.milliseconds / max(done.export.milliseconds, 1e-6)
    rows += [
        (
            "ms a picture",
            f"{done.source.milliseconds:.1f}",
            f"{done.export.milliseconds:.1f}",
            f"{faster:.2f} x as fast",
        ),
        ("runs on", done.source.engine, done.export.engine, ""),
        ("MB", f"{done.source.bytes / _MEGABYTE:.1f}", f"{done.export.bytes / _MEGABYTE:.1f}", ""),
    ]
    on = f" on {exported.split} pictures of '{exported.measured_on.name}'" if exported.measured_on else ""
    print_table((f"measured{on}", exported.source, record.name, "difference"), rows)
    told = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in exported.difference.items())
    say(f"on the golden samples it differs at most by: {told}")
    if much := much_lost(exported.loss):
        warn(much)
    say(f"the export is in {done.bundle.folder}")
    entry = FORMATS[exported.format]
    if entry.ours:
        say(f"next: cv predict PICTURES --weights {shlex.quote(record.name)}")
    else:
        size = record.preprocessing
        many = "any number of pictures" if entry.batch is None else "one picture at a time"
        say(f"next: load {entry.entry} in your program: 'pictures', uint8 BGR (n, {size.height}, {size.width}, 3), "
            f"{many}, {size.resize}; README.md there says more")  # fmt: skip


def much_lost(loss: Mapping[str, float]) -> str | None:
    """What to say of an export that lost a lot: the worst of its figures (this minus the source's); else None."""
    metric, lost = min(loss.items(), key=lambda one: one[1], default=("", 0.0))
    if lost > -_MUCH:
        return None
    return f"it loses {-100 * lost:.1f} points of {metric}, which is a lot; an export with --half loses next to nothing"


def _list(as_json: bool) -> None:
    from ..core.errors import LensmithError
    from ..weights.export.formats import FORMATS, check_possible
    from ..weights.record import ExportFormat, Precision

    found: list[dict[str, str]] = []
    kinds: tuple[ExportFormat, ...] = tuple(FORMATS)
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    for kind in kinds:
        for precision in precisions:
            row = {"format": kind, "precision": precision}
            for task in ("detect", "classify"):
                try:
                    check_possible(kind, precision, task)
                    row[task] = "yes"
                except LensmithError as error:
                    row[task] = "no" if as_json else error.what
            found.append(row)
    if as_json:
        print_json(found)
        return
    reasons: dict[str, None] = {}
    table = []
    for kind in kinds:
        mine = [row for row in found if row["format"] == kind]
        table.append((kind, *(_who(row) for row in mine)))
        reasons |= dict.fromkeys(row[task] for row in mine for task in ("detect", "classify") if row[task] != "yes")
    print_table(("format", *precisions), table)
    for reason in reasons:
        typer.echo(plain(f"\n{reason}"))


def _who(row: Mapping[str, str]) -> str:
    """Of which models this format and precision can be made here."""
    made = [name for name, task in (("detectors", "detect"), ("classifiers", "classify")) if row[task] == "yes"]
    return {0: "no", 1: f"{made[0]} only" if made else "", 2: "yes"}[len(made)]
