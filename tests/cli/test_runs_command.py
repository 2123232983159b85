"""`cv runs` as a person calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lensmith.core.workspace import Workspace
from tests.core.test_runs import make_run
from tests.detect.test_history import write_results
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
    assert "next:\n  cv resume train-yolo-chess-0002\n" in shown.stderr
    told = json.loads(run_cv("runs", "train-yolo-chess-0001", "--json", cwd=tmp_path).stdout)
    assert told["metrics"] == {"mAP50": 0.01}
    assert told["next"] == [
        "cv predict PICTURES --weights chess-yolo26n", "cv evaluate chess --weights chess-yolo26n",
    ]  # fmt: skip

    nowhere = run_cv("resume", "nonesuch", cwd=tmp_path)
    assert (nowhere.returncode, "can be resumed: train-yolo-chess-0002\n" in nowhere.stderr) == (3, True)
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


def test_how_far_a_training_came_and_only_what_was_chosen(tmp_path: Path) -> None:
    options = {
        "model": "yolo26n", "size": None, "epochs": 100, "time": 1800.0, "patience": 50, "cache": True, "settings": {},
        "chosen": [], "start_sha256": "ab" * 32, "start_checked": "not checked",
    }  # fmt: skip
    run = make_run(Workspace(tmp_path), 1, options=options)
    write_results(run, "1,10,1,2,0.1,0.2,0.3,0.4,1.5,2.5,0.01,0.02", "2,20,1,2,0.1,0.2,0.4,0.5,1,2,0.01,0.02")
    shown = " ".join(run_cv("runs", run.name, cwd=tmp_path).stdout.replace("│", " ").split())
    assert "trained for 2 of 100 epochs (the 30 min of --time were over)" in shown
    assert "time 30 min " in shown
    assert "cache yes" in shown
    assert "no: nobody has published a checksum" in shown
    assert not {"size", "settings", "chosen", "start_sha256", "None"} & set(shown.split())
    told = json.loads(run_cv("runs", run.name, "--json", cwd=tmp_path).stdout)
    assert told["trained_for"] == "2 of 100 epochs (the 30 min of --time were over)"


def test_an_extension_that_is_not_done_has_the_figures_of_the_model_before(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    figures = {"metrics": {"test": {"mAP50": 0.5}}, "bundle": "chess", "extended": [{"after": 3}]}
    run = make_run(workspace, 1, status="interrupted", result=figures)
    make_run(workspace, 2, result={**figures, "trained": True})
    done = run_cv("runs", cwd=tmp_path)
    assert "0.500 (test)  " in done.stdout
    assert done.stdout.count("0.500 (test)†") == 1
    assert "† of the model from before --extend" in done.stderr
    shown = " ".join(run_cv("runs", run.name, cwd=tmp_path).stdout.split())
    assert "of the model from before --extend" in shown
