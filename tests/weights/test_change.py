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
from lensmith.weights.bundle import Bundle, Export, copy_model, open_bundle, rewrite_bundle, write_bundle
from lensmith.weights.change import remove_bundle, rename_bundle
from lensmith.weights.known import WRITTEN, marks_of
from lensmith.weights.shelf import bundle_lock, list_bundles
from tests.helpers import cv_path
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


def _export(folder: Path, source: Bundle) -> Bundle:
    """An export of the model, as `cv export` writes it."""
    exported = Export(format="onnx", precision="fp32", source=source.name, source_sha256="0" * 64)
    record = source.record.model_copy(
        update={"name": folder.name, "origin": "exported", "exported": exported, "files": {}}
    )

    def fill(place: Path) -> None:
        copy_model(source.folder / "model.onnx", place, "model.onnx")

    return write_bundle(folder, record, fill, golden=source.golden())


def test_its_exports_name_it_by_its_new_name_and_those_of_another_model_do_not(workspace: Workspace) -> None:
    bundle = make_classifier(workspace.weights / "pets")
    own = _export(workspace.weights / "pets-onnx-fp16", bundle)
    other = make_classifier(workspace.weights.parent / "elsewhere" / "pets", golden_shift=0.01)
    _export(workspace.weights / "earlier", other)
    assert marks_of(own.folder) == {WRITTEN}
    done = rename_bundle("pets", "cats", workspace)
    assert done.exports == ("pets-onnx-fp16",)
    found = {name: open_bundle(name, workspace).record.exported for name in ("pets-onnx-fp16", "earlier")}
    assert {name: one and one.source for name, one in found.items()} == {"pets-onnx-fp16": "cats", "earlier": "pets"}
    assert "from the model 'cats'" in (own.folder / "README.md").read_text(encoding="utf-8")
    for folder in (own.folder, done.bundle.folder):
        assert marks_of(folder) == {WRITTEN}, "it is as well known as before"


def test_two_changes_of_one_name_at_once_are_one_and_a_plain_error(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "pets")
    with bundle_lock(workspace, "pets"):
        waiting = [
            subprocess.Popen(
                [cv_path(), "weights", "rename", "pets", new, "--workspace", str(workspace.root)],
                stderr=subprocess.PIPE, text=True,
            )
            for new in ("cats", "dogs")
        ]  # fmt: skip
        for process in waiting:
            assert process.stderr is not None
            assert "waiting" in process.stderr.readline()
    said = {process.communicate(timeout=60)[1].strip().splitlines()[-1]: process.returncode for process in waiting}
    assert sorted(said.values()) == [0, 3], said
    assert len(list_bundles(workspace)) == 1


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
