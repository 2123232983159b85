"""Ask Roboflow for a version of a project: which one it is, and the link to its export."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...core.errors import DataError, NotFoundError
from ...core.extras import need_extra
from ..model import Task
from .client import Conversation
from .reference import Reference

if TYPE_CHECKING:
    from roboflow.core.version import Version

_FORMATS: dict[Task, tuple[str, ...]] = {
    "detect": ("yolov11", "yolov8", "yolov9", "yolov5pytorch", "yolov7pytorch"),
    "classify": ("folder",),
}


@dataclass(frozen=True)
class FoundVersion:
    """A version that exists.

    Attributes:
        reference: Workspace, project and version as Roboflow calls them.
        task: What the project is for.
        url: The page where a person sees this version.
        formats: Export formats that would do, best first.
        remark: Something the person should know about the project.
    """

    reference: Reference
    task: Task
    url: str
    formats: tuple[str, ...]
    remark: str | None
    talk: Conversation = field(repr=False)

    def wait_for_export(self) -> tuple[str, str]:
        """Wait until the export is ready.

        Returns:
            Roboflow's name of the format, and the signed link to the zip, which is a secret.

        Raises:
            DataError: none of the formats is on offer.
            LensmithError: it did not get ready in time.
        """
        self.talk.wait_until_generated(str(self.reference))
        return self.talk.wait_for_link(str(self.reference), list(self.formats))


def find_version(wanted: Reference, key: str, timeout_seconds: float) -> FoundVersion:
    """Sign in and find a version.

    Args:
        wanted: Project, and version or None for the newest.
        key: The API key.
        timeout_seconds: For all that is asked of Roboflow, the wait for the export included.

    Raises:
        AuthError: the key is wrong, or not allowed there.
        NotFoundError: no such workspace, project or version; it names those that exist.
        DataError: the project is of a kind that is not supported.
        LensmithError: Roboflow cannot be reached or is in trouble.
    """
    need_extra("data", "Pulling a dataset")
    talk = Conversation(key, time.monotonic() + timeout_seconds)
    workspace = talk.sign_in(wanted)
    project, versions = talk.open_project(workspace, wanted)
    task, remark = task_of(str(project.type), bool(project.multilabel))
    version = _choose_version(versions, wanted)
    found = Reference(str(workspace.url), wanted.project, int(version.version))
    ready = [name for name in _FORMATS[task] if name in version.exports]
    formats = (*ready, *(name for name in _FORMATS[task] if name not in ready))
    return FoundVersion(found, task, f"{talk.app_url}/{found}", formats, remark, talk)


def task_of(kind: str, multilabel: bool) -> tuple[Task, str | None]:
    """What a project of this kind is to us, and what a person who trains on it should know.

    Raises:
        DataError: nothing that we train.
    """
    if kind == "object-detection":
        return "detect", None
    if kind == "instance-segmentation":
        return "detect", "The project labels outlines; Lensmith trains on the boxes around them."
    if kind == "classification" and not multilabel:
        return "classify", None
    shown = "multi-label classification" if multilabel else kind
    raise DataError(
        f"This project is for {shown}, which Lensmith does not train.",
        next_step="object detection, instance segmentation (as boxes) and single-label classification are supported",
    )


def _choose_version(versions: list[Version], wanted: Reference) -> Version:
    by_number = {int(version.version): version for version in versions if str(version.version).isdigit()}
    if not by_number:
        raise NotFoundError(
            f"The project '{wanted.project}' has no version yet.",
            next_step="open it on app.roboflow.com and generate a version",
        )
    number = max(by_number) if wanted.version is None else wanted.version
    if number not in by_number:
        there = ", ".join(str(number) for number in sorted(by_number))
        raise NotFoundError(
            f"The project '{wanted.project}' has no version {number}.", next_step=f"its versions are: {there}"
        )
    return by_number[number]
