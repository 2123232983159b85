"""Can a window be shown here? Asked in another process, because OpenCV's window library ends its process when not."""

from __future__ import annotations

import os
import subprocess
import sys

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
            [sys.executable, "-c", _PROBE],
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
