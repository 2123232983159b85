"""What a training starts from: which detector, which weights, which picture size and batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core.errors import DataError, UsageError
from ..core.isolation import isolate_ultralytics
from ..core.progress import say
from ..core.words import many, some
from ..core.workspace import Workspace
from ..datasets.model import Dataset
from ..weights.pretrained import Pretrained, find_pretrained, on_this_machine, pretrained_from_path
from ..weights.trust import check_checkpoint
from .catalog import cards, families, family_of, named
from .choose import choose_family, choose_imgsz, choose_size
from .config import YoloConfig
from .models import DEFAULT_MODEL, asset_name, check_model_name, has_pretrained, model_of_checkpoint
from .probe import choose_batch
from .survey import Survey, survey


@dataclass(frozen=True)
class Start:
    """What was resolved before a training.

    Attributes:
        model: The detector's name.
        weights: What it starts from, None for random numbers.
        classes: The classes that the weights know.
        imgsz: Side of the training pictures in pixels.
        batch: Pictures a step.
        why: A sentence for each "auto".
    """

    model: str
    weights: Pretrained | None
    classes: tuple[str, ...]
    imgsz: int
    batch: int
    why: tuple[str, ...] = ()

    def as_options(self) -> dict[str, Any]:
        """For the run's record, in place of what the person said."""
        weights = self.weights
        return {
            "model": self.model,
            "imgsz": self.imgsz,
            "batch": self.batch,
            "start_from": str(weights.path) if weights else None,
            "start_sha256": weights.sha256 if weights else None,
            "start_origin": weights.origin if weights else None,
            "start_checked": weights.checked if weights else None,
            "chosen": list(self.why),
        }


def check_choices(config: YoloConfig, workspace: Workspace, dataset: Dataset) -> None:
    """Find what is wrong with the choices and can be told without loading torch; errors as in `choose_start`.

    For before a long look at the dataset. Nothing is checked where "auto" leaves the detector open.
    """
    if "auto" in {config.model, config.size}:
        return
    model, _ = _choose_model(config, _Found(dataset), workspace)
    config.check(model or (None if config.weights else DEFAULT_MODEL))
    if not config.from_scratch:
        _weights_file(config, model or DEFAULT_MODEL, workspace)


def choose_start(config: YoloConfig, workspace: Workspace, dataset: Dataset) -> Start:
    """Resolve every "auto", find the weights, and look into them before anything is loaded.

    Args:
        config: What the person chose.
        workspace: Where weights may lie.
        dataset: What is trained on; looked at where something is to be chosen by it.

    Raises:
        UsageError: no such detector, or choices that do not go together.
        NotFoundError: the weights file is not there.
        DataError: the weights are damaged, hostile, or of another detector.
        LensmithError: the official weights cannot be fetched, or not even a small batch fits into memory.
    """
    found = _Found(dataset)
    model, why = _choose_model(config, found, workspace)
    config.check(model or (None if config.weights else DEFAULT_MODEL))
    weights, classes = None, ()
    if config.from_scratch:
        model = model or DEFAULT_MODEL
    else:
        model, weights, classes = _find_weights(config, model, workspace)
        config.check(model)
    imgsz, batch = config.imgsz, config.batch
    if imgsz == "auto":
        imgsz, reason = choose_imgsz(found.survey, model, config.device)
        why.append(reason)
    if batch == "auto":
        batch, reason = choose_batch(model, imgsz, found.survey, config.device)
        why.append(reason)
    start = Start(model, weights, classes, imgsz, batch, tuple(why))
    from_what = f"starting from {weights.path}" if weights else None
    for sentence in (*why, from_what, tell_classes(start, dataset.names)):
        if sentence:
            say(sentence)
    return start


class _Found:
    """What the dataset is like, looked at when something is chosen by it."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    @cached_property
    def survey(self) -> Survey:
        return survey(self._dataset)


def tell_classes(start: Start, names: Sequence[str]) -> str | None:
    """What becomes of the classes that the weights know, in a sentence; None when they are the dataset's own."""
    if not start.classes or start.classes == tuple(names):
        return None
    known = {name.strip().lower() for name in start.classes}
    shared = [name for name in names if name.strip().lower() in known]
    kept = f"; what they know of {some(shared)} is kept" if shared else ""
    return (
        f"the weights know {many(len(start.classes), 'class', 'classes')} and the dataset has {len(names)}: the last "
        f"layer is made anew for the dataset's{kept}"
    )


def _choose_model(config: YoloConfig, found: _Found, workspace: Workspace) -> tuple[str | None, list[str]]:
    """The detector by name, None where the weights say it, and the reasons for what was chosen."""
    if config.weights is not None and (config.size is not None or config.model == "auto"):
        raise UsageError(
            "The weights file says which detector it is: there is nothing to choose.",
            where="--weights",
            next_step="leave --size and --model auto out, or leave --weights out",
        )
    if config.model is None and config.size is None:
        return None, []
    why: list[str] = []
    family = config.model or family_of(DEFAULT_MODEL)[0]
    if config.model == "auto":
        chosen = choose_family(workspace)
        family = chosen.value
        why.append(chosen.why)
    family = family.strip().lower().removesuffix(".pt").removesuffix(".yaml")
    if family not in families():
        if config.size is None:
            return check_model_name(family), why
        family = family_of(check_model_name(family))[0]
    size = config.size or ("auto" if config.model == "auto" else None)
    if size is None:
        sizes = sorted((card for card in cards() if card.family == family and card.size), key=lambda c: c.parameters)
        raise UsageError(
            f"{family} comes in several sizes: {', '.join(card.size for card in sizes)}.",
            where="--model",
            next_step=f"use --model {sizes[0].name}, or add --size auto",
        )
    if size != "auto":
        return named(family, size), why
    imgsz = choose_imgsz(found.survey, family, config.device)[0] if config.imgsz == "auto" else config.imgsz
    chosen = choose_size(family, found.survey, imgsz, config.device)
    return chosen.value, [*why, chosen.why]


def _find_weights(
    config: YoloConfig, model: str | None, workspace: Workspace
) -> tuple[str, Pretrained, tuple[str, ...]]:
    """The detector's name, its weights, and the classes they know."""
    if config.weights is None:
        model = model or DEFAULT_MODEL
    weights = _weights_file(config, model or DEFAULT_MODEL, workspace)
    check_checkpoint(weights.path)
    found, classes = _model_in(weights.path)
    if model and model != found:
        raise UsageError(
            f"These weights are of {found}, not of {model}.",
            where=weights.path,
            next_step=f"leave --model out, or use --model {found}",
        )
    return found, weights, classes


def _weights_file(config: YoloConfig, model: str, workspace: Workspace) -> Pretrained:
    """The file to start from, not looked into; `model` counts where the person named no file."""
    if config.weights is not None:
        return pretrained_from_path(config.weights)
    if not has_pretrained(model) and on_this_machine(asset_name(model), workspace) is None:
        raise UsageError(
            f"Nobody publishes pretrained weights of {model}.",
            where="--model",
            next_step="use --from-scratch, give a file with --weights, or take a model that `cv models` has a file for",
        )
    return find_pretrained(asset_name(model), workspace)


def _model_in(path: Path) -> tuple[str, tuple[str, ...]]:
    """Which detector a checkpoint holds, and the names of its classes."""
    isolate_ultralytics()
    from ultralytics.nn.tasks import guess_model_task, load_checkpoint

    try:
        model: Any = load_checkpoint(path)[0]
    except Exception as error:  # noqa: BLE001 - a file can be wrong in many ways, and none of them is our fault
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"These weights cannot be loaded: {first}", where=path) from None
    description = getattr(model, "yaml", {})
    if (task := guess_model_task(dict(description))) not in {None, "detect"}:
        raise DataError(f"These weights are of a model for another task: {task}.", where=path,
                        next_step="give weights of a detector; `cv models` lists those there are")  # fmt: skip
    found = model_of_checkpoint(description)
    if found is None:
        raise DataError(
            "These weights are of a model that is not among the detectors of the installed Ultralytics.",
            where=path,
            next_step="`cv models` lists those there are",
        )
    names = getattr(model, "names", None)
    return found, tuple(str(name) for name in names.values()) if isinstance(names, dict) else ()
