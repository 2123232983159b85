"""Training in several processes, from the command's side too; here without a GPU, so they speak through gloo."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lensmith.core.child import python_command
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.history import read_history
from lensmith.detect.several import FOLDER
from lensmith.detect.view import VIEW_NAME, build_view
from tests.helpers import make_yolo_dataset

# Trains a run as `cv train-yolo --json` does, but lets Ultralytics take the CPU for two GPUs.
_COMMAND = """
import sys
from pathlib import Path
from lensmith.core.isolation import isolate_ultralytics
isolate_ultralytics()
import ultralytics.engine.trainer as library
from lensmith.cli.train_yolo import epoch_lines
from lensmith.core.manifest import RunManifest
from lensmith.detect.config import YoloConfig
from lensmith.detect.job import learn
from lensmith.detect.progress import listening
from lensmith.detect.tracking import tracked
from lensmith.detect.view import VIEW_NAME, read_view
from ultralytics.utils import dist

class Enough(Exception):
    pass

def enough(row):
    if row.epoch == most:
        raise Enough

without_gpu = '''
import torch
import torch.distributed as dist
import ultralytics.engine.trainer as library
from ultralytics.models.yolo.detect import DetectionTrainer

def setup(self):
    self.device = torch.device("cpu")
    dist.init_process_group("gloo", rank=library.RANK, world_size=self.world_size)

def two(self, *arguments, **named):
    begin(self, *arguments, **named)
    self.world_size, self.ddp = 2, False

def prepare(self, batch):
    if self.args.batch == 4 and library.RANK == 1:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 MiB")
    return ready(self, batch)

begin, parallel = library.BaseTrainer.__init__, torch.nn.parallel.DistributedDataParallel
ready, DetectionTrainer.preprocess_batch = DetectionTrainer.preprocess_batch, prepare
library.BaseTrainer._setup_ddp, library.BaseTrainer.__init__ = setup, two
torch.nn.parallel.DistributedDataParallel = lambda model, device_ids, **named: parallel(model, **named)
'''
begin, command_of = library.BaseTrainer.__init__, dist.generate_ddp_command

def two(self, *arguments, **named):
    begin(self, *arguments, **named)
    self.world_size, self.ddp = 2, True

def command_without_gpu(trainer):
    command, file = command_of(trainer)
    text = Path(file).read_text()
    Path(file).write_text(text.replace("    trainer = state", f"    exec({without_gpu!r})\\n    trainer = state"))
    return command, file

library.BaseTrainer.__init__, dist.generate_ddp_command = two, command_without_gpu
run, batch, epochs, most = Path(sys.argv[1]), *map(int, sys.argv[2:])
config = YoloConfig(model="yolov8n", imgsz=64, batch=batch, epochs=epochs, device="cpu", balance="resample", time=300.0,
                    freeze=2, unfreeze_after=1)
manifest = RunManifest(command="train-yolo", seed=0, device="cpu",
                       options=config.model_dump(mode="json") | {"start_from": None})
manifest.save(run)
with epoch_lines(True), listening(enough), tracked(run, manifest) as tracking:
    learn(run, manifest, read_view(run / VIEW_NAME), tracking)
"""


def _train(run: Path, *, batch: int, epochs: int, most: int) -> subprocess.CompletedProcess[str]:
    run.mkdir()
    dataset = open_dataset(make_yolo_dataset(run.parent / "datasets" / "small"), Workspace(run.parent))
    build_view(dataset, run / VIEW_NAME, seed=0)
    env = {**os.environ, "CV_CACHE": str(run.parent / "cache")}
    command = python_command("-c", _COMMAND, str(run), str(batch), str(epochs), str(most))
    here = run.parent / "unpacked"  # a stranger's archive, say
    here.mkdir()
    (here / "torch.py").write_text("raise SystemExit('taken from the current folder')")
    return subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.torch
@pytest.mark.slow
def test_two_processes_train_one_detector_with_as_many_pictures_as_fit(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = _train(run, batch=4, epochs=2, most=99)
    assert done.returncode == 0, done.stderr
    assert "does not suffice for 4 pictures a step: going on with 2" in done.stderr
    assert RunManifest.load(run).result["batch"] == 2
    assert done.stderr.count("epoch 1/2") == done.stderr.count("epoch 2/2") == 1  # one of them speaks
    assert done.stderr.count("from epoch 2 on all layers learn") == 1
    history = read_history(run)
    rows = [json.loads(line) for line in done.stdout.splitlines()]  # with --json
    assert [row["epoch"] for row in rows] == [row.epoch for row in history] == [1, 2]
    assert rows[1]["losses"]["box_loss"] == pytest.approx(history[1].train["box"], abs=1e-4)
    assert {path.name for path in (run / "train" / "weights").iterdir()} >= {"last.pt", "best.pt"}
    assert not (run / FOLDER).exists()


@pytest.mark.torch
@pytest.mark.slow
def test_what_a_listener_raises_ends_the_processes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = _train(run, batch=2, epochs=500, most=1)
    assert done.stderr.rstrip().endswith("Enough")
    assert 1 <= len(read_history(run)) < 100
    assert not (run / FOLDER).exists()
