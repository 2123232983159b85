"""Half precision is taken for right where it is, and for wrong where a GPU gives zeros, nonsense or no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", params=["yolov8n", "yolo26n", "rtdetr-l"])
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A model's answers in full and, on the CPU, in half precision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_CACHE", str(Path(tmp_path_factory.mktemp("cache"))))
        from lensmith.core.isolation import isolate_ultralytics

        isolate_ultralytics()
        import torch

        from lensmith.detect.network import build_network

        torch.manual_seed(0)
        network = build_network(request.param, 3).eval()
        pictures = torch.rand(2, 3, 128, 128)
        with torch.no_grad():
            full = network(pictures)[0]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                half = network(pictures)[0]
    return full, half


def test_what_half_precision_costs_is_no_fault(answers: tuple[Any, Any]) -> None:
    from lensmith.detect.half import agree

    full, half = answers
    assert agree(full, half)


def test_wrong_numbers_are_a_fault(answers: tuple[Any, Any]) -> None:
    import torch

    from lensmith.detect.half import agree

    full, half = answers
    spoilt = half.clone()
    spoilt[0, 0, 0] = torch.nan
    for wrong in (spoilt, torch.zeros_like(half), half * 1.5, torch.rand_like(half.float())):
        assert not agree(full, wrong)
