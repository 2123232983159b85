"""Can this machine show a window, which OpenCV is installed, and which engines really run a model."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

from ..core.health import Check, run_probe
from ..core.install import extra_command, pip_command
from .window import window_problem

_BUILDS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_PROBE = """
import cv2, json
lines = [line.strip() for line in cv2.getBuildInformation().splitlines()]
gui = [line.split(":", 1)[1].strip() for line in lines if line.startswith("GUI:")]
print(json.dumps({"version": cv2.__version__, "gui": gui[0] if gui else "NONE"}))
"""
# y = x * x in ONNX, 65 bytes: what makes models is not installed where they only run.
_SQUARE = "CAgSADo1Cg4KAXgKAXgSAXkiA011bBIBZ1oPCgF4EgoKCAgBEgQKAggCYg8KAXkSCgoICAESBAoCCAJCBAoAEA0="
_ENGINES = {
    "onnxruntime": f"""
import base64, json, numpy, onnxruntime
model = base64.b64decode("{_SQUARE}")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
answer = session.run(None, {{"x": numpy.array([2, 3], numpy.float32)}})[0]
where = ["an NVIDIA GPU" for name in onnxruntime.get_available_providers() if name == "CUDAExecutionProvider"]
print(json.dumps({{"version": onnxruntime.__version__, "right": answer.tolist() == [4, 9], "also": where}}))
""",
    "openvino": f"""
import base64, json, numpy
from lensmith.predict.engines.openvino import import_openvino
openvino = import_openvino()
core = openvino.Core()
model = core.compile_model(core.read_model(base64.b64decode("{_SQUARE}"), b""), "CPU")
answer = model(numpy.array([2, 3], numpy.float32))[0]
half = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
print(json.dumps({{"version": openvino.__version__.split("-")[0], "right": answer.tolist() == [4, 9],
                  "also": ["16-bit numbers, which this CPU multiplies by itself"] if half else []}}))
""",
}
_FIX = pip_command(
    "--force-reinstall --no-deps opencv-python",
    uv_rest="--no-deps --reinstall-package opencv-python opencv-python",
)


def check_predict() -> list[Check]:
    """The engines for finished models, the OpenCV build, and whether a window really opens."""
    return [*_check_engines(), *_check_pictures()]


def _check_engines() -> list[Check]:
    there = [name for name in _ENGINES if find_spec(name)]
    if not there:
        what = "no engine for finished models: neither ONNX Runtime nor OpenVINO is installed"
        return [Check("engines", "note", what, extra_command(["run"]))]
    return [_check_engine(name) for name in there]


def _check_engine(name: str) -> Check:
    found = run_probe(_ENGINES[name])
    repair = pip_command(f"--force-reinstall {name}")
    if isinstance(found, str):
        return Check(name, "problem", f"{name} does not work: {found}", repair)
    if not found["right"]:
        return Check(name, "problem", f"{name} computes wrong numbers on this machine", repair)
    also = "".join(f"; also on {other}" if "GPU" in other else f"; with {other}" for other in found["also"])
    return Check(name, "ok", f"{name} {found['version']} runs models on the CPU{also}")


def _check_pictures() -> list[Check]:
    opencv = _check_opencv()
    if opencv.status == "problem":
        return [opencv]
    problem = window_problem()
    if problem is None:
        return [opencv, Check("window", "ok", "a window opened and closed")]
    way_out = (
        "start `cv live` from the desktop of a machine with a screen; elsewhere it shows itself on a page for a browser"
    )
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
