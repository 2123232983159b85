"""A model leaves as one zip and comes in from one; nothing else in a zip ever does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.predict.proof import prove_bundle
from lensmith.weights.archive import export_zip, import_zip
from lensmith.weights.bundle import open_bundle
from lensmith.weights.shelf import list_bundles
from tests.helpers import run_cv
from tests.predict.make_bundle import make_classifier


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a small classifier called 'colours'."""
    place = tmp_path_factory.mktemp("packed")
    return export_zip(make_classifier(place / "colours"), place / "colours.zip")


def _accept(_folder: Path) -> None:
    """For tests of what comes before the proof."""


def test_the_same_model_gives_the_same_bytes(workspace: Workspace, packed: Path, tmp_path: Path) -> None:
    bundle = import_zip(packed, None, workspace, _accept)
    again = export_zip(bundle, tmp_path / "again.zip")
    assert again.read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist()[0] == "colours/bundle.json"
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_file_that_is_there_is_not_replaced(packed: Path, tmp_path: Path) -> None:
    bundle = open_bundle(packed.with_suffix(""), Workspace(tmp_path))
    (tmp_path / "mine.zip").write_bytes(b"mine")
    with pytest.raises(UsageError, match="already"):
        export_zip(bundle, tmp_path / "mine.zip")
    with pytest.raises(UsageError, match="zip"):
        export_zip(bundle, tmp_path / "mine.tar")
    assert (tmp_path / "mine.zip").read_bytes() == b"mine"


def test_another_name_is_in_the_record_and_the_card(workspace: Workspace, packed: Path) -> None:
    import_zip(packed, "farben", workspace, _accept)
    bundle = open_bundle("farben", workspace)
    assert bundle.record.name == "farben"
    assert "# farben" in (bundle.folder / "README.md").read_text(encoding="utf-8")
    assert import_zip(packed, "farben", workspace, _refuse).folder == bundle.folder  # it is the same: nothing to do


def _refuse(_folder: Path) -> None:
    raise DataError("not proven")


def test_a_name_that_is_taken_and_a_model_that_is_not_proven_are_refused(workspace: Workspace, packed: Path) -> None:
    with pytest.raises(DataError, match="not proven"):
        import_zip(packed, None, workspace, _refuse)
    assert list_bundles(workspace) == []
    make_classifier(workspace.weights / "colours", ("a", "b", "c"))
    with pytest.raises(UsageError, match="already"):
        import_zip(packed, None, workspace, _accept)
    assert open_bundle("colours", workspace).record.names == ("a", "b", "c")


def test_files_packed_by_hand_come_in_and_others_are_left_out(
    workspace: Workspace, packed: Path, tmp_path: Path
) -> None:
    by_hand = tmp_path / "by hand.zip"
    with zipfile.ZipFile(by_hand, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in packed.with_suffix("").iterdir():
            archive.write(path, path.name)
        archive.writestr("run_me.py", "raise SystemExit")
        archive.writestr("__MACOSX/._bundle.json", "x")
    bundle = import_zip(by_hand, None, workspace, _accept)
    assert {path.name for path in bundle.folder.iterdir()} == {*bundle.record.files, "bundle.json"}


def _changed(entries: dict[str, bytes]) -> list[tuple[zipfile.ZipInfo | str, bytes]]:
    entries["colours/model.onnx"] = entries["colours/model.onnx"][:-1] + b"\0"
    return list(entries.items())


def _lacking(entries: dict[str, bytes]) -> list[tuple[zipfile.ZipInfo | str, bytes]]:
    del entries["colours/golden.npz"]
    return list(entries.items())


def _with_entry(name: str, data: bytes = b"x", mode: int = 0) -> Callable[[dict[str, bytes]], list]:
    def build(entries: dict[str, bytes]) -> list[tuple[zipfile.ZipInfo | str, bytes]]:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (mode | 0o644) << 16 if mode else 0
        return [*entries.items(), (entry, data)]

    return build


def _naming(path: str) -> Callable[[dict[str, bytes]], list]:
    def build(entries: dict[str, bytes]) -> list[tuple[zipfile.ZipInfo | str, bytes]]:
        record = json.loads(entries["colours/bundle.json"])
        record["files"][path] = "0" * 64
        entries["colours/bundle.json"] = json.dumps(record).encode()
        return list(entries.items())

    return build


@pytest.mark.parametrize(
    "build",
    [_changed, _lacking, _with_entry("../outside.txt"), _with_entry("/outside.txt"), _with_entry("C:\\outside.txt"),
     _with_entry("colours/link", b"/etc/passwd", stat.S_IFLNK), _with_entry("COLOURS/Model.onnx"),
     _with_entry("colours/zeros.bin", bytes(40 << 20)), _with_entry("other/bundle.json"), _naming("../outside.txt"),
     _naming("/outside.txt"), _naming("bundle.json"), lambda entries: [("readme.txt", b"x")]],
    ids=["changed", "lacking", "..", "absolute", "drive", "link", "same place", "bomb", "two models", "names ..",
         "names absolute", "names itself", "no model"],
)  # fmt: skip
def test_a_hostile_zip_leaves_nothing(
    workspace: Workspace, packed: Path, tmp_path: Path, build: Callable[[dict[str, bytes]], list]
) -> None:
    with zipfile.ZipFile(packed) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        for name, data in build(entries):
            archive.writestr(name, data)
    with pytest.raises(DataError):
        import_zip(hostile, None, workspace, _accept)
    assert [path.name for path in workspace.weights.glob("*") if path.name != ".locks"] == []
    assert not list(tmp_path.rglob("outside.txt"))


@pytest.mark.parametrize("length", [0, 10, 300, -30])
def test_a_zip_that_is_cut_short_leaves_nothing(
    workspace: Workspace, packed: Path, tmp_path: Path, length: int
) -> None:
    (tmp_path / "cut.zip").write_bytes(packed.read_bytes()[:length])
    with pytest.raises(DataError):
        import_zip(tmp_path / "cut.zip", None, workspace, _accept)
    assert list_bundles(workspace) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("step", ["unpack", "prove", "sync"])
def test_a_kill_while_it_comes_in_leaves_nothing_and_the_next_try_works(
    workspace: Workspace, packed: Path, step: str
) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from lensmith.core.workspace import Workspace
        from lensmith.weights import archive
        step, root, file = sys.argv[1:]
        def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
        if step == "unpack":
            archive.unpack_entry = die
        if step == "sync":
            os.sync = die
        archive.import_zip(Path(file), None, Workspace(Path(root)), die if step == "prove" else lambda folder: None)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), step, str(workspace.root), str(packed)],
        env={**os.environ}, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert list_bundles(workspace) == []
    import_zip(packed, None, workspace, _accept)
    assert {path.name for path in workspace.weights.iterdir()} == {"colours", ".locks"}


def test_a_model_that_does_not_repeat_its_golden_samples_does_not_come_in(workspace: Workspace, tmp_path: Path) -> None:
    wrong = export_zip(make_classifier(tmp_path / "wrong", golden_shift=0.4), tmp_path / "wrong.zip")
    shutil.rmtree(tmp_path / "wrong")
    with pytest.raises(DataError, match=r"'wrong' was not taken in.*0\.400"):
        import_zip(wrong, None, workspace, prove_bundle)
    assert list_bundles(workspace) == []


def test_the_commands_pack_and_take_in(workspace: Workspace, packed: Path) -> None:
    done = run_cv("weights", "import", packed, "--json", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "colours"
    out = run_cv("weights", "export", "colours", "--to", "again.zip", "--json", cwd=workspace.root)
    assert json.loads(out.stdout)["bytes"] == packed.stat().st_size
    assert (workspace.root / "again.zip").read_bytes() == packed.read_bytes()
    assert run_cv("weights", "import", "nothing.zip", cwd=workspace.root).returncode == 3
    assert run_cv("weights", "import", workspace.weights / "colours/labels.txt", cwd=workspace.root).returncode == 2
