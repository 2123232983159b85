"""A run's options as Ultralytics' own training arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.device import resolve_device
from ..core.manifest import RunManifest
from .augmented import OWN_CHANGES
from .balance import WEIGHT_POWER
from .freezing import frozen_layers
from .view import VIEW_NAME


def training_arguments(run: Path, manifest: RunManifest) -> dict[str, Any]:
    """Ultralytics' own arguments; what it has none for stands in the record, see `plan.read_plan`."""
    options = manifest.options
    device = resolve_device(str(options["device"]))
    return {
        "task": "detect", "mode": "train", "model": f"{options['model']}.yaml",
        "pretrained": options["start_from"] or False,
        "data": str(run / VIEW_NAME / "data.yaml"), "project": str(run), "name": "train", "exist_ok": True,
        "epochs": options["epochs"], "imgsz": options["imgsz"],
        "batch": manifest.result.get("batch", options["batch"]),
        "freeze": frozen_layers(options["model"], options["freeze"]) or None,
        "patience": options["patience"], "workers": options["workers"],
        "seed": options["seed"], "device": device if isinstance(device, str) else ",".join(map(str, device)),
        "plots": False, "cache": options.get("cache", False),
        "cls_pw": WEIGHT_POWER if options.get("balance") == "weights" else 0.0,
    } | (dict(OWN_CHANGES) if options.get("augment") else {}) | options["settings"]  # fmt: skip
