"""Which library runs a bundle: the fastest that is here and gives what the bundle says it must give."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

from ...core.device import nvidia_gpus, parse_device, torch_gpu_count
from ...core.errors import DataError, LensmithError, MissingExtraError, UsageError
from ...core.extras import need_extra
from ...core.install import extra_command
from ...core.progress import say, warn
from ...weights.bundle import PORTABLE_NAME, Bundle
from ..proof import prove_stranger
from .base import Engine, told_when_it_fails
from .golden import disagreement
from .race import Race, told

# What each opens, the first that a bundle has. "openvino" comes first: it is the fastest on most CPUs.
FILES: dict[str, tuple[str, ...]] = {
    "openvino": ("model.xml", PORTABLE_NAME),
    "onnxruntime": (PORTABLE_NAME,),
    "ultralytics": ("model.pt",),
    "keras": ("model.keras",),
    "tensorrt": ("model.engine",),
}
_PORTABLE = ("openvino", "onnxruntime")  # they load without a framework
_NATIVE = {"detect": "ultralytics", "classify": "keras"}


class _Candidate(NamedTuple):
    name: str
    device: str


def open_engine(bundle: Bundle, *, engine: str = "auto", device: str = "auto", live: bool = False) -> Engine:
    """Load the bundle's model and check it against the golden samples.

    Args:
        bundle: An opened bundle.
        engine: "auto", or one of `FILES`. "auto" takes, on a CPU, the faster of OpenVINO and ONNX Runtime where both
            are installed, as measured here once for this bundle; on a GPU the library that the model was trained with.
            If that one is missing, fails, or gives other results than the golden samples, it takes the next, and says
            so.
        device: As in `core.device.parse_device`.
        live: Pictures come one at a time and each is wanted at once; otherwise many come in a row.

    Raises:
        UsageError: no such engine for this model, or a device it cannot use.
        MissingExtraError: no library that runs it is installed.
        DataError: the model cannot be loaded, its results differ from the golden samples, or it comes from elsewhere
            and did not pass a trial in a process with limits.
    """
    able = engines_for(bundle)
    if not able:
        raise _for_others(bundle)
    if engine == "auto":
        return _open_best(bundle, device, able, live=live)
    if engine not in able:
        raise UsageError(
            f"'{engine}' cannot run this model.", where="--engine",
            next_step=f"use auto or {' or '.join(able)}",
        )  # fmt: skip
    if engine == "openvino" and isinstance(parse_device(device), tuple):
        others = [name for name in able if name != "openvino"]
        raise UsageError(
            "OpenVINO runs on the CPU here.", where="--device",
            next_step=f"use --engine {others[0]} for a GPU" if others else "use --device cpu",
        )  # fmt: skip
    return _opened(_Candidate(engine, _device_for(engine, device)), bundle, live=live)


def engines_for(bundle: Bundle) -> tuple[str, ...]:
    """The engines that a bundle has files for, whether or not they are installed here; the usually fastest first."""
    foreign = set(_NATIVE.values()) - {_NATIVE[bundle.record.task]}
    return tuple(
        name for name, files in FILES.items() if name not in foreign and any(map(bundle.file, files))
    )  # fmt: skip


def _open_best(bundle: Bundle, device: str, able: Sequence[str], *, live: bool) -> Engine:
    """The first of the candidates that is here and right; portable ones on a CPU in the order of a race."""
    problems: list[LensmithError] = []
    on_gpu = _on_gpu(able, device)
    chosen = _first_right(on_gpu, bundle, problems, live=live)
    if chosen is None and not isinstance(parse_device(device), tuple):
        portable = [name for name in able if name in _PORTABLE and find_spec(name)]
        rest = [name for name in able if name not in (*portable, "tensorrt")]
        chosen = _fastest(portable, bundle, problems, live=live)
        if chosen is None:
            chosen = _first_right([_Candidate(name, "cpu") for name in rest], bundle, problems, live=live)
    if chosen is not None:
        for error in problems:
            if not isinstance(error, MissingExtraError):
                warn(f"{error.what} Using {chosen.name} instead.")
        return chosen
    # A damaged model says more than a library that is not here.
    damaged = next((error for error in problems if not isinstance(error, MissingExtraError)), None)
    if damaged is not None:
        raise damaged
    if any(name in _PORTABLE for name in able) and not isinstance(parse_device(device), tuple):
        raise MissingExtraError(
            f"Nothing that can run '{bundle.name}' is installed here.", where=bundle.folder,
            next_step=f"{extra_command(['run'])}; or, larger and often faster, {extra_command(['openvino'])}",
        )  # fmt: skip
    raise problems[0]


def _on_gpu(able: Sequence[str], device: str) -> list[_Candidate]:
    """What would use a GPU: of one that was asked for at least one candidate, whose error then says what is missing."""
    wanted = parse_device(device)
    if tuple(able) == ("tensorrt",):
        return [_Candidate("tensorrt", device)]
    if wanted == "cpu":
        return []
    asked = isinstance(wanted, tuple)
    where = device if asked else "gpu"
    frameworks = [name for name in ("tensorrt", "ultralytics", "keras") if name in able]
    found = [name for name in frameworks if find_spec(name) and (asked or torch_gpu_count())]
    if "onnxruntime" in able and find_spec("onnxruntime") and (asked or not found) and nvidia_gpus():
        from .onnx import has_cuda

        if has_cuda():
            found.append("onnxruntime")
    if asked and not found:
        found = [next((name for name in (*frameworks, "onnxruntime") if name in able), able[0])]
    return [_Candidate(name, where) for name in found]


def _fastest(names: Sequence[str], bundle: Bundle, problems: list[LensmithError], *, live: bool) -> Engine | None:
    candidates = {name: _Candidate(name, "cpu") for name in names}
    if len(names) < 2:
        return _first_right(list(candidates.values()), bundle, problems, live=live)
    race = Race(bundle, names, "cpu", live=live)
    known = race.known()
    if known is None:
        engines = [one for one in (_first_right([c], bundle, problems, live=live) for c in candidates.values()) if one]
        if len(engines) < 2:
            return engines[0] if engines else None
        known = race.run(engines, problems)
        if len(known) < 2:
            return next((one for one in engines if one.name in known), None)
        first = race.order(known)[0]
        chosen = next(one for one in engines if one.name == first)
    else:
        chosen = _first_right([candidates[name] for name in race.order(known)], bundle, problems, live=live)
    if chosen is not None:
        say(f"engine: {chosen.name} (measured here once: {told(known)})")
    return chosen


def _first_right(
    candidates: Sequence[_Candidate], bundle: Bundle, problems: list[LensmithError], *, live: bool
) -> Engine | None:
    """The first that opens and gives what it must; what is wrong with those before it is added to `problems`."""
    for candidate in candidates:
        try:
            return _opened(candidate, bundle, live=live)
        except LensmithError as error:
            problems.append(error)
    return None


def _opened(candidate: _Candidate, bundle: Bundle, *, live: bool) -> Engine:
    """An engine that repeats the golden samples; one that is wrong in 16 bits gets another chance in 32."""
    prove_stranger(bundle, candidate.name)
    with told_when_it_fails(candidate.name):  # an installation may be broken
        chosen = _open(candidate, bundle, live=live, exact=False)
    problem = disagreement(chosen, bundle)
    if problem is not None and chosen.precision != "f32":
        chosen = _open(candidate, bundle, live=live, exact=True)
        problem = disagreement(chosen, bundle)
        if problem is None:
            say(f"{chosen.name} computes in 32 bits: 16 are faster and would change what '{bundle.name}' says")
    if problem is not None:
        raise DataError(
            f"{chosen.name} gives other results than this model must give: {problem}.",
            where=bundle.folder,
            next_step="try another --engine, or another version of the library; `cv doctor` shows the versions",
        )
    return chosen


def _open(candidate: _Candidate, bundle: Bundle, *, live: bool, exact: bool) -> Engine:
    name, device = candidate
    if name == "openvino":
        from .openvino_engine import OpenVinoEngine

        return OpenVinoEngine(bundle, live=live, exact=exact)
    if name == "onnxruntime":
        from .onnx import OnnxEngine

        return OnnxEngine(bundle, device)
    if name == "tensorrt":
        from .tensorrt_engine import TensorRtEngine

        return TensorRtEngine(bundle, device)
    if name == "ultralytics":
        need_extra("detect", "Running this detector with Ultralytics")
        from .ultralytics import UltralyticsEngine

        return UltralyticsEngine(bundle, device, exact=exact)
    need_extra("classify", "Running this classifier with Keras")
    from .keras import KerasEngine

    return KerasEngine(bundle, device)


def _device_for(engine: str, device: str) -> str:
    """What "auto" means for ONNX Runtime: a GPU where it was built for one and one is here."""
    if engine != "onnxruntime" or parse_device(device) != "auto" or not find_spec("onnxruntime"):
        return device
    from .onnx import has_cuda

    return "gpu" if nvidia_gpus() and has_cuda() else "cpu"


def _for_others(bundle: Bundle) -> DataError:
    exported = bundle.record.exported
    if exported is None:
        return DataError(
            f"The bundle '{bundle.name}' holds no model that can be run: no portable model ({PORTABLE_NAME}) and none "
            "of a framework.",
            where=bundle.folder, next_step="use another copy of the model, or train it again",
        )  # fmt: skip
    return DataError(
        f"'{bundle.name}' is an export for other programs: Lensmith itself does not run {exported.format}.",
        where=bundle.folder, next_step=f"use the model that it was made from: --weights {exported.source}",
    )  # fmt: skip
