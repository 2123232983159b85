"""What `cv tune` tries: the arguments of a training, each with its range or its choices.

The ranges that are tried when a person gives none suit a few hundred pictures and a network that starts from pretrained
weights. What costs time or memory (picture size, batch, the model) is not among them: a longer training is better
nearly always, and that tells nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from ..core.errors import DataError, NotFoundError, UsageError
from ..core.isolation import isolate_ultralytics
from .augmented import OWN_CHANGES
from .config import YoloConfig, checked
from .settings import check_settings, parse_settings

if TYPE_CHECKING:
    from optuna.trial import Trial

Value = str | int | float | bool
_OPTIONS = ("freeze", "imgsz", "batch")  # of `YoloConfig`; everything else is an argument of Ultralytics
_WHOLE = {"freeze": 1, "imgsz": 32, "batch": 1, "close_mosaic": 1, "nbs": 1}  # integers, with their step
_OF_AN_OPTIMIZER = ("lr0", "momentum")  # which Ultralytics chooses itself with optimizer=auto
_TOGETHER = ("mosaic", "mixup", "cutmix", "copy_paste")  # off in the last `close_mosaic` epochs
_CLOSE_MOSAIC = 10  # Ultralytics' default


@dataclass(frozen=True)
class Dimension:
    """The values of one argument: some choices, or a range.

    Attributes:
        choices: What may be taken; empty for a range.
        low, high: The range, both ends in it.
        log: Whether small values matter as much as large ones.
        step: Between values; None for any.
    """

    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None

    def samples(self, name: str) -> tuple[Value, ...]:
        """Every choice, or both ends of the range; of what must be whole and has a step, the last value below the end.

        Picture sizes must fit a grid, so of these it is all.
        """
        if self.choices:
            return self.choices
        if name not in _WHOLE or not (self.low.is_integer() and self.high.is_integer()):
            return self.low, self.high
        values = range(int(self.low), int(self.high) + 1, 1 if self.log else int(self.step or _WHOLE[name]))
        return tuple(values) if name == "imgsz" else (values[0], values[-1])

    def suggest(self, trial: Trial, name: str) -> Value:
        """A value for this trial, as its sampler thinks best."""
        if self.choices:
            return cast("Value", trial.suggest_categorical(name, self.choices))
        if name in _WHOLE:
            step = 1 if self.log else int(self.step or _WHOLE[name])
            return trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        return round(trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log), 6)

    def as_record(self) -> Any:
        """As it would stand in a file."""
        if self.choices:
            return list(self.choices)
        record: dict[str, Any] = {"low": self.low, "high": self.high}
        return record | ({"log": True} if self.log else {}) | ({"step": self.step} if self.step else {})


Space = Mapping[str, Dimension]

_USUAL: Space = {
    # AdamW by a rule of thumb, or with a rate of its own: on small data the rate decides more than anything else.
    "optimizer": Dimension(choices=("auto", "AdamW")),
    "lr0": Dimension(low=1e-4, high=5e-3, log=True),
    "lrf": Dimension(low=0.01, high=0.5, log=True),  # the share of the rate that is left at the end
    "weight_decay": Dimension(low=1e-5, high=1e-2, log=True),  # against learning by heart
    # A pretrained backbone that stays as it is cannot learn a few pictures by heart.
    "freeze": Dimension(choices=(0, "backbone")),
    # Four pictures in one are many objects for one step, but all of them small.
    "mosaic": Dimension(low=0.0, high=1.0, step=0.25),
    "mixup": Dimension(low=0.0, high=0.3, step=0.1),
    "scale": Dimension(low=0.1, high=0.9),  # how much nearer or farther than in the pictures things may be
    "translate": Dimension(low=0.0, high=0.3),
    "degrees": Dimension(low=0.0, high=20.0),
    # Where colour tells the classes apart, less of it; where the light changes, more.
    "hsv_h": Dimension(low=0.0, high=0.05),
    "hsv_s": Dimension(low=0.0, high=0.9),
    "hsv_v": Dimension(low=0.0, high=0.7),
    "fliplr": Dimension(
        choices=(0.0, 0.5)
    ),  # letters, hands and cars on their side of the road have a left and a right
}


def usual_space(config: YoloConfig) -> tuple[Space, list[str]]:
    """What is tried when a person says nothing of it.

    Returns:
        The space, without what the person has settled or what would change nothing, and why that was left out.
    """
    left_out: dict[str, Collection[str]] = {"set by --set": config.settings.keys() & _USUAL.keys()}
    if config.from_scratch or config.freeze:
        left_out["settled by --freeze" if config.freeze else "random weights must all learn"] = {"freeze"}
    if config.augment is not None:
        left_out["--augment takes their place"] = OWN_CHANGES.keys() & _USUAL.keys()
    if config.epochs <= int(config.settings.get("close_mosaic", _CLOSE_MOSAIC)):
        left_out["off in so few epochs"] = set(_TOGETHER) & _USUAL.keys()
    if str(config.settings.get("optimizer", "")).lower() == "auto":
        left_out["chosen by optimizer=auto"] = {"lr0"}
    gone = {name for names in left_out.values() for name in names}
    said = [f"not tried: {', '.join(sorted(names))} ({why})" for why, names in left_out.items() if names]
    return {name: one for name, one in _USUAL.items() if name not in gone}, said


def read_space(path: Path, config: YoloConfig) -> Space:
    """A person's own space from a YAML file: `lr0: {low: 0.0001, high: 0.01, log: true}` or `imgsz: [320, 640]`.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not what it should be; with what should stand there.
        UsageError: an argument that there is not, or a rate without an optimizer that it could be of.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError("There is no such file.", where=path) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"This file cannot be read as YAML: {str(error).splitlines()[0]}", where=path) from None
    if not isinstance(content, dict) or not content:
        raise DataError("The file holds no arguments with their ranges.", where=path,
                        next_step="write lines such as: lr0: {low: 0.0001, high: 0.01, log: true}")  # fmt: skip
    return space_of(content, config, path)


def space_of(record: Mapping[str, Any], config: YoloConfig, where: Path | str) -> Space:
    """A space from what a file or a run's record holds; errors as in `read_space`."""
    space = {str(name): _dimension(str(name), values, where) for name, values in record.items()}
    for name, one in space.items():
        if name not in _OPTIONS:
            for value in one.samples(name):
                parse_settings([f"{name}={value}", *([] if name == "optimizer" else ["optimizer=AdamW"])])
    optimizers = space["optimizer"].choices if "optimizer" in space else (config.settings.get("optimizer", "auto"),)
    if needing := [name for name in _OF_AN_OPTIMIZER if name in space and not any(map(_is_own, optimizers))]:
        raise UsageError(
            f"{needing[0]} has no effect: with optimizer=auto Ultralytics chooses it.",
            where=where,
            next_step="add a line: optimizer: [AdamW]",
        )
    return space


def check_space(space: Space, config: YoloConfig, where: Path | str) -> None:
    """See that a training takes every choice and both ends of every range, before the first trial begins.

    Args:
        space: What is to be tried.
        config: The training, with its model known.
        where: Where the space stands.

    Raises:
        UsageError: a value that it does not take; with the argument's name.
    """
    isolate_ultralytics()
    for name, one in space.items():
        for value in one.samples(name):
            try:
                if name in _OPTIONS:
                    checked(config, {name: value}).check(config.model)
                else:
                    check_settings({name: value})
            except UsageError as error:
                raise UsageError(error.what, where=f"{where}: {name}", next_step=error.next_step) from None


def suggest(space: Space, trial: Trial, config: YoloConfig) -> dict[str, Value]:
    """Values for one trial. A rate is tried only beside an optimizer that takes it."""
    found: dict[str, Value] = {}
    for name in sorted(space, key=lambda name: name != "optimizer"):
        optimizer = found.get("optimizer", config.settings.get("optimizer", "auto"))
        if name not in _OF_AN_OPTIMIZER or _is_own(optimizer):
            found[name] = space[name].suggest(trial, name)
    return found


def with_values(options: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """A run's options with these values in place of its own."""
    chosen = {name: value for name, value in values.items() if name in _OPTIONS}
    settings = {name: value for name, value in values.items() if name not in _OPTIONS}
    return {**options, **chosen, "settings": {**options["settings"], **settings}}


def _is_own(optimizer: object) -> bool:
    return str(optimizer).lower() != "auto"


def _dimension(name: str, values: Any, where: Path | str) -> Dimension:
    if isinstance(values, list) and values and all(isinstance(one, (str, int, float, bool)) for one in values):
        return Dimension(choices=tuple(values))
    if isinstance(values, Mapping) and {"low", "high"} <= values.keys() <= {"low", "high", "log", "step"}:
        try:
            low, high = float(values["low"]), float(values["high"])
            step = float(values["step"]) if values.get("step") else None
        except (TypeError, ValueError):
            low, high, step = 1.0, 0.0, None
        log = bool(values.get("log"))
        if low < high and not (log and (low <= 0 or step)) and (step is None or step > 0):
            return Dimension(low=low, high=high, log=log, step=step)
    raise DataError(
        f"'{name}' has no range and no choices.",
        where=where,
        next_step=f"write {name}: {{low: 0.1, high: 0.5}} with low below high (and log: true above 0, or a step), or"
        f" {name}: [1, 2, 3]",
    )
