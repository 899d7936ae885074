"""`LazyArrays`: arrays by name, each read when it is used."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np


class LazyArrays(Mapping[str, np.ndarray]):
    """A mapping from names to arrays that keeps no array in memory.

    Args:
        names: Names of the arrays, in order.
        read: Function that returns the array of a name. Called at each access.
    """

    def __init__(self, names: Iterable[str], read: Callable[[str], np.ndarray]) -> None:
        self._names = dict.fromkeys(names)
        self._read = read

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # the method of `Mapping` would read the array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
