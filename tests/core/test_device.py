"""One word for the device, and never a GPU that is silently unused."""

from __future__ import annotations

import pytest

from lensmith.core import device
from lensmith.core.errors import UsageError


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("auto", "auto"), ("CPU", "cpu"), ("gpu", (0,)), ("0", (0,)), ("0,1", (0, 1)), (" 2 , 3 ", (2, 3))],
)
def test_reads(spec: str, expected: object) -> None:
    assert device.parse_device(spec) == expected


@pytest.mark.parametrize("spec", ["", "fast", "0,0", "-1", "0;1", "cuda:0x"])
def test_refuses(spec: str) -> None:
    with pytest.raises(UsageError, match="not a device"):
        device.parse_device(spec)


@pytest.mark.parametrize(
    ("gpus", "spec", "expected"), [(0, "auto", "cpu"), (2, "auto", (0,)), (2, "0,1", (0, 1)), (1, "cpu", "cpu")]
)
def test_resolves(monkeypatch: pytest.MonkeyPatch, gpus: int, spec: str, expected: object) -> None:
    monkeypatch.setattr(device, "torch_gpu_count", lambda: gpus)
    assert device.resolve_device(spec) == expected


@pytest.mark.parametrize(("gpus", "spec"), [(0, "gpu"), (1, "0,1"), (1, "1")])
def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch, gpus: int, spec: str) -> None:
    monkeypatch.setattr(device, "torch_gpu_count", lambda: gpus)
    with pytest.raises(UsageError, match="no GPU"):
        device.resolve_device(spec)
