"""Cross-validation: what a recipe is worth on a small dataset, where a single validation split says little.

The pictures of "train" and "valid" are shared out to K parts; the test split stays out of it. Each part is measured
once by a model that saw none of it: the next part chooses that model's best epoch, the others train it. So no figure
comes from pictures by which anything was chosen, unlike where the measured part also ends the training (Cawley and
Talbot, "On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation", JMLR 2010, section
5). Pictures that show the same thing stay in one part, and each part gets its share of each class, see
`datasets.stratify`.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.files import write_atomic
from ..core.progress import progress, say
from ..datasets.balance import count_objects
from ..datasets.check.run import check_dataset
from ..datasets.check.twins import groups
from ..datasets.model import Dataset, Item
from ..datasets.stratify import share_out
from ..weights.keras_files import load_all_layers
from .learning import LearningData
from .metrics import ClassifierScores, score
from .prefetch import Prefetch
from .stage_data import Pictures
from .stages import Stage, StageData, Training
from .state import StateFolder

SPLIT_NAME = "folds"
_FEWEST = 3
_FOLDER = "folds"

Prepare = Callable[[Any, Stage, Pictures], AbstractContextManager[StageData]]


@dataclass(frozen=True)
class FoldsResult:
    """What cross-validation gave.

    Attributes:
        scores: Over all pictures, each judged by the model that had not seen it.
        accuracies: Of each fold.
    """

    scores: ClassifierScores
    accuracies: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over the folds: how much luck there is in one split."""
        return float(np.std(self.accuracies, ddof=1))

    def as_record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**self.scores.as_record(), "accuracies": list(self.accuracies), "spread": self.spread}

    def __str__(self) -> str:
        scores = self.scores
        return (
            f"cross-validation on {scores.pictures} pictures in {len(self.accuracies)} folds: accuracy"
            f" {scores.accuracy}, balanced {scores.balanced_accuracy}; fold by fold"
            f" {min(self.accuracies):.3f} to {max(self.accuracies):.3f}, spread {self.spread:.3f}"
        )


class Part:
    """Some items of what there is to learn from. See `LearningData`.

    Args:
        data: All of it.
        rows: int64 `(m,)` numbers of its items.
    """

    def __init__(self, data: LearningData, rows: np.ndarray) -> None:
        self._data, self._rows = data, rows
        self.lost: set[int] = set()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def items(self) -> Sequence[Item]:
        """The part's pictures."""
        return [self._data.items[row] for row in self._rows.tolist()]

    @property
    def labels(self) -> np.ndarray:
        """int64 `(m,)` class ids."""
        return self._data.labels[self._rows]

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """See `LearningData.batch`."""
        try:
            return self._data.batch(self._rows[indices], epoch)
        finally:
            if self._data.lost:
                self.lost = {i for i, row in enumerate(self._rows.tolist()) if row in self._data.lost}


def what_folds_learn(folds: int, pictures: int, final: int) -> str:
    """How much each fold's model learns from, of so many pictures, and how that compares with the final one."""
    each = round(pictures * (folds - 2) / folds)
    text = (
        f"Of {folds} parts one measures, the next picks the epoch and {folds - 2}"
        f" {'trains' if folds == 3 else 'train'}: each model learns from about {each} of the {pictures} pictures,"
        f" the final one from {final}"
    )
    return f"{text}, so expect that one to do a little better." if final > each else f"{text}."


def fold_parts(dataset: Dataset, items: Sequence[Item], folds: int, seed: int) -> np.ndarray:
    """Share pictures out to folds: alike ones together, each class evenly.

    Args:
        dataset: Whose they are.
        items: The pictures.
        folds: How many parts.
        seed: Decides between groups of pictures that are alike.

    Returns:
        int64 `(items,)`: the part of each.

    Raises:
        DataError: a class has too few different pictures for so many folds.
    """
    everything = list(dataset.items())
    with progress("looking for pictures that show the same thing", len(everything)) as advance:
        twins = check_dataset(dataset, advance=advance).twins
    position = {item.image: number for number, item in enumerate(items)}
    bound = [
        inner
        for group in groups(everything, twins)
        if (inner := [position[everything[i].image] for i in group if everything[i].image in position])
    ]
    parts = share_out(items, count_objects(dataset, items), bound, (1,) * folds, seed)
    labels = np.array([item.class_id for item in items])
    for class_id, name in enumerate(dataset.names):
        there = len(np.unique(parts[labels == class_id]))
        if 0 < there < folds:
            raise DataError(
                f"'{name}' has pictures of too few different things for {folds} folds: only {there} of them get any.",
                where=dataset.root,
                next_step=f"use --folds {there}" if there >= _FEWEST else "add pictures of other scenes",
            )
    return parts


def cross_validate(model: Any, pictures: Pictures, run: Path, stages: Sequence[Stage], prepare: Prepare) -> FoldsResult:
    """Train and measure once for each fold; what is frozen is computed once for all of them.

    A fold that is finished is not done again, and one that was interrupted goes on after its last epoch. When it is
    over the model is as the run starts.

    Args:
        model: As the run starts; `run`'s state holds the same, see `stages.Training`.
        pictures: Of the dataset, with `config.folds` in their config.
        run: The run's folder, which gets a folder `folds`; `forget_folds` removes it once the answer is kept.
        stages: How each fold trains.
        prepare: Opens a stage's data, see `stage_data.open_stage`; that of all pictures is parted for each fold.

    Raises:
        DataError: see `fold_parts`.
        LensmithError: as for `Training.run_stage`.
    """
    config = pictures.config
    items = [*pictures.train_items, *pictures.valid_items]
    parts = fold_parts(pictures.dataset, items, config.folds, config.seed)
    part_of = {item.image: int(part) for item, part in zip(items, parts, strict=True)}
    everything = replace(pictures, train_items=items, valid_items=items)
    say(what_folds_learn(config.folds, len(items), len(pictures.train_items)))
    with ExitStack() as opened:
        work = _Work(model, everything, run, [stage for stage in stages if stage.epochs], prepare, part_of, opened)
        answers = [work.fold(number) for number in range(config.folds)]
    load_all_layers(model, StateFolder(run).start)
    labels, probability = (np.concatenate(column) for column in zip(*answers, strict=True))
    return FoldsResult(
        score(labels, probability, pictures.dataset.names, SPLIT_NAME),
        tuple(float((said.argmax(axis=1) == truth).mean()) for truth, said in answers),
    )


def has_folds(run: Path) -> bool:
    """Whether a run's folder holds what its folds learned."""
    return (run / _FOLDER).is_dir()


def forget_folds(run: Path) -> None:
    """Remove what only an interrupted cross-validation needs."""
    shutil.rmtree(run / _FOLDER, ignore_errors=True)


class _Work:
    """What the folds share."""

    def __init__(
        self, model: Any, everything: Pictures, run: Path, stages: Sequence[Stage], prepare: Prepare,
        part_of: dict[Path, int], opened: ExitStack,
    ) -> None:  # fmt: skip
        self._model = model
        self._everything = everything
        self._config = everything.config
        self._run = run
        self._stages = stages
        self._prepare = prepare
        self._part_of = part_of
        self._opened = opened
        self._data: dict[str, StageData] = {}

    def fold(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Class ids int64 `(m,)` of a part, and what its model says, float32 `(m, classes)`."""
        folds = self._config.folds
        done = self._run / _FOLDER / f"{number + 1}.npz"
        if not done.is_file():
            say(f"fold {number + 1} of {folds}")
            folder = self._run / _FOLDER / str(number + 1)
            folder.mkdir(parents=True, exist_ok=True)
            load_all_layers(self._model, StateFolder(self._run).start)
            training = Training(self._model, folder, self._config)
            for stage in self._stages:
                whole = self._whole(stage)
                train = self._part(whole.train, set(range(folds)) - {number, (number + 1) % folds})
                valid = self._part(whole.valid, {(number + 1) % folds})
                training.run_stage(stage, StageData(whole.network, train, valid))
            training.restore_best()
            whole = self._whole(self._stages[-1])
            labels, said = _answers(whole.network, self._part(whole.valid, {number}), training.progress.batch)
            _save(done, labels, said)
            shutil.rmtree(folder, ignore_errors=True)
            say(f"fold {number + 1} of {folds}: accuracy {(said.argmax(axis=1) == labels).mean():.3f}")
        with np.load(done, allow_pickle=False) as kept:
            return kept["labels"], kept["said"]

    def _whole(self, stage: Stage) -> StageData:
        if stage.name not in self._data:
            opening = self._prepare(self._model, stage, self._everything)
            self._data[stage.name] = self._opened.enter_context(opening)
        return self._data[stage.name]

    def _part(self, data: LearningData, wanted: set[int]) -> Part:
        rows = [row for row, item in enumerate(data.items) if self._part_of[item.image] in wanted]
        return Part(data, np.array(rows, np.int64))


def _answers(network: Any, data: LearningData, batch: int) -> tuple[np.ndarray, np.ndarray]:
    batches = [np.arange(start, min(start + batch, len(data))) for start in range(0, len(data), batch)]
    labels, said = [], []
    with Prefetch(data, batches, 0) as loader:
        for x, truth, _ in loader:
            labels.append(truth)
            said.append(np.asarray(network.predict_on_batch(x), np.float32))
    return np.concatenate(labels), np.concatenate(said)


def _save(path: Path, labels: np.ndarray, said: np.ndarray) -> None:
    sink = io.BytesIO()
    np.savez(sink, labels=labels, said=said)
    write_atomic(path, sink.getvalue())
