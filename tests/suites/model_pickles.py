"""Hostile `.pt` files: pickles that would run something, lie about sizes, or are packed in odd ways."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.suites.zips import Entry, make_zip

Build = Callable[[Path], bytes]
"""Gets the path of a canary, which exists as soon as something runs; gives the file's bytes."""


def name(module: str, attribute: str) -> bytes:
    """The instruction that loads a class or function."""
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    """The instruction that loads a word."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    """The instruction that loads a number of any size."""
    data = value.to_bytes(16, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """A program that calls one function, its result thrown away, and gives a dict."""
    return b"\x80\x02" + name(module, attribute) + b"(" + b"".join(arguments) + b"tR0}."


def checkpoint(program: bytes, **extra: bytes) -> bytes:
    """What `torch.save` writes around a program."""
    members = {"data.pkl": program, "version": b"3\n", "byteorder": b"little", **extra}
    return make_zip([Entry(f"model/{key.replace('__', '/')}", data) for key, data in members.items()])


def storage(key: str, count: int, kind: str = "FloatStorage", where: str = "cpu") -> bytes:
    """The instructions that load the numbers of a tensor."""
    parts = text("storage") + name("torch", kind) + text(key) + text(where) + number(count)
    return b"(" + parts + b"tQ"


def tensor(numbers: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    """The instructions that make a tensor out of numbers."""
    sides = b"(" + b"".join(map(number, shape)) + b"t"
    steps = b"(" + b"".join(map(number, strides)) + b"t"
    rest = number(offset) + sides + steps + b"\x89" + name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + numbers + rest + b"tR"


class _Reduces:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


def _dumped(
    function: Callable[..., Any], arguments: Callable[[Path], tuple[Any, ...]], protocol: int, canary: Path
) -> bytes:
    return checkpoint(pickle.dumps({"model": _Reduces(function, arguments(canary))}, protocol=protocol))


def _touch(canary: Path) -> tuple[str]:
    return (f"touch '{canary}'",)


def _python(canary: Path) -> tuple[str]:
    return (f"open({str(canary)!r}, 'w').close()",)


def _calls() -> dict[str, Build]:
    """Programs that call one thing with words; what they would touch is the canary."""
    shell, code = (lambda canary: text(_touch(canary)[0])), (lambda canary: text(_python(canary)[0]))
    path = lambda canary: text(str(canary))  # noqa: E731
    wanted: list[tuple[str, str, Callable[[Path], bytes]]] = [
        ("os", "system", shell), ("posix", "system", shell), ("os", "popen", shell), ("os", "mkdir", path),
        ("subprocess", "getoutput", shell), ("subprocess", "check_output", shell), ("commands", "getoutput", shell),
        ("builtins", "eval", code), ("builtins", "exec", code), ("__builtin__", "execfile", path),
        ("builtins", "__import__", lambda _: text("this")), ("importlib", "import_module", lambda _: text("this")),
        ("runpy", "run_path", path), ("pty", "spawn", path), ("code", "interact", path), ("shutil", "rmtree", path),
        ("pathlib", "Path.touch", path), ("webbrowser", "open", path), ("ctypes", "CDLL", path),
        ("urllib.request", "urlopen", lambda _: text("http://127.0.0.1:9/")),
        ("socket", "gethostbyname", lambda _: text("example.invalid")),
        ("torch", "load", path), ("torch.hub", "load", path), ("torch.utils.cpp_extension", "load", path),
        ("torch.storage", "_load_from_bytes", path), ("torch.jit", "load", path), ("numpy", "load", path),
        ("numpy", "fromfile", path), ("pickle", "loads", path), ("joblib", "load", path), ("pip", "main", path),
        ("ultralytics.utils.downloads", "safe_download", path), ("ultralytics.nn.tasks", "parse_model", path),
        ("ultralytics.utils.checks", "check_requirements", path), ("ultralytics.nn.tasks", "torch_safe_load", path),
        ("operator", "attrgetter", lambda _: text("system")), ("functools", "partial", lambda _: name("os", "system")),
        ("builtins", "bytearray", lambda _: number(1 << 40)), ("builtins", "range", lambda _: number(1 << 40)),
        ("torch.nn.modules.linear", "Linear", lambda _: number(1 << 20) * 2),
        ("ultralytics.nn.modules.conv", "Conv", lambda _: number(1 << 20) * 2),
        ("\x1b[31mos", "system", shell), ("os\u202e", "system", shell), ("nowhere.at.all", "Thing", path),
    ]  # fmt: skip
    return {
        f"calls {module}.{attribute}".replace("\x1b", "ESC"): (
            lambda canary, m=module, a=attribute, given=argument: checkpoint(call(m, a, given(canary)))
        )
        for module, attribute, argument in wanted
    }


def _tricks() -> dict[str, Build]:
    """Other instructions that end in a call."""
    head = b"\x80\x02"
    programs: dict[str, Callable[[Path], bytes]] = {
        "STACK_GLOBAL": lambda c: b"\x80\x04" + text("os") + text("system") + b"\x93" + text(_touch(c)[0]) + b"\x85R.",
        "STACK_GLOBAL from the memo": lambda c: b"\x80\x04" + text("os") + b"\x940" + text("system")
        + b"\x940h\x00h\x01\x93" + text(_touch(c)[0]) + b"\x85R.",
        "INST": lambda c: head + b"(" + text(_touch(c)[0]) + b"ios\nsystem\n.",
        "OBJ": lambda c: head + b"(" + name("os", "system") + text(_touch(c)[0]) + b"o.",
        "NEWOBJ": lambda c: head + name("subprocess", "Popen") + text(_touch(c)[0]) + b"\x85\x81.",
        "NEWOBJ_EX": lambda c: b"\x80\x04" + name("subprocess", "Popen") + text(_touch(c)[0]) + b"\x85}\x92.",
        "a function from the memo": lambda c: head + name("os", "system") + b"q\x000h\x00" + text(_touch(c)[0])
        + b"\x85R.",
        "a function twice on the stack": lambda c: head + name("os", "system") + b"2" + text(_touch(c)[0])
        + b"\x85R.",
        "getattr of getattr": lambda c: head + name("builtins", "getattr") + name("builtins", "getattr")
        + name("torch.nn.modules.linear", "Linear") + text("__init__") + b"\x86R" + text("__globals__") + b"\x86R)R.",
        "a call of what a call gave": lambda c: head + name("builtins", "getattr") + name("torch", "Size")
        + text("__class__") + b"\x86R)R.",
        "EXT1": lambda c: head + b"\x82\x01)R.",
        "PERSID": lambda c: head + b"Pos.system\n.",
        "BINPERSID of something else": lambda c: head + b"(" + text("module") + name("os", "system") + b"tQ.",
        "BUILD of a function": lambda c: head + name("os", "system") + b"}" + text("x") + text("y") + b"sb.",
        "BUILD with __reduce__": lambda c: head + name("torch.nn.modules.linear", "Linear") + b")\x81}"
        + text("__reduce__") + name("os", "system") + b"sb.",
        "a deep nest of tuples": lambda c: head + b")" + b"\x85" * 300_000 + b".",
        "two million steps": lambda c: head + b"N0" * 1_000_000 + b"N.",
        "a word of 8 exabytes": lambda c: head + b"\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
        "an endless number": lambda c: head + b"L" + b"9" * 1_000_000 + b"L\n.",
        "no end": lambda c: head + b"}q\x00(X\x05",
        "takes off more than is there": lambda c: head + b"00000R.",
        "an unknown instruction": lambda c: head + b"\xff\xfe.",
        "a memo that is empty": lambda c: head + b"h\x07.",
    }  # fmt: skip
    return {
        f"pickle: {label}": (lambda canary, make=make: checkpoint(make(canary))) for label, make in programs.items()
    }


def _sizes() -> dict[str, Build]:
    """Programs without calls that torch would believe."""
    good = bytes(16)

    def made(program: bytes, **extra: bytes) -> Build:
        return lambda _: checkpoint(b"\x80\x02" + program + b".", **extra)

    return {
        "numbers past the end of the file": made(tensor(storage("0", 1 << 30), (4,), (1,)), data__0=good),
        "numbers that are not there": made(tensor(storage("7", 4), (4,), (1,)), data__0=good),
        "fewer numbers than there are": made(tensor(storage("0", 2), (2,), (1,)), data__0=good),
        "numbers of an unknown kind": made(tensor(storage("0", 4, "QUInt8Storage"), (4,), (1,)), data__0=good),
        "a tensor of terabytes out of one number": made(
            tensor(storage("0", 4), (1 << 20, 1 << 20), (0, 0)), data__0=good
        ),
        "a negative shape": made(tensor(storage("0", 4), (-4,), (1,)), data__0=good),
        "a tensor of a word": made(tensor(text("0"), (4,), (1,)), data__0=good),
        "numbers in another place": made(tensor(storage("../../etc/passwd", 4), (4,), (1,)), data__0=good),
        "a negative count": made(storage("0", -4), data__0=good),
    }


def _packings() -> dict[str, Build]:
    """A program that is harmless or not, in an archive that is odd."""
    plain = pickle.dumps({}, protocol=2)

    def tarred(canary: Path) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            program = pickle.dumps(_Reduces(os.system, _touch(canary)), protocol=2)
            entry = tarfile.TarInfo("pickle")
            entry.size = len(program)
            archive.addfile(entry, io.BytesIO(program))
        return file.getvalue()

    def legacy(canary: Path) -> bytes:
        parts = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, _Reduces(os.system, _touch(canary)))
        return b"".join(pickle.dumps(part, protocol=2) for part in parts)

    def deflated(_: Path) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model/data.pkl", plain + bytes(200_000_000))
        return file.getvalue()

    def zipped(*entries: Entry) -> Build:
        return lambda _: make_zip(entries)

    one = Entry("model/data.pkl", plain)
    return {
        "a bare pickle": lambda c: pickle.dumps(_Reduces(os.system, _touch(c)), protocol=2),
        "a bare pickle of protocol 0": lambda c: pickle.dumps(_Reduces(os.system, _touch(c)), protocol=0),
        "the format before 2020": legacy, "a tar": tarred, "a packed bomb": deflated,
        "two programs": zipped(one, Entry("other/data.pkl", plain)), "one name twice": zipped(one, one),
        "no program": zipped(Entry("model/version", b"3")),
        "TorchScript": zipped(one, Entry("model/constants.pkl", plain), Entry("model/code/__torch__.py", b"import os")),
        "locked": zipped(Entry("model/data.pkl", plain, flags=1)),
        "a program of 4 GB by its header": zipped(Entry("model/data.pkl", plain, size=0xFFFFFFF0)),
        "entries of one place": zipped(one, *(Entry(f"model/data/{n}", b"", size=9000, packed=9000, offset=0)
                                             for n in range(500))),
        "100,000 entries": zipped(one, *(Entry(f"model/data/{n}", b"") for n in range(100_001))),
        "an unknown packing": zipped(Entry("model/data.pkl", plain, method=99)),
        "nothing": lambda _: b"", "a page": lambda _: b"<html>404 not found</html>",
        "a zip's end alone": lambda _: b"PK\x05\x06" + bytes(18), "noise": lambda _: bytes(range(256)) * 50,
        "cut short": lambda _: checkpoint(plain)[:-40],
    }  # fmt: skip


def pickles() -> dict[str, Build]:
    """All of them by what they try."""
    dumped = {
        f"{function.__module__}.{function.__name__} by protocol {protocol}": partial(_dumped, function, given, protocol)
        for function, given in ((os.system, _touch), (exec, _python), (eval, _python), (os.popen, _touch))
        for protocol in (0, 1, 3, 4, 5)
    }
    return {**_calls(), **_tricks(), **_sizes(), **_packings(), **dumped}
