"""`cv evaluate` as a person and as a program use it."""

from __future__ import annotations

import json

import cv2
import pytest

from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import open_bundle
from tests.classify.test_evaluate import make_tints
from tests.helpers import run_cv
from tests.predict.make_bundle import blocks, make_classifier, make_detector


def test_figures_on_stdout_and_talk_on_stderr(workspace: Workspace) -> None:
    root = make_tints(workspace.datasets / "tints")
    (root / "test/red/broken.png").write_bytes(b"no picture")
    make_classifier(workspace.weights / "tint")
    done = run_cv("evaluate", "tints", "--weights", "tint", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert "36 test pictures" in done.stdout
    assert " to " in done.stdout
    assert "broken.png" in done.stderr
    assert not (workspace.root / "reports").exists()


def test_thresholds_are_saved_and_the_page_is_named(workspace: Workspace) -> None:
    make_tints(workspace.datasets / "tints")
    make_classifier(workspace.weights / "tint")
    options = ("--weights", "tint", "--split", "valid", "--target", "precision=0.8", "--save", "--html", "--json")
    done = run_cv("evaluate", "tints", *options, cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["split"] == "valid"
    assert told["models"][0]["accuracy"]["low"] < told["models"][0]["accuracy"]["value"]
    assert told["page"].endswith("evaluate-tints-tint.html")
    record = open_bundle("tint", workspace).record
    assert record.thresholds == pytest.approx(tuple(told["target"]["thresholds"].values()))
    assert any("very pictures that they are measured on" in remark for remark in told["remarks"])


@pytest.mark.parametrize("split", ["test", "valid"])
def test_pictures_to_measure_on_are_all_it_needs(workspace: Workspace, split: str) -> None:
    """Nothing is learned from them, so no training pictures need lie beside them; a training refuses them."""
    make_tints(workspace.datasets / "tints", {split: 12})
    make_classifier(workspace.weights / "tint")
    done = run_cv("evaluate", "tints", "--weights", "tint", "--json", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["split"], told["models"][0]["pictures"]) == (split, 36)
    done = run_cv("finetune", "tints", cwd=workspace.root)
    assert done.returncode == 5
    assert "no training pictures" in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param(("--weights", "a", "--weights", "b", "--target", "recall=0.9", "--save"), 2, "one model",
                     id="save into several"),
        pytest.param(("--weights", "a", "--target", "recall=0.9", "--save", "--protocol", "ultralytics"), 2,
                     "leave out --protocol", id="save what is counted otherwise"),
        pytest.param(("--weights", "a", "--target", "f1=0.9"), 2, "no target", id="odd target"),
        pytest.param(("--weights", "nobody"), 3, "nobody", id="no such model"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_message(workspace: Workspace, options: tuple[str, ...], code: int, said: str) -> None:
    make_tints(workspace.datasets / "tints", {"train": 1, "test": 1})
    make_classifier(workspace.weights / "a")
    done = run_cv("evaluate", "tints", *options, cwd=workspace.root)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_detectors_are_measured_by_the_same_command(workspace: Workspace) -> None:
    for split, count in (("train", 1), ("test", 3)):
        for number in range(count):
            x, y = 16 * number, 32
            folder = workspace.datasets / "boxes" / split
            for part in ("images", "labels"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            # Another size for train, so that it is no twin of the first test picture.
            bgr = blocks(128, 128, (x, y, x + 16, y + 16, 2), *(((64, 96, 96, 112, 0),) if split == "train" else ()))
            assert cv2.imwrite(str(folder / "images" / f"{split}{number}.png"), bgr)
            label = f"2 {(x + 8) / 128} {(y + 8) / 128} 0.125 0.125\n"
            (folder / "labels" / f"{split}{number}.txt").write_text(label)
    (workspace.datasets / "boxes" / "data.yaml").write_text(
        "train: train/images\nval: valid/images\ntest: test/images\nnc: 3\nnames: [blue, green, red]\n"
    )
    make_detector(workspace.weights / "cells")
    done = run_cv("evaluate", "boxes", "--weights", "cells", "--json", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert (model["name"], model["pictures"], model["boxes"]) == ("cells", 3, 3)
    assert model["mAP50"] > 0.9
    assert model["intervals"]["mAP50"]["low"] < model["mAP50"] <= model["intervals"]["mAP50"]["high"]
    assert (model["mistakes"]["missed"]["count"], model["mistakes"]["ghost"]["count"]) == (0, 0)
    told = run_cv("evaluate", "boxes", "--weights", "cells", "--html", cwd=workspace.root)
    assert told.returncode == 0, told.stderr
    assert "3 test pictures of boxes with 3 boxes" in told.stdout
    for word in ("threshold", "mAP50-95", "medium", "double"):
        assert word in told.stdout
    assert "none leaks" in told.stderr
    assert "--protocol ultralytics" in told.stderr
    assert list((workspace.root / "reports").glob("evaluate-boxes-cells.html"))


def test_a_model_of_other_classes_is_refused_before_the_pictures_are_read(workspace: Workspace) -> None:
    make_tints(workspace.datasets / "tints", {"train": 2, "test": 1})
    (workspace.datasets / "tints/train/red").rename(workspace.datasets / "tints/train/pink")
    make_classifier(workspace.weights / "tint")
    done = run_cv("check-dataset", "tints", "--weights", "tint", cwd=workspace.root)
    assert (done.returncode, done.stdout) == (5, "")
    assert "the model does not know" in done.stderr
    assert "stands" not in done.stderr


@pytest.mark.parametrize("command", ["explain", "check-dataset"])
def test_a_second_model_is_not_quietly_taken_instead_of_the_first(workspace: Workspace, command: str) -> None:
    done = run_cv(command, "x", "--weights", "a", "--weights=b", cwd=workspace.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cv {command} takes one --weights, and was given 2" in done.stderr
