"""`cv explain` on a network whose reasons are known."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from lensmith.classify.explain.gradients import GradientProbe
from lensmith.classify.explain.layers import find_layer, list_blocks
from lensmith.classify.explain.model import Explained, ExplainingModel
from lensmith.classify.explain.run import ExplainConfig, ExplainRun, explain
from lensmith.classify.explain.sheets import FeatureSheets
from lensmith.cli.explain import explain as command
from lensmith.core.errors import UsageError
from lensmith.core.images import read_image, write_image
from lensmith.core.workspace import Workspace
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import open_model
from lensmith.predict.results import Frame
from lensmith.predict.sources import open_source
from lensmith.weights.architecture import build_classifier
from lensmith.weights.bundle import Bundle, ClassifierRecord
from tests.predict.make_bundle import make_detector
from tests.predict.test_sources import make_video

from .red_network import BLUE, GREEN, NAMES, RED, make_colour_bundle, scene

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("explain"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_CACHE", str(workspace.root / "cache"))
        yield workspace


@pytest.fixture(scope="module")
def colours(place: Workspace) -> Bundle:
    return make_colour_bundle(place.weights / "colours", temperature=2.0)


@pytest.fixture(scope="module")
def explained(place: Workspace, colours: Bundle) -> ExplainRun:
    shots = place.root / "shots"
    shots.mkdir()
    write_image(shots / "1 red.png", scene(300, 200, (60, 50, RED), (250, 150, BLUE)))
    write_image(shots / "2 blue.png", scene(28, 28, (7, 20, BLUE), (7, 7, BLUE)))
    write_image(shots / "4 black.png", scene(40, 40))
    (shots / "3 bad.jpg").write_bytes(b"no picture")
    return explain(open_source(shots), colours, place, ExplainConfig(features=True))


def _records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "explanations.jsonl").read_text().splitlines()]


def test_the_answers_are_those_of_cv_predict(explained: ExplainRun, colours: Bundle, place: Workspace) -> None:
    records = _records(explained.run)
    usual = predict_frames(open_source(place.root / "shots"), open_model(colours, engine="keras"))
    for record, prediction in zip(records, usual, strict=True):
        expected = prediction.as_record(NAMES)
        for name, p in expected.pop("probabilities").items():
            assert record["probabilities"][name] == pytest.approx(p, abs=2e-4)
        assert record["confidence"] == pytest.approx(expected.pop("confidence"), abs=2e-4)
        assert expected.items() <= record.items()


def test_the_run_folder(explained: ExplainRun, colours: Bundle) -> None:
    assert (explained.pictures, explained.layer, [skip.reason for skip in explained.skipped]) == (
        3, "block5_relu", ["the file is not a picture that can be read"],
    )  # fmt: skip
    manifest = json.loads((explained.run / "run.json").read_text())
    assert (manifest["status"], manifest["result"]["pictures"]) == ("done", 3)
    for record in _records(explained.run):
        height, width = read_image(explained.run / record["drawn"]).shape[:2]
        assert abs(width - 8 - 2 * height * record["width"] / record["height"]) <= 2
    sheets = sorted(path.name for path in (explained.run / "features").iterdir())
    assert sheets == sorted(f"{stem}-block{n}.jpg" for stem in ("1-red", "2-blue", "4-black") for n in range(1, 6))
    with (explained.run / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    learned = {row["layer"]: row["learned"] for row in rows}
    assert {learned[f"block{n}_conv"] for n in (1, 2, 3)} == {"random"}
    assert {learned[f"block{n}_conv"] for n in (4, 5)} == {"trained"}  # the small network starts from nothing
    assert (learned["head_hidden"], learned["block5_relu"]) == ("trained", "fixed")
    assert (explained.run / "network.svg").read_text().startswith("<svg ")


def test_the_page_is_whole_by_itself(explained: ExplainRun) -> None:
    html = explained.page.read_text()
    assert html.count("data:image/jpeg;base64,") == 3 + 3 * 5
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "&lt;green&gt;" in html and "<green>" not in html
    assert "3 bad.jpg" in html
    assert re.findall("<h3>(.*)</h3>", html) == ["1 red.png", "2 blue.png", "4 black.png"]
    assert not (explained.run / "features" / "3-bad.jpg").exists()


def test_pictures_without_sheets_do_not_stand_among_the_sheets(
    place: Workspace, colours: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And where the folder tells a picture's class, the caption tells whether the answer is right."""
    monkeypatch.setattr("lensmith.classify.explain.run._WITH_SHEETS", 1)
    folder = tmp_path / NAMES[0]
    folder.mkdir()
    for name, colour in (("a.png", RED), ("b.png", BLUE)):
        write_image(folder / name, scene(64, 64, (30, 30, colour)))
    html = explain(open_source(folder), colours, place, ExplainConfig(features=True)).page.read_text()
    assert re.findall("<h3>(.*)</h3>", html) == ["a.png"]
    assert "Drawn for the first 1 picture." in html
    assert "(right). Marked is what speaks for" in html
    assert f"(is &#39;{NAMES[0]}&#39;)" in html


@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
def test_the_map_lies_on_what_speaks_for_the_class(method, letterbox: bool, place: Workspace, tmp_path: Path) -> None:
    bundle = make_colour_bundle(tmp_path / "model", letterbox=letterbox)
    shot = tmp_path / "shot.png"
    spots = {RED: (350, 50), BLUE: (50, 150), GREEN: (150, 100)}  # each within a cell of the map
    write_image(shot, scene(400, 200, *((*spot, channel) for channel, spot in spots.items())))
    for channel, (x, y) in spots.items():
        config = ExplainConfig(method=method, class_name=NAMES[channel])
        done = explain(open_source(shot), bundle, Workspace(tmp_path), config)
        (record,) = _records(done.run)
        assert record["explained"] == NAMES[channel]
        found = record["strongest"]
        assert abs(found[0] - x) < 55 and abs(found[1] - y) < 55, (NAMES[channel], found)


def test_nothing_speaks_for_a_colour_that_is_not_there(colours: Bundle, explained: ExplainRun) -> None:
    model = ExplainingModel(colours, class_name="red")
    (done,) = predict_frames([Frame(scene(40, 40, (20, 20, BLUE)), "made")], model)
    assert isinstance(done.result, Explained)
    assert not done.result.heat.any()
    assert _records(explained.run)[2]["strongest"] is None


def _random_model(layers: Any) -> Any:
    """Some convolutions, mean, and one dense layer: for this head Grad-CAM is known in closed form."""
    import keras

    keras.utils.set_random_seed(3)
    x = rgb = keras.Input((16, 16, 3), name="rgb")
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="first")(x)
    x = keras.layers.Conv2D(5, 3, activation="relu", name="last")(x)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    for number in range(layers):
        x = keras.layers.Dense(7, activation="tanh", name=f"head_hidden_{number}")(x)
    return keras.Model(rgb, keras.layers.Dense(4, "softmax", bias_initializer="random_normal", name="head_classes")(x))


def test_grad_cam_equals_cam_where_one_dense_layer_follows_the_mean(colours: Bundle) -> None:
    """Zhou et al. 2016: the class's dense weights are the weights of the map; Grad-CAM divides them by the places."""
    from lensmith.classify.explain.cam import activation_maps

    model = _random_model(0)
    rgb = np.random.default_rng(0).uniform(0, 255, (5, 16, 16, 3)).astype(np.float32)
    found = GradientProbe(model, "last", "cpu").run(rgb, None)
    np.testing.assert_allclose(found.probability, model.predict_on_batch(rgb), atol=1e-6)
    np.testing.assert_array_equal(found.class_id, found.probability.argmax(axis=1))
    dense = np.asarray(model.get_layer("head_classes").kernel)
    cam = np.maximum((found.features * dense[:, found.class_id].T[:, None, None, :]).sum(axis=3), 0)
    places = found.features.shape[1] * found.features.shape[2]
    maps = activation_maps(found.features, found.gradients, "gradcam")
    assert maps.max() > 0
    np.testing.assert_allclose(maps * places, cam, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", ["first", "last"])
def test_gradients_against_finite_differences(layer: str, colours: Bundle) -> None:
    import keras

    model = _random_model(1)
    rgb = np.random.default_rng(1).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    found = GradientProbe(model, layer, "cpu").run(rgb, 2)
    rest = keras.Model(model.get_layer(layer).output, model.get_layer("head_hidden_0").output)
    weights, bias = (np.asarray(part, np.float64) for part in model.get_layer("head_classes").get_weights())

    def logit(features: np.ndarray) -> np.ndarray:
        return np.asarray(rest.predict_on_batch(features), np.float64) @ weights[:, 2] + bias[2]

    rng, step = np.random.default_rng(2), 1e-2
    for _ in range(12):
        at = tuple(rng.integers(0, side) for side in found.features.shape[1:])
        higher, lower = found.features.copy(), found.features.copy()
        higher[(slice(None), *at)] += step
        lower[(slice(None), *at)] -= step
        slope = (logit(higher) - logit(lower)) / (2 * step)
        np.testing.assert_allclose(found.gradients[(slice(None), *at)], slope, rtol=0.02, atol=2e-5)


def test_layers_are_found_by_block_and_by_name(colours: Bundle) -> None:
    model = ExplainingModel(colours)
    network, record = model.keras_model, model.record
    assert find_layer(network, record, None) == "block5_relu"  # 4 x 4
    assert find_layer(build_classifier(record, 32, 32, 3), record, None) == "block4_relu"  # block5 has 2 x 2
    assert find_layer(network, record, "block3") == "block3_relu"
    assert find_layer(network, record, "block2_pool") == "block2_pool"
    for wrong, says in (("block9", "no layer or block called 'block9'"), ("head_hidden", "has no feature map")):
        with pytest.raises(UsageError, match=says) as raised:
            find_layer(network, record, wrong)
        assert "block5" in str(raised.value.next_step)
    parts = list_blocks(network, record)
    assert [part.name for part in parts][:3] == ["input", "block1", "block2"]
    assert sum(part.parameters for part in parts) == network.count_params()


def test_what_training_did_with_each_block(colours: Bundle) -> None:
    record = ClassifierRecord(backbone="vgg16", units=4, dropout=0.0, unfrozen_from="block4_conv2", stage="tuned")
    model = build_classifier(record, 32, 32, 2)
    learned = {part.name: part.learned for part in list_blocks(model, record)}
    assert [learned[f"block{n}"] for n in (3, 4, 5)] == ["frozen", "partly fine-tuned", "fine-tuned"]
    kept = {part.name: part.learned for part in list_blocks(model, record.model_copy(update={"stage": "frozen"}))}
    assert (kept["block5"], kept["head_hidden"], kept["input"]) == ("frozen", "trained", "fixed")
    anew = {part.name: part.learned for part in list_blocks(model, record.model_copy(update={"weights": "none"}))}
    assert [anew[f"block{n}"] for n in (3, 4, 5)] == ["random", "partly trained", "trained"]
    drawn = FeatureSheets(model, list_blocks(model, record), "cpu").layers
    assert drawn == ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"], "not yet pooled"
    assert find_layer(model, record, None) == "block4_conv3"  # 4 x 4, where block5 has 2 x 2


def test_the_command(colours: Bundle, explained: ExplainRun, place: Workspace, capsys: Any) -> None:
    with pytest.raises(typer.Exit) as ended:
        command(str(place.root / "shots"), colours.name, method="gradcam++", as_json=True, workspace=place.root)
    assert ended.value.exit_code == 5
    said = capsys.readouterr()
    records = [json.loads(line) for line in said.out.splitlines()]
    assert [(record["method"], record["explained"]) for record in records[:2]] == [
        ("gradcam++", "red"),
        ("gradcam++", "blue"),
    ]
    assert "3 bad.jpg" in said.err and "explain.html" in said.err


def test_what_is_refused(colours: Bundle, place: Workspace, tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", frames=3, rate=10)
    write_image(tmp_path / "shot.png", scene(40, 30))
    video, shot = open_source(tmp_path / "clip.mp4"), open_source(tmp_path / "shot.png")
    here = Workspace(tmp_path)
    with pytest.raises(UsageError, match="'cells' is a detector"):
        explain(shot, make_detector(tmp_path / "cells"), here)
    with pytest.raises(UsageError, match="this is a video"):
        explain(video, colours, here)
    with pytest.raises(UsageError, match="no class called 'pink'"):
        explain(shot, colours, here, ExplainConfig(class_name="pink"))
    with pytest.raises(UsageError, match="no method called 'magic'"):
        ExplainConfig(method="magic")  # type: ignore[arg-type]
    assert not here.runs.exists()
