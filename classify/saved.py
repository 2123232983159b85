"""What a classifier said about labelled pictures, kept beside the run's figures: `evaluation-SPLIT.npz`.

So runs can be compared without asking their models again, even when the pictures are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.arrays import read_arrays, write_arrays
from ..core.errors import DataError, NotFoundError
from ..core.files import hashes_of
from ..predict.results import Skipped
from .evaluate import Evaluation

_NEXT = "train it again, or leave it out"


def save_evaluation(evaluation: Evaluation, run: Path) -> Path:
    """Write it into a run's folder, whole or not at all, and return the file; the members of an ensemble stay out."""
    about = {
        "model": evaluation.model, "split": evaluation.split, "names": evaluation.names,
        "temperature": evaluation.temperature, "images": [str(image) for image in evaluation.images],
        "sha256": hashes_of(evaluation.images), "skipped": evaluation.skipped,
    }  # fmt: skip
    path = run / _file_name(evaluation.split)
    write_arrays(path, about, {
        "said": evaluation.said, "labels": evaluation.labels, "thresholds": evaluation.thresholds,
    })  # fmt: skip
    return path


def read_evaluation(run: Path, split: str) -> tuple[Evaluation, tuple[str, ...]]:
    """Read what `save_evaluation` wrote: the evaluation, and the SHA-256 of each picture ("" where it was gone).

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged.
    """
    path = run / _file_name(split)
    try:
        about, arrays = read_arrays(path, _NEXT)
    except FileNotFoundError:
        what = f"This run kept no answers about '{split}' pictures."
        raise NotFoundError(what, where=path, next_step=_NEXT) from None
    try:
        evaluation = Evaluation(
            model=about["model"], split=about["split"], names=tuple(about["names"]), said=arrays["said"],
            labels=arrays["labels"], images=tuple(map(Path, about["images"])), thresholds=arrays["thresholds"],
            temperature=about["temperature"], skipped=tuple(Skipped(*entry) for entry in about["skipped"]),
        )  # fmt: skip
        hashes = tuple(map(str, about["sha256"]))
        _check(evaluation, hashes)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"The run's answers cannot be read: {error}", where=path, next_step=_NEXT) from None
    return evaluation, hashes


def _check(evaluation: Evaluation, hashes: Sequence[str]) -> None:
    count, classes = len(evaluation.images), len(evaluation.names)
    if evaluation.said.shape != (count, classes) or evaluation.labels.shape != (count,) or len(hashes) != count:
        raise ValueError(f"its parts do not fit {count} pictures of {classes} classes")
    if count and not 0 <= evaluation.labels.min() <= evaluation.labels.max() < classes:
        raise ValueError("a label is no class")


def _file_name(split: str) -> str:
    return f"evaluation-{split}.npz"
