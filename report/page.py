"""One self-contained HTML page: opens offline, in light and dark, prints, and can be sent to somebody as one file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..core.files import write_atomic
from ..core.redact import redact

_JPEG_QUALITY = 88


@dataclass
class Page:
    """A page that is filled from top to bottom and then written. All text is escaped.

    Args:
        title: The heading.
        lead: One or two sentences under it.
    """

    title: str
    lead: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def section(self, heading: str, text: str = "") -> None:
        """Start a new section."""
        self.blocks.append({"kind": "section", "heading": heading, "text": text})

    def numbers(self, cards: Iterable[tuple[str, str, str]]) -> None:
        """The figures that matter, large: name, value, and what it means in a few words."""
        self.blocks.append({"kind": "numbers", "cards": list(cards)})

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> None:
        """A table; numbers are right-aligned."""
        cells = [[(str(cell), isinstance(cell, (int, float))) for cell in row] for row in rows]
        self.blocks.append({"kind": "table", "head": list(head), "rows": cells, "caption": caption})

    def notes(self, sentences: Iterable[str]) -> None:
        """Sentences that must not be overlooked, set apart; nothing when there are none."""
        said = list(sentences)
        if said:
            self.blocks.append({"kind": "notes", "sentences": said})

    def plot(self, svg: str, caption: str = "") -> None:
        """A plot made by `report.plots`, as SVG text."""
        self.blocks.append({"kind": "plot", "svg": svg, "caption": caption})

    def plots(self, plots: Iterable[tuple[str, str]]) -> None:
        """Plots with a caption each, side by side where there is room."""
        self.blocks.append({"kind": "plots", "plots": list(plots)})

    def pictures(
        self, pictures: Iterable[tuple[np.ndarray, str]], caption: str = "", *, width: int = 240, heading: str = ""
    ) -> None:
        """A gallery: BGR uint8 `(h, w, 3)` pictures with a caption each, shown `width` CSS pixels wide."""
        shown = [(_data_address(bgr), text) for bgr, text in pictures]
        self.blocks.append({
            "kind": "pictures", "pictures": shown, "caption": caption, "width": width, "heading": heading,
        })  # fmt: skip

    def write(self, path: Path) -> Path:
        """Write the page, whole or not at all, keys hidden."""
        from jinja2 import Environment

        template = resources.files("lensmith.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
        html = environment.from_string(template).render(page=self, made=made)
        # A file's name need not be text, and may stand in a caption.
        write_atomic(path, redact(html).encode(errors="backslashreplace"))
        return path


def _data_address(bgr: np.ndarray) -> str:
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError(f"cannot encode a picture of shape {bgr.shape} and type {bgr.dtype}")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
