"""Ultralytics' own training arguments by name: `--set fliplr=0`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import UsageError

_OPTION = "--set"
# How it learns and what it does to the pictures. Where things lie, what runs and what is loaded is ours to say.
_OFFERED = frozenset({
    "amp", "auto_augment", "bgr", "box", "close_mosaic", "cls", "copy_paste", "copy_paste_mode", "cos_lr",
    "cutmix", "deterministic", "dfl", "dropout", "erasing", "fliplr", "flipud", "hsv_h", "hsv_s", "hsv_v",
    "lr0", "lrf", "mixup", "momentum", "mosaic", "multi_scale", "nbs", "optimizer", "degrees", "perspective", "rect",
    "scale", "shear", "translate", "val", "warmup_bias_lr", "warmup_epochs", "warmup_momentum", "weight_decay",
})  # fmt: skip


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words into arguments for Ultralytics, values as YAML reads them.

    Raises:
        UsageError: no `=`, or an argument that there is not (with the nearest) or that Lensmith sets itself.
    """
    settings: dict[str, Any] = {}
    offered = _OFFERED & _packaged_names()
    for pair in pairs:
        key, sign, value = pair.partition("=")
        key = key.strip()
        if not sign:
            raise UsageError(f"'{pair}' is not KEY=VALUE.", where=_OPTION, next_step="for example: --set fliplr=0")
        if key not in offered:
            near = difflib.get_close_matches(key, sorted(offered), n=3) or ["fliplr", "mosaic", "lr0"]
            raise UsageError(
                f"'{key}' is not an argument of Ultralytics that can be set here.",
                where=_OPTION,
                next_step=f"did you mean {' or '.join(near)}? `cv train-yolo --help` has the main ones as options",
            )
        try:
            number = _number(value)
            settings[key] = yaml.safe_load(value) if number is None else number
        except yaml.YAMLError:
            raise UsageError(f"'{value}' cannot be read as a value.", where=f"{_OPTION} {key}") from None
    return settings


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
