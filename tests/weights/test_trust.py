"""A `.pt` file is looked into before it is loaded. Each hostile file leaves a canary when it runs."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lensmith.core.errors import DataError, NotFoundError
from lensmith.weights.trust import check_checkpoint

pytestmark = pytest.mark.torch


class _Calls:
    """Pickles to a call of `function(*arguments)`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def _archive(path: Path, program: bytes, **extra: bytes) -> Path:
    """What `torch.save` would write around a pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("model/data.pkl", program)
        archive.writestr("model/version", b"3\n")
        archive.writestr("model/byteorder", b"little")
        for name, data in extra.items():
            archive.writestr(f"model/{name}", data)
    return path


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with everything that a training writes."""
    home = tmp_path_factory.mktemp("trust")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_CACHE", str(home))
        from lensmith.core.isolation import isolate_ultralytics

        isolate_ultralytics()
        import torch
        from ultralytics.nn.tasks import DetectionModel
        from ultralytics.utils import DEFAULT_CFG

        from lensmith.detect.models import load_architecture

        model = DetectionModel(load_architecture("yolov8n"), nc=2, verbose=False)
        model.args = DEFAULT_CFG
        optimizer = torch.optim.AdamW(model.parameters())
        path = home / "good.pt"
        content = {"epoch": 3, "ema": model.half(), "model": None, "optimizer": optimizer.state_dict()}
        torch.save({**content, "train_args": {"data": str(home)}, "best_fitness": 0.5}, path)
    return path


def test_an_ordinary_checkpoint_passes(good: Path) -> None:
    check_checkpoint(good)


def test_the_real_one_passes(test_data: Path) -> None:
    check_checkpoint(test_data / "weights" / "yolov8n-coco.pt")


@pytest.mark.parametrize(
    ("call", "named"),
    [
        pytest.param(lambda c: _Calls(os.system, f"touch '{c}'"), "system", id="a shell command"),
        pytest.param(lambda c: _Calls(open, str(c), "w"), "open", id="a file opened for writing"),
        pytest.param(lambda c: _Calls(eval, f"open({str(c)!r}, 'w')"), "eval", id="evaluated text"),
        pytest.param(lambda c: _Calls(builtins.exec, f"open({str(c)!r}, 'w')"), "exec", id="executed text"),
        pytest.param(lambda c: _Calls(os.makedirs, str(c)), "makedirs", id="a folder made"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_checkpoint_is_refused_and_does_not_run(
    tmp_path: Path, call: Callable[[Path], _Calls], named: str, protocol: int
) -> None:
    canary = tmp_path / "canary"
    program = pickle.dumps({"model": call(canary)}, protocol=protocol)
    hostile = _archive(tmp_path / "hostile.pt", program)
    with pytest.raises(DataError) as refused:
        check_checkpoint(hostile)
    assert not canary.exists()
    if protocol == 2:  # newer ones name it in pieces, and are refused for that
        assert named in str(refused.value)


@pytest.mark.parametrize(
    ("program", "named"),
    [
        pytest.param(
            b"\x80\x02" + _global("torch.nn.modules.linear", "Linear") + b"(J\x00\xca\x9a\x3bJ\x00\xca\x9a\x3btR.",
            "Linear", id="a layer of a billion by a billion",
        ),
        pytest.param(
            b"\x80\x02" + _global("nowhere_at_all", "Thing") + b")\x81.", "nowhere_at_all", id="a module to install"
        ),
        pytest.param(
            b"\x80\x02" + _global("torch.nn.modules.linear", "Linear") + b"q\x010h\x01(K\x05K\x05tR.",
            "Linear", id="a constructor fetched from the memo",
        ),
        pytest.param(
            b"\x80\x02" + _global("ultralytics.utils.downloads", "safe_download") + _text("http://x") + b"\x85R.",
            "safe_download", id="a download by Ultralytics",
        ),
        pytest.param(
            b"\x80\x02" + _global("builtins", "getattr") + _global("torch.nn.modules.linear", "Linear")
            + _text("__init__") + b"\x86R)R.",
            "made on the way", id="a call of what a call gave",
        ),
        pytest.param(b"\x80\x02(" + _text("x") + b"ios\nsystem\n.", "system", id="the old instruction INST"),
    ],
)  # fmt: skip
def test_a_hand_made_program_is_refused(tmp_path: Path, program: bytes, named: str) -> None:
    with pytest.raises(DataError) as refused:
        check_checkpoint(_archive(tmp_path / "x.pt", program))
    assert named in str(refused.value) or "damaged" in str(refused.value)


def _compressed(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}, protocol=2) + b"\0" * 10_000_000)
    return path


def _twice(path: Path) -> Path:
    _archive(path, pickle.dumps({}, protocol=2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", pickle.dumps(1, protocol=2))
    return path


def _plain_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return path


def _legacy(path: Path) -> Path:
    buffer = io.BytesIO()
    pickle.dump({"model": _Calls(os.system, f"touch '{path}.canary'")}, buffer, protocol=2)
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("make", [
    pytest.param(lambda p: p.write_bytes(b""), id="empty"),
    pytest.param(lambda p: p.write_text("<html>404</html>") and p, id="a page"),
    pytest.param(lambda p: p.write_bytes(os.urandom(5000)) and p, id="noise"),
    pytest.param(_plain_zip, id="another archive"),
    pytest.param(_compressed, id="a packed bomb"),
    pytest.param(_twice, id="two programs"),
    pytest.param(_legacy, id="a bare pickle"),
    pytest.param(lambda p: _archive(p, b"\x80\x02}q\x00(X\x05"), id="a program cut short"),
])  # fmt: skip
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = tmp_path / "x.pt"
    make(path)
    with pytest.raises(DataError):
        check_checkpoint(path)
    assert not Path(f"{path}.canary").exists()


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.999])
def test_a_checkpoint_cut_short_is_refused(tmp_path: Path, good: Path, share: float) -> None:
    data = good.read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError):
        check_checkpoint(cut)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        check_checkpoint(tmp_path / "none.pt")
