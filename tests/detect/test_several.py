"""Training in several processes: Ultralytics' own way to start them, with our trainer, here without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.history import read_history
from lensmith.detect.view import VIEW_NAME, build_view
from tests.helpers import make_yolo_dataset

# Writes the file that Ultralytics starts the processes with, and starts two of them, which speak through gloo.
_TWO_PROCESSES = """
import subprocess, sys
from pathlib import Path
from lensmith.core.isolation import isolate_ultralytics
isolate_ultralytics()
from lensmith.core.manifest import RunManifest
from lensmith.detect.arguments import training_arguments
from lensmith.detect.config import YoloConfig
from lensmith.detect.trainer import SafeTrainer
from ultralytics.utils.dist import find_free_network_port, generate_ddp_file

run = Path(sys.argv[1])
config = YoloConfig(model="yolov8n", imgsz=64, batch=4, epochs=2, device="cpu", balance="resample", time=300.0)
options = config.model_dump(mode="json") | {"start_from": None}
manifest = RunManifest(command="train-yolo", options=options, seed=0, device="cpu")
manifest.save(run)
file = Path(generate_ddp_file(SafeTrainer(overrides=training_arguments(run, manifest) | {"verbose": False})))
without_gpu = '''
import torch
import torch.distributed as dist
import ultralytics.engine.trainer as library

def setup(self):
    self.device = torch.device("cpu")
    dist.init_process_group("gloo", rank=library.RANK, world_size=self.world_size)

begin, parallel = library.BaseTrainer.__init__, torch.nn.parallel.DistributedDataParallel

def two(self, *arguments, **named):
    begin(self, *arguments, **named)
    self.world_size, self.ddp = 2, False

library.BaseTrainer._setup_ddp, library.BaseTrainer.__init__ = setup, two
torch.nn.parallel.DistributedDataParallel = lambda model, device_ids, **named: parallel(model, **named)
'''
file.write_text(file.read_text().replace("    trainer = state", f"    exec({without_gpu!r})\\n    trainer = state"))
port = str(find_free_network_port())
command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port, str(file)]
sys.exit(subprocess.run(command).returncode)
"""


@pytest.mark.torch
@pytest.mark.slow
def test_two_processes_train_one_detector(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    dataset = open_dataset(make_yolo_dataset(tmp_path / "datasets" / "small"), Workspace(tmp_path))
    build_view(dataset, run / VIEW_NAME, seed=0)
    env = {**os.environ, "CV_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", _TWO_PROCESSES, str(run)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/2") == done.stderr.count("epoch 2/2") == 1  # one of them speaks
    assert done.stderr.count("resampled:") == 1
    assert [row.epoch for row in read_history(run)] == [1, 2]
    assert {path.name for path in (run / "train" / "weights").iterdir()} >= {"last.pt", "best.pt"}
