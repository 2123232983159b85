"""What shapes a training: checked before anything is loaded, and whole in run.json."""

import inspect
import json
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lensmith.classify.config import FinetuneConfig
from lensmith.cli import finetune as finetune_module
from lensmith.cli.finetune import finetune_classifier
from lensmith.core.errors import DataError, UsageError
from lensmith.weights.backbones import BACKBONES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"backbone": "resnet"}, "did you mean resnet50?", id="unknown backbone"),
        pytest.param({"backbone": "cnn", "epochs_tune": 0}, "give --epochs-tune 1 or more", id="no frozen stage"),
        pytest.param({"epochs_tune": -1}, "give --epochs-tune 0 or more", id="negative epochs"),
        pytest.param({"lr_frozen": "fast"}, "'fast' does not", id="a rate in words"),
        pytest.param({"backbone": "xception", "imgsz": 48}, "71 to", id="too small"),
        pytest.param({"epochs_frozen": 0, "epochs_tune": 0}, "nothing to train", id="no epochs"),
        pytest.param({"augment": "wild"}, "default", id="unknown preset"),
        pytest.param({"lr_tune": 0.0}, "learning rate", id="no rate"),
        pytest.param({"lr_frozen": float("nan")}, "learning rate", id="a rate that is no number"),
        pytest.param({"target": "accuracy=2"}, "precision=0.95", id="unknown target"),
        pytest.param({"views": 0}, "give --views a number from 1 to 64", id="no view"),
        pytest.param({"dropout": 1.0}, "between 0 and 1", id="everything dropped"),
        pytest.param({"folds": 2}, "folds", id="too few folds"),
        pytest.param({"label_smoothing": 1.0}, "smoothing", id="no truth left"),
    ],
)
def test_options_that_make_no_sense(options: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        FinetuneConfig(**options)
    assert said in str(caught.value)


def test_run_json_holds_all_that_a_resumed_run_needs(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("transforms:\n  - HorizontalFlip: {p: 0.5}\n")
    weights = tmp_path / "some.h5"
    config = FinetuneConfig(
        backbone="vgg16", weights=weights, augment=mine, lr_frozen="auto", views=3, cutmix=1.0, target="recall=0.9"
    ).resolved()
    mine.unlink()
    options = json.loads(json.dumps(config.as_options()))
    assert FinetuneConfig.from_options(options, tmp_path) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert None not in {config.epochs_frozen, config.epochs_tune, config.unfreeze, config.lr_tune}
    with pytest.raises(DataError, match="another version"):
        FinetuneConfig.from_options({**options, "colour": "red"}, tmp_path)


def test_random_weights_change_what_is_usual() -> None:
    scratch, learned = FinetuneConfig(backbone="cnn").resolved(), FinetuneConfig(backbone="vgg16").resolved()
    assert (scratch.weights, scratch.epochs_frozen, scratch.unfreeze, scratch.lr_tune) == ("none", 0, "all", 1e-3)
    assert (learned.weights, learned.epochs_frozen, learned.unfreeze, learned.lr_tune) == (
        "imagenet", 20, "block5", 1e-5,
    )  # fmt: skip


def test_the_command_has_every_option_with_the_same_default() -> None:
    given = inspect.signature(finetune_classifier).parameters
    for field in fields(FinetuneConfig):
        assert field.name in given, field.name
        if field.name not in {"lr_frozen", "lr_tune"}:  # typed as text, so that they can be auto
            assert given[field.name].default == field.default, field.name
    assert all(name in finetune_module._BACKBONES for name in BACKBONES)


@pytest.mark.parametrize(
    ("backbone", "weights", "noted"),
    [("vgg16", "imagenet", "imagenet"), ("vgg16", "none", "none"), ("cnn", "imagenet", "none"),
     ("vgg16", Path("a.h5"), "file"), ("cnn", Path("a.h5"), "file")],
)  # fmt: skip
def test_the_record_says_what_the_backbone_began_with(backbone: str, weights: Any, noted: str) -> None:
    config = FinetuneConfig(backbone=backbone, weights=weights)
    assert config.record().weights == config.resolved().record().weights == noted


def test_what_starts_from_random_weights_is_not_standardized_by_what_they_give() -> None:
    assert FinetuneConfig(backbone="vgg16").resolved().record().normalize
    assert not FinetuneConfig(backbone="vgg16", weights="none").resolved().record().normalize
    assert not FinetuneConfig(backbone="cnn").resolved().record().normalize
