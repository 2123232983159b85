"""What `cv doctor` says about engines: each one runs a model in a process of its own, and its answer is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.predict import health


def test_both_engines_compute_here() -> None:
    checks = {check.name: check for check in health._check_engines()}
    assert {name: checks[name].status for name in ("onnxruntime", "openvino")} == {
        "onnxruntime": "ok",
        "openvino": "ok",
    }


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("raise OSError('libmissing.so is not there')\n", "libmissing.so"),
        (
            "import numpy\n__version__ = '1.0'\n"
            "class InferenceSession:\n    def __init__(self, *given, **more): pass\n"
            "    def run(self, *given): return [numpy.array([4.0, 8.0])]\n"
            "def get_available_providers(): return []\n",
            "wrong numbers",
        ),
    ],
    ids=["that does not load", "that miscounts"],
)
def test_an_engine_that_does_not_work_is_a_problem_with_a_fix(
    library: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = health._check_engine("onnxruntime")
    assert check.status == "problem"
    assert said in check.detail
    assert check.fix is not None
    assert "--force-reinstall onnxruntime" in check.fix
