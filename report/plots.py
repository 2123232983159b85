"""Plots as SVG text, for `Page.plot`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(
    lines: Mapping[str, Sequence[float]], *, x_label: str, y_label: str, marks: Mapping[int, str] | None = None
) -> str:
    """Lines over steps 1, 2, ...; NaN leaves a gap.

    Args:
        lines: Values by name.
        x_label: What a step is: "epoch".
        y_label: What the values are.
        marks: Steps after which something changed, with its name; drawn as dashed vertical lines.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(7.2, 3.4)
    for name, values in lines.items():
        axes.plot(range(1, len(values) + 1), values, label=name, linewidth=1.8, marker="o", markersize=3)
    for step, name in (marks or {}).items():
        axes.axvline(step + 0.5, color="#888888", linestyle="--", linewidth=1)
        axes.annotate(name, (step + 0.5, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="left", va="bottom")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.25)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=9)
    return _svg(figure)


def confusion_matrix(counts: np.ndarray, names: Sequence[str]) -> str:
    """A confusion matrix: integer `(true, predicted)` counts, shaded by share of the row."""
    size = min(0.55 * len(names) + 2.2, 12)
    figure, axes = _figure(size, size * 0.9)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= 20:
        for true, predicted in np.ndindex(*counts.shape):
            if counts[true, predicted]:
                colour = "white" if share[true, predicted] > 0.5 else "#1d2430"
                axes.text(
                    predicted, true, str(counts[true, predicted]), ha="center", va="center", color=colour, fontsize=9
                )
    axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return _svg(figure)


def bars(values: Mapping[str, float], *, x_label: str) -> str:
    """Horizontal bars from 0 to 1, one a name."""
    figure, axes = _figure(7.2, 0.32 * len(values) + 0.9)
    axes.barh(list(values), list(values.values()), color="#1f6feb", height=0.65)
    for row, value in enumerate(values.values()):
        inside = value > 0.9
        place, side, colour = (value - 0.01, "right", "white") if inside else (value + 0.01, "left", "black")
        axes.text(place, row, f"{value:.2f}", va="center", ha=side, color=colour, fontsize=8)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.25, axis="x")
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    # The object interface alone: pyplot keeps every figure alive and wants a display.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
