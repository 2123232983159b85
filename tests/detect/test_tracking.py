"""The curves of a detector, whatever interrupted it and wherever its epochs were heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lensmith.core.manifest import RunManifest
from lensmith.detect.progress import EpochRow, tell
from lensmith.detect.tracking import tracked
from tests.report.test_tracking import curve

HEAD = (
    "epoch,time,train/box_loss,metrics/precision(B),metrics/recall(B),metrics/mAP50(B),metrics/mAP50-95(B),"
    "val/box_loss,lr/pg0\n"
)
HEARD = EpochRow(1, 3, {}, 0, 0, 0, 0, 0, 0, 0)  # only that it came counts: the numbers are the table's


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "train-yolo-chess"
    (folder / "train").mkdir(parents=True)
    return folder


def manifest(**options: Any) -> RunManifest:
    return RunManifest(command="train-yolo", options={"model": "yolo26n", **options}, seed=0, device="cpu", versions={})


def add_epoch(run: Path, epoch: int, loss: float | str = 1.5) -> None:
    table = run / "train" / "results.csv"
    text = table.read_text() if table.exists() else HEAD
    table.write_text(f"{text}{epoch},{epoch * 10},{loss},0.5,0.25,0.{epoch},0.{epoch}5,2.5,0.01\n")


def test_a_resumed_training_has_each_epoch_once(run: Path) -> None:
    told = manifest(tensorboard=True)
    with pytest.raises(KeyboardInterrupt), tracked(run, told) as tracking:
        tracking.begin()
        for epoch in (1, 2):
            add_epoch(run, epoch)
            tell(HEARD)
        raise KeyboardInterrupt
    table = run / "train" / "results.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:2]))  # its checkpoint was of epoch 1
    with tracked(run, told) as tracking:
        tracking.begin()
        add_epoch(run, 2, loss="nan")
        tell(HEARD)
        add_epoch(run, 3)  # as by several GPUs, whose processes nobody hears
        tracking.end({"mAP50": 0.75})
    assert curve(run, "valid", "mAP50") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert curve(run, "train", "box_loss") == [(1, 1.5), (3, 1.5)]
    assert curve(run, "train", "learning_rate") == [(1, 0.01), (2, 0.01), (3, 0.01)]
    assert curve(run, "valid", "final/mAP50") == [(3, 0.75)]


def test_nothing_is_written_that_nobody_wants_and_a_broken_table_is_a_warning(
    run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracked(run, manifest()) as tracking:
        tracking.begin()
        add_epoch(run, 1)
        tell(HEARD)
        tracking.end({"mAP50": 0.75})
    assert {path.name for path in run.iterdir()} == {"train"}
    (run / "train" / "results.csv").write_text("no table\n")
    with tracked(run, manifest(tensorboard=True)) as tracking:
        tracking.end({"mAP50": 0.75})
    assert "curves are left out" in capfd.readouterr().err
    assert curve(run, "valid", "final/mAP50") == [(0, 0.75)]
