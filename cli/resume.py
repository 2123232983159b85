"""`cv resume`: go on with a training that was interrupted."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import JsonOption, WorkspaceOption


def resume(
    run: Annotated[str, typer.Argument(help="The run's name under runs/, or its folder.")],
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Go on with an interrupted training, of a detector or a classifier, from its last whole state.

    Example: cv resume finetune-flowers-vgg16-20260301-101500
    """
    from ..core.errors import UsageError
    from ..core.manifest import MANIFEST_NAME, RunManifest
    from ..core.workspace import Workspace, locate

    place = Workspace.find(workspace)
    folder = locate(run, place.runs, "run", marker=MANIFEST_NAME)
    command = RunManifest.load(folder).command
    if command == "train-yolo":
        from ..detect.train import resume_yolo
        from .train_yolo import epoch_lines, tell_detector

        with epoch_lines(as_json):
            done = resume_yolo(folder, place)
        tell_detector(done, as_json)
    elif command == "finetune":
        from ..classify.finetune import resume_finetune
        from .finetune import tell_classifier

        tell_classifier(resume_finetune(folder, place), as_json)
    else:
        raise UsageError(
            f"A run of `cv {command}` cannot be resumed; only `cv train-yolo` and `cv finetune` can.",
            where=folder,
            next_step=f"run `cv {command}` again",
        )
