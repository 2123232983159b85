"""Frames on their way to Roboflow for labelling: `cv predict`, `cv live` and `cv push-dataset` share this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..core.workspace import Workspace
    from ..datasets.push import Pushed
    from ..datasets.roboflow.workers import Outgoing, PushConfig
    from ..predict.results import Prediction, Skipped
    from ..predict.unsure import UnsureFrame
    from ..weights.bundle import Bundle

RANGE = "0.25-0.6"
LIMIT = 100


def read_range(text: str | None) -> tuple[float, float]:
    """Read `--uncertain`."""
    lowest, _, highest = (text or RANGE).partition("-")
    try:
        return float(lowest), float(highest)
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is no range; give two numbers such as {RANGE}", param_hint="--uncertain"
        ) from None


def push_frames(
    frames: Sequence[UnsureFrame], skipped: Sequence[Skipped], source: str, bundle: Bundle, project: str,
    place: Workspace, config: PushConfig,
) -> Pushed:  # fmt: skip
    """Upload frames with what the model says about them. Pictures that were `skipped` count as refused."""
    from dataclasses import replace

    from ..core.progress import say
    from ..core.words import many
    from ..datasets.push import push_pictures
    from ..datasets.roboflow.workers import Refused

    more = "" if frames else "; a wider --uncertain finds more"
    say(f"{bundle.name} is unsure of {many(len(frames), 'frame')}{more}")
    in_order = sorted(frames, key=lambda frame: frame.index)
    done = push_pictures(
        (outgoing(frame, bundle) for frame in in_order), bundle.record.task, project, place, config,
        name=f"{source} by {bundle.name}", total=len(frames),
    )  # fmt: skip
    return replace(done, refused=(*(Refused(Path(path), reason) for path, reason in skipped), *done.refused))


def outgoing(frame: UnsureFrame, bundle: Bundle) -> Outgoing:
    """The frame with what the model says about it, marked as a prediction."""
    import numpy as np

    from ..datasets.model import Boxes
    from ..datasets.push import label_of_boxes, label_of_class
    from ..datasets.roboflow.workers import Outgoing
    from ..predict.results import Detections

    names = bundle.record.names
    if not isinstance(frame.result, Detections):
        best = int(frame.result.probability.argmax())
        return Outgoing(frame.picture, "train", label_of_class(names[best], prediction=True))
    xyxy = frame.result.xyxy / np.array([frame.width, frame.height] * 2, np.float64)
    centres, sizes = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    boxes = Boxes(np.hstack([centres, sizes]).astype(np.float32), frame.result.class_id)
    return Outgoing(frame.picture, "train", label_of_boxes(frame.picture, boxes, names, prediction=True))


def frame_uploader(project: str, api_key: str | None, bundle: Bundle, place: Workspace) -> Callable[[Prediction], str]:
    """What sends one frame with what the model sees in it, as a prediction to correct, and says that it did.

    Raises:
        LensmithError: there is no such project, it is for another task, or the key does not open it.
    """
    from ..datasets.push import check_project, push_pictures
    from ..datasets.roboflow.workers import PushConfig

    check_project(project, api_key, bundle.record.task)  # known before the camera runs for an hour

    def send(prediction: Prediction) -> str:
        import tempfile
        from datetime import datetime

        from ..core.errors import LensmithError
        from ..core.files import slug
        from ..core.images import write_image
        from ..predict.unsure import UnsureFrame

        frame = prediction.frame
        height, width = frame.bgr.shape[:2]
        with tempfile.TemporaryDirectory() as folder:
            stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
            picture = Path(folder, f"{slug(Path(frame.source).stem)}-{stamp}.jpg")
            write_image(picture, frame.bgr)
            sent = outgoing(
                UnsureFrame(frame.source, frame.index, frame.seconds, width, height, 0.0, prediction.result, picture),
                bundle,
            )
            done = push_pictures(
                [sent], bundle.record.task, project, place, PushConfig(api_key=api_key), name=f"live by {bundle.name}"
            )
        if done.refused:
            raise LensmithError(done.refused[0].reason)
        return f"uploaded for labelling: {done.url}"

    return send
