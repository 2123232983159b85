"""What an import cannot read is said: pictures of other kinds, archives, half a zip."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.export_dataset import ExportConfig, export_dataset
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from tests.helpers import make_folder_dataset


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_of_other_kinds_are_counted(workspace: Workspace, tmp_path: Path, packed: bool) -> None:
    root = make_folder_dataset(tmp_path / "phone")
    for name in ("a.HEIC", "b.heic", "c.gif"):
        (root / "train" / "cat" / name).write_bytes(b"not looked into")
    given = Path(shutil.make_archive(str(tmp_path / "phone"), "zip", root)) if packed else root
    remarks = import_dataset(given, workspace, ImportConfig(link=packed)).record.remarks
    assert "3 pictures are in formats that are not read (1 .gif, 2 .heic); save them as JPEG or PNG." in remarks
    assert any("--link changed nothing" in remark for remark in remarks) == packed


def test_a_dataset_without_splits_says_so_once(workspace: Workspace, tmp_path: Path) -> None:
    root = make_folder_dataset(tmp_path / "pets")
    (record,) = [import_dataset(root / "train", workspace).record]
    assert [remark for remark in record.remarks if "split" in remark] == [
        "It had no splits; its pictures were shared out 70/20/10 (seed 0), those that show the same thing together."
    ]


@pytest.mark.parametrize(
    ("name", "content", "next_step"),
    [
        ("half.zip", b"PK\x03\x04 and no more", "download or copy it again"),
        ("x.tar.gz", b"\x1f\x8b", "unpack it, and give the folder"),
        ("photo.txt", b"hello", "give the dataset's folder"),
        ("heic/a.heic", b"x", "1 picture is in a format that is not read (1 .heic); save them as JPEG or PNG."),
        ("packed/all.zip", b"x", "it holds all.zip: import that"),
        ("packed/all.7z", b"x", "it holds all.7z: unpack that first"),
    ],
)
def test_what_is_no_dataset_says_what_to_do(
    workspace: Workspace, tmp_path: Path, name: str, content: bytes, next_step: str
) -> None:
    path = tmp_path / "given" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        import_dataset(path.parent if "/" in name else path, workspace)
    assert error.value.next_step == next_step


def test_an_export_is_no_folder_called_like_an_archive(workspace: Workspace, tmp_path: Path) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    with pytest.raises(UsageError, match="a folder or a zip"):
        export_dataset("pets", "folder", workspace, ExportConfig(to=tmp_path / "pets.tar.gz"))
    assert not list(tmp_path.glob("pets*"))
