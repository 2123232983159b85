"""Options of `cv predict` and `cv live` for what is done with a detector's boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import Within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.workspace import Workspace
    from ..predict.sources import Source
    from ..predict.stages import StagesConfig

_PANEL = "Behind the detector"

ClassifierOption = Annotated[
    list[str] | None,
    typer.Option(
        "--classifier",
        rich_help_panel=_PANEL,
        metavar="NAME",
        help="A classifier that names what each box holds. Given several times, classifiers of the same classes answer "
        "as one.",
        show_default=False,
    ),
]
ClassifierConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--classifier-conf", rich_help_panel=_PANEL, click_type=Within("0..1", 0, 1),
        help="Below this the classifier's answer is 'unknown'. Default: what it was made with.",
    ),
]  # fmt: skip
TrackOption = Annotated[
    bool,
    typer.Option(
        "--track",
        rich_help_panel=_PANEL,
        help="Give each object a number that it keeps from frame to frame. What the model is less sure of than --conf "
        "is shown where it goes on with an object.",
    ),
]
LineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        rich_help_panel=_PANEL,
        metavar="x,y,x,y",
        help="With --track: count what crosses this line, in and out. In shares of the frame, such as 0,0.5,1,0.5, or "
        "in pixels; with a name in front: door=0,0.5,1,0.5. 'in' is from the left to the right of who looks along it: "
        "downwards for a line from left to right. May be given several times.",
        show_default=False,
    ),
]
ZoneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--zone",
        rich_help_panel=_PANEL,
        metavar="x,y,...",
        help="Count the objects inside these three or more corners, and with --track those that ever were. As --line "
        "otherwise.",
        show_default=False,
    ),
]


def stages_config(
    place: Workspace,
    classifiers: Sequence[str] | None,
    classifier_confidence: float | None,
    track: bool,
    lines: Sequence[str] | None,
    zones: Sequence[str] | None,
) -> StagesConfig:
    """What was given, looked at before any model is opened, so that a slip is said at once.

    Raises:
        UsageError: a line or zone is none, or the options do not fit together.
        LensmithError: there is no such classifier, or it is damaged.
    """
    from ..predict.counting import parse_regions
    from ..predict.stages import StagesConfig, check_stages
    from ..weights.bundle import open_bundle

    regions = parse_regions(lines or (), zones or ())
    bundles = [open_bundle(one, place) for one in classifiers or ()]
    config = StagesConfig(bundles, classifier_confidence, track, regions)
    check_stages(config)
    return config


def warn_of_pictures(frames: Source) -> None:
    """Tracking takes pictures for a film: that is only right where they are one."""
    from ..core.progress import warn
    from ..predict.sources import PicturesBase

    if isinstance(frames, PicturesBase) and frames.total != 1:
        warn("--track takes these pictures for the frames of one film, in this order; numbers mean little otherwise")
