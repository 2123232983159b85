"""Where the time of a run went, and what would help: only what is true of this model on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from ..core.device import nvidia_gpus
from ..core.install import extra_command
from .cascade import is_detector
from .engines.choose import engines_for
from .ensemble import Ensemble
from .loop import Waited
from .model import Model, Predictor
from .tiles import Tiled

_TELLING_SECONDS = 1.0  # what takes less says little about where time goes


@dataclass(frozen=True)
class Situation:
    """What the person chose, and what the frames came from.

    Attributes:
        measured: The engine was chosen by Lensmith and not by the person.
        saves: Results are drawn or written into files; otherwise they are only handed to another program.
        live: The frames come from a camera or a stream.
        typed: They are named on standard input, as they come.
    """

    measured: bool = True
    saves: bool = False
    live: bool = False
    typed: bool = False


def where_time_went(
    waited: Waited, milliseconds: Mapping[str, float], model: Predictor, situation: Situation
) -> str:  # fmt: skip
    """Which part of the loop took most of the time, and what would help, in one sentence; "" for a short run.

    Args:
        waited: Where the loop spent its time.
        milliseconds: Sums by stage, see `Summary.milliseconds`.
        model: What ran.
        situation: What may be advised at all.
    """
    parts = vars(waited)
    whole = sum(parts.values())
    if whole < _TELLING_SECONDS:
        return ""
    slowest = max(parts, key=lambda name: parts[name])
    if slowest == "source":
        what, help_ = _of_source(situation)
    elif slowest == "model":
        what, help_ = "the model", f"{_either(faster_than(model, measured=situation.measured))} would help"
    elif slowest == "results":
        what, help_ = "what is done with the model's answers", _of_results(milliseconds, model)
    elif situation.saves:
        what, help_ = "drawing and writing", "results without --save, a faster disk or more cores would help"
    else:
        what, help_ = "handing on the results", "whoever takes them is slower than the model"
    return f"{parts[slowest] / whole:.0%} of the time went into {what}" + (f": {help_}" if help_ else "")


def faster_than(model: Predictor, *, measured: bool) -> list[str]:
    """What would make this model faster than it is here.

    Args:
        model: What ran.
        measured: See `Situation`.
    """
    helps: list[str] = []
    if isinstance(model, Tiled):
        helps.append("--no-tiles (which overlooks small objects)")
    if isinstance(model, Ensemble):
        helps.append("fewer models")
    if isinstance(model, (Model, Tiled)):
        helps += _of_bundle(model, measured=measured)
    helps.append("a smaller model")
    if model.device == "cpu":
        helps.append("--device gpu" if nvidia_gpus() else "a GPU")
    return helps


def _of_bundle(model: Model | Tiled, *, measured: bool) -> list[str]:
    bundle = model.bundle
    able = engines_for(bundle)
    if model.device != "cpu":
        fits = bundle.record.exported is None and model.engine_name != "tensorrt"
        return [f"an export (cv export {bundle.name} --to tensorrt --half)"] if fits else []
    if "openvino" in able and not find_spec("openvino"):
        return [f"OpenVINO, which is faster on many processors ({extra_command(['openvino'])})"]
    others = [name for name in able if name != model.engine_name and name in ("openvino", "onnxruntime")]
    return ["--engine auto, which takes the fastest"] if others and not measured else []


def _of_results(milliseconds: Mapping[str, float], model: Predictor) -> str:
    if not is_detector(model):
        return ""
    fewer = "a higher --conf leaves fewer boxes to look at"
    if milliseconds.get("classify", 0.0) > milliseconds.get("results", 0.0) + milliseconds.get("track", 0.0):
        return f"a smaller --classifier would help, and {fewer}"
    return fewer


def _of_source(situation: Situation) -> tuple[str, str]:
    if situation.live:
        return "waiting for the next frame", "the model follows the camera easily"
    if situation.typed:
        return "waiting for pictures to be named and read", "the model could take more"
    return "waiting for pictures to be read and decoded", (
        "the model could take more: smaller files, a faster disk or more cores would help"
    )


def _either(ways: list[str]) -> str:
    return ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])} or {ways[-1]}"
