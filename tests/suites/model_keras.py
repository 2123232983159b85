"""Hostile `.keras` files: configurations that name code, modules, files or layers of any size, and odd archives."""

from __future__ import annotations

import base64
import io
import json
import marshal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.suites.zips import Entry, make_zip

Build = Callable[[Path], bytes]


def _layer(
    kind: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any
) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": {"name": kind.lower(), **config},
            "registered_name": registered}  # fmt: skip


def _model(*layers: Any) -> dict[str, Any]:
    first = _layer("InputLayer", batch_shape=[None, 32, 32, 3])
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [first, *layers]},
            "registered_name": None}  # fmt: skip


def pack(config: Any, weights: bytes = b"\x89HDF\r\n\x1a\n", *more: Entry, packed: int = 0) -> bytes:
    """A `.keras` file around a configuration."""
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    return make_zip([
        Entry("metadata.json", b'{"keras_version": "3.15.1"}'), Entry("config.json", text),
        Entry("model.weights.h5", weights, method=packed), *more,
    ])  # fmt: skip


def _code(canary: Path) -> str:
    return base64.b64encode(marshal.dumps(compile(f"open({str(canary)!r}, 'w')", "x", "eval"))).decode()


def _lambda(canary: Path) -> dict[str, Any]:
    function = {"class_name": "__lambda__", "config": {"code": _code(canary), "defaults": None, "closure": None}}
    return _layer("Lambda", function=function)


def _function(config: str, module: str = "builtins") -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": config, "registered_name": "function"}


def _layers() -> dict[str, Callable[[Path], Any]]:
    """Layers that have no business in a picture's classifier."""
    inner = {"a loop of layers": lambda _: _layer("RNN", cell=_layer("LSTMCell", units=4))}
    return {
        "a Lambda": _lambda,
        "a Lambda in a model in a model": lambda c: _model(_model(_model(_lambda(c)))),
        "a Lambda in TimeDistributed": lambda c: _layer("TimeDistributed", layer=_lambda(c)),
        "a Lambda as an activation": lambda c: _layer("Dense", units=3, activation=_lambda(c)["config"]["function"]),
        "words from a file": lambda _: _layer("TextVectorization", vocabulary="/etc/passwd"),
        "a look-up in a file": lambda _: _layer("StringLookup", vocabulary="/etc/passwd"),
        "numbers looked up in a file": lambda _: _layer("IntegerLookup", vocabulary="/etc/passwd"),
        "a SavedModel": lambda c: _layer("TFSMLayer", filepath=str(c)),
        "a torch module": lambda _: _layer("TorchModuleWrapper", module={"class_name": "Thing", "module": "torch"}),
        "a jax layer": lambda _: _layer("JaxLayer", call_fn="os.system"),
        "os.system as a layer": lambda c: _layer("system", "os", command=f"touch {c}"),
        "subprocess.Popen as a layer": lambda c: _layer("Popen", "subprocess", args=f"touch {c}"),
        "a module of Keras that fetches": lambda _: _layer("get_file", "keras.utils", origin="http://127.0.0.1:9/"),
        "keras.models.load_model": lambda c: _layer("load_model", "keras.models", filepath=str(c)),
        "a backend call": lambda _: _layer("clear_session", "keras.backend"),
        "a registered class": lambda _: _layer("Dense", registered="Evil>Dense", units=3),
        "a class of the person's": lambda _: _layer("Evil", "evil.module", "Evil>Evil"),
        "a function of os": lambda _: _layer("Dense", units=3, activation=_function("system", "os")),
        "eval as a function": lambda _: _layer("Dense", units=3, activation=_function("eval")),
        "an initializer of os": lambda _: _layer("Dense", units=3, kernel_initializer=_layer("system", "os")),
        "a path as a class": lambda _: _layer("../../x", "keras.layers"),
        "a class that paints": lambda _: _layer("\x1b[31mDense"),
        "a class that is a list": lambda _: {**_layer("Dense"), "class_name": ["Dense"]},
        "a module that is a number": lambda _: {**_layer("Dense"), "module": 5},
        "units without end": lambda _: _layer("Dense", units=1 << 40),
        "negative units": lambda _: _layer("Dense", units=-1),
        "a kernel of a million": lambda _: _layer("Conv2D", filters=4, kernel_size=[1 << 20, 1 << 20]),
        "a padding of a million": lambda _: _layer("ZeroPadding2D", padding=[[1 << 20, 1 << 20], [0, 0]]),
        "an enlargement of a million": lambda _: _layer("UpSampling2D", size=[1 << 20, 1 << 20]),
        "an input of terabytes": lambda _: _layer("InputLayer", batch_shape=[None, 1 << 20, 1 << 20, 3]),
        "a shape of exabytes": lambda _: _layer("Reshape", target_shape=[1 << 40, 1 << 40]),
        "6000 layers": lambda _: _model(*[_layer("ReLU")] * 6000), **inner,
    }  # fmt: skip


def _deep(depth: int) -> bytes:
    return b'{"class_name": "Sequential", "module": "keras", "config": ' + b"[" * depth + b"]" * depth + b"}"


def _archives() -> dict[str, Build]:
    good = _model(_layer("Flatten"), _layer("Dense", units=3))
    zeros = bytes(50_000_000)
    link = Entry("x", b"/etc/passwd", attributes=0o120777 << 16)
    return {
        "a fourth member": lambda _: pack(good, b"", Entry("evil.py", b"import os")),
        "a member above": lambda _: pack(good, b"", Entry("../evil.py", b"import os")),
        "an absolute member": lambda _: pack(good, b"", Entry("/tmp/evil", b"x")),
        "assets": lambda _: pack(good, b"", Entry("assets/vocabulary.txt", b"x")),
        "a link": lambda _: pack(good, b"", link),
        "weights that are a link": lambda _: make_zip([
            Entry("metadata.json", b"{}"), Entry("config.json", json.dumps(good).encode()),
            Entry("model.weights.h5", b"/etc/passwd", attributes=0o120777 << 16)]),
        "a member twice": lambda _: pack(good, b"", Entry("config.json", b"{}")),
        "a bomb": lambda _: pack(good, zeros, packed=8),
        "a size that lies": lambda _: make_zip([Entry("metadata.json", b"{}"), Entry("config.json", b"{}"),
                                                Entry("model.weights.h5", b"x", size=1 << 31)]),
        "locked": lambda _: make_zip([Entry("metadata.json", b"{}"), Entry("config.json", b"{}", flags=1),
                                      Entry("model.weights.h5", b"x")]),
        "an unknown packing": lambda _: make_zip([Entry("metadata.json", b"{}"), Entry("config.json", b"{}", method=99),
                                                  Entry("model.weights.h5", b"x")]),
        "no weights": lambda _: make_zip([Entry("metadata.json", b"{}"), Entry("config.json", b"{}")]),
        "100,000 members": lambda _: pack(good, b"", *(Entry(f"x{n}", b"") for n in range(100_000))),
        "no JSON": lambda _: pack(b"{"), "JSON of a list": lambda _: pack(b"[]"),
        "no text": lambda _: pack(b"\xff\xfe"),
        "lists 100,000 deep": lambda _: pack(_deep(100_000)), "lists 200 deep": lambda _: pack(_deep(200)),
        "a number of a million digits": lambda _: pack(b'{"class_name": "Sequential", "n": ' + b"9" * 1_000_000 + b"}"),
        "another class": lambda _: pack(_layer("Lambda")), "nothing": lambda _: b"", "a page": lambda _: b"<html/>",
        "a file of HDF5": lambda _: b"\x89HDF\r\n\x1a\n" + bytes(2000), "cut short": lambda _: pack(good)[:-30],
    }  # fmt: skip


def keras_files() -> dict[str, Build]:
    """All that are refused before Keras is loaded."""
    named = {
        label: (lambda canary, make=make: pack(_model(make(canary)))) for label, make in _layers().items()
    }  # fmt: skip
    return {**named, **_archives()}


def _hdf5(fill: Callable[[Any], None]) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        fill(root)
    return file.getvalue()


def built_keras() -> dict[str, Build]:
    """Those that Keras would see: sound configurations with weights that are not; they need a process with Keras."""
    import h5py

    good = _model(_layer("Flatten"), _layer("Dense", units=3))

    def external(root: Any) -> None:
        root["layers"] = h5py.ExternalLink("/etc/passwd", "/")

    def elsewhere(root: Any) -> None:
        root.create_dataset("x", (4,), "f4", external=[("/etc/passwd", 0, 16)])

    def hollow(root: Any) -> None:
        root.create_dataset("layers/dense/vars/0", (1 << 20, 1 << 17), "f4")

    return {
        "a link to another file": lambda _: pack(good, _hdf5(external)),
        "numbers in another file": lambda _: pack(good, _hdf5(elsewhere)),
        "zeros of terabytes": lambda _: pack(good, _hdf5(hollow)),
        "no HDF5": lambda _: pack(good, b"noise" * 99),
        "12 GB declared": lambda _: pack(
            _model(_layer("Flatten"), *[_layer("Dense", units=50_000)] * 2), _hdf5(lambda _: None)
        ),
    }  # fmt: skip
