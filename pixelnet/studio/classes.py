"""Classes that people name, color, merge and delete while they label. No label is rewritten: what a class has become is
looked up, so that a step which is taken back finds everything as it was.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.errors import InputError

MOST = 100
# Okabe and Ito's, which color-blind people tell apart (jfly.uni-koeln.de/color), but for black, and paler ones of them.
COLORS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442",
    "#7fb8d8", "#f2cf7f", "#7fcfb9", "#e5bcd3", "#aad9f4", "#eaae7f", "#f7f1a0",
)  # fmt: skip


@dataclass(frozen=True)
class Class:
    """A class. id: its number in label maps, never used again once it is gone."""

    id: int
    name: str
    color: str


class Classes:
    """Those that there are, in the order of their ids, and what others have become."""

    def __init__(self) -> None:
        self._known: dict[int, Class] = {}
        self._now = np.full(256, UNLABELLED, np.uint8)  # of each id: what it is by now
        self._next = 0

    def __iter__(self) -> Iterator[Class]:
        return iter(sorted(self._known.values(), key=lambda own: own.id))

    def __len__(self) -> int:
        return len(self._known)

    @property
    def ids(self) -> list[int]:
        return sorted(self._known)

    @property
    def names(self) -> list[str]:
        return [own.name for own in self]

    def listed(self) -> list[dict[str, Any]]:
        return [asdict(own) for own in self]

    def __getitem__(self, number: int) -> Class:
        """Raises InputError for a class that there is not."""
        if number not in self._known:
            raise InputError(f"there is no class {number} any more; choose another one")
        return self._known[number]

    def now(self, labels: np.ndarray) -> np.ndarray:
        """Labels as they are by now: of classes that were merged the others', 255 for those of deleted ones."""
        return self._now[labels]

    def fresh(self, name: str, color: str | None = None) -> Class:
        """A further class, which is not among them yet. Raises InputError for a name that is taken, or too many."""
        if self._next >= MOST:
            raise InputError(f"a project has up to {MOST} classes, and has had as many; begin another one")
        unused = [own for own in COLORS if own not in {known.color for known in self}]
        return self.checked(Class(self._next, name, color or (unused or COLORS)[0]))

    def checked(self, own: Class) -> Class:
        """The class, if its name is one, and no other's. Raises InputError."""
        name = " ".join(own.name.split())
        if not name or len(name) > 60 or "," in name:
            raise InputError(f"a class is called {own.name[:70]!r}; give a name of 1 to 60 letters without a comma")
        if any(name == other.name for other in self if other.id != own.id):
            raise InputError(f"there is a class {name!r} already; give another name, or merge the two")
        return Class(own.id, name, own.color)

    def put(self, own: Class) -> None:
        """Add a class, or change one."""
        self._known[own.id] = own
        self._now[own.id] = own.id
        self._next = max(self._next, own.id + 1)

    def drop(self, number: int, into: int = UNLABELLED) -> None:
        """Take a class away: its labels are another's from here on, or none."""
        del self._known[number]
        self._now[self._now == number] = into
