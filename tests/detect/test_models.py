"""Names of detectors, and choices that do not go together."""

from __future__ import annotations

import pytest

from lensmith.core.errors import UsageError
from lensmith.detect.config import YoloConfig
from lensmith.detect.models import (
    asset_name,
    check_model_name,
    detector_names,
    load_architecture,
    model_of_checkpoint,
)


@pytest.mark.parametrize(
    ("given", "name", "scale", "asset"),
    [
        ("yolo26n", "yolo26n", "n", "yolo26n.pt"),
        ("YOLO11x", "yolo11x", "x", "yolo11x.pt"),
        ("yolov8m.pt", "yolov8m", "m", "yolov8m.pt"),
        ("yolo26s-p6", "yolo26s-p6", "s", "yolo26s-p6.pt"),
        ("yolov10b", "yolov10b", "b", "yolov10b.pt"),
        ("yolov9c", "yolov9c", "", "yolov9c.pt"),
        ("yolov5n", "yolov5n", "n", "yolov5nu.pt"),
        ("yolov5l-p6", "yolov5l-p6", "l", "yolov5l6u.pt"),
        ("yolov3-tiny", "yolov3-tiny", "", "yolov3-tinyu.pt"),
        ("RTDETR-L", "rtdetr-l", "l", "rtdetr-l.pt"),
        ("rtdetr-resnet50", "rtdetr-resnet50", "l", "rtdetr-resnet50.pt"),
        ("yolov8n-rtdetr", "yolov8n-rtdetr", "n", "yolov8n-rtdetr.pt"),
    ],
)
def test_a_known_name_has_a_packaged_architecture(given: str, name: str, scale: str, asset: str) -> None:
    assert check_model_name(given) == name
    architecture = load_architecture(name)
    assert architecture["scale"] == scale
    assert architecture["yaml_file"] == f"{name}.yaml"
    assert {"backbone", "head"} <= architecture.keys()
    assert asset_name(name) == asset
    assert model_of_checkpoint(architecture) == name


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("yolo26q", "use yolo26n or yolo26s or yolo26m or yolo26l or yolo26x"),
        ("yolov9z", "use yolov9t or yolov9s or yolov9m or yolov9c or yolov9e"),
        ("yolov7", "yolo11l"),
        ("yolov7-tiny", "yolo11s"),
        ("yolo11n-seg", "outlines"),
        ("yolov8n-cls", "cv finetune"),
        ("yolo26n-pose", "body points"),
        ("yolo11s-obb", "rotated"),
        ("resnet50", "rtdetr-resnet50"),
        ("nothing like it", "yolo26n"),
        ("../../x", "yolo26n"),
        ("", "yolo26n"),
    ],
)
def test_another_name_is_answered_with_a_near_one(given: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_model_name(given)
    assert says in str(refused.value)


def test_no_name_is_of_another_task() -> None:
    words = ("seg", "pose", "obb", "cls", "world", "yoloe", "depth", "sem")
    assert not [name for name in detector_names() if any(word in name for word in words)]


def test_a_checkpoint_of_an_unknown_architecture_has_no_name() -> None:
    assert model_of_checkpoint({"yaml_file": "/somewhere/mine.yaml", "scale": "n"}) is None
    assert model_of_checkpoint({"yaml_file": "yolo11.yaml", "scale": "s"}) == "yolo11s"
    assert model_of_checkpoint({}) is None


@pytest.mark.parametrize(
    ("config", "model", "says"),
    [
        (YoloConfig(imgsz=100), "yolo26n", "use 96 or 128"),
        (YoloConfig(imgsz=96), "yolo26n-p6", "use 128 or 192"),
        (YoloConfig(from_scratch=True, weights="x.pt"), "yolo26n", "--weights"),  # type: ignore[arg-type]
        (YoloConfig(from_scratch=True, freeze=3), "yolo26n", "--freeze"),
    ],
)
def test_choices_that_do_not_go_together(config: YoloConfig, model: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        config.check(model)
    assert says in str(refused.value)
