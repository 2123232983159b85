"""What "auto" chooses, and that it says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core.errors import UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect import choose
from lensmith.detect.choose import choose_family, choose_imgsz, choose_size
from lensmith.detect.config import YoloConfig
from lensmith.detect.probe import Step, choose_batch, choose_step
from lensmith.detect.start import choose_start
from lensmith.detect.survey import Survey, survey
from tests.helpers import make_yolo_dataset

FEW = Survey(pictures=150, boxes=600, classes=3, fewest=40, most_in_one=9, long_side=1024, small_box=0.05)
MANY = Survey(pictures=5000, boxes=40_000, classes=3, fewest=900, most_in_one=30, long_side=1920, small_box=0.01)


@pytest.fixture
def small(workspace: Workspace) -> Dataset:
    return open_dataset(make_yolo_dataset(workspace.datasets / "small", width=200, height=100), workspace)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a GPU with 16 GB; none of these rules touches it."""
    monkeypatch.setattr(choose, "memory_of", lambda _: (16 << 30, "GPU 0 with 17.2 GB", True))


def test_a_dataset_is_surveyed(small: Dataset) -> None:
    found = survey(small)
    assert (found.pictures, found.boxes, found.classes, found.fewest, found.most_in_one) == (4, 4, 2, 2, 1)
    assert found.long_side == 200
    assert 0.1 < found.small_box < 0.5


@pytest.mark.parametrize(
    ("found", "model", "side"),
    [
        pytest.param(FEW, "yolo26n", 320, id="large boxes"),
        pytest.param(MANY, "yolo26n", 640, id="small boxes, up to what a CPU can do"),
        pytest.param(Survey(9, 9, 1, 9, 1, 100, 0.5), "yolo26n", 128, id="small pictures"),
        pytest.param(Survey(9, 9, 1, 9, 1, 100, 0.5), "yolo26n-p6", 128, id="the grid of p6"),
        pytest.param(Survey(9, 9, 1, 9, 1, 2000, 0.028), "yolo26n-p6", 448, id="a multiple of 64"),
        pytest.param(Survey(9, 0, 1, 0, 0, 0, 0.0), "yolo26n", 320, id="nothing known"),
    ],
)
def test_pictures_are_as_large_as_their_small_boxes_need(found: Survey, model: str, side: int) -> None:
    chosen, why = choose_imgsz(found, model, "cpu")
    assert chosen == side
    assert f"--imgsz auto is {side}" in why


@pytest.mark.usefixtures("gpu")
def test_a_gpu_takes_larger_pictures() -> None:
    assert choose_imgsz(FEW, "yolo26n", "auto")[0] == 640
    assert choose_imgsz(MANY, "yolo26n", "auto")[0] == 1216
    assert "little for a detector" in choose_imgsz(Survey(9, 9, 1, 9, 1, 4000, 0.001), "yolo26n", "auto")[1]


def test_the_size_grows_with_the_data_but_little_on_a_cpu() -> None:
    assert choose_size("yolo26", FEW, 320, "cpu").value == "yolo26n"
    assert "150 training pictures with 600 boxes" in choose_size("yolo26", FEW, 320, "cpu").why
    much = choose_size("yolo26", MANY, 640, "cpu")
    assert much.value in {"yolo26n", "yolo26s"}
    assert "on a CPU" in much.why
    assert choose_size("yolov9", FEW, 320, "cpu").value == "yolov9t"


@pytest.mark.usefixtures("gpu")
def test_the_size_grows_with_the_data_as_far_as_memory_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_size("yolo26", MANY, 640, "auto").value == "yolo26m"
    monkeypatch.setattr(choose, "memory_of", lambda _: (2 << 30, "GPU 0 with 2.1 GB", True))
    tight = choose_size("yolo26", MANY, 640, "auto")
    assert tight.value in {"yolo26n", "yolo26s"}
    assert "does not fit GPU 0" in tight.why


def test_weights_that_are_here_decide_the_family(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = tmp_path / "elsewhere"
    loose.mkdir()
    (loose / "yolov8n.pt").write_bytes(b"x")
    monkeypatch.chdir(loose)
    assert choose_family(workspace).value == "yolo26", "a loose file in the current folder decides nothing"
    workspace.weights.mkdir()
    (workspace.weights / "yolo11s.pt").write_bytes(b"x")
    assert choose_family(workspace).value == "yolo11"
    assert "yolo11s.pt is here, and no weights of the newer yolo26 are" in choose_family(workspace).why


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (YoloConfig(size="s"), "yolo26s"),
        (YoloConfig(model="yolo11", size="m"), "yolo11m"),
        (YoloConfig(model="yolo11n", size="l"), "yolo11l"),
        (YoloConfig(model="yolo12", size="auto"), "yolo12n"),
        (YoloConfig(model="auto"), "yolo26n"),
        (YoloConfig(), "yolo26n"),
        (YoloConfig(model="rtdetr", size="l"), "rtdetr-l"),
    ],
)
def test_model_and_size_name_a_detector(small: Dataset, workspace: Workspace, config: YoloConfig, model: str) -> None:
    start = choose_start(config.model_copy(update={"from_scratch": True, "device": "cpu"}), workspace, small)
    assert start.model == model
    assert start.as_options()["model"] == model
    assert bool(start.why) == ("auto" in (config.model, config.size))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (YoloConfig(model="yolo11"), "n, s, m, l, x"),
        (YoloConfig(model="yolov9", size="x"), "t, s, m, c, e"),
        (YoloConfig(size="s", weights=Path("x.pt")), "nothing to choose"),
        (YoloConfig(model="auto", weights=Path("x.pt")), "nothing to choose"),
        (YoloConfig(model="yolo26n-p6"), "Nobody publishes"),
        (YoloConfig(model="yolov7"), "yolo11l"),
    ],
)
def test_what_cannot_be_chosen_is_said(small: Dataset, workspace: Workspace, config: YoloConfig, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choose_start(config.model_copy(update={"imgsz": 128}), workspace, small)


def test_the_batch_is_the_largest_that_is_nearly_the_fastest() -> None:
    gb = 10**9
    steps = [Step(2, 0.4, gb), Step(4, 0.41, gb), Step(8, 0.80, 2 * gb), Step(16, 2.0, 3 * gb)]
    assert choose_step(steps, 20 * gb)[0] == 8
    assert choose_step(steps, 2 * gb)[0] == 4
    assert choose_step(steps, gb)[0] == 2, "what was measured at all runs"
    assert "8: 0.100 s" in choose_step(steps, 20 * gb)[1]


def test_the_batch_is_measured_on_this_cpu(small: Dataset) -> None:
    batch, why = choose_batch("yolov8n", 64, survey(small), "cpu")
    assert batch in {2, 4}, "there are four training pictures"
    assert "seconds for each picture were 2: " in why
