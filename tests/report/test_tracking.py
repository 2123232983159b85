"""Curves for TensorBoard and MLflow, read back with their own programs."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from lensmith.report.tracking import Trackers, open_trackers

ROWS: list[Mapping[str, float]] = [
    {"loss": 0.9, "val_loss": 0.8, "val_accuracy": 0.625, "learning_rate": 1e-3},
    {"loss": 0.7, "val_loss": 0.7, "val_accuracy": 0.75, "learning_rate": 1e-3},
    {"loss": 0.5, "val_loss": 0.6, "val_accuracy": 0.875, "learning_rate": 1e-5},
]


def opened(run: Path, *, mlflow: bool = False, history: Sequence[Mapping[str, float]] = ()) -> Trackers:
    return open_trackers(run, tensorboard=not mlflow, mlflow=mlflow, params={"backbone": "vgg16"}, history=history)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "work space ü" / "runs" / "finetune-pets-20261121"
    folder.mkdir(parents=True)
    return folder


def curve(run: Path, part: str, tag: str) -> list[tuple[int, float]]:
    """The points of a curve, as TensorBoard sees them."""
    code = (
        "import sys; from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
        "found = EventAccumulator(sys.argv[1]).Reload()\n"
        "print([[e.step, round(e.value, 6)] for e in found.Scalars(sys.argv[2])])"
    )
    command = [sys.executable, "-c", "import sys; sys.modules['tensorflow'] = None\n" + code]
    done = subprocess.run(
        [*command, str(run / "tensorboard" / part), tag], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return [(step, value) for step, value in json.loads(done.stdout)]


def test_tensorboard_reads_both_curves_of_a_run_that_was_interrupted(run: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(run) as trackers:
        trackers.epoch(ROWS[0])
        trackers.epoch(ROWS[1])  # of which no state was kept: it comes again
        raise KeyboardInterrupt
    with opened(run, history=ROWS[:1]) as trackers:
        trackers.epoch(ROWS[1])
        trackers.epoch(ROWS[2])
        trackers.end({"accuracy": 0.875})
    assert curve(run, "train", "loss") == [(1, 0.9), (2, 0.7), (3, 0.5)]
    assert curve(run, "valid", "accuracy") == [(1, 0.625), (2, 0.75), (3, 0.875)]
    assert curve(run, "train", "learning_rate") == [(1, 0.001), (2, 0.001), (3, 0.00001)]
    assert curve(run, "valid", "final/accuracy") == [(3, 0.875)]


@pytest.mark.parametrize("wanted", [True, False], ids=["wanted", "not wanted"])
def test_writing_events_loads_no_framework_and_nothing_is_loaded_that_nobody_wants(run: Path, wanted: bool) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from lensmith.report.tracking import open_trackers\n"
        "wanted = sys.argv[2] == 'True'\n"
        "with open_trackers(Path(sys.argv[1]), tensorboard=wanted, mlflow=False, params={}) as trackers:\n"
        "    trackers.epoch({'loss': 1.0})\n"
        "    trackers.end({'accuracy': 1.0})\n"
        "print([m for m in ('tensorflow', 'torch', 'keras', 'mlflow', 'tensorboard') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run), str(wanted)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == ("['tensorboard']" if wanted else "[]"), done.stderr
    assert [path.name for path in run.iterdir()] == (["tensorboard"] if wanted else [])


def test_what_goes_wrong_in_a_tracker_is_a_warning(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with opened(run) as trackers:
        for file in (run / "tensorboard" / "train").iterdir():
            file.unlink()
            file.mkdir()
        trackers.epoch(ROWS[0])
        trackers.epoch(ROWS[1])
    assert capfd.readouterr().err.count("the run goes on without TensorBoard") == 1


MLFLOW = """
import json, sys
from pathlib import Path
sockets = []
sys.addaudithook(lambda event, args: sockets.append(event) if event in ("socket.connect", "socket.getaddrinfo") else 0)
from tests.report.test_tracking import ROWS, opened
run = Path(sys.argv[1])
try:
    with opened(run, mlflow=True) as trackers:
        trackers.epoch(ROWS[0])
        trackers.epoch(ROWS[1])
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///" + str(run.parent / "mlflow.db"))
def runs():
    return client.search_runs([client.get_experiment_by_name("lensmith").experiment_id])
between = [one.info.status for one in runs()]
(run / "report.html").write_text("a report")
with opened(run, mlflow=True, history=ROWS[:1]) as trackers:
    trackers.epoch(ROWS[1])
    trackers.epoch(ROWS[2])
    trackers.end({"accuracy": 0.875})
(one,) = runs()
steps = [(metric.step, metric.value) for metric in client.get_metric_history(one.info.run_id, "val_accuracy")]
other = run.parent / "other" / "runs" / "one"
other.mkdir(parents=True)
(other.parent / "mlflow.db").write_text("no database")
with opened(other, mlflow=True) as trackers:
    trackers.epoch(ROWS[0])
print(json.dumps({
    "between": between, "status": one.info.status, "name": one.info.run_name, "steps": sorted(steps),
    "final": one.data.metrics["final/accuracy"], "backbone": one.data.params["backbone"], "sockets": sockets,
    "artifacts": [file.path for file in client.list_artifacts(one.info.run_id)],
    "frameworks": [m for m in ("tensorflow", "torch", "keras") if m in sys.modules],
}))
"""


@pytest.mark.skipif(find_spec("mlflow") is None, reason="the extra 'track' is not installed")
def test_mlflow_reads_back_one_run_that_was_interrupted(run: Path) -> None:
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", MLFLOW, str(run)],
        cwd=repository, env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {
        "between": ["KILLED"], "status": "FINISHED", "name": run.name, "steps": [[1, 0.625], [2, 0.75], [3, 0.875]],
        "final": 0.875, "backbone": "vgg16", "sockets": [], "artifacts": ["report.html"], "frameworks": [],
    }  # fmt: skip
    assert "mlflow ui --backend-store-uri" in done.stderr
    assert {path.name for path in run.parent.iterdir()} == {"mlflow-artifacts", "mlflow.db", "other", run.name}
    (warning,) = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    assert "the run goes on without MLflow" in warning
    assert str(run.parent / "other/runs/mlflow.db") in warning
