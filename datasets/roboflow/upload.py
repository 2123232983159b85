"""Send pictures and their labels to a Roboflow project through its own client.

The client waits up to 300 seconds for an answer, tries again nothing or everything (a wrong key too), and puts names
into addresses as they are; so time-outs, retries and escaping are ours, and the requests are its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from ...core.errors import AuthError, DataError, LensmithError, NotFoundError
from ...core.extras import need_extra
from ...core.redact import redact
from ..model import Split, Task
from .client import Conversation
from .key import GET_A_KEY
from .reference import Reference
from .version import task_of

if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from roboflow.core.project import Project

_Answer = TypeVar("_Answer")
_LONGEST_REASON = 300
_BUSY = {408, 425, 429}


@dataclass(frozen=True)
class UploadConfig:
    """How patient an upload is.

    Attributes:
        connect_seconds, read_seconds: How long the server may take to answer, and between two pieces of its answer.
        attempts: How often one request is tried when the connection is cut or the server is in trouble or too busy.
        backoff_seconds: The pause before the second attempt; it doubles each time, up to 20 seconds.
    """

    connect_seconds: float = 15.0
    read_seconds: float = 90.0
    attempts: int = 6
    backoff_seconds: float = 0.5


@dataclass(frozen=True)
class Annotation:
    """The labels of one picture in a form that Roboflow reads.

    Attributes:
        name: File name that tells Roboflow the format: `x.txt` (YOLO), `x.coco.json`; for a class the class itself.
        text: The labels.
        labelmap: Class names by id, for YOLO.
        prediction: It is what a model says, for a person to look at, and not the truth.
    """

    name: str
    text: str
    labelmap: Mapping[int, str] | None = None
    prediction: bool = False


class RefusedError(LensmithError):
    """Roboflow does not take one picture or its labels, and will not later either; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Roboflow does not take it: {reason}")
        self.reason = reason


class TroubleError(LensmithError):
    """Roboflow could not be spoken to, however often it was tried; later it may work."""

    def __init__(self, reason: str, host: str) -> None:
        super().__init__(f"The upload failed: {reason}.", where=host, next_step="run the same command again later")
        self.reason = reason


class GoneError(LensmithError):
    """What a request was about is not on Roboflow: the project, or a picture that was deleted there."""


@dataclass(frozen=True)
class FoundProject:
    """A project that exists and that the key opens.

    Attributes:
        reference: Workspace and project as Roboflow calls them.
        task: What the project is for.
        url: The page where a person sees it.
        created: Seconds since 1970; a project deleted and made anew under its name has another.
        remark: Something the person should know about the project.
    """

    reference: Reference
    task: Task
    url: str
    created: int
    remark: str | None
    project: Project = field(repr=False)
    host: str = ""

    def sender(self, config: UploadConfig) -> Sender:
        """Something to send pictures with, for the thread that calls this and no other."""
        return Sender(self, config)


def find_project(wanted: Reference, key: str, timeout_seconds: float = 60.0) -> FoundProject:
    """Sign in and find a project.

    Raises:
        AuthError: the key is wrong, or not allowed there.
        NotFoundError: no such workspace or project; it names those that exist.
        DataError: the project is of a kind that is not supported.
        LensmithError: Roboflow cannot be reached or is in trouble.
    """
    need_extra("data", "Pushing a dataset")
    talk = Conversation(key, time.monotonic() + timeout_seconds)
    workspace = talk.sign_in(wanted)
    project, _ = talk.open_project(workspace, wanted)
    task, _ = task_of(str(project.type), bool(project.multilabel))
    outlines = str(project.type) == "instance-segmentation"
    reference = Reference(str(workspace.url), str(project.id).rsplit("/", 1)[-1])
    return FoundProject(
        reference=reference,
        task=task,
        url=f"{talk.app_url}/{reference}",
        created=int(project.created.timestamp()),
        remark="The project labels outlines; it gets boxes." if outlines else None,
        project=project,
        host=talk.host,
    )


class Sender:
    """Sends to one project from one thread: the client keeps a connection per thread."""

    def __init__(self, found: FoundProject, config: UploadConfig) -> None:
        self._found = found
        self._project = found.project
        self._config = config
        _be_patient(config)

    def send_picture(self, path: Path, split: Split, batch: str, tags: Sequence[str]) -> tuple[str, bool]:
        """Send one picture under its file's name.

        Returns:
            Its id on Roboflow, and whether it lay there before.

        Raises:
            RefusedError: Roboflow does not take this picture.
            AuthError: the key may not write there.
            NotFoundError: the project is gone.
            TroubleError: no attempt got through.
        """

        def send(attempt: int) -> tuple[str, bool]:
            answer: Any = self._project.upload_image(
                image_path=str(path), split=split, num_retry_uploads=0, batch_name=batch, tag_names=list(tags)
            )[0]
            # After a cut connection a "duplicate" may be what the attempt before has brought.
            return str(answer["id"]), bool(answer.get("duplicate")) and attempt == 0

        try:
            return self._patiently(send)
        except GoneError:
            what = f"Roboflow has no project '{self._found.reference}' any more."
            raise NotFoundError(what, where=self._found.host) from None

    def send_annotation(
        self, image_id: str, annotation: Annotation, batch: str, *, overwrite: bool
    ) -> Literal["saved", "kept"]:
        """Send the labels of a picture that is there.

        Returns:
            "kept" when the picture had labels already, which stay unless `overwrite`.

        Raises:
            GoneError: the picture is not there.
            RefusedError, AuthError, TroubleError: as in `send_picture`.
        """

        def send(_attempt: int) -> Literal["saved", "kept"]:
            answer: Any = self._project.save_annotation(
                # A mapping with `rawText` is the client's own way of handing over what is in no file. It puts names
                # into the address as they are.
                annotation_path={"name": quote(annotation.name, safe=""), "rawText": annotation.text},
                annotation_labelmap=dict(annotation.labelmap) if annotation.labelmap is not None else None,
                image_id=quote(image_id, safe=""),
                job_name=quote(batch, safe=""),
                is_prediction=annotation.prediction,
                annotation_overwrite=overwrite,
                num_retry_uploads=0,
            )[0]
            return "kept" if answer.get("warn") else "saved"

        return self._patiently(send)

    def _patiently(self, send: Callable[[int], _Answer]) -> _Answer:
        """Call `send` with the number of the attempt until it gets through."""
        from roboflow.adapters.rfapi import RoboflowError

        reason = ""
        for attempt in range(self._config.attempts):
            if attempt:
                time.sleep(min(self._config.backoff_seconds * 2 ** (attempt - 1), 20.0))
            try:
                return send(attempt)
            except RoboflowError as error:
                reason = self._passing_reason(error)
            except (KeyError, TypeError, AttributeError):
                reason = "Roboflow sent an answer that its own client does not understand"
        raise TroubleError(reason, self._found.host)

    def _passing_reason(self, error: Any) -> str:
        """Why it is worth trying again; raises where it is not."""
        import requests

        status: int | None = error.status_code
        if isinstance(error.__cause__, requests.Timeout):
            return "Roboflow does not answer"
        if isinstance(error.__cause__, requests.RequestException):
            return "the connection was cut or could not be made"
        if status == 200:
            return "Roboflow sent an answer that its own client does not understand"
        if status is not None and (status >= 500 or status in _BUSY):
            return f"Roboflow is {'too busy' if status == 429 else 'in trouble'} (HTTP {status})"
        said = redact(str(error))[:_LONGEST_REASON]
        if status in {401, 403}:
            raise AuthError(
                f"This key may not write to '{self._found.reference}'.", where=self._found.host, next_step=GET_A_KEY
            ) from None
        if status == 402:
            raise LensmithError(
                f"Roboflow takes nothing more from this workspace: {said}",
                where=self._found.host,
                next_step="look at the plan and its limits on app.roboflow.com; what was sent is not sent again",
            ) from None
        if status in {404, 410}:
            raise GoneError(said) from None
        raise RefusedError(said or f"HTTP {status}") from None


def _be_patient(config: UploadConfig) -> None:
    """Put our time-outs in place of the client's own on the connections of this thread."""
    from requests.adapters import HTTPAdapter
    from roboflow.adapters import rfapi

    class Patient(HTTPAdapter):
        def send(self, request: PreparedRequest, *others: Any, **options: Any) -> Response:
            return super().send(request, *others, **{**options, "timeout": timeout})

    timeout = (config.connect_seconds, config.read_seconds)
    session = rfapi._upload_session()
    session.mount("https://", Patient())
    session.mount("http://", Patient())


def check_task(found: FoundProject, task: Task) -> None:
    """Refuse boxes for a classification project, and classes for one of detection.

    Raises:
        DataError: they do not fit.
    """
    if found.task != task:
        needs = {"detect": "boxes", "classify": "one class a picture"}
        raise DataError(
            f"The project '{found.reference}' wants {needs[found.task]}, and this has {needs[task]}.",
            where=found.url,
            next_step="push to a project of the right type; make one on app.roboflow.com",
        )
