"""A bundle is whole, unchanged and of a kind we know, or it is not opened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import (
    BundleRecord,
    ClassifierRecord,
    Preprocessing,
    open_bundle,
    write_bundle,
)
from lensmith.weights.card import card_of
from lensmith.weights.shelf import free_bundle_name, list_bundles
from tests.helpers import run_cv

GOLDEN = (np.zeros((1, 8, 8, 3), np.uint8), np.array([[0.25, 0.75]], np.float32))


def _record(name: str = "pets") -> BundleRecord:
    return BundleRecord(
        name=name,
        task="classify",
        names=("cat", "dög"),
        preprocessing=Preprocessing(width=8, height=8, resize="stretch"),
        classifier=ClassifierRecord(backbone="vgg16", units=4, dropout=0.1),
        metrics={"accuracy": 0.9},
        metrics_split="test",
    )


def _write(workspace: Workspace, name: str = "pets", content: bytes = b"model") -> Path:
    target = workspace.weights / name
    write_bundle(target, _record(name), lambda folder: _fill(folder, content), golden=GOLDEN)
    return target


def _fill(folder: Path, content: bytes) -> None:
    (folder / "model.keras").write_bytes(content)


def test_round_trip(workspace: Workspace) -> None:
    _write(workspace)
    bundle = open_bundle("pets", workspace)
    inputs, outputs = bundle.golden()
    assert bundle.record.names == ("cat", "dög")
    assert np.array_equal(inputs, GOLDEN[0])
    assert np.array_equal(outputs, GOLDEN[1])
    assert set(bundle.record.files) == {"model.keras", "golden.npz", "labels.txt", "README.md"}
    assert (bundle.folder / "labels.txt").read_text(encoding="utf-8") == "cat\ndög\n"


def _flip_byte(folder: Path) -> None:
    path = folder / "model.keras"
    data = bytearray(path.read_bytes())
    data[2] ^= 1
    path.write_bytes(bytes(data))


def _swap_for_link(folder: Path) -> None:
    (folder / "model.keras").rename(folder.parent / "elsewhere")
    (folder / "model.keras").symlink_to(folder.parent / "elsewhere")


def _edit(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        record = json.loads((folder / "bundle.json").read_text())
        change(record)
        (folder / "bundle.json").write_text(json.dumps(record))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip_byte, "changed"),
        (lambda folder: (folder / "model.keras").unlink(), "missing"),
        (_swap_for_link, "missing"),
        (lambda folder: (folder / "bundle.json").unlink(), "no model of Lensmith"),
        (lambda folder: (folder / "bundle.json").write_text("{"), "cannot be used"),
        (_edit(lambda record: record.update(schema_version=3)), "newer Lensmith.*version 3.* up to 2"),
        (_edit(lambda record: record.update(schema_version=True)), "schema_version"),
        (_edit(lambda record: record.pop("schema_version")), "schema_version"),
        (_edit(lambda record: record.update(surprise=1)), "surprise"),
        (_edit(lambda record: record.update(names=[])), "names"),
        (_edit(lambda record: record["files"].update({"../x": "0"})), "in its folder"),
        (_edit(lambda record: record["preprocessing"].update(width=10**9)), "width"),
    ],
    ids=[
        "byte",
        "file gone",
        "link",
        "no record",
        "torn record",
        "newer schema",
        "odd schema",
        "no schema",
        "unknown key",
        "no names",
        "outside",
        "huge",
    ],
)
def test_damage_is_refused(workspace: Workspace, damage: Callable[[Path], object], words: str) -> None:
    damage(_write(workspace))
    with pytest.raises(DataError, match=words):
        open_bundle("pets", workspace)


def test_failed_write_leaves_the_old_bundle(workspace: Workspace) -> None:
    _write(workspace, content=b"old")

    def fail(folder: Path) -> None:
        (folder / "model.keras").write_bytes(b"new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_bundle(workspace.weights / "pets", _record(), fail, golden=GOLDEN)
    assert (open_bundle("pets", workspace).folder / "model.keras").read_bytes() == b"old"
    assert [folder.name for folder in list_bundles(workspace)] == ["pets"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("step", ["mkdir", "write_text", "sync", "rename"])
def test_a_kill_at_any_step_leaves_old_or_new(workspace: Workspace, step: str) -> None:
    _write(workspace, content=b"old")
    code = """
        import os, signal, sys
        from pathlib import Path
        import tests.weights.test_bundle as t
        from lensmith.core.workspace import Workspace
        step, root = sys.argv[1:]
        def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)
        if step == "sync":
            os.sync = die
        else:
            setattr(Path, step, die)
        t._write(Workspace(Path(root)), content=b"new")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), step, str(workspace.root)],
        cwd=Path(__file__).resolve().parents[2], env={**os.environ}, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert (open_bundle("pets", workspace).folder / "model.keras").read_bytes() == b"old"


def test_command_lists_shows_and_refuses(workspace: Workspace) -> None:
    _write(workspace)
    listed = run_cv("weights", cwd=workspace.root)
    assert "pets" in listed.stdout
    assert "0.900" in listed.stdout
    shown = json.loads(run_cv("weights", "pets", "--json", cwd=workspace.root).stdout)
    assert shown["names"] == ["cat", "dög"]
    _flip_byte(workspace.weights / "pets")
    refused = run_cv("weights", "pets", cwd=workspace.root)
    assert refused.returncode == 5
    assert "changed" in refused.stderr
    assert "model.keras" in refused.stderr


def test_a_new_bundle_never_takes_the_name_of_another(workspace: Workspace) -> None:
    assert free_bundle_name(None, "pets", workspace) == "pets"
    _write(workspace)
    assert free_bundle_name(None, "pets", workspace) == "pets-2"
    assert free_bundle_name("ca ts", "pets", workspace) == "ca-ts"
    with pytest.raises(UsageError, match="already"):
        free_bundle_name("pets", "other", workspace)


@pytest.mark.parametrize(
    ("weights", "said"), [("imagenet", "weights from ImageNet"), ("none", "random numbers"), (None, None)]
)
def test_the_card_says_what_the_backbone_began_with(
    weights: Literal["imagenet", "none"] | None, said: str | None
) -> None:
    record = _record()
    assert record.classifier is not None
    classifier = record.classifier.model_copy(update={"weights": weights})
    card = card_of(record.model_copy(update={"classifier": classifier}))
    assert (f"vgg16 began with: {said}" in card) == (said is not None)
    assert ("began with" in card) == (said is not None)
