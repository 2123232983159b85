"""How long `cv runs` takes to list a thousand runs: from the index, without one, and by reading every run.json.

Prints medians of ten rounds. Runs nothing but reads; the folder it makes is removed.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.runs import INDEX_NAME, list_runs
from lensmith.core.workspace import Workspace

RUNS, ROUNDS = 1000, 10


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        for number in range(RUNS):
            folder = workspace.runs / f"train-yolo-chess-{number:04d}"
            folder.mkdir(parents=True)
            manifest = RunManifest(
                command="train-yolo", options={"model": "yolo26n", "epochs": 100}, seed=0, device="cpu", status="done",
                dataset=DatasetRef(name="chess", fingerprint="0" * 64),
                result={"metrics": {"test": {"mAP50": 0.5}}, "per_class": {str(n): [0.5, 0.4] for n in range(13)}},
            )  # fmt: skip
            (folder / "run.json").write_text(manifest.model_dump_json(indent=2))
        index = workspace.runs / INDEX_NAME

        def without_index() -> None:
            index.unlink(missing_ok=True)
            list_runs(workspace)

        def reading_all() -> None:
            for path in workspace.runs.glob("*/run.json"):
                json.loads(path.read_bytes())

        base = _median(reading_all)
        rows = {
            "json.loads of every run.json": base,
            "cv runs, first time (makes the index)": _median(without_index),
            "cv runs, from the index": _median(lambda: list_runs(workspace)),
        }
    print(f"{RUNS} runs{'':36}  ms   ratio")
    for name, seconds in rows.items():
        print(f"{name:42} {1000 * seconds:5.0f}  {seconds / base:5.2f}")


def _median(work: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


if __name__ == "__main__":
    main()
