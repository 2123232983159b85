"""`cv weights`: lists what is there, shows, verifies, renames and removes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lensmith.core.files import sha256_of
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import Bundle, BundleRecord, open_bundle, read_record, rewrite_bundle
from lensmith.weights.card import card_of
from lensmith.weights.record import Export
from tests.helpers import cv_path, run_cv
from tests.predict.make_bundle import make_classifier, make_detector


def _exported(bundle: Bundle, source: Bundle) -> BundleRecord:
    return bundle.record.model_copy(
        update={
            "origin": "exported",
            "exported": Export(
                format="tflite",
                precision="int8",
                source=source.name,
                source_sha256=sha256_of(source.folder / "bundle.json"),
                difference={"confidence": 0.013},
                loss={"mAP50-95": -0.0124},
                split="test",
            ),
        }
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A detector, a classifier with a long name, and an export; only looked at."""
    place = Workspace(tmp_path_factory.mktemp("models"))
    cells = make_detector(place.weights / "cells")
    make_classifier(place.weights / "colours-of-everything-that-was-ever-painted-in-this-house")
    small = make_detector(place.weights / "cells-tflite-int8")
    rewrite_bundle(small, _exported(small, cells))
    return place


def test_the_list_fits_a_narrow_terminal_and_says_what_runs_each(models: Workspace) -> None:
    (models.weights / "broken").mkdir(exist_ok=True)
    (models.weights / "broken" / "bundle.json").write_text("{")
    done = run_cv("weights", cwd=models.root)
    assert done.returncode == 0
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    for words in ("cells", "colours-of-everything", "exported from cells", "tflite int8", "onnxruntime"):
        assert words in done.stdout
    assert "broken is left out" in done.stderr
    assert run_cv("weights", "list", cwd=models.root).stdout == done.stdout
    shutil.rmtree(models.weights / "broken")


def test_json_has_everything(models: Workspace) -> None:
    listed = json.loads(run_cv("weights", "--json", cwd=models.root).stdout)
    assert [Path(one["folder"]).name for one in listed] == sorted(path.name for path in models.weights.iterdir())
    assert listed[0]["origin"] == "trained"
    assert listed[1]["exported"]["precision"] == "int8"
    assert listed[0]["bytes"] == sum(path.stat().st_size for path in (models.weights / "cells").iterdir())
    shown = json.loads(run_cv("weights", "show", "cells", "--json", cwd=models.root).stdout)
    assert shown == listed[0]
    assert json.loads(run_cv("weights", "--json", "cells", cwd=models.root).stdout) == listed[0]


def test_the_card_and_show_say_what_an_export_lost(models: Workspace) -> None:
    card = (models.weights / "cells-tflite-int8" / "README.md").read_text(encoding="utf-8")
    shown = run_cv("weights", "cells-tflite-int8", cwd=models.root, env={"COLUMNS": "200"}).stdout
    for words in ("the model 'cells'", "tflite", "int8", "0.013", "-0.0124"):
        assert words in card
        assert words in shown
    assert "other programs" in card
    assert "cv predict PICTURES" not in card


def test_the_card_of_an_import_says_so(models: Workspace) -> None:
    record = read_record(models.weights / "cells").model_copy(update={"origin": "imported"})
    assert "imported into Lensmith" in card_of(record)
    assert "another program" in card_of(record)


def test_verify_says_what_ran_and_finds_what_was_changed(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    colours = make_classifier(workspace.weights / "colours")
    (colours.folder / "notes.txt").write_text("mine")
    done = run_cv("weights", "verify", "colours", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert "repeated by" in done.stdout
    assert "onnxruntime" in done.stdout
    assert "notes.txt" in done.stdout
    model = workspace.weights / "cells" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    every = run_cv("weights", "verify", "--all", "--json", cwd=workspace.root)
    assert every.returncode == 5
    assert [one["ok"] for one in json.loads(every.stdout)] == [False, True]
    assert "1 of 2" in every.stderr
    assert run_cv("weights", "verify", cwd=workspace.root).returncode == 2


def test_verify_finds_golden_samples_that_are_not_repeated(workspace: Workspace) -> None:
    make_classifier(workspace.weights / "colours", golden_shift=0.5)
    done = run_cv("weights", "verify", "colours", cwd=workspace.root)
    assert done.returncode == 5
    assert "0.5" in done.stderr


def test_rename_and_remove(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    done = run_cv("weights", "rename", "cells", "blocks", "--json", cwd=workspace.root)
    assert json.loads(done.stdout)["name"] == "blocks"
    assert open_bundle("blocks", workspace).record.name == "blocks"
    asked = run_cv("weights", "remove", "blocks", cwd=workspace.root)
    assert (asked.returncode, (workspace.weights / "blocks").is_dir()) == (2, True)
    assert "--yes" in asked.stderr
    assert run_cv("weights", "remove", "blocks", "--yes", cwd=workspace.root).returncode == 0
    assert not (workspace.weights / "blocks").exists()
    assert run_cv("weights", "remove", "blocks", "--yes", cwd=workspace.root).returncode == 3


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of our own")
def test_remove_asks_at_a_terminal_and_no_leaves_the_model(workspace: Workspace) -> None:
    import pty

    make_detector(workspace.weights / "cells")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [cv_path(), "weights", "remove", "cells"], cwd=workspace.root, text=True,
        stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.write(ours, b"n\n")
        _, said = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 1
    assert "Delete the model cells" in said
    assert "nothing was removed" in said
    assert open_bundle("cells", workspace).name == "cells"


def test_a_slip_in_a_sub_command_is_named(models: Workspace) -> None:
    done = run_cv("weights", "shw", "cells", cwd=models.root)
    assert done.returncode == 2
    assert "No such command 'shw'. Did you mean 'show'?" in done.stderr
    assert run_cv("weights", "cells", "--json", cwd=models.root).returncode == 0  # a name alone still shows the model
