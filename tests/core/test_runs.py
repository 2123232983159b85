"""The list of runs tells what the run.json files say, whatever becomes of its index."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lensmith.core.errors import UsageError
from lensmith.core.lock import sole_use
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.runs import INDEX_NAME, choose, list_runs
from lensmith.core.workspace import Workspace

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


def make_run(workspace: Workspace, number: int, **changes: Any) -> Path:
    folder = workspace.runs / f"train-yolo-chess-{number:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = RunManifest(
        command="train-yolo", options={"model": "yolo26n"}, seed=0, device="cpu",
        dataset=DatasetRef(name="chess", fingerprint="0" * 64), versions={}, started=START + timedelta(minutes=number),
        status="done", timings={"train": 30.0, "finish": 12.5},
        result={"bundle": "chess-yolo26n", "metrics": {"valid": {"mAP50": 0.9}, "test": {"mAP50": number / 100}}},
    )  # fmt: skip
    manifest.model_copy(update=changes).save(folder)
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_list_tells_what_the_files_say_the_newest_first(workspace: Workspace) -> None:
    for number in (1, 2, 3):
        make_run(workspace, number)
    make_run(workspace, 4, command="finetune", options={"backbone": "vgg16"}, timings={}, status="failed",
             result={"error": "no room", "split": "valid", "accuracy": 0.5, "epoch": 1, "leaked": {"valid": 0}},
             ended=START + timedelta(minutes=6))  # fmt: skip
    (workspace.runs / "no run").mkdir()
    broken = workspace.runs / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    for _ in range(2):  # from the files, then from the index
        newest, third, *_, first, damaged = list_runs(workspace)
        assert (newest.model, newest.metric, newest.score, newest.split) == ("vgg16", "accuracy", 0.5, "valid")
        assert (newest.status, newest.error, newest.seconds) == ("failed", "no room", 120.0)
        assert newest.metrics == {"accuracy": 0.5}
        assert (third.dataset, third.model, third.metrics) == ("chess", "yolo26n", {"mAP50": 0.03})
        assert (third.split, third.seconds, third.bundle) == ("test", 42.5, "chess-yolo26n")
        assert first.name == "train-yolo-chess-0001"
        assert (damaged.name, damaged.status) == ("broken", "damaged")


def test_runs_are_chosen_and_sorted(workspace: Workspace) -> None:
    make_run(workspace, 5)
    make_run(workspace, 9, dataset=None)
    make_run(workspace, 7, result={}, status="interrupted", command="tune")
    runs = list_runs(workspace)
    assert [run.name[-1] for run in choose(runs, sort="mAP50")] == ["9", "5", "7"]
    assert [run.name[-1] for run in choose(runs, dataset="chess")] == ["7", "5"]
    assert [run.name[-1] for run in choose(runs, status="interrupted")] == ["7"]
    assert [run.name[-1] for run in choose(runs, command="tune")] == ["7"]
    with pytest.raises(UsageError, match="No run has a figure called 'map'") as error:
        choose(runs, sort="map")
    assert "mAP50" in str(error.value)
    with pytest.raises(UsageError, match="can be 'gone'"):
        choose(runs, status="gone")


def test_a_changed_run_is_read_again_and_a_removed_one_forgotten(workspace: Workspace) -> None:
    run = make_run(workspace, 1)
    make_run(workspace, 2)
    assert len(list_runs(workspace)) == 2
    facts = (run / "run.json").stat()
    make_run(workspace, 1, result={"metrics": {"test": {"mAP50": 0.77}}, "bundle": "chess-yolo26nX"})
    os.utime(run / "run.json", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert list_runs(workspace)[1].score == 0.77
    (run / "run.json").unlink()
    assert [entry.name[-1] for entry in list_runs(workspace)] == ["2"]
    with sqlite3.connect(workspace.runs / INDEX_NAME) as database:
        assert [name for (name,) in database.execute("SELECT name FROM runs")] == ["train-yolo-chess-0002"]


def test_the_index_is_used_and_never_the_truth(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(workspace, 1)
    expected = list_runs(workspace)
    index = workspace.runs / INDEX_NAME
    with monkeypatch.context() as patch:
        patch.setattr(RunManifest, "load", None)  # nothing is read a second time
        assert list_runs(workspace) == expected
    for damage in (b"no database", index.read_bytes()[:3000] + b"\0" * 9000, b""):
        index.write_bytes(damage)
        assert list_runs(workspace) == expected
        with monkeypatch.context() as patch:
            patch.setattr(RunManifest, "load", None)  # it was made anew
            assert list_runs(workspace) == expected
    with sqlite3.connect(index) as database:
        database.execute("PRAGMA user_version = 99")
    assert list_runs(workspace) == expected
    index.unlink()
    index.mkdir()  # cannot be opened
    assert list_runs(workspace) == expected


def test_a_run_is_running_as_long_as_a_process_is_at_work_on_it(workspace: Workspace) -> None:
    run = make_run(workspace, 1, status="running", ended=None)
    assert list_runs(workspace)[0].status == "killed"
    with sole_use(run):
        assert list_runs(workspace)[0].status == "running"
    assert list_runs(workspace)[0].status == "killed"
    hold = (
        "import sys; from pathlib import Path; from lensmith.core.manifest import RunManifest\n"
        "run = Path(sys.argv[1]); manifest = RunManifest.load(run)\n"
        "with manifest.during(run):\n print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert list_runs(workspace)[0].status == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list_runs(workspace)[0].status == "killed"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that cannot be written")
def test_a_workspace_that_may_only_be_read_is_listed(workspace: Workspace) -> None:
    run = make_run(workspace, 1, status="running")
    with sole_use(run):
        for path in (run / ".lock", run, workspace.runs):
            path.chmod(0o555)
        try:
            assert [entry.status for entry in list_runs(workspace)] == ["running"]
        finally:
            workspace.runs.chmod(0o755)
            run.chmod(0o755)
    assert not (workspace.runs / INDEX_NAME).exists()


def test_processes_that_list_at_once_all_get_the_whole_list(workspace: Workspace) -> None:
    for number in range(40):
        make_run(workspace, number)
    code = (
        "import sys; from pathlib import Path; from lensmith.core.runs import list_runs\n"
        "from lensmith.core.workspace import Workspace\n"
        "for _ in range(20):\n"
        " assert len(list_runs(Workspace(Path(sys.argv[1])))) == 40\n"
        " (Path(sys.argv[1]) / 'runs' / 'index.db').unlink(missing_ok=True)"
    )
    several = [subprocess.Popen([sys.executable, "-c", code, str(workspace.root)]) for _ in range(3)]
    assert [process.wait() for process in several] == [0, 0, 0]
