"""--force replaces what we made and nothing that only the person has."""

from __future__ import annotations

import shutil
import threading
import zipfile
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, LensmithError
from lensmith.core.workspace import Workspace
from lensmith.datasets import export_dataset as export_module
from lensmith.datasets.export_dataset import ExportConfig, export_dataset
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from tests.helpers import make_picture, make_yolo_dataset


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format_", ["yolo", "coco", "voc"])
def test_an_export_that_was_changed_is_not_replaced(workspace: Workspace, tmp_path: Path, format_) -> None:
    root, out = make_yolo_dataset(tmp_path / "set"), tmp_path / "out"
    export_dataset(root, format_, workspace, ExportConfig(to=out))
    readme = (out / "README.dataset.txt").read_text()
    (out / "train/labels.cache").touch()
    (out / ".DS_Store").touch()
    export_dataset(root, format_, workspace, ExportConfig(to=out, force=True))
    (out / "runs").mkdir()
    (out / "runs/best.pt").write_text("days of work")
    (out / "README.dataset.txt").write_text(f"{readme}my notes")
    before = _files(out)
    with pytest.raises(DataError, match=r"README\.dataset\.txt, runs/best\.pt") as caught:
        export_dataset(root, format_, workspace, ExportConfig(to=out, force=True))
    assert "--to" in str(caught.value.next_step)
    assert _files(out) == before
    shutil.rmtree(out / "runs")
    (out / "README.dataset.txt").write_text(readme)
    export_dataset(root, format_, workspace, ExportConfig(to=out, force=True))


def test_a_zip_that_was_changed_is_not_replaced(workspace: Workspace, tmp_path: Path) -> None:
    root, out = make_yolo_dataset(tmp_path / "set"), tmp_path / "out.zip"
    export_dataset(root, "yolo", workspace, ExportConfig(to=out))
    export_dataset(root, "yolo", workspace, ExportConfig(to=out, force=True))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("notes.txt", "mine")
    with pytest.raises(DataError, match=r"notes\.txt"):
        export_dataset(root, "yolo", workspace, ExportConfig(to=out, force=True))


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_what_appears_while_an_export_is_written_stays(
    workspace: Workspace, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = make_yolo_dataset(tmp_path / "set"), tmp_path / name
    fill = export_module._fill

    def and_meanwhile(*arguments, **options):
        done = fill(*arguments, **options)
        if name == "out":
            out.mkdir()
        (out / "mine" if name == "out" else out).write_text("mine")
        return done

    monkeypatch.setattr(export_module, "_fill", and_meanwhile)
    with pytest.raises(DataError, match="left as it is"):
        export_dataset(root, "yolo", workspace, ExportConfig(to=out))
    assert (out / "mine" if name == "out" else out).read_text() == "mine"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(f".{name}.")]


def test_of_two_exports_to_one_place_one_is_told(workspace: Workspace, tmp_path: Path) -> None:
    root, out = make_yolo_dataset(tmp_path / "set"), tmp_path / "out"
    said: list[str] = []

    def export() -> None:
        try:
            export_dataset(root, "yolo", workspace, ExportConfig(to=out))
            said.append("done")
        except LensmithError as error:
            said.append(error.what)

    threads = [threading.Thread(target=export) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["There is something of this name already.", "done"]


def test_an_import_that_was_changed_is_not_replaced(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    folder = import_dataset(root, workspace).folder
    (folder / "train/labels/train-000.txt").write_text("1 0.2 0.2 0.1 0.1\n")
    make_picture(folder / "train/images/mine.png", seed=5)
    before = _files(folder)
    with pytest.raises(DataError, match=r"train/images/mine\.png, train/labels/train-000\.txt"):
        import_dataset(root, workspace, ImportConfig(force=True))
    assert _files(folder) == before
    (folder / "train/images/mine.png").unlink()
    (folder / "train/labels/train-000.txt").unlink()
    assert import_dataset(root, workspace, ImportConfig(force=True)).fresh  # what is missing is no loss


def test_a_linked_import_follows_its_source(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    import_dataset(root, workspace, ImportConfig(link=True))
    with (root / "train/images/train-000.png").open("ab") as file:
        file.write(b"more")
    assert import_dataset(root, workspace, ImportConfig(link=True, force=True)).fresh
