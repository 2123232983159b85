"""Look into an `.onnx` file before any library opens it, with nothing but Python.

A model's file can name other files to read, operations from libraries to load, and shapes that take terabytes; the
libraries that run it trust it. Here each part is walked through once: a yolo26n takes about 20 ms.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from ..core.errors import DataError, NotFoundError
from .onnx_tensors import fitting
from .protobuf import Damaged, Reader, Value, numbers, plain, text

MAX_BYTES = (2 << 30) - 1  # protobuf's own limit
_MAX_NODES = 100_000
_MAX_DEPTH = 3
_MAX_TEXT = 1 << 20
_MAX_SIDE = 1 << 31
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
# A picture could make these run for ever, or they read other things than numbers.
_REFUSED = {
    "Loop", "Scan", "SequenceMap", "ImageDecoder", "StringNormalizer", "RegexFullMatch", "StringSplit",
    "TfIdfVectorizer", "CategoryMapper", "Unique",
}  # fmt: skip
_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
          16: "bfloat16"}  # fmt: skip
_TYPED_DATA = {4, 5, 7, 10, 11}
_NEXT = "export it again as one plain .onnx file with standard operations, or use another model"


@dataclass(frozen=True)
class Tensor:
    """An input or output: a free side is its name, or -1 where it has none."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass
class OnnxFacts:
    """What is in a file.

    Attributes:
        inputs: Without those that the file gives itself.
        operations: How often each comes, in all graphs.
        parameters: Numbers that the file holds.
        metadata: What the exporter wrote; Ultralytics tells names, size and task.
        producer: Which program wrote it.
        opset: Version of the standard operations, 0 where the file does not say.
    """

    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)
    parameters: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    producer: str = ""
    opset: int = 0


def check_onnx(path: Path) -> OnnxFacts:
    """Refuse an `.onnx` file that is damaged or asks for more than a picture model needs; nothing in it is run.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged, larger than 2 GB, names other files, operations that are not part of the standard,
            functions of its own, or operations that could run without end; or a shape does not fit its numbers.
    """
    if not path.is_file():
        raise NotFoundError("There is no such model file.", where=path)
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise _refusal(path, "it is empty" if not size else f"it has {size} bytes, more than an ONNX file can have")
    with path.open("rb") as file:
        # Closed when nothing looks into it any more: a refusal still holds the part that it is about.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        return _Look().model(data)
    except Damaged as error:
        raise _refusal(path, str(error)) from None


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"This ONNX file was not opened: {reason}.", where=path, next_step=_NEXT)


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise Damaged("a number where something larger should be")
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise Damaged("something else where a number should be")
    return value


class _Look:
    def __init__(self) -> None:
        self._reader = Reader()
        self._facts = OnnxFacts()

    def model(self, data: memoryview) -> OnnxFacts:
        graph = None
        for number, value in self._reader.fields(data):
            match number:
                case 2:
                    self._facts.producer = text(value)[:80]
                case 7 if graph is None:
                    graph = _bytes(value)
                case 7:
                    raise Damaged("it holds two models at once")
                case 8:
                    self._opset(_bytes(value))
                case 14:
                    key, said = self._pair(_bytes(value))
                    self._facts.metadata[key] = said
                case 20:
                    raise Damaged("it holds a training, not only a model")
                case 25:
                    raise Damaged("it defines operations of its own (functions)")
        if graph is None:
            raise Damaged("it holds no model")
        self._graph(graph, 0)
        if not self._facts.operations:
            raise Damaged("its model does nothing")
        return self._facts

    def _opset(self, data: memoryview) -> None:
        domain, version = "", 0
        for number, value in self._reader.fields(data):
            if number == 1:
                domain = text(value)
            elif number == 2:
                version = _int(value)
        if domain in {"", "ai.onnx"}:
            self._facts.opset = version

    def _pair(self, data: memoryview) -> tuple[str, str]:
        found = {1: "", 2: ""}
        for number, value in self._reader.fields(data):
            if number in found:
                if len(_bytes(value)) > _MAX_TEXT:
                    raise Damaged("a remark of more than a megabyte")
                found[number] = bytes(_bytes(value)).decode(errors="replace")
        return plain(found[1])[:200], found[2]

    def _graph(self, data: memoryview, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise Damaged(f"graphs inside graphs, more than {_MAX_DEPTH} deep")
        given: set[str] = set()
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []
        for number, value in self._reader.fields(data):
            match number:
                case 1:
                    self._node(_bytes(value), depth)
                case 5:
                    given.add(self._tensor(_bytes(value)))
                case 11:
                    inputs.append(self._value(_bytes(value)))
                case 12:
                    outputs.append(self._value(_bytes(value)))
                case 13:
                    self._value(_bytes(value))
                case 15:
                    raise Damaged("it holds sparse numbers")
        if depth == 0:
            self._facts.inputs = [one for one in inputs if one.name not in given]
            self._facts.outputs = outputs

    def _node(self, data: memoryview, depth: int) -> None:
        kinds: list[str] = []
        domains: list[str] = []
        for number, value in self._reader.fields(data):
            match number:
                case 4:
                    kinds.append(text(value))
                case 7:
                    domains.append(text(value))
                case 5:
                    self._attribute(_bytes(value), depth)
        domain = domains[0] if domains else ""
        if len(kinds) != 1 or len(domains) > 1:
            raise Damaged("an operation with two names, or none")
        if domain not in _DOMAINS:
            raise Damaged(f"it needs the operation '{kinds[0][:60]}' of '{domain[:60]}', which is not part of ONNX")
        if not re.fullmatch(r"[A-Za-z]\w{0,60}", kinds[0], re.ASCII):
            raise Damaged(f"an operation called '{kinds[0][:60]}'")
        if kinds[0] in _REFUSED:
            raise Damaged(f"it needs the operation '{kinds[0]}', which no picture model needs and which may never end")
        self._facts.operations[kinds[0]] += 1
        if self._facts.operations.total() > _MAX_NODES:
            raise Damaged(f"it has more than {_MAX_NODES} operations")

    def _attribute(self, data: memoryview, depth: int) -> None:
        for number, value in self._reader.fields(data):
            match number:
                case 5 | 10:
                    self._tensor(_bytes(value))
                case 6 | 11:
                    self._graph(_bytes(value), depth + 1)
                case 22 | 23:
                    raise Damaged("it holds sparse numbers")

    def _tensor(self, data: memoryview) -> str:
        """Check that a tensor holds the numbers that it says it has; gives its name."""
        name, shape, kinds, held, raw, texts = "", [], [], 0, [], 0
        for number, value in self._reader.fields(data):
            match number:
                case 1:
                    shape += numbers(value)
                case 2:
                    kinds.append(_int(value))
                case 6:
                    texts += 1
                case 8:
                    name = text(value)
                case 9:
                    raw.append(len(_bytes(value)))
                case 13:
                    raise Damaged(
                        f"the numbers of '{name[:60]}' lie in another file ({self._pair(_bytes(value))[1][:80]!r})"
                    )
                case 14 if value != 0:
                    raise Damaged(f"the numbers of '{name[:60]}' lie in another file")
                case _ if number in _TYPED_DATA:
                    held += 1 if isinstance(value, int) else len(value)
        self._facts.parameters += fitting(name, shape, kinds, held, raw, texts)
        return name

    def _value(self, data: memoryview) -> Tensor:
        name, kinds = "", []
        for number, value in self._reader.fields(data):
            if number == 1:
                name = text(value)
            elif number == 2:
                kinds.append(_bytes(value))
        if len(kinds) > 1:
            raise Damaged(f"'{name[:60]}' is of two kinds")
        for number, value in self._reader.fields(kinds[0]) if kinds else ():
            if number == 1:
                return Tensor(name, *self._tensor_type(_bytes(value), name))
            if number != 6:
                return Tensor(name, "something that is no tensor", ())
        return Tensor(name, "unknown", ())

    def _tensor_type(self, data: memoryview, name: str) -> tuple[str, tuple[int | str, ...]]:
        kind, shape = 0, []
        for number, value in self._reader.fields(data):
            if number == 1:
                kind = _int(value)
            elif number == 2:
                shape += [self._side(_bytes(one), name) for _, one in self._reader.fields(_bytes(value))]
        if prod(side for side in shape if isinstance(side, int) and side > 0) > _MAX_SIDE:
            raise Damaged(f"'{name[:60]}' has the shape {shape[:8]}, more than any picture needs")
        return _TYPES.get(kind, f"type {kind}"), tuple(shape)

    def _side(self, data: memoryview, name: str) -> int | str:
        side: int | str = -1
        for number, value in self._reader.fields(data):
            if number == 1:
                side = numbers(value)[0] if isinstance(value, int) else -1
                if side < -1:
                    raise Damaged(f"'{name[:60]}' has a side of {side}")
            elif number == 2:
                side = text(value)[:60]
        return side
