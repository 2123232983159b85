"""Look into a `.pt` file before anything in it is loaded.

A checkpoint is a pickle, and a pickle is a program. This module reads that program without running it: which classes it
names, and which functions it would call. Only what Ultralytics' own detectors are made of may be there.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from pathlib import Path

from ..core.errors import DataError, NotFoundError

_MAX_PROGRAM_BYTES = 64 << 20
_MAX_ENTRIES = 100_000

# Classes whose objects a detector consists of. Objects are made without their constructor, see `_CALLS`.
_OBJECTS = re.compile(
    r"(torch\.nn\.modules\.\w+\.[A-Z]\w*"
    r"|ultralytics\.nn\.modules\.\w+\.[A-Z]\w*"
    r"|ultralytics\.nn\.modules\.[A-Z]\w*"
    r"|ultralytics\.nn\.tasks\.(DetectionModel|YOLOv10DetectionModel|RTDETRDetectionModel)"
    r"|ultralytics\.utils\.(loss|tal)\.[A-Za-z]\w*"
    r"|ultralytics\.models\.utils\.(loss|ops)\.[A-Z]\w*"
    r"|ultralytics(\.yolo)?\.utils\.IterableSimpleNamespace"
    r"|pathlib(\._local)?\.(PosixPath|WindowsPath)"
    r"|numpy\.dtype|numpy(\._core|\.core)\.multiarray\.scalar"
    r"|(builtins|__builtin__)\.getattr)"  # Ultralytics' own getattr stands in for it and answers for layers only
)
# What the program may call. Constructors of layers are not among them: one line could ask for terabytes.
_CALLS = re.compile(
    r"(collections\.OrderedDict|torch\.Size|torch\.device"
    r"|(builtins|__builtin__)\.(set|getattr)"
    r"|torch\._utils\._rebuild_(tensor_v2|tensor|parameter|device_tensor_from_numpy)"
    r"|pathlib(\._local)?\.(PosixPath|WindowsPath)"
    r"|ultralytics(\.yolo)?\.utils\.IterableSimpleNamespace"
    r"|numpy\.dtype|numpy(\._core|\.core)\.multiarray\.scalar|_codecs\.encode)"
)
# What else Ultralytics writes, and what came before it: refused like any other class, but by its name.
_OTHER_MODELS = {
    "ultralytics.nn.tasks.SegmentationModel": "is of a model that draws outlines",
    "ultralytics.nn.tasks.PoseModel": "is of a model that finds body points",
    "ultralytics.nn.tasks.OBBModel": "is of a model that finds rotated boxes",
    "ultralytics.nn.tasks.ClassificationModel": "is of a model that classifies whole pictures",
    "ultralytics.nn.tasks.DepthModel": "is of a model that measures depth",
    "ultralytics.nn.tasks.SemanticSegmentationModel": "is of a model that labels every pixel",
    "ultralytics.nn.tasks.WorldModel": "is of a model that is asked in words",
    "ultralytics.nn.tasks.YOLOEModel": "is of a model that is asked in words",
    "ultralytics.nn.tasks.YOLOESegModel": "is of a model that is asked in words",
    "models.yolo.Model": "was written by the programs of YOLOv5 or YOLOv7 themselves and not by Ultralytics' library",
    "models.yolo.DetectionModel": "was written by the program of YOLOv5 itself and not by Ultralytics' library",
}
_OTHER_FILE = "use a .pt file that Ultralytics or Lensmith wrote, or train one with `cv train-yolo --from-scratch`"


def check_checkpoint(path: Path) -> None:
    """Refuse a `.pt` file that is damaged, is something else, or holds more than a detector's own parts.

    Nothing of the file is executed or loaded.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not a checkpoint, is one of another task, or names a class or function that no detector needs.
    """
    program = _read_program(path)
    found = sorted(_unsafe_globals(path))
    for name in found:
        if name in _OTHER_MODELS:
            raise DataError(
                f"This checkpoint {_OTHER_MODELS[name]}, and here it must be a detector's.",
                where=path,
                next_step="give weights of a detector; `cv models` lists those there are",
            )
    for name in found:
        if not _OBJECTS.fullmatch(name):
            raise _hostile(path, name)
    for name in sorted(_called(program, path)):
        if not _CALLS.fullmatch(name):
            raise _hostile(path, name)


def _read_program(path: Path) -> bytes:
    """The pickle in the archive that `torch.save` writes."""
    if not path.is_file():
        raise NotFoundError("There is no such weights file.", where=path)
    if not zipfile.is_zipfile(path):
        raise DataError(
            "This file is not a checkpoint, or it is cut short: it is not in the format that torch writes since 2020.",
            where=path,
            next_step=_OTHER_FILE,
        )
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            programs = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(programs) != 1 or len({entry.filename for entry in entries}) != len(entries):
                raise DataError("This archive is not a checkpoint.", where=path, next_step=_OTHER_FILE)
            if len(entries) > _MAX_ENTRIES or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise DataError("This checkpoint is packed in a way that torch never uses.", where=path,
                                next_step=_OTHER_FILE)  # fmt: skip
            if programs[0].file_size > _MAX_PROGRAM_BYTES:
                raise DataError("This checkpoint is far larger inside than any detector's.", where=path,
                                next_step=_OTHER_FILE)  # fmt: skip
            return archive.read(programs[0])
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _unsafe_globals(path: Path) -> list[str]:
    import torch

    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # noqa: BLE001 - torch names no common class for what is wrong with a file
        raise _damaged(path, error) from None


def _called(program: bytes, path: Path) -> set[str]:
    """Names of what the pickle would call, found by walking through it with a stack of names instead of objects."""
    try:
        return _walk(program)
    except (ValueError, IndexError, KeyError) as error:
        raise _damaged(path, error) from None


def _walk(program: bytes) -> set[str]:
    mark = object()
    stack: list[object] = []
    memo: dict[int, object] = {}
    called: set[str] = set()
    for opcode, argument, _ in pickletools.genops(io.BytesIO(program)):
        match opcode.name, argument:
            case "GLOBAL", str(name):
                stack.append(name.replace(" ", "."))
                continue
            case (("PUT" | "BINPUT" | "LONG_BINPUT"), int(place)):
                memo[place] = stack[-1]
                continue
            case "MEMOIZE", _:
                memo[len(memo)] = stack[-1]
                continue
            case (("GET" | "BINGET" | "LONG_BINGET"), int(place)):
                stack.append(memo[place])
                continue
            case "DUP", _:
                stack.append(stack[-1])
                continue
            case "MARK", _:
                stack.append(mark)
                continue
            case "REDUCE", _:
                function = stack[-2]
                called.add(function if isinstance(function, str) else "a function made on the way")
            case "NEWOBJ", _ if not isinstance(stack[-2], str):
                called.add("a class made on the way")
            case (("STACK_GLOBAL" | "INST" | "OBJ" | "NEWOBJ_EX" | "EXT1" | "EXT2" | "EXT4"), _):
                called.add(f"the pickle instruction {opcode.name}")
        _step(opcode, stack, mark)
    return called


def _step(opcode: pickletools.OpcodeInfo, stack: list[object], mark: object) -> None:
    """Take off and put on as many things as the instruction does."""
    before = [kind.name for kind in opcode.stack_before]
    if "mark" in before:
        while stack.pop() is not mark:
            pass
        for _ in before[: before.index("mark")]:
            stack.pop()
    else:
        for _ in before:
            stack.pop()
    stack.extend(None for _ in opcode.stack_after)


def _hostile(path: Path, name: str) -> DataError:
    return DataError(
        f"This checkpoint was not loaded: it asks for '{name}', which no detector needs and which may run a program.",
        where=path,
        next_step=_OTHER_FILE,
    )


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DataError(f"This checkpoint is damaged or is none at all: {reason}", where=path, next_step=_OTHER_FILE)
