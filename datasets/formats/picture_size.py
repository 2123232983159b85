"""How many pixels a picture has, as it is shown."""

from __future__ import annotations

import math
from pathlib import Path

from ...core.images import ImageError, inspect_bytes, inspect_image


def size_of(source: Path | bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a picture file or its bytes, turned upright; None where it cannot be read."""
    try:
        if isinstance(source, bytes):
            info = inspect_bytes(source, None, max_megapixels=math.inf)
        else:
            info = inspect_image(source, max_megapixels=math.inf)
    except ImageError:
        return None
    return info.width, info.height
