"""Which of several engines is the fastest for a bundle on this machine: measured once, and kept."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from ...core.device import usable_cores
from ...core.errors import LensmithError
from ...weights.bundle import Bundle
from .base import Engine
from .foreign import ForeignEngine
from .golden import golden_samples
from .memo import Memo

_ROUNDS = 2
_ROUND_SECONDS = 0.25  # for each engine; a slow model takes one picture a round
_MOST_PICTURES = 16  # in a round
# An engine is left for another one only if that is clearly faster: what is chosen should not hang on a moment's noise.
_CLEARLY = 0.9


class Race:
    """The engines that can run a bundle here, and how long each takes.

    Args:
        bundle: Whose golden samples they run.
        names: The engines, the usually fastest first.
        device: As given to `open_engine`.
        live: One picture at a time, or many in a row.
    """

    def __init__(self, bundle: Bundle, names: Sequence[str], device: str, *, live: bool) -> None:
        self._bundle, self._names, self._live = bundle, tuple(names), live
        self._memo = Memo("engine", bundle, names, device, usable_cores(), "live" if live else "many")

    def known(self) -> dict[str, float] | None:
        """Milliseconds a picture of each engine, as measured before; None where that never was."""
        found = (self._memo.read() or {}).get("milliseconds")
        if not isinstance(found, dict) or not found or not set(found) <= set(self._names):
            return None
        return found if all(map(_is_time, found.values())) else None

    def run(self, engines: Sequence[Engine], problems: list[LensmithError]) -> dict[str, float]:
        """Let the engines run in turns, and keep what each took: milliseconds a picture, the best of its rounds.

        One that fails, which many pictures at once may make it do where one did not, is left out, nothing is kept, and
        its error is added to `problems`.
        """
        pictures, _ = golden_samples(self._bundle)
        try:
            took = take_turns(engines, pictures, live=self._live, rounds=_ROUNDS)
        except LensmithError:
            return self._run_alone(engines, pictures, problems)
        best = {engine.name: each for engine, each in zip(engines, took, strict=True)}
        self._memo.keep({"bundle": self._bundle.name, "milliseconds": best})
        return best

    def _run_alone(
        self, engines: Sequence[Engine], pictures: np.ndarray, problems: list[LensmithError]
    ) -> dict[str, float]:
        took: dict[str, float] = {}
        for engine in engines:
            try:
                took[engine.name] = take_turns([engine], pictures, live=self._live, rounds=_ROUNDS)[0]
            except LensmithError as error:
                problems.append(error)
        return took

    def order(self, milliseconds: dict[str, float]) -> tuple[str, ...]:
        """The engines that were measured, the one to take first."""
        there = [name for name in self._names if name in milliseconds]
        fastest = min(milliseconds.values())
        first = next(name for name in there if _CLEARLY * milliseconds[name] <= fastest)
        return (first, *(name for name in there if name != first))


def take_turns(engines: Sequence[Engine], pictures: np.ndarray, *, live: bool, rounds: int) -> list[float]:
    """How fast engines are beside each other: what else the machine does meets each of them.

    Args:
        engines: Which.
        pictures: What they run, uint8 BGR `(n, h, w, 3)`.
        live: One picture at a time, or many in a row.
        rounds: How often each of them has its turn, of a quarter of a second.

    Returns:
        For each engine milliseconds a picture, the best of its rounds.
    """
    best = [math.inf] * len(engines)
    for engine in engines:
        engine.infer(pictures[:1])  # the first run of each prepares what later ones use
    for _ in range(rounds):
        for number, engine in enumerate(engines):
            best[number] = min(best[number], 1000 * _seconds_each(engine, pictures, live=live))
    return best


def told(milliseconds: dict[str, float]) -> str:
    """For a person: "openvino 11 ms, onnxruntime 19 ms a picture"."""
    ordered = sorted(milliseconds.items(), key=lambda item: item[1])
    return ", ".join(f"{name} {took:.3g} ms" for name, took in ordered) + " a picture"


def _seconds_each(engine: Engine, pictures: np.ndarray, *, live: bool) -> float:
    clock = engine.clock if isinstance(engine, ForeignEngine) else time.perf_counter
    started = clock()
    engine.infer(pictures[:1])
    once = clock() - started
    count = min(int(_ROUND_SECONDS / max(once, 1e-6)), _MOST_PICTURES)
    if count < 2:
        return once
    size = 1 if live else engine.batch
    row = (pictures[number % len(pictures)] for number in range(count))
    started = clock()
    if live:
        for picture in row:
            engine.infer(picture[None])
    else:
        for _ in engine.stream((None, np.stack(batch)) for batch in iter(lambda: list(islice(row, size)), [])):
            pass
    return (clock() - started) / count


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0
