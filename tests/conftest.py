"""What all tests share. No test touches the person's own folders, keys or settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lensmith.core.workspace import Workspace

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("CV_CACHE", str(home / "cv-cache"))
    monkeypatch.delenv("CV_WORKSPACE", raising=False)
    monkeypatch.delenv("CV_WEIGHTS_MIRROR", raising=False)
    for name in ("ROBOFLOW_API_KEY", "ROBOFLOW_CONFIG_DIR", "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace, which is also what `cv` finds through CV_WORKSPACE."""
    root = tmp_path / "work space ü"
    root.mkdir()
    monkeypatch.setenv("CV_WORKSPACE", str(root))
    return Workspace(root)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real datasets and photographs, see `CV_TEST_DATA` in CONTRIBUTING.md."""
    folder = Path(os.environ.get("CV_TEST_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real data at {folder}; set CV_TEST_DATA to a folder that has it")
    return folder
