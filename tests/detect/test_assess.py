"""What `cv evaluate` makes of detectors, with a tiny real model whose answers are known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from lensmith.core.errors import NotFoundError, UsageError
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.as_val import rectangles
from lensmith.detect.assess import AssessConfig, assess_detectors, leak_effect_of, save_thresholds
from lensmith.detect.evaluate import evaluate_detector
from lensmith.detect.thresholds import missed
from lensmith.predict.model import open_model
from lensmith.predict.results import Detections
from lensmith.report.target import parse_target
from lensmith.weights.bundle import read_bundle, rewrite_bundle
from tests.helpers import run_cv
from tests.predict.make_bundle import blocks, make_detector


def _make_ghosts(root: Path, splits: tuple[str, ...] = ("valid", "test"), count: int = 12) -> Path:
    """Each picture has a labelled block, which the model is sure of, and half of one that nobody labelled."""
    for split in splits:
        for part in ("images", "labels"):
            (root / split / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            x, y, channel = 16 * (number % 8), 16 * (number // 8), number % 3
            ghost = (16 * (number % 5), 96, 16 * (number % 5) + 7, 112, (number + 1) % 3)
            bgr = blocks(128, 128, (x, y, x + 16, y + 16, channel), ghost)
            assert cv2.imwrite(str(root / split / "images" / f"{split}{number}.png"), bgr)
            label = f"{channel} {(x + 8) / 128} {(y + 8) / 128} 0.125 0.125\n"
            (root / split / "labels" / f"{split}{number}.txt").write_text(label)
    (root / "data.yaml").write_text(
        "train: train/images\nval: valid/images\ntest: test/images\nnc: 3\nnames: [blue, green, red]\n"
    )
    return root


@pytest.fixture
def ghosts(workspace: Workspace) -> Dataset:
    return open_dataset(_make_ghosts(workspace.datasets / "ghosts"), workspace, to_measure=True)


def test_thresholds_for_a_target_are_chosen_saved_and_used(ghosts: Dataset, workspace: Workspace) -> None:
    bundle = make_detector(workspace.weights / "cells")
    picture = next(ghosts.items("test")).image
    model = open_model(bundle)
    prepared = model.prepare(cv2.imread(str(picture)))  # type: ignore[arg-type]
    (raw,) = model.infer([prepared])
    before = model.decode(raw, prepared, None)
    assert isinstance(before, Detections)
    assert len(before) == 2, "the ghost is shown"

    plain = assess_detectors([bundle], ghosts)
    assert plain.models[0].evaluation.scores.as_metrics()["precision"] == pytest.approx(0.5)
    assert sum(plain.models[0].counts["ghost"]) == 12
    done = assess_detectors([bundle], ghosts, AssessConfig(target="precision=0.9"))
    (one,) = done.models
    assert one.evaluation.split == "test"
    assert one.evaluation.scores.as_metrics()["precision"] == 1
    assert one.costs["ghost"] == 0
    assert any("12 validation boxes cannot support" in remark for remark in one.remarks)
    saved = save_thresholds(bundle, one, ghosts)
    assert saved.record.thresholds == pytest.approx(tuple(one.evaluation.thresholds.tolist()))
    again = open_model(read_bundle(bundle.folder)).decode(raw, prepared, None)
    assert isinstance(again, Detections)
    assert len(again) == 1, "predict uses them from now on"
    assert "shown above" in (bundle.folder / "README.md").read_text()


def test_a_target_that_test_pictures_miss_is_said_and_not_advised(ghosts: Dataset, workspace: Workspace) -> None:
    for label in sorted((ghosts.root / "test" / "labels").iterdir())[::2]:
        label.write_text("")
    bundle = make_detector(workspace.weights / "cells")
    dataset = open_dataset(ghosts.root, workspace, to_measure=True)
    (one,) = assess_detectors([bundle], dataset, AssessConfig(target="precision=0.9")).models
    (said,) = one.missed
    assert said.startswith("Asked for a precision of 0.90; on the 12 test pictures it came to 0.")
    assert one.remarks[0] == said
    lost = one.evaluation.with_thresholds([1.0, 1.0, 1.0])
    assert "no box is shown at all" in missed(lost, parse_target("precision=0.9"))[0]

    told = run_cv("evaluate", "ghosts", "--weights", "cells", "--target", "precision=0.9", cwd=workspace.root)
    assert "better not --save these thresholds" in told.stderr
    told = run_cv("evaluate", "ghosts", "--weights", "cells", "--target", "precision=0.9", "--save", cwd=workspace.root)
    assert f"blue 0.250 -> {one.evaluation.thresholds[0]:.3f}, green" in told.stderr


def test_thresholds_are_not_saved_that_were_chosen_by_other_counting(ghosts: Dataset, workspace: Workspace) -> None:
    bundle = make_detector(workspace.weights / "cells")
    (one,) = assess_detectors([bundle], ghosts, AssessConfig(target="precision=0.9")).models
    counted = replace(one, evaluation=replace(one.evaluation, protocol="ultralytics"))
    with pytest.raises(UsageError, match="protocol 'predict'"):
        save_thresholds(bundle, counted, ghosts)
    assert read_bundle(bundle.folder).record.thresholds is None


def test_what_is_said_with_a_target_is_said_of_its_thresholds(ghosts: Dataset, workspace: Workspace) -> None:
    bundle = make_detector(workspace.weights / "cells")
    bundle = rewrite_bundle(bundle, bundle.record.model_copy(update={"thresholds": (1.0, 1.0, 1.0)}))
    lost = "Nothing was taken for"
    assert any(lost in said for said in assess_detectors([bundle], ghosts).models[0].remarks)
    (one,) = assess_detectors([bundle], ghosts, AssessConfig(target="recall=0.9")).models
    assert one.evaluation.scores.as_metrics()["recall"] == 1
    assert not any(lost in said for said in one.remarks)


def test_a_better_model_is_told_from_a_worse_and_from_its_equal(ghosts: Dataset, workspace: Workspace) -> None:
    good = make_detector(workspace.weights / "good")
    bad = make_detector(workspace.weights / "bad", names=("green", "blue", "red"))
    twin = make_detector(workspace.weights / "twin")
    done = assess_detectors([good, bad, twin], ghosts)
    verdicts = {(first, second): one for first, second, one in done.comparisons}
    assert verdicts["good", "bad"].verdict == "worse"
    assert verdicts["good", "twin"].within_noise
    assert sum(done.models[1].counts["wrong class"]) == 8
    record = done.as_record()
    assert [one["name"] for one in record["models"]] == ["good", "bad", "twin"]
    assert record["comparisons"][0]["within_noise"] is False


def test_pictures_that_a_model_was_made_from_are_named(ghosts: Dataset, workspace: Workspace) -> None:
    bundle = make_detector(workspace.weights / "cells")
    learned = DatasetRef(name="ghosts", fingerprint=fingerprint(ghosts), path=str(ghosts.root))
    bundle = rewrite_bundle(bundle, bundle.record.model_copy(update={"dataset": learned}))
    said = " ".join(assess_detectors([bundle], ghosts, AssessConfig(split="valid")).models[0].remarks)
    assert "these very pictures" in said
    assert "these very" not in " ".join(assess_detectors([bundle], ghosts).models[0].remarks)


def test_pictures_of_another_dataset_that_the_model_has_seen_are_left_out(workspace: Workspace) -> None:
    """As after `cv split-dataset`: some of the new test pictures are old training pictures."""
    ghosts = open_dataset(_make_ghosts(workspace.datasets / "ghosts", ("train", "valid"), 3), workspace)
    anew = open_dataset(_make_ghosts(workspace.datasets / "anew", ("test",), 11), workspace, to_measure=True)
    bundle = make_detector(workspace.weights / "cells")
    learned = DatasetRef(name="ghosts", fingerprint=fingerprint(ghosts))  # as bundles are written: they name no path
    bundle = rewrite_bundle(bundle, bundle.record.model_copy(update={"dataset": learned, "run": "run-1"}))
    run = workspace.runs / "run-1"
    run.mkdir(parents=True)
    noted = learned.model_copy(update={"path": str(ghosts.root)})
    RunManifest(command="train-yolo", options={}, seed=0, device="cpu", dataset=noted).save(run)

    (one,) = assess_detectors([bundle], anew).models
    assert any("3 of the 11 pictures lie in 'ghosts' too" in remark for remark in one.remarks), one.remarks
    assert one.leak
    assert (one.leak.pictures, one.leak.leaked) == (11, 3)
    assert one.clean
    assert one.clean.pictures == 8
    assert one.leak.without_leaked == one.clean.as_metrics()["mAP50"]

    # Without the run the dataset is looked for under its name; changed, it is not what the model learned from.
    shutil.rmtree(run)
    assert assess_detectors([bundle], anew).models[0].leak == one.leak
    (ghosts.root / "valid" / "images" / "valid2.png").unlink()
    (changed,) = assess_detectors([bundle], anew).models
    assert changed.leak is None
    assert "lie in" not in " ".join(changed.remarks)


def test_without_validation_pictures_there_is_nothing_to_choose_by(workspace: Workspace) -> None:
    root = _make_ghosts(workspace.datasets / "few", ("test",), 3)
    few = open_dataset(root, workspace, to_measure=True)
    bundle = make_detector(workspace.weights / "cells")
    with pytest.raises(NotFoundError, match="no 'valid' pictures"):
        assess_detectors([bundle], few, AssessConfig(target="recall=0.9"))


def test_leaks_are_left_out_without_measuring_again(ghosts: Dataset, workspace: Workspace) -> None:
    evaluation = evaluate_detector(make_detector(workspace.weights / "cells"), ghosts, "test")
    assert leak_effect_of(evaluation, frozenset()) is None
    effect = leak_effect_of(evaluation, frozenset(evaluation.images[:4]))
    assert effect
    assert (effect.pictures, effect.leaked, effect.metric) == (12, 4, "mAP50")
    every = leak_effect_of(evaluation, frozenset(evaluation.images))
    assert every
    assert every.without_leaked is None


def test_the_rectangles_of_ultralytics_val() -> None:
    assert rectangles([(640, 480)], 640) == {(640, 480): (512, 672)}, "a margin of half a stride, rounded up"
    assert rectangles([(480, 640)], 320) == {(480, 640): (352, 256)}
    mixed = rectangles([(640, 480), (480, 640)], 320)
    assert set(mixed.values()) == {(352, 352)}, "lying and standing in one batch make a square"
