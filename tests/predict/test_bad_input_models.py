"""Models that are not what they were, or that nothing here can run, through the real commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import BUNDLE_NAME, GOLDEN_NAME, PORTABLE_NAME
from tests.helpers import make_picture, run_cv

from .make_bundle import make_classifier, make_detector

_HIDE = """
import importlib.machinery, os
_find = importlib.machinery.PathFinder.find_spec
_hidden = set(os.environ["HIDDEN_LIBRARIES"].split(","))

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in _hidden else _find(name, path, target)

importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)
"""


@pytest.fixture
def without(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """An environment in which libraries are as good as not installed."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HIDE)
    places = os.pathsep.join(filter(None, [str(hook), os.environ.get("PYTHONPATH")]))
    return lambda *names: {"PYTHONPATH": places, "HIDDEN_LIBRARIES": ",".join(names)}


def _record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        path = folder / BUNDLE_NAME
        record = json.loads(path.read_text(encoding="utf-8"))
        change(record)
        path.write_text(json.dumps(record), encoding="utf-8")

    return apply


def _flip(name: str) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return apply


def _linked(folder: Path) -> None:
    moved = folder.parent / "elsewhere.onnx"
    (folder / PORTABLE_NAME).rename(moved)
    (folder / PORTABLE_NAME).symlink_to(moved)


def _text(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / BUNDLE_NAME).write_text(text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(_record(lambda r: r.update(schema_version=99)), "newer Lensmith", id="newer"),
        pytest.param(_record(lambda r: r.update(schema_version="2; x")), "schema_version", id="version is no number"),
        pytest.param(_record(lambda r: r.pop("names")), "names", id="no classes"),
        pytest.param(_record(lambda r: r.update(run_this="os.system")), "run_this", id="unknown key"),
        pytest.param(_record(lambda r: r["files"].update({"../../x": "0" * 64})), "files", id="file outside"),
        pytest.param(_record(lambda r: r["files"].update({"/etc/passwd": "0" * 64})), "files", id="absolute file"),
        pytest.param(_record(lambda r: r["preprocessing"].update(width=10**9)), "width", id="huge input"),
        pytest.param(_record(lambda r: r.update(thresholds=[0.5])), "thresholds", id="a threshold too few"),
        pytest.param(_text(""), "bundle.json", id="empty record"),
        pytest.param(_text("{" * 100_000), "bundle.json", id="deep record"),
        pytest.param(_text('{"schema_version": NaN}'), "bundle.json", id="no number"),
        pytest.param(_flip(PORTABLE_NAME), "changed after it was made", id="model changed"),
        pytest.param(_flip(GOLDEN_NAME), "changed after it was made", id="golden samples changed"),
        pytest.param(lambda folder: (folder / PORTABLE_NAME).unlink(), "missing", id="model missing"),
        pytest.param(_linked, "missing", id="model is a link"),
    ],
)
def test_a_model_that_is_not_what_it_was(
    change: Callable[[Path], object], says: str, tmp_path: Path, workspace: Workspace
) -> None:
    from lensmith.core.errors import DataError
    from lensmith.weights.bundle import open_bundle

    make_detector(workspace.weights / "cells")
    change(workspace.weights / "cells")
    with pytest.raises(DataError) as caught:
        open_bundle("cells", workspace)
    assert says in str(caught.value)
    assert str(workspace.weights) in (caught.value.where or "")


@pytest.mark.parametrize("command", [["predict", "shot.png"], ["live", "--source", "shot.png", "--no-window"]])
def test_a_newer_model_is_refused_by_each_command(command: list[str], workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    _record(lambda record: record.update(schema_version=99))(workspace.weights / "cells")
    make_picture(workspace.root / "shot.png")
    done = run_cv(*command, "--weights", "cells", cwd=workspace.root)
    assert done.returncode == 5, done.stderr
    assert "newer Lensmith" in done.stderr
    assert "99" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "hidden", "extra"),
    [
        pytest.param([], ["onnxruntime", "openvino", "ultralytics"], "run", id="auto"),
        pytest.param(["--engine", "onnxruntime"], ["onnxruntime"], "run", id="onnxruntime"),
        pytest.param(["--engine", "openvino"], ["openvino"], "openvino", id="openvino"),
    ],
)
def test_without_its_engine_the_install_line_is_told(
    options: list[str], hidden: list[str], extra: str, without: Callable[..., dict[str, str]], workspace: Workspace
) -> None:
    make_detector(workspace.weights / "cells")
    make_picture(workspace.root / "shot.png")
    done = run_cv("predict", "shot.png", "--weights", "cells", *options, cwd=workspace.root, env=without(*hidden))
    assert done.returncode == 1, done.stderr
    assert "installed here" in done.stderr
    line = done.stderr.partition("next:")[2]
    assert "install" in line
    assert f"[{extra}]" in line
    assert "Traceback" not in done.stderr


def test_auto_takes_what_is_there(without: Callable[..., dict[str, str]], workspace: Workspace) -> None:
    """Nothing but ONNX Runtime, as the light installation has it."""
    make_classifier(workspace.weights / "tint")
    make_picture(workspace.root / "shot.png")
    hidden = without("openvino", "ultralytics", "torch", "keras", "tensorflow")
    done = run_cv("predict", "shot.png", "--weights", "tint", "--json", cwd=workspace.root, env=hidden)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["source"] == "shot.png"
    assert "onnxruntime" in done.stderr
