"""Where models are kept for others: a folder, or a bucket of an S3-compatible store. Nothing else is ever contacted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ..core.errors import DataError, LensmithError, UsageError, told_when_full
from ..core.extras import need_extra
from ..core.files import scratch_folder
from .record import BUNDLE_NAME

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):(?://|:)", re.IGNORECASE)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", re.IGNORECASE)
_NOT_IN_KEYS = re.compile(r"[\x00-\x1f\x7f?#*\[\]\\@]")
_LARGEST_FILE_BYTES = 8 << 30
_ONLY_THESE = "give a folder, or an address such as s3://BUCKET/FOLDER (then --endpoint-url, for a store of your own)"


class Place(Protocol):
    """A store of files under relative paths with forward slashes. A file in it is whole or absent.

    Every method raises AuthError, NotFoundError (the bucket) or LensmithError, with no secret in the message.

    Attributes:
        address: What a person calls it.
    """

    address: str

    def read(self, path: str, most: int) -> bytes | None:
        """A small file's content, None when it is not there; DataError when it has more bytes than `most`."""
        ...

    def size(self, path: str) -> int | None:
        """A file's size in bytes, None when it is not there."""
        ...

    def put(self, file: Path, path: str) -> None:
        """Copy a file to there; one that is there is replaced at the end."""
        ...

    def get(self, path: str, file: Path) -> None:
        """Copy a file from there; NotFoundError when it is not there."""
        ...

    def remove(self, paths: list[str]) -> None:
        """Delete files; those that are not there are passed over."""
        ...

    def names(self) -> list[str]:
        """The folders directly below that may be models, for a hint."""
        ...


def open_place(target: str, endpoint: str | None = None) -> Place:
    """Open a folder or store by what a person typed. No connection is made yet.

    Args:
        target: A path, "file:///path", or "s3://bucket/prefix".
        endpoint: The http(s) address of an S3-compatible store; None: AWS_ENDPOINT_URL, or Amazon's own.

    Raises:
        UsageError: another scheme, or an address that cannot be one.
        MissingExtraError: s3fs is not installed.
        AuthError: there are no credentials.
    """
    scheme = _SCHEME.match(target)
    kind = scheme[1].lower() if scheme else None
    if kind == "s3" and target[:5].lower() == "s3://":
        bucket, _, prefix = target[5:].partition("/")
        prefix = prefix.strip("/")
        parts = prefix.split("/") if prefix else []
        if not _BUCKET.fullmatch(bucket) or _NOT_IN_KEYS.search(prefix) or any(p in {"", ".", ".."} for p in parts):
            raise UsageError("This is no address of a bucket.", where=target, next_step=_ONLY_THESE)
        need_extra("store", "A store for models at s3://")
        from .s3 import S3Place

        return S3Place(bucket, prefix, endpoint)
    if endpoint is not None:
        raise UsageError("--endpoint-url belongs to an s3:// address.", where=target, next_step=_ONLY_THESE)
    if kind is None and target[:3].lower() == "s3:":
        raise UsageError("This is no address of a bucket.", where=target, next_step=_ONLY_THESE)
    if kind is None:
        return FolderPlace(Path(target).expanduser())
    if kind == "file" and target[:7].lower() == "file://":
        address = urlsplit(target)
        if address.netloc in {"", "localhost"} and address.path.startswith("/") and not address.query:
            return FolderPlace(Path(unquote(address.path)))
    raise UsageError(f"Models are not kept at addresses of this kind: {kind}://", where=target, next_step=_ONLY_THESE)


def split_source(source: str) -> tuple[str, str]:
    """Where a model is kept, and its name there: "s3://bucket/models/chess" is ("s3://bucket/models", "chess").

    Raises:
        UsageError: it names no model.
    """
    if _SCHEME.match(source):
        place, _, name = source.rstrip("/").rpartition("/")
        if place.endswith("/") or not name or place.count("/") < 2:
            what = "This address names a store, but no model in it."
            raise UsageError(what, where=source, next_step="add the model's name: s3://BUCKET/FOLDER/NAME")
        return place, unquote(name) if source[:5].lower() == "file:" else name
    path = Path(source).expanduser().resolve()
    return str(path.parent), path.name


class FolderPlace:
    """A folder on this machine, or on a disk that others see too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.address = str(self.folder)

    def read(self, path: str, most: int) -> bytes | None:
        """See `Place`."""
        try:
            with (self.folder / path).open("rb") as file:
                data = file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        if len(data) > most:
            raise DataError("This file is far larger than any of its kind.", where=self.folder / path)
        return data

    def size(self, path: str) -> int | None:
        """See `Place`."""
        file = self.folder / path
        return file.stat().st_size if file.is_file() else None

    def put(self, file: Path, path: str) -> None:
        """See `Place`."""
        target = self.folder / path
        with told_when_full(self.folder), scratch_folder(target) as scratch:
            shutil.copyfile(file, scratch / "file").replace(target)

    def get(self, path: str, file: Path) -> None:
        """See `Place`."""
        size = self.size(path)
        if size is None:
            raise missing(f"{self.address}/{path}")
        need_sensible(size, f"{self.address}/{path}")
        shutil.copyfile(self.folder / path, file)

    def remove(self, paths: list[str]) -> None:
        """See `Place`; folders that are empty then go too."""
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)
        above = {parent for path in paths for parent in Path(path).parents} - {Path()}
        for folder in sorted((self.folder / parent for parent in above), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def names(self) -> list[str]:
        """See `Place`."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{BUNDLE_NAME}"))


def missing(where: str) -> LensmithError:
    """The error for a file that a model should have and a store has not."""
    return DataError(
        "A file of this model is not in the store.",
        where=where,
        next_step="if it is being replaced at this moment, run this again; else push the model again",
    )


def need_sensible(size: int, where: str) -> None:
    """Raise a DataError for a file that is larger than any model's."""
    if size > _LARGEST_FILE_BYTES:
        raise DataError(f"This file is larger than any model's: {size / 1e9:.1f} GB.", where=where)
