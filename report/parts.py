"""What pages about classifiers and about detectors have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from ..core.manifest import RunManifest
from .bootstrap import Figure
from .page import Page

SIDE = 320  # pixels, the long side of a picture in a page
_MOST_CURVE_POINTS = 400


def told(figure: Figure | None) -> str:
    """A figure with its interval, or a dash."""
    return "-" if figure is None else str(figure)


def told_short(figure: Figure | None) -> str:
    """The same with two digits, for tables of many columns."""
    return "-" if figure is None else f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def limits(figure: Figure) -> str:
    """The interval alone."""
    return f"{figure.low:.3f} to {figure.high:.3f}"


def as_sentence(text: str) -> str:
    """A text with a capital letter at its start."""
    return text[:1].upper() + text[1:]


def thinned(line: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """As many points of a curve as can be seen: the x and the y of each."""
    count = len(line[0])
    kept = np.unique(np.linspace(0, count - 1, min(count, _MOST_CURVE_POINTS)).astype(int))
    return line[0][kept], line[1][kept]


def thumbnail(bgr: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A picture at most `side` pixels long, for a page: BGR uint8 in and out."""
    scale = side / max(bgr.shape[:2])
    # Tiny pictures are enlarged in whole steps, so that their pixels can be seen.
    if scale >= 2:
        return cv2.resize(bgr, None, fx=int(scale), fy=int(scale), interpolation=cv2.INTER_NEAREST)
    if scale >= 1:
        return bgr
    height, width = (max(round(length * scale), 1) for length in bgr.shape[:2])
    return cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA)


def add_skipped(page: Page, skipped: Sequence[tuple[str, str]]) -> None:
    """Pictures that could not be read when the model was measured: path and reason; nothing where there are none."""
    if skipped:
        page.section("Left out of the figures", "These pictures could not be read.")
        page.table(["picture", "why"], skipped)


def add_left_out(page: Page, lost: Sequence[tuple[str, str]]) -> None:
    """Training pictures that nothing was learned from: path and reason; nothing where there are none."""
    if lost:
        page.section("Left out of the training", "These pictures could not be read, and nothing was learned from them.")
        page.table(["picture", "why"], lost)


def add_commands(page: Page, commands: Sequence[tuple[str, str]]) -> None:
    """What the model can be used for: in words, and the command."""
    page.section("Use it")
    page.table(["what", "command"], commands)


def add_facts(page: Page, manifest: RunManifest, extra: Iterable[tuple[str, str]] = ()) -> None:
    """What it takes to make a run again.

    Args:
        page: Where to.
        manifest: The run's record.
        extra: Further facts: name and value.
    """
    page.section("How to make it again", "Every option, and the versions that shape a result.")
    options = {key: value for key, value in manifest.options.items() if not isinstance(value, list)}
    page.table(["option", "value"], [[key, plain_value(value)] for key, value in options.items()])
    facts = [("seed", str(manifest.seed)), ("device", manifest.device), *extra]
    if manifest.dataset:
        facts.append(("data's fingerprint", manifest.dataset.fingerprint))
    facts += [(f"seconds: {key}", f"{value:.1f}") for key, value in manifest.timings.items()]
    facts += list(manifest.versions.items())
    page.table(["fact", "value"], facts)


def plain_value(value: object) -> str:
    """An option's value as a person reads it."""
    if isinstance(value, dict):  # a spec with its name, or further arguments
        if "sha256" in value:
            return f"{value.get('name') or 'your own'} (sha256 {str(value['sha256'])[:8]})"
        return ", ".join(f"{key}={plain_value(part)}" for key, part in value.items()) or "none"
    return "not given" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
