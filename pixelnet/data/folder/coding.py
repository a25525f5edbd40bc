"""What a label map holds, numbers or colors, and how these become class ids."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from pixelnet.data.dataset import UNLABELLED, Window
from pixelnet.data.folder.form import FILE, RGB
from pixelnet.errors import InputError
from pixelnet.metrics.parts import is_divided, parts
from pixelnet.rasters import Stored, describe

FEW = 8  # values from which on it is asked whether they number objects
NAMED = 5
MIDDLE = 2048  # pixels, the side of what is looked at for objects and strokes


class Scan(NamedTuple):
    """What one label map holds: where from, its numbers (or colors, as 0xRRGGBB) and how often each is there.

    colored: they are colors. palette: of a palette's indices, their colors. top: of its type. nodata: as Stored has it.
    blobs: how many of its numbers but the commonest are one connected region each, and how many there are. triple: it
    is stored in three channels, though they are equal. maps: how many maps of one kind it is of; see `merged`.
    """

    file: str
    values: np.ndarray
    counts: np.ndarray
    colored: bool
    palette: np.ndarray | None
    top: int
    nodata: tuple[float, ...] = ()
    blobs: tuple[int, int] = (0, 0)
    triple: bool = False
    maps: int = 1


def scan(stored: Stored, file: str, blobs: bool = False) -> Scan:
    """What a label map holds; with `blobs` also whether its numbers are one region each, which takes a while.

    Raises InputError for a map that is neither numbers nor opaque colors.
    """
    plane, colored = as_plane(stored, file)
    if plane.dtype == np.uint8:
        every = np.bincount(plane.ravel(), minlength=256)
        values = np.flatnonzero(every)
        counts = every[values]
    else:
        values, counts = np.unique(plane, return_counts=True)
    palette = None if stored.palette is None else packed(stored.palette)[values]
    found = _blobs(plane, values, counts) if blobs and not colored and FEW <= len(values) <= 4096 else (0, 0)
    triple = not colored and stored.values.ndim == 3 and stored.values.shape[2] >= 3
    return Scan(file, values, counts, colored, palette, stored.top, stored.nodata, found, triple)


def merged(scans: Iterable[Scan]) -> list[Scan]:
    """What label maps hold, those of one kind together, in the memory of a few; `file` is then the first one's.

    A number of a palette is there once for each of its colors.
    """
    kinds: dict[Any, Scan] = {}
    counts: dict[Any, Counter[tuple[int, int]]] = {}
    for own in scans:
        kind = own.colored, own.palette is not None, own.top, repr(own.nodata), own.triple
        colors = own.values if own.palette is None else own.palette
        pairs = zip(own.values.tolist(), colors.tolist(), strict=True)
        counts.setdefault(kind, Counter()).update(dict(zip(pairs, own.counts.tolist(), strict=True)))
        if kind in kinds:
            known = kinds[kind]
            blobs = known.blobs[0] + own.blobs[0], known.blobs[1] + own.blobs[1]
            kinds[kind] = known._replace(blobs=blobs, maps=known.maps + own.maps)
        else:
            kinds[kind] = own
    found = []
    for kind, own in kinds.items():
        values, colors = (np.array(column, np.int64) for column in zip(*counts[kind], strict=True))
        total = np.array([*counts[kind].values()], np.int64)
        found.append(own._replace(values=values, counts=total, palette=None if own.palette is None else colors))
    return found


def middle_of(height: int, width: int) -> Window:
    """The part of a map that is looked at where the whole would take long."""
    rows, columns = (slice(max(0, (n - MIDDLE) // 2), (n + min(n, MIDDLE)) // 2) for n in (height, width))
    return rows, columns


def scan_by_part(read: Callable[[Window], Stored], size: tuple[int, int], file: str, blobs: bool = False) -> Scan:
    """`scan` of a map (H, W) that `read` gives rows and columns of; of a large one blobs are those of its middle."""
    if not is_divided(size):
        return scan(read((slice(0, size[0]), slice(0, size[1]))), file, blobs)
    found = [scan(read(part.own), file) for part in parts(size)]
    colored, counts, palette = any(own.colored for own in found), Counter[int](), dict[int, int]()
    for own in found:  # gray parts of a map in colors are colors, too
        values = own.values if own.colored or not colored else 0x010101 * own.values.astype(np.int64)
        counts.update(dict(zip(values.tolist(), own.counts.tolist(), strict=True)))
        if own.palette is not None:
            palette.update(zip(own.values.tolist(), own.palette.tolist(), strict=True))
    values = np.array(sorted(counts), np.int64)
    return found[0]._replace(
        values=values,
        counts=np.array([counts[value] for value in values.tolist()]),
        colored=colored,
        palette=np.array([palette[value] for value in values.tolist()]) if palette else None,
        blobs=scan(read(middle_of(*size)), file, True).blobs if blobs and not colored else (0, 0),
        triple=any(own.triple for own in found) and not colored,
    )


def as_plane(stored: Stored, file: str) -> tuple[np.ndarray, bool]:
    """A map as whole numbers (H, W), and whether they are colors 0xRRGGBB. Equal channels are gray; -1 is no number."""
    values = stored.values
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha, most = values[..., -1], np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1
        if not (alpha == most).all():
            raise InputError(
                f"{file} is partly transparent, so its colors are not those that are seen; save it without transparency"
            )
        values = values[..., :-1]
    if values.ndim == 3 and values.shape[2] == 3 and not _gray(values):
        if values.dtype != np.uint8:
            raise InputError(f"{file} is {describe(values, stored.mode)}, expected colors of 8 bits; save it as RGB")
        return packed(values), True
    plane = values if values.ndim == 2 else values[..., 0] if values.shape[2] in (1, 3) else None
    if plane is None:
        raise InputError(f"{file} is {describe(values, stored.mode)}, expected one number or one color a pixel")
    if plane.dtype.kind == "f":
        known = np.isfinite(plane)
        whole = np.where(known, plane, -1)
        if (whole != np.round(whole)).any() or (np.abs(whole) >= 2**53).any():
            raise InputError(f"{file} holds real values, but class ids are whole numbers; save it as ids")
        return whole.astype(np.int64), False
    if plane.dtype == np.uint64 and plane.size and plane.max() >= 2**63:
        raise InputError(f"{file} holds {plane.max()}, which is no class id; save it as ids")
    return plane, False


def _gray(values: np.ndarray) -> bool:
    return bool((values[..., 0] == values[..., 1]).all() and (values[..., 0] == values[..., 2]).all())


def packed(colors: np.ndarray) -> np.ndarray:
    """Colors uint8 (..., 3) -> 0xRRGGBB, int64 (...)."""
    parts = colors.astype(np.int64)
    return (parts[..., 0] << 16) | (parts[..., 1] << 8) | parts[..., 2]


def _blobs(plane: np.ndarray, values: np.ndarray, counts: np.ndarray) -> tuple[int, int]:
    """How many numbers but the commonest are one connected region, and how many they are."""
    numbers = np.searchsorted(values, plane)
    single = 0
    for k, box in enumerate(ndimage.find_objects(numbers + 1)):
        if k != int(counts.argmax()) and box is not None:
            single += ndimage.label(numbers[box] == k, np.ones((3, 3)))[1] == 1
    return single, len(values) - 1


@dataclass
class Coding:
    """How stored numbers become class ids: `keys`, sorted, with the id of each (255 unlabelled).

    names, colors: of the classes; colors () unless each has one. stored: the numbers or colors of each class. colored:
    keys are colors. threshold: of black and white masks, in place of keys. other: the class of all other numbers.
    notes: what was decided. questions: what only a person can know.
    """

    names: tuple[str, ...]
    colors: tuple[RGB, ...] = ()
    stored: tuple[tuple[int, ...], ...] = ()
    unlabelled: tuple[int, ...] = ()
    colored: bool = False
    threshold: float | None = None
    other: int | None = None
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def decode(self, stored: Stored, file: str) -> np.ndarray:
        """uint8 (H, W): class ids, 255 unlabelled. Raises InputError that names a number or color that is in no list,
        how often it is there, and where first."""
        plane, colored = as_plane(stored, file)
        if self.threshold is not None:
            known = ~np.isin(plane, (*self.unlabelled, -1))
            return np.where(known, plane >= self.threshold, UNLABELLED).astype(np.uint8)
        if self.colored and not colored:
            plane = packed(stored.palette)[plane] if stored.palette is not None else 0x010101 * plane.astype(np.int64)
        elif colored and not self.colored:
            raise InputError(f"{file} is in colors, and other label maps are in numbers; save all alike")
        keys, ids = self._table(stored.nodata)
        at = np.searchsorted(keys, plane).clip(max=len(keys) - 1)
        known = keys[at] == plane
        found = ids[at]
        if self.other is not None:
            found = np.where(known, found, np.uint8(self.other))
        elif not known.all():
            self._refuse(plane, known, file)
        return found

    def _table(self, nodata: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """All known numbers, sorted, and the class id of each. -1 stands for what is no number."""
        table = {-1: UNLABELLED} | {value: k for k, own in enumerate(self.stored) for value in own}
        none = () if self.colored else (int(value) for value in nodata if np.isfinite(value))
        table |= dict.fromkeys((*self.unlabelled, *none), UNLABELLED)
        keys = np.array(sorted(table), np.int64)
        return keys, np.array([table[int(key)] for key in keys], np.uint8)

    def _refuse(self, plane: np.ndarray, known: np.ndarray, file: str) -> None:
        values, counts = np.unique(plane[~known], return_counts=True)
        worst = int(counts.argmax())
        y, x = np.argwhere(plane == values[worst])[0]
        more = f" and {len(values) - 1} other {'colors' if self.colored else 'values'}" if len(values) > 1 else ""
        what = f"the color {shown(int(values[worst]))}" if self.colored else f"the value {values[worst]}"
        listed = ", ".join(self._said(k) for k in range(min(len(self.names), NAMED))) + (
            ", ..." if len(self.names) > NAMED else ""
        )
        raise InputError(
            f"{file} holds {what} in {counts[worst]} pixels (first at x {x}, y {y}){more}, outside the classes {listed}"
            "; "
            f'correct the label map, or name it in {FILE}: classes or "unlabelled"'
        )

    def _said(self, k: int) -> str:
        values = self.stored[k] if self.stored else ()
        return (
            f"{self.names[k]} ({', '.join(shown(v) if self.colored else str(v) for v in values)})"
            if values
            else self.names[k]
        )

    def __str__(self) -> str:
        return ", ".join(self._said(k) for k in range(len(self.names)))


def key_of(color: RGB) -> int:
    """A color as 0xRRGGBB."""
    return (color[0] << 16) | (color[1] << 8) | color[2]


def color_of(key: int) -> RGB:
    """0xRRGGBB as a color."""
    return key >> 16, key >> 8 & 255, key & 255


def shown(color: int) -> str:
    return f"#{color:06x}"


def listed(values: Sequence[Any]) -> str:
    """Numbers or names, of many the first few and the last."""
    more = f", ... {values[-1]}" if len(values) > NAMED else ""
    return ", ".join(map(str, values[:NAMED])) + more
