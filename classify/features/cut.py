"""A model in two parts: what stays as it is, and what learns.

What comes before the first layer that learns gives the same numbers for the same picture in every epoch, so it need
run only once. Both parts are made of the model's own layers: to train the upper part is to train the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...core.errors import UsageError
from ...weights.architecture import base_layers

_POOLED = "head_pool"


@dataclass(frozen=True)
class Cut:
    """Where a model is cut in two.

    Attributes:
        trunk: A `keras.Model` from the model's input to the activations at the cut; None where nothing is frozen.
        top: A `keras.Model` from those activations to probabilities; the model itself where nothing is frozen.
        layer: The layer whose output is handed over; empty where nothing is frozen.
    """

    trunk: Any | None
    top: Any
    layer: str

    @property
    def shape(self) -> tuple[int, ...]:
        """What `top` takes for one picture: `(height, width, channels)`, or `(numbers,)` after pooling."""
        return tuple(int(side) for side in self.top.inputs[0].shape[1:])


def cut_model(model: Any, first_learning: str | None) -> Cut:
    """Cut a classifier before its first layer that learns.

    The cut lies at the last tensor through which everything flows and that no learning layer has a part in. In a chain
    that is the input of the first learning layer; where branches run side by side, it is where they set out.

    Args:
        model: From `weights.architecture.build_classifier`.
        first_learning: The first layer of the backbone that learns, with all after it; None cuts after the pooling, so
            that the head alone learns.

    Raises:
        UsageError: the model has no such layer.
    """
    import keras

    frozen = _frozen(model, _learning(model, first_learning))
    if frozen is None:
        return Cut(None, model, "")
    operation, tensor = frozen
    return Cut(keras.Model(model.inputs[0], tensor), keras.Model(tensor, model.outputs[0]), operation.name)


def _learning(model: Any, first: str | None) -> set[str]:
    """Names of the layers that learn: the head's, and the backbone's from the first one on."""
    names = [layer.name for layer in base_layers(model)]
    if first is not None and first not in names:
        raise UsageError(f"The backbone has no layer called '{first}'.", where="--unfreeze")
    head = {layer.name for layer in model.layers if layer.name.startswith("head_") and layer.name != _POOLED}
    if first is None:
        return head
    return head | {_POOLED} | set(names[names.index(first) :])


def _frozen(model: Any, learning: set[str]) -> tuple[Any, Any] | None:
    """The operation before the cut and what it hands over; None where no weights lie before the cut."""
    order = in_order(model.outputs[0])
    last_use = {id(tensor): number for number, node in enumerate(order) for tensor in node.input_tensors}
    found, has_weights = None, False
    needed_until = 0
    for number, node in enumerate(order):
        if node.operation.name in learning:
            break
        has_weights = has_weights or bool(getattr(node.operation, "weights", ()))
        alone = len(node.output_tensors) == 1 and needed_until <= number  # nothing that was made before goes past it
        if alone and has_weights:
            found = (node.operation, node.output_tensors[0])
        needed_until = max([needed_until, *(last_use.get(id(tensor), number) for tensor in node.output_tensors)])
    return found


def in_order(output: Any) -> list[Any]:
    """The graph's nodes, each after those that it takes something from; Keras' own order is by depth."""
    order: list[Any] = []
    done: set[int] = set()
    waiting = [_maker(output)]
    while waiting:
        node = waiting[-1]
        before = [maker for maker in map(_maker, node.input_tensors) if id(maker) not in done]
        if before:
            waiting += before
            continue
        waiting.pop()
        if id(node) not in done:
            done.add(id(node))
            order.append(node)
    return order


def _maker(tensor: Any) -> Any:
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]
