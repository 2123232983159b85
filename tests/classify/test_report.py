"""The page of a run: what it says about a training, about leaks, about doubt; and that it is one safe file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lensmith.classify.assess import AssessConfig, assess_classifiers
from lensmith.classify.bundling import finish_bundle, measure
from lensmith.classify.evaluate import Evaluation
from lensmith.classify.history import overfitting, read_history, shipped_row
from lensmith.classify.report import write_evaluation_page, write_report
from lensmith.core.errors import DataError
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Split
from lensmith.datasets.read import open_dataset
from lensmith.report.target import parse_target
from lensmith.weights.bundle import Bundle
from tests.classify.test_evaluate import make_tints
from tests.predict.make_bundle import make_classifier
from tests.report.reading import Reader


def row(stage: str, epoch: int, **values: Any) -> dict[str, Any]:
    usual = {"loss": 0.5, "accuracy": 0.8, "val_loss": 0.5, "val_accuracy": 0.8, "seconds": 1.5, "best": False}
    return {"stage": stage, "epoch": epoch, **usual, **values}


def make_run(workspace: Workspace, history: list[dict[str, Any]], **result: Any) -> Path:
    run = workspace.runs / "finetune-tints"
    run.mkdir(parents=True)
    manifest = RunManifest(
        command="finetune", options={"backbone": "vgg16", "cache": True, "name": None}, seed=3,
        device="cpu (tensorflow)",
        dataset=DatasetRef(name="tints", fingerprint="ab" * 32), timings={"frozen": 4.0, "tuned": 60.0}, result=result,
    )  # fmt: skip
    manifest.end(run, "done")
    if history:
        (run / "history.json").write_text(json.dumps(history))
    return run


def finished(workspace: Workspace, *splits: Split) -> tuple[Bundle, list[Evaluation]]:
    dataset = open_dataset("tints", workspace)
    tint = make_classifier(workspace.weights / "tint")
    evaluations = measure(tint, {split: list(dataset.items(split)) for split in splits}, "cpu")
    return finish_bundle(workspace.weights / "<i>tints", tint, evaluations), evaluations


def test_the_page_of_a_run(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    root = make_tints(workspace.datasets / "tints")
    shutil.copyfile(root / "train/red/train-red-00.png", root / "test/red/leaks.png")
    (root / "test/green/broken & <i>odd.png").write_bytes(b"no picture")
    bundle, evaluations = finished(workspace, "valid", "test")
    history = [
        row("frozen", 1, val_accuracy=0.7, best=True, learning_rate=1e-3, waited=0.5),
        row("tuned", 1, val_accuracy=0.9, best=True, learning_rate=1e-5, waited=0.02),
        row("tuned", 2, learning_rate=5e-6, waited=0.04),
    ]
    search = {"rates": [1e-5, 1e-4, 1e-3], "losses": [0.7, 0.5, 0.9], "chosen": 1e-4, "reason": "the steepest fall"}
    features = {"views": 4, "engine": "openvino bf16", "seconds": 2.5, "from_cache": False,
                "skipped": [[str(root / "train/red/lost.png"), "cut off"]]}  # fmt: skip
    folds = {"pictures": 24, "accuracy": {"value": 0.75, "low": 0.6, "high": 0.9}, "accuracies": [0.8, 0.75, 0.7],
             "spread": 0.07}  # fmt: skip
    run = make_run(
        workspace, history, searches={"frozen": search}, features={"frozen": features, "tuned": None}, folds=folds,
        proof=1e-6,
    )  # fmt: skip
    html = write_report(run, bundle, evaluations, open_dataset("tints", workspace)).read_text()
    page = Reader(html)
    scores = evaluations[1].scores
    for said in (
        f"{scores.accuracy.value:.3f}",
        f"{scores.accuracy.low:.3f} to {scores.accuracy.high:.3f}",
        "epoch 1 of the tuned stage: 0.900 on the validation pictures, after 0.700 with the backbone frozen",
        "without the 1 that leaks",
        "1 test picture could not be used and did not count: test/green/broken & <i>odd.png",
        "broken & <i>odd.png",
        "the steepest fall",
        "features of 4 views, openvino bf16, computed in 2.5 s",
        "train/red/lost.png",
        "Spread 0.070",
        "Training: while it learns, with augmentation and dropout",
        "0.750 (0.600 to 0.900) of 24 pictures right. Of 3 parts",
        "cv explain PICTURES --weights <i>tints",
        "no probability differs by more than 1e-06",
        "3.0%",  # waiting for data while fine-tuning
        "found on validation pictures, made all probabilities",
        "Does it mean what it says?",
        "<i>tints",
        "64 seconds on cpu (tensorflow)",
        "keras",
    ):
        assert said in page.text, said
    assert "warning: The accuracy of <i>tints on 'test'" in capfd.readouterr().err
    assert {"svg", "img", "table"} <= set(page.tags)
    assert not {"script", "i", "link", "iframe"} & set(page.tags)
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert str(workspace.root) not in page.text


def test_a_run_of_an_older_version_without_test_pictures(workspace: Workspace) -> None:
    """History without rates; nothing measured but the validation pictures."""
    make_tints(workspace.datasets / "tints", {"train": 2, "valid": 8})
    bundle, evaluations = finished(workspace, "valid")
    history = [row("frozen", 1, best=True, val_accuracy=0.9), row("tuned", 1, val_accuracy=0.85)]
    run = make_run(workspace, history, stopped="The loss is no longer a number")
    page = Reader(write_report(run, bundle, evaluations, open_dataset("tints", workspace)).read_text())
    assert "There are no test pictures" in page.text
    assert "Only 24 valid pictures" in page.text
    assert "fine-tuning came to 0.850 on the validation pictures and did not beat the frozen stage's 0.900" in page.text
    assert "no longer a number" in page.text


def test_test_pictures_that_cannot_be_read_are_no_missing_ones(workspace: Workspace) -> None:
    root = make_tints(workspace.datasets / "tints", {"train": 2, "valid": 8, "test": 1})
    for path in (root / "test").rglob("*.png"):
        path.write_bytes(b"no picture")
    bundle, evaluations = finished(workspace, "valid", "test")
    run = make_run(workspace, [])
    page = Reader(write_report(run, bundle, evaluations, open_dataset("tints", workspace)).read_text())
    assert "No test picture could be read: these figures come from the valid pictures" in page.text
    assert "no test pictures" not in page.text


def test_a_run_without_a_history_has_a_page_too(workspace: Workspace) -> None:
    make_tints(workspace.datasets / "tints", {"train": 2, "valid": 8})
    bundle, evaluations = finished(workspace, "valid")
    run = make_run(workspace, [])
    page = Reader(write_report(run, bundle, evaluations, open_dataset("tints", workspace)).read_text())
    assert "The run kept no history" in page.text
    (run / "history.json").write_text("[{")
    with pytest.raises(DataError, match="history of this run"):
        read_history(run)


def test_the_page_of_an_evaluation(workspace: Workspace) -> None:
    make_tints(workspace.datasets / "tints")
    dataset = open_dataset("tints", workspace)
    pair = [make_classifier(workspace.weights / name) for name in ("one", "two")]
    done = assess_classifiers(pair, dataset, AssessConfig(target="precision=0.8"))
    path = write_evaluation_page(done, pair, dataset, workspace)
    assert path == workspace.root / "reports" / "evaluate-tints-one-two.html"
    page = Reader(path.read_text())
    assert "Together they are right on just the pictures on which 'one' alone is: within noise." in page.text
    assert "Thresholds for precision=0.8" in page.text
    assert "precision when answered" in page.text
    assert "The training" not in page.text


@pytest.mark.parametrize(
    ("history", "said"),
    [
        pytest.param(
            [row("frozen", 1, val_loss=0.4, loss=0.5), row("frozen", 2, val_loss=0.45, loss=0.3)],
            "After epoch 1 of the frozen stage the loss",
            id="validation loss rises by more than a tenth while training falls",
        ),
        pytest.param(
            [row("tuned", 1, val_loss=0.4, loss=0.5), row("tuned", 2, val_loss=0.43, loss=0.3)], "",
            id="rises by less than a tenth",
        ),
        pytest.param(
            [row("tuned", 1, val_loss=0.4, loss=0.5), row("tuned", 2, val_loss=0.6, loss=0.7)], "",
            id="both rise: that is no overfitting",
        ),
        pytest.param(
            [row("frozen", 1, accuracy=0.99, val_accuracy=0.85, best=True)], "99.0% of the training pictures",
            id="gap between the accuracies",
        ),
        pytest.param([row("frozen", 1, accuracy=0.9, val_accuracy=0.85, best=True)], "", id="small gap"),
        pytest.param([], "", id="no history"),
    ],
)  # fmt: skip
def test_overfitting_is_said_with_what_helps(history: list[dict[str, Any]], said: str) -> None:
    found = " ".join(overfitting(history))
    assert said in found
    assert bool(found) == bool(said)
    assert not found or "What helps" in found


def test_the_rise_is_told_against_the_epoch_that_ships() -> None:
    rising = [row("frozen", n, val_loss=0.3 + n / 10, loss=0.5 / n, best=n == 1) for n in (1, 2, 3)]
    assert "ships is that of epoch 1, before the rise" in overfitting(rising)[0]
    later = [{**one, "best": True} for one in rising]
    assert "ships is that of epoch 3: it is right more often than that of epoch 1" in overfitting(later)[0]
    tuned = [*rising, row("tuned", 1, best=True)]
    assert "comes from the tuned stage" in overfitting(tuned)[0]


def test_where_nothing_is_frozen_there_is_no_advice_about_it() -> None:
    history = [row("tuned", 1, accuracy=0.99, val_accuracy=0.6, best=True)]
    assert "--views" in overfitting(history)[-1]
    assert not {"--views", "--unfreeze"} & set(overfitting(history, partly_frozen=False)[-1].split())


def test_the_epoch_that_ships_is_the_last_best() -> None:
    history = [row("frozen", 1, best=True), row("tuned", 1, best=True), row("tuned", 2)]
    assert shipped_row(history) == history[1]
    assert shipped_row([]) is None


def test_every_target_is_told(workspace: Workspace) -> None:
    """Thresholds chosen while training stand in the class table."""
    make_tints(workspace.datasets / "tints")
    dataset = open_dataset("tints", workspace)
    tint = make_classifier(workspace.weights / "tint")
    evaluations = measure(
        tint, {split: list(dataset.items(split)) for split in ("valid", "test")}, "cpu", parse_target("precision=0.9")
    )
    run = make_run(workspace, [row("frozen", 1, best=True)])
    bundle = finish_bundle(workspace.weights / "strict", tint, evaluations)
    manifest = json.loads((run / "run.json").read_text())
    manifest["options"]["target"] = "precision=0.9"
    (run / "run.json").write_text(json.dumps(manifest))
    page = Reader(write_report(run, bundle, evaluations, dataset).read_text())
    assert "Unknown" in page.text
    assert "Thresholds for precision=0.9 Chosen on validation pictures." in page.text
    assert "precision when answered" in page.text
    assert "Too unsure to say: 'unknown'." in page.text
    assert f"{evaluations[1].thresholds[0]:.3f}" in page.text
