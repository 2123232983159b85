"""One Pascal VOC file: the size of the picture and its objects. Entities and document types are refused."""

from __future__ import annotations

import codecs
import math
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from .boxes import BadRowError

_MOST_BYTES = 16 << 20
_MOST_SIDE = 10_000_000
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})""")
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_CORNER = re.compile(r"[xy]\d{1,4}")


class BadXmlError(Exception):
    """Why a whole file cannot be used, in a few words."""


@dataclass
class VocObject:
    """An object as it stands in the file: its name, the texts of its bndbox, and the corners of its polygon if any."""

    name: str = ""
    bndbox: dict[str, str] = field(default_factory=dict)
    polygon: dict[str, str] = field(default_factory=dict)

    def edges(self) -> tuple[tuple[float, float, float, float], str, bool]:
        """Left, top, right, bottom in pixels as they are counted in the file; what was mended; whether of a polygon.

        Raises:
            BadRowError: a number is missing or is none.
        """
        texts = [self.bndbox.get(edge) for edge in _EDGES]
        if all(text is None for text in texts) and len(self.polygon) >= 6:
            corners = {key: _number(text) for key, text in self.polygon.items()}
            xs = [value for key, value in corners.items() if key.startswith("x")]
            ys = [value for key, value in corners.items() if key.startswith("y")]
            if xs and ys:
                return (min(xs), min(ys), max(xs), max(ys)), "", True
        if any(text is None for text in texts):
            raise BadRowError("row-length", "it has no bndbox with xmin, ymin, xmax and ymax")
        x1, y1, x2, y2 = (_number(text or "") for text in texts)
        mended = "its edges stood the wrong way round (xmin above xmax)" if x1 > x2 or y1 > y2 else ""
        return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), mended, False


def _number(text: str) -> float:
    try:
        value = float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        raise BadRowError("not-a-number", "its bndbox holds something that is not a number") from None
    if not math.isfinite(value):
        raise BadRowError("nan", "its bndbox holds NaN or infinity")
    return value


@dataclass
class VocFile:
    """What a VOC file says.

    Attributes:
        width, height: Of the picture in pixels; 0 where the file does not say.
        database: What it says it is part of.
        odd_encoding: Whether its bytes are not in the encoding that it declares.
    """

    width: int = 0
    height: int = 0
    database: str = ""
    objects: list[VocObject] = field(default_factory=list)
    odd_encoding: bool = False


def read_voc(path: Path) -> VocFile:
    """Read a VOC file.

    Raises:
        BadXmlError: it is no XML or no annotation, is larger than 16 MB, or declares a document type or an entity.
        OSError: it cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadXmlError("it is no file")
    if status.st_size > _MOST_BYTES:
        raise BadXmlError("it is larger than 16 MB")
    found = VocFile()
    text = _text(path.read_bytes(), found)
    parser = expat.ParserCreate("utf-8")  # whatever the file declares: the text was decoded already
    handler = _Handler(found)
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(_DECLARATION.sub("", text, count=1).encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise BadXmlError(f"it is no XML from line {error.lineno} on") from None
    return found


def _refuse(*_: object) -> None:
    raise BadXmlError("it declares a document type or entities, which no annotation needs")


def _text(data: bytes, found: VocFile) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _DECLARED.match(data)
    try:
        if declared and codecs.lookup(declared[1].decode()).name != "utf-8":
            return data.decode(declared[1].decode())
    except (LookupError, UnicodeError):
        pass  # it names an encoding that nobody knows, or that these bytes are not in
    found.odd_encoding = True
    return data.decode("latin-1")


class _Handler:
    """Takes what is wanted from where it belongs: an object's parts have names and boxes of their own."""

    def __init__(self, found: VocFile) -> None:
        self.found = found
        self.path: list[str] = []
        self.depth = 0
        self.pieces: list[str] = []

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        if not self.depth and tag.lower() != "annotation":
            raise BadXmlError(f"it holds <{tag[:40]}>, not an <annotation>")
        self.depth += 1
        if self.depth <= 4:
            self.path.append(tag)
            self.pieces.clear()
            if self.path[1:] == ["object"]:
                self.found.objects.append(VocObject())

    def text(self, piece: str) -> None:
        if self.depth <= 4:
            self.pieces.append(piece)

    def end(self, _tag: str) -> None:
        self.depth -= 1
        if self.depth >= 4:
            return
        match self.path[1:]:
            case ["size", "width"]:
                self.found.width = _side(self.content())
            case ["size", "height"]:
                self.found.height = _side(self.content())
            case ["source", "database"]:
                self.found.database = self.content()
            case ["object", "name"]:
                self.found.objects[-1].name = self.content()
            case ["object", "bndbox", edge] if edge in _EDGES:
                self.found.objects[-1].bndbox[edge] = self.content()
            case ["object", "polygon", corner] if _CORNER.fullmatch(corner):
                self.found.objects[-1].polygon[corner] = self.content()
        self.path.pop()
        self.pieces.clear()

    def content(self) -> str:
        return "".join(self.pieces).strip()


def _side(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        return 0
    return int(value) if 1 <= value <= _MOST_SIDE else 0
