"""What the epochs tell is read from Ultralytics' own file, whatever a kill or a resume left in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core.errors import DataError
from lensmith.detect.history import RESULTS_PATH, Row, best_row, overfitting, read_history

HEAD = (
    "epoch,time,train/box_loss,train/cls_loss,metrics/precision(B),metrics/recall(B),metrics/mAP50(B),"
    "metrics/mAP50-95(B),val/box_loss,val/cls_loss,lr/pg0,lr/pg1"
)


def write_results(run: Path, *lines: str) -> Path:
    path = run / RESULTS_PATH
    path.parent.mkdir(parents=True)
    path.write_text("\n".join((HEAD, *lines)) + "\n")
    return run


def row(epoch: int, train: float, valid: float, score: float = 0.5) -> Row:
    return Row(epoch, 1.0, {"box": train}, {"box": valid}, {"mAP50-95": score})


def test_a_run_that_went_on_twice(tmp_path: Path) -> None:
    history = read_history(write_results(
        tmp_path,
        "1,10,1,2,0.1,0.2,0.3,0.4,1.5,2.5,0.01,0.02",
        "2,19,1,1,0.1,0.2,0.3,0.5,1.5,2.5,0.01,0.02",
        "2,8,0.5,1,0.1,0.2,0.3,0.6,1.5,2.5,0.005,0.02",  # killed after the line, before the checkpoint
        "3,17,0.5,1,0.1,0.2,nan,0.6,nan,2.5,0.005,0.02",
        "4,2",  # cut off by a kill
    ))  # fmt: skip
    assert [one.epoch for one in history] == [1, 2, 3]
    assert [one.seconds for one in history] == [10, 8, 9]
    assert history[1].train == {"box": 0.5, "cls": 1.0}
    assert history[1].train_loss == 1.5
    assert history[0].valid_loss == 4.0
    assert history[0].metrics == {"precision": 0.1, "recall": 0.2, "mAP50": 0.3, "mAP50-95": 0.4}
    assert history[1].learning_rate == 0.005
    best = best_row(history)
    assert best is not None
    assert best.epoch == 2  # the first of two that are equal


def test_there_need_be_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    assert best_row([]) is None
    assert overfitting([]) == []


@pytest.mark.parametrize("content", ["", "what is this\n1\n"])
def test_a_file_that_is_no_table_of_epochs(tmp_path: Path, content: str) -> None:
    path = write_results(tmp_path) / RESULTS_PATH
    path.write_text(content)
    with pytest.raises(DataError, match="no column 'epoch'"):
        read_history(tmp_path)


def course(*losses: tuple[float, float], best: int, epochs: int = 12) -> list[Row]:
    """Epochs of which the last repeat what `losses` ends with; the boxes are best in epoch `best`."""
    both = [*losses, *[losses[-1]] * (epochs - len(losses))]
    return [row(n, *pair, 0.6 if n == best else 0.5) for n, pair in enumerate(both, 1)]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        pytest.param(course((3, 2), (2, 2.3), best=1), "epoch 1, before the rise", id="rises while training falls"),
        pytest.param(course((3, 2), (2, 2.3), best=5), "its boxes are better", id="a later epoch ships"),
        pytest.param(course((3, 2), (2, 2.1), best=1), "", id="rises by less than a tenth"),
        pytest.param(course((3, 2), (4, 2.9), best=1), "", id="both rise"),
        pytest.param(course((3, 2), (2, 2.3), best=1, epochs=9), "", id="too short to tell"),
        pytest.param(course((3, 2), (2, 2.3), best=12), "", id="the last epoch is the best"),
        pytest.param(course((3, 2), (2, 2.3), best=10), "", id="one of the last epochs is the best"),
        pytest.param([Row(n, 1.0, {"box": 1}, {}, {}) for n in range(1, 13)], "", id="nothing was validated"),
    ],
)
def test_overfitting_is_said_with_what_helps(history: list[Row], said: str) -> None:
    found = " ".join(overfitting(history))
    assert said in found
    assert bool(found) == bool(said)
    assert ("What helps" in found) == bool(said)
