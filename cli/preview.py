"""`cv preview`: look at a dataset and at what an augmentation does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, SeedOption, WorkspaceOption, print_json


def preview(
    dataset: Annotated[str | None, typer.Argument(help="A dataset's name, or its folder.")] = None,
    augment: Annotated[
        str | None, typer.Option("--augment", help="Show what this does: none, light, default, heavy, or a YAML file.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="How many pictures; each class has its turn.")] = 12,
    views: Annotated[int, typer.Option("--views", help="How often each picture is changed, with --augment.")] = 5,
    split: Annotated[str, typer.Option("--split", help="train, valid or test.")] = "train",
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write into. Default: reports/.")] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the augmentation to this new file, to make your own from it.")
    ] = None,
    seed: SeedOption = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show pictures with their labels, and what an augmentation does to them, as a page and a picture sheet.

    Example: cv preview chess --augment default
    """
    from ..core.errors import UsageError
    from ..core.workspace import Workspace

    place = Workspace.find(workspace)
    if write is not None:
        _write(augment or "default", write)
        if dataset is None:
            if as_json:
                print_json({"written": str(write)})
            return
    if dataset is None:
        raise UsageError("Which dataset?", next_step="cv datasets lists them; then: cv preview NAME")

    from ..core.progress import progress, say, warn
    from ..core.words import many
    from ..datasets.model import SPLITS
    from ..datasets.preview import PreviewConfig
    from ..datasets.preview import preview as show
    from ..datasets.read import open_dataset

    if split not in SPLITS:
        raise UsageError(f"There is no split called '{split}'.", where="--split", next_step=f"use {', '.join(SPLITS)}")
    config = PreviewConfig(augment=write or augment, count=count, split=split, seed=seed, views=views, to=to)
    with progress("drawing", count) as advance:
        done = show(open_dataset(dataset, place), place, config, advance)
    for path, reason in done.skipped[:5]:
        warn(f"not shown: {path}: {reason}")
    if as_json:
        print_json({"page": str(done.page), "sheet": str(done.sheet), "pictures": [str(path) for path in done.shown],
                    "skipped": [[str(path), reason] for path, reason in done.skipped],
                    "boxes": done.boxes[0], "boxes_in_views": done.boxes[1]})  # fmt: skip
        return
    say(f"{many(len(done.shown), 'picture')}: open {done.page}")
    say(f"the same as one picture: {done.sheet}")
    if augment is None and write is None:
        say(f"Next: see what training may do to them: cv preview {dataset} --augment default")


def _write(augment: str, path: Path) -> None:
    from ..core.errors import UsageError, is_disk_full
    from ..core.files import write_atomic
    from ..core.progress import say
    from ..datasets.augment_spec import PRESETS, preset_text, read_spec

    if path.exists():
        raise UsageError("This file is there already.", where=path, next_step="give --write a new name")
    text = preset_text(augment) if augment in PRESETS else read_spec(augment).as_yaml()
    try:
        write_atomic(path, text)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UsageError(
            f"This file cannot be written: {error.strerror}.", where=path, next_step="give --write another place"
        ) from None
    say(
        f"written: {path}; change it, look at it with cv preview NAME --augment {path}, then train with the same option"
    )
