"""What `--engine auto` takes, what it remembers, and what the engines are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import DataError, LensmithError, MissingExtraError, UsageError
from lensmith.core.isolation import cache_folder, hidden
from lensmith.predict.engines import onnx as onnx_engine
from lensmith.predict.engines import openvino_engine
from lensmith.predict.engines.choose import engines_for, open_engine
from lensmith.predict.engines.golden import compare
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.engines.openvino import Requests, has_bf16, import_openvino
from lensmith.predict.engines.openvino_engine import OpenVinoEngine
from lensmith.weights.bundle import PORTABLE_NAME, Bundle, Export, write_bundle

from .make_bundle import blocks, make_classifier, make_detector


def _choice() -> Path:
    (found,) = cache_folder("engine").iterdir()
    return found


def _set_times(**milliseconds: float) -> None:
    path = _choice()
    path.write_text(json.dumps({**json.loads(path.read_text()), "milliseconds": milliseconds}))


def _with_openvino_files(bundle: Bundle, target: Path, source: Path, *, portable: bool) -> Bundle:
    """A bundle with `model.xml` made from another ONNX file, and perhaps its own portable model too."""
    openvino = import_openvino()

    def fill(folder: Path) -> None:
        openvino.save_model(openvino.convert_model(str(source)), str(folder / "model.xml"))
        if portable:
            (folder / PORTABLE_NAME).write_bytes((bundle.folder / PORTABLE_NAME).read_bytes())

    return write_bundle(target, bundle.record, fill, golden=bundle.golden())


def test_engines_are_measured_once_and_the_faster_one_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_detector(tmp_path / "cells")
    open_engine(bundle)
    times = json.loads(_choice().read_text())["milliseconds"]
    assert set(times) == {"openvino", "onnxruntime"}
    assert "measured here once: " in capsys.readouterr().err
    _set_times(openvino=9.0, onnxruntime=1.0)
    assert open_engine(bundle).name == "onnxruntime"
    assert "engine: onnxruntime (measured here once: onnxruntime 1 ms, openvino 9 ms a picture)" in (
        capsys.readouterr().err
    )
    _set_times(openvino=1.0, onnxruntime=9.0)
    assert open_engine(bundle).name == "openvino"
    _set_times(openvino=1.0, onnxruntime=0.95)  # no clear winner: the usual one, whatever the moment's noise
    assert open_engine(bundle).name == "openvino"
    open_engine(bundle, live=True)
    assert len(list(cache_folder("engine").iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"milliseconds": {}}', '{"milliseconds": {"openvino": "fast", "onnxruntime": 1}}',
     '{"milliseconds": {"openvino": -1, "onnxruntime": NaN}}', '{"milliseconds": {"keras": 1}}', "[" * 100_000],
)  # fmt: skip
def test_a_damaged_memory_is_measured_anew(damage: str, tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "tint")
    open_engine(bundle)
    _choice().write_text(damage)
    open_engine(bundle)
    assert set(json.loads(_choice().read_text())["milliseconds"]) == {"openvino", "onnxruntime"}


@pytest.mark.parametrize("missing", ["openvino", "onnxruntime"])
def test_with_one_engine_nothing_is_measured(
    missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_classifier(tmp_path / "tint")
    monkeypatch.delitem(__import__("sys").modules, missing, raising=False)
    with hidden(missing):
        engine = open_engine(bundle)
        with pytest.raises(MissingExtraError, match="needs the"):
            open_engine(bundle, engine=missing)
    assert {engine.name, missing} == {"openvino", "onnxruntime"}
    assert "measured" not in capsys.readouterr().err


def test_an_engine_that_is_wrong_is_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = make_classifier(tmp_path / "tint")
    wrong = _skewed(tmp_path / "skewed.onnx", bundle)
    mixed = _with_openvino_files(bundle, tmp_path / "mixed", wrong, portable=True)
    assert open_engine(mixed).name == "onnxruntime"
    told = capsys.readouterr().err
    assert "openvino gives other results than this model must give" in told
    assert "Using onnxruntime instead" in told


class _Failing:
    """What a session or request is, on a machine whose memory is full: the first fault comes while it runs."""

    def __init__(self, real: Any, most: int) -> None:
        self._real, self._most = real, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def run(self, names: list[str], given: dict[str, np.ndarray]) -> Any:
        if len(given["pictures"]) > self._most:
            raise RuntimeError("bad allocation\n  at some.cpp:12")
        return self._real.run(names, given)

    def wait(self) -> None:
        self._real.wait()
        raise RuntimeError("bad allocation\n  at some.cpp:12")


def _let_fail(engine: str, patch: pytest.MonkeyPatch, most: int = 0) -> None:
    """Let every model of an engine fail with more than so many pictures at once."""
    if engine == "onnxruntime":
        opened = onnx_engine._open
        patch.setattr(onnx_engine, "_open", lambda path, gpu: _Failing(opened(path, gpu), most))
        return
    begin = Requests.__init__

    def begin_failing(self: Requests, compiled: Any, size: int, count: int) -> None:
        begin(self, compiled, size, count)
        self._requests = [_Failing(request, most) for request in self._requests]

    patch.setattr(Requests, "__init__", begin_failing)


@pytest.mark.parametrize(("failing", "other"), [("openvino", "onnxruntime"), ("onnxruntime", "openvino")])
def test_an_engine_that_fails_is_out_and_the_next_one_is_taken(
    failing: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_classifier(tmp_path / "tint")
    _let_fail(failing, monkeypatch)
    assert open_engine(bundle).name == other
    told_so = " ".join(capsys.readouterr().err.split())
    assert f"could not run the model: bad allocation. Using {other} instead" in told_so
    with pytest.raises(LensmithError, match=r"could not run the model: bad allocation\.\n") as told:
        open_engine(bundle, engine=failing)
    assert "another --engine" in (told.value.next_step or "")
    _let_fail(other, monkeypatch)
    with pytest.raises(LensmithError, match="could not run the model: bad allocation"):
        open_engine(make_detector(tmp_path / "cells"))  # both were never tried with this one


def test_an_engine_that_fails_with_many_pictures_at_once_loses_the_race(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_classifier(tmp_path / "tint")
    _let_fail("onnxruntime", monkeypatch, most=1)
    assert open_engine(bundle).name == "openvino"
    assert "Using openvino instead" in capsys.readouterr().err
    assert not list(cache_folder("engine").iterdir()), "the next time both are tried again"


def test_an_installation_that_is_broken_is_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libtbb.so.12: cannot open shared object file")

    monkeypatch.setattr(openvino_engine, "import_openvino", broken)
    bundle = make_classifier(tmp_path / "tint")
    assert open_engine(bundle).name == "onnxruntime"
    with pytest.raises(LensmithError, match="libtbb"):
        open_engine(bundle, engine="openvino")


def test_what_is_wrong_with_the_source_of_a_stream_is_not_the_engines_fault(tmp_path: Path) -> None:
    def pictures() -> Iterator[tuple[int, np.ndarray]]:
        yield 0, blocks(32, 32, (0, 0, 32, 32, 1))[None]
        raise ValueError("no such frame")

    bundle = make_classifier(tmp_path / "tint")
    for engine in (OpenVinoEngine(bundle), OnnxEngine(bundle)):
        with pytest.raises(ValueError, match="no such frame"):
            list(engine.stream(pictures()))


def _skewed(path: Path, bundle: Bundle) -> Path:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(bundle.folder / PORTABLE_NAME))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(0.001, np.float32), "scale"))
    onnx.save(model, str(path))
    return path


def test_openvino_files_run_without_onnx(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    alone = _with_openvino_files(bundle, tmp_path / "alone", bundle.folder / PORTABLE_NAME, portable=False)
    assert engines_for(alone) == ("openvino",)
    pictures = np.stack([blocks(128, 128, (16 * n, 0, 16 * n + 16, 32, n % 3)) for n in range(5)])
    np.testing.assert_allclose(open_engine(alone).infer(pictures), OnnxEngine(bundle).infer(pictures), atol=0.01)


def test_16_bits_are_left_where_they_change_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not has_bf16():
        pytest.skip("this CPU does not compute in 16 bits")
    bundle = _fine_classifier(tmp_path / "fine")
    assert OpenVinoEngine(bundle).precision == "bf16"
    for _ in range(2):  # the second time what was found is remembered
        engine = open_engine(bundle, engine="openvino")
        assert engine.precision == "f32"
        assert "computes in 32 bits" in capsys.readouterr().err
    inputs, outputs = bundle.golden()
    np.testing.assert_allclose(engine.infer(inputs), outputs, atol=1e-3)


def _fine_classifier(folder: Path) -> Bundle:
    """Tells colours apart that differ by less than 16 bits can say at this height."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    plain = make_classifier(folder.parent / "plain")
    nodes = [
        helper.make_node("Cast", ["pictures"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "fine", [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", 32, 32, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.eye(3, dtype=np.float32) * 20, "weights")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    picture = np.full((1, 32, 32, 3), 200, np.uint8)
    picture[0, :12, :, 1] += 1  # the mean of green is 200.375
    exact = picture.astype(np.float64).mean(axis=(1, 2)) * 20
    outputs = np.exp(exact - exact.max()) / np.exp(exact - exact.max()).sum()
    return write_bundle(
        folder, plain.record, lambda place: onnx.save(model, str(place / PORTABLE_NAME)),
        golden=(picture, outputs.astype(np.float32)),
    )  # fmt: skip


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_keeps_its_order_whatever_the_batches(live: bool, tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "tint")
    pictures = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    expected = OnnxEngine(bundle).infer(pictures)
    for engine in (OpenVinoEngine(bundle, live=live), OnnxEngine(bundle)):
        ends = np.cumsum([1, 3, 1, 7, 2, 16, 10])
        cut = np.split(np.arange(40), ends[:-1])
        told = list(engine.stream((tuple(part), pictures[part]) for part in cut))
        assert [tag for tag, _ in told] == [tuple(part) for part in cut]
        np.testing.assert_allclose(np.concatenate([answer for _, answer in told]), expected, atol=0.01)


def test_a_stream_that_breaks_or_is_left_can_be_used_again(tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "tint")
    picture = blocks(32, 32, (0, 0, 32, 32, 1))[None]
    engine = OpenVinoEngine(bundle)

    def broken() -> Iterator[tuple[int, np.ndarray]]:
        for number in range(9):
            yield number, picture
        raise DataError("The source ends here.")

    with pytest.raises(DataError, match="ends here"):
        list(engine.stream(broken()))
    left = engine.stream((number, picture) for number in range(99))
    assert next(left)[0] == 0
    left.close()  # pyright: ignore[reportAttributeAccessIssue] - it is a generator
    assert engine.infer(picture).argmax() == 1


def test_a_gpu_that_an_engine_cannot_use(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    with pytest.raises(UsageError, match="OpenVINO runs on the CPU") as told:
        open_engine(bundle, engine="openvino", device="gpu")
    assert told.value.next_step == "use --engine onnxruntime for a GPU"
    with pytest.raises(UsageError, match="ONNX Runtime") as told:
        open_engine(bundle, engine="onnxruntime", device="0")
    assert "onnxruntime-gpu" in (told.value.next_step or "")
    with pytest.raises(UsageError):
        open_engine(bundle, device="gpu")


def _exported(bundle: Bundle, target: Path, file: str, kind: str) -> Bundle:
    exported = Export.model_validate(
        {"format": kind, "precision": "fp16", "source": bundle.name, "source_sha256": "0" * 64, "machine": None}
    )
    record = bundle.record.model_copy(update={"exported": exported, "origin": "exported"})
    return write_bundle(
        target, record, lambda folder: (folder / file).write_bytes(b"x") and None, golden=bundle.golden()
    )


def test_what_only_other_programs_run(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    with pytest.raises(DataError, match="does not run tflite") as told:
        open_engine(_exported(bundle, tmp_path / "cells-tflite", "model.tflite", "tflite"))
    assert told.value.next_step == "use the model that it was made from: --weights cells"
    for_gpu = _exported(bundle, tmp_path / "cells-tensorrt", "model.engine", "tensorrt")
    assert engines_for(for_gpu) == ("tensorrt",)
    with pytest.raises(MissingExtraError, match="tensorrt"):
        open_engine(for_gpu, engine="tensorrt")
    with pytest.raises(UsageError, match="GPUs alone"):
        open_engine(for_gpu, engine="tensorrt", device="cpu")
    with pytest.raises(MissingExtraError, match="tensorrt"):
        open_engine(for_gpu)


def test_eight_bits_may_differ_more(tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "tint")
    _, outputs = bundle.golden()
    exact = bundle.record
    rough = exact.model_copy(
        update={"exported": Export(format="openvino", precision="int8", source="tint", source_sha256="0" * 64)}
    )
    assert compare(outputs + 0.1, outputs, exact)
    assert compare(outputs + 0.1, outputs, rough) is None
    assert compare(outputs + 0.2, outputs, rough)
