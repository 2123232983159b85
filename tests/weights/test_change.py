"""A model changes its name or goes away in one step, and what refers to it stays true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lensmith.core.errors import NotFoundError, UsageError
from lensmith.core.lock import sole_use
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import open_bundle, rewrite_bundle
from lensmith.weights.change import remove_bundle, rename_bundle
from lensmith.weights.shelf import list_bundles
from tests.predict.make_bundle import make_classifier


def _run(workspace: Workspace, name: str, bundle: str, ended: datetime | None = None) -> Path:
    folder = workspace.runs / name
    folder.mkdir(parents=True)
    manifest = RunManifest(command="finetune", options={}, seed=0, device="cpu")
    manifest.result = {"bundle": bundle, "extended": [{"bundle": bundle}, {"bundle": "other"}]}
    manifest.status, manifest.ended = "done", ended or datetime.now(UTC)
    manifest.started = manifest.ended - timedelta(minutes=5)
    manifest.save(folder)
    return folder


def _named(run: Path) -> object:
    return RunManifest.load(run).result["bundle"]


def test_a_name_changes_in_folder_record_card_and_run(workspace: Workspace) -> None:
    bundle = make_classifier(workspace.weights / "pets")
    rewrite_bundle(bundle, bundle.record.model_copy(update={"run": "run-1"}))
    (bundle.folder / "notes.txt").write_text("mine")
    own = _run(workspace, "run-1", "pets")
    earlier = _run(workspace, "run-0", "pets", datetime(2020, 1, 1, tzinfo=UTC))  # its model is long gone
    done = rename_bundle("pets", "my pets", workspace)
    assert done.runs == ("run-1",)
    assert [folder.name for folder in list_bundles(workspace)] == ["my-pets"]
    renamed = open_bundle("my-pets", workspace)
    assert renamed.record.name == "my-pets"
    assert "# my-pets" in (renamed.folder / "README.md").read_text(encoding="utf-8")
    assert (renamed.folder / "notes.txt").read_text() == "mine"
    assert RunManifest.load(own).result["extended"] == [{"bundle": "my-pets"}, {"bundle": "other"}]
    assert (_named(own), _named(earlier)) == ("my-pets", "pets")


def test_a_run_at_work_is_left_alone_and_told(workspace: Workspace) -> None:
    bundle = make_classifier(workspace.weights / "pets")
    rewrite_bundle(bundle, bundle.record.model_copy(update={"run": "run-1"}))
    run = _run(workspace, "run-1", "pets")
    with sole_use(run):
        done = rename_bundle("pets", "cats", workspace)
    assert (done.runs, done.busy) == ((), ("run-1",))
    assert _named(run) == "pets"


def test_a_name_that_is_taken_or_the_same_is_refused(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "pets")
    make_classifier(workspace.weights / "cats")
    for new in ("cats", "pets"):
        with pytest.raises(UsageError, match="name"):
            rename_bundle("pets", new, workspace)
    with pytest.raises(NotFoundError, match="dogs"):
        rename_bundle("dogs", "x", workspace)
    assert [folder.name for folder in list_bundles(workspace)] == ["cats", "pets"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("step", ["_rename_in_runs", "rewrite_bundle"])
def test_a_killed_change_of_name_leaves_a_whole_model_and_is_finished_by_the_same_call(
    workspace: Workspace, step: str
) -> None:
    make_classifier(workspace.weights / "pets")
    _kill_in(step, "change.rename_bundle('pets', 'cats', Workspace(Path(sys.argv[2])))", workspace)
    assert [folder.name for folder in list_bundles(workspace)] == ["cats"]
    assert open_bundle("cats", workspace).record.name == "pets"
    assert rename_bundle("pets", "cats", workspace).bundle.record.name == "cats"
    assert open_bundle("cats", workspace).record.name == "cats"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_removal_leaves_no_part_of_a_model(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "pets")
    _kill_in("shutil", "change.remove_bundle('pets', Workspace(Path(sys.argv[2])))", workspace)
    assert list_bundles(workspace) == []
    make_classifier(workspace.weights / "pets")  # takes away what was left
    assert {path.name for path in workspace.weights.iterdir()} == {"pets", ".locks"}


def _kill_in(step: str, call: str, workspace: Workspace) -> None:
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from lensmith.core.workspace import Workspace
        from lensmith.weights import change
        class Die:
            def __getattr__(self, name): os.kill(os.getpid(), signal.SIGKILL)
            def __call__(self, *a, **k): os.kill(os.getpid(), signal.SIGKILL)
        setattr(change, sys.argv[1], Die())
        {call}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), step, str(workspace.root)], env={**os.environ}, check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_what_is_no_model_of_the_workspace_is_not_removed(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = make_classifier(tmp_path / "elsewhere").folder
    (workspace.weights / "photos").mkdir(parents=True)
    (workspace.weights / "photos" / "holiday.jpg").write_bytes(b"x")
    (workspace.weights / "link").symlink_to(elsewhere)
    for name in ("photos", "link", str(elsewhere), ".", ".."):
        with pytest.raises(UsageError):
            remove_bundle(name, workspace)
    assert (workspace.weights / "photos" / "holiday.jpg").is_file()
    assert (elsewhere / "bundle.json").is_file()


def test_a_damaged_model_can_be_removed(workspace: Workspace) -> None:
    bundle = make_classifier(workspace.weights / "pets")
    (bundle.folder / "bundle.json").write_text("{")
    remove_bundle("pets", workspace)
    assert list_bundles(workspace) == []
    assert {path.name for path in workspace.weights.iterdir()} == {".locks"}
