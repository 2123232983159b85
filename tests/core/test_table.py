"""The epochs of a training: a table on a terminal, a line each elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lensmith.core import progress, table
from lensmith.core.table import EpochTable, Line


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None)
    monkeypatch.setattr(table, "console", console)
    monkeypatch.setattr(progress, "console", console)
    return console


def _line(epoch: int, *, best: bool = False) -> Line:
    return Line((f"{epoch}/14", f"{1 / epoch:.3f}"), f"epoch {epoch}/14  loss {1 / epoch:.3f}", best)


def _last_picture(console: Console) -> list[str]:
    """What stands on the screen: after the last time that the cursor went up to draw anew."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rpartition("\x1b[2K")[2].splitlines()


def test_the_last_ten_and_the_best_are_shown(terminal: Console) -> None:
    shown = EpochTable(("epoch", "loss"))
    for epoch in range(1, 14):
        shown.begin(f"epoch {epoch}/14", 3)
        shown.advance()
        shown.add(_line(epoch, best=epoch <= 2))
    shown.close()
    lines = [line.rstrip() for line in _last_picture(terminal) if line.strip(" \x1b[?25h")]
    assert lines[0].split() == ["epoch", "loss"]
    assert [line.split()[0] for line in lines[1:]] == [*(f"{n}/14" for n in range(4, 14)), "2/14"]
    assert [line.endswith("best") for line in lines[1:]] == [False] * 10 + [True]


def test_what_is_said_meanwhile_stands_above(terminal: Console) -> None:
    shown = EpochTable(("epoch", "loss"))
    shown.begin("epoch 1/14", 3)
    progress.warn("half the pictures")
    shown.say_now("validating")
    shown.add(_line(1, best=True))
    shown.close()
    assert isinstance(terminal.file, io.StringIO)
    text = terminal.file.getvalue()
    assert text.index("half the pictures") < text.rindex("epoch   loss")
    assert "0/3" in text


def test_without_a_terminal_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = EpochTable(("epoch", "loss"))
    shown.begin("epoch 1/14", 3)
    shown.advance()
    shown.add(_line(1, best=True))
    shown.add(_line(2))
    shown.close()
    assert capsys.readouterr().err.splitlines() == ["epoch 1/14  loss 1.000  best so far", "epoch 2/14  loss 0.500"]
