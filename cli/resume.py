"""`cv resume`: go on with a training that was interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from ..core.workspace import Workspace


def resume(
    run: Annotated[str, typer.Argument(help="The run's name under runs/, or its folder.")],
    extend: Annotated[
        int | None,
        typer.Option("--extend", min=1, help="Train a finished detector for so many more epochs, as one longer run."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Where the dataset is now, if it was moved: a name or a folder.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Where a detector goes on: cpu, auto, 0, ... Default: where it was.")
    ] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Go on with an interrupted training, of a detector or a classifier, from its last whole state.

    With --extend a finished training of a detector goes on; the model from before stays as it is.

    Example: cv resume finetune-flowers-vgg16-20260301-101500
    """
    from ..core.errors import NotFoundError, UsageError
    from ..core.manifest import MANIFEST_NAME, RunManifest
    from ..core.workspace import Workspace, locate

    place = Workspace.find(workspace)
    try:
        folder = locate(run, place.runs, "run", marker=MANIFEST_NAME)
    except NotFoundError as error:
        raise NotFoundError(error.what, where=error.where, next_step=_resumable(place) or error.next_step) from None
    command = RunManifest.load(folder).command
    if command == "train-yolo":
        from ..detect.train import extend_yolo, resume_yolo
        from .train_yolo import epoch_lines, tell_detector

        with epoch_lines(as_json):
            done = (
                extend_yolo(folder, place, extend, dataset=dataset, device=device)
                if extend
                else resume_yolo(folder, place, dataset=dataset, device=device)
            )
        tell_detector(done, as_json)
    elif extend is not None:
        raise UsageError("Only the training of a detector can be extended.", where="--extend",
                         next_step="train anew with more epochs")  # fmt: skip
    elif device is not None:
        raise UsageError("Only the training of a detector can go on elsewhere than it began.", where="--device",
                         next_step="leave --device out, or train anew")  # fmt: skip
    elif command == "finetune":
        from ..classify.finetune import resume_finetune
        from .finetune import tell_classifier

        tell_classifier(resume_finetune(folder, place, dataset=dataset), as_json)
    elif command == "tune":
        from ..detect.tune import resume_tune
        from .tune import tell_tuning

        tell_tuning(resume_tune(folder, place, dataset=dataset), as_json)
    else:
        raise UsageError(
            f"A run of `cv {command}` cannot be resumed; `cv train-yolo`, `cv finetune` and `cv tune` can.",
            where=folder,
            next_step=f"run `cv {command}` again",
        )


def _resumable(place: Workspace) -> str:
    """Which runs can be resumed, in words; empty where there is none."""
    from ..core.runs import list_runs
    from ..core.words import some
    from .runs import RESUMED

    ended = {"interrupted", "killed", "failed"}
    names = [entry.name for entry in list_runs(place) if entry.command in RESUMED and entry.status in ended]
    return f"these can be resumed: {some(names, 5)}" if names else ""
