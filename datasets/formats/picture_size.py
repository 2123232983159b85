"""How many pixels a picture has, as it is shown."""

from __future__ import annotations

import math
from pathlib import Path

from ...core.images import ImageError, inspect_bytes, inspect_image


def size_of(source: Path | bytes) -> tuple[int, int]:
    """Width and height in pixels of a picture file or its bytes, turned upright, however large it is.

    Raises:
        ImageError: it cannot be read, or is too large for its header to be trusted.
    """
    try:
        if isinstance(source, bytes):
            info = inspect_bytes(source, None, max_megapixels=math.inf)
        else:
            info = inspect_image(source, max_megapixels=math.inf)
    except ImageError as error:
        if error.fault != "too-large":
            raise
        path = source if isinstance(source, Path) else None
        raise ImageError("it is too large to be opened", path, error.fault) from None
    return info.width, info.height
