"""Is a detector trained with Lensmith better, and is its score true? Two real datasets, and Ultralytics' plain CLI.

Each dataset is trained on as it came ("raw") and repaired by `cv fix-dataset` ("fixed"), by `yolo detect train` and by
`cv train-yolo` with the same weights, epochs, picture size, batch and seed, everything else as it comes. On the raw
data the peer gets what a person would change: folders in `data.yaml` that are there. All four models are then measured
by one evaluator, that of `cv evaluate`, on

- "as given": the test pictures of the dataset as it came, of which many show what was trained on;
- "clean": test pictures that no picture of any training or validation split gives away, the same for all four;
- "fixed": the test pictures of the repaired dataset, for the two that were trained on it.

Intervals are 95% by the bootstrap over pictures; what the random numbers of a training change is not in them, and that
is what further `--seeds` are for. What a dataset's own split flatters is the "as given" column of a raw
model beside its "clean" column, and beside what the same recipe earns on the grouped split of the fixed data.

    python benchmarks/detect_real.py --work FOLDER

Takes an hour or two on two cores; what stands in FOLDER from before is not trained again. `--score` only measures.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml
from detect_real_scores import Trial, print_table

from lensmith.core.isolation import isolate_ultralytics
from lensmith.core.workspace import Workspace
from lensmith.datasets.fix import FixConfig, fix_dataset

_REPOSITORY = Path(__file__).resolve().parent.parent
_DATA = Path(os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared" / "data"))
_DATASETS = ("chess", "waste")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for all that is made")
    parser.add_argument("--weights", type=Path, default=_DATA / "weights" / "yolov8n-coco.pt")
    parser.add_argument("--only", choices=_DATASETS)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each trains all four once more")
    parser.add_argument("--score", action="store_true", help="measure what is trained already")
    given = parser.parse_args()
    work = given.work.resolve()
    os.environ["CV_CACHE"] = str(work / "cache")
    isolate_ultralytics()  # for the peer too: it shall send nothing
    workspace = Workspace(work / "ws")
    for name in (given.only,) if given.only else _DATASETS:
        _prepare(name, workspace)
        whom = itertools.product(given.seeds, ("raw", "fixed"), ("peer", "ours"))
        trials = [Trial(who, name, data, work, seed) for seed, data, who in whom]
        if not given.score:
            for trial in trials:
                _train(trial, given)
        print_table([trial for trial in trials if trial.finished], workspace)


def _prepare(name: str, workspace: Workspace) -> None:
    """The dataset as it came and repaired, in a workspace."""
    raw = workspace.datasets / name
    if not raw.exists():
        shutil.copytree(_DATA / "detect" / f"{name}-yolo", raw)
    if not (workspace.datasets / f"{name}-fixed").exists():
        fix_dataset(name, workspace, FixConfig())


def _train(trial: Trial, given: argparse.Namespace) -> None:
    if trial.finished:
        return
    options = {"epochs": given.epochs, "imgsz": given.imgsz, "batch": 16, "seed": trial.seed, "device": "cpu"}
    if trial.who == "peer":
        data = _peer_data(trial)
        command = [
            Path(sys.executable).with_name("yolo"), "detect", "train", f"model={given.weights}", f"data={data}",
            *(f"{key}={value}" for key, value in options.items()), "plots=False",
            f"project={trial.work / 'peer' / 'runs'}", f"name={trial.name}", "exist_ok=True",
        ]  # fmt: skip
    else:
        command = [
            Path(sys.executable).with_name("cv"), "train-yolo", trial.dataset, "--name", trial.name, "--weights",
            given.weights, *(word for key, value in options.items() for word in (f"--{key}", value)),
            "--workspace", trial.work / "ws",
        ]  # fmt: skip
    started = time.monotonic()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{trial.name} failed:\n{done.stderr[-3000:]}")
    if trial.who == "peer":
        trial.done.touch()
    print(f"{trial.name}: {time.monotonic() - started:.0f} s", flush=True)


def _peer_data(trial: Trial) -> Path:
    """A copy for the peer, which writes into a dataset's folder, with paths that are there."""
    folder = trial.work / "peer" / f"{trial.about}-{trial.data}"
    if not folder.exists():
        shutil.copytree(trial.work / "ws" / "datasets" / trial.dataset, folder)
        path = folder / "data.yaml"
        content = yaml.safe_load(path.read_text())
        content["path"] = str(folder)
        for key in ("train", "val", "test"):
            content[key] = "/".join(Path(content[key].replace("\\", "/")).parts[-2:])
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "data.yaml"


if __name__ == "__main__":
    main()
