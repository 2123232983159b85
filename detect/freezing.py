"""Layers that keep what they know: which there are, and how they begin to learn."""

from __future__ import annotations

from typing import Any

from ..core.errors import UsageError
from ..core.words import many
from .models import load_architecture

ALWAYS_FROZEN = ".dfl"  # the fixed weights with which Ultralytics' heads read a distance off a distribution


def frozen_layers(model: str, freeze: int | str) -> int:
    """How many of a detector's first layers keep their weights: all of its backbone for "backbone", else `freeze`.

    Raises:
        UsageError: nothing that learns would be left.
    """
    description = load_architecture(model)
    backbone, head = len(description["backbone"]), len(description["head"])
    if freeze == "backbone":
        return backbone
    if int(freeze) >= backbone + head:
        raise UsageError(
            f"{model} has {many(backbone + head, 'layer')}, so none would be left to learn.",
            where="--freeze",
            next_step=f"use --freeze backbone, which keeps the first {backbone}",
        )
    return int(freeze)


def unfreeze(trainer: Any) -> bool:
    """Let all layers learn from the next step on, those of a distribution's fixed weights excepted.

    The optimizer knows all weights from its start, so nothing else changes. A BatchNorm layer that was frozen kept its
    statistics still; Ultralytics asks by name, at each epoch's start, which stay so.

    Returns:
        Whether anything was frozen.
    """
    from ultralytics.utils.torch_utils import unwrap_model

    trainer.freeze_layer_names = [ALWAYS_FROZEN]
    sleeping = [
        weight
        for name, weight in unwrap_model(trainer.model).named_parameters()
        if ALWAYS_FROZEN not in name and weight.dtype.is_floating_point and not weight.requires_grad
    ]
    for weight in sleeping:
        weight.requires_grad_()
    return bool(sleeping)


def freezing_line(layers: int, freeze: int | str, unfreeze_after: int | None) -> str:
    """What keeps its weights and how long, for the person: "the first 10 layers (the backbone) keep ..."."""
    what = f"the first {many(layers, 'layer')}{' (the backbone)' if freeze == 'backbone' else ''}"
    until = "" if unfreeze_after is None else f" for {many(unfreeze_after, 'epoch')}, then all learn"
    return f"frozen: {what} keep their weights{until}"
