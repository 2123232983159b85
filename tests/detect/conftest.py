"""One real training that several tests look at: in a process of its own, which notes every contact with the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lensmith.core.workspace import Workspace
from tests.detect.odd import hashes, make_odd_dataset

_SCRIPT = """
import json, sys
touched = []
def note(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        touched.append([event, repr(arguments)])
sys.addaudithook(note)
from pathlib import Path
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.train import train_yolo
workspace = Workspace(Path(sys.argv[1]))
config = YoloConfig(
    model="yolo26n", from_scratch=True, epochs=2, imgsz=64, batch=8, device="cpu", name="odd one", force=True
)
done = train_yolo(open_dataset("odd", workspace), workspace, config)
trackers = sorted({"tensorboard", "mlflow", "wandb", "comet_ml", "clearml", "ray"} & sys.modules.keys())
told = {"touched": touched, "trackers": trackers, "run": str(done.run), "metrics": done.metrics, "split": done.split}
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Story:
    """What the training did."""

    workspace: Workspace
    run: Path
    told: dict[str, Any]
    stderr: str
    before: dict[str, str]
    env: dict[str, str]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A yolo26n, trained for two epochs on the odd dataset."""
    root = tmp_path_factory.mktemp("story") / "work späce"
    (root / "datasets").mkdir(parents=True)
    dataset = make_odd_dataset(root / "datasets" / "odd")
    before = hashes(dataset)
    env = {**os.environ, "CV_CACHE": str(root.parent / "cache"), "HOME": str(root.parent), "CV_WORKSPACE": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(root)],
        env=env, cwd=root, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return Story(Workspace(root), Path(told["run"]), told, done.stderr, before, env)
