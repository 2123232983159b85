"""Choices that do not go together, or that a detector cannot take."""

from __future__ import annotations

from typing import Any

import pytest

from lensmith.core.errors import UsageError
from lensmith.detect.config import YoloConfig


@pytest.mark.parametrize(
    ("model", "chosen", "says"),
    [
        ("yolov8n", {"freeze": 30}, "--freeze backbone, which keeps the first 10"),
        ("yolo26n", {"freeze": "backbone", "unfreeze_after": 5, "epochs": 5}, "fewer than 5"),
        ("yolo26n", {"freeze": "backbone", "unfreeze_after": 2, "device": "0,1"}, "several GPUs"),
        ("yolo26n", {"unfreeze_after": 2}, "--freeze backbone"),
        ("yolo26n", {"target": "speed=1"}, "speed"),
        ("rtdetr-l", {"balance": "weights"}, "--balance resample"),
        ("yolo26n", {"balance": "resample", "settings": {"rect": True}}, "leave out --set rect=true"),
        ("yolo26n", {"imgsz": 100}, "use 96 or 128"),
        ("yolo26n", {"from_scratch": True, "freeze": "backbone"}, "learn nothing"),
    ],
)
def test_it_is_refused_with_what_to_do(model: str, chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        YoloConfig(**chosen).check(model)
    assert says in str(refused.value)


def test_what_hangs_on_the_model_waits_until_it_is_known() -> None:
    YoloConfig(freeze=30, imgsz=100).check(None)


def test_one_gpu_can_unfreeze() -> None:
    YoloConfig(freeze="backbone", unfreeze_after=2, device="gpu").check("yolo26n")
