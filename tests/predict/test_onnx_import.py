"""An ONNX file of another program becomes a bundle that answers as the file does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import DataError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.predict.imported import ImportConfig, fixed_pictures, scale_and_shift
from lensmith.predict.model import open_model
from lensmith.predict.onnx_import import import_onnx
from lensmith.weights.onnx_names import names_of
from lensmith.weights.protobuf import Damaged
from tests.helpers import run_cv

SIDE = 32


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))


def _save(path: Path, nodes: list[Any], shape: list[Any], output: list[Any], said: Mapping[str, str] = {}) -> Path:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(said))
    onnx.save(model, str(path))
    return path


def _means(path: Path, **said: str) -> Path:
    """Logits: the mean of each channel, in the order in which the model takes them."""
    from onnx import helper

    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)]
    return _save(path, nodes, ["n", 3, SIDE, SIDE], ["n", 3], said)


def test_a_classifier_with_logits_answers_with_their_probabilities(tmp_path: Path) -> None:
    config = ImportConfig(task="classify", classes=("red", "green", "blue"), scale="imagenet")
    done = import_onnx(_means(tmp_path / "means.onnx"), Workspace(tmp_path), config)
    record = done.bundle.record
    assert (record.origin, record.task, record.names) == ("imported", "classify", ("red", "green", "blue"))
    assert set(done.proven) == {"onnxruntime", "openvino"}
    pictures = fixed_pictures(SIDE, SIDE)
    scale, shift = (np.array(values) for values in scale_and_shift("imagenet"))
    logits = (pictures[..., ::-1] * scale + shift).mean(axis=(1, 2))
    power = np.exp(logits)
    found = open_model(done.bundle, engine="onnxruntime").engine.infer(pictures)
    np.testing.assert_allclose(found, power / power.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_file_of_ultralytics_says_everything_itself(tmp_path: Path) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Concat", ["p", "p"], ["c"], axis=1),
        helper.make_node("Constant", [], ["s"], value_ints=[1, 6, 16]),
        helper.make_node("Reshape", ["c", "s"], ["y"]),
    ]
    said = {"description": "Ultralytics YOLOv8n model", "task": "detect", "names": "{0: 'cat', 1: \"dog's\"}",
            "imgsz": "[32, 32]"}  # fmt: skip
    path = _save(tmp_path / "yolo.onnx", nodes, [1, 3, SIDE, SIDE], [1, 6, 16], said)
    record = import_onnx(path, Workspace(tmp_path), ImportConfig(name="mine")).bundle.record
    assert record.detector is not None
    assert (record.name, record.names, record.detector.output) == ("mine", ("cat", "dog's"), "raw")
    assert (record.preprocessing.width, record.preprocessing.resize) == (SIDE, "letterbox")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (ImportConfig(), "detector or a classifier"),
        (ImportConfig(task="classify"), "classes are called"),
        (ImportConfig(task="classify", classes=("a", "b", "c")), "numbers it takes for a pixel"),
        (ImportConfig(task="classify", classes=("a", "b", "c"), scale="0-1", imgsz=64), "32 x 32 pixels only"),
    ],
)
def test_what_the_file_does_not_say_must_be_said(tmp_path: Path, config: ImportConfig, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        import_onnx(_means(tmp_path / "means.onnx"), Workspace(tmp_path), config)
    assert not (tmp_path / "weights").exists()


def test_classes_of_another_count_are_refused_and_nothing_stays(tmp_path: Path) -> None:
    config = ImportConfig(task="classify", classes=("a", "b"), scale="0-1")
    with pytest.raises(DataError, match=r"3.* numbers for 2 classes"):
        import_onnx(_means(tmp_path / "means.onnx"), Workspace(tmp_path), config)
    assert [path.name for path in (tmp_path / "weights").iterdir() if path.name != ".locks"] == []


@pytest.mark.parametrize("text", ["", "[]", "{0: open('x')}", "{1: 'a'}", "{0: 'a', 0: 'b', 2: 'c'}", "{0: 'a"])
def test_names_are_read_and_not_evaluated(text: str) -> None:
    with pytest.raises(Damaged):
        names_of(text)


def test_the_command_tells_what_is_in_the_file_and_what_ran_it(tmp_path: Path) -> None:
    path = _means(tmp_path / "means.onnx")
    done = run_cv(
        "weights", "import", path, "--task", "classify", "--classes", "red,green,blue", "--scale", "0-255", "--json",
        "--workspace", tmp_path, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["facts"] and set(told["proven"]) == {"onnxruntime", "openvino"}
    for name in told["facts"]:
        assert f"  {name}: " in done.stderr, "a person is told the same"
