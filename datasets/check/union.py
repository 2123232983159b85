"""Groups of things that are connected by pairs."""

from __future__ import annotations

import numpy as np


class Groups:
    """Union-find over the numbers 0..n-1, at first each on its own."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    @classmethod
    def of(cls, group: np.ndarray) -> Groups:
        """Things with the same number in `group`, int64 `(n,)`, are connected from the start."""
        made = cls(len(group))
        _, first, which = np.unique(group, return_index=True, return_inverse=True)
        made._parent = first[which].tolist()
        return made

    def root(self, i: int) -> int:
        """The same number for all of a group."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make one group of the groups of i and j; its root is the smaller of theirs."""
        i, j = self.root(i), self.root(j)
        self._parent[max(i, j)] = min(i, j)

    def roots(self) -> np.ndarray:
        """int64 `(n,)`: the root of each."""
        return np.array([self.root(i) for i in range(len(self._parent))], np.int64)

    def listed(self) -> list[list[int]]:
        """All groups, those of one too, each in order, by their first."""
        members: dict[int, list[int]] = {}
        for i in range(len(self._parent)):
            members.setdefault(self.root(i), []).append(i)
        return list(members.values())
