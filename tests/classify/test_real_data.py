"""Small cuts of real photographs, with a VGG16 that was really trained: it learns, and what ships says the same."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.classify import stages
from lensmith.classify.config import FinetuneConfig
from lensmith.classify.finetune import ClassifierRun, finetune
from lensmith.core.workspace import Workspace
from lensmith.datasets.crops import cut_crops
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.read import open_dataset
from lensmith.predict.classifier import Classifier
from tests.helpers import run_cv

pytestmark = pytest.mark.keras
PER_CLASS = {"train": 100, "valid": 60, "test": 10}


@dataclass
class Trained:
    """A run, the place it lies in, and how it was asked for."""

    place: Workspace
    config: FinetuneConfig
    run: ClassifierRun

    def history(self) -> list[dict]:
        return json.loads((self.run.run / "history.json").read_text())


def cut_flowers(test_data: Path, place: Workspace, counts: dict[str, tuple[int, int]]) -> None:
    """The first pictures of daisies and dandelions as a dataset."""
    for split, of_class in counts.items():
        for source, count in zip(sorted((test_data / "classify/flowers" / split).iterdir()), of_class, strict=True):
            target = place.datasets / "flowers" / split / source.name
            target.mkdir(parents=True)
            for path in sorted(source.iterdir())[:count]:
                shutil.copy(path, target)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, test_data: Path, trained_vgg16: Path) -> Iterator[Trained]:
    place = Workspace(tmp_path_factory.mktemp("real"))
    cut_flowers(test_data, place, {split: (count, count) for split, count in PER_CLASS.items()})
    config = FinetuneConfig(
        backbone="vgg16", weights=trained_vgg16, imgsz=64, augment="none", precise=True, epochs_frozen=20,
        epochs_tune=0, patience=20, device="cpu", name="flowers",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_CACHE", str(place.root / "cache"))
        yield Trained(place, config, finetune(open_dataset("flowers", place), place, config))


def test_it_learns_from_photographs(trained: Trained) -> None:
    best = max(row["val_accuracy"] for row in trained.history())
    assert best > 0.62  # 120 pictures of two classes: four times in a thousand by chance


def test_kept_activations_give_the_curve_that_pictures_give(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def stop_after_two(text: str) -> None:
        told.append(text)
        if "frozen 2/" in text:
            raise KeyboardInterrupt

    monkeypatch.setattr(stages, "say", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        finetune(open_dataset("flowers", trained.place), trained.place, replace(trained.config, cache=False, name="p"))
    (plain,) = trained.place.runs.glob("*-p-*")
    slow = json.loads((plain / "history.json").read_text())
    for row, other in zip(slow, trained.history(), strict=False):
        assert row["loss"] == pytest.approx(other["loss"], rel=0.02)
        assert row["val_loss"] == pytest.approx(other["val_loss"], rel=0.02)


def test_cv_predict_and_python_say_what_was_measured(trained: Trained) -> None:
    folder = trained.place.datasets / "flowers/test"
    done = run_cv(
        "predict", folder, "--weights", "flowers", "--workspace", trained.place.root, "--json", cwd=trained.place.root
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    paths = sorted(folder.rglob("*.jpg"))
    names = trained.run.bundle.record.names
    answers = Classifier.load("flowers", trained.place.root).predict(paths)
    said = {Path(row["source"]).name: row for row in rows}
    right = 0
    for path, answer in zip(paths, answers, strict=True):
        row = said[path.name]
        probability = [row["probabilities"][name] for name in names]
        assert np.allclose(probability, answer.probability, atol=1e-3)
        right += names[int(np.argmax(probability))] == path.parent.name
    assert right / len(paths) == pytest.approx(trained.run.metrics["accuracy"])


def test_weights_help_a_class_with_a_tenth_of_the_pictures(
    workspace: Workspace, test_data: Path, trained_vgg16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many validation pictures of each class, so their accuracy is the balanced one."""
    cut_flowers(test_data, workspace, {"train": (20, 200), "valid": (50, 50)})
    config = FinetuneConfig(
        backbone="vgg16", weights=trained_vgg16, imgsz=64, augment="none", epochs_frozen=15, epochs_tune=0,
        patience=15, device="cpu", seed=1,
    )  # fmt: skip

    def stop_after_the_last(text: str) -> None:
        if "frozen 15/" in text:
            raise KeyboardInterrupt

    monkeypatch.setattr(stages, "say", stop_after_the_last)
    balanced = {}
    for balance in ("none", "weights"):
        with pytest.raises(KeyboardInterrupt):
            finetune(open_dataset("flowers", workspace), workspace, replace(config, balance=balance, name=balance))
        (run,) = workspace.runs.glob(f"finetune-{balance}-*")
        rows = json.loads((run / "history.json").read_text())
        balanced[balance] = float(np.mean([row["val_accuracy"] for row in rows[-5:]]))
    assert balanced["weights"] > balanced["none"] + 0.02, balanced


@pytest.mark.slow
def test_crops_of_a_detectors_boxes_train_the_classifier_behind_it(
    workspace: Workspace, test_data: Path, trained_vgg16: Path
) -> None:
    """From a folder of Roboflow's with boxes to a classifier of thirteen kinds of chessmen."""
    imported = import_dataset(test_data / "detect/chess-yolo", workspace, ImportConfig(name="chess"))
    crops = cut_crops("chess", workspace)
    assert imported.folder.is_dir()
    config = FinetuneConfig(
        backbone="vgg16", weights=trained_vgg16, imgsz=48, augment="none", epochs_frozen=8, epochs_tune=2, device="cpu",
        name="chessmen",
    )  # fmt: skip
    done = finetune(open_dataset(crops.folder, workspace), workspace, config)
    assert done.bundle.record.metrics_split == "test"
    of_class = [counts["test"] for counts in crops.crops.values()]
    assert done.metrics["pictures"] == sum(of_class)
    assert done.metrics["accuracy_low"] > max(of_class) / sum(of_class), "better than naming the commonest"
    assert done.metrics["balanced_accuracy_low"] > 1 / len([count for count in of_class if count])
