"""The light runtime: predicting, live and the list of models with one engine installed and no framework at all.

What is not a dependency of `lensmith` or of the one extra cannot be imported in the child process that runs the real
commands, as if it were not installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lensmith.core.workspace import Workspace
from tests.helpers import make_picture

from .make_bundle import make_classifier, make_detector
from .test_sources import make_video

_CHILD = """
import json, sys
from importlib import metadata
from packaging.requirements import Requirement

extra, commands = sys.argv[1], json.loads(sys.argv[2])

def closure(name, extras, seen):
    for text in metadata.requires(name) or ():
        wanted = Requirement(text)
        if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in ("", *extras)):
            continue
        key = wanted.name.lower().replace("_", "-")
        if key not in seen:
            seen.add(key)
            closure(key, wanted.extras, seen)
    return seen

there = closure("lensmith", [extra], {"lensmith"})
owners = {module: {name.lower().replace("_", "-") for name in names}
          for module, names in metadata.packages_distributions().items()}

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if "." not in name and name in owners and not owners[name] & there:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in [one for one in sys.modules if one.split(".")[0] in owners and not owners[one.split(".")[0]] & there]:
    del sys.modules[name]
before = set(sys.modules)
sys.meta_path.insert(0, NotInstalled())

import importlib.util
found = importlib.util.find_spec
def find_spec(name, package=None):
    try:
        return found(name, package)
    except ModuleNotFoundError:
        return None
importlib.util.find_spec = find_spec

from lensmith.cli.__main__ import main
for command in commands:
    sys.argv = ["cv", *command]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{command}: {end.code}")
strange = sorted({one.split(".")[0] for one in set(sys.modules) - before
                  if one.split(".")[0] in owners and not owners[one.split(".")[0]] & there})
sys.exit(f"imported: {strange}" if strange else 0)
"""


def _run(extra: str, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _CHILD, extra, json.dumps(commands)], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("extra", "engine"), [("run", "onnxruntime"), ("openvino", "openvino")])
def test_models_run_with_one_engine_and_no_framework(
    extra: str, engine: str, workspace: Workspace, tmp_path: Path
) -> None:
    make_detector(workspace.weights / "cells")
    make_classifier(workspace.weights / "tint")
    picture = str(make_picture(tmp_path / "a.png"))
    video = str(make_video(tmp_path / "v.mp4", frames=3))
    done = _run(
        extra,
        ["predict", picture, "--weights", "cells", "--save"],
        ["predict", video, "--weights", "tint", "--json"],
        ["predict", picture, "--weights", "cells", "--classifier", "tint", "--json"],
        ["live", "--source", video, "--weights", "tint", "--no-window", "--record", str(tmp_path / "r.mp4")],
        ["weights", "list"],
        ["weights", "show", "cells"],
    )
    assert done.returncode == 0, done.stderr
    manifest = next(workspace.root.glob("runs/predict-*/run.json"))
    assert json.loads(manifest.read_text())["options"]["engine"] == engine
    assert sum(line.startswith("{") for line in done.stdout.splitlines()) >= 4


def test_without_any_engine_the_line_that_installs_one_is_shown(workspace: Workspace, tmp_path: Path) -> None:
    make_detector(workspace.weights / "cells")
    done = _run("none", ["predict", str(make_picture(tmp_path / "a.png")), "--weights", "cells"])
    assert done.returncode == 1
    assert "[run]" in done.stderr
    assert "[openvino]" in done.stderr
