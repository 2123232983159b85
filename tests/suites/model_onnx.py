"""Hostile `.onnx` files and OpenVINO models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Build = Callable[[Path], bytes]
_SIDE = 32


def model(
    nodes: list[Any] | None = None,
    constants: dict[str, Any] | None = None,
    *,
    shape: tuple[Any, ...] = ("n", _SIDE, _SIDE, 3),
    change: Callable[[Any], None] | None = None,
    added: str = "",
    **metadata: str,
) -> bytes:
    """A classifier of three colours.

    Args:
        nodes: Other operations, before its own.
        constants: Beside its own.
        shape: Of its input.
        change: Does something to the finished model.
        added: Name of one number that is added to its answer, so that what makes it is not left out as useless.
        metadata: What the file says about itself.
    """
    from onnx import TensorProto, helper, numpy_helper

    plain = [
        helper.make_node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Add", ["mean", added], ["sum"]) if added else helper.make_node("Identity", ["mean"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["output"], axis=1),
    ]
    tensors = [
        value if hasattr(value, "data_type") else numpy_helper.from_array(np.asarray(value), key)
        for key, value in (constants or {}).items()
    ]
    pictures = helper.make_tensor_value_info("pictures", TensorProto.UINT8, list(shape))
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph([*(nodes or []), *plain], "g", [pictures], [output], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(made, {"task": "classify", "names": "{0: 'a', 1: 'b', 2: 'c'}", **metadata})
    if change is not None:
        change(made)
    return made.SerializeToString()


def _tensor(**fields: Any) -> Any:
    from onnx import TensorProto

    tensor = TensorProto(name="w", data_type=fields.pop("data_type", TensorProto.FLOAT))
    tensor.dims.extend(fields.pop("dims"))
    for key, value in fields.items():
        setattr(tensor, key, value)
    return tensor


def _external(location: str) -> Build:
    def build(_: Path) -> bytes:
        tensor = _tensor(dims=[4], data_location=1)
        tensor.external_data.add(key="location", value=location)
        return model(constants={"w": tensor})

    return build


def _nodes(*nodes: tuple[str, list[str], list[str], dict[str, Any]], added: str = "", **constants: Any) -> Build:
    def build(_: Path) -> bytes:
        from onnx import helper

        made = [helper.make_node(kind, given, out, **more) for kind, given, out, more in nodes]
        return model(made, constants, added=added)

    return build


def _graph(nodes: list[Any]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_graph(nodes, "inner", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])


def _nested(depth: int) -> Build:
    def build(_: Path) -> bytes:
        from onnx import helper

        inner = _graph([helper.make_node("Identity", ["mean"], ["y"])])
        for _level in range(depth):
            inner = _graph([helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
                            if _level < 3 else helper.make_node("If", ["c"], ["y"], then_branch=inner)])  # fmt: skip
        node = helper.make_node("If", ["c"], ["z"], then_branch=inner)
        return model([node], {"c": np.array(True)})

    return build


def _changed(change: Callable[[Any], None]) -> Build:
    return lambda _: model(change=change)


def _loop(kind: str) -> Build:
    def build(_: Path) -> bytes:
        from onnx import helper

        body = _graph([helper.make_node("Identity", ["mean"], ["y"])])
        return model(
            [helper.make_node(kind, ["m", "c"], ["z"], body=body)], {"m": np.array(1 << 62), "c": np.array(True)}
        )

    return build


def _functions(made: Any) -> None:
    made.functions.add(name="f", domain="")


def _field(number: int, kind: int, payload: bytes) -> bytes:
    return bytes([number << 3 | kind]) + payload


def onnx_files() -> dict[str, Build]:
    """Those that are refused, by what they try."""
    places = ["../../../../etc/passwd", "/etc/passwd", "weights.bin", "link.bin", "\x1b[31mred", "C:\\x", "//host/x"]
    outside = {f"numbers in {place!r}": _external(place) for place in places}
    foreign = {
        f"operation of {domain!r}": _nodes(("Evil", ["pictures"], ["z"], {"domain": domain}))
        for domain in ("com.microsoft", "com.evil", "ai.onnx.training", "ai.onnx.contrib", "../x", "\x1b[2J")
    }
    kinds = {f"operation {kind}": _loop(kind) for kind in ("Loop", "Scan", "SequenceMap")}
    others: dict[str, Build] = {
        "a picture decoder": _nodes(("ImageDecoder", ["pictures"], ["z"], {})),
        "a pattern to match": _nodes(("RegexFullMatch", ["pictures"], ["z"], {"pattern": "(a+)+$"})),
        "an operation with an odd name": _nodes(("../Add", ["pictures"], ["z"], {})),
        "graphs nested 5 deep": _nested(5),
        "graphs nested 20 deep": _nested(20),
        "a huge declared tensor": lambda _: model(constants={"w": _tensor(dims=[1 << 30, 1 << 20])}),
        "a negative side": lambda _: model(constants={"w": _tensor(dims=[-4], raw_data=b"")}),
        "a product past 64 bits": lambda _: model(constants={"w": _tensor(dims=[1 << 32, 1 << 32], raw_data=b"")}),
        "too few bytes": lambda _: model(constants={"w": _tensor(dims=[1000], raw_data=b"1234")}),
        "an unknown kind of number": lambda _: model(constants={"w": _tensor(dims=[1], data_type=99, raw_data=b"1")}),
        "a thousand axes": lambda _: model(constants={"w": _tensor(dims=[1] * 1500, raw_data=b"1234")}),
        "an input of terabytes": lambda _: model(shape=("n", 1 << 20, 1 << 20, 3)),
        "functions of its own": _changed(_functions),
        "a training": _changed(lambda made: made.training_info.add()),
        "sparse numbers": _changed(lambda made: made.graph.sparse_initializer.add()),
        "two graphs": lambda _: model() + model(),
        "no graph": lambda _: b"\x08\x09",
        "no node": _changed(lambda made: made.graph.ClearField("node")),
        "nothing": lambda _: b"",
        "a page": lambda _: b"<html></html>",
        "noise": lambda _: bytes(range(255)) * 99,
        "200,000 nodes": lambda _: _field(7, 2, _varint(8 * 200_000)) + b"\x0a\x06\x22\x04Relu" * 200_000,
        "an endless length": lambda _: _field(7, 2, b"\xff" * 9 + b"\x01"),
        "an endless number": lambda _: b"\x08" + b"\xff" * 40,
        "groups in groups": lambda _: b"\x3b" * 100_000,
        "names that are a program": lambda _: model(names="__import__('os').system('touch x')"),
        "names nested a million deep": lambda _: model(names="{0: " + "[" * 500_000 + "]" * 500_000 + "}"),
        "names of another length": lambda _: model(names="{0: 'a'}"),
        "another task": lambda _: model(task="segment"),
        "a batch of 64": lambda _: model(shape=(64, _SIDE, _SIDE, 3)),
    }
    cuts = {
        f"cut at {share:.0%}": (lambda _, s=share: model()[: int(len(model()) * s)]) for share in (0.02, 0.3, 0.6, 0.9)
    }
    return {**outside, **foreign, **kinds, **others, **cuts}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def hungry_onnx() -> dict[str, Build]:
    """Those whose file is in order and whose running is not: only a child with limits can end them."""
    top = ("ReduceMax", ["big"], ["top"], {"keepdims": 0})

    def hungry(*nodes: tuple[str, list[str], list[str], dict[str, Any]], **constants: Any) -> Build:
        return _nodes(*nodes, top, added="top", **constants)

    cast = ("Cast", ["pictures"], ["f"], {"to": 1})
    return {
        "16 GB of zeros": hungry(
            ("ConstantOfShape", ["s"], ["big"], {}), s=np.array([1 << 15, 1 << 15, 4], np.int64)
        ),
        "a picture repeated four million times": hungry(
            cast, ("Tile", ["f", "r"], ["big"], {}), r=np.array([1, 2000, 2000, 1], np.int64)
        ),
        "a picture enlarged to terabytes": hungry(
            cast, ("Resize", ["f", "", "r"], ["big"], {}), r=np.array([1, 3000, 3000, 1], np.float32)
        ),
        "a range of a trillion": hungry(
            ("Range", ["a", "b", "d"], ["n"], {}), ("Cast", ["n"], ["big"], {"to": 1}),
            a=np.array(0, np.int64), b=np.array(1 << 40, np.int64), d=np.array(1, np.int64),
        ),
        "a product of a million by a million": hungry(
            cast, ("Reshape", ["f", "c"], ["x"], {}), ("Tile", ["x", "r"], ["y"], {}),
            ("Transpose", ["y"], ["z"], {}), ("MatMul", ["y", "z"], ["big"], {}),
            c=np.array([-1, 1], np.int64), r=np.array([300, 1], np.int64),
        ),
    }  # fmt: skip


_HEAD = '<?xml version="1.0"?>\n'


def _net(layers: str, before: str = "") -> str:
    return f'{_HEAD}{before}<net name="m" version="11"><layers>{layers}</layers><edges/></net>'


def _layer(kind: str = "Const", version: str = "opset1", **data: Any) -> str:
    given = "".join(f' {key}="{value}"' for key, value in data.items())
    return f'<layer id="0" name="x" type="{kind}" version="{version}"><data{given}/></layer>'


def openvino_files() -> dict[str, str]:
    """Texts of `model.xml` beside a `.bin` of 64 bytes."""
    laughs = '<!DOCTYPE net [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    outside = '<!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    const = {"element_type": "f32", "shape": "4", "offset": 0, "size": 16}
    return {
        "entities": _net(_layer(**const), laughs), "a file as an entity": _net(_layer(**const), outside),
        "another file by its type": _net(_layer(**const), '<!DOCTYPE net SYSTEM "http://127.0.0.1:9/x.dtd">'),
        "numbers past the .bin": _net(_layer(**{**const, "offset": 60})),
        "numbers before the .bin": _net(_layer(**{**const, "offset": -16})),
        "a size that does not fit": _net(_layer(**{**const, "shape": "400000,400000"})),
        "a negative side": _net(_layer(**{**const, "shape": "-4"})),
        "a shape of exabytes": _net(_layer("Parameter", shape="1099511627776,1099511627776", element_type="u8")),
        "an extension": _net(_layer("Evil", "extension")), "a custom set": _net(_layer("Evil", "evil_lib.so")),
        "a loop": _net(_layer("Loop", "opset5")), "an iterator": _net(_layer("TensorIterator")),
        "parts 1000 deep": _HEAD + "<net>" + "<a>" * 1000 + "</a>" * 1000 + "</net>",
        "200,000 layers": _net(_layer(**const) * 200_000),
        "no model": _HEAD + "<html/>", "no layer": _net(""), "cut short": _net(_layer(**const))[:-30], "nothing": "",
        "a number that is none": _net(_layer(**{**const, "offset": "0x0"})),
        "a name that paints": _net(_layer("\x1b[31m")),
    }  # fmt: skip
