"""Can this machine show a window, and which OpenCV is installed."""

from __future__ import annotations

from importlib import metadata

from ..core.health import Check, run_probe
from ..core.install import pip_command
from .window import window_problem

_BUILDS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_PROBE = """
import cv2, json
lines = [line.strip() for line in cv2.getBuildInformation().splitlines()]
gui = [line.split(":", 1)[1].strip() for line in lines if line.startswith("GUI:")]
print(json.dumps({"version": cv2.__version__, "gui": gui[0] if gui else "NONE"}))
"""
_FIX = pip_command(
    "--force-reinstall --no-deps opencv-python",
    uv_rest="--no-deps --reinstall-package opencv-python opencv-python",
)


def check_predict() -> list[Check]:
    """The OpenCV build, and whether a window really opens."""
    opencv = _check_opencv()
    if opencv.status == "problem":
        return [opencv]
    problem = window_problem()
    if problem is None:
        return [opencv, Check("window", "ok", "a window opened and closed")]
    way_out = "on a machine with a screen start `cv live` from its desktop; elsewhere use --no-window --record FILE"
    return [opencv, Check("window", "note", problem, way_out)]


def _check_opencv() -> Check:
    builds = [name for name in _BUILDS if _installed(name)]
    both = f"; {' and '.join(builds)} are both installed and share one folder" if len(builds) > 1 else ""
    found = run_probe(_PROBE)
    if isinstance(found, str):
        return Check("opencv", "problem", f"cv2 cannot be imported: {found}{both}", _FIX)
    what = f"OpenCV {found['version']}, windows by {found['gui']}"
    if found["gui"].upper() == "NONE":
        return Check("opencv", "problem", f"OpenCV {found['version']} was built without windows{both}", _FIX)
    if both:
        return Check("opencv", "note", f"{what}{both}; if an update takes the windows away, put them back", _FIX)
    return Check("opencv", "ok", what)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
