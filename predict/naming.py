"""One name for one object: what the model says of it wavers from frame to frame, what is told of it does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .results import Detections

_FORGOTTEN_AFTER = 1000  # frames without it; a tracker gives up much sooner, and an id never comes twice


@dataclass(slots=True)
class _Votes:
    """What was said of one object so far, the confidences of all frames added up, and when it was seen last."""

    detected: dict[str, float] = field(default_factory=dict)
    classified: dict[str, float] = field(default_factory=dict)
    seen: int = 0


class ObjectNames:
    """What each object that is followed is called: the class of most of its frames, where a sure frame weighs more.

    Each frame counts as much as the model was sure in it. A second model's answers are counted apart from the
    detector's, so that both halves of "piece: white-queen" are those of most frames.

    Args:
        names: The detector's classes.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._votes: dict[int, _Votes] = {}
        self._frames = 0

    def see(self, found: Detections) -> set[int]:
        """Take one more frame in; returns the objects that are over, which are forgotten and never come again."""
        self._frames += 1
        for row, track in enumerate(() if found.track_id is None else found.track_id.tolist()):
            if track >= 0:
                votes = self._votes.setdefault(track, _Votes())
                votes.seen = self._frames
                _add(votes.detected, self._names[int(found.class_id[row])], float(found.confidence[row]))
                if found.classified is not None:
                    _add(votes.classified, found.classified.name_of(row), float(found.classified.confidence[row]))
        if self._frames % _FORGOTTEN_AFTER:
            return set()
        over = {track for track, votes in self._votes.items() if self._frames - votes.seen > _FORGOTTEN_AFTER}
        for track in over:
            del self._votes[track]
        return over

    def name(self, track: int) -> str:
        """The detector's class of an object that was seen."""
        return _most(self._votes[track].detected)

    def label(self, track: int) -> str:
        """The same, with what a second model calls it: as `Detections.label`, of all frames so far."""
        said = self._votes[track].classified
        return f"{self.name(track)}: {_most(said)}" if said else self.name(track)


@dataclass
class Tally:
    """How often objects did something, by name. An object that gets another name takes with it what it did.

    Attributes:
        numbers: By name; no name has 0.
    """

    numbers: Counter[str] = field(default_factory=Counter)
    _done: dict[int, tuple[str, int]] = field(default_factory=dict)

    def __contains__(self, track: int) -> bool:
        return track in self._done

    def __len__(self) -> int:
        return len(self._done)

    def add(self, track: int, name: str) -> None:
        """An object that is called so now did it once more."""
        self.rename(track, name)
        self._done[track] = (name, self._done.get(track, (name, 0))[1] + 1)
        self.numbers[name] += 1

    def rename(self, track: int, name: str) -> None:
        """An object is called so now; nothing happens where it did nothing, or was called so before."""
        before, times = self._done.get(track, (name, 0))
        if before == name:
            return
        self._done[track] = (name, times)
        self.numbers[name] += times
        self.numbers[before] -= times
        if not self.numbers[before]:
            del self.numbers[before]

    def forget(self, tracks: set[int]) -> None:
        """These objects never come again: what they did stays, under the name that they have."""
        for track in tracks:
            self._done.pop(track, None)


def _add(votes: dict[str, float], name: str, confidence: float) -> None:
    votes[name] = votes.get(name, 0.0) + confidence


def _most(votes: dict[str, float]) -> str:
    return max(votes, key=lambda name: votes[name])
