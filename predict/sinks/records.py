"""Records as text: a line of JSON for each frame, or a row of a table for each object."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core.redact import redact
from ..results import Prediction
from .base import AppendFile

_FRAME = ("source", "index", "seconds", "width", "height")
_CLASS = ("class", "class_id", "confidence")
_OBJECT = ("x1", "y1", "x2", "y2", "track_id", "classifier_class", "classifier_confidence")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class RecordFile:
    """JSON lines, one record per frame; whole lines only, even when the disk fills up half-way through one.

    Raises:
        DiskFullError: there is no room.
        OSError: the file cannot be written for another reason.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = AppendFile(path, "records")

    @property
    def records(self) -> int:
        """How many it holds."""
        return self._file.pieces

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record, keys hidden."""
        self._file.append(_line(json.dumps(record, ensure_ascii=False)))

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JsonLines:
    """A `RecordFile` as a sink, see `Sink`."""

    def __init__(self, path: Path) -> None:
        self._file = RecordFile(path)

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:  # noqa: ARG002 - as every sink
        """See `Sink.write`."""
        self._file.write(record)

    def close(self) -> None:
        """See `Sink.close`."""
        self._file.close()


class CsvFile:
    """A table with a header: a row for each object, or for each picture of a classifier, see `Sink`.

    Boxes are `x1, y1, x2, y2` in pixels; a frame without objects has no row. A text that a spreadsheet would take for a
    formula (a file called `=1+1.jpg`) gets an apostrophe in front, as OWASP's "CSV Injection" page advises.

    Args:
        path: Where.
        objects: Whether rows are objects.
    """

    def __init__(self, path: Path, *, objects: bool) -> None:
        self._objects = objects
        columns = (*_FRAME, *_CLASS, *(_OBJECT if objects else ()))
        self._file = AppendFile(path, "frames", head=_rows([columns]))

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:  # noqa: ARG002 - as every sink
        """See `Sink.write`."""
        frame = [_safe(record[column]) for column in _FRAME]
        if not self._objects:
            rows = [[*frame, *(_safe(record[column]) for column in _CLASS)]]
        else:
            rows = [[*frame, *_object(found)] for found in record["detections"]]
        self._file.append(_rows(rows))

    def close(self) -> None:
        """See `Sink.close`."""
        self._file.close()


def _object(found: Mapping[str, Any]) -> list[Any]:
    second = found.get("classifier") or {}
    rest = (found.get("track_id"), _safe(second.get("class")), second.get("confidence"))
    return [*(_safe(found[column]) for column in _CLASS), *found["xyxy"], *rest]


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _rows(rows: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return redact(text.getvalue()).encode(errors="backslashreplace")


def _line(text: str) -> bytes:
    """A name that is not UTF-8 holds half characters: JSON can write them as escapes."""
    return redact(text).encode(errors="backslashreplace") + b"\n"
