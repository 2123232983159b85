"""The training of a detector, killed at a random moment or at a step on the disk, then resumed to its end.

python -m tests.suites.training_kills FOLDER NUMBER...

Prints for each case a line of JSON: its number, what it was, and the promises that were broken. All cases are forks of
this one process, so that torch is loaded once. A moment is a share of the processor time that an undisturbed training
takes, which the system itself ends with a signal: so it does not depend on what else the machine does.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith.core.isolation import isolate_albumentations, isolate_ultralytics
from lensmith.core.manifest import MANIFEST_NAME, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.checkpoints import newest_checkpoint
from lensmith.detect.config import YoloConfig
from lensmith.detect.train import resume_yolo, train_yolo
from lensmith.weights.bundle import open_bundle
from tests.helpers import make_yolo_dataset

MOMENTS = 20
STEPS = 12
_EPOCHS = 3
_CONFIG = YoloConfig(model="yolov8n", from_scratch=True, epochs=_EPOCHS, imgsz=64, batch=4, device="cpu", name="model",
                     tiles="off", force=True, settings={"nbs": 4})  # fmt: skip
_CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


@dataclass(frozen=True)
class Whole:
    """What an undisturbed training takes: seconds of the processor, steps on the disk; and what it ends with.

    That is its learning rates, and how often the optimizer and the average of the weights have moved: with a nominal
    batch as large as the real one at each batch, so that a resume which lost the state of either has moved them less.
    """

    seconds: float
    steps: int
    rates: list[str]
    moved: list[int]


def main() -> None:
    """Run the cases that were asked for."""
    root = Path(sys.argv[1]).resolve()
    os.environ["CV_CACHE"] = str(root / "cache")
    torch = _load_libraries()
    torch.set_num_threads(1)
    workspace = _workspace(root / "whole")
    ended = _in_fork(lambda: _train(workspace), count=workspace.root)
    if "value" not in ended:
        raise SystemExit(f"an undisturbed training failed: {ended}")
    run = _run_of(workspace)
    moved = _in_fork(lambda: _moved(run)).get("value", []) if run else []
    if len(set(moved)) != 1 or moved[0] < _EPOCHS:
        raise SystemExit(f"an undisturbed training moved its optimizer and average {moved} times")
    whole = Whole(ended["seconds"], ended["steps"], _rows(run)[1], moved)
    for number in map(int, sys.argv[2:]):
        label, broken = _case(number, root / f"case-{number}", whole)
        print(json.dumps({"number": number, "label": label, "broken": broken}), flush=True)


def _load_libraries() -> Any:
    """All that a training loads on its way, so that a fork does not: half of its time, and nothing to interrupt."""
    isolate_ultralytics()
    isolate_albumentations()
    for name in ("albumentations", "matplotlib.pyplot", "onnx", "onnxruntime", "onnxslim", "scipy.stats", "sympy",
                 "thop", "torch._dynamo", "torch.onnx", "torchvision", "ultralytics.data.build",
                 "lensmith.detect.report", "lensmith.detect.trainer"):  # fmt: skip
        importlib.import_module(name)
    return sys.modules["torch"]


def _case(number: int, folder: Path, whole: Whole) -> tuple[str, list[str]]:
    workspace = _workspace(folder)
    before = _contents(workspace.datasets)
    if number < MOMENTS:
        share = random.Random(number).random()
        label = f"killed after {share:.0%} of the time"
        ended = _in_fork(lambda: _train(workspace), seconds=max(share * whole.seconds, 0.01))
    else:
        step = max(1, round((number - MOMENTS + 0.5) / STEPS * whole.steps))
        label = f"killed at step {step} of {whole.steps}"
        ended = _in_fork(lambda: _train(workspace), count=workspace.root, stop=step)
    broken = [] if "died" in ended else [f"it was not killed: {ended}"]
    run = _run_of(workspace)
    if run is None or not (run / MANIFEST_NAME).is_file():
        again = _in_fork(lambda: _train(workspace))  # nothing had begun
        run = max(workspace.runs.iterdir())
        label += ", before anything had begun"
    else:
        done, _ = _rows(run)
        stood = _in_fork(lambda: getattr(newest_checkpoint(run / "train" / "weights"), "epoch", 0))
        label += f", {done[-1] if done else 0} epochs done, going on after {stood.get('value', stood)}"
        if "value" not in stood or (done[-1] if done else 0) - stood["value"] > 1:
            broken.append("more than one epoch is lost")
        again = _in_fork(lambda: resume_yolo(run, workspace) and None)
        if again.get("refused") == "UsageError" and RunManifest.load(run).status == "done":
            again = {"value": None}  # it was killed after its end
    if "value" not in again:
        return label, [*broken, f"it did not go on: {again}"]
    if _contents(workspace.datasets) != before:
        broken.append("the dataset was changed")
    return label, broken + _in_fork(lambda: _wrong(run, workspace, whole)).get("value", ["no state"])


def _wrong(run: Path, workspace: Workspace, whole: Whole) -> list[str]:
    """What is wrong with a run that is said to be finished."""
    wrong = []
    epochs, rates = _rows(run)
    if epochs != list(range(1, _EPOCHS + 1)):
        wrong.append(f"results.csv has epochs {epochs}")
    if rates != whole.rates:
        wrong.append(f"the learning rate was {rates}, not {whole.rates}")
    if (moved := _moved(run)) != whole.moved:
        wrong.append(f"optimizer and average have moved {moved} times, not {whole.moved}")
    if (status := RunManifest.load(run).status) != "done":
        wrong.append(f"the run is {status}")
    if open_bundle("model", workspace).record.run != run.name:
        wrong.append("the bundle is of another run")
    wrong += [f"left behind: {path.name}" for path in workspace.weights.iterdir() if path.name != "model"]
    wrong += [f"left behind: {name}" for name in ("data", "export") if (run / name).exists()]
    kept = {path.name for path in (run / "train" / "weights").iterdir()}
    return wrong if kept == {"last.pt", "best.pt"} else [*wrong, f"weights holds {sorted(kept)}"]


def _moved(run: Path) -> list[int]:
    """How often each parameter's optimizer state has moved, each number once, and how often the average has."""
    from ultralytics.nn.tasks import torch_safe_load

    checkpoint, _ = torch_safe_load(run / "train" / "weights" / "last.pt")
    steps = {int(state["step"]) for state in checkpoint["optimizer"]["state"].values()}
    return [*sorted(steps), int(checkpoint["updates"])]


def _workspace(root: Path) -> Workspace:
    root.mkdir(parents=True)
    make_yolo_dataset(root / "datasets" / "small")
    return Workspace(root)


def _train(workspace: Workspace) -> None:
    train_yolo(open_dataset("small", workspace), workspace, _CONFIG)


def _run_of(workspace: Workspace) -> Path | None:
    runs = [path for path in workspace.runs.iterdir() if path.is_dir()] if workspace.runs.is_dir() else []
    return runs[0] if runs else None


def _rows(run: Path | None) -> tuple[list[int], list[str]]:
    """Epochs and learning rates of the whole rows of results.csv."""
    path = run / "train" / "results.csv" if run else None
    if path is None or not path.is_file():
        return [], []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    return [int(row["epoch"]) for row in rows], [row["lr/pg0"] for row in rows]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _in_fork(
    action: Callable[[], Any], *, seconds: float = 0, count: Path | None = None, stop: int = 0
) -> dict[str, Any]:
    """Run something in a process of its own: its value, what it took, its error, or that it was killed.

    Args:
        action: What to run.
        seconds: The system kills it after so much processor time; 0 lets it live.
        count: Count the steps that change what is below this folder.
        stop: Kill it at this one.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(2, 1)
        steps = _count_steps(count, stop) if count else [0]
        if seconds:
            signal.setitimer(signal.ITIMER_PROF, seconds)  # its signal ends the process at once, as SIGKILL does
        try:
            told: dict[str, Any] = {"value": action()}
        except BaseException as error:
            told = {"refused": type(error).__name__, "error": traceback.format_exc(limit=-4)}
        usage = resource.getrusage(resource.RUSAGE_SELF)
        told |= {"steps": steps[0], "seconds": usage.ru_utime + usage.ru_stime}
        with os.fdopen(writing, "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return {"died": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else json.loads(text)


def _count_steps(root: Path, stop: int) -> list[int]:
    steps = [0]
    prefix = str(root) + os.sep

    def hook(event: str, args: tuple) -> None:
        writes = event == "open" and isinstance(args[2], int) and bool(args[2] & (os.O_WRONLY | os.O_RDWR))
        if not (writes or event in _CHANGES) or not isinstance(args[0], (str, os.PathLike)):
            return
        if os.fspath(args[0]).startswith(prefix):
            steps[0] += 1
            if steps[0] == stop:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return steps


if __name__ == "__main__":
    main()
