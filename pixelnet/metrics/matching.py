"""Matching boundary pixels one to one: which predicted pixels have a counterpart of their own in the truth?

The BSDS benchmark (Martin, Fowlkes and Malik 2004, appendix; Arbelaez et al. 2011) takes the assignment of least cost
between the pixels of two maps, where a pair costs its distance and may not be further apart than a limit, and where
leaving a pair unmatched costs 100 times the limit. As many pairs as can be are matched, then, and among the matchings
of this size one of least total distance is taken: `exact`. (That the two say the same fails only where one pair more
would move a hundred others and more by the whole limit.) `fast` takes any matching of this size. The truth pixels
matched are as many either way, which is recall; predicted pixels may be others, which matters to precision alone and
only with several annotators, since a pixel counts once whoever of them it matches.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import (
    breadth_first_order,
    connected_components,
    maximum_flow,
    min_weight_full_bipartite_matching,
)

from pixelnet.errors import InputError

Method = Literal["fast", "exact"]
METHODS: tuple[Method, ...] = ("fast", "exact")


def match(
    predicted: np.ndarray, truth: np.ndarray, max_dist: float, method: Method = "fast"
) -> tuple[np.ndarray, np.ndarray]:
    """Match the pixels of two maps one to one.

    predicted, truth: bool (H, W). max_dist: how far apart a pair may be, as a share of the image's diagonal.
    Returns the matched pixels of each, bool (H, W). Raises InputError for an unknown method.
    """
    found, others = Matcher(predicted, truth[None], max_dist)(predicted, method)
    places = np.zeros(predicted.shape, dtype=bool), np.zeros(truth.shape, dtype=bool)
    places[0][predicted], places[1][truth] = found[0], others
    return places


class Pairs(NamedTuple):
    """M pairs within reach of each other, the nearest first."""

    predicted: np.ndarray  # (M,) the predicted pixel's number
    truth: np.ndarray  # (M,) the truth pixel's number
    distance: np.ndarray  # (M,) in pixels

    def only(self, keep: np.ndarray) -> "Pairs":
        return Pairs(*(values[keep] for values in self))


class Mates(NamedTuple):
    """A matching: each pixel's partner by number, -1 for none."""

    predicted: np.ndarray  # (P,)
    truth: np.ndarray  # (T,)


class Matcher:
    """Matches any selection of an image's candidate pixels with each annotator's; what is in reach is found once.

    candidates: bool (H, W), the pixels that may be predicted, C of them. annotators: bool (A, H, W), T pixels drawn
    in all. max_dist: how far apart a pair may be, as a share of the image's diagonal. The annotators are independent
    problems put side by side, with a copy of the candidates for each, so that one call solves them all.
    """

    def __init__(self, candidates: np.ndarray, annotators: np.ndarray, max_dist: float) -> None:
        height, width = candidates.shape
        reach = max_dist * np.hypot(height, width)
        margin = int(reach)
        self.candidates, self.number, self.copies = candidates, int(candidates.sum()), len(annotators)
        numbers = np.full((height + 2 * margin, width + 2 * margin), -1)
        numbers[margin : margin + height, margin : margin + width][candidates] = np.arange(self.number)
        annotator, rows, cols = np.nonzero(annotators)
        places = (rows + margin) * numbers.shape[1] + cols + margin
        span = np.arange(-margin, margin + 1)
        distances = np.hypot(span[:, None], span)
        order = np.argsort(distances, axis=None, kind="stable")
        order = order[distances.ravel()[order] <= reach]
        hits = []
        for dy, dx in zip(*np.unravel_index(order, distances.shape), strict=True):
            near = numbers.ravel()[places + span[dy] * numbers.shape[1] + span[dx]]
            truth = np.flatnonzero(near >= 0)
            hits.append(
                Pairs(annotator[truth] * self.number + near[truth], truth, np.full(len(truth), distances[dy, dx]))
            )
        self.bounds = np.cumsum([0, *(len(hit.truth) for hit in hits)])
        self.pairs = Pairs(*map(np.concatenate, zip(*hits, strict=True)))
        self.pixel = self.pairs.predicted % max(self.number, 1)
        self.size = self.copies * self.number, len(places)
        # Parts that no pair connects, whatever is predicted.
        graph = _graph(self.pairs.predicted, self.size[0] + self.pairs.truth, sum(self.size))
        self.part = connected_components(graph, directed=False)[1][self.pairs.predicted]

    def __call__(self, predicted: np.ndarray, method: Method = "fast") -> tuple[np.ndarray, np.ndarray]:
        """Match predicted pixels, bool (H, W), all of them candidates.

        Returns which of the C candidates are matched with each annotator's pixels, bool (A, C), and which of the
        annotators' T pixels are, bool (T,), both in the order of `np.nonzero`. Raises InputError for another method.
        """
        if method not in METHODS:
            raise InputError(f"there is no matching {method!r}; choose one of {', '.join(METHODS)}")
        kept = np.flatnonzero(predicted[self.candidates][self.pixel])
        pairs, bounds = self.pairs.only(kept), np.searchsorted(kept, self.bounds)
        mates = Mates(*(np.full(size, -1) for size in self.size))
        _nearest_first(pairs, bounds, mates)
        _augment(pairs, self.part[kept], mates)
        if method == "exact":
            _shorten(pairs, mates)
        return (mates.predicted >= 0).reshape(self.copies, self.number), mates.truth >= 0


def _nearest_first(pairs: Pairs, bounds: np.ndarray, mates: Mates) -> None:
    """Match greedily. Pairs of one offset, between two of `bounds`, share no pixel and are matched at once."""
    for start, stop in pairwise(bounds):
        predicted, truth = pairs.predicted[start:stop], pairs.truth[start:stop]
        free = (mates.predicted[predicted] < 0) & (mates.truth[truth] < 0)
        _join(mates, predicted[free], truth[free])


def _augment(pairs: Pairs, part: np.ndarray, mates: Mates) -> None:
    """Make a matching as large as can be: a maximum flow along paths that alternate between pairs out and in.

    part: (M,) number of the pair's part, to leave out those that have no free pixels on both sides.
    """
    starts, ends = mates.predicted[pairs.predicted] < 0, mates.truth[pairs.truth] < 0
    open_parts = np.intersect1d(part[starts], part[ends])
    if not len(open_parts):
        return
    pairs = pairs.only(np.isin(part, open_parts))
    predicted, sink = len(mates.predicted), len(mates.predicted) + len(mates.truth)
    source = sink + 1
    starts = np.unique(pairs.predicted[mates.predicted[pairs.predicted] < 0])
    ends = np.unique(pairs.truth[mates.truth[pairs.truth] < 0])
    joined = mates.predicted[pairs.predicted] == pairs.truth
    out, back = pairs.only(~joined), pairs.only(joined)
    # Each pixel has one way in or one way out only, so capacities of one make the paths disjoint.
    tails = out.predicted, predicted + back.truth, np.full(len(starts), source), predicted + ends
    heads = predicted + out.truth, back.predicted, starts, np.full(len(ends), sink)
    graph = _graph(np.concatenate(tails), np.concatenate(heads), source + 1)
    flow = maximum_flow(graph, source, sink, method="dinic").flow.tocoo()
    chosen = (flow.data > 0) & (flow.row < predicted)
    _join(mates, flow.row[chosen], flow.col[chosen] - predicted)


def _shorten(pairs: Pairs, mates: Mates) -> None:
    """Turn a largest matching into a largest one of least total distance.

    Truth pixels that compete for too few predicted ones, or the reverse, are told apart first (Dulmage and
    Mendelsohn 1958): on either side of the cut all pixels of one kind are matched by every largest matching, and
    no largest matching crosses it. So none is left out for which a price would have to be set.
    """
    free = np.unique(pairs.predicted[mates.predicted[pairs.predicted] < 0])
    partner = mates.truth[pairs.truth]
    known, source = partner >= 0, len(mates.predicted)
    tails = np.concatenate([pairs.predicted[known], np.full(len(free), source)])
    graph = _graph(tails, np.concatenate([partner[known], free]), source + 1)
    surplus = np.zeros(source + 1, dtype=bool)  # predicted pixels that some largest matching leaves out
    surplus[breadth_first_order(graph, source, return_predecessors=False)] = True
    wanted = surplus[mates.truth] & (mates.truth >= 0)  # truth pixels that can be matched with those only
    here = surplus[pairs.predicted]
    for part, by_truth in ((pairs.only(here), True), (pairs.only(~here & ~wanted[pairs.truth]), False)):
        if not len(part.truth):
            continue
        mates.predicted[part.predicted], mates.truth[part.truth] = -1, -1
        rows, cols = (part.truth, part.predicted) if by_truth else (part.predicted, part.truth)
        rows, cols = _assign(rows, cols, part.distance)
        _join(mates, *((cols, rows) if by_truth else (rows, cols)))


def _assign(rows: np.ndarray, cols: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each of the rows a column of its own, at least total distance; rows, cols (M,) are the pairs allowed."""
    row_names, rows = np.unique(rows, return_inverse=True)
    col_names, cols = np.unique(cols, return_inverse=True)
    # A zero would be no pair; one more for every pair is as much more for every assignment.
    chosen = min_weight_full_bipartite_matching(csr_array((1 + distance, (rows, cols))))
    return row_names[chosen[0]], col_names[chosen[1]]


def _join(mates: Mates, predicted: np.ndarray, truth: np.ndarray) -> None:
    mates.predicted[predicted], mates.truth[truth] = truth, predicted


def _graph(tails: np.ndarray, heads: np.ndarray, nodes: int) -> csr_array:
    return csr_array((np.ones(len(tails), dtype=np.int32), (tails, heads)), shape=(nodes, nodes))
