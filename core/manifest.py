"""run.json: what was run, on what, and how it ended."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import DataError
from .files import write_atomic
from .lock import marked
from .redact import redact

MANIFEST_NAME = "run.json"
_LIBRARIES = ("lensmith", "ultralytics", "torch", "keras", "tensorflow", "albumentations", "onnx", "onnxruntime",
              "openvino",
              "opencv-python", "numpy", "pillow", "roboflow")  # fmt: skip


class DatasetRef(BaseModel):
    """Which data a run or a bundle was made from."""

    model_config = ConfigDict(extra="forbid")

    name: str
    fingerprint: str
    path: str | None = None


class RunManifest(BaseModel):
    """The record of one run, saved as `run.json` in its folder each time it changes.

    Attributes:
        status: "running" until the run says otherwise; a killed process leaves it so.
        options: The options as resolved, defaults included.
        timings: Seconds by stage.
        result: The numbers and names the run ended with.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    command: str
    status: Literal["running", "done", "failed", "interrupted"] = "running"
    options: dict[str, Any]
    seed: int
    device: str
    dataset: DatasetRef | None = None
    versions: dict[str, str] = Field(default_factory=lambda: library_versions())
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    timings: dict[str, float] = Field(default_factory=dict)
    result: dict[str, Any] = Field(default_factory=dict)

    def save(self, run: Path) -> None:
        """Write `run.json` into the run's folder, whole or not at all, keys hidden."""
        write_atomic(run / MANIFEST_NAME, redact(self.model_dump_json(indent=2)) + "\n")

    def end(self, run: Path, status: Literal["done", "failed", "interrupted"]) -> None:
        """Note how and when the run ended, and save."""
        self.status = status
        self.ended = datetime.now(UTC)
        self.save(run)

    @contextmanager
    def during(self, run: Path) -> Iterator[None]:
        """Save at the start of the block, and note at its end whether it was done, failed or interrupted."""
        with marked(run):
            self.save(run)
            try:
                yield
            except BaseException as error:
                self.end(run, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
                raise
            self.end(run, "done")

    @classmethod
    def load(cls, run: Path) -> RunManifest:
        """Raises DataError when the folder holds no readable `run.json`."""
        try:
            return cls.model_validate_json((run / MANIFEST_NAME).read_bytes())
        except FileNotFoundError:
            raise DataError("This folder is not a run: it holds no run.json.", where=run) from None
        except ValidationError as error:
            first = error.errors()[0]
            spot = ".".join(str(part) for part in first["loc"])
            raise DataError(f"run.json is damaged: {spot}: {first['msg']}", where=run / MANIFEST_NAME) from None


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a result, read without importing any."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
