"""The threads of one push: each takes a picture, sends what is missing of it, and notes it in the journal."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from ...core.errors import LensmithError
from ...core.files import sha256_of
from ...core.images import ImageError, inspect_image
from ..model import Split
from .journal import Journal, Sent
from .upload import Annotation, FoundProject, GoneError, RefusedError, Sender, TroubleError, UploadConfig

_STOP_AFTER_TROUBLES = 3
_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class PushConfig:
    """How to push.

    Attributes:
        api_key: The key; None takes `ROBOFLOW_API_KEY`, else the one that `roboflow login` saved.
        workers: How many pictures are sent at a time.
        batch_name: What the batch is called on Roboflow; None takes the dataset's name.
        tags: Tags that each picture gets on Roboflow.
        overwrite: Replace labels that a picture has there already.
        force: Send what an earlier push sent, too; Roboflow itself keeps one copy of equal files.
        dry_run: Find the project and count, but send nothing.
    """

    api_key: str | None = None
    workers: int = 4
    batch_name: str | None = None
    tags: tuple[str, ...] = ()
    overwrite: bool = False
    force: bool = False
    dry_run: bool = False
    upload: UploadConfig = field(default_factory=UploadConfig)


@dataclass(frozen=True)
class Outgoing:
    """One picture to send, under its file's name."""

    path: Path
    split: Split
    annotation: Annotation | None = None


@dataclass(frozen=True)
class Refused:
    """A picture that is not on Roboflow as it should be, and why."""

    picture: Path
    reason: str


@dataclass
class Tally:
    """What has been counted so far; see `push.Pushed`."""

    uploaded: int = 0
    already_there: int = 0
    doubled: int = 0
    annotated: int = 0
    kept: int = 0
    elsewhere: int = 0
    refused: list[Refused] = field(default_factory=list)


class Workers:
    """The workers of one push, and what they count."""

    def __init__(
        self, found: FoundProject, journal: Journal, config: PushConfig, batch: str, advance: Callable[[float], None]
    ) -> None:
        self._found = found
        self._journal = journal
        self._config = config
        self._batch = batch
        self._advance = advance
        self._lock = threading.Lock()  # of all that follows
        self.tally = Tally()
        self._claimed: set[str] = set()
        self._troubles = 0
        self._stop = threading.Event()
        self._fatal: BaseException | None = None

    def run(self, pictures: Iterator[Outgoing]) -> None:
        """Send all pictures, or stop at the first failure that concerns all of them."""
        threads = [
            # Daemons: a request that hangs must not keep a person's Ctrl-C waiting for its time-out.
            threading.Thread(target=self._work, args=(pictures,), name=f"upload-{number}", daemon=True)
            for number in range(max(self._config.workers, 1))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self._stop.set()
            until = time.monotonic() + _GRACE_SECONDS
            for thread in threads:  # what is on its way now is still noted
                thread.join(max(until - time.monotonic(), 0))
        if self._fatal is not None:
            raise self._fatal

    def _work(self, pictures: Iterator[Outgoing]) -> None:
        try:
            sender = self._found.sender(self._config.upload)
            while not self._stop.is_set():
                with self._lock:
                    outgoing = next(pictures, None)
                if outgoing is None:
                    return
                self._handle(outgoing, sender)
                self._advance(1)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            with self._lock:
                self._fatal = self._fatal or error
            self._stop.set()

    def _handle(self, outgoing: Outgoing, sender: Sender) -> None:
        try:
            inspect_image(outgoing.path)
            self._send(outgoing, sha256_of(outgoing.path), sender)
        except ImageError as error:
            self._refuse(outgoing, error.reason)
        except RefusedError as error:
            self._refuse(outgoing, error.reason)
        except TroubleError as error:
            self._refuse(outgoing, error.reason)
            with self._lock:
                self._troubles += 1
                given_up = self._troubles >= _STOP_AFTER_TROUBLES
            if given_up:
                raise self._interrupted(error) from None
        else:
            with self._lock:
                self._troubles = 0

    def _send(self, outgoing: Outgoing, digest: str, sender: Sender) -> None:
        with self._lock:
            if digest in self._claimed:
                self.tally.doubled += 1
                return
            self._claimed.add(digest)
        sent = None if self._config.force else self._journal.find(digest)
        if sent and sent.split not in {"", outgoing.split}:
            self._count("elsewhere")
        label = _hash(outgoing.annotation) if outgoing.annotation else ""
        if self._config.dry_run:
            self._count("already_there" if sent else "uploaded")
            if label and (sent is None or self._is_due(sent, label)):
                self._count("annotated")
            return
        known = sent is not None
        if sent is None:
            sent = self._send_picture(outgoing, digest, sender)
        else:
            self._count("already_there")
        if outgoing.annotation is None or not self._is_due(sent, label):
            return
        try:
            self._send_annotation(sent, outgoing.annotation, label, sender)
        except GoneError as error:
            if not known:
                raise RefusedError(f"its labels found no picture ({error.what})") from None
            # It was deleted on Roboflow since.
            with self._lock:
                self.tally.already_there -= 1
            sent = self._send_picture(outgoing, digest, sender)
            self._send_annotation(sent, outgoing.annotation, label, sender)

    def _is_due(self, sent: Sent, label: str) -> bool:
        return sent.label != label or (sent.kept and self._config.overwrite)

    def _send_picture(self, outgoing: Outgoing, digest: str, sender: Sender) -> Sent:
        image_id, was_there = sender.send_picture(outgoing.path, outgoing.split, self._batch, self._config.tags)
        sent = Sent(digest, image_id, split="" if was_there else outgoing.split)
        self._journal.add(sent)
        self._count("already_there" if was_there else "uploaded")
        return sent

    def _send_annotation(self, sent: Sent, annotation: Annotation, label: str, sender: Sender) -> None:
        try:
            answer = sender.send_annotation(sent.image_id, annotation, self._batch, overwrite=self._config.overwrite)
        except RefusedError as error:
            raise RefusedError(f"the picture is there, its labels were not taken: {error.reason}") from None
        self._journal.add(replace(sent, label=label, kept=answer == "kept"))
        self._count("kept" if answer == "kept" else "annotated")

    def _count(self, what: Literal["uploaded", "already_there", "annotated", "kept", "elsewhere"]) -> None:
        with self._lock:
            setattr(self.tally, what, getattr(self.tally, what) + 1)

    def _refuse(self, outgoing: Outgoing, reason: str) -> None:
        with self._lock:
            self.tally.refused.append(Refused(outgoing.path, reason))

    def _interrupted(self, error: TroubleError) -> LensmithError:
        done = self.tally.uploaded
        return LensmithError(
            f"The push stopped: {error.reason}. {done} pictures were sent.",
            where=error.where,
            next_step="run the same command again later; it goes on where it stopped",
        )


def _hash(annotation: Annotation) -> str:
    return hashlib.sha256(json.dumps(asdict(annotation), sort_keys=True).encode()).hexdigest()
