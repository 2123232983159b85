"""What is heard of a training: events of Ultralytics' trainer become rows."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from lensmith.detect.progress import EpochProgress, EpochRow, listening


def _trainer(**changed: Any) -> Any:
    return SimpleNamespace(**{
        "epoch": 0, "epochs": 3, "start_epoch": 0, "stop": False, "fitness": 0.25, "best_fitness": None,
        "batch_size": 4, "tloss": {"box_loss": 1.5, "cls_loss": 0.5}, "lr": {"lr/pg0": 0.01, "lr/pg1": 0.02},
        "metrics": {"metrics/mAP50(B)": 0.5, "metrics/mAP50-95(B)": 0.25, "metrics/precision(B)": 0.75},
        "device": SimpleNamespace(type="cpu", index=None), "args": SimpleNamespace(imgsz=64), "train_loader": _Loader(),
    } | changed)  # fmt: skip


class _Loader:
    dataset = (1, 2, 3)

    def __len__(self) -> int:
        return 1


def _epoch(progress: EpochProgress, trainer: Any) -> None:
    for event in ("on_train_epoch_start", "on_train_batch_end", "on_train_epoch_end", "on_fit_epoch_end"):
        progress.on(event, trainer)


def test_an_epoch_is_heard_once_and_counts_from_one(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[EpochRow] = []
    progress, trainer = EpochProgress(), _trainer()
    with listening(heard.append):
        progress.on("on_train_start", trainer)
        _epoch(progress, trainer)
        progress.on("on_fit_epoch_end", trainer)  # the library says it once more at the end
    _epoch(progress, _trainer(epoch=1))  # nobody listens any more
    (row,) = heard
    assert (row.epoch, row.epochs, row.loss, row.learning_rate) == (1, 3, 2.0, 0.01)
    assert (row.mAP50, row.mAP50_95, row.precision, row.recall) == (0.5, 0.25, 0.75, 0.0)
    told = capsys.readouterr().err
    assert "training 3 epochs on the CPU, 3 pictures at 64 px" in told
    EpochProgress().on("on_train_start", _trainer(start_epoch=2))
    assert "training 1 epoch on" in capsys.readouterr().err
    assert "epoch 1/3  loss 2.000  mAP50 0.500  mAP50-95 0.250" in told


def test_the_best_so_far_is_marked_also_when_a_training_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    progress, loader = EpochProgress(), _Loader()
    progress.on("on_train_start", _trainer(train_loader=loader, best_fitness=0.3))
    for epoch, fitness in enumerate((0.25, 0.35, 0.35)):
        _epoch(progress, _trainer(train_loader=loader, epoch=epoch, fitness=fitness))
    marked = ["best so far" in line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch")]
    assert marked == [False, True, False]


def test_no_more_time_is_left_than_there_is() -> None:
    heard: list[EpochRow] = []
    progress = EpochProgress(lambda: 0.0)
    with listening(heard.append):
        _epoch(progress, _trainer())
    assert heard[0].left_seconds == 0


def test_a_smaller_batch_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    progress, loader = EpochProgress(), _Loader()
    progress.on("on_train_start", _trainer(train_loader=loader))
    _epoch(progress, _trainer(train_loader=loader, batch_size=2))
    assert "too small for 4 pictures a step: going on with 2" in capsys.readouterr().err


def test_a_row_is_json_also_where_a_loss_is_no_number() -> None:
    row = EpochRow(3, 9, {"box_loss": math.nan}, 0.5, 0.25, 0.1, 0.2, 0.01, 1.5, 9.0)
    record = json.loads(json.dumps(row.as_record(), allow_nan=False))
    assert record["epoch"] == 3
    assert record["mAP50-95"] == 0.25
    assert record["losses"] == {"box_loss": None}
