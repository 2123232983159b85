"""Share groups of pictures out to splits so that every split gets its part of every class.

Groups are what must not be cut: pictures that show the same thing. The method is iterative stratification (Sechidis,
Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011) over groups instead of examples:
the class that the fewest remaining groups have comes first, because the common classes can make up for it later. Where
the paper takes the split that lacks the most examples, a group goes where the class stays closest to its share with
half of the group counted (Sainte-Laguë's rule for parliaments): else all large groups would end in the largest split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .model import Item

_SIZE_MATTERS = 0.25
"""How much the number of pictures counts beside the class that is being shared out."""
_STRETCH = 1.2
"""How far beyond its share a split may grow so that it gets a picture of every class."""


def assign(
    counts: np.ndarray,
    sizes: np.ndarray,
    ratios: Sequence[float],
    seed: int,
    *,
    fixed: np.ndarray | None = None,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Choose a split for each group.

    A class gets into every split if enough groups have it; when there are too few, earlier splits come first. A split
    exceeds its share of the pictures by less than the largest group, except for the sake of a class that it lacks: then
    by a fifth of its share at most, and a group.

    Args:
        counts: int64 `(groups, classes)`: how many examples of each class are in each group. What else should be spread
            evenly (pictures without objects, say) can be a column too.
        sizes: int64 `(groups,)`: how many pictures each group has, 1 or more.
        ratios: A positive weight for each split, the most important one first; they need not add up to 1.
        seed: Decides between groups that are alike. The same arguments give the same answer on every machine.
        fixed: int64 `(groups,)`: the split of groups that stay where they are, -1 for those to be placed.
        wanted: `(splits, classes)`: how many examples of each class each split should get; None shares each class out
            as the pictures are.

    Returns:
        int64 `(groups,)`: the index of the split of each group.
    """
    places = np.full(len(sizes), -1, np.int64) if fixed is None else fixed.astype(np.int64)
    shares = np.array(ratios, np.float64) / sum(ratios)
    targets = np.outer(shares, counts.sum(axis=0)) if wanted is None else np.maximum(wanted, 0.5)
    state = _State(counts, sizes, shares, places, targets)
    order = np.random.default_rng(seed).permutation(len(sizes))
    free = places < 0
    has = counts > 0
    left = has[free].sum(axis=0)
    while left.any():
        rarest = int(np.where(left > 0, left, len(sizes) + 1).argmin())
        mine = order[free[order] & has[order, rarest]]
        # Large ones first: what they spoil the small ones after them can level out.
        mine = mine[np.argsort(-counts[mine, rarest], kind="stable")]
        state.place_class(mine, rarest)
        free[mine] = False
        left -= has[mine].sum(axis=0)
    rest = order[free[order]]
    for group in rest[np.argsort(-sizes[rest], kind="stable")].tolist():
        state.put(group, state.best_for(group, None))
    state.fill_gaps()
    return state.places


def share_out(
    items: Sequence[Item],
    objects: np.ndarray,
    bound: Iterable[Sequence[int]],
    ratios: Sequence[float],
    seed: int,
    *,
    fixed: np.ndarray | None = None,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Choose one of several parts for each picture; the order of the pictures makes no difference.

    Args:
        items: Pictures.
        objects: int64 `(items, columns)`: what should be spread evenly, see `balance.count_objects`.
        bound: Groups of indices into `items` that stay together; every picture is in one.
        ratios: The weight of each part.
        seed: See `assign`.
        fixed: int64 `(items,)`: the part of pictures that stay there, the same for all of a group; -1 for the others.
        wanted: See `assign`.

    Returns:
        int64 `(items,)`: the index of a part.
    """
    ordered = sorted(bound, key=lambda group: min((items[i].image.name, items[i].image.as_posix()) for i in group))
    counts = np.array([objects[group].sum(axis=0) for group in ordered], np.int64).reshape(-1, objects.shape[1])
    sizes = np.array([len(group) for group in ordered], np.int64)
    firsts = [group[0] for group in ordered]
    places = assign(counts, sizes, ratios, seed, fixed=None if fixed is None else fixed[firsts], wanted=wanted)
    parts = np.zeros(len(items), np.int64)
    for group, place in zip(ordered, places.tolist(), strict=True):
        parts[group] = place
    return parts


class _State:
    """What has been shared out so far. Plain lists: a step touches a few numbers, and numpy would cost more."""

    def __init__(
        self, counts: np.ndarray, sizes: np.ndarray, shares: np.ndarray, places: np.ndarray, targets: np.ndarray
    ) -> None:
        self.places = places
        self.splits = len(shares)
        self.sizes: list[int] = sizes.tolist()
        self.size_target: list[float] = (shares * sizes.sum()).tolist()
        self.class_target: list[list[float]] = targets.tolist()
        self.size = [0] * self.splits
        self.got = [[0] * counts.shape[1] for _ in shares]
        self.groups_with = [[0] * counts.shape[1] for _ in shares]
        self.groups_of: list[int] = (counts > 0).sum(axis=0).tolist()
        self._group_ids, self._class_ids = np.nonzero(counts)
        starts = np.searchsorted(self._group_ids, np.arange(len(sizes) + 1))
        self._starts: list[int] = starts.tolist()
        self._classes: list[int] = self._class_ids.tolist()
        self._numbers: list[int] = counts[self._group_ids, self._class_ids].tolist()
        for group in np.flatnonzero(places >= 0).tolist():
            self.put(group, int(places[group]))
        self.movable = places < 0

    def row(self, group: int) -> list[tuple[int, int]]:
        """The classes that a group has, and how many examples of each."""
        span = slice(self._starts[group], self._starts[group + 1])
        return list(zip(self._classes[span], self._numbers[span], strict=True))

    def put(self, group: int, split: int, sign: int = 1) -> None:
        """Put a group into a split, or with `sign` -1 take it out again."""
        self.size[split] += sign * self.sizes[group]
        for class_id, number in self.row(group):
            self.got[split][class_id] += sign * number
            self.groups_with[split][class_id] += sign
        self.places[group] = split if sign > 0 else -1

    def place_class(self, groups: np.ndarray, class_id: int) -> None:
        """Place the remaining groups that have a class."""
        for done, group in enumerate(groups.tolist()):
            lacking = [s for s in range(self.splits) if not self.groups_with[s][class_id]]
            if lacking and len(groups) - done <= len(lacking):
                lacking = [s for s in lacking if self.size[s] < _STRETCH * self.size_target[s]]
            else:
                lacking = []
            self.put(group, lacking[0] if lacking else self.best_for(group, class_id))

    def best_for(self, group: int, class_id: int | None) -> int:
        """The split with room left that is furthest from its share, of the class before that of the pictures."""
        number = 0 if class_id is None else dict(self.row(group))[class_id]
        best, best_score = 0, float("inf")
        for split in range(self.splits):
            if self.size[split] >= self.size_target[split] - 1e-9:
                continue
            score = (self.size[split] + self.sizes[group] / 2) / self.size_target[split]
            if class_id is not None:
                of_class = (self.got[split][class_id] + number / 2) / self.class_target[split][class_id]
                score = of_class + _SIZE_MATTERS * score
            if score < best_score:
                best, best_score = split, score
        return best

    def fill_gaps(self) -> None:
        """Move a group to each split that still lacks a class which enough groups have."""
        for class_id in sorted(range(len(self.groups_of)), key=self.groups_of.__getitem__):
            for split in range(self.splits):
                if not self.groups_with[split][class_id] and self.groups_of[class_id] >= self.splits:
                    self._fetch(class_id, split)

    def _fetch(self, class_id: int, split: int) -> None:
        """Move the smallest group that has the class, if no other split then lacks a class for it."""
        if self.size[split] >= _STRETCH * self.size_target[split]:
            return
        having: list[int] = self._group_ids[self._class_ids == class_id].tolist()
        for group in sorted(having, key=lambda g: (self.sizes[g], g)):
            home = int(self.places[group])
            if self.movable[group] and all(self.groups_with[home][other] > 1 for other, _ in self.row(group)):
                self.put(group, home, -1)
                self.put(group, split)
                return
