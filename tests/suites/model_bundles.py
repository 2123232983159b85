"""Bundles that somebody made by hand: every hash is right, and something else is not."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from tests.suites.model_keras import built_keras
from tests.suites.model_onnx import hungry_onnx, model, onnx_files, openvino_files
from tests.suites.model_pickles import pickles

LayOut = Callable[[Path, Path], None]
"""Gets the bundle's folder, which is there, and the path of a canary."""
SIDE = 32
_ABOUT_ITSELF = {
    "names that are a program", "names nested a million deep", "names of another length", "another task",
    "a batch of 64",
}  # fmt: skip
"""ONNX files that say odd things which nobody reads in a bundle."""


def golden(**changes: Any) -> bytes:
    """The samples of the plain classifier, or others."""
    inputs = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    inputs[1, ..., 0] = 3
    power = np.exp(inputs.mean(axis=(1, 2), dtype=np.float32))
    arrays = {"inputs": inputs, "outputs": (power / power.sum(axis=1, keepdims=True)).astype(np.float32), **changes}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def write(folder: Path, files: dict[str, bytes], change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """A classifier's bundle with these files and right hashes, its record then changed."""
    whole = {
        "golden.npz": golden() if "golden.npz" not in files else b"",
        "labels.txt": b"a\nb\nc\n",
        "README.md": b"# x\n",
        **files,
    }
    for name, data in whole.items():
        (folder / name).write_bytes(data)
    record = {
        "schema_version": 2, "name": "x", "task": "classify", "names": ["a", "b", "c"],
        "preprocessing": {"width": SIDE, "height": SIDE, "resize": "stretch", "interpolation": "area"},
        "files": {name: sha256(data).hexdigest() for name, data in whole.items()},
    }  # fmt: skip
    change(record)
    (folder / "bundle.json").write_text(json.dumps(record))


def _plain(change: Callable[[dict[str, Any]], None] = lambda _: None, samples: Callable[[], bytes] = golden) -> LayOut:
    return lambda folder, _: write(folder, {"model.onnx": model(), "golden.npz": samples()}, change)


def _sets(**values: Any) -> LayOut:
    return _plain(lambda record: record.update(values))


def _size(side: int) -> LayOut:
    return _sets(preprocessing={"width": side, "height": side, "resize": "stretch"})


def _files(name: str) -> LayOut:
    return _plain(lambda record: record["files"].update({name: "0" * 64}))


def _detector(data: Callable[[Path], bytes]) -> LayOut:
    detector = {"family": "yolov8n", "output": "raw"}
    return lambda folder, canary: write(
        folder, {"model.pt": data(canary)}, lambda r: r.update({"task": "detect", "detector": detector})
    )


def _text(text: bytes) -> LayOut:
    def lay_out(folder: Path, canary: Path) -> None:
        _plain()(folder, canary)
        (folder / "bundle.json").write_bytes(text)

    return lay_out


def _then(change: Callable[[Path], None]) -> LayOut:
    def lay_out(folder: Path, canary: Path) -> None:
        _plain()(folder, canary)
        change(folder)

    return lay_out


def _replaced(name: str, make: Callable[[Path], None]) -> LayOut:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return _then(change)


def _append(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")


def _lying_array() -> bytes:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"
    header += b" " * (117 - len(header)) + b"\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("inputs", "outputs"):
            archive.writestr(
                f"{name}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(16)
            )
    return file.getvalue()


def _objects() -> bytes:
    return golden(outputs=np.array([print, None], dtype=object))


def _bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", bytes(600_000_000))
    return file.getvalue()


def refused() -> dict[str, LayOut]:
    """Those that are refused before any library opens them."""
    onnx = {
        f"onnx: {label}": (lambda folder, canary, b=build: write(folder, {"model.onnx": b(canary)}))
        for label, build in onnx_files().items() if label not in _ABOUT_ITSELF
    }  # fmt: skip
    openvino = {
        f"openvino: {label}": (
            lambda folder, _, t=text: write(folder, {"model.xml": t.encode(), "model.bin": bytes(64)})
        )
        for label, text in openvino_files().items()
    }  # fmt: skip
    programs = {f"pt: {label}": _detector(build) for label, build in list(pickles().items())[::4]}
    names = (
        "../x",
        "/etc/passwd",
        "a/../../x",
        "C:\\x",
        "a\\b",
        "con",
        ".hidden",
        "",
        "bundle.json",
        "a\x1bb",
        "a/b/c/d/e",
    )
    records: dict[str, LayOut] = {f"record: a file called {name!r}": _files(name) for name in names}
    records |= {
        "record: another byte in the model": _then(_append),
        "record: the model is a link": _replaced("model.onnx", lambda p: p.symlink_to("/etc/passwd")),
        "record: the model is a pipe": _replaced("model.onnx", os.mkfifo),
        "record: the model is a folder": _replaced("model.onnx", Path.mkdir),
        "record: it is a pipe": _replaced("bundle.json", os.mkfifo),
        "record: it is a link": _replaced("bundle.json", lambda p: p.symlink_to("/etc/passwd")),
        "record: it is endless": _replaced("bundle.json", lambda p: p.symlink_to("/dev/zero")),
        "record: no golden samples": _replaced("golden.npz", lambda _: None),
        "record: version 99": _sets(schema_version=99), "record: version -1": _sets(schema_version=-1),
        "record: version of words": _sets(schema_version="2; rm"),
        "record: an unknown key": _sets(run_this="os.system"),
        "record: no names": _sets(names=[]), "record: names that are none": _sets(names=[1, {}, None]),
        "record: an input of a billion": _size(1 << 30), "record: a negative input": _size(-5),
        "record: too many thresholds": _sets(thresholds=[0.5] * 99), "record: a threshold of 7": _sets(confidence=7),
        "record: no temperature": _sets(temperature=0), "record: another task": _sets(task="exec"),
        "record: no JSON": _text(b"{"), "record: a list": _text(b"[]"), "record: nothing": _text(b""),
        "record: lists 100,000 deep": _text(b"[" * 100_000 + b"]" * 100_000), "record: no text": _text(b"\xff\xfe{}"),
        "record: 40 MB": _text(b'{"name": "' + b"x" * 40_000_000 + b'"}'),
        "golden: objects": _plain(samples=_objects), "golden: a bomb": _plain(samples=_bomb),
        "golden: a size that lies": _plain(samples=_lying_array), "golden: no zip": _plain(samples=lambda: b"x"),
        "golden: other sizes": _plain(samples=lambda: golden(inputs=np.zeros((2, 8, 8, 3), np.uint8))),
        "golden: other kinds": _plain(samples=lambda: golden(inputs=np.zeros((2, SIDE, SIDE, 3), np.float32))),
        "golden: none": _plain(samples=lambda: golden(inputs=np.zeros((0, SIDE, SIDE, 3), np.uint8))),
    }  # fmt: skip
    return {**onnx, **openvino, **programs, **records}


def tried() -> dict[str, LayOut]:
    """Those that are opened in a child with limits, and refused then."""
    hungry = {
        f"onnx: {label}": (lambda folder, canary, b=build: write(folder, {"model.onnx": b(canary)}))
        for label, build in hungry_onnx().items()
    }  # fmt: skip
    wrong = np.full((2, 3), 1 / 3, np.float32)
    return {
        **hungry,
        "golden: other answers": _plain(samples=lambda: golden(outputs=wrong)),
        "golden: answers that are no number": _plain(samples=lambda: golden(outputs=wrong * np.nan)),
        "golden: answers of another shape": _plain(samples=lambda: golden(outputs=wrong[:, :2])),
        "record: classes of another count": _sets(names=["a", "b"]),
        "record: an input of another size": _size(64),
    }  # fmt: skip


def harmless() -> dict[str, LayOut]:
    """Those that may be used: what is odd about them must do no harm."""
    names = ["\x1b[31mred\x1b[2J", "<script>alert(1)</script>", "../../x"]
    return {"names that paint, run and lead out": _sets(names=names), "a plain one": _plain()}


def with_keras() -> dict[str, LayOut]:
    """Classifiers whose Keras file holds what it should not; they need a process with Keras."""
    classifier = {"backbone": "cnn", "units": 8, "dropout": 0.0}

    def made(build: Callable[[Path], bytes]) -> LayOut:
        return lambda folder, canary: write(
            folder, {"model.keras": build(canary)}, lambda r: r.update({"classifier": classifier})
        )

    return {f"keras: {label}": made(build) for label, build in built_keras().items()}
