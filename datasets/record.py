"""dataset.json: where a dataset came from, and the hash of each of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import DataError
from ..core.files import sha256_of, write_atomic
from .formats.pictures import is_inside
from .model import Format, Task

RECORD_NAME = "dataset.json"
_MOST_BYTES = 512 << 20  # a million files take 150 MB
_HEAD_BYTES = 1 << 20
_OURS = frozenset({"schema_version", "files"})


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    leaves = not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    if leaves or "\\" in name or "\0" in name:
        raise ValueError("a dataset's files lie in its folder")
    return name


def made_with() -> str:
    """The Lensmith that runs, with its version."""
    return f"lensmith {metadata.version('lensmith')}"


class RoboflowOrigin(BaseModel):
    """A version of a Roboflow project, as `cv pull-dataset` brought it.

    Attributes:
        url: The page where a person sees this version.
        archive_sha256: Hash of the zip as it was downloaded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["roboflow"] = "roboflow"
    workspace: str
    project: str
    version: int
    url: str
    export_format: str
    archive_sha256: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.project}/{self.version} on Roboflow"


class FolderOrigin(BaseModel):
    """A person's folder or zip, as `cv import-dataset` found it.

    Attributes:
        path: Where it lay, absolute.
        format: Its layout.
        linked: Whether the pictures are hard links to the person's own files, not copies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["folder"] = "folder"
    path: str
    format: Format
    linked: bool

    def __str__(self) -> str:
        return self.path


class DatasetOrigin(BaseModel):
    """Another dataset of the workspace, of which this one was made.

    Attributes:
        parent: That dataset's name.
        parent_fingerprint: Its fingerprint at that time.
        made_by: What made this one: a command's first word.
        options: The command's options as resolved.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["dataset"] = "dataset"
    parent: str
    parent_fingerprint: str
    made_by: Literal["fix", "split", "crops"]
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        return f"{self.parent}, by {self.made_by}"


Origin = Annotated[RoboflowOrigin | FolderOrigin | DatasetOrigin, Field(discriminator="kind")]


class DatasetRecord(BaseModel):
    """The content of `dataset.json`.

    Attributes:
        origin: Where it came from.
        counts: Pictures by split.
        files: SHA-256 of each file by its path with forward slashes; all but dataset.json itself.
        remarks: What was changed or left out on the way.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2] = 2
    origin: Origin
    licence: str | None = None
    task: Task
    names: tuple[str, ...]
    counts: dict[str, int]
    fingerprint: str
    files: dict[Annotated[str, AfterValidator(_inside)], str]
    remarks: tuple[str, ...] = ()
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    made_with: str = Field(default_factory=lambda: made_with())

    @model_validator(mode="before")
    @classmethod
    def _from_version_1(cls, content: Any) -> Any:
        """Version 1 knew Roboflow only, and kept where it came from among the rest."""
        if not isinstance(content, dict) or content.get("schema_version") != 1:
            return content
        old = {key: value for key, value in content.items() if key not in {"schema_version", "source"}}
        origin = {key: old.pop(key, None) for key in RoboflowOrigin.model_fields if key != "kind"}
        return {**old, "schema_version": 2, "origin": {"kind": "roboflow", **origin}}

    def save(self, folder: Path) -> None:
        """Write `dataset.json` into the folder, whole or not at all."""
        write_atomic(folder / RECORD_NAME, self.model_dump_json(indent=2) + "\n")


def has_record(folder: Path) -> bool:
    """Whether a folder has a record of ours, be it damaged; another tool's dataset.json (COCO, say) is none."""
    path = folder / RECORD_NAME
    if not path.is_file():
        return False
    with path.open("rb") as file:
        data = file.read(_HEAD_BYTES + 1)
    if len(data) > _HEAD_BYTES:
        return all(f'"{key}"'.encode() in data for key in _OURS)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):  # it breaks off, say
        return True
    return isinstance(content, dict) and content.keys() >= _OURS


def read_record(folder: Path) -> DatasetRecord | None:
    """The record in a dataset's folder; None when it has none (a dataset that a person made).

    Raises:
        DataError: there is one and it cannot be understood.
    """
    path = folder / RECORD_NAME
    if path.exists() and not path.is_file():
        raise DataError("dataset.json is none of ours: it is no file.", where=path)
    if not has_record(folder):
        return None
    if path.stat().st_size > _MOST_BYTES:
        raise DataError("dataset.json is none of ours: it is far too large.", where=path)
    try:
        return DatasetRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"dataset.json is damaged: {spot}: {first['msg']}", where=path) from None


def verify(folder: Path, record: DatasetRecord, known: Mapping[Path, str] | None = None) -> list[str]:
    """Compare a dataset's files with its record.

    Args:
        folder: The dataset's folder.
        record: Its record.
        known: SHA-256 of files by path, where the caller has just read them.

    Returns:
        Paths of the files that are missing or changed, sorted. Files that the record does not know are no difference.
    """
    root, known = folder.resolve(), known or {}
    return sorted(name for name, expected in record.files.items() if not _is_same(root / name, root, expected, known))


def _is_same(path: Path, root: Path, expected: str, known: Mapping[Path, str]) -> bool:
    if found := known.get(path):
        return found == expected
    return is_inside(path, root) and path.is_file() and sha256_of(path) == expected
