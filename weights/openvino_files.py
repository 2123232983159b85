"""Look into an OpenVINO model, `model.xml` with `model.bin`, before OpenVINO opens it.

The XML parser here knows no entities and no other files, and each piece of the `.bin` that a layer asks for must lie in
it and be as long as its shape says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from ..core.errors import DataError, NotFoundError
from .protobuf import plain

_MAX_XML_BYTES = 64 << 20
_MAX_LAYERS = 100_000
_MAX_DEPTH = 24
_MAX_NUMBERS = 1 << 31
_REFUSED = {"Loop", "TensorIterator", "If", "StringTensorUnpack", "StringTensorPack", "FrameworkNode"}
_OPSETS = {f"opset{number}" for number in range(1, 33)}
# Bits of one number.
_BITS = {
    "f64": 64, "f32": 32, "f16": 16, "bf16": 16, "i64": 64, "i32": 32, "i16": 16, "i8": 8, "u64": 64, "u32": 32,
    "u16": 16, "u8": 8, "boolean": 8, "i4": 4, "u4": 4, "nf4": 4, "u1": 1, "u2": 2, "u3": 3, "u6": 6, "f8e4m3": 8,
    "f8e5m2": 8, "f4e2m1": 4, "f8e8m0": 8,
}  # fmt: skip
_NEXT = "export it again with `cv export NAME --to openvino`, or use another model"


@dataclass
class OpenVinoFacts:
    """What is in a model: how often each kind of layer comes, and how many numbers its `.bin` holds."""

    layers: Counter[str] = field(default_factory=Counter)
    parameters: int = 0


class _Refused(ValueError):  # noqa: N818 - it says what happened to the file
    pass


def check_openvino(xml: Path) -> OpenVinoFacts:
    """Refuse a model that is damaged or asks for more than a picture model needs; nothing in it is run.

    Args:
        xml: Its `model.xml`; the numbers lie in the `.bin` of the same name.

    Raises:
        NotFoundError: one of the two is not there.
        DataError: it is damaged, has entities, layers from extensions or that may never end, or numbers that do not lie
            in its `.bin`.
    """
    numbers = xml.with_suffix(".bin")
    for path in (xml, numbers):
        if not path.is_file():
            raise NotFoundError("A file of this OpenVINO model is missing.", where=path)
    if xml.stat().st_size > _MAX_XML_BYTES:
        raise _refusal(xml, "its description is far larger than any model's")
    look = _Look(numbers.stat().st_size)
    try:
        look.read(xml.read_bytes())
    except (_Refused, expat.ExpatError, ValueError, UnicodeError) as error:
        raise _refusal(xml, plain(str(error))[:200]) from None
    return look.facts


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"This OpenVINO model was not opened: {reason}.", where=path, next_step=_NEXT)


class _Look:
    def __init__(self, held: int) -> None:
        self.facts = OpenVinoFacts()
        self._held = held
        self._depth = 0
        self._kind = ""

    def read(self, text: bytes) -> None:
        parser: Any = expat.ParserCreate()
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._no_entities
        parser.EntityDeclHandler = self._no_entities
        parser.ExternalEntityRefHandler = self._no_entities
        parser.ProcessingInstructionHandler = self._no_entities
        parser.Parse(text, True)
        if not self.facts.layers:
            raise _Refused("it holds no layer")

    def _no_entities(self, *_: Any) -> NoReturn:
        raise _Refused("it defines entities or asks for other files, which no model does")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Refused(f"parts inside parts, more than {_MAX_DEPTH} deep")
        if name == "net" and self._depth != 1:
            raise _Refused("a model inside a model")
        if self._depth == 1 and name != "net":
            raise _Refused(f"it begins with <{name[:40]}>, which is no model")
        if name == "layer":
            self._layer(attributes)
        elif name == "data":
            self._data(attributes)

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _layer(self, attributes: dict[str, str]) -> None:
        self._kind, version = attributes.get("type", ""), attributes.get("version", "")
        if version not in _OPSETS:
            raise _Refused(f"it needs the layer '{self._kind[:60]}' of '{version[:60]}', which is not part of OpenVINO")
        if self._kind in _REFUSED:
            raise _Refused(f"it needs the layer '{self._kind}', which no picture model needs and which may never end")
        self.facts.layers[self._kind] += 1
        if self.facts.layers.total() > _MAX_LAYERS:
            raise _Refused(f"it has more than {_MAX_LAYERS} layers")

    def _data(self, attributes: dict[str, str]) -> None:
        shape = [side for side in attributes.get("shape", "").split(",") if side.strip()]
        sides = [int(side) for side in shape if side.strip().lstrip("-").isdigit()]
        if len(shape) > 32 or prod(side for side in sides if side > 0) > _MAX_NUMBERS or any(s < -1 for s in sides):
            raise _Refused(f"the shape {','.join(shape[:8])[:100]} is more than any picture needs")
        if self._kind != "Const":
            return
        at, size = int(attributes.get("offset", "-1")), int(attributes.get("size", "-1"))
        if at < 0 or size < 0 or at + size > self._held:
            raise _Refused(f"numbers at {at} to {at + size} of a .bin of {self._held} bytes")
        bits = _BITS.get(attributes.get("element_type", ""))
        if bits is None or any(side < 0 for side in sides) or (prod(sides) * bits + 7) // 8 != size:
            raise _Refused(f"{size} bytes for the shape {','.join(shape[:8])[:100]}")
        self.facts.parameters += prod(sides)
