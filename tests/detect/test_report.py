"""The page of a detector's run: what it says, what it shows of the mistakes, and that it is one safe file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.arrays import read_arrays
from lensmith.core.errors import DataError
from lensmith.core.files import sha256_of
from lensmith.core.manifest import DatasetRef, RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Split
from lensmith.datasets.read import open_dataset
from lensmith.detect.assess import Assessed, Assessment
from lensmith.detect.errors import sort_errors
from lensmith.detect.evaluate import Evaluation, Picture
from lensmith.detect.gallery import draw_mistake
from lensmith.detect.report import write_evaluation_page, write_report
from lensmith.detect.tiles import Trial
from lensmith.predict.results import Detections, Skipped
from lensmith.report.bootstrap import Figure
from lensmith.report.paired import Difference
from lensmith.report.target import parse_target
from lensmith.weights.bundle import Bundle, Tiles
from tests.detect.conftest import Story
from tests.detect.test_history import write_results
from tests.helpers import make_yolo_dataset
from tests.predict.make_bundle import make_detector
from tests.report.reading import Reader

NAMES = ("cat", "<b>dög", "eel")
RISING = ("1,10,3,2,0.1,0.2,0.3,0.4,1.5,1.5,0.01,0.02", "2,60,1,2,0.1,0.2,0.4,0.5,1,2,0.01,0.02",
          "3,130,1,1,0.1,0.2,0.4,0.45,2,2.5,0.01,0.02")  # fmt: skip
LEARNED_BY_HEART = (*RISING, *(f"{n},130,1,1,0.1,0.2,0.4,0.45,2,2.5,0.01,0.02" for n in range(4, 12)))


def findings(workspace: Workspace, split: Split) -> Evaluation:
    """All kinds of mistakes, one a picture from the second picture on; the first is right."""
    dataset = open_dataset("pets", workspace)
    pictures = []
    for number, item in enumerate(dataset.items(split)):
        boxes, _ = dataset.boxes(item)
        xyxy, ids = boxes.xyxy(64, 48), boxes.class_id
        box, sure = xyxy[0], np.array([0.9], np.float32)
        said = [(xyxy, ids), (xyxy[:0], ids[:0]), (xyxy, 1 - ids), (xyxy + np.array([14, 0, 14, 0]), ids),
                (np.stack([box, box + 1]), np.repeat(ids, 2)), (np.vstack([xyxy, [[0, 0, 3, 3]]]), np.append(ids, 0)),
                ][number % 6]  # fmt: skip
        found = Detections(said[0].astype(np.float32), said[1], np.repeat(sure, len(said[1])))
        pictures.append(Picture(item.image, 64, 48, found, xyxy, ids))
    return Evaluation("pets", split, NAMES, tuple(pictures), (), np.array([0.25, 0.4, 0.25], np.float32), imgsz=128)


def assessed(evaluation: Evaluation, *remarks: str) -> Assessed:
    return Assessed(evaluation, None, None, {}, {}, remarks)


def make_run(workspace: Workspace, *lines: str, **options: object) -> tuple[Path, Bundle]:
    run = workspace.runs / "train-yolo-pets"
    run.mkdir(parents=True)
    manifest = RunManifest(
        command="train-yolo", seed=3, device="cpu", dataset=DatasetRef(name="pets", fingerprint="ab" * 32),
        options={"epochs": 3, "batch": 16, "freeze": "backbone", "unfreeze_after": 1, "augment": None, "patience": 9,
                 "start_from": "/somewhere/coco.pt", "start_origin": "a mirror", "settings": {"fliplr": 0}, **options},
        timings={"train": 64.0}, result={"skipped": [[str(workspace.datasets / "pets/train/lost.png"), "cut off"]]},
    )  # fmt: skip
    manifest.end(run, "done")
    if lines:
        write_results(run, *lines)
    return run, make_detector(workspace.weights / "<i>pets", NAMES, family="yolo26n")


def pets(workspace: Workspace, **counts: int) -> Path:
    return make_yolo_dataset(
        workspace.datasets / "pets", {"train": 22, "valid": 6, "test": 12} | counts, names=NAMES[:2]
    )


def test_the_page_of_a_run(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    root = pets(workspace)
    shutil.copyfile(root / "train/images/train-000.png", root / "test/images/test-000.png")
    shutil.copyfile(root / "train/labels/train-000.txt", root / "test/labels/test-000.txt")
    for label in sorted((root / "train/labels").iterdir())[3::2]:
        label.write_text("")  # of the second class one is left
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("nc: 2", "nc: 3") + "- eel\n")
    run, bundle = make_run(workspace, *LEARNED_BY_HEART)
    manifest = RunManifest.load(run)
    worth = Difference("", "mAP50-95", Figure(0.2, 0.1, 0.3), Figure(0.4, 0.3, 0.5), Figure(0.2, 0.1, 0.3), 9)
    trial = Trial(Tiles(size=320), worth, (11.0, 44.0), findings(workspace, "valid"), complete=True)
    manifest.result["tiles"] = trial.as_record(used=True)
    manifest.save(run)
    test = findings(workspace, "test")
    test = replace(test, skipped=(Skipped(str(root / "test/images/odd & <i>.png"), "cut off"),))
    path = write_report(run, bundle, [findings(workspace, "valid"), test], open_dataset("pets", workspace))
    html = path.read_text(encoding="utf-8")
    page, scores = Reader(html), test.scores
    assert scores.map50 is not None
    for said in (
        "<i>pets",
        "A detector of 3 classes (yolo26n, 128 pixels), trained on pets (22 train, 6 valid, 12 test pictures)",
        f"mAP50{scores.map50.value:.3f}{scores.map50.low:.3f} to {scores.map50.high:.3f}",
        "Only 12 test pictures were measured",
        "No test picture shows eel",
        "without the 1 that leaks",
        "could not be used and did not count: test/images/odd & <i>.png: cut off",
        "No training picture shows eel",
        "The training pictures hold 11 boxes of cat and 1 of <b>dög",
        "After epoch 1 the loss on validation pictures rises (3.00 to 4.50)",
        "The model that ships is that of epoch 2 of 11",
        "The epochs took 2 min on cpu",
        "coco.pt (a mirror)",
        "the backbone until epoch 1 was over",
        "fliplr=0",
        "On each split",
        "It does so: mAP50-95 on 9 validation pictures is +20.0 (+10.0 to +30.0) points higher with tiles, better.",
        "44 ms",
        "Found where nothing is labelled",
        "0.400",
        "Missed: 2 times",
        "Is '<b>dög'. test/images/",
        "found '<b>dög' 90%, overlap 0.",
        "train/lost.png",
        "cv compare train-yolo-pets RUN",
        "Last column: not found.",
        "seconds: train",
    ):
        assert said in page.text, said
    assert "warning: After epoch 1 the loss" in capfd.readouterr().err
    assert {"svg", "img", "table"} <= set(page.tags)
    assert not {"script", "i", "b", "link", "iframe"} & (set(page.tags) - {"b"})
    assert "<b>dög" not in html
    assert "<i>pets" not in html
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert str(workspace.root) not in page.text
    assert len(html) < 2_000_000


def test_a_run_without_test_pictures_or_history(workspace: Workspace) -> None:
    pets(workspace, test=0)
    run, bundle = make_run(workspace, start_from=None, freeze=0, target="precision=0.9")
    page = Reader(
        write_report(run, bundle, [findings(workspace, "valid")], open_dataset("pets", workspace)).read_text()
    )
    assert "There are no test pictures: these figures come from the valid pictures" in page.text
    assert "The run kept no history" in page.text
    assert "random numbers" in page.text
    assert "Thresholds for precision=0.9" in page.text
    assert "On each split" not in page.text
    write_results(run).joinpath("train/results.csv").write_text("odd")
    with pytest.raises(DataError, match="no table of epochs"):
        write_report(run, bundle, [findings(workspace, "valid")], open_dataset("pets", workspace))


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        pytest.param(
            RISING,
            {"epochs": 20, "patience": 1},
            "3 of 20 epochs (early stopping: 1 epoch without a better one)",
            id="patience",
        ),
        pytest.param(
            RISING, {"epochs": 20, "time": 120.0}, "3 of 20 epochs (the 2 min of --time were over)", id="time"
        ),
        pytest.param(RISING[:2], {"epochs": 2}, "more epochs may still help (cv resume", id="the last one was best"),
    ],
)
def test_why_training_ended(workspace: Workspace, lines: tuple[str, ...], options: dict, said: str) -> None:
    pets(workspace)
    run, bundle = make_run(workspace, *lines, **options)
    manifest = RunManifest.load(run)
    manifest.result["trained"], manifest.status = True, "running"  # as it is when the page is written
    manifest.save(run)
    valid = findings(workspace, "valid")
    assert said in Reader(write_report(run, bundle, [valid], open_dataset("pets", workspace)).read_text()).text


def test_pictures_without_boxes_have_a_page_too(workspace: Workspace) -> None:
    root = pets(workspace)
    for label in (root / "valid/labels").iterdir():
        label.write_text("")
    run, bundle = make_run(workspace, *RISING)
    dataset = open_dataset("pets", workspace)
    pictures = tuple(Picture(item.image, 64, 48, Detections.empty(), *_none()) for item in dataset.items("valid"))
    empty = Evaluation("pets", "valid", NAMES, pictures, (), np.full(3, 0.25, np.float32))
    page = Reader(write_report(run, bundle, [empty], dataset).read_text())
    assert "No valid picture has a box, so there is nothing to measure" in page.text
    assert "There are none: at its thresholds" in page.text
    ghost = Detections(np.array([[1, 1, 9, 9]], np.float32), np.array([0]), np.array([0.8], np.float32))
    haunted = replace(empty, pictures=(replace(pictures[0], found=ghost),))
    assert "Ghost: 1 time" in Reader(write_report(run, bundle, [haunted], dataset).read_text()).text


def _none() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((0, 4), np.float32), np.zeros(0, np.int64)


def test_the_page_of_an_evaluation(workspace: Workspace) -> None:
    pets(workspace)
    dataset = open_dataset("pets", workspace)
    first = findings(workspace, "test")
    other = replace(first, model="other/<x>", pictures=first.pictures[:3])
    worth = Difference("", "mAP50-95", Figure(0.4, 0.3, 0.5), Figure(0.3, 0.2, 0.4), Figure(-0.1, -0.3, 0.1), 9)
    assessment = Assessment(
        (assessed(first, "Few.", "Mind the gap."), assessed(other, "Few.")),
        (("pets", "other/<x>", worth),),
        parse_target("recall=0.9"),
    )
    path = write_evaluation_page(assessment, dataset, workspace)
    assert path.parent == workspace.root / "reports"
    assert path.name.startswith("evaluate-pets-pets-other")
    page = Reader(path.read_text(encoding="utf-8"))
    for said in (
        "Few. pets: Mind the gap.",
        "tells of pets.",
        "-10.0 (-30.0 to +10.0)within noise",
        "other/<x>",
        "Thresholds for recall=0.9",
        "Missed",
    ):
        assert said in page.text, said
    assert "The training" not in page.text


def test_many_classes_tell_what_is_mixed_up(workspace: Workspace) -> None:
    pets(workspace)
    names = tuple(f"class-{number}" for number in range(85))
    evaluation = findings(workspace, "test")
    image = evaluation.pictures[0].image
    boxes = np.array([[9 * k % 50, 5, 9 * k % 50 + 8, 20] for k in range(6)], np.float32)
    pictures = tuple(
        Picture(image, 64, 48, Detections(boxes, (ids + (ids == 3)) % 85, np.full(6, 0.9, np.float32)), boxes, ids)
        for ids in (np.arange(start, start + 6) % 85 for start in range(0, 85, 6))
    )
    many = Evaluation("many", "test", names, pictures, (), np.full(85, 0.25, np.float32))
    page = Reader(
        write_evaluation_page(Assessment((assessed(many),)), open_dataset("pets", workspace), workspace).read_text()
    )
    assert "What is mixed up most often" in page.text
    assert "class-3class-42" in page.text.replace(" ", "")
    assert "of the 7 hardest classes and of the mean of all" in page.text


def test_a_mistake_is_cut_out_and_both_boxes_are_drawn(workspace: Workspace) -> None:
    """A tiny object in a large picture fills a good part of what is shown."""
    true, found = np.array([[700, 500, 720, 520]], np.float32), np.array([[705, 505, 725, 525]], np.float32)
    picture = Picture(
        Path("x.png"), 1000, 800, Detections(found, np.array([0]), np.array([0.9], np.float32)), true, np.array([1])
    )
    evaluation = Evaluation("m", "test", NAMES, (picture,), (), np.full(3, 0.25, np.float32))
    grey = np.full((800, 1000, 3), 128, np.uint8)
    for mistake in sort_errors(evaluation):
        view = draw_mistake(grey, picture, mistake)
        assert max(view.shape[:2]) == 320
        green, orange = ((view == colour).all(axis=2).sum() for colour in ((64, 190, 40), (0, 100, 255)))
        assert (green > 100) == (mistake.true is not None)
        assert (orange > 50) == (mistake.found is not None)
    assert (grey == 128).all()
    at_the_edge = replace(picture, xyxy=np.array([[0, 0, 1000, 800]], np.float32))
    (missed,) = [one for one in sort_errors(replace(evaluation, pictures=(at_the_edge,))) if one.kind == "missed"]
    assert draw_mistake(grey, at_the_edge, missed).shape == (256, 320, 3)


def test_a_picture_that_is_gone_is_not_shown(workspace: Workspace) -> None:
    pets(workspace)
    evaluation = findings(workspace, "test")
    dataset = open_dataset("pets", workspace)
    for picture in evaluation.pictures:
        picture.image.unlink()
    page = Reader(write_evaluation_page(Assessment((assessed(evaluation),)), dataset, workspace).read_text())
    assert "img" not in page.tags
    assert json.dumps(str(workspace.root)) not in page.text


@pytest.mark.torch
def test_a_training_ends_with_its_page(trained: Story) -> None:
    page = trained.run / "report.html"
    text = Reader(page.read_text(encoding="utf-8")).text
    assert "A detector of 2 classes (yolo26n, 64 pixels)" in text
    assert "The model that ships is that of epoch" in text
    about, arrays = read_arrays(trained.run / "evaluation-test.npz", "")
    assert about["sha256"] == [sha256_of(Path(image)) for image in about["images"]]
    assert len(arrays["sizes"]) == len(about["images"])
