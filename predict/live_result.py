"""What `cv live` saw and how fast, as figures on the picture and as lines at the end."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.words import many
from .summary import Summary, told_of_source

_RECENT_FRAMES = 100
_KEPT_LATENCIES = 100_000


@dataclass
class LiveResult:
    """What was seen, filled in as it goes.

    Attributes:
        summary: Counts and times.
        latencies: Milliseconds from a frame's arrival until it was shown, one per frame (the last 100,000).
        read, dropped: Frames that came in, and those overtaken by a newer one before the model was free; without those
            of pauses.
        reconnections: How often the source was lost and came back.
        missing: Of a recording behind an address, how many frames short of its promise it ended.
        paused_seconds: How long the person stopped the picture.
        sightings: On how many frames hooks acted.
        actions: What became of each of their actions, see `Hooks.report`.
        saved, uploaded: Frames that the person saved and uploaded by key.
        recorded: The video that was written, None where none was.
        unrecorded: Frames that are not in it because the disk or the encoder was too slow.
    """

    summary: Summary
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    read: int = 0
    dropped: int = 0
    reconnections: int = 0
    missing: int = 0
    paused_seconds: float = 0.0
    sightings: int = 0
    actions: list[dict[str, Any]] = field(default_factory=list)
    saved: int = 0
    uploaded: int = 0
    recorded: Path | None = None
    unrecorded: int = 0
    _shown_at: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT_FRAMES))
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT_FRAMES))
    _first: float | None = None

    def add(self, captured: float) -> None:
        """Count one frame that came in at `captured` (`time.perf_counter()`) and is on the screen now."""
        now = time.perf_counter()
        latency = 1000 * (now - captured)
        self.latencies.append(latency)
        self._recent.append(latency)
        self._shown_at.append(now)
        self._first = self._first or now

    def resume(self, paused_at: float) -> None:
        """A pause that began at `paused_at` is over, and does not count."""
        self.paused_seconds += time.perf_counter() - paused_at
        self._shown_at.clear()

    @property
    def seconds(self) -> float:
        """Since the first frame was shown, without pauses."""
        return time.perf_counter() - self._first - self.paused_seconds if self._first else 0.0

    def latency(self, percent: float) -> float:
        """A percentile of the latency in milliseconds, 0 when nothing was shown."""
        return float(np.percentile(np.array(self.latencies), percent)) if self.latencies else 0.0

    def status(self) -> str:
        """The figures of the last hundred frames: "6.1 fps, p50 162 ms, p95 171 ms"."""
        if len(self._shown_at) < 2:
            return "starting"
        rate = (len(self._shown_at) - 1) / max(self._shown_at[-1] - self._shown_at[0], 1e-9)
        p50, p95 = np.percentile(np.array(self._recent), [50, 95])
        return f"{rate:.1f} fps, p50 {p50:.0f} ms, p95 {p95:.0f} ms"

    def lines(self) -> list[str]:
        """All of it in words, at the end; nothing where no frame was shown."""
        frames = self.summary.frames
        if not frames:
            return []
        rate = (frames - 1) / self.seconds if frames > 1 and self.seconds else 0.0
        paused = f", paused for {self.paused_seconds:.0f} s" if self.paused_seconds else ""
        lines = [
            f"{many(frames, 'frame')} shown, {rate:.1f} per second{paused}; latency from arrival to screen: "
            f"p50 {self.latency(50):.0f} ms, p95 {self.latency(95):.0f} ms",
            *told_of_source(self.read, self.dropped, self.reconnections),
        ]
        times = self.summary.told_of_times("frame")
        lines.append(times + (" (read is waiting for a frame)" if "read" in times else ""))
        if self.missing:
            lines.append(f"the source broke off: {many(self.missing, 'frame')} of those that it promised did not come")
        found = ", ".join(f"{name} in {count}" for name, count in self.summary.frames_with.most_common())
        lines += [f"found (frames): {found or 'nothing'}", *self.summary.told_of_stages()]
        if self.actions:
            lines.append(f"acted on {many(self.sightings, 'frame')}: " + "; ".join(map(_told, self.actions)))
        if self.saved or self.uploaded:
            lines.append(f"by key: {self.saved} saved, {self.uploaded} uploaded")
        if self.recorded:
            lost = f"; {many(self.unrecorded, 'frame')} missing, writing was too slow" if self.unrecorded else ""
            lines.append(f"recorded: {self.recorded}{lost}")
        return lines


def _told(action: dict[str, Any]) -> str:
    more = [f"{action[what]} {word}" for what, word in (("failed", "failed"), ("missed", "left out")) if action[what]]
    return f"{action['name']} {action['done']} times" + (f" ({', '.join(more)})" if more else "")
