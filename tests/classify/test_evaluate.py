"""Measuring classifiers on pictures whose answers are known, through the loop that predicts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.classify.assess import AssessConfig, assess_classifiers, leak_effect_of, save_thresholds
from lensmith.classify.bundling import calibrate, finish_bundle, measure
from lensmith.classify.evaluate import evaluate_classifier
from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.core.manifest import DatasetRef
from lensmith.core.workspace import Workspace
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.predict.ensemble import open_models
from lensmith.predict.loop import predict_frames
from lensmith.predict.results import Scores
from lensmith.predict.sources import PictureSource
from lensmith.report.target import parse_target
from lensmith.weights.bundle import Bundle, open_bundle, read_bundle, rewrite_bundle
from tests.helpers import make_folder_dataset, make_yolo_dataset
from tests.predict.make_bundle import COLOURS, make_classifier, make_detector

SPLITS = {"train": 4, "valid": 20, "test": 12}


def make_tints(root: Path, splits: dict[str, int] = SPLITS, names: tuple[str, ...] = COLOURS, seed: int = 0) -> Path:
    """Pictures that lean towards blue, green or red, some of them not enough to tell; class by class."""
    rng = np.random.default_rng(seed)
    for split, count in splits.items():
        for name in names:
            for number in range(count):
                colour = rng.normal(120, 12, 3)
                colour[COLOURS.index(name)] += rng.normal(14, 10)
                bgr = np.clip(rng.normal(colour, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
                path = root / split / name / f"{split}-{name}-{number:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), bgr)
    return root


@pytest.fixture
def tints(workspace: Workspace) -> Dataset:
    make_tints(workspace.datasets / "tints")
    return open_dataset("tints", workspace)


@pytest.fixture
def tint(workspace: Workspace) -> Bundle:
    return make_classifier(workspace.weights / "tint")


def with_record(bundle: Bundle, **changes: object) -> Bundle:
    return rewrite_bundle(bundle, bundle.record.model_copy(update=changes))


def test_says_what_predict_says(tints: Dataset, tint: Bundle) -> None:
    """The same temperature, the same thresholds, the same answers."""
    bundle = with_record(tint, temperature=2.5, thresholds=(0.5, 0.35, 0.9))
    found = evaluate_classifier(bundle, tints, "test")
    source = PictureSource("test", [item.image for item in tints.items("test")])
    for number, prediction in enumerate(predict_frames(source, open_models([bundle]))):
        assert isinstance(prediction.result, Scores)
        np.testing.assert_allclose(found.probability[number], prediction.result.probability, atol=1e-6)
        assert (prediction.result.class_id is None) == (not found.answered[number])
    assert found.scores.ece_before != found.scores.ece
    assert 0 < found.scores.unknown < 1


def test_classes_are_matched_by_name(workspace: Workspace, tints: Dataset, tint: Bundle) -> None:
    turned = make_classifier(workspace.weights / "turned", ("red", "blue", "green"))
    found = evaluate_classifier(turned, tints, "test")
    assert [turned.record.names[label] for label in found.labels] == [image.parent.name for image in found.images]
    make_tints(workspace.datasets / "two", {"train": 1, "test": 5}, ("green", "red"))
    two = evaluate_classifier(tint, open_dataset("two", workspace), "test")
    assert two.scores.classes[0].pictures == 0
    make_folder_dataset(workspace.datasets / "pets")
    with pytest.raises(DataError, match="cat, dog, which the model does not know; it knows blue, green, red"):
        evaluate_classifier(tint, open_dataset("pets", workspace), "test")


def test_pictures_that_cannot_be_read_are_named_and_the_labels_stay_right(tints: Dataset, tint: Bundle) -> None:
    before = evaluate_classifier(tint, tints, "test")
    spoilt = before.images[3]
    spoilt.write_bytes(b"no picture")
    found = evaluate_classifier(tint, tints, "test")
    assert [Path(entry.path) for entry in found.skipped] == [spoilt]
    assert found.images == before.images[:3] + before.images[4:]
    np.testing.assert_allclose(found.probability, np.delete(before.probability, 3, axis=0), atol=1e-6)
    assert np.array_equal(found.labels, np.delete(before.labels, 3))


def test_what_cannot_be_measured(workspace: Workspace, tints: Dataset, tint: Bundle) -> None:
    with pytest.raises(NotFoundError, match="but those left out"):
        evaluate_classifier(tint, tints, "test", without=[item.image for item in tints.items("test")])
    with pytest.raises(DataError, match="is a detector"):
        evaluate_classifier(make_detector(workspace.weights / "cells"), tints, "test")
    make_yolo_dataset(workspace.datasets / "boxes")
    with pytest.raises(DataError, match="has boxes"):
        evaluate_classifier(tint, open_dataset("boxes", workspace), "test")
    for item in tints.items("test"):
        item.image.write_bytes(b"no picture")
    with pytest.raises(DataError, match="No picture of the split 'test'"):
        evaluate_classifier(tint, tints, "test")


def test_mistakes_and_doubts_come_in_order(tints: Dataset, tint: Bundle) -> None:
    found = evaluate_classifier(tint, tints, "test")
    sure = found.probability.max(axis=1)
    wrong = found.mistakes()
    assert len(wrong) == (~found.right).sum() > 1
    assert (np.diff(sure[wrong]) <= 0).all()
    ranked = np.sort(found.probability, axis=1)
    margin = ranked[:, -1] - ranked[:, -2]
    assert (np.diff(margin[found.doubtful()]) >= 0).all()


def test_an_ensemble_is_what_its_members_say_on_average(workspace: Workspace, tints: Dataset, tint: Bundle) -> None:
    other = with_record(make_classifier(workspace.weights / "other", ("red", "blue", "green")), temperature=4.0)
    both = evaluate_classifier([tint, other], tints, "test")
    first, second = evaluate_classifier(tint, tints, "test"), evaluate_classifier(other, tints, "test")
    np.testing.assert_allclose(both.probability, (first.probability + second.probability[:, [1, 2, 0]]) / 2, atol=1e-6)
    assert [member.model for member in both.members] == ["tint", "other"]
    assert both.members[1].scores.accuracy == second.scores.accuracy


def test_what_an_ensemble_buys(workspace: Workspace, tints: Dataset, tint: Bundle) -> None:
    """The same model again buys nothing; one that takes every class for another loses, beyond noise."""
    same = with_record(make_classifier(workspace.weights / "same"), temperature=4.0)
    done = assess_classifiers([tint, same], tints)
    assert [gain.difference for gain in done.gains] == [(0, 0, 0), (0, 0, 0)]
    assert all(gain.within_noise and "within noise" in str(gain) for gain in done.gains)
    assert json.loads(json.dumps(done.as_record()))["ensemble"]["name"] == "tint + same"
    wrong = with_record(make_classifier(workspace.weights / "wrong", ("red", "blue", "green")), temperature=0.2)
    over_right, over_wrong = assess_classifiers([tint, wrong], tints).gains
    assert over_right.difference.high < 0 <= over_wrong.difference.high
    assert "less accurate than 'tint' alone" in str(over_right)
    assert "noise" not in str(over_right)


def test_leaks_are_found_and_scored_apart(tints: Dataset, tint: Bundle) -> None:
    before = evaluate_classifier(tint, tints, "test")
    leaking = [before.images[number] for number in before.mistakes()[:3]]
    for image in leaking:
        shutil.copyfile(image, tints.root / "train" / image.parent.name / f"copy of {image.name}")
    done = assess_classifiers([tint], tints)
    assert done.leak is not None
    assert (done.leak.split, done.leak.leaked, done.leak.pictures) == ("test", 3, 36)
    clean = evaluate_classifier(tint, tints, "test", without=leaking)
    assert done.leak.without_leaked == clean.scores.accuracy.value
    assert done.leak.with_leaked == before.scores.accuracy.value
    assert leak_effect_of(before, frozenset(before.images)).without_leaked is None  # pyright: ignore[reportOptionalMemberAccess]
    assert "without the 3 that leak" in done.leak.sentence("tint")


def test_thresholds_are_chosen_on_valid_and_kept_in_the_bundle(
    workspace: Workspace, tints: Dataset, tint: Bundle
) -> None:
    tint = with_record(tint, confidence=0.0)
    done = assess_classifiers([tint], tints, AssessConfig(target="precision=0.9"))
    assert done.target is not None
    assert done.target.evaluation.scores.unknown > done.evaluation.scores.unknown
    valid = evaluate_classifier(tint, tints, "valid").calibrated(1.0, done.target.evaluation.thresholds.tolist())
    for k, name in enumerate(valid.names):
        answers = valid.answered & (valid.predicted == k)
        assert valid.labels[answers].tolist().count(k) >= 0.9 * answers.sum() or name in " ".join(done.target.remarks)
    model = (tint.folder / "model.onnx").read_bytes()
    save_thresholds(tint, done.target, tints)
    again = open_bundle("tint", workspace)  # which checks every hash
    assert again.record.thresholds == pytest.approx(done.target.evaluation.thresholds.tolist())
    assert again.record.created == tint.record.created
    assert (again.folder / "model.onnx").read_bytes() == model
    assert "'unknown' below" in (again.folder / "README.md").read_text()
    assert assess_classifiers([again], tints).evaluation.scores.unknown == done.target.evaluation.scores.unknown


def test_targets_that_cannot_be_served(workspace: Workspace, tint: Bundle) -> None:
    with pytest.raises(UsageError, match="no target"):
        AssessConfig(target="precision")
    make_tints(workspace.datasets / "bare", {"train": 1, "test": 4})
    bare = open_dataset("bare", workspace)
    with pytest.raises(NotFoundError, match="on which thresholds are chosen"):
        assess_classifiers([tint], bare, AssessConfig(target="recall=0.9"))
    with pytest.raises(NotFoundError, match="no 'valid'"):
        assess_classifiers([tint], bare, AssessConfig(split="valid"))


def test_an_ensembles_thresholds_belong_to_nobody(workspace: Workspace, tints: Dataset, tint: Bundle) -> None:
    other = make_classifier(workspace.weights / "other")
    done = assess_classifiers([tint, other], tints, AssessConfig(target="recall=0.9"))
    assert done.target is not None
    with pytest.raises(UsageError, match="none of them"):
        save_thresholds(tint, done.target, tints)


@pytest.mark.parametrize("measured", ["on the same pictures", "on others"])
def test_saved_thresholds_leave_no_figures_of_the_old_ones(measured: str, tints: Dataset, tint: Bundle) -> None:
    splits = {split: list(tints.items(split)) for split in ("valid", "test")}
    reference = DatasetRef(name="tints", fingerprint=fingerprint(tints) if measured == "on the same pictures" else "x")
    evaluations = measure(with_record(tint, dataset=reference), splits, "cpu", parse_target("precision=0.8"))
    bundle = finish_bundle(tint.folder, read_bundle(tint.folder), evaluations)
    done = assess_classifiers([bundle], tints, AssessConfig(target="precision=0.95"))
    assert done.target is not None
    old, new = bundle.record.metrics, done.target.evaluation.scores
    assert new.accuracy_answered is not None
    assert 0 < new.answered < old["answered"]
    again = save_thresholds(bundle, done.target, tints).record
    expected = {"answered": new.answered, "accuracy_answered": new.accuracy_answered.value}
    assert {name: value for name, value in again.metrics.items() if "answered" in name} == (
        expected if measured == "on the same pictures" else {}
    )
    assert {**old, **expected} == {**again.metrics, **expected}
    assert f"answered: {old['answered']:.4f}" not in (bundle.folder / "README.md").read_text()


def test_what_the_model_has_seen_is_said(tints: Dataset, tint: Bundle) -> None:
    known = with_record(tint, dataset=DatasetRef(name="tints", fingerprint=fingerprint(tints)))
    said = " ".join(assess_classifiers([known], tints, AssessConfig(split="train")).remarks)
    assert "'tint' was trained on these very pictures" in said
    assert "Only 12 train pictures" in said
    assert "calibrated by these" in " ".join(assess_classifiers([known], tints, AssessConfig(split="valid")).remarks)
    assert "these very" not in " ".join(assess_classifiers([known], tints).remarks)
    assert "these very" not in " ".join(assess_classifiers([tint], tints, AssessConfig(split="train")).remarks)


def test_pictures_of_another_dataset_that_the_model_has_seen_are_said(
    workspace: Workspace, tints: Dataset, tint: Bundle
) -> None:
    """As after `cv split-dataset`: some of the new test pictures are old training pictures."""
    root = make_tints(workspace.datasets / "anew", {"test": 4}, seed=1)
    for n, path in enumerate(sorted((tints.root / "train").rglob("*.png"))[::4]):
        shutil.copyfile(path, root / "test" / path.parent.name / f"old {n}.png")
    anew = open_dataset("anew", workspace, to_measure=True)
    reference = DatasetRef(name="tints", fingerprint=fingerprint(tints), path=str(tints.root))
    said = assess_classifiers([with_record(tint, dataset=reference)], anew).remarks
    assert any("3 of the 15 pictures lie in 'tints' too" in remark for remark in said), said
    under_its_name = reference.model_copy(update={"path": None})  # as bundles are written
    said = assess_classifiers([with_record(tint, dataset=under_its_name)], anew).remarks
    assert any("3 of the 15 pictures lie in 'tints' too" in remark for remark in said), said
    changed = reference.model_copy(update={"fingerprint": "of what it was before"})
    gone = under_its_name.model_copy(update={"name": "gone"})
    for unknown in (changed, gone):
        assert "lie in" not in " ".join(assess_classifiers([with_record(tint, dataset=unknown)], anew).remarks)


def test_a_run_ends_in_a_calibrated_bundle(workspace: Workspace, tints: Dataset, tint: Bundle) -> None:
    """Temperature and thresholds from the validation pictures alone; the figures are those of the finished bundle."""
    splits = {split: list(tints.items(split)) for split in ("valid", "test")}
    evaluations = measure(tint, splits, "cpu", parse_target("precision=0.8"))
    bundle = finish_bundle(workspace.weights / "done", tint, evaluations)
    record = read_bundle(bundle.folder).record
    assert record.temperature == evaluations[0].temperature == evaluations[1].temperature != 1
    assert record.thresholds is not None
    assert record.metrics_split == "test"
    assert '"pictures":36,' in record.model_dump_json(include={"metrics"}), "a count"
    again = evaluate_classifier(bundle, tints, "test")
    np.testing.assert_allclose(again.probability, evaluations[1].probability, atol=1e-6)
    assert record.metrics["accuracy"] == again.scores.accuracy.value
    assert record.metrics["answered"] == again.scores.answered
    assert record.metrics["ece_before"] != record.metrics["ece"]
    # Other test pictures change nothing about the calibration.
    fewer = measure(tint, {**splits, "test": splits["test"][:5]}, "cpu", parse_target("precision=0.8"))
    assert fewer[0].temperature == record.temperature
    card = (bundle.folder / "README.md").read_text()
    assert "calibrated" in card
    assert "95% interval" in card


def test_few_validation_pictures_leave_the_probabilities_alone(
    tints: Dataset, tint: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    few = {"valid": list(tints.items("valid"))[:6]}
    (found,) = measure(tint, few, "cpu")
    assert found.temperature == 1
    assert "6 valid pictures are too few" in capfd.readouterr().err
    assert calibrate(found, None) == (1.0, None)


def test_a_changed_bundle_is_not_rewritten(tint: Bundle) -> None:
    (tint.folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(LensmithError, match="changed"):
        with_record(tint, temperature=2.0)
