"""What was counted of many images, in little memory: a confusion matrix of 150 classes is nearly all zeros."""

from array import array
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

Counts = Mapping[str, np.ndarray]  # what a score is computed from, by name; those of several images are added up


class SparseCounts:
    """The counts of images, one after the other; of each no zeros are kept. All have the names and shapes of the first.

    They come back as they were, whole numbers up to 2**53.
    """

    def __init__(self, counts: Iterable[Counts] = ()) -> None:
        self._forms: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._places, self._values, self._ends = array("I"), array("d"), array("Q", [0])
        self += counts

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[Counts]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Counts:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        first, last = self._ends[i % len(self)], self._ends[i % len(self) + 1]
        sizes = [int(np.prod(shape)) for shape, _ in self._forms.values()]
        flat = np.zeros(sum(sizes))
        flat[np.asarray(self._places[first:last], np.int64)] = self._values[first:last]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return {
            name: part.reshape(shape).astype(dtype)
            for part, (name, (shape, dtype)) in zip(parts, self._forms.items(), strict=True)
        }

    def __iadd__(self, counts: Iterable[Counts]) -> "SparseCounts":
        for own in counts:
            self.append(own)
        return self

    def append(self, counts: Counts) -> None:
        """Add those of one image."""
        shapes = {name: np.shape(own) for name, own in counts.items()}
        self._forms = self._forms or {name: (shapes[name], np.asarray(own).dtype) for name, own in counts.items()}
        if shapes != {name: shape for name, (shape, _) in self._forms.items()}:
            raise ValueError("counts of other names or shapes than the first ones cannot be added up with them")
        flat = np.concatenate([np.ravel(counts[name]) for name in self._forms]).astype(np.float64)
        places = np.flatnonzero(flat)
        self._places.extend(places.tolist())
        self._values.extend(flat[places].tolist())
        self._ends.append(len(self._places))
