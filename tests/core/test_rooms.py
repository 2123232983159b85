"""The imports between the rooms go one way, as CONTRIBUTING.md draws them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "core": set(),
    "report": {"core"},
    "datasets": {"report", "core"},
    "weights": {"core"},
    "predict": {"weights", "core"},
    "detect": {"datasets", "weights", "predict", "report", "core"},
    "classify": {"datasets", "weights", "predict", "report", "core"},
    "cli": {"core", "report", "datasets", "weights", "predict", "detect", "classify"},
}


def _imported_rooms(path: Path, room: str) -> set[str]:
    depth = len(path.relative_to(ROOT).parts)  # 2 for core/files.py, 3 for predict/engines/onnx.py
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {name.split(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("lensmith."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lensmith.")}
    return found - {room}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_import_runs_back_up(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        upward = _imported_rooms(path, room) - MAY_IMPORT[room]
        assert not upward, f"{path.relative_to(ROOT)} imports {', '.join(sorted(upward))}"
