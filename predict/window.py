"""Can a window be shown here? Asked in another process, because OpenCV's window library ends its process when not."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np

from ..core.child import python_command
from ..core.errors import LensmithError

_PROBE = """
import cv2, numpy
cv2.namedWindow("lensmith", cv2.WINDOW_NORMAL)
cv2.imshow("lensmith", numpy.zeros((32, 32, 3), numpy.uint8))
cv2.waitKey(1)
cv2.destroyAllWindows()
"""
_TIMEOUT_SECONDS = 30
_HEADLESS_MARKS = ("not implemented", "Rebuild the library")


def window_problem() -> str | None:
    """Why no window can be shown here, in one sentence; None when one can."""
    try:
        probe = subprocess.run(
            python_command("-c", _PROBE),
            env={**os.environ, "OPENCV_LOG_LEVEL": "ERROR"},
            capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"the screen did not answer within {_TIMEOUT_SECONDS} seconds"
    if probe.returncode == 0:
        return None
    if any(mark in probe.stderr for mark in _HEADLESS_MARKS):
        return "the installed OpenCV was built without windows (opencv-python-headless); `cv doctor` shows the fix"
    if "import cv2" in probe.stderr or "ImportError" in probe.stderr:
        return "OpenCV cannot be loaded; `cv doctor` shows the fix"
    if sys.platform.startswith("linux"):
        display = os.environ.get("DISPLAY")
        if not display and not os.environ.get("WAYLAND_DISPLAY"):
            return "this session has no screen (DISPLAY is not set)"
        if display:
            return f"the screen '{display}' (DISPLAY) does not answer"
    lines = probe.stderr.strip().splitlines()
    return f"opening one failed: {lines[-1][:200] if lines else f'exit code {probe.returncode}'}"


class Window:
    """A window that shows pictures, see `screen.Screen`.

    Only where `window_problem` found nothing: the library would end the process.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._open = self._was_closed = False
        self._keys: list[str] = []

    def show(self, bgr: np.ndarray, status: str = "") -> None:  # noqa: ARG002 - a window has no line below
        """See `screen.Screen.show`."""
        if not self._open:
            # Qt complains about fonts that OpenCV does not ship and that a window without text does not need.
            os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(self._title, *_fitting_size(bgr))
            self._open = True
        elif not self._is_visible():
            self._was_closed = True
            return
        cv2.imshow(self._title, bgr)
        self._hear()

    def listen(self) -> list[str]:
        """See `screen.Screen.listen`; keeps the window alive."""
        if self._open:
            self._hear()
            self._was_closed = self._was_closed or not self._is_visible()
        keys, self._keys = self._keys, []
        return [*keys, "q"] if self._was_closed else keys

    def _hear(self) -> None:
        """Let the window live for a moment, which paints it, and note a key."""
        code = cv2.waitKeyEx(1)
        # Above these 16 bits some systems tell which of Shift and Ctrl are held; the number pad has codes of its own.
        key = {0xFFAB: "+", 0xFFAD: "-"}.get(code & 0xFFFF, chr(code & 0xFFFF)) if code >= 0 else ""
        if key:
            self._keys.append(key)

    def close(self) -> None:
        """Close it; may be called twice."""
        if self._open:
            self._open = False
            cv2.destroyAllWindows()

    def _is_visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # how some builds say that there is no such window any more
            return False


def need_window() -> None:
    """Raises LensmithError, with the other ways to see the result, when no window can be shown."""
    problem = window_problem()
    if problem:
        raise LensmithError(
            f"No window can be shown here: {problem}.",
            next_step="look at it in a browser: --show page; or write a video: --show none --record FILE.mp4",
        )


def _fitting_size(bgr: np.ndarray) -> tuple[int, int]:
    """Width and height of a window that is neither tiny nor larger than a usual screen."""
    height, width = bgr.shape[:2]
    scale = min(1280 / width, 720 / height, max(1.0, 480 / max(width, height)))
    return max(1, round(width * scale)), max(1, round(height * scale))
