"""Where `cv live` shows its picture: a window, a page for the browser, or nowhere; whichever this machine can."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np

from ..core.errors import UsageError
from .page import Page
from .window import Window, need_window, window_problem

Show = Literal["auto", "window", "page", "none"]


class Screen(Protocol):
    """Shows pictures and hears keys."""

    def show(self, bgr: np.ndarray, status: str) -> None:
        """Show a picture, uint8 BGR, which is not changed any more; a page writes `status` below it."""
        ...

    def listen(self) -> list[str]:
        """The keys since the last call; closing the window is "q"."""
        ...

    def close(self) -> None:
        """End it. May be called twice."""
        ...


def choose_show(wanted: str, *, recording: bool) -> tuple[Show, str | None]:
    """Find out where to show, and why not in a window.

    Args:
        wanted: "auto" takes a window where there is a screen, else the file that is recorded, else a page.
        recording: Whether a video is recorded.

    Raises:
        UsageError: another word.
        LensmithError: a window is wanted, and none can be shown here.
    """
    if wanted not in get_args(Show):
        raise UsageError(
            f"'{wanted}' is no place to show it.", where="--show", next_step="give " + ", ".join(get_args(Show))
        )
    if wanted == "window":
        need_window()
    if wanted != "auto":
        return wanted, None  # pyright: ignore[reportReturnType] - looked up above
    problem = window_problem()
    if problem is None:
        return "window", None
    return ("none" if recording else "page"), problem


def open_screen(show: Show, title: str) -> Screen | None:
    """The screen that `choose_show` chose; None for "none"."""
    if show == "window":
        return Window(title)
    return Page(title) if show == "page" else None
