"""Model files and bundles that are hostile: nothing in them runs, nothing outside is read, nothing half-made stays."""

from __future__ import annotations

import importlib
import resource
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lensmith.cli.import_model import import_model
from lensmith.cli.weights_import import ImportOptions
from lensmith.core.errors import LensmithError
from lensmith.core.workspace import Workspace
from lensmith.predict.model import open_model
from lensmith.weights.bundle import open_bundle
from tests.suites import model_bundles
from tests.suites.model_keras import built_keras, keras_files
from tests.suites.model_onnx import hungry_onnx, onnx_files
from tests.suites.model_pickles import pickles

MEMORY_BYTES = 32 << 30  # this process may; what it took is measured below
FILE_BYTES = 1 << 30
_MOST_BYTES = 512 << 20
# What a process has when its libraries are loaded.
_PORTABLE_START, _FRAMEWORK_START = 260 << 20, 900 << 20
_OPTIONS = {".keras": ImportOptions(classes="a,b,c", scale="0-255"), ".onnx": ImportOptions(), ".pt": ImportOptions()}


class Case(NamedTuple):
    """One file or bundle.

    Attributes:
        expected: "refused", or "ok" where it may be used.
        lay_out: Gets the folder `given` and the path of a canary; gives what is to be opened.
    """

    label: str
    expected: str
    is_bundle: bool
    lay_out: Callable[[Path, Path], Path]


class Laid(NamedTuple):
    """A case as it lies there."""

    case: Case
    path: Path
    before: dict[str, bytes]


def _file(label: str, suffix: str, build: Callable[[Path], bytes]) -> Case:
    def lay_out(given: Path, canary: Path) -> Path:
        path = given / f"x{suffix}"
        path.write_bytes(build(canary))
        (given / "weights.bin").write_bytes(bytes(16))
        (given / "link.bin").symlink_to("/etc/passwd")
        return path

    return Case(f"{suffix}: {label}", "refused", False, lay_out)


def _bundle(label: str, write: model_bundles.LayOut, expected: str = "refused") -> Case:
    def lay_out(given: Path, canary: Path) -> Path:
        folder = given / "x"
        folder.mkdir()
        write(folder, canary)
        return folder

    return Case(f"bundle: {label}", expected, True, lay_out)


@cache
def quick() -> list[Case]:
    """Those that are over within milliseconds, because nothing is opened."""
    groups = ((".pt", pickles()), (".onnx", onnx_files()), (".keras", keras_files()))
    files = [_file(label, suffix, build) for suffix, group in groups for label, build in group.items()]
    return [*files, *(_bundle(label, write) for label, write in model_bundles.refused().items())]


@cache
def tried() -> list[Case]:
    """Those for which a process is started that runs a portable model."""
    return [
        *(_file(label, ".onnx", build) for label, build in hungry_onnx().items()),
        *(_bundle(label, write) for label, write in model_bundles.tried().items()),
        *(_bundle(label, write, "ok") for label, write in model_bundles.harmless().items()),
    ]


def heavy() -> list[Case]:
    """Those for which a process is started that loads a training framework."""
    return [
        *(_file(label, ".keras", build) for label, build in built_keras().items()),
        *(_bundle(label, write) for label, write in model_bundles.with_keras().items()),
    ]


_CASES: list[Case] = []


def warm_up() -> None:
    """All that is loaded later would count as memory of a case."""
    importlib.import_module("onnx")
    importlib.import_module("h5py")
    _CASES.extend([*quick(), *tried(), *heavy()])


def prepare(number: int, folder: Path) -> Laid:
    """Lay out one case."""
    given = folder / "given"
    given.mkdir()
    case = _CASES[number]
    path = case.lay_out(given, folder / "canary")
    (folder / "work").mkdir()
    return Laid(case, path, _bytes(given))


def run(laid: Laid, folder: Path) -> tuple[str, str, list[str]]:
    """One case; see `box.Outcome`."""
    case, work = laid.case, Workspace(folder / "work")
    broken: list[str] = []
    before = _peak(resource.RUSAGE_SELF)
    try:
        if case.is_bundle:
            model = open_model(open_bundle(laid.path, work))
            model.engine.infer(np.zeros((1, model_bundles.SIDE, model_bundles.SIDE, 3), np.uint8))
        else:
            import_model(laid.path, None, work, _OPTIONS[laid.path.suffix])
        state, said = "ok", ""
    except LensmithError as error:
        state, said = "refused", str(error)
    if state != case.expected:
        broken.append(f"'{case.label}' should be {case.expected} and was {state}")
    if _peak(resource.RUSAGE_SELF) - before > _MOST_BYTES:
        broken.append("too much memory")
    if _peak(resource.RUSAGE_CHILDREN) > _MOST_BYTES + (_FRAMEWORK_START if "keras" in case.label else _PORTABLE_START):
        broken.append(f"too much memory in a child: {_peak(resource.RUSAGE_CHILDREN) >> 20} MB")
    if (folder / "canary").exists() or {path.name for path in folder.iterdir()} != {"given", "work"}:
        broken.append("something ran, or wrote outside")
    if _bytes(folder / "given") != laid.before:
        broken.append("what was given has changed")
    if "\x1b" in said:
        broken.append("a message that paints the terminal")
    if work.weights.exists() and (left := [p.name for p in work.weights.iterdir() if p.name != ".locks"]):
        broken.append(f"left behind: {left}")
    return state, f"{case.label}: {said}", broken


def _peak(whose: int) -> int:
    return resource.getrusage(whose).ru_maxrss * 1024


def _bytes(folder: Path) -> dict[str, bytes]:
    """What plain files hold; large ones are told by their size."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.stat().st_size < 1 << 24 else b"large"
        for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()
    }  # fmt: skip
