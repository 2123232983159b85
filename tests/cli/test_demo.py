"""The demo: the whole way with the real commands, interrupted and told to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers import cv_path, run_cv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_an_interrupted_demo_goes_on_where_it_was(tmp_path: Path) -> None:
    small = ["demo", "story", "--scenes", "16", "--epochs", "3"]
    process = subprocess.Popen(
        [cv_path(), *small], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    log = ""
    while "epoch 1" not in log.lower():  # the detector is being trained
        line = process.stderr.readline()
        assert line, f"the demo ended early:\n{log}"
        log += line
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the demo and the step that it runs
    log += process.communicate(timeout=120)[1]
    assert process.returncode == 130, log
    assert "Traceback" not in log
    datasets = {path: path.stat().st_mtime_ns for path in (tmp_path / "story" / "datasets").iterdir()}

    done = run_cv(*small, "--json", cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "cv resume" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in datasets} == datasets
    result = json.loads(done.stdout)
    assert Path(result["report"]).read_text(encoding="utf-8").count("<img") > 8

    again = run_cv(*small, cwd=tmp_path, timeout=300)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already there") == 3


def test_the_demo_reaches_what_it_promises(tmp_path: Path) -> None:
    done = run_cv("demo", "--json", cwd=tmp_path, timeout=1500)
    assert done.returncode == 0, done.stderr
    print(done.stderr[-600:])
    result = json.loads(done.stdout)
    assert result["detector"]["mAP50"] >= 0.80
    assert result["classifier"]["accuracy"] >= 0.97
