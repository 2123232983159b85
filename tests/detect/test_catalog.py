"""What is said of each detector is what the installed Ultralytics has."""

from __future__ import annotations

import math

import pytest

from lensmith.core.errors import NotFoundError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.detect.catalog import cards, families, family_of, named, training_bytes
from lensmith.detect.catalog_table import TABLE
from lensmith.detect.listing import list_detectors
from lensmith.detect.models import detector_names, grid_of, has_pretrained, is_transformer


def test_the_table_knows_every_detector() -> None:
    assert set(TABLE) == set(detector_names()), "run benchmarks/detector_catalog.py again"
    for family in ("yolov3", "yolov5n", "yolov6n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n",
                   "rtdetr-l", "rtdetr-x", "yolov8n-rtdetr"):  # fmt: skip
        assert family in TABLE


@pytest.mark.parametrize(
    ("name", "family", "size"),
    [
        ("yolo26n", "yolo26", "n"), ("yolov8m-p2", "yolov8-p2", "m"), ("yolov10b", "yolov10", "b"),
        ("yolov3-tiny", "yolov3-tiny", ""), ("yolov8x-rtdetr", "yolov8-rtdetr", "x"), ("rtdetr-l", "rtdetr", "l"),
        ("rtdetr-resnet50", "rtdetr-resnet50", ""),
    ],
)  # fmt: skip
def test_family_and_size_of_a_name(name: str, family: str, size: str) -> None:
    assert family_of(name) == (family, size)
    if size:
        assert named(family, size) == name
        assert family in families()


def test_a_size_that_a_family_has_not_is_answered_with_those_it_has() -> None:
    with pytest.raises(UsageError, match="t, s, m, c, e"):
        named("yolov9", "n")
    with pytest.raises(UsageError, match="one size alone"):
        named("yolov3", "n")


def test_larger_detectors_pictures_and_batches_take_more_memory() -> None:
    sizes = [training_bytes(f"yolo11{size}", 640, 16) for size in "nsmlx"]
    assert sizes == sorted(sizes)
    assert training_bytes("yolo11n", 320, 16) < training_bytes("yolo11n", 640, 16) < training_bytes("yolo11n", 640, 32)
    # Measured once: 1.08 GB for YOLOv8n at 320 pixels and a batch of 4, 2.80 GB at 640 and 8.
    assert training_bytes("yolov8n", 320, 4) == pytest.approx(1.08e9, rel=0.1)
    assert training_bytes("yolov8n", 640, 8) == pytest.approx(2.80e9, rel=0.1)


def test_newer_families_come_first_and_what_is_published_is_known() -> None:
    order = [card.family for card in cards()]
    assert order[0] == "yolo26"
    assert order.index("yolo11") < order.index("yolov8") < order.index("yolov3") < order.index("rtdetr")
    assert has_pretrained("rtdetr-x")
    assert not has_pretrained("rtdetr-resnet50")
    assert not has_pretrained("yolov6n")


def test_the_list_says_what_fits_and_what_is_here(workspace: Workspace) -> None:
    workspace.weights.mkdir()
    (workspace.weights / "yolo11n.pt").write_bytes(b"mine")
    found = {row.card.name: row for row in list_detectors("yolo11", workspace, imgsz=64, device="cpu").rows}
    assert list(found) == [f"yolo11{size}" for size in "nsmlx"]
    assert found["yolo11n"].fits
    assert found["yolo11n"].largest_batch == 64
    assert found["yolo11n"].pretrained == workspace.weights / "yolo11n.pt"
    assert found["yolo11s"].pretrained is None
    huge = list_detectors("yolo26x-p2", workspace, imgsz=8192, device="cpu").rows[0]
    assert not huge.fits
    assert not huge.largest_batch
    with pytest.raises(NotFoundError, match="rtdetr"):
        list_detectors("rtdeter", workspace, device="cpu")


@pytest.mark.torch
@pytest.mark.parametrize("name", ["yolov8n", "yolo26n", "yolov8n-rtdetr"])
def test_the_table_is_what_a_network_weighs(name: str) -> None:
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    from lensmith.detect.network import build_network

    network = build_network(name, 80)
    assert sum(parameter.numel() for parameter in network.parameters()) == TABLE[name][0]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_detector_builds_and_learns_a_step(name: str) -> None:
    from lensmith.core.isolation import isolate_ultralytics

    isolate_ultralytics()
    import torch

    from lensmith.detect.network import build_network

    torch.manual_seed(0)
    network, side = build_network(name, 3), 2 * grid_of(name)
    pictures = {
        "img": torch.rand(2, 3, side, side),
        "cls": torch.tensor([[0.0], [2.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.4, 0.6, 0.3, 0.3]]),
        "batch_idx": torch.tensor([0.0, 1.0]),
    }
    network.train()
    loss, _ = network.loss(pictures)
    loss.sum().backward()
    assert math.isfinite(float(loss.detach().sum()))
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())
    network.eval()
    with torch.no_grad():
        output = network(pictures["img"])
    first = output[0] if isinstance(output, (tuple, list)) else output
    assert first.shape[:1] == (2,)
    assert first.shape[-1 if is_transformer(name) else 1] == (6 if is_transformer(name) else 4 + 3)
