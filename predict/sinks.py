"""Where predictions go: a file of records, and drawn copies. What is written stays valid when the disk fills up."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..core.errors import DiskFullError, is_disk_full
from ..core.files import partial_path, slug
from ..core.images import write_image
from ..core.redact import redact


class RecordFile:
    """JSON lines, one record per frame; whole lines only, even when the disk fills up half-way through one.

    Raises:
        DiskFullError: there is no room.
        OSError: the file cannot be written for another reason.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self._file = path.open("wb", buffering=0)
        self._bytes = 0

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record, keys hidden."""
        line = redact(json.dumps(record, ensure_ascii=False)).encode() + b"\n"
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            if self._file.seekable() and os.fstat(self._file.fileno()).st_size > self._bytes:
                self._file.truncate(self._bytes)
            if is_disk_full(error):
                raise DiskFullError(self.path, kept=f"{self.records} records") from error
            raise
        self._bytes += len(line)
        self.records += 1

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class PictureFolder:
    """Drawn copies in one folder. Pictures of the same name from different folders get different names.

    Raises:
        DiskFullError: there is no room; no half picture is left behind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = 0
        self._taken: set[str] = set()

    def write(self, bgr: np.ndarray, source: str) -> Path:
        """Write a picture under a name like that of its source, and say where it is."""
        stem = slug(Path(source).stem)
        name, number = stem, 1
        while name.casefold() in self._taken:  # some systems do not tell capitals from small letters
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.casefold())
        target = self.folder / f"{name}.jpg"
        partial = partial_path(target)
        try:
            # The suffix decides the format, so the hidden name carries it too.
            hidden = partial.with_name(f"{partial.name}.jpg")
            try:
                write_image(hidden, bgr)
                hidden.replace(target)
            finally:
                hidden.unlink(missing_ok=True)
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(target, kept=f"{self.pictures} pictures") from error
            raise
        self.pictures += 1
        return target
