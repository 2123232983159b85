"""Which layers a classifier has: the ones that can be looked at, and the whole network block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

from ...core.errors import UsageError
from ...weights.architecture import base_layers
from ...weights.backbones import find_backbone
from ...weights.bundle import ClassifierRecord

_LEAST_PLACES = 4
Learned = Literal["frozen", "random", "fine-tuned", "partly fine-tuned", "trained", "partly trained", "fixed"]


@dataclass(frozen=True)
class Part:
    """A layer or a block of a classifier.

    Attributes:
        name: What it is called.
        kind: The layer's class in Keras' words, or "block".
        shape: Of its output for one picture: `(h, w, channels)` or `(numbers,)`.
        parameters: How many numbers it holds.
        learned: What training did with it. "frozen": kept as the backbone came; "fine-tuned": changed; "trained":
            made from random numbers; "random": kept as random numbers; "fixed": there is nothing in it to learn.
        layers: Names of its layers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    learned: Learned
    layers: tuple[str, ...]


def list_layers(model: Any, record: ClassifierRecord) -> list[Part]:
    """Every layer of a classifier in the order of its graph."""
    tuned = _tuned_names(model, record)
    base = {layer.name for layer in base_layers(model)}
    from_scratch = record.weights == "none" or (
        record.weights is None and find_backbone(record.backbone).weights is None
    )
    return [_layer(layer, tuned, base, from_scratch=from_scratch) for layer in model.layers]


def list_blocks(model: Any, record: ClassifierRecord) -> list[Part]:
    """The same layers gathered: the input, the backbone's blocks, and the head layer by layer."""
    layers = list_layers(model, record)
    base = [part for part in layers if part.name in {layer.name for layer in base_layers(model)}]
    before = layers[: layers.index(base[0])]
    head = [part for part in layers if part.name.startswith("head_") and "dropout" not in part.name]
    blocks = [_gathered(name, members) for name, members in _by_block(base, record)]
    return [replace(_gathered("input", before), kind="input"), *blocks, *head]


def find_layer(model: Any, record: ClassifierRecord, wanted: str | None) -> str:
    """The layer whose feature map is looked at.

    Args:
        model: From `build_classifier`.
        record: The classifier's record.
        wanted: A layer of the backbone, or one of its blocks for the last layer in it; None for the backbone's last
            that has four places or more on a side, where there is one: a map of 2 x 2 says nothing about places.
            Layers that pool or pad are passed over in favour of what they take in.

    Raises:
        UsageError: there is no such layer, or its output is no feature map.
    """
    layers = base_layers(model)
    sides = {layer.name: layer.output.shape[1:3] for layer in layers if len(layer.output.shape) == 4}
    maps = list(sides)
    blocks = {name: [part.name for part in members] for name, members in
              _by_block([_layer(layer, set(), set()) for layer in layers], record)}  # fmt: skip
    if wanted in maps:
        return str(wanted)
    if wanted is None or wanted in blocks:
        inside = {layer.name for layer in layers} if wanted is None else set(blocks[wanted])
        finest = [layer.name for layer in layers if layer.name in inside & set(maps) and not only_passes_on(layer)]
        if finest:
            telling = [name for name in finest if min(sides[name]) >= _LEAST_PLACES] if wanted is None else []
            return (telling or finest)[-1]
    near = get_close_matches(str(wanted), [*blocks, *maps], n=3, cutoff=0.5)
    known = wanted in {layer.name for layer in model.layers}
    what = f"The layer '{wanted}' has no feature map" if known else f"There is no layer or block called '{wanted}'"
    hint = f"did you mean {' or '.join(near)}? Otherwise use" if near else "use"
    raise UsageError(f"{what}.", where="--layer", next_step=f"{hint} a block ({', '.join(blocks)}), or one of the "
                     f"layers that `cv explain` writes into layers.csv")  # fmt: skip


def only_passes_on(layer: Any) -> bool:
    """Whether a layer pools or pads, and so shows nothing that the one before it does not show better."""
    return type(layer).__name__ in {"MaxPooling2D", "AveragePooling2D", "ZeroPadding2D"}


def _tuned_names(model: Any, record: ClassifierRecord) -> set[str]:
    names = [layer.name for layer in base_layers(model)]
    if record.stage != "tuned" or record.unfrozen_from not in names:
        return set()
    return set(names[names.index(record.unfrozen_from) :])


def _layer(layer: Any, tuned: set[str], base: set[str], *, from_scratch: bool = False) -> Part:
    shape = tuple(int(side) for side in layer.output.shape[1:])
    parameters = int(layer.count_params())
    learned: Learned = "trained"
    if not parameters:
        learned = "fixed"
    elif layer.name in base - tuned:
        learned = "random" if from_scratch else "frozen"
    elif layer.name in base and not from_scratch:
        learned = "fine-tuned"
    return Part(layer.name, type(layer).__name__, shape, parameters, learned, (layer.name,))


def _by_block(base: Sequence[Part], record: ClassifierRecord) -> Iterator[tuple[str, list[Part]]]:
    """The backbone's layers by block; what comes before the first block belongs to it."""
    firsts = {block.first: block.name for block in find_backbone(record.backbone).blocks}
    name, members = next(iter(firsts.values())), []
    for part in base:
        if part.name in firsts and members and firsts[part.name] != name:
            yield name, members
            members = []
        name = firsts.get(part.name, name)
        members.append(part)
    yield name, members


def _gathered(name: str, members: Sequence[Part]) -> Part:
    maps = [part for part in members if len(part.shape) == 3]
    kinds: set[Learned] = {part.learned for part in members if part.learned != "fixed"}
    mixed: Learned = "partly trained" if "random" in kinds else "partly fine-tuned"
    learned: Learned = kinds.pop() if len(kinds) == 1 else mixed if kinds else "fixed"
    parameters = sum(part.parameters for part in members)
    shape = (maps or list(members))[-1].shape
    return Part(name, "block", shape, parameters, learned, tuple(part.name for part in members))
