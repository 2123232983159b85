"""Finished trainings beside each other: the answer, the page, and what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lensmith.classify.saved import save_evaluation
from lensmith.cli.compare import compare_runs
from lensmith.core.errors import NotFoundError, UsageError
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.detect.evaluate import Evaluation, Picture
from lensmith.predict.results import Detections
from tests.classify.test_compared import answers, make_pictures
from tests.detect.test_history import write_results
from tests.helpers import run_cv
from tests.report.reading import Reader

NAMES = ("cat", "<b>dög")


def start_run(
    workspace: Workspace, name: str, command: str = "train-yolo", data: str = "ab", **options: object
) -> Path:
    run = workspace.runs / name
    run.mkdir(parents=True)
    manifest = RunManifest(
        command=command, options={"epochs": 2, "name": name, "augment": None, **options}, seed=0, device="cpu",
        dataset=DatasetRef(name="pets", fingerprint=data * 32), timings={"train": 12.5}, versions={"torch": "2"},
        result={"pictures": {"train": 9, "valid": 3}} if command == "train-yolo" else {},
    )  # fmt: skip
    manifest.end(run, "done")
    return run


def findings(images: list[Path], right: int, names: tuple[str, ...] = NAMES, split: str = "test") -> Evaluation:
    """A box of each class a picture; the first `right` pictures' are found, the others' only beside the object."""
    true = np.array([[10, 10, 30, 30], [50, 10, 70, 30]], np.float32)
    ids = np.array([names.index(name) for name in NAMES], np.int64)
    pictures = []
    for number, image in enumerate(images):
        xyxy = true if number < right else true + np.float32(25)
        found = Detections(xyxy, ids, np.array([0.9, 0.8], np.float32))
        pictures.append(Picture(image, 100, 60, found, true, ids))
    return Evaluation("some", split, names, tuple(pictures), (), np.full(len(names), 0.25, np.float32))


def detector(workspace: Workspace, name: str, evaluation: Evaluation, **options: object) -> Path:
    run = start_run(workspace, name, **options)
    evaluation.save(run)
    return write_results(run, "1,10,1,2,0.1,0.2,0.3,0.4,1.5,2.5,0.01,0.02", "2,20,1,2,0.1,0.2,0.4,0.5,1,2,0.01,0.02")


def test_two_detectors(workspace: Workspace) -> None:
    images = make_pictures(workspace.root / "pictures", 40)
    detector(
        workspace,
        "old",
        findings(images, 20),
        imgsz=320,
        model="yolo26n",
        augment={"name": "light", "sha256": "12345678abc"},
    )
    # Other classes first, and the same pictures in another order, under other names.
    copies = [image.rename(image.with_name(f"copy-{image.name}")) for image in images][::-1]
    detector(workspace, "new", findings(copies, 36, NAMES[::-1]), imgsz=640, model="yolo26n")
    detector(workspace, "same", findings(copies[::-1], 20), data="cd", model="yolo26n", epochs=100, time=30.0)
    done = run_cv("compare", "old", "new", "same", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert "mAP50-95 of 'new' is " in done.stdout
    assert "points higher than that of 'old' on 40 test pictures (+" in done.stdout
    assert "better" in done.stdout
    assert "mAP50-95 of 'same' is 0.0 points higher than that of 'old' on 40 test pictures (+0.0 to +0.0): within" in (
        done.stdout
    )
    assert "did not learn from the same data" in done.stderr
    assert done.stdout.startswith(
        "1: old, 2 of 2 epochs\n2: new, 2 of 2 epochs\n3: same, 2 of 100 epochs (the 30 s of --time were over)\n"
    )
    assert "'same' was trained for 2 of 100 epochs (the 30 s of --time were over): with more time" in done.stderr
    assert "\naugment  light (sha256 12345678)  not given  not given\nimgsz    320 " in done.stdout
    page = workspace.root / "reports" / "compare-old-new-same.html"
    html = page.read_text(encoding="utf-8")
    reader = Reader(html)
    for said in (
        "3 detectors beside each other",
        "<b>dög",
        "within noise",
        "better",
        "12.5",
        "imgsz",
        "2 of 100 epochs (the 30 s",
    ):
        assert said in reader.text, said
    assert html.count("<svg") == 4  # two metrics, two losses
    assert not {"script", "link", "iframe"} & set(reader.tags)
    assert "<b>dög" not in html
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    record = json.loads(run_cv("compare", "old", "new", "--json", cwd=workspace.root).stdout)
    lead = record["pairs"][0]["differences"][0]
    assert lead["measure"] == "mAP50-95"
    assert not lead["within_noise"]
    assert lead["difference"]["low"] > 0
    assert record["options"] == {
        "augment": {"old": "light (sha256 12345678)", "new": "not given"}, "imgsz": {"old": "320", "new": "640"},
    }  # fmt: skip
    assert record["versions"] == {}
    assert Path(record["page"]).is_file()


def test_only_pictures_count_that_both_have_with_the_same_labels(workspace: Workspace) -> None:
    images = make_pictures(workspace.root / "pictures", 30)
    start = findings(images[:20], 20)
    detector(workspace, "one", start)
    moved = findings(images[10:], 20)
    odd = moved.pictures[0]
    relabelled = Picture(odd.image, odd.width, odd.height, odd.found, odd.xyxy + 5, odd.class_id)
    detector(workspace, "two", Evaluation(
        "some", "test", NAMES, (relabelled, *moved.pictures[1:]), (), moved.thresholds
    ))  # fmt: skip
    detector(workspace, "strange", findings(images[20:], 10))
    found = compare_runs(["one", "two", "strange"], workspace)
    pair, apart = found.pairs
    assert (pair.shared, pair.counts, pair.relabelled) == (9, (20, 20), 1)
    assert "only the 9 that both have" in pair.sentences()[1]
    assert "labelled differently" in " ".join(pair.sentences())
    assert apart.shared == 0
    assert not apart.differences
    assert "cannot be compared" in apart.sentences()[0]
    assert set(found.alone) == {"one", "two", "strange"}


def test_few_pictures_tell_nothing(workspace: Workspace) -> None:
    images = make_pictures(workspace.root / "pictures", 5)
    detector(workspace, "bad", findings(images, 0))
    detector(workspace, "good", findings(images, 5))
    lead = compare_runs(["bad", "good"], workspace).pairs[0].differences[0]
    assert lead.difference.value > 0.9
    assert lead.within_noise
    assert lead.verdict == "too few pictures to tell (5)"


def test_classifiers_on_validation_pictures(workspace: Workspace) -> None:
    images = make_pictures(workspace.root / "pictures", 12)
    labels = [number % 2 for number in range(12)]
    for name, said in (("old", labels), ("new", [1, *labels[1:]])):
        run = start_run(workspace, name, "finetune")
        save_evaluation(answers(labels, said, images, "valid"), run)
        (run / "history.json").write_text(json.dumps([
            {"stage": "frozen", "epoch": 1, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7}
        ]))  # fmt: skip
    pair = compare_runs(["old", "new"], workspace).pairs[0]
    assert pair.split == "valid"
    assert "accuracy of 'new' is 8.3 points lower" in pair.sentences()[0]
    assert "chosen by their validation pictures" in pair.sentences()[-1]
    done = run_cv("compare", "old", "new", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert "F1 of each class" in done.stdout


def test_what_cannot_be_compared(workspace: Workspace) -> None:
    images = make_pictures(workspace.root / "pictures", 8)
    run = detector(workspace, "fine", findings(images, 8))
    start_run(workspace, "pets", "finetune")
    start_run(workspace, "shown", "predict")
    for status in ("failed", "interrupted"):
        manifest = RunManifest.load(start_run(workspace, status))
        manifest.result["error"] = "The disk is full.\n  where: here"
        manifest.end(workspace.runs / status, status)
    start_run(workspace, "old version")
    for names, said in (
        (["fine"], "compared with another one"),
        (["fine", str(run)], "named twice"),
        (["fine", "pets"], "Detectors and classifiers"),
        (["fine", "shown"], "only trainings"),
        (["fine", "failed"], r"failed, so there is nothing to compare: The disk is full\.\n"),
        (["interrupted", "fine"], "was interrupted"),
    ):
        with pytest.raises(UsageError, match=said):
            compare_runs(names, workspace)
    with pytest.raises(NotFoundError, match="no run called 'fines'"):
        compare_runs(["fine", "fines"], workspace)
    found = compare_runs(["fine", "old version"], workspace)
    assert "kept no answers" in " ".join(found.remarks)
    assert "nothing can be compared" in found.pairs[0].sentences()[0]
    done = run_cv("compare", "fine", "failed", cwd=workspace.root)
    assert done.returncode == 2
    assert "cv resume failed" in done.stderr
