"""Which runs a workspace has, and how they ended: read from their run.json, through an index that is only a cache.

`runs/index.db` (SQLite) keeps what was read of each run.json, and by which version of the file it was read, so that a
thousand runs are listed without opening a thousand files. It is never the truth: where it is missing, damaged, locked
or cannot be written, the files are read, and what can be kept of them is.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from .errors import DataError, UsageError
from .lock import is_held
from .manifest import MANIFEST_NAME, RunManifest
from .workspace import Workspace

INDEX_NAME = "index.db"
Status = Literal["running", "done", "failed", "interrupted", "killed", "damaged"]
STATUSES = get_args(Status)
_LAYOUT = 2  # of the index; one of another layout is made anew
_PATIENCE_SECONDS = 5.0  # for another process that writes into the index
_MAIN = ("mAP50", "accuracy")  # what a model is known by, and the split "test" before "valid"
_NO_FIGURES = {"proof"}  # a classifier's difference between its engines
_SPLITS = ("test", "valid", "train")

_Version = tuple[int, int, int]  # of a run.json: its inode, its time in nanoseconds, its size


@dataclass(frozen=True)
class RunEntry:
    """One run, as a list of runs shows it.

    Attributes:
        name: Its folder's name under runs/.
        command: "train-yolo", "finetune", "tune", "predict", ...; empty where run.json cannot be read.
        status: As run.json says; "killed" where that says "running" and no process is at work on it; "damaged" where
            run.json cannot be read.
        dataset: The name of its dataset; None when it used none.
        model: What was trained or used: a detector's name, a backbone, a bundle.
        metric: The name of the figure that it is known by: "mAP50" or "accuracy"; None when nothing was measured.
        score: That figure, 0..1.
        split: The pictures that it was measured on.
        metrics: All figures on that split, by name.
        seconds: How long it worked, over all its resumes; None when that is not known.
        started, ended: In UTC.
        bundle: The name of the model that came out of it.
        error: What went wrong.
        leaked: How many pictures of `split` show what was trained on, so that the figures are too good.
        tuned_by: The name of the tuning that this training is a trial of; None where a person asked for it.
    """

    name: str
    command: str
    status: Status
    dataset: str | None = None
    model: str | None = None
    metric: str | None = None
    score: float | None = None
    split: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    bundle: str | None = None
    error: str | None = None
    leaked: int = 0
    tuned_by: str | None = None


def list_runs(workspace: Workspace) -> list[RunEntry]:
    """All runs of a workspace, the newest first. Needs no right to write there; run.json files are only read."""
    found = _manifests(workspace.runs)
    kept = _Index(workspace.runs / INDEX_NAME)
    known = kept.read()
    entries: dict[str, RunEntry] = {}
    fresh: dict[str, tuple[_Version, RunEntry]] = {}
    for name, version in found.items():
        standing = known.get(name)
        if standing and standing[0] == version:
            entries[name] = standing[1]
        else:
            entries[name] = summarize(workspace.runs / name)
            fresh[name] = (version, entries[name])
    kept.write(fresh, gone=known.keys() - found.keys())
    alive = [
        alive_or_killed(workspace.runs / entry.name, entry) if entry.status == "running" else entry
        for entry in entries.values()
    ]
    return sorted(
        alive, key=lambda entry: (entry.started or datetime.min.replace(tzinfo=UTC), entry.name), reverse=True
    )


def summarize(run: Path) -> RunEntry:
    """What a run's run.json says; one that cannot be read is an entry of status "damaged"."""
    try:
        manifest = RunManifest.load(run)
    except (DataError, OSError) as error:
        what = error.what if isinstance(error, DataError) else str(error)
        return RunEntry(run.name, command="", status="damaged", error=what)
    split, metrics = measured(manifest)
    metric = next((name for name in _MAIN if name in metrics), None)
    return RunEntry(
        name=run.name,
        command=manifest.command,
        status=manifest.status,
        dataset=manifest.dataset.name if manifest.dataset else None,
        model=_model(manifest.options),
        metric=metric,
        score=metrics[metric] if metric else None,
        split=split,
        metrics=metrics,
        seconds=_seconds(manifest),
        started=manifest.started,
        ended=manifest.ended,
        bundle=_text(manifest.result.get("bundle")),
        error=_text(manifest.result.get("error")),
        leaked=_leaked(manifest.result, split),
        tuned_by=_text(manifest.result.get("tuned_by")),
    )


def alive_or_killed(run: Path, entry: RunEntry) -> RunEntry:
    """The entry with the status that holds now: a run whose process is gone does not run."""
    if entry.status != "running":
        return entry
    if not is_held(run):
        return replace(entry, status="killed")
    seconds = (datetime.now(UTC) - entry.started).total_seconds() if entry.started else None
    return replace(entry, seconds=seconds)


def measured(manifest: RunManifest) -> tuple[str | None, dict[str, float]]:
    """The split that a run's figures are of, and the figures 0..1 by name: of "test" where that was measured."""
    result = manifest.result
    nested = result.get("metrics")
    if isinstance(nested, Mapping):
        for split in _SPLITS:
            if figures := _numbers(nested.get(split)):
                return split, figures
        return (_text(result.get("split")), figures) if (figures := _numbers(nested)) else (None, {})
    if _text(result.get("split")) is None:
        return None, {}
    return _text(result["split"]), _numbers(result)


def choose(
    runs: Iterable[RunEntry], *, dataset: str | None = None, status: str | None = None, command: str | None = None,
    sort: str | None = None,
) -> list[RunEntry]:  # fmt: skip
    """Those that fit, in the order that was asked for.

    Args:
        runs: From `list_runs`.
        dataset: Only runs with this dataset.
        status: Only runs that ended so.
        command: Only runs of this command.
        sort: The best first by this figure, runs without it last; None keeps the order.

    Raises:
        UsageError: no such status, or no run has such a figure.
    """
    if status is not None and status not in STATUSES:
        raise UsageError(f"No run can be '{status}'.", where="--status", next_step=f"give one of {', '.join(STATUSES)}")
    every = list(runs)
    wanted = [
        run
        for run in every
        if (dataset is None or run.dataset == dataset)
        and (status is None or run.status == status)
        and (command is None or run.command == command)
    ]
    if sort is None:
        return wanted
    names = sorted({name for run in every for name in run.metrics})
    if every and sort not in names:
        raise UsageError(
            f"No run has a figure called '{sort}'.",
            where="--sort",
            next_step=f"give one of {', '.join(names)}" if names else "nothing was measured yet",
        )
    return sorted(wanted, key=lambda run: -run.metrics.get(sort, -1.0))


def _manifests(runs: Path) -> dict[str, _Version]:
    """Each run's name and the version of its run.json."""
    found: dict[str, _Version] = {}
    try:
        entries = list(os.scandir(runs))
    except FileNotFoundError:
        return {}
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            facts = os.stat(f"{entry.path}/{MANIFEST_NAME}")  # noqa: PTH116 - a Path for each costs more than the rest
        except OSError:  # what has no run.json is no run
            continue
        found[entry.name] = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
    return found


def _model(options: Mapping[str, Any]) -> str | None:
    return next((str(options[key]) for key in ("model", "backbone", "weights") if options.get(key)), None)


def _seconds(manifest: RunManifest) -> float | None:
    if manifest.timings:
        return round(sum(manifest.timings.values()), 2)
    return (manifest.ended - manifest.started).total_seconds() if manifest.ended else None


def _numbers(values: Any) -> dict[str, float]:
    """The figures among what a result holds: what counts something is an integer."""
    if not isinstance(values, Mapping):
        return {}
    return {
        str(name): float(value)
        for name, value in values.items()
        if isinstance(value, float) and 0 <= value <= 1 and name not in _NO_FIGURES
    }


def _leaked(result: Mapping[str, Any], split: str | None) -> int:
    counts = result.get("leaked")
    count = counts.get(split) if isinstance(counts, Mapping) else None
    return count if isinstance(count, int) else 0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


class _Index:
    """The cache. Whatever is wrong with it, the caller gets an answer: at worst an empty one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, tuple[_Version, RunEntry]]:
        """What is kept, by the run's name."""
        if not self._path.exists():
            return {}
        try:
            with closing(self._connect()) as database:
                if database.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
                    return {}
                rows = database.execute("SELECT name, inode, changed, size, entry FROM runs").fetchall()
            return {name: ((inode, changed, size), _entry(text)) for name, inode, changed, size, text in rows}
        except sqlite3.OperationalError:  # locked, or it cannot be read
            return {}
        except (sqlite3.DatabaseError, ValueError, TypeError):
            with suppress(OSError):
                self._path.unlink()
            return {}

    def write(self, fresh: Mapping[str, tuple[_Version, RunEntry]], gone: Iterable[str]) -> None:
        """Keep what was read anew, and forget runs that are no longer there."""
        lost = [(name,) for name in gone]
        if not fresh and not lost:
            return
        rows = [
            (name, *version, json.dumps(asdict(entry), default=_as_text)) for name, (version, entry) in fresh.items()
        ]
        with suppress(sqlite3.Error), closing(self._connect()) as database, database:
            if database.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
                database.execute("DROP TABLE IF EXISTS runs")
                database.execute(f"PRAGMA user_version = {_LAYOUT}")
            database.execute(
                "CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, inode INTEGER, changed INTEGER, size INTEGER,"
                " entry TEXT)"
            )
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", rows)
            database.executemany("DELETE FROM runs WHERE name = ?", lost)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_PATIENCE_SECONDS)


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _entry(text: str) -> RunEntry:
    values = json.loads(text)
    for key in ("started", "ended"):
        values[key] = datetime.fromisoformat(values[key]) if values[key] else None
    return RunEntry(**values)
