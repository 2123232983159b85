"""Is there a Roboflow key. Nothing is sent anywhere."""

from __future__ import annotations

from ..core.errors import DataError
from ..core.extras import has_extra
from ..core.health import Check
from .roboflow.key import find_key

_FIX = "copy it from Roboflow (Settings, API Keys) and set ROBOFLOW_API_KEY; `cv demo` needs none"


def check_datasets() -> list[Check]:
    """Whether a key for Roboflow is found, and where; the key itself is never shown."""
    if not has_extra("data"):
        return []
    try:
        found = find_key(None)
    except DataError as error:
        return [Check("Roboflow key", "problem", f"{error.what} ({error.where})", error.next_step)]
    if found is None:
        return [Check("Roboflow key", "note", "none found; only pulling and pushing datasets needs one", _FIX)]
    return [Check("Roboflow key", "ok", f"found in {found.source} (not tried: nothing is sent)")]
