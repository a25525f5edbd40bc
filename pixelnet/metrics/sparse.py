"""What was counted of many images, in little memory: a confusion matrix of 150 classes is nearly all zeros."""

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pixelnet.errors import InputError

Counts = Mapping[str, np.ndarray]  # what a score is computed from, by name; those of several images are added up
HELD = 2**22  # bytes, beyond which they go to a temporary file
PLACE, VALUE = np.dtype("<u4"), np.dtype("<f8")


class SparseCounts:
    """The counts of images, one after the other; of each no zeros are kept. All have the names and shapes of the first.

    They come back as they were, whole numbers up to 2**53. More than HELD bytes lie in a temporary file without a name,
    and in memory are 8 bytes an image. Not for several threads at once.
    """

    def __init__(self, counts: Iterable[Counts] = ()) -> None:
        self._forms: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._ends, self._file = array("Q", [0]), tempfile.SpooledTemporaryFile(HELD)  # noqa: SIM115 - as long as it is
        self += counts

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[Counts]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Counts:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        first, last = self._ends[i % len(self)], self._ends[i % len(self) + 1]
        self._file.seek(first)
        stored = self._file.read(last - first)
        number = len(stored) // (PLACE.itemsize + VALUE.itemsize)
        sizes = [int(np.prod(shape)) for shape, _ in self._forms.values()]
        flat = np.zeros(sum(sizes))
        flat[np.frombuffer(stored, PLACE, number)] = np.frombuffer(stored, VALUE, number, number * PLACE.itemsize)
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
        """Add those of one image. Raises InputError if there is no space for them."""
        shapes = {name: np.shape(own) for name, own in counts.items()}
        self._forms = self._forms or {name: (shapes[name], np.asarray(own).dtype) for name, own in counts.items()}
        if shapes != {name: shape for name, (shape, _) in self._forms.items()}:
            raise ValueError("counts of other names or shapes than the first ones cannot be added up with them")
        flat = np.concatenate([np.ravel(counts[name]) for name in self._forms]).astype(VALUE)
        places = np.flatnonzero(flat)
        self._write(places.astype(PLACE).tobytes() + flat[places].tobytes())

    def _write(self, stored: bytes) -> None:
        try:
            self._file.seek(self._ends[-1])
            self._file.write(stored)
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()} cannot be written: {error.strerror}; free some space, or let TMPDIR name "
                "another folder"
            ) from error
        self._ends.append(self._ends[-1] + len(stored))

    def __getstate__(self) -> dict[str, Any]:
        self._file.seek(0)
        return {"forms": self._forms, "ends": self._ends, "stored": self._file.read(self._ends[-1])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self._forms = state["forms"]
        self._write(state["stored"])
        self._ends = state["ends"]
