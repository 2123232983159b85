"""Is there a Roboflow key. Nothing is sent anywhere."""

from __future__ import annotations

from ..core.extras import has_extra
from ..core.health import Check
from .roboflow_key import find_key

_FIX = "copy it from Roboflow (Settings, API Keys) and set ROBOFLOW_API_KEY; `cv demo` needs none"


def check_datasets() -> list[Check]:
    """Whether a key for Roboflow is found, and where; the key itself is never shown."""
    if not has_extra("data"):
        return []
    found = find_key(None)
    if found is None:
        return [Check("Roboflow key", "note", "none found; only `cv pull-dataset` needs one", _FIX)]
    return [Check("Roboflow key", "ok", f"found in {found.source} (not tried: nothing is sent)")]
