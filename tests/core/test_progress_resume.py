"""After Ctrl-C one command is named that goes on."""

from __future__ import annotations

import pytest

from lensmith.core import progress
from lensmith.core.progress import part_of, say_interrupted, say_resume


def test_of_a_run_within_a_run_only_the_larger_one_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_told_to_resume", [])
    with pytest.raises(KeyboardInterrupt), part_of("tune-1"):
        say_resume("train-1")
        raise KeyboardInterrupt
    say_resume("tune-1")
    say_interrupted()
    assert capsys.readouterr().err == "interrupted; go on with: cv resume tune-1\n"
