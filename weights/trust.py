"""Look into a `.pt` file before anything in it is loaded.

A checkpoint is a pickle, and a pickle is a program. `pickle_program` reads that program without running it: which
classes it names, which functions it would call, and how much memory its tensors take. Only what Ultralytics' own
detectors are made of may be there. Needs no torch.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, NotFoundError
from .pickle_program import Program, TooMuch, read_program
from .protobuf import plain

_MAX_PROGRAM_BYTES = 16 << 20  # a hundred times that of a yolov8n
_MAX_ENTRIES = 100_000
_MAX_BYTES = 8 << 30

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
# Plain data: kinds of numbers, and what holds them.
_DATA = re.compile(
    r"torch\.((Float|Half|Double|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage"
    r"|(float|bfloat|int|uint)\d+|float|double|half|long|int|short|bool|Tensor|nn\.parameter\.Parameter)"
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


@dataclass(frozen=True)
class CheckpointFacts:
    """What is in a `.pt` file.

    Attributes:
        globals: The classes and functions that it names.
        parameters: Numbers in its tensors.
        bytes: Of those numbers.
    """

    globals: tuple[str, ...]
    parameters: int
    bytes: int


def check_checkpoint(path: Path) -> CheckpointFacts:
    """Refuse a `.pt` file that is damaged, is something else, or holds more than a detector's own parts.

    Nothing of the file is executed or loaded.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not a checkpoint, is one of another task, names a class or function that no detector needs, or
            its tensors claim numbers that the file does not hold.
    """
    code, stored = _read_archive(path)
    try:
        program = read_program(code)
    except TooMuch as error:
        raise _refused(path, str(error)) from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _damaged(path, error) from None
    _check_names(path, program)
    _check_sizes(path, program, stored)
    counts = {key: count for key, _, count in program.storages}
    return CheckpointFacts(tuple(sorted(program.globals)), sum(counts.values()), sum(stored[key] for key in counts))


def _check_names(path: Path, program: Program) -> None:
    found = sorted(program.globals)
    for name in found:
        if name in _OTHER_MODELS:
            raise DataError(
                f"This checkpoint {_OTHER_MODELS[name]}, and here it must be a detector's.",
                where=path,
                next_step="give weights of a detector; `cv models` lists those there are",
            )
    for name in found:
        if not (_CALLS.fullmatch(name) or _OBJECTS.fullmatch(name) or _DATA.fullmatch(name)):
            raise _hostile(path, name)
    for name in sorted(program.called):
        if not _CALLS.fullmatch(name):
            raise _hostile(path, name)


def _check_sizes(path: Path, program: Program, stored: dict[str, int]) -> None:
    """The loader believes what the program says of a length, and would read past the end of a shorter one."""
    for key, kind, count in program.storages:
        width = _WIDTHS.get(kind)
        if width is None or stored.get(key) != width * count:
            held = f"{stored[key]} bytes" if key in stored else "nothing"
            raise _refused(path, f"tensor '{plain(key)[:40]}' should be {count} numbers of {plain(kind)[:40]}, "
                                 f"and the file holds {held} for it")  # fmt: skip
    for count, held in program.tensors:
        if count > max(held, _SMALL_TENSOR):
            raise _refused(path, f"a tensor claims {count} numbers, and {held} are there")


_WIDTHS = {
    "torch.FloatStorage": 4, "torch.HalfStorage": 2, "torch.DoubleStorage": 8, "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8, "torch.IntStorage": 4, "torch.ShortStorage": 2, "torch.CharStorage": 1,
    "torch.ByteStorage": 1, "torch.BoolStorage": 1,
}  # fmt: skip
_SMALL_TENSOR = 1 << 20  # what may be one number repeated


def _read_archive(path: Path) -> tuple[bytes, dict[str, int]]:
    """The pickle in the archive that `torch.save` writes, and the size in bytes of each storage by its key."""
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
            return _look_into(path, archive)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise _damaged(path, error) from None


def _look_into(path: Path, archive: zipfile.ZipFile) -> tuple[bytes, dict[str, int]]:
    entries = archive.infolist()
    programs = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(programs) != 1 or len({entry.filename for entry in entries}) != len(entries):
        raise DataError("This archive is not a checkpoint.", where=path, next_step=_OTHER_FILE)
    if len(entries) > _MAX_ENTRIES or any(
        entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1
        for entry in entries
    ):
        raise _refused(path, "it is packed in a way that torch never uses")
    if sum(entry.file_size for entry in entries) > min(path.stat().st_size, _MAX_BYTES):
        raise _refused(path, "it claims to be larger inside than it is")
    if programs[0].file_size > _MAX_PROGRAM_BYTES:
        raise _refused(path, "its program is far larger than any detector's")
    folder = programs[0].filename.removesuffix("data.pkl")
    if any(entry.filename.startswith(f"{folder}code/") for entry in entries):
        raise _refused(path, "it is a TorchScript program, which carries code")
    begin = f"{folder}data/"
    stored = {e.filename.removeprefix(begin): e.file_size for e in entries if e.filename.startswith(begin)}
    return archive.read(programs[0]), stored


def _hostile(path: Path, name: str) -> DataError:
    shown = plain(name)[:120]
    return DataError(
        f"This checkpoint was not loaded: it asks for '{shown}', which no detector needs and which may run a program.",
        where=path,
        next_step=_OTHER_FILE,
    )


def _refused(path: Path, reason: str) -> DataError:
    return DataError(f"This checkpoint was not loaded: {reason}.", where=path, next_step=_OTHER_FILE)


def _damaged(path: Path, error: Exception) -> DataError:
    reason = plain(str(error).splitlines()[0])[:200] if str(error) else type(error).__name__
    return DataError(f"This checkpoint is damaged or is none at all: {reason}", where=path, next_step=_OTHER_FILE)
