"""What to learn from and how strongly to hold it back, chosen for the data at hand by folds that are honest.

Candidates are parts that describe a pixel, and strengths of the prior. Each is judged by what it makes of pixels whose
image (or, of one image, whose block of it) it has not seen: neighbors on both sides would flatter. Where several are
as good their mean is better than a bet on one. What the choice itself comes to is told by folds around the folds.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.optimize import minimize_scalar

from pixelnet.devices import one_blas_thread
from pixelnet.learning.logistic import Problem, balanced, log_chances, mean
from pixelnet.nn.networks import FILTERS

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)  # of the prior on standardized features; the weakest last
MEMBERS = 3  # candidates whose mean is taken
# What the log probability of those that see nothing magnified must be ahead by: over the development sets they are
# behind, and the folds of a few labels on a few images cannot tell so small a difference.
HANDICAP = 0.03
FOLDS = 5  # at most
MOST_POINTS = 3000  # that a choice is made on
ROUGH = 1e-3  # where a trial's fit stops: its score is then right to some thousandths, and more is tried in the time
SETTLED = 1e-6  # of a share: rounds that change no more than that are the last
WARMEST = 4.0  # logits are at most so many times what they were, or as small a part, when they are set right
OVERTIME = 2.0  # times the seconds, until when one network is tried, if no time was for any
FARTHEST = 1.25, 0.05  # times the best one's log probability, and so much more, that a member's may be
# What describing a pixel costs, beside filters: a network that sees images as they are, and one that sees them
# magnified by two, which has four times the pixels. Rough figures, of a CPU, for what no time is left to find out.
PLAIN, MAGNIFIED = 0.7, 3.0

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Labelled points, and what describes them.

    describe: (parts, which points) -> features (M, D). labels: (M,) class ids. folds: (M,), numbers of what is held out
    together. classes: K. seconds: what it will take to describe all points by some parts, about. width: of parts, D.
    one_image: whether all points lie in one, whose blocks the folds are. between: called between fits; what it raises
    ends the choice.
    """

    describe: Callable[[Parts, np.ndarray], np.ndarray]
    labels: np.ndarray
    folds: np.ndarray
    classes: int
    seconds: Callable[[Parts], float]
    width: Callable[[Parts], int]
    one_image: bool = False
    between: Callable[[], None] = lambda: None

    def problem(self, parts: Parts, points: np.ndarray) -> Problem:
        """What is to be fitted on some of the points."""
        return Problem(self.describe(parts, points), self.labels[points], self.weigh(points), self.classes)

    def weigh(self, points: np.ndarray) -> np.ndarray:
        """The weights of some points, by which all classes weigh the same."""
        return balanced(self.labels[points], self.classes)


@dataclass(frozen=True)
class Trial:
    """A candidate, and its logits for points of folds that it was not fitted on.

    score: the mean log probability of the labels, weighted, less what the candidate is held to be behind by.
    held: (M, K). pairs: for two folds that were both held out, the logits of their points, in the order of the points.
    """

    parts: Parts
    strength: float
    score: float
    held: np.ndarray
    pairs: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    members: parts and strength of those whose mean is taken, in the order in which they were tried: given back as
    candidates they come to the same, bit for bit. warmth: what their logits are multiplied by. trials: all that was
    tried, the best first. skill: how much better than chance the members are on pixels that they have not seen, 0 to 1.
    accuracy: of the choice on folds that it knew nothing of, each class alike, by fold;
    () where there were too few labels to tell. left: candidates that no time was for, and enough: seconds in which they
    would have been tried, too, 0 if there are none. again: seconds that fitting the members once more takes, for
    each point.
    """

    members: tuple[tuple[Parts, float], ...]
    warmth: float = 1.0
    skill: float = 0.5
    trials: tuple[Trial, ...] = ()
    accuracy: tuple[float, ...] = ()
    left: tuple[Parts, ...] = ()
    enough: float = 0.0
    again: float = 0.0

    @property
    def parts(self) -> Parts:
        """Those of all members, each once."""
        return union(parts for parts, _ in self.members)


def union(several: Iterable[Parts]) -> Parts:
    """The parts of several candidates, each once, in their order."""
    return tuple(dict.fromkeys(part for parts in several for part in parts))


@one_blas_thread()
def choose(
    table: Table,
    candidates: Sequence[tuple[Parts, Sequence[float]]],
    seconds: float,
    default: Sequence[tuple[Parts, float]],
    most: int | None = MEMBERS,
) -> Choice:
    """The best few of the candidates, tried in their order while the time lasts; the default if nothing can be judged.

    candidates: parts, with the strengths that are tried; the first of them whatever it takes, the others if, by what
    is known of them and of those before, there is time for them and for fitting what was chosen once more; but one
    network may take as long again, if none was tried. most: members at most; None for all candidates. A fold can be
    held out if every class of the labels is among the others, too.
    """
    start = time.monotonic()
    points = np.arange(len(table.labels))
    if len(points) > MOST_POINTS:
        points = np.sort(np.random.default_rng(0).choice(points, MOST_POINTS, replace=False))
    folds = [int(fold) for fold in np.unique(table.folds[points]) if _leaves_all(table, points, fold)]
    if len(folds) < 2:
        return Choice(tuple(default))
    bakeoff = _Bakeoff(table, points, folds, start, most or len(candidates))
    for parts, strengths in candidates:
        if not bakeoff.trials or bakeoff.in_time(parts, seconds):
            bakeoff.run(parts, strengths)
    bakeoff.run_a_network(candidates, OVERTIME * seconds)
    trials, left = sorted(bakeoff.trials, key=lambda trial: -trial.score), bakeoff.left
    enough = time.monotonic() - start + sum(left.values()) if left else 0.0
    labels, weights = table.labels[points], table.weigh(points)
    known = np.isin(table.folds[points], folds)
    order = [parts for parts, _ in candidates]
    best = sorted(_best(trials, most, table.one_image), key=lambda trial: order.index(trial.parts))
    held = mean([trial.held for trial in best])[known]
    chance = 1 / len(np.unique(labels))
    return Choice(
        tuple((trial.parts, trial.strength) for trial in best),
        warmth(held, labels[known], weights[known]),
        max(0.0, (recall(held, labels[known]) - chance) / (1 - chance)),
        tuple(trials),
        _nested(table, points, folds, trials, most),
        tuple(left),
        enough,
        bakeoff.again * len(best),
    )


class _Bakeoff:
    """Candidates tried one after another, and what is known of the time that others would take.

    last: candidates at most that are fitted once more when all is tried, for which time is kept.
    """

    def __init__(self, table: Table, points: np.ndarray, folds: list[int], start: float, last: int) -> None:
        self.table, self.points, self.folds, self.start, self.last = table, points, folds, start, last
        self.trials: list[Trial] = []
        self.left: dict[Parts, float] = {}  # those that no time was for, and what each would take
        self.unit = 0.0  # seconds that filters take
        # Seconds that the last one's fits took, for each feature; and that one of them takes, for each point.
        self.pace = self.again = 0.0

    def in_time(self, parts: Parts, seconds: float) -> bool:
        """Whether a candidate is likely to be tried by then; it is noted if not."""
        late = time.monotonic() - self.start > seconds
        rough = self.unit * cost(parts)
        takes = rough if late else self.table.seconds(parts) + self.pace * self.table.width(parts)
        last = self.last * self.again * len(self.table.labels)
        if time.monotonic() - self.start + takes + last <= seconds:
            return True
        self.left[parts] = takes
        return False

    def run(self, parts: Parts, strengths: Sequence[float]) -> None:
        """Try a candidate with each of some strengths."""
        started = time.monotonic()
        features = self.table.describe(parts, self.points)
        begun = time.monotonic()
        self.trials += _try(self.table, self.points, self.folds, parts, strengths, features)
        self.pace = (time.monotonic() - begun) / features.shape[1]
        self.unit = self.unit or (time.monotonic() - started) / cost(parts)
        fits = len(self.folds) * (len(self.folds) + 1) / 2
        self.again = max(self.again, self.pace * features.shape[1] / (fits * len(self.points)))

    def run_a_network(self, candidates: Sequence[tuple[Parts, Sequence[float]]], seconds: float) -> None:
        """Where no time was for any network, the one that takes the least, if it is likely to be tried by then.

        What a machine that is slow, or busy, makes of the filters alone is so much worse that it is worth the wait.
        """
        waiting = [one for one in candidates if one[0] in self.left]
        if waiting and all(trial.parts == (FILTERS,) for trial in self.trials):
            parts, strengths = min(waiting, key=lambda one: self.left[one[0]])
            if time.monotonic() - self.start + self.left[parts] <= seconds:
                del self.left[parts]
                self.run(parts, strengths)


def _leaves_all(table: Table, points: np.ndarray, fold: int) -> bool:
    others = table.labels[points][table.folds[points] != fold]
    return len(np.unique(others)) == len(np.unique(table.labels[points]))


def _try(
    table: Table,
    points: np.ndarray,
    folds: list[int],
    parts: Parts,
    strengths: Sequence[float],
    features: np.ndarray,
) -> list[Trial]:
    """A candidate, which describes the points by features, with each strength: every fold held out, and every two."""
    of = table.folds[points]
    held = {strength: np.zeros((len(points), table.classes)) for strength in strengths}
    pairs: dict[float, dict[tuple[int, int], np.ndarray]] = {strength: {} for strength in strengths}
    for out in [(fold,) for fold in folds] + list(combinations(folds, 2)):
        outside = np.isin(of, out)
        labels = table.labels[points[~outside]]
        if len(out) == 2 and (len(folds) < 3 or len(np.unique(labels)) < len(np.unique(table.labels[points]))):
            continue
        problem = Problem(features[~outside], labels, table.weigh(points[~outside]), table.classes)
        for strength in strengths:
            table.between()
            logits = problem.fit(strength, ROUGH)(features[outside])
            if len(out) == 1:
                held[strength][outside] = logits
            else:
                pairs[strength][out] = logits
    labels, weights, known = table.labels[points], table.weigh(points), np.isin(of, folds)
    return [
        Trial(parts, s, likelihood(held[s][known], labels[known], weights[known]) - behind(parts), held[s], pairs[s])
        for s in strengths
    ]


def _best(trials: Sequence[Trial], most: int | None, one_image: bool = False) -> list[Trial]:
    """The best strength of each of the best candidates that are not far behind the first; of all for None.

    Of one image they are the filters alone and the best others, however far apart: a few strokes there, held out from
    others close by, cannot tell a network that knows a thing by what is around it from one that knows the place.
    """
    best, *others = best_strengths(trials)
    if most is None:
        return [best, *others]
    if one_image and most > 1:
        return sorted([best, *others], key=lambda trial: trial.parts != (FILTERS,))[:most]
    times, more = FARTHEST
    return [best, *(trial for trial in others if trial.score >= times * best.score - more)][:most]


def best_strengths(trials: Sequence[Trial]) -> list[Trial]:
    """Of trials with the best first, the first of each candidate."""
    firsts: dict[Parts, Trial] = {}
    for trial in trials:
        firsts.setdefault(trial.parts, trial)
    return list(firsts.values())


def _nested(
    table: Table, points: np.ndarray, folds: list[int], trials: Sequence[Trial], most: int | None
) -> tuple[float, ...]:
    """The mean recall of the classes on each fold, of what would have been chosen without any of its labels."""
    of, labels, found = table.folds[points], table.labels[points], []
    for fold in folds:
        others = [other for other in folds if other != fold]
        keys = [(min(fold, other), max(fold, other)) for other in others]
        if not all(key in trial.pairs for trial in trials for key in keys):
            continue

        def score(
            trial: Trial, keys: list[tuple[int, int]] = keys, others: list[int] = others, fold: int = fold
        ) -> float:
            total = 0.0
            for key in keys:
                inside = of[np.isin(of, key)] != fold
                chosen = np.flatnonzero(np.isin(of, key))[inside]
                total += likelihood(trial.pairs[key][inside], labels[chosen], table.weigh(points[chosen])) * len(chosen)
            return total - behind(trial.parts) * np.isin(of, others).sum()

        best = _best(sorted(trials, key=score, reverse=True), most, table.one_image)
        own = of == fold
        found.append(recall(mean([trial.held for trial in best])[own], labels[own]))
    return tuple(found)


def cost(parts: Parts) -> float:
    """What describing a pixel takes, beside the filters alone; a rough figure."""
    return 1 + sum(MAGNIFIED if "@" in part else PLAIN for part in parts if part != FILTERS)


def behind(parts: Parts) -> float:
    """What a candidate must be ahead by to pass for as good as others."""
    return 0.0 if any(part.endswith("@2") for part in parts) else HANDICAP


def likelihood(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean of the log probabilities of the labels."""
    return float(np.average(log_chances(logits)[np.arange(len(labels)), labels], weights=weights))


def recall(logits: np.ndarray, labels: np.ndarray) -> float:
    """The share of a class's points that are found, the mean over the classes that occur."""
    right = logits.argmax(axis=1) == labels
    return float(np.mean([right[labels == k].mean() for k in np.unique(labels)]))


def warmth(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """What logits are to be multiplied by so that probabilities mean what they say (Guo et al., ICML 2017).

    A strong prior leaves a predictor less sure than it could be, and few labels leave it surer.
    """
    ends = (-np.log(WARMEST), np.log(WARMEST))
    found = minimize_scalar(lambda t: -likelihood(logits * np.exp(t), labels, weights), bounds=ends, method="bounded")
    return float(np.exp(found.x))


def shares(chances: np.ndarray, floor: float = 0.02, rounds: int = 100) -> np.ndarray:
    """How common each class is among pixels that nobody labelled (Saerens, Latinne, Decaestecker 2002).

    Labels that people paint are no sample: a class of 1 % of the pixels gets as many as any other. What is mistaken for
    it then outnumbers it, unless its share is known, and that can be told from the predictions, which need no label.

    chances: (M, K), probabilities by a predictor that holds all classes to be as common. floor: the part of the shares
    that is spread over all classes, so that none vanishes. With more than two classes one round is taken, the mean of
    the probabilities: more of them empty classes that are seldom sure.
    """
    of_class = np.ascontiguousarray(chances.T)  # sums over a few classes are quick this way round
    classes = len(of_class)
    found = np.full(classes, 1 / classes)
    for _ in range(rounds if classes == 2 else 1):
        weighed = of_class * found[:, None]
        weighed /= weighed.sum(axis=0)
        before, found = found, (1 - floor) * weighed.mean(axis=1) + floor / classes
        if abs(found - before).max() < SETTLED:
            break
    return found
