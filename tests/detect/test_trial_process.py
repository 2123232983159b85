"""A trial that cannot be done is told as such, and costs no more than itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core.errors import DiskFullError
from lensmith.detect.trial_process import LOG_NAME, TrialFailedError, run_trial


def test_what_went_wrong_in_a_trial_comes_back(tmp_path: Path) -> None:
    with pytest.raises(TrialFailedError, match="holds no run") as error:
        run_trial(tmp_path, lambda _epoch, _score: True)
    assert error.value.where == str(tmp_path)
    assert (tmp_path / LOG_NAME).is_file()


def test_a_trial_that_dies_without_a_word_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TrialFailedError, match="killed by signal 9") as error:
        run_trial(tmp_path, lambda _epoch, _score: True)
    assert error.value.where == str(tmp_path / LOG_NAME)


def test_a_full_disk_is_no_fault_of_one_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import errno\n"
        "from lensmith.core.manifest import RunManifest\n"
        "def load(run):\n"
        "    raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "RunManifest.load = load\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DiskFullError):
        run_trial(tmp_path, lambda _epoch, _score: True)
