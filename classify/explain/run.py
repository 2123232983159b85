"""`cv explain` as a library call: pictures with what spoke for the answer, and the network itself, on one page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.files import write_atomic
from ...core.images import read_image
from ...core.manifest import RunManifest
from ...core.progress import progress
from ...core.words import many
from ...core.workspace import Workspace
from ...predict.loop import predict_frames
from ...predict.results import Prediction, Skipped
from ...predict.sinks import PictureFolder, RecordFile
from ...predict.sources import Source
from ...report.page import Page
from ...weights.bundle import Bundle
from .cam import Method
from .diagram import draw_network, shape_text
from .layers import Part, list_blocks, list_layers
from .model import Explained, ExplainingModel
from .overlay import heat_on_picture, side_by_side, strongest_place
from .sheets import FeatureSheets

RECORDS_NAME, PAGE_NAME, LAYERS_NAME, DIAGRAM_NAME = "explanations.jsonl", "explain.html", "layers.csv", "network.svg"
_ON_PAGE = 60
_WITH_SHEETS = 4
_METHOD_NAMES: dict[Method, str] = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++"}


@dataclass(frozen=True)
class ExplainConfig:
    """Options of `explain`.

    Attributes:
        method: "gradcam" or "gradcam++", see `cam`.
        layer: A layer or block of the backbone, see `layers.find_layer`; None takes its last feature map.
        class_name: The class to explain; None takes each picture's most probable one.
        features: Draw the feature maps of every block for the first four pictures.
        device: As in `core.device.parse_device`.
        on_record: Called with each picture's record.

    Raises:
        UsageError: there is no such method.
    """

    method: Method = "gradcam"
    layer: str | None = None
    class_name: str | None = None
    features: bool = False
    device: str = "auto"
    on_record: Callable[[dict[str, Any]], None] | None = None

    def __post_init__(self) -> None:
        if self.method not in _METHOD_NAMES:
            raise UsageError(
                f"There is no method called '{self.method}'.", where="--method", next_step="use gradcam or gradcam++"
            )


@dataclass(frozen=True)
class ExplainRun:
    """What was written.

    Attributes:
        run: The run's folder, with `explain.html`, `explanations.jsonl`, the pictures, `layers.csv` and `network.svg`.
        layer: The layer that was looked at.
        pictures: How many were explained.
        skipped: What could not be read.
    """

    run: Path
    layer: str
    pictures: int
    skipped: tuple[Skipped, ...]

    @property
    def page(self) -> Path:
        """The page."""
        return self.run / PAGE_NAME


def explain(source: Source, bundle: Bundle, workspace: Workspace, config: ExplainConfig | None = None) -> ExplainRun:
    """Show for each picture what spoke for the classifier's answer, and what the network is made of.

    Args:
        source: Pictures, from `open_source`.
        bundle: A classifier's bundle with its Keras weights.
        workspace: Where the run's folder is made.
        config: The options.

    Raises:
        UsageError: the source is a video, the bundle a detector, or there is no such layer, class or method.
        MissingExtraError: Keras is not installed.
        DataError: the bundle cannot be used.
    """
    config = config or ExplainConfig()
    if source.frames_per_second is not None:
        raise UsageError(
            "cv explain looks at pictures, and this is a video.",
            where=source.name,
            next_step="save the frames that matter as pictures and give their folder",
        )
    model = ExplainingModel(
        bundle, method=config.method, layer=config.layer, class_name=config.class_name, device=config.device
    )
    run = workspace.new_run("explain", source.name)
    options = {
        "source": source.name, "weights": bundle.name, "method": config.method, "layer": model.layer,
        "class": config.class_name, "features": config.features,
    }  # fmt: skip
    manifest = RunManifest(command="explain", options=options, seed=0, device=model.device, dataset=model.dataset)
    with manifest.during(run):
        blocks = list_blocks(model.keras_model, model.record)
        _write_network(run, blocks, list_layers(model.keras_model, model.record))
        shown, pictures = _explain_pictures(run, source, model, blocks, config)
        done = ExplainRun(run, model.layer, pictures, tuple(source.skipped))
        _write_page(done, model, blocks, shown, config)
        manifest.result = {"pictures": pictures, "skipped": [list(skip) for skip in done.skipped]}
    return done


@dataclass(frozen=True)
class _Shown:
    """A picture on the page: its files and what to write under it."""

    overlay: Path
    name: str
    caption: str
    sheets: tuple[tuple[Path, str], ...]


def _explain_pictures(
    run: Path, source: Source, model: ExplainingModel, blocks: Sequence[Part], config: ExplainConfig
) -> tuple[list[_Shown], int]:
    """Write what belongs to each picture; gives what the page shows, and how many pictures there were."""
    overlays, shown, count = PictureFolder(run), [], 0
    sheets = FeatureSheets(model.keras_model, blocks, model.scope) if config.features else None
    predictions = predict_frames(source, model)
    with RecordFile(run / RECORDS_NAME) as records, closing(predictions), progress(
        f"explaining {source.name}", source.total, unit="pictures"
    ) as step:  # fmt: skip
        for prediction in predictions:
            explained = prediction.result
            if not isinstance(explained, Explained):
                raise UsageError("Only a classifier's answers can be explained.", where="--weights")
            record, overlay = _explain_one(prediction, explained, model, overlays, config.method)
            records.write(record)
            if config.on_record:
                config.on_record(record)
            drawn: list[tuple[Path, str]] = []
            if sheets and count < _WITH_SHEETS:
                drawn = _write_sheets(run / "features", overlay.stem, sheets, explained)
            if count < _ON_PAGE:
                name = Path(prediction.frame.source).name
                shown.append(_Shown(overlay, name, _caption(prediction, explained, model.names), tuple(drawn)))
            count += 1
            step(1)
    return shown, count


def _explain_one(
    prediction: Prediction, explained: Explained, model: ExplainingModel, overlays: PictureFolder, method: Method
) -> tuple[dict[str, Any], Path]:
    size = explained.prepared.picture.shape
    heat = heat_on_picture(explained.heat, (size[0], size[1]), explained.prepared.geometry)
    overlay = overlays.write(side_by_side(prediction, explained, heat, model.names), prediction.frame.source)
    place = strongest_place(heat)
    record = prediction.as_record(model.names) | {
        "explained": model.names[explained.explained],
        "explained_probability": round(float(explained.probability[explained.explained]), 4),
        "method": method, "layer": model.layer, "strongest": list(place) if place else None, "drawn": overlay.name,
    }  # fmt: skip
    return record, overlay


def _write_sheets(folder: Path, stem: str, sheets: FeatureSheets, explained: Explained) -> list[tuple[Path, str]]:
    folder.mkdir(exist_ok=True)
    files = PictureFolder(folder)
    return [(files.write(sheet, f"{stem}-{name}.jpg"), name) for name, sheet in sheets.draw(explained.prepared.picture)]


def _caption(prediction: Prediction, explained: Explained, names: tuple[str, ...]) -> str:
    picture, sure = Path(prediction.frame.source), explained.probability
    said = "unknown" if explained.class_id is None else f"'{names[explained.class_id]}'"
    if explained.class_id is not None and picture.parent.name in names:
        # As in a folder for each class, which is how people keep pictures whose class they know.
        said += " (right)" if picture.parent.name == names[explained.class_id] else f" (is '{picture.parent.name}')"
    why = explained.explained
    return f"{picture.name}: the answer is {said}. Marked is what speaks for '{names[why]}', {sure[why]:.1%} sure."


def _write_network(run: Path, blocks: Sequence[Part], layers: Sequence[Part]) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["layer", "kind", "output", "parameters", "learned"])
    writer.writerows([part.name, part.kind, "x".join(map(str, part.shape)), part.parameters, part.learned]
                     for part in layers)  # fmt: skip
    write_atomic(run / LAYERS_NAME, table.getvalue())
    write_atomic(run / DIAGRAM_NAME, draw_network(blocks) + "\n")


def _write_page(
    done: ExplainRun, model: ExplainingModel, blocks: Sequence[Part], shown: Sequence[_Shown], config: ExplainConfig
) -> None:
    method = _METHOD_NAMES[config.method]
    about = f"why it would be {config.class_name}" if config.class_name else "what spoke for its answer"
    page = Page(f"What {model.name} looks at", f"For each picture the answer, and {about}: {method} at {model.layer}.")
    total = sum(part.parameters for part in blocks)
    frozen = sum(part.parameters for part in blocks if part.learned in {"frozen", "random"})
    page.numbers([
        ("pictures", str(done.pictures), f"{len(done.skipped)} could not be read" if done.skipped else "explained"),
        ("classes", str(len(model.names)), ", ".join(model.names)[:80]),
        ("parameters", f"{total:,}", f"{frozen:,} of them in blocks that stayed frozen"),
    ])  # fmt: skip
    rest = f" The first {len(shown)} of {done.pictures}; all of them lie beside this page." if (
        done.pictures > len(shown)) else ""  # fmt: skip
    page.section(
        "Pictures",
        "Left the picture with the answer, right the same picture under the map: red spoke most for the class that is "
        "named, blue a little, what has kept its colours nothing. Each map is scaled by itself, so red in one picture "
        f"cannot be compared with red in another.{rest}",
    )
    page.pictures(((read_image(one.overlay), one.caption) for one in shown), width=480)
    if done.skipped:
        page.table(["could not be read", "why"], done.skipped)
    if any(one.sheets for one in shown):
        some = f" Drawn for the first {many(_WITH_SHEETS, 'picture')}." if done.pictures > _WITH_SHEETS else ""
        page.section("Feature maps", "What each block makes of a picture: the channels that tell places apart most, "
                     "each from black (its lowest value) to white (its highest)." + some)  # fmt: skip
        for one in shown:
            if one.sheets:
                page.pictures(((read_image(path), name) for path, name in one.sheets), width=320, heading=one.name)
    page.section("The network", "From the picture at the top to the answer at the bottom; sizes are width x height x "
                 f"channels. Every layer is in {LAYERS_NAME}.")  # fmt: skip
    page.plot(draw_network(blocks))
    page.table(["part", "output", "parameters", "training"],
               [(part.name, shape_text(part.shape), part.parameters, part.learned) for part in blocks])  # fmt: skip
    page.write(done.page)
