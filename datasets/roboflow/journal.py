"""What has been sent to one Roboflow project, so that a push which was cut off goes on where it stopped.

One JSON line per step, appended and never changed: a kill at any moment costs the line that was being written at most.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture that is on Roboflow.

    Attributes:
        picture: SHA-256 of the file.
        image_id: Roboflow's name for it.
        label: Hash of the labels that were sent with it; empty when none were.
        kept: It had labels there already, and those stayed.
        split: The split it was sent with; empty when it was there before us, so that nobody here knows.
    """

    picture: str
    image_id: str
    label: str = ""
    kept: bool = False
    split: str = ""


class Journal:
    """The journal of one project. May be used from several threads."""

    def __init__(self, file: IO[bytes], known: dict[str, Sent]) -> None:
        self._file = file
        self._known = known
        self._lock = threading.Lock()

    def find(self, picture: str) -> Sent | None:
        """What is known of the picture with this SHA-256."""
        return self._known.get(picture)

    def add(self, sent: Sent) -> None:
        """Note a step; the newest of a picture counts.

        Raises:
            OSError: as the system gave it (a full disk, say).
        """
        line = json.dumps(asdict(sent), ensure_ascii=True).encode() + b"\n"
        with self._lock:
            self._known[sent.picture] = sent
            self._file.write(line)
            self._file.flush()


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open the journal at `path`, which is made if needed; lines that a kill cut short are passed over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        known: dict[str, Sent] = {}
        line = b"\n"
        for line in file:
            if sent := _read_line(line):
                known[sent.picture] = sent
        if not line.endswith(b"\n"):
            file.write(b"\n")
        try:
            yield Journal(file, known)
        finally:
            file.flush()
            os.fsync(file.fileno())


def _read_line(line: bytes) -> Sent | None:
    try:
        return Sent(**json.loads(line))
    except (ValueError, TypeError):
        return None
