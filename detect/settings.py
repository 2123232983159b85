"""Ultralytics' own training arguments by name: `--set fliplr=0`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import UsageError

_OPTION = "--set"
# How it learns and what it does to the pictures. Where things lie, what runs and what is loaded is ours to say.
_OFFERED = frozenset({
    "amp", "bgr", "box", "channels_last", "close_mosaic", "cls", "cls_pw", "cls_remap", "cos_lr", "cutmix",
    "deterministic", "dfl", "fliplr", "flipud", "hsv_h", "hsv_s", "hsv_v", "lr0", "lrf", "mixup", "momentum", "mosaic",
    "multi_scale", "nbs", "optimizer", "degrees", "perspective", "rect", "scale", "shear", "translate", "val",
    "warmup_bias_lr", "warmup_epochs", "warmup_momentum", "weight_decay",
})  # fmt: skip
_OURS = {
    "augmentations": "--augment", "batch": "--batch", "cache": "--cache or --no-cache", "data": "the dataset's name",
    "device": "--device", "epochs": "--epochs", "freeze": "--freeze", "imgsz": "--imgsz", "model": "--model",
    "name": "--name", "patience": "--patience", "pretrained": "--weights or --from-scratch",
    "project": "--workspace", "resume": "`cv resume`", "seed": "--seed", "time": "--time", "verbose": "`cv --debug`",
    "workers": "--workers",
}  # fmt: skip
"""What Lensmith sets itself, and what does it there."""
_OPTIMIZERS = ("auto", "AdamW", "SGD", "MuSGD", "Adam", "Adamax", "NAdam", "RAdam", "RMSprop")
"""Those of Ultralytics, which looks at the name only when it begins to train."""
_ELSEWHERE = {
    "auto_augment": "is for classifiers", "erasing": "is for classifiers", "dropout": "is for classifiers",
    "copy_paste": "needs outlines, which a detector's labels do not have",
    "copy_paste_mode": "needs outlines, which a detector's labels do not have",
    "classes": "would train on other classes than the dataset has",
    "single_cls": "would train on other classes than the dataset has",
    "fraction": "would leave pictures out without a record of which", "plots": "is not needed: the run has a report",
    "save": "is always on, so that a training can go on after an interruption",
}  # fmt: skip


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words into arguments for Ultralytics, values as YAML reads them.

    Raises:
        UsageError: no `=`, an optimizer that there is not, or an argument that there is not (with the nearest) or that
            Lensmith sets itself.
    """
    settings: dict[str, Any] = {}
    offered = _OFFERED & _packaged_names()
    for pair in pairs:
        key, sign, value = pair.partition("=")
        key = key.strip()
        if not sign:
            raise UsageError(f"'{pair}' is not KEY=VALUE.", where=_OPTION, next_step="for example: --set fliplr=0")
        if key not in offered:
            raise _not_offered(key, offered)
        try:
            number = _number(value)
            settings[key] = yaml.safe_load(value) if number is None else number
        except yaml.YAMLError:
            raise UsageError(f"'{value}' cannot be read as a value.", where=f"{_OPTION} {key}") from None
    _check_optimizer(settings)
    _need_optimizer(settings)
    return settings


def _check_optimizer(settings: Mapping[str, Any]) -> None:
    name = str(settings.get("optimizer", "auto"))
    if name.lower() not in map(str.lower, _OPTIMIZERS):
        raise UsageError(
            f"There is no optimizer '{name}'.", where=_OPTION, next_step=f"take one of: {', '.join(_OPTIMIZERS)}"
        )


def _need_optimizer(settings: Mapping[str, Any]) -> None:
    """Ultralytics chooses a rate of its own, without a word, as long as it chooses the optimizer."""
    ignored = sorted(settings.keys() & {"lr0", "momentum", "warmup_bias_lr"})
    if ignored and str(settings.get("optimizer", "auto")).lower() == "auto":
        raise UsageError(
            f"Ultralytics would ignore {' and '.join(ignored)}, because it chooses the optimizer itself.",
            where=_OPTION,
            next_step="add --set optimizer=AdamW (lr0 is about 0.001 there) or --set optimizer=SGD (about 0.01)",
        )


def _not_offered(key: str, offered: Iterable[str]) -> UsageError:
    if key in _OURS:
        return UsageError(f"'{key}' has an option of its own.", where=_OPTION, next_step=f"use {_OURS[key]}")
    if key in _ELSEWHERE:
        return UsageError(f"'{key}' cannot be set: it {_ELSEWHERE[key]}.", where=_OPTION, next_step="leave it out")
    near = difflib.get_close_matches(key, sorted({*offered, *_OURS}), n=3) or ["fliplr", "mosaic", "lr0"]
    named = " or ".join(_OURS.get(name, name) for name in near)
    return UsageError(
        f"'{key}' is not an argument of Ultralytics that can be set here.",
        where=_OPTION,
        next_step=f"did you mean {named}? `cv train-yolo --help` has the main ones as options",
    )


def check_settings(settings: dict[str, Any]) -> None:
    """Let Ultralytics check the values; imports it, so it must have been isolated before.

    Raises:
        UsageError: a value of the wrong type or out of range.
    """
    from ultralytics.cfg import check_cfg

    try:
        check_cfg(dict(settings), hard=True)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Ultralytics does not take this value: {str(error).splitlines()[0]}", where=_OPTION) from None


def _number(text: str) -> int | float | None:
    """YAML takes 2e-3 for a word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _packaged_names() -> set[str]:
    """The arguments of the installed Ultralytics, without importing it."""
    spec = find_spec("ultralytics")
    if spec is None or not spec.submodule_search_locations:
        return set()
    defaults = Path(spec.submodule_search_locations[0]) / "cfg" / "default.yaml"
    return set(yaml.safe_load(defaults.read_text(encoding="utf-8")))
