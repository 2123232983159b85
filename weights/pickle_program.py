"""Walk through a pickle without running it: what it names, what it would call, and which tensors it would make."""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from math import prod
from typing import Any

_MOST_STEPS = 600_000  # a second or two; a yolov8n takes 40,000
_DEEPEST = 100  # tuples in tuples
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_ARGUMENTS = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG"}
_TEXTS = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}


class TooMuch(ValueError):  # noqa: N818 - it says what the program is
    """The program does more than one that makes a model."""


@dataclass(frozen=True)
class _Name:
    """A class or function."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """The numbers behind tensors."""

    count: int


class _Tuple(tuple[Any, ...]):
    """A tuple that knows how many lie in each other."""

    depth: int = 0


@dataclass
class Program:
    """What a pickle would do.

    Attributes:
        globals: The classes and functions that it names, "os.system".
        called: What it would call; for what no name is known, words that say how it came about.
        storages: Key in the archive, kind and count of numbers, of each storage that it asks for.
        tensors: How many numbers each tensor has, and how many its storage has.
    """

    globals: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    storages: set[tuple[str, str, int]] = field(default_factory=set)
    tensors: list[tuple[int, int]] = field(default_factory=list)


_MARK = object()


def read_program(code: bytes) -> Program:
    """Walk through a pickle with a stack of names, numbers and words instead of objects.

    Raises:
        TooMuch: it has far more steps than any model's, or names what it loads in an unusual way.
        ValueError, IndexError, KeyError, TypeError: it is damaged.
    """
    walk = _Walk()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(code))):
        if number > _MOST_STEPS:
            raise TooMuch("its program has far more steps than any detector's")
        walk.step(opcode, argument)
    return walk.program


class _Walk:
    def __init__(self) -> None:
        self.program = Program()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        stack, name = self._stack, opcode.name
        if name == "GLOBAL":
            called = argument.replace(" ", ".")
            self.program.globals.add(called)
            stack.append(_Name(called))
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(self._memo[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _NUMBERS or name in _TEXTS:
            stack.append(argument)
        elif name == "EMPTY_TUPLE":
            stack.append(_Tuple())
        elif name in _ARGUMENTS:
            self._tuple(name)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._call(function, arguments))
        else:
            self._note_hidden_name(name, argument)
            if name == "NEWOBJ" and not isinstance(stack[-2], _Name):
                self.program.called.add("a class made on the way")
            elif name in {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER"}:
                self.program.called.add(f"the pickle instruction {name}")
            self._other(opcode)

    def _note_hidden_name(self, instruction: str, argument: Any) -> None:
        """Instructions that are refused anyway; a person should read what they asked for."""
        if instruction == "INST":
            self.program.globals.add(argument.replace(" ", "."))
        elif instruction == "STACK_GLOBAL" and all(isinstance(part, str) for part in self._stack[-2:]):
            self.program.globals.add(".".join(self._stack[-2:]))

    def _tuple(self, name: str) -> None:
        count = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}.get(name)
        if count is None:
            items = []
            while (one := self._stack.pop()) is not _MARK:
                items.append(one)
            items.reverse()
        else:
            items = self._stack[-count:]
            if len(items) < count:
                raise IndexError("the program takes more than is there")
            del self._stack[-count:]
        made = _Tuple(items) if len(items) <= 64 else _Tuple()
        made.depth = 1 + max((one.depth for one in items if isinstance(one, _Tuple)), default=0)
        if made.depth > _DEEPEST:
            raise TooMuch("it nests what it makes far deeper than any detector")
        self._stack.append(made)

    def _storage(self, identity: Any) -> _Storage:
        match identity:
            case ("storage", _Name(kind), str(key), str(), int(count)) if count >= 0:
                self.program.storages.add((key, kind, count))
                return _Storage(count)
        raise TooMuch("it asks for something by a number of its own that is no tensor")

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, _Name):
            self.program.called.add("a function made on the way")
            return
        self.program.called.add(function.name)
        if function.name in _TENSORS:
            match arguments:
                case (_Storage(held), int(offset), tuple(shape), tuple(strides), *_) if _plain(offset, shape, strides):
                    self.program.tensors.append((prod(shape), held))
                case _:
                    raise TooMuch("it makes a tensor out of something that is none")

    def _other(self, opcode: pickletools.OpcodeInfo) -> None:
        """Take off and put on as many things as the instruction does."""
        before = [kind.name for kind in opcode.stack_before]
        if "mark" in before:
            while self._stack.pop() is not _MARK:
                pass
            for _ in before[: before.index("mark")]:
                self._stack.pop()
        else:
            for _ in before:
                self._stack.pop()
        self._stack.extend(None for _ in opcode.stack_after)


def _plain(offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> bool:
    return (
        offset >= 0
        and len(shape) == len(strides)
        and all(isinstance(side, int) and side >= 0 for side in (*shape, *strides))
    )
