"""A `.pt` file that Ultralytics wrote becomes a bundle, the same way as a training of ours ends.

`weights.trust` looks into the file first. It is loaded in a child with limits on memory and time only, which strips it,
exports the portable model and computes the golden samples with torch; the trial of the finished bundle then repeats
these with ONNX Runtime and OpenVINO.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError, UsageError
from ..core.extras import need_extra
from ..core.isolation import isolate_ultralytics
from ..core.limited import Limits, answer_with, ask
from ..core.progress import say
from ..core.workspace import Workspace
from ..predict.engines.ultralytics import MODEL_NAME, TorchDetector
from ..predict.imported import ImportConfig, Imported, fixed_pictures, place_import, tidy_names
from ..weights.bundle import PORTABLE_NAME, BundleRecord, DetectorRecord, Preprocessing, copy_model
from ..weights.trust import CheckpointFacts, check_checkpoint
from .finish import detector_preprocessing, with_less_padding
from .models import grid_of, model_of_checkpoint
from .portable import export_portable, strip_checkpoint

_SECONDS = 480.0
_MEMORY = 3 << 30  # torch's exporter works on several copies of the graph
_MEMORY_PER_BYTE = 20
_USUAL_SIZE = 640
_MAX_DET = 300


def import_checkpoint(path: Path, workspace: Workspace, config: ImportConfig) -> Imported:
    """Make a bundle of a detector's checkpoint. Class names, size and architecture come from the file.

    Args:
        path: A `.pt` file of Ultralytics.
        workspace: Where the bundle goes.
        config: `name`, `imgsz` and `classes` may be said; the rest does not apply.

    Raises:
        NotFoundError: there is no such file.
        UsageError: an option that does not apply, a size that does not fit the model, or a name that is taken.
        DataError: the file is refused, and for what; or it holds no detector.
        MissingExtraError: Ultralytics is not installed.
    """
    if config.task not in {None, "detect"} or config.scale not in {None, "0-1"}:
        raise UsageError("A .pt file of Ultralytics is a detector that takes 0-1.", where=path,
                         next_step="leave out --task and --scale")  # fmt: skip
    facts = check_checkpoint(path)
    need_extra("detect", "Importing a .pt file")

    def make(work: Path) -> tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]:
        return _converted(path, work, config)

    return place_import(path, config, workspace, _told(facts), make)


def _told(facts: CheckpointFacts) -> dict[str, Any]:
    layers = [name.rsplit(".", 1)[-1] for name in facts.globals if ".nn.modules." in name]
    others = [name for name in facts.globals if ".nn.modules." not in name]
    return {"parameters": f"{facts.parameters:,}", "layers": layers, "also names": others}


def _converted(
    path: Path, work: Path, config: ImportConfig
) -> tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]:
    say("loading it in a process with limits, and exporting the portable model ...")
    question = {"source": str(path.resolve()), "work": str(work), "imgsz": config.imgsz}
    limits = Limits(_MEMORY + path.stat().st_size * _MEMORY_PER_BYTE, _SECONDS)
    answer = ask("lensmith.detect.imported", question, limits, doing="Loading this checkpoint", where=path)
    names = config.classes or tidy_names(answer["names"])
    if len(names) != len(answer["names"]):
        raise UsageError(f"The model knows {len(answer['names'])} classes, not {len(names)}.", where="--classes",
                         next_step="leave out --classes: the file has names of its own")  # fmt: skip
    side, family = answer["imgsz"], answer["family"]
    record = BundleRecord(
        name="imported", task="detect", names=names, origin="imported",
        preprocessing=Preprocessing.model_validate(answer["preprocessing"]),
        detector=DetectorRecord(family=family, output=answer["output"], max_det=_MAX_DET),
    )  # fmt: skip

    def fill(folder: Path) -> None:
        copy_model(work / MODEL_NAME, folder, MODEL_NAME)
        if answer["portable"]:
            copy_model(work / PORTABLE_NAME, folder, PORTABLE_NAME)

    return record, fill, (fixed_pictures(side, side), np.load(work / "outputs.npy", allow_pickle=False))


def _import_torch(_question: dict[str, Any]) -> None:
    isolate_ultralytics()
    import torch  # noqa: F401 - before memory is limited
    import ultralytics.nn.tasks  # noqa: F401


def _convert(question: dict[str, Any]) -> dict[str, Any]:
    source, work = Path(question["source"]), Path(question["work"])
    try:
        about = _about(source)
        side = _fitting_side(question["imgsz"] or about["imgsz"], about["family"])
        strip_checkpoint(source, work / MODEL_NAME, _MAX_DET)
        portable = export_portable(work / MODEL_NAME, work / PORTABLE_NAME, side, _MAX_DET)
        detector = TorchDetector(work / MODEL_NAME, "cpu")
        pictures = fixed_pictures(side, side)
        outputs = np.concatenate([detector.infer(pictures[i : i + 1]) for i in range(len(pictures))])
    except (DataError, UsageError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a model that was put together by hand can fail anywhere
        first = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise DataError(f"This checkpoint cannot be used: {first}", where=source) from None
    if not np.isfinite(outputs).all():
        raise DataError("This model answers with what is no number: its training may have failed.", where=source)
    np.save(work / "outputs.npy", outputs, allow_pickle=False)
    preprocessing = with_less_padding(detector_preprocessing(detector, side), detector, work / PORTABLE_NAME)
    return {**about, "imgsz": side, "portable": portable, "output": detector.output,
            "preprocessing": preprocessing.model_dump()}  # fmt: skip


def _fitting_side(side: int, family: str) -> int:
    grid = grid_of(family)
    if side % grid:
        raise UsageError(f"This model takes sizes that are multiples of {grid}, not {side}.", where="--imgsz")
    return side


def _about(source: Path) -> dict[str, Any]:
    """Names, architecture and size, as the checkpoint tells them."""
    from ultralytics.nn.tasks import torch_safe_load

    checkpoint, _ = torch_safe_load(source)
    model: Any = checkpoint.get("ema") or checkpoint.get("model")
    if model is None or not hasattr(model, "names"):
        raise DataError("The checkpoint holds no detector with class names.", where=source)
    names = model.names if isinstance(model.names, dict) else dict(enumerate(model.names))
    if sorted(names) != list(range(len(names))):
        raise DataError("The classes of this checkpoint are not numbered from 0.", where=source)
    args = checkpoint.get("train_args") or getattr(model, "args", None) or {}
    args = args if isinstance(args, dict) else vars(args)
    size = args.get("imgsz")
    side = size if isinstance(size, int) and 32 <= size <= 4096 and size % 32 == 0 else _USUAL_SIZE
    return {
        "names": [str(names[number]) for number in range(len(names))], "imgsz": side,
        "family": model_of_checkpoint(getattr(model, "yaml", None) or {}) or "imported",
    }  # fmt: skip


if __name__ == "__main__":
    answer_with(_import_torch, _convert)
