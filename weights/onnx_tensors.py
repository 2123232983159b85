"""Whether a tensor of an ONNX file holds the numbers that it says it has."""

from __future__ import annotations

from math import prod

from .protobuf import Damaged

_MAX_AXES = 32
_STRING = 8
# Bits of one number by `TensorProto.DataType`.
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4,
}  # fmt: skip


def fitting(name: str, shape: list[int], kinds: list[int], held: int, raw: list[int], texts: int) -> int:
    """How many numbers a tensor has, which must be those that its file holds.

    `held` is the bytes of numbers that lie there by their kind, each of at least one byte (two to a byte of 4 bits).
    """
    shown = name[:60]
    if len(shape) > _MAX_AXES or any(side < 0 for side in shape) or len(kinds) != 1 or len(raw) > 1:
        raise Damaged(f"'{shown}' has the shape {shape[:8]}")
    count = prod(shape)
    if kinds[0] == _STRING:
        if texts != count:
            raise Damaged(f"'{shown}' should hold {count} words and holds {texts}")
        return 0
    bits = _BITS.get(kinds[0])
    if bits is None:
        raise Damaged(f"'{shown}' holds numbers of an unknown kind")
    if raw and (held or texts):
        raise Damaged(f"'{shown}' holds its numbers twice")
    if (raw and raw[0] != (count * bits + 7) // 8) or (not raw and count > held * (2 if bits == 4 else 1)):
        raise Damaged(f"'{shown}' should hold {count} numbers and holds others")
    return count
