"""Weights out of Keras' files, layer by layer, without running anything that a file says.

Three layouts are read: `.keras` (a zip with `model.weights.h5` in it; its configuration is never looked at),
`.weights.h5` as Keras 3 writes it, and `.h5` as Keras 1 and 2 wrote it. Only arrays whose shape is expected are read.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ..core.errors import DataError, NotFoundError
from ..core.words import some
from .flat import stable_names
from .hdf5_files import MAX_DEPTH, MAX_GROUPS, MAX_RATIO, own_member, plain_array

MAX_BYTES = 1 << 30
_BLOCK = re.compile(r"([a-z]+\d+)[a-z]?_")
_ZIP_MEMBER = "model.weights.h5"
# A layer that only this network has among those that share its other names; asked in this order.
_TELLTALES = {
    "vgg19": "block3_conv4", "vgg16": "block3_conv3", "xception": "block2_sepconv1", "resnet50": "conv2_block1_1_conv",
}  # fmt: skip
_NEXT = "give a .h5, .weights.h5 or .keras file of the same backbone"


@dataclass(frozen=True)
class Loaded:
    """What came out of a file.

    Attributes:
        layers: Names of the layers that were filled.
        missing: Names of the layers with weights that the file does not hold.
    """

    layers: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Stored:
    """The arrays of one layer in a file, not read yet."""

    name: str
    arrays: tuple[Any, ...]


# A layer, and the arrays of the file that belong to its weights.
_Pair = tuple[Any, tuple[Any, ...]]


def load_layers(layers: Sequence[Any], path: Path) -> Loaded:
    """Fill Keras layers with the weights of a file.

    Layers are found by name. Where a file of Keras 1 or 2 calls them something else, because those versions numbered
    layers in other ways or put several into one, it is taken by order if every array fits.

    Args:
        layers: Built Keras layers in the order of the graph.
        path: The file.

    Raises:
        NotFoundError: there is no such file.
        DataError: it cannot be read, no layer fits, a layer of a known name has another shape, or the file holds the
            layers of another network among these.
    """
    wanted = [layer for layer in layers if layer.weights]
    with _open_stored(path) as (stored, in_order):
        pairs = _pair_by_name(wanted, stored)
        by_order = _pair_by_order(wanted, stored) if in_order and len(pairs) < len(wanted) else []
        pairs = by_order or pairs
        if not pairs:
            raise DataError(_nothing_fits(wanted, stored), where=path, next_step=_next(wanted, stored))
        _refuse_misfits(pairs, path, _next(wanted, stored))
        filled = [layer.name for layer, _ in pairs]
        missing = [layer.name for layer in wanted if layer.name not in filled]
        if not by_order:
            _refuse_other_depth(pairs, missing, stored, path, _next(wanted, stored))
        for layer, arrays in pairs:
            for weight, array in zip(layer.weights, arrays, strict=True):
                weight.assign(array[()].reshape(weight.shape))
    return Loaded(tuple(filled), tuple(missing))


def load_all_layers(model: Any, path: Path) -> None:
    """Fill every layer of a model from a file of our own.

    Raises:
        DataError: see `load_layers`, or a layer is missing.
    """
    loaded = load_layers(model.layers, path)
    if loaded.missing:
        raise DataError(f"The weights of layer '{loaded.missing[0]}' are missing.", where=path)


def _shapes(arrays: Iterable[Any]) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]


def _fits(arrays: Sequence[Any], weights: Sequence[Any]) -> bool:
    """Whether arrays can fill weights as they lie: axes of length 1 do not count, as in a 1 x 1 convolution."""
    theirs, ours = _shapes(arrays), _shapes(weights)
    return [[n for n in shape if n != 1] for shape in theirs] == [[n for n in shape if n != 1] for shape in ours]


def _pair_by_order(wanted: list[Any], stored: list[_Stored]) -> list[_Pair]:
    """One array after the other, whichever layers the file puts together; nothing unless all fit."""
    arrays = [array for entry in stored for array in entry.arrays]
    if len(arrays) != sum(len(layer.weights) for layer in wanted):
        return []
    waiting = iter(arrays)
    pairs = [(layer, tuple(islice(waiting, len(layer.weights)))) for layer in wanted]
    return pairs if all(_fits(arrays, layer.weights) for layer, arrays in pairs) else []


def _pair_by_name(wanted: list[Any], stored: list[_Stored]) -> list[_Pair]:
    theirs = stable_names(entry.name for entry in stored)
    by_name = {theirs.get(entry.name, entry.name): entry.arrays for entry in stored}
    return [(layer, by_name[layer.name]) for layer in wanted if layer.name in by_name]


def _nothing_fits(wanted: list[Any], stored: list[_Stored]) -> str:
    found = ", ".join(entry.name for entry in stored[:6]) or "none"
    said = f"None of the {len(wanted)} layers is in this file; its layers are: {found}."
    if not stored:
        return said
    return f"{said} Its first holds {_shapes(stored[0].arrays)}, and {wanted[0].name} is {_shapes(wanted[0].weights)}."


def _next(wanted: list[Any], stored: list[_Stored]) -> str:
    """What to give in place of the file, and which network it looks like where that is another."""
    ours, theirs = _network({layer.name for layer in wanted}), _network({entry.name for entry in stored})
    return f"this looks like a file of {theirs}; {_NEXT}" if theirs and theirs != ours else _NEXT


def _network(layers: set[str]) -> str | None:
    return next((name for name, telltale in _TELLTALES.items() if telltale in layers), None)


def _refuse_misfits(pairs: list[_Pair], path: Path, next_step: str) -> None:
    misfits = [pair for pair in pairs if not _fits(pair[1], pair[0].weights)]
    if misfits:
        told = "; ".join(
            f"{layer.name} is {_shapes(arrays)}, not {_shapes(layer.weights)}" for layer, arrays in misfits[:3]
        )
        more = f" (and {len(misfits) - 3} more)" if len(misfits) > 3 else ""
        raise DataError(f"These weights belong to another network: {told}{more}.", where=path, next_step=next_step)


def _refuse_other_depth(
    pairs: list[_Pair], missing: list[str], stored: list[_Stored], path: Path, next_step: str
) -> None:
    """Networks of one family share names and shapes, and one has more layers in the same blocks than the other."""
    blocks = {_block(layer.name) for layer, _ in pairs} - {None}
    ours = {layer.name for layer, _ in pairs}
    unnamed = stable_names(entry.name for entry in stored)
    unknown = sorted(entry.name for entry in stored if entry.name not in ours and entry.name not in unnamed)
    for names, said in ((missing, "lacks"), (unknown, "also holds")):
        if odd := [name for name in names if _block(name) in blocks]:
            said = f"These weights belong to another network: this file {said} {some(odd, 3)}."
            raise DataError(said, where=path, next_step=next_step)


def _block(name: str) -> str | None:
    """The numbered part of the network that a layer's name begins with: "block2" of "block2a_expand_conv"."""
    match = _BLOCK.match(name)
    return match[1] if match else None


@contextmanager
def _open_stored(path: Path) -> Iterator[tuple[list[_Stored], bool]]:
    """The layers with weights in a file, and whether their order is that of the graph."""
    import h5py

    if not path.is_file():
        raise NotFoundError("There is no such weights file.", where=path, next_step=_NEXT)
    with ExitStack() as stack:
        try:
            source: Any = path
            if zipfile.is_zipfile(path):
                source = stack.enter_context(TemporaryFile())
                _extract(path, source)
            file = stack.enter_context(h5py.File(source, "r"))
            legacy = _legacy_root(file)
            stored = list(_read_legacy(legacy) if legacy is not None else _read_current(file))
        except (OSError, KeyError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
            raise DataError(f"This weights file cannot be read: {error}", where=path, next_step=_NEXT) from None
        yield stored, legacy is not None


def _extract(path: Path, target: Any) -> None:
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(_ZIP_MEMBER)
        if member.file_size > MAX_BYTES or member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise ValueError(f"{_ZIP_MEMBER} claims {member.file_size} bytes, which is too much")
        with archive.open(member) as packed:
            left = member.file_size
            while left and (chunk := packed.read(min(left, 1 << 20))):
                target.write(chunk)
                left -= len(chunk)
    target.seek(0)


def _legacy_root(file: Any) -> Any | None:
    """Where Keras 1 and 2 keep the layers: at the top, or in `model_weights` of a whole model."""
    if "layer_names" in file.attrs:
        return file
    inner = own_member(file, "model_weights")
    return inner if inner is not None and "layer_names" in inner.attrs else None


def _read_legacy(root: Any) -> Iterator[_Stored]:
    for name in _texts(root.attrs["layer_names"]):
        group = own_member(root, name)
        if group is None:
            raise ValueError(f"the layer '{name}' is not in it")
        arrays = tuple(plain_array(group, weight) for weight in _texts(group.attrs["weight_names"]))
        if arrays:
            yield _Stored(name, arrays)


def _read_current(file: Any) -> Iterator[_Stored]:
    import h5py

    waiting = [(file, "", 0)]
    seen = 0
    while waiting:
        group, name, depth = waiting.pop()
        seen += 1
        if seen > MAX_GROUPS or depth > MAX_DEPTH:
            raise ValueError("it holds more groups than any model")
        variables = own_member(group, "vars")
        if isinstance(variables, h5py.Group) and len(variables):
            called = variables.attrs.get("name", name)
            arrays = tuple(plain_array(variables, str(number)) for number in range(len(variables)))
            yield _Stored(called.decode() if isinstance(called, bytes) else str(called), arrays)
        for key in group:
            child = own_member(group, key)
            if key != "vars" and isinstance(child, h5py.Group):
                waiting.append((child, key, depth + 1))


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
