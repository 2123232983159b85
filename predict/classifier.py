"""A trained classifier for use from Python: the same loop and the same numbers as `cv predict`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..core.errors import DataError, UsageError
from ..core.images import ImageError, read_image
from ..core.workspace import Workspace
from ..weights.bundle import open_bundle
from .ensemble import Ensemble, open_models
from .loop import predict_frames
from .model import Model
from .results import Frame, Scores

Image = str | Path | np.ndarray


class Classifier:
    """One classifier, or several as one, loaded and ready.

    Example:
        classifier = Classifier.load("flowers-vgg16")
        for path, scores in zip(paths, classifier.predict(paths)):
            print(path, classifier.name_of(scores), scores.confidence)

    Attributes:
        names: The class names; a class id is a place in it.
    """

    def __init__(self, model: Model | Ensemble) -> None:
        if isinstance(model, Model) and model.bundle.record.task != "classify":
            raise UsageError(
                f"'{model.name}' is a detector, not a classifier.",
                where=model.bundle.folder,
                next_step=f"use `cv predict --weights {model.name}`, or a bundle that cv finetune made",
            )
        self.names = model.names
        self._model = model

    @classmethod
    def load(
        cls,
        name: str | Path | Sequence[str | Path],
        workspace: str | Path | None = None,
        *,
        engine: str = "auto",
        device: str = "auto",
    ) -> Classifier:
        """Open a bundle, check it, and load its model.

        Args:
            name: The bundle's name in `weights/`, or its folder; several of either answer as one (see `Ensemble`).
            workspace: The folder with `weights/`; None takes CV_WORKSPACE, else the current folder.
            engine: As in `open_engine`. "auto" on a CPU runs the portable model, which needs neither Keras nor torch.
            device: As in `core.device.parse_device`.

        Raises:
            NotFoundError: there is no such workspace or bundle.
            DataError: a file of the bundle is missing or changed, or its results are not what they should be.
            UsageError: it is a detector, or the engine or device cannot be used.
            MissingExtraError: the library that runs it is not installed.
        """
        place = Workspace.find(None if workspace is None else Path(workspace))
        given = [name] if isinstance(name, (str, Path)) else list(name)
        if not given:
            raise UsageError("No model was named.", where="Classifier.load", next_step="give a bundle's name")
        return cls(open_models([open_bundle(one, place) for one in given], engine=engine, device=device))

    def predict(self, images: Image | Iterable[Image]) -> list[Scores]:
        """Classify pictures; only a few of them are in memory at a time, however many come.

        Args:
            images: Paths of picture files, or arrays, uint8 BGR `(h, w, 3)` of any size (OpenCV's order; reverse the
                last axis of an RGB array), or both mixed; any iterable of them, or a single one.

        Returns:
            For each picture, in order: `probability`, float32 `(classes,)` in the order of `names`, calibrated and
            summing to 1; `class_id`, None for "unknown"; `confidence`, the highest probability.

        Raises:
            DataError: a file is missing or cannot be read as a picture; it is named. Nothing is returned then.
            UsageError: something else than a path or such an array was given.
        """
        return list(self.stream(images))

    def stream(self, images: Image | Iterable[Image]) -> Iterator[Scores]:
        """As `predict`, one result after the other; an error comes after the results of the pictures before it."""
        predictions = predict_frames(_frames(images), self._model)
        try:
            for prediction in predictions:
                if isinstance(prediction.result, Scores):
                    yield prediction.result
        finally:
            predictions.close()

    def name_of(self, scores: Scores) -> str:
        """The class's name in words: "unknown" below its threshold."""
        return "unknown" if scores.class_id is None else self.names[scores.class_id]


def _frames(images: Image | Iterable[Image]) -> Iterator[Frame]:
    if isinstance(images, (str, Path)) or (isinstance(images, np.ndarray) and images.ndim == 3):
        yield _frame(images, 0)
        return
    for index, image in enumerate(images):
        yield _frame(image, index)


def _frame(image: object, index: int) -> Frame:
    if isinstance(image, (str, Path)):
        path = Path(image).expanduser()
        try:
            return Frame(read_image(path), str(path), index)
        except ImageError as error:
            raise DataError(
                f"Picture {index + 1} cannot be used: {error.reason}.",
                where=path,
                next_step="leave it out; `cv predict` goes on without such pictures and names them",
            ) from None
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size:
        return Frame(image, f"picture {index + 1}", index)
    is_array = isinstance(image, np.ndarray)
    what = f"an array of {image.dtype} {image.shape}" if is_array else f"of the type {type(image).__name__}"
    raise UsageError(
        f"Picture {index + 1} is {what}.",
        where="Classifier.predict",
        next_step="give paths, or uint8 BGR arrays (height, width, 3)",
    )
