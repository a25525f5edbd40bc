"""Which pixels are drawn: every pixel gets a random key, and of each stratum those of the smallest keys are taken.

So one pass over the maps is enough, whatever their number; and a survey that is extended takes the next keys, beside
which those that it had are as random as before.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from pixelnet.errors import InputError
from pixelnet.measure.maps import Answer, Maps
from pixelnet.metrics.survey.strata import Cells, cell_of, cells


@dataclass
class Reservoir:
    """Of each cell the pixels of the smallest keys, `most` at most, and what the map says there.

    rows: by name, an entry a pixel: cell, key, image, x, y, mapped, probabilities, values.
    """

    most: int
    cells: int
    rows: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limits = np.ones(self.cells)  # keys from which on a pixel of a cell cannot be among the smallest

    def wanted(self, cell: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Which pixels may be among them: indices. cell: (N,), -1 where there is none."""
        return np.flatnonzero((cell >= 0) & (keys < self.limits[cell]))

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Add pixels that are wanted."""
        self.rows = {name: np.concatenate([self.rows[name], own]) if self.rows else own for name, own in rows.items()}
        order = np.lexsort((self.rows["key"], self.rows["cell"]))
        cell = self.rows["cell"][order]
        place = np.arange(len(cell)) - np.searchsorted(cell, cell)  # among the pixels of its cell
        last = place == self.most - 1
        self.limits[cell[last]] = self.rows["key"][order][last]
        self.rows = {name: own[order[place < self.most]] for name, own in self.rows.items()}


def look(
    maps: Maps, cell: Callable[[Answer], np.ndarray] | None, number: int, most: int, seed: int
) -> tuple[Reservoir, Cells | None, np.ndarray, list[int]]:
    """One pass over all maps.

    cell: an answer -> the cell of each of its pixels (N,), 0 .. number - 1; None: each image is one. seed: of the keys.

    Returns:
        The reservoir; what the model says of all pixels in cells of class and doubt, None of values; what it expects of
        each image, (M, 3 K + 1), empty of values; the pixels of each image.
    """
    reservoir, found, pixels = Reservoir(most, number), None, []
    foreseen = np.zeros((len(maps), 3 * len(maps.class_names) + 1))
    for i in tqdm(range(len(maps)), unit="image", desc="look", leave=False):
        answer = maps(i)
        said, width = answer.said.ravel(), answer.said.shape[1]
        own = np.where(said, i if cell is None else cell(answer), -1)
        keys = np.random.default_rng((seed, i)).random(len(said))
        pixels.append(int(said.sum()))
        taken = reservoir.wanted(own, keys)
        y, x = np.divmod(taken, width)
        rows = {"cell": own[taken], "key": keys[taken], "image": np.full(len(taken), i), "x": x, "y": y}
        reservoir.add(rows | _at(answer, taken, len(maps.class_names)))
        if answer.mapped is not None and said.any():
            assert answer.probabilities is not None
            flat = answer.probabilities.reshape(len(said), -1)[said]
            one = cells(answer.mapped.ravel()[said], flat)
            found, foreseen[i] = one if found is None else found + one, one.foreseen
    if not sum(pixels):
        raise InputError("the maps say nothing of any pixel; give maps with a class or a value")
    return reservoir, found, foreseen if found is not None else np.zeros((0, 0)), pixels


def _at(answer: Answer, taken: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """What a map says at pixels, by their places in it row by row."""
    if answer.mapped is None:
        assert answer.values is not None
        nothing = np.zeros((len(taken), 0))
        return {
            "mapped": nothing[:, :0].sum(1).astype(np.uint8),
            "probabilities": nothing,
            "values": answer.values.ravel()[taken],
        }
    assert answer.probabilities is not None
    flat = answer.probabilities.reshape(-1, classes)
    return {
        "mapped": answer.mapped.ravel()[taken],
        "probabilities": flat[taken].astype(np.float32),
        "values": np.full(len(taken), np.nan),
    }


def by_class(answer: Answer) -> np.ndarray:
    """The cells of a design by class: the classes. Where the map says nothing, any."""
    assert answer.mapped is not None
    return answer.mapped.ravel().astype(np.int64)


def by_class_and_doubt(answer: Answer) -> np.ndarray:
    assert answer.mapped is not None
    assert answer.probabilities is not None
    classes = answer.probabilities.shape[-1]
    own = np.minimum(answer.mapped.ravel(), classes - 1)
    return cell_of(own, answer.probabilities.reshape(-1, classes))


def alike(answer: Answer) -> np.ndarray:
    """The one cell of a uniform design."""
    return np.zeros(answer.said.size, np.int64)


def smallest(reservoir: Reservoir, of_cell: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """The pixels drawn: of each stratum so many, those of the smallest keys; in the order of strata, then of keys."""
    stratum = of_cell[reservoir.rows["cell"]]
    order = np.lexsort((reservoir.rows["key"], stratum))
    ordered = stratum[order]
    place = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    taken = order[place < counts[ordered]]
    return {name: own[taken] for name, own in reservoir.rows.items()} | {"stratum": stratum[taken]}
