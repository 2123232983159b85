"""`cv runs` as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lensmith.core.workspace import Workspace
from tests.core.test_runs import make_run
from tests.helpers import run_cv


def test_runs_are_listed_and_shown(tmp_path: Path) -> None:
    assert "no run" in run_cv("runs", cwd=tmp_path).stderr
    workspace = Workspace(tmp_path)
    make_run(workspace, 1)
    make_run(workspace, 2, status="interrupted", result={"error": "[red]no\x1b[31m room\nsecond line"})
    done = run_cv("runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    head, newest, its_name, oldest, _ = done.stdout.splitlines()
    assert head.split() == ["command", "status", "dataset", "model", "score", "took", "started"]
    assert newest.split()[:4] == ["train-yolo", "interrupted", "chess", "yolo26n"]
    assert its_name.strip() == "train-yolo-chess-0002: [red]no[31m room"
    assert "mAP50 0.010 (test)" in oldest

    found = json.loads(run_cv("runs", "--json", "--sort", "mAP50", cwd=tmp_path).stdout)
    assert [run["score"] for run in found] == [0.01, None]
    assert found[0]["started"] == "2026-03-01T10:01:00Z"

    shown = run_cv("runs", "train-yolo-chess-0002", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "yolo26n" in shown.stdout
    assert "next: cv resume train-yolo-chess-0002" in shown.stderr
    told = json.loads(run_cv("runs", "train-yolo-chess-0001", "--json", cwd=tmp_path).stdout)
    assert told["metrics"] == {"mAP50": 0.01}
    assert told["next"] == [
        "cv predict PICTURES --weights chess-yolo26n", "cv evaluate chess --weights chess-yolo26n",
    ]  # fmt: skip

    missing = run_cv("runs", "train-yolo-ches-0001", cwd=tmp_path)
    assert missing.returncode == 3
    assert "train-yolo-chess-0001" in missing.stderr
    assert run_cv("runs", "--status", "gone", cwd=tmp_path).returncode == 2


def test_listing_runs_loads_nothing_heavy(tmp_path: Path) -> None:
    make_run(Workspace(tmp_path), 1)
    code = (
        "import sys; from lensmith.cli import app\n"
        "sys.argv = ['cv', 'runs', '--workspace', sys.argv[1]]\n"
        "try: app.main()\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'cv2', 'torch', 'ultralytics', 'tensorflow', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_leaked_score_is_marked_and_a_tuning_stands_above_what_it_made(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    tuning = "train-yolo-chess-0001"
    make_run(workspace, 1, command="tune")
    metrics = {"test": {"mAP50": 0.995}}
    make_run(workspace, 2, result={"metrics": metrics, "leaked": {"test": 8, "valid": 0}, "tuned_by": tuning})
    make_run(workspace, 3, result={"metrics": metrics, "leaked": {"valid": 3}})
    done = run_cv("runs", cwd=tmp_path)
    _, *lines = done.stdout.splitlines()
    assert lines[1::2] == [
        "    train-yolo-chess-0003", f"    {tuning}", f"    train-yolo-chess-0002, of {tuning}",
    ]  # fmt: skip
    assert ["0.995 (test)" in lines[0], "0.010 (test)" in lines[2], "0.995* (test)" in lines[4]] == [True] * 3
    assert lines[4].startswith("  train-yolo")
    assert done.stderr.startswith("* too good")
    best_first = run_cv("runs", "--sort", "mAP50", cwd=tmp_path).stdout.splitlines()
    assert best_first[-1].strip() == tuning

    shown = run_cv("runs", "train-yolo-chess-0002", cwd=tmp_path).stdout
    assert "8 of the pictures leak" in " ".join(shown.split())
    found = json.loads(run_cv("runs", "--json", cwd=tmp_path).stdout)
    assert [(run["leaked"], run["tuned_by"]) for run in found] == [(0, None), (8, tuning), (0, None)]
