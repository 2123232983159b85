"""Look into a `.keras` file of another program before Keras opens it.

Its configuration is a program of a kind: it names classes and modules to import, code to unmarshal, files to read, and
layers of any size. Here it is read as JSON, and each thing that it names must be on the lists below.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from ..core.errors import DataError, NotFoundError
from .protobuf import plain

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {CONFIG, "metadata.json", WEIGHTS}
_MAX_BYTES = 1 << 30
_MAX_CONFIG_BYTES = 16 << 20
_MAX_RATIO = 10  # Keras packs nothing
_MAX_DEPTH = 40
_MAX_LAYERS = 5000
_MAX_COUNT = 1 << 16  # units, filters
_MAX_SIDE = 1 << 13  # of a kernel, a padding, a picture
_MAX_NUMBERS = 1 << 27  # of a shape
_LAYERS = frozenset({
    "InputLayer", "Dense", "EinsumDense", "Conv1D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D",
    "Conv2DTranspose", "BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization",
    "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Dropout", "SpatialDropout2D",
    "GaussianNoise", "GaussianDropout", "AlphaDropout", "MaxPooling2D", "AveragePooling2D",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalMaxPooling1D",
    "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Add", "Subtract", "Multiply", "Average", "Maximum",
    "Minimum", "Concatenate", "Dot", "Flatten", "Reshape", "Permute", "RepeatVector", "Rescaling",
    "Normalization", "Resizing", "CenterCrop", "MultiHeadAttention", "Identity", "RandomFlip", "RandomRotation",
    "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomCrop",
})  # fmt: skip
_MODELS = frozenset({"Functional", "Sequential", "Model"})
_VALUES = frozenset({
    "GlorotUniform", "GlorotNormal", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Zeros", "Ones",
    "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal", "L1", "L2",
    "L1L2", "OrthogonalRegularizer", "MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm", "DTypePolicy",
    "FloatDTypePolicy", "SeedGenerator",
})  # fmt: skip
_OPERATIONS = frozenset({
    "Add", "Subtract", "Multiply", "TrueDivide", "Divide", "GetItem", "Take", "Reshape", "Transpose", "Mean",
    "Sum", "Max", "Min", "Relu", "Sigmoid", "Softmax", "Tanh", "Silu", "Gelu", "Hardswish", "HardSigmoid",
    "ConvertToTensor", "Cast", "Concatenate", "Squeeze", "ExpandDims", "Flip", "Maximum", "Minimum", "Clip",
    "Power", "Sqrt", "Square", "Absolute", "Negative", "Stack", "Mod", "Pad",
})  # fmt: skip
_ACTIVATIONS = frozenset({
    "linear", "relu", "relu6", "sigmoid", "softmax", "tanh", "elu", "selu", "gelu", "silu", "swish",
    "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "mish", "softplus", "softsign", "exponential",
    "log_softmax",
})  # fmt: skip
_PLAIN = frozenset({"__keras_tensor__", "__tuple__", "slice"})
_PLACES = {
    "keras.layers": _LAYERS, "keras": _MODELS | _VALUES, "keras.models": _MODELS,
    "keras.src.models.functional": _MODELS, "keras.src.models.sequential": _MODELS, "keras.src.models.model": _MODELS,
    "keras.initializers": _VALUES, "keras.regularizers": _VALUES, "keras.constraints": _VALUES,
    "keras.dtype_policies": _VALUES, "keras.random": _VALUES, "keras.src.random.seed_generator": _VALUES,
    "keras.src.ops.core": _OPERATIONS, "keras.src.ops.numpy": _OPERATIONS, "keras.src.ops.nn": _OPERATIONS,
    None: _PLAIN,
}  # fmt: skip
_COUNTS = {"units", "filters", "depth_multiplier", "num_heads", "key_dim", "value_dim", "groups", "n"}
_SIDES = {"kernel_size", "pool_size", "strides", "size", "padding", "cropping", "dilation_rate", "height", "width"}
_SHAPES = {"batch_shape", "batch_input_shape", "shape", "target_shape", "output_shape", "newshape"}
_NEXT = "save it again from Keras 3 with plain layers, or export it to .onnx where it was made"


@dataclass
class KerasFacts:
    """What is in a file.

    Attributes:
        layers: How often each kind comes.
        inputs: Shapes of what goes in, without the batch.
        config: The configuration, cleaned of what only training needs.
        bytes: Of the weights.
    """

    layers: Counter[str] = field(default_factory=Counter)
    inputs: list[list[int | None]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    bytes: int = 0


class _Refused(ValueError):  # noqa: N818 - it says what happened to the file
    pass


def check_keras(path: Path) -> KerasFacts:
    """Refuse a `.keras` file that is damaged or asks for more than layers of a picture model; nothing in it is run.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged or packed in an odd way, or names code, layers or modules that are not on our list, or
            sizes that no such model has.
    """
    if not path.is_file():
        raise NotFoundError("There is no such model file.", where=path)
    if not zipfile.is_zipfile(path):
        raise _refusal(path, "it is no file of Keras 3, or it is cut short")
    facts = KerasFacts()
    try:
        with zipfile.ZipFile(path) as archive:
            facts.bytes = _check_members(archive, path.stat().st_size)
            _Look(facts).model(json.loads(archive.read(CONFIG)))
    except _Refused as error:
        raise _refusal(path, str(error)) from None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError, TypeError, RecursionError, RuntimeError,
            NotImplementedError, MemoryError) as error:  # fmt: skip
        raise _refusal(path, f"it is damaged: {plain(str(error))[:150]}") from None
    return facts


def extract_weights(path: Path, target: Path) -> None:
    """Write the weights of a file that `check_keras` has looked at to a file of their own."""
    with zipfile.ZipFile(path) as archive, archive.open(WEIGHTS) as packed, target.open("wb") as file:
        while chunk := packed.read(1 << 20):
            file.write(chunk)


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"This .keras file was not opened: {reason}.", where=path, next_step=_NEXT)


def _check_members(archive: zipfile.ZipFile, size: int) -> int:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(names) > len(_MEMBERS) or set(names) | {"metadata.json"} != _MEMBERS or len(set(names)) != len(names):
        odd = next((name for name in names if name not in _MEMBERS), "one of its parts twice, or not at all")
        raise _Refused(f"beside {CONFIG}, metadata.json and {WEIGHTS} it holds {plain(odd)[:80]!r}")
    if sum(entry.file_size for entry in entries) > min(_MAX_RATIO * size, _MAX_BYTES) or any(
        entry.flag_bits & 1 or (entry.external_attr >> 16) & 0o170000 == 0o120000 for entry in entries
    ):
        raise _Refused("it is packed as no program packs it: far larger inside, locked, or with links")
    by_name = {entry.filename: entry for entry in entries}
    if by_name[CONFIG].file_size > _MAX_CONFIG_BYTES:
        raise _Refused("its configuration is far larger than any model's")
    return by_name[WEIGHTS].file_size


class _Look:
    def __init__(self, facts: KerasFacts) -> None:
        self._facts = facts

    def model(self, config: Any) -> None:
        if not isinstance(config, dict) or config.get("class_name") not in _MODELS:
            kind = config.get("class_name") if isinstance(config, dict) else None
            raise _Refused(f"it is a '{plain(str(kind))[:60]}' and no plain model")
        self._facts.config = {name: value for name, value in config.items() if name != "compile_config"}
        self._value(self._facts.config, "", 0)

    def _value(self, value: Any, key: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _Refused(f"parts inside parts, more than {_MAX_DEPTH} deep")
        if isinstance(value, dict):
            if "class_name" in value:
                self._named(value)
            for name, inner in value.items():
                self._value(inner, name, depth + 1)
        elif isinstance(value, list):
            if key in _SHAPES:
                _check_shape(value)
            for inner in value:
                self._value(inner, key, depth + 1)
        else:
            _check_number(key, value)

    def _named(self, value: dict[str, Any]) -> None:
        name, module, registered = value["class_name"], value.get("module"), value.get("registered_name")
        shown = plain(f"{module}.{name}" if module else str(name))[:100]
        if name == "function":
            if module != "builtins" or value.get("config") not in _ACTIVATIONS:
                raise _Refused(f"it asks for the function '{plain(str(value.get('config')))[:80]}' of "
                               f"'{plain(str(module))[:60]}'")  # fmt: skip
            return
        if name == "__lambda__" or name == "Lambda":
            raise _Refused("it holds a Lambda layer, which is a program and would be run")
        if not isinstance(name, str) or not isinstance(module, (str, type(None))):
            raise _Refused(f"it asks for '{shown}'")
        if name not in _PLACES.get(module, ()):
            raise _Refused(f"it asks for '{shown}', which is none of the layers that are taken in")
        if registered not in {None, name}:
            raise _Refused(f"it asks for the class '{plain(str(registered))[:80]}' of its own")
        if module == "keras.layers" or name in _MODELS:
            self._facts.layers[name] += 1
            if self._facts.layers.total() > _MAX_LAYERS:
                raise _Refused(f"it has more than {_MAX_LAYERS} layers")
        if name == "InputLayer":
            shape = (value.get("config") or {}).get("batch_shape") or (value.get("config") or {}).get(
                "batch_input_shape"
            )
            if isinstance(shape, list):
                self._facts.inputs.append(shape[1:])


def _check_shape(shape: list[Any]) -> None:
    sides = [side for side in shape if isinstance(side, int)]
    if (
        len(shape) > 16
        or any(side < -1 or side > _MAX_NUMBERS for side in sides)
        or (prod(side for side in sides if side > 0) > _MAX_NUMBERS)
    ):
        raise _Refused(f"it declares the shape {plain(str(shape[:8]))[:80]}")


def _check_number(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    most = _MAX_COUNT if key in _COUNTS else _MAX_SIDE if key in _SIDES else None
    if most is not None and not 0 <= value <= most:
        raise _Refused(f"it declares {key} = {value}, more than any picture model has")
