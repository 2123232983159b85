"""Plots as SVG text, for `Page.plot`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#1d2430"  # becomes the page's own colour of text, which is light on a dark page
_SHADE = (0.07, 0.34, 0.66)  # red, green, blue; white figures can be read on it, whatever is below
_WHITE_ABOVE = 0.6  # share of a row
_COLOURS = (
    "#1f77d0",
    "#e07b1a",
    "#2f9e4f",
    "#c9404a",
    "#8e62c9",
    "#8a6250",
    "#d062a8",
    "#7d8590",
    "#a8a020",
    "#1fa8b8",
)

Line = tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]


def curves(
    lines: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    marks: Mapping[int, str] | None = None,
    log_y: bool = False,
    width: float = 7.2,
) -> str:
    """Lines over steps 1, 2, ...; NaN leaves a gap.

    Args:
        lines: Values by name.
        x_label: What a step is: "epoch".
        y_label: What the values are.
        marks: Steps after which something changed, with its name; drawn as dashed vertical lines.
        log_y: The y axis shows powers of ten.
        width: In inches of 72 points; 5 for two side by side.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(width, 3.4)
    for name, values in lines.items():
        axes.plot(range(1, len(values) + 1), values, label=name, linewidth=1.8, marker="o", markersize=3)
    for step, name in (marks or {}).items():
        axes.axvline(step + 0.5, color="#888888", linestyle="--", linewidth=1)
        axes.annotate(name, (step + 0.5, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="left", va="bottom")
    if log_y and any(value > 0 for values in lines.values() for value in values):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finished(figure, axes, x_label, y_label)


def xy_lines(
    lines: Mapping[str, Line],
    *,
    x_label: str,
    y_label: str,
    marks: Mapping[float, str] | None = None,
    square: bool = False,
    log_x: bool = False,
    diagonal: bool = False,
    counts: Mapping[str, Sequence[int] | np.ndarray] | None = None,
    lead: str | None = None,
) -> str:
    """Lines through points.

    Args:
        lines: The x and the y of each line, by name.
        x_label: What the x axis is.
        y_label: What the y axis is.
        marks: Places on the x axis to point out, with their name.
        square: Both axes run from 0 to 1.
        log_x: The x axis shows powers of ten.
        diagonal: Draw what is to be expected by chance, or from a perfect calibration, as a dashed line.
        lead: The line that matters most, by its name; drawn in the colour of the text, and thicker.
        counts: How much each point of a line rests on, by the line's name; written beside the points.
    """
    figure, axes = _figure(4.6, 4.3) if square else _figure(7.2, 3.4)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
    for name, (x, y) in lines.items():
        few = len(x) <= 20
        (drawn,) = axes.plot(x, y, label=name, linewidth=1.8, marker="o" if few else None, markersize=3)
        if name == lead:
            drawn.set(color=_INK, linewidth=2.8)
        for left, up, count in zip(x, y, (counts or {}).get(name, ()), strict=False):
            axes.annotate(
                str(count), (left, up), (4, -9), textcoords="offset points", fontsize=8, color=drawn.get_color()
            )
    for place, name in (marks or {}).items():
        axes.axvline(place, color="#888888", linestyle="--", linewidth=1)
        axes.annotate(name, (place, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="left", va="bottom")
    if square:
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
    if log_x:
        axes.set_xscale("log")
    return _finished(figure, axes, x_label, y_label)


def confusion_matrix(counts: np.ndarray, names: Sequence[str], columns: Sequence[str] | None = None) -> str:
    """A confusion matrix, shaded by share of the row; what is empty lets the page shine through, light or dark.

    Args:
        counts: Integers `(true, predicted)`.
        names: Of the rows.
        columns: Of the columns where they are others, such as one more for "unknown".
    """
    columns = columns or names
    size = min(0.55 * len(columns) + 2.2, 12)
    figure, axes = _figure(size, size * 0.9)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # A jump in the middle: between these two, neither dark nor white figures can be read well.
    shade = np.where(share > _WHITE_ABOVE, 0.8 + 0.2 * share, share)
    axes.imshow(np.dstack([np.broadcast_to(part, share.shape) for part in _SHADE] + [shade]), vmin=0, vmax=1)
    if len(names) <= 20:
        for true, predicted in np.ndindex(*counts.shape):
            if counts[true, predicted]:
                colour = "white" if share[true, predicted] > _WHITE_ABOVE else _INK
                axes.text(
                    predicted, true, str(counts[true, predicted]), ha="center", va="center", color=colour, fontsize=9
                )
    letters = min(10.0, 72 * 0.62 * size / len(columns))  # points: the names of many classes must not overlap
    turned = 90 if len(columns) > 30 else 45 if max(map(len, columns)) > 2 else 0
    axes.set_xticks(range(len(columns)), columns, rotation=turned, fontsize=letters)
    axes.set_yticks(range(len(names)), names, fontsize=letters)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return _svg(figure)


def bars(values: Mapping[str, float], *, x_label: str) -> str:
    """Horizontal bars from 0 to 1, one a name."""
    figure, axes = _figure(7.2, 0.32 * len(values) + 0.9)
    axes.barh(list(values), list(values.values()), color="#1f6feb", height=0.65)
    for row, value in enumerate(values.values()):
        inside = value > 0.9
        place, side, colour = (value - 0.01, "right", "white") if inside else (value + 0.01, "left", _INK)
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
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_prop_cycle(color=_COLOURS)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finished(figure: Figure, axes: Axes, x_label: str, y_label: str) -> str:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.25)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(frameon=False, fontsize=9)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_color() == "black":
            text.set_color(_INK)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    # Matplotlib writes the colour of black lines, and leaves out that of black text.
    return svg[svg.index("<svg") :].replace("#000000", "currentColor").replace(_INK, "currentColor")
