"""Which files a bundle may name, and that those in folders are kept like the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import Bundle, BundleRecord, Preprocessing, open_bundle, rewrite_bundle, write_bundle
from lensmith.weights.record import safe_file_name

GOLDEN = (np.zeros((1, 8, 8, 3), np.uint8), np.array([[0.25, 0.75]], np.float32))
NESTED = "saved_model/variables/variables.index"


def _write(folder: Path) -> Bundle:
    record = BundleRecord(
        name=folder.name,
        task="classify",
        names=("cat", "dog"),
        preprocessing=Preprocessing(width=8, height=8, resize="stretch"),
    )
    return write_bundle(folder, record, _fill, golden=GOLDEN)


def _fill(folder: Path) -> None:
    (folder / NESTED).parent.mkdir(parents=True)
    (folder / NESTED).write_bytes(b"numbers")
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"graph")


@pytest.mark.parametrize("name", ["model.onnx", NESTED, "modèle.bin", "a/b/c/d", "con-fusion.bin"])
def test_plain_names_may_stand(name: str) -> None:
    assert safe_file_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../x", "/etc/passwd", "a//b", "a/", "./a", "a\\b", "C:/x", "C:x", ".hidden", "a/.git/x",
     "con", "aux.txt", "a/NUL.bin", "com1", "a/b/c/d/e", "a\nb", "a\x00b", "a\x1b[2Jb", "a.", "a ", "x" * 201,
     "what?", "bundle.json", "Bundle.JSON", "\ud800"],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="bundle"):
        safe_file_name(name)


def test_files_in_folders_are_hashed_checked_and_kept(workspace: Workspace) -> None:
    bundle = _write(workspace.weights / "pets")
    assert bundle.file(NESTED) == bundle.folder / NESTED
    rewrite_bundle(bundle, bundle.record.model_copy(update={"confidence": 0.5}))
    assert (open_bundle("pets", workspace).folder / NESTED).read_bytes() == b"numbers"
    (bundle.folder / NESTED).write_bytes(b"Numbers")
    with pytest.raises(DataError, match="changed"):
        open_bundle("pets", workspace)


def test_a_folder_that_is_a_link_is_refused(workspace: Workspace) -> None:
    bundle = _write(workspace.weights / "pets")
    elsewhere = workspace.root / "elsewhere"
    shutil.move(bundle.folder / "saved_model", elsewhere)
    (bundle.folder / "saved_model").symlink_to(elsewhere)
    with pytest.raises(DataError, match="missing"):
        open_bundle("pets", workspace)


@pytest.mark.parametrize(("one", "other"), [("model.bin", "Model.BIN"), ("model", "model/x"), ("a/x", "A")])
def test_two_files_in_one_place_are_refused(workspace: Workspace, one: str, other: str) -> None:
    folder = _write(workspace.weights / "pets").folder
    content = json.loads((folder / "bundle.json").read_text())
    content["files"] |= {one: "0" * 64, other: "0" * 64}
    (folder / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="two files want"):
        open_bundle("pets", workspace)
