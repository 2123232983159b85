"""The interface of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from ...core.errors import DataError, LensmithError
from ...weights.bundle import Bundle, Preprocessing
from ...weights.portable import INPUT_NAME

Precision = Literal["f32", "bf16", "f16"]

Tag = TypeVar("Tag")
_Batch = TypeVar("_Batch")
_Answers = TypeVar("_Answers")


class Engine(Protocol):
    """A loaded model.

    Attributes:
        name: "openvino", "onnxruntime", "ultralytics", "keras", "tensorrt".
        device: "cpu", "cuda:0".
        precision: What it computes in; its answers are float32 either way.
        batch: How many pictures it likes to get at once.
    """

    name: str
    device: str
    precision: Precision
    batch: int

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """Run the model.

        Args:
            pictures: uint8 BGR `(n, h, w, 3)` at the bundle's input size.

        Returns:
            float32. For a classifier `(n, classes)` probabilities; for a detector what `DetectorRecord.output` says.
        """
        ...

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """Run the model on batch after batch; it may work on one while the next ones are fetched.

        Args:
            batches: What comes back with the answers, and pictures as `infer` takes them, up to `batch` at once.

        Yields:
            For each what `infer` would give, in their order. An error in `batches` surfaces here.
        """
        ...


def one_by_one(
    infer: Callable[[_Batch], _Answers], batches: Iterable[tuple[Tag, _Batch]]
) -> Iterator[tuple[Tag, _Answers]]:
    """The `stream` of what works on one batch at a time."""
    for tag, batch in batches:
        yield tag, infer(batch)


def no_file(bundle: Bundle, name: str) -> DataError:
    """The error of an engine for a bundle that lacks its file."""
    return DataError(
        f"The bundle '{bundle.name}' has no {name}.", where=bundle.folder,
        next_step="use --engine auto, which takes what can run it",
    )  # fmt: skip


def not_pictures(size: Preprocessing, found: str, path: Path) -> DataError:
    """The error for a portable model that takes something else than pictures."""
    return DataError(
        f"The portable model must take '{INPUT_NAME}', uint8 (n, {size.height}, {size.width}, 3), but takes: {found}.",
        where=path,
        next_step="make the bundle again by training or exporting",
    )


@contextmanager
def told_when_it_fails(library: str) -> Iterator[None]:
    """Turn whatever a library raises while it runs a model, each with classes of its own, into one message.

    Args:
        library: How people call it.

    Raises:
        LensmithError: with the library's own words.
    """
    try:
        yield
    except LensmithError:
        raise
    except Exception as error:
        raise LensmithError(
            f"{library} could not run the model: {first_line(error).rstrip('.')}.",
            next_step="try another --engine, and --device cpu where it was a GPU; `cv doctor` shows what works here",
        ) from error


def first_line(error: Exception) -> str:
    """What a library says is wrong, without its stack of C++."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
