"""Cross-validation: alike pictures together, each judged once by a model that had not seen it, no fold done twice."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.classify import folds as folds_module
from lensmith.classify.config import FinetuneConfig
from lensmith.classify.folds import FoldsResult, Part, cross_validate, fold_parts, forget_folds, what_folds_learn
from lensmith.classify.stage_data import Pictures
from lensmith.classify.stages import Stage, StageData, Training
from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.weights.bundle import Preprocessing
from tests.helpers import make_folder_dataset, make_picture


@pytest.fixture
def pets(workspace: Workspace) -> Dataset:
    root = make_folder_dataset(workspace.datasets / "pets", counts={"train": 7, "valid": 2, "test": 2})
    for number in range(3):  # four copies of one photograph, in both splits
        split = "valid" if number else "train"
        shutil.copy(root / "train" / "dog" / "train-1-000.png", root / split / "dog" / f"again-{number}.png")
    return open_dataset("pets", workspace)


def test_alike_pictures_share_a_fold_and_classes_are_spread(pets: Dataset) -> None:
    items = list(pets.items("train", "valid"))
    parts = fold_parts(pets, items, 3, seed=0)
    copies = {
        int(part)
        for item, part in zip(items, parts, strict=True)
        if "again" in item.image.name or item.image.name == "train-1-000.png"
    }
    assert len(copies) == 1
    labels = np.array([item.class_id for item in items])
    assert np.bincount(parts[labels == 0]).tolist() == [3, 3, 3]
    assert parts.tolist() == fold_parts(pets, items, 3, seed=0).tolist()
    other = dict(zip(items[::-1], fold_parts(pets, items[::-1], 3, seed=0).tolist(), strict=True))
    assert [other[item] for item in items] == parts.tolist()


def test_a_class_of_too_few_things_is_named(workspace: Workspace, pets: Dataset) -> None:
    for number in range(9):
        source = make_picture(pets.root / "train" / "owl" / f"{number}.png", seed=900)
        assert source.is_file()
    dataset = open_dataset("pets", workspace)
    with pytest.raises(DataError, match="'owl' has pictures of too few different things for 3 folds"):
        fold_parts(dataset, list(dataset.items("train", "valid")), 3, seed=0)


@pytest.mark.parametrize("folds", [1, 2, 21, -3])
def test_a_number_of_folds_that_makes_no_sense(folds: int) -> None:
    with pytest.raises(UsageError, match="3 to 20 folds"):
        FinetuneConfig(folds=folds)


class Numbers:
    """Item i is the number i, of class i % 2."""

    def __init__(self, count: int) -> None:
        self.items: Any = list(range(count))
        self.lost: set[int] = set()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> np.ndarray:
        return np.arange(len(self)) % 2

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        self.lost.add(7)
        kept = indices[indices != 7]
        return kept + 100.0 * epoch, self.labels[kept]


def test_a_part_speaks_of_its_own_numbers() -> None:
    part = Part(Numbers(10), np.array([9, 7, 2]))
    assert (len(part), list(part.items), part.labels.tolist()) == (3, [9, 7, 2], [1, 1, 0])
    x, labels = part.batch(np.array([0, 1, 2]), 3)
    assert (x.tolist(), labels.tolist()) == ([309, 302], [1, 0])
    assert part.lost == {1}


@pytest.fixture
def job(pets: Dataset, tmp_path: Path) -> Any:
    """What `cross_validate` needs, anew each time it is called, as in a new process."""
    from lensmith.weights.architecture import build_classifier, import_keras

    keras, _ = import_keras("cpu")
    config = FinetuneConfig(backbone="cnn", weights="none", imgsz=32, folds=3, units=8, batch=4).resolved()
    preprocessing = Preprocessing(width=32, height=32, resize="stretch", interpolation="area")
    items = list(pets.items("train")), list(pets.items("valid"))

    def start(run: Path) -> tuple[Any, Pictures, Path]:
        run.mkdir(exist_ok=True)
        keras.utils.set_random_seed(0)
        model = build_classifier(config.record(), 32, 32, 2, learn_statistics=True)
        Training(model, run, config)
        return model, Pictures(pets, config, preprocessing, *items, "valid"), run

    return start


class Plainly:
    """Opens a stage's data, and counts how often."""

    def __init__(self) -> None:
        self.opened = 0

    @contextmanager
    def __call__(self, model: Any, _stage: Stage, pictures: Pictures) -> Iterator[StageData]:
        self.opened += 1
        yield StageData(model, pictures.train, pictures.valid)


@pytest.mark.keras
def test_each_picture_is_judged_once_and_an_interrupted_run_ends_alike(
    job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model, pictures, run = job(tmp_path / "whole")
    stages, plainly = (Stage("frozen", 2, 1e-2),), Plainly()
    start = [np.array(variable).tobytes() for variable in model.weights]
    whole = cross_validate(model, pictures, run, stages, plainly)
    assert plainly.opened == 1
    assert [np.array(variable).tobytes() for variable in model.weights] == start
    assert len(list((run / "folds").iterdir())) == 3  # until the caller has kept the answer
    forget_folds(run)
    assert not (run / "folds").exists()
    assert isinstance(whole, FoldsResult)
    assert whole.scores.pictures == 21
    assert whole.scores.confusion.sum(axis=1).tolist() == [9, 12]
    assert len(whole.accuracies) == 3
    assert whole.scores.accuracy.low <= whole.scores.accuracy.value <= whole.scores.accuracy.high
    assert "21 pictures in 3 folds" in str(whole)

    seen: list[set[Path]] = []
    starts: set[bytes] = set()
    learn = Training.run_stage

    def stop_in_the_third(self: Training, stage: Stage, data: StageData) -> None:
        seen.append({item.image for item in data.train.items} | {item.image for item in data.valid.items})
        starts.add(b"".join(np.array(variable).tobytes() for variable in self.model.weights))
        if len(seen) == 3:
            raise KeyboardInterrupt
        learn(self, stage, data)

    monkeypatch.setattr(folds_module.Training, "run_stage", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(*job(tmp_path / "again"), stages, Plainly())
    monkeypatch.undo()
    assert starts == {b"".join(start)}  # no fold begins with what another one learned
    assert sorted(path.name for path in (tmp_path / "again" / "folds").iterdir()) == ["1.npz", "2.npz", "3"]
    everything = {item.image for item in [*pictures.train_items, *pictures.valid_items]}
    judged = [everything - fold for fold in seen]
    assert set.union(*judged) == everything
    assert sum(map(len, judged)) == len(everything)
    capfd.readouterr()
    resumed = cross_validate(*job(tmp_path / "again"), stages, Plainly())
    said = capfd.readouterr().err
    assert "fold 3 of 3" in said
    assert "fold 1 of 3" not in said
    assert resumed.accuracies == whole.accuracies
    assert resumed.scores.as_record() == whole.scores.as_record()


@pytest.mark.parametrize(
    ("folds", "final", "said"),
    [
        (5, 70, "Of 5 parts one measures, the next picks the epoch and 3 train: each model learns from about 60 of the"
                " 100 pictures, the final one from 70, so expect that one to do a little better."),
        (3, 33, "1 trains: each model learns from about 33 of the 100 pictures, the final one from 33."),
    ],
)  # fmt: skip
def test_how_little_a_fold_learns_from_is_said(folds: int, final: int, said: str) -> None:
    assert what_folds_learn(folds, 100, final).endswith(said)
