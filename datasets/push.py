"""Send a dataset's pictures and labels to a Roboflow project, each once, going on where an earlier push stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import UsageError
from ..core.files import slug
from ..core.images import ImageError, inspect_image
from ..core.lock import only_one
from ..core.progress import progress
from ..core.workspace import Workspace
from .formats.write_yolo import label_rows
from .model import Boxes, Dataset, Item, Task
from .roboflow.journal import open_journal
from .roboflow.key import need_key
from .roboflow.reference import parse_reference
from .roboflow.upload import Annotation, FoundProject, check_task, find_project
from .roboflow.workers import Outgoing, PushConfig, Refused, Workers


@dataclass(frozen=True)
class Pushed:
    """What a push ended with.

    Attributes:
        project: `WORKSPACE/PROJECT` as Roboflow calls it.
        url: The page where a person sees it.
        uploaded: Pictures that are new there; in a dry run, those that would be sent.
        already_there: Pictures that were there before, by our journal or by Roboflow's word.
        doubled: Pictures that are byte for byte another one of this push.
        annotated: Pictures that got labels; in a dry run, those that would.
        kept: Pictures whose labels there stayed, which may differ from these.
        refused: Pictures that failed.
        remarks: What else the person should know.
    """

    project: str
    url: str
    uploaded: int
    already_there: int
    doubled: int
    annotated: int
    kept: int
    refused: tuple[Refused, ...]
    remarks: tuple[str, ...]


def push_dataset(dataset: Dataset, project: str, workspace: Workspace, config: PushConfig | None = None) -> Pushed:
    """Send all pictures of a dataset to a project, with their splits and labels.

    A picture with an empty label file is marked as one without objects; one without a label file goes there unlabelled.

    Args:
        dataset: An opened dataset. Its files are only read.
        project: `WORKSPACE/PROJECT` on Roboflow, or the address of its page; it must exist.
        workspace: Keeps the journal of what was sent.
        config: Options; the defaults otherwise.

    Raises:
        UsageError: `project` names a version, or nothing.
        AuthError, NotFoundError: the key or the project.
        DataError: the project is for another task.
        LensmithError: Roboflow cannot be reached. What was sent is noted; the same call goes on there.
    """
    left_out = Counter[str]()
    outgoing = (_outgoing(dataset, item, left_out) for item in dataset.items())
    pushed = push_pictures(outgoing, dataset.task, project, workspace, config, name=dataset.name, total=dataset.count())
    if not left_out["rows"]:
        return pushed
    remark = f"{left_out['rows']} label rows cannot be used and were not sent; cv check-dataset tells which."
    return replace(pushed, remarks=(*pushed.remarks, remark))


def push_pictures(
    pictures: Iterable[Outgoing],
    task: Task,
    project: str,
    workspace: Workspace,
    config: PushConfig | None = None,
    *,
    name: str,
    total: int | None = None,
) -> Pushed:
    """Send any pictures to a project; see `push_dataset`.

    Args:
        pictures: What to send, gone through once.
        task: What their annotations are; it must be the project's.
        project: As in `push_dataset`.
        workspace: As in `push_dataset`.
        config: As in `push_dataset`.
        name: What the batch is called when the config does not say.
        total: How many they are, for the progress bar.
    """
    config = config or PushConfig()
    found = check_project(project, config.api_key, task)
    home = workspace.datasets / ".pushes"
    stem = f"{slug(found.reference.workspace)}+{slug(found.reference.project)}"
    with (
        only_one(home / f"{stem}.lock", f"another push to {found.reference}"),
        open_journal(home / f"{stem}-{found.created}.jsonl") as journal,
        progress("looking" if config.dry_run else f"uploading to {found.reference}", total) as advance,
    ):
        workers = Workers(found, journal, config, config.batch_name or name, advance)
        workers.run(iter(pictures))
    done = workers.tally
    remarks = [found.remark] if found.remark else []
    if done.elsewhere:
        remarks.append(
            f"{done.elsewhere} of the pictures that were sent before are in another split now. Roboflow leaves pictures"
            " in the split they came with: move them there, or push into a new project."
        )
    return Pushed(
        str(found.reference), found.url, done.uploaded, done.already_there, done.doubled, done.annotated, done.kept,
        tuple(sorted(done.refused, key=lambda refused: refused.picture)), tuple(remarks),
    )  # fmt: skip


def check_project(project: str, api_key: str | None, task: Task) -> FoundProject:
    """Find a project and see whether it is for this task; arguments and errors as in `push_dataset`."""
    wanted = parse_reference(project)
    if wanted.version is not None:
        raise UsageError(
            "Pictures are pushed to a project, not to a version.",
            where=project,
            next_step=f"give {wanted.workspace}/{wanted.project}",
        )
    found = find_project(wanted, need_key(api_key, wanted.workspace))
    check_task(found, task)
    return found


def label_of_boxes(picture: Path, boxes: Boxes, names: Sequence[str], *, prediction: bool = False) -> Annotation:
    """Boxes in the form in which Roboflow gets them: a YOLO text, which needs no picture size and rounds nothing."""
    return Annotation(f"{picture.stem}.txt", label_rows(boxes), dict(enumerate(names)), prediction)


def label_of_class(name: str, *, prediction: bool = False) -> Annotation:
    """A class in the form in which Roboflow gets it: its name."""
    return Annotation(name, name, prediction=prediction)


def _outgoing(dataset: Dataset, item: Item, left_out: Counter[str]) -> Outgoing:
    return Outgoing(item.image, item.split, _annotation(dataset, item, left_out))


def _annotation(dataset: Dataset, item: Item, left_out: Counter[str]) -> Annotation | None:
    if item.class_id is not None:
        return label_of_class(dataset.names[item.class_id])
    boxes, problems = dataset.label(item)
    left_out["rows"] += sum(problem.left_out for problem in problems)
    if boxes is None:
        return None
    return label_of_boxes(item.image, boxes, dataset.names) if len(boxes) else _nothing_in(item.image, dataset.names)


def _nothing_in(picture: Path, names: tuple[str, ...]) -> Annotation | None:
    """Labels that say "there is no object here"; None for what is no picture.

    Roboflow takes an empty text for no labels at all. Its own client sends a COCO file whose only annotation belongs to
    another picture.
    """
    try:
        info = inspect_image(picture)
    except ImageError:
        return None
    image = {"id": 1, "file_name": picture.name, "width": info.width, "height": info.height}
    elsewhere = {
        "id": 999_999_999, "image_id": 999_999_999, "category_id": 0, "area": 1, "segmentation": [], "iscrowd": 0
    }  # fmt: skip
    content = {
        "info": {}, "licenses": [], "images": [image], "annotations": [elsewhere],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
    }  # fmt: skip
    return Annotation("annotation.coco.json", json.dumps(content))
