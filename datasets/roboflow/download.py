"""Fetch one zip over HTTP: resumed where it was cut, checked, and never taken for whole when it is not.

NAME.zip.partial   what has come so far
NAME.zip.json      the server's mark of that very file (ETag) and its size; the signed link is never stored
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from ...core.errors import DataError, DiskFullError, LensmithError, NotFoundError, is_disk_full
from ...core.files import write_atomic
from ...core.progress import progress, say
from ...core.redact import register_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response, Session

_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_AGAIN = "run the same command again; it goes on where it stopped"


@dataclass(frozen=True)
class DownloadConfig:
    """How patient a download is.

    Attributes:
        connect_seconds, read_seconds: How long the server may take to answer, and to send the next piece.
        attempts: How often a cut connection or a server in trouble is tried before giving up.
        backoff_seconds: The pause before the second attempt; it doubles each time, up to 10 seconds.
        chunk_bytes: Size of the pieces that are written.
    """

    connect_seconds: float = 15.0
    read_seconds: float = 60.0
    attempts: int = 6
    backoff_seconds: float = 0.5
    chunk_bytes: int = 1 << 18


class _State(BaseModel):
    """What is known about the file that the partial one is the beginning of."""

    model_config = ConfigDict(extra="forbid")

    mark: str | None = None
    total: int | None = None


class _CutError(Exception):
    """The connection broke or the server stumbled: worth another attempt."""


def hide_link(link: str) -> None:
    """Keep a signed link out of every output, in whole and in the parts that libraries quote."""
    parts = urlsplit(link)
    register_secret(link)
    register_secret(parts.query)
    for _, value in parse_qsl(parts.query):
        register_secret(value)


def fetch_zip(link: str, home: Path, name: str, config: DownloadConfig | None = None) -> Path:
    """Download a zip, going on with what an earlier call left.

    Args:
        link: The address, http or https; hidden from all output from now on.
        home: Folder for the file while it is unfinished and after.
        name: What the file is called without `.zip`. It must mean the same content on every call.
        config: Time-outs and attempts.

    Returns:
        Path of the complete file `home/NAME.zip.partial`, which the caller removes with `discard` once it is used.

    Raises:
        NotFoundError: the server has no such file.
        DataError: what came is no zip (an error page, say); it is not kept.
        LensmithError: the server refuses, cannot be reached, keeps cutting the connection, or the disk is full. What
            came so far is kept for the next call.
    """
    import requests

    hide_link(link)
    if urlsplit(link).scheme not in {"http", "https"}:
        raise DataError("The download link is not a web address.")
    home.mkdir(parents=True, exist_ok=True)
    job = _Download(link, home / f"{name}.zip.partial", home / f"{name}.zip.json", config or DownloadConfig())
    if job.is_complete():
        return job.partial
    reason = ""
    with requests.Session() as session:
        for attempt in range(job.config.attempts):
            if attempt:
                time.sleep(min(job.config.backoff_seconds * 2 ** (attempt - 1), 10.0))
                say(f"{reason}; trying again ({attempt + 1} of {job.config.attempts})")
            try:
                job.run(session)
            except _CutError as error:
                reason = str(error)
                continue
            return job.partial
    raise LensmithError(f"The download failed: {reason}.{job.so_far()}", where=job.host, next_step=_AGAIN)


def discard(home: Path, name: str) -> None:
    """Remove a download, finished or not, and what killed processes left of its notes."""
    (home / f"{name}.zip.partial").unlink(missing_ok=True)
    (home / f"{name}.zip.json").unlink(missing_ok=True)
    for path in home.iterdir() if home.is_dir() else ():
        if path.name.startswith(f".{name}.zip.json."):
            path.unlink(missing_ok=True)


class _Download:
    def __init__(self, link: str, partial: Path, state_path: Path, config: DownloadConfig) -> None:
        self.link = link
        self.host = urlsplit(link).hostname or ""
        self.partial = partial
        self.state_path = state_path
        self.config = config
        self.state = self._load_state()

    def _load_state(self) -> _State:
        try:
            return _State.model_validate_json(self.state_path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return _State()  # without a mark nothing is resumed, the download starts clean

    def _have(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def so_far(self) -> str:
        have = self._have()
        return (
            f" {have / 1e6:.1f} of {self.state.total / 1e6:.1f} MB have come so far."
            if have and self.state.total
            else ""
        )

    def is_complete(self) -> bool:
        return self.state.total is not None and self._have() == self.state.total > 0

    def run(self, session: Session) -> None:
        """One attempt. Returns when the file is complete, else raises."""
        import requests

        start = self._have() if self.state.mark and self.state.total else 0
        headers = {"Accept-Encoding": "identity"}
        if start and self.state.mark:
            headers |= {"Range": f"bytes={start}-", "If-Range": self.state.mark}
        timeout = (self.config.connect_seconds, self.config.read_seconds)
        try:
            with session.get(self.link, headers=headers, timeout=timeout, stream=True) as response:
                self._receive(response, start)
        except requests.Timeout:
            raise _CutError("the server does not answer") from None
        except requests.RequestException:
            raise _CutError("the connection was cut or could not be made") from None

    def _receive(self, response: Response, start: int) -> None:
        self._check_status(response)
        if response.status_code == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self._forget()
                raise _CutError("the server sent another part than was asked for")
        else:
            start = 0
            length = response.headers.get("Content-Length", "")
            self.state = _State(mark=_strong_mark(response), total=int(length) if length.isdigit() else None)
            self._check_kind(response)
        self._need_room((self.state.total or 0) - start)
        size = f" ({self.state.total / 1e6:.1f} MB)" if self.state.total else ""
        with progress(f"downloading{size}", self.state.total, unit="bytes") as advance:
            advance(start)
            self._save(response, start, advance)
        have = self._have()
        if self.state.total is not None and have != self.state.total:
            if have > self.state.total:
                self._forget()
            raise _CutError(f"the connection was cut after {have} of {self.state.total} bytes")
        # A file without a declared size is complete when the server says so; its CRCs are checked when it is unpacked.
        self.state.total = have
        write_atomic(self.state_path, self.state.model_dump_json())

    def _save(self, response: Response, start: int, advance: Callable[[float], None]) -> None:
        try:
            # Shortened before the new mark is written: bytes of two files must never be joined.
            with self.partial.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                write_atomic(self.state_path, self.state.model_dump_json())
                for chunk in response.iter_content(self.config.chunk_bytes):
                    if file.tell() == 0 and not chunk.startswith(_ZIP_MARKS):
                        file.close()
                        self._forget()
                        raise _not_a_zip(self.host)
                    file.write(chunk)
                    advance(len(chunk))
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(self.partial.parent) from None
            raise

    def _check_status(self, response: Response) -> None:
        status = response.status_code
        if status in {200, 206}:
            return
        if status == 416:
            self._forget()
            raise _CutError("the file on the server has changed")
        if status in {408, 425, 429} or status >= 500:
            raise _CutError(f"the server is in trouble (HTTP {status})")
        if status in {404, 410}:
            raise NotFoundError(
                f"The server no longer has the export (HTTP {status}).", where=self.host, next_step=_AGAIN
            )
        raise LensmithError(
            f"The server refuses the download (HTTP {status}).",
            where=self.host,
            next_step="links expire: run the same command again to get a fresh one",
        )

    def _check_kind(self, response: Response) -> None:
        kind = response.headers.get("Content-Type", "").lower()
        if kind.startswith(("text/html", "application/json", "application/xml", "text/xml")):
            self._forget()
            raise _not_a_zip(self.host)

    def _need_room(self, needed: int) -> None:
        if needed > shutil.disk_usage(self.partial.parent).free:
            raise DiskFullError(self.partial.parent)

    def _forget(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.state_path.unlink(missing_ok=True)
        self.state = _State()


def _strong_mark(response: Response) -> str | None:
    """An ETag that promises the same bytes; a weak one (`W/...`) does not."""
    mark = response.headers.get("ETag")
    return mark if mark and mark.startswith('"') and response.headers.get("Accept-Ranges") != "none" else None


def _not_a_zip(host: str) -> DataError:
    return DataError(
        "What the server sent is not a zip file but a page, perhaps of a proxy or a sign-in.",
        where=host,
        next_step="look at the dataset's page in a browser; then run the same command again",
    )
