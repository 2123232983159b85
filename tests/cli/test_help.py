"""`--help` is instant and complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lensmith.cli.app import app
from tests.helpers import run_cv

HEAVY = {
    "torch", "torchvision", "tensorflow", "keras", "ultralytics", "albumentations", "matplotlib", "roboflow",
    "sklearn", "scipy", "onnx", "onnxruntime", "cv2", "numpy",
}  # fmt: skip
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def _modules_after(arguments: list[str]) -> set[str]:
    """Top-level modules loaded once `cv` has answered."""
    code = f"""
import json, sys
from lensmith.cli import app
sys.argv = ["cv", *{arguments!r}]
try:
    app.main()
except SystemExit as end:
    assert end.code == 0, end.code
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    arguments = [command, "--help"] if command else ["--help"]
    assert not _modules_after(arguments) & HEAVY


def test_the_given_commands_are_there() -> None:
    given = {"pull-dataset", "train-yolo", "finetune", "predict", "live", "doctor", "demo", "weights"}
    assert given <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_summary_an_example_and_help_for_each_option(command: str) -> None:
    described = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    text = described.help or ""
    assert text.splitlines()[0].endswith(".")
    assert f"Example: cv {command}" in text
    for parameter in described.params:
        assert getattr(parameter, "help", None), f"{command}: {parameter.name} has no help"


def test_a_typo_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    done = run_cv("train-yol", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert "train-yolo" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["weights", "nothing"], 3),
        (["weights", "--workspace", "/no/such/folder"], 3),
        (["weights", "--no-such-option"], 2),
        (["train-yolo"], 2),
        (["train-yolo", "nothing"], 3),
        (["finetune", "nothing"], 3),
        (["predict", "nothing.jpg", "--weights", "nothing"], 3),
    ],
)
def test_a_mistake_is_one_message_and_an_exit_code(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = run_cv(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) <= 6


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    for arguments in (["--debug", "weights", "nothing"], ["weights", "nothing", "--debug"]):
        done = run_cv(*arguments, cwd=tmp_path)
        assert done.returncode == 3
        assert "Traceback" in done.stderr


def test_the_command_reference_is_current(tmp_path: Path) -> None:
    typer_program = Path(sys.executable).with_name("typer")
    written = tmp_path / "commands.md"
    subprocess.run(
        [typer_program, "lensmith.cli.app", "utils", "docs", "--name", "cv", "--title", "The commands",
         "--output", written],
        check=True, capture_output=True, env={**os.environ, "COLUMNS": "120", "TERM": "dumb"},
    )  # fmt: skip
    kept = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
    assert kept.read_text(encoding="utf-8") == written.read_text(encoding="utf-8"), "run `make docs`"
