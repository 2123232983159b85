"""What is done by itself when a model sees something: `cv live --on "person>0.8" --every 5s --run COMMAND`.

A rule is one of

    person           at least one person
    person>0.8       at least one, of whom the model is surer than that (80% means the same)
    person:3         at least three
    person:3>0.8     at least three of whom it is surer than that

Of a classifier's answer, and of a classifier behind a detector, the names are just as good.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from ..core.errors import UsageError
from ..core.words import some
from .results import Prediction
from .worker import Worker

USUAL_EVERY_SECONDS = 5.0
_WAITING = 2  # what comes later is more interesting than what waits
_RULE = re.compile(r"^(?P<name>.+?)(?::(?P<count>\d{1,6}))?(?:>(?P<confidence>\d*\.?\d+%?))?$")


@dataclass(frozen=True)
class Rule:
    """What must be seen, see the module.

    Attributes:
        text: As it was given.
        name: A class.
        count: At least so many.
        confidence: Each with more than this, 0..1; None takes what is shown.
    """

    text: str
    name: str
    count: int = 1
    confidence: float | None = None

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether a frame's record (`Prediction.as_record`) shows it."""
        answers = [record] if "class" in record else record.get("detections", [])
        return sum(self._fits(answer) or self._fits(answer.get("classifier")) for answer in answers) >= self.count

    def _fits(self, answer: dict[str, Any] | None) -> bool:
        if answer is None or answer.get("class") != self.name:
            return False
        return self.confidence is None or answer["confidence"] > self.confidence


def parse_rule(text: str, names: Sequence[str]) -> Rule:
    """Read a rule.

    Args:
        text: See the module.
        names: The classes that there are.

    Raises:
        UsageError: it is no rule, or its class is none of these; with the nearest.
    """
    given = text.strip()
    if given in names:  # a class may itself be called "size>5"
        return Rule(given, given)
    match = _RULE.match(re.sub(r"\s*([:>])\s*", r"\1", given))
    confidence = _share(match["confidence"]) if match and match["confidence"] else None
    count = int(match["count"]) if match and match["count"] else 1
    if not match or count < 1 or (confidence is not None and not 0 <= confidence < 1):
        raise UsageError(
            f"'{text}' says nothing that can be watched for.",
            where="--on",
            next_step='give a class, as in --on person, --on "person:3", or --on "person>0.8" for those that the model '
            "is surer of than 0.8 (from 0 to 1, or as 80%)",
        )
    by_lower = {name.casefold(): name for name in reversed(names)}
    name = match["name"] if match["name"] in names else by_lower.get(match["name"].casefold())
    if name is None:
        near = difflib.get_close_matches(match["name"].casefold(), by_lower, n=1)
        raise UsageError(
            f"The model knows no class '{match['name']}'.",
            where="--on",
            next_step=f"did you mean '{by_lower[near[0]]}'?" if near else f"its classes: {some(names, 20)}",
        )
    return Rule(given, name, count, confidence)


def _share(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


@dataclass(frozen=True)
class Sighting:
    """A frame on which something is done.

    Attributes:
        bgr, drawn: The frame, and a copy with its result drawn on it, uint8 `(h, w, 3)`.
        record: Its record, with "time" (ISO 8601, UTC) and "rule" (the text of the first rule that held, or None).
        rule: That rule.
    """

    bgr: np.ndarray
    drawn: np.ndarray
    record: dict[str, Any]
    rule: Rule | None


class Action(Protocol):
    """Something to do with a sighting, called in a thread of its own.

    Attributes:
        name: What it is called on screen: "--run".
        patience_seconds: How long it may take for what waits when the command ends.
    """

    name: str
    patience_seconds: float

    def __call__(self, sighting: Sighting) -> None:
        """Do it.

        Raises:
            LensmithError, OSError: it failed; the picture goes on.
        """
        ...

    def close(self) -> None:
        """Stop what still runs."""
        ...


def sighting_of(prediction: Prediction, record: dict[str, Any], drawn: np.ndarray, rule: Rule | None) -> Sighting:
    """Put together what an action gets."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"time": now, "rule": rule.text if rule else None, **record}
    return Sighting(prediction.frame.bgr, drawn, told, rule)


class Hooks:
    """Looks at each frame, and hands some on to actions, without ever waiting for one.

    Args:
        rules: One of them must hold; without any, every frame will do.
        every_seconds: Actions come at most so often: who stands before the camera is one call, not thirty a second.
        actions: Each works in a thread of its own.

    Attributes:
        sightings: How many frames were handed on.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        every_seconds: float,
        actions: Sequence[Action],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sightings = 0
        self._rules, self._every, self._clock = tuple(rules), every_seconds, clock
        self._next = -float("inf")
        self._actions = tuple(actions)
        self._workers = tuple(Worker(action.name, action, waiting=_WAITING) for action in actions)

    def look(self, prediction: Prediction, record: dict[str, Any], drawn: np.ndarray) -> None:
        """Look at one frame, drawn without figures."""
        now = self._clock()
        if not self._workers or now < self._next:
            return
        rule = next((rule for rule in self._rules if rule.holds(record)), None)
        if self._rules and rule is None:
            return
        self._next = now + self._every
        self.sightings += 1
        sighting = sighting_of(prediction, record, drawn, rule)
        for worker in self._workers:
            worker.offer(sighting)

    def close(self) -> None:
        """Wait for what was begun, as long as each action's patience allows; then stop it."""
        try:
            for action, worker in zip(self._actions, self._workers, strict=True):
                worker.close(action.patience_seconds)
        finally:
            for action in self._actions:
                action.close()

    def report(self) -> list[dict[str, Any]]:
        """What became of each action: name, done, failed, missed."""
        return [
            {"name": worker.name, "done": worker.done, "failed": worker.failed, "missed": worker.missed}
            for worker in self._workers
        ]
