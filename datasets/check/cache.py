"""What earlier checks saw, so that an unchanged picture is never read again."""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import LensmithError
from ...core.isolation import cache_folder
from .look import Look

_DECIDES = (
    "look.py", "describe.py", "near.py", "search.py", "confirm.py", "frames.py", "siblings.py", "twins.py",
    "union.py", "../../core/images.py", "../../core/image_parts.py", "../../core/small_images.py",
)  # fmt: skip
_SECONDS_TO_WAIT = 30.0
_KEPT_DAYS = 90
_TABLES = """
CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, state TEXT, sha256 BLOB, day INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS looks (sha256 BLOB PRIMARY KEY, look BLOB, day INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pairs (first BLOB, second BLOB, value REAL, day INTEGER, PRIMARY KEY (first, second))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS twins (pictures BLOB PRIMARY KEY, found BLOB, day INTEGER) WITHOUT ROWID;
"""
_TODAY = "CAST(julianday('now') AS INTEGER)"
_T = TypeVar("_T")


@lru_cache(maxsize=1)
def _version() -> str:
    """Changes whenever the same pictures may come out differently: what was remembered is then forgotten."""
    from importlib import metadata  # not in every helper: it takes long to import

    digest = hashlib.sha256()
    for name in _DECIDES:
        digest.update(Path(__file__).parent.joinpath(name).read_bytes())
    for library in ("numpy", "opencv-python", "pillow", "simplejpeg"):
        digest.update(metadata.version(library).encode())
    return digest.hexdigest()[:16]


def cache_path() -> Path | None:
    """The file of this version of the checker in the person's cache folder; those of old versions are removed.

    None when there can be no such folder: a check then remembers nothing.
    """
    try:
        folder = cache_folder("checks")
    except LensmithError:
        return None
    path = folder / f"looks-{_version()}.sqlite"
    if not path.exists():
        old = time.time() - _KEPT_DAYS * 24 * 3600
        for other in folder.glob("looks-*.sqlite"):
            with contextlib.suppress(OSError):
                if other.stat().st_mtime < old:
                    other.unlink()
    return path


def state_of(path: str) -> str | None:
    """What changes whenever a file does: size, times, inode. None when it is not there."""
    try:
        known = os.stat(path)  # noqa: PTH116 - a hundred thousand times
    except OSError:
        return None
    return f"{known.st_size} {known.st_mtime_ns} {known.st_ctime_ns} {known.st_ino}"


class LookCache:
    """Looks by the file's state and by its content, in one SQLite file. Several checks may use it at once.

    It is only ever a help: one that is damaged is begun anew, and one that cannot be used is done without.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` None makes one that lives in memory and remembers nothing."""
        self._lock = threading.Lock()
        self._base = self._open(path)
        self._began_empty = (
            self._try(lambda: self._base.execute("SELECT 1 FROM looks LIMIT 1").fetchone(), None) is None
        )

    @staticmethod
    def _open(path: Path | None) -> sqlite3.Connection:
        for where in (path, path, None):
            base: sqlite3.Connection | None = None
            try:
                base = sqlite3.connect(where or ":memory:", timeout=_SECONDS_TO_WAIT, check_same_thread=False)
                base.executescript(f"PRAGMA synchronous = OFF; PRAGMA cache_size = -4000; {_TABLES}")
            except sqlite3.OperationalError:  # locked for long, read-only, a full disk
                if base is not None:
                    base.close()
            except sqlite3.DatabaseError:  # damaged
                if base is not None:
                    base.close()
                if where is not None:
                    with contextlib.suppress(OSError):
                        where.unlink()
            else:
                return base
        raise AssertionError("a database in memory can always be opened")

    def by_state(self, path: str, state: str) -> Look | None:
        """What was seen in a file that has not changed since."""
        if self._began_empty:  # not worth asking: what came since is of this very pass
            return None
        query = "SELECT look FROM files JOIN looks USING (sha256) WHERE path = ? AND state = ?"
        return self._look(query, os.fsencode(path), state)

    def by_content(self, sha256: bytes) -> Look | None:
        """What was seen in any file with these bytes."""
        return None if self._began_empty else self._look("SELECT look FROM looks WHERE sha256 = ?", sha256)

    def _look(self, query: str, *values: bytes | str) -> Look | None:
        row = self._try(lambda: self._base.execute(query, values).fetchone(), None)
        try:
            return None if row is None else Look(*marshal.loads(row[0]))  # noqa: S302 - written by us, holds no code
        except (EOFError, ValueError, TypeError):
            return None

    def remember(self, seen: Iterable[tuple[str, str, Look]]) -> None:
        """Keep looks: path, the file's state before it was read, and what was seen."""
        rows = list(seen)

        def write() -> None:
            with self._base:
                self._base.executemany(
                    f"INSERT OR REPLACE INTO looks VALUES (?, ?, {_TODAY})",  # noqa: S608 - our own constant
                    [(look.sha256, marshal.dumps(tuple(look))) for _, _, look in rows],
                )
                self._base.executemany(
                    f"INSERT OR REPLACE INTO files VALUES (?, ?, ?, {_TODAY})",  # noqa: S608
                    [(os.fsencode(path), state, look.sha256) for path, state, look in rows],
                )

        self._try(write, None)

    def twins(self, pictures: bytes) -> list[Any] | None:
        """What was found between the pictures of a dataset, by a hash of all of them."""
        query = "SELECT found FROM twins WHERE pictures = ?"
        row = self._try(lambda: self._base.execute(query, (pictures,)).fetchone(), None)
        try:
            return None if row is None else marshal.loads(row[0])  # noqa: S302 - as above
        except (EOFError, ValueError, TypeError):
            return None

    def remember_twins(self, pictures: bytes, found: list[Any]) -> None:
        """Keep what was found between the pictures of a dataset: plain values only."""

        def write() -> None:
            with self._base:
                self._base.execute(
                    f"INSERT OR REPLACE INTO twins VALUES (?, ?, {_TODAY})",  # noqa: S608
                    (pictures, marshal.dumps(found)),
                )

        self._try(write, None)

    def verdict(self, first: bytes, second: bytes) -> float | None:
        """How alike two pictures were, by their SHA-256."""
        query = "SELECT value FROM pairs WHERE first = ? AND second = ?"
        row = self._try(lambda: self._base.execute(query, (first, second)).fetchone(), None)
        return None if row is None else float(row[0])

    def remember_verdicts(self, verdicts: Iterable[tuple[bytes, bytes, float]]) -> None:
        """Keep how alike pictures are."""
        rows = list(verdicts)

        def write() -> None:
            with self._base:
                self._base.executemany(f"INSERT OR REPLACE INTO pairs VALUES (?, ?, ?, {_TODAY})", rows)  # noqa: S608

        self._try(write, None)

    def close(self) -> None:
        """Forget what is a quarter of a year old, and close the file."""

        def prune() -> None:
            with self._base:
                for table in ("files", "looks", "pairs", "twins"):
                    self._base.execute(f"DELETE FROM {table} WHERE day < {_TODAY} - {_KEPT_DAYS}")  # noqa: S608

        self._try(prune, None)
        self._base.close()

    def _try(self, action: Callable[[], _T], otherwise: _T) -> _T:
        with self._lock:
            try:
                return action()
            except sqlite3.Error:  # a full disk, a file damaged meanwhile: then without
                return otherwise


class Verdicts(MutableMapping[tuple[int, int], float]):
    """Verdicts on pairs of pictures by their numbers in one dataset, kept by their content."""

    def __init__(self, cache: LookCache, sha256_of: Callable[[int], bytes]) -> None:
        self._cache, self._sha256_of = cache, sha256_of
        self._new: dict[tuple[int, int], float] = {}

    def _key(self, pair: tuple[int, int]) -> tuple[bytes, bytes]:
        first, second = sorted((self._sha256_of(pair[0]), self._sha256_of(pair[1])))
        return first, second

    def __getitem__(self, pair: tuple[int, int]) -> float:
        if pair in self._new:
            return self._new[pair]
        known = self._cache.verdict(*self._key(pair))
        if known is None:
            raise KeyError(pair)
        return known

    def __setitem__(self, pair: tuple[int, int], value: float) -> None:
        self._new[pair] = value

    def __delitem__(self, pair: tuple[int, int]) -> None:
        del self._new[pair]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._new)

    def __len__(self) -> int:
        return len(self._new)

    def save(self) -> None:
        """Write down what is new."""
        self._cache.remember_verdicts((*self._key(pair), value) for pair, value in self._new.items())
