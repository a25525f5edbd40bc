"""Where to look: the samplers that choose pixels to learn from, and how much each chosen pixel stands for.

A point is (x, y) in pixels of the image, x to the right, y down, (0, 0) the center of the first pixel.

Neighboring pixels tell a learner nearly the same thing, so a few of each image do (PixelNet, section 3.1). Every
sampler here draws a fixed quota from each stratum, without replacement, so that a pixel's chance to be chosen is
known: quota / size of its stratum. The weight of a point is the inverse of that chance. The weights of a draw
therefore sum to the number of labelled pixels, always, and sum(w * loss) / sum(w) over a batch is an unbiased
estimate of the loss over all labelled pixels, whichever sampler drew the points. (Several tasks at once have several
draws side by side, see `tasks.joint.JointSampler`.)
"""

from collections.abc import Mapping
from inspect import signature
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

from pixelnet.errors import InputError

COLOR_LEVELS = 4  # per channel, when strata are made of colors: 64 at most
REACH = 3  # pixels to either side of a boundary that are beside it
BEND, STEP = 20, 0.05  # what makes a boundary: degrees between normals; of other values, a share of the larger
BINS = 8  # strata of like gradients


class Draw(NamedTuple):
    """What a sampler returns: points (P, 2) float32 as (x, y), weights (P,) float32, at least 1."""

    points: np.ndarray
    weights: np.ndarray


def pixel_quota(pixels: int | str, available: int) -> int:
    """How many points to take of `available` pixels; at most all.

    Args:
        pixels: a count (2000, "2000") or a share ("4%"), of which at least one pixel is taken.

    Raises:
        InputError: neither, or below one pixel.
    """
    text = str(pixels).strip()
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if not 0 < share <= 1:
                raise ValueError
            return min(available, max(1, round(share * available)))
        count = int(text)
        if count < 1:
            raise ValueError
    except ValueError:
        raise InputError(f"pixels is {pixels!r}; give a count from 1, such as 2000, or a share such as 4%") from None
    return min(available, count)


class Sampler:
    """Chooses pixels of one image.

    Args:
        pixels: how many an image, as a count or as a share of its labelled pixels ("4%").
    """

    def __init__(self, pixels: int | str = 2000):
        pixel_quota(pixels, 1)
        self.pixels = pixels

    def __call__(
        self,
        labelled: np.ndarray,
        rng: np.random.Generator,
        labels: np.ndarray | None = None,
        image: np.ndarray | None = None,
    ) -> Draw:
        """Draw points among the labelled pixels.

        Args:
            labelled: (H, W) bool, of the window of an image that a step looks at, in the image's own pixels, neither
                scaled nor mirrored; False where a pixel may not be chosen. With fewer labelled pixels than asked
                for, all are taken; with none, the draw is empty.
            rng: the only source of chance.
            labels: (H, W), class ids or shares, for samplers that look at them.
            image: (H, W, 3) uint8, for samplers that look at colors.
        """
        available = np.flatnonzero(labelled)
        number = pixel_quota(self.pixels, len(available)) if len(available) else 0
        chosen, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for members, quota in self.strata(available, number, labels, image):
            if members.dtype == bool or not 0 <= quota <= len(members):
                raise InputError(
                    f"the sampler {type(self).__name__} gives a group of {len(members)} ({members.dtype}) a quota of "
                    f"{quota}; strata are arrays of flat indices, each with a quota of at most its length"
                )
            if quota:
                chosen.append(rng.choice(members, quota, replace=False, shuffle=False))
                weights.append(np.full(quota, len(members) / quota, np.float32))
        rows, columns = np.divmod(np.concatenate(chosen), labelled.shape[1])
        return Draw(np.stack([columns, rows], axis=1).astype(np.float32), np.concatenate(weights))

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        """Split the flat indices of the labelled pixels into groups, and `number` points into a quota for each.

        Each group that is not empty needs a quota of at least one, or the estimate leaves it out.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no strata")


class Uniform(Sampler):
    """The paper's: a fixed quota an image, without replacement. The images are its strata."""

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        return [(available, number)]


class All(Sampler):
    """Every labelled pixel: the dense control."""

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        return [(available, len(available))]


class Stratified(Sampler):
    """Looks first, and takes a quota of each class, or of each color when there are no classes to go by.

    Args:
        pixels: as everywhere. With fewer points than strata it draws uniformly: a stratum without a point would be
            left out of the estimate.
        quotas: "equal" shares of the points for every stratum present; "proportional" to its pixels, at least one
            each; or a mapping {class id: points an image}, whose numbers take the place of `pixels`. A stratum with
            fewer pixels than its quota hands the rest on to the others in equal parts. A class that the mapping
            leaves out is not drawn from, and not in the estimate either.
    """

    def __init__(self, pixels: int | str = 2000, quotas: str | Mapping[int, int] = "equal"):
        super().__init__(pixels)
        named = isinstance(quotas, str) and quotas in ("equal", "proportional")
        if not named and (
            not isinstance(quotas, Mapping) or not quotas or min(quotas.values()) < 0 or not any(quotas.values())
        ):
            raise InputError(f"quotas are {quotas!r}; give equal, proportional, or points for each class: sky=10,car=2")
        self.quotas = quotas

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        stratum_ids, groups = _group(available, self._stratum_ids(available, labels, image))
        sizes = np.array([len(members) for members in groups], np.int64)
        if isinstance(self.quotas, Mapping):
            wanted = np.array([self.quotas.get(int(stratum), 0) for stratum in stratum_ids], np.int64)
            sizes[wanted == 0] = 0
            quotas = _redistribute(np.minimum(wanted, sizes), sizes, sum(self.quotas.values()))
        elif number < len(groups):
            return [(available, number)]
        elif self.quotas == "equal":
            quotas = _redistribute(np.zeros_like(sizes), sizes, number)
        else:
            share = (number - len(sizes)) / max(sizes.sum() - len(sizes), 1)
            quotas = _redistribute(1 + np.floor((sizes - 1) * share).astype(np.int64), sizes, number)
        return list(zip(groups, quotas, strict=True))

    def _stratum_ids(self, available: np.ndarray, labels: np.ndarray | None, image: np.ndarray | None) -> np.ndarray:
        if labels is not None and labels.ndim == 2 and np.issubdtype(labels.dtype, np.integer):
            return labels.reshape(-1)[available].astype(np.int64)
        if isinstance(self.quotas, Mapping):
            raise InputError("quotas for classes need a task with classes; give equal or proportional")
        if image is None:
            raise InputError("a stratified sampler needs class labels or an image to look at")
        levels = image.reshape(-1, image.shape[-1])[available].astype(np.int64) * COLOR_LEVELS // 256
        return levels @ COLOR_LEVELS ** np.arange(levels.shape[1])


class Balanced(Sampler):
    """A given share of positives (edges are 2 % of the pixels): labels of at least one half.

    Args:
        pixels: as everywhere. When an image has too few of one kind, the other fills up.
        positives: share of the points, 0..1.
    """

    def __init__(self, pixels: int | str = 2000, positives: float = 0.5):
        super().__init__(pixels)
        if not 0 < positives < 1:
            raise InputError(f"the share of positives is {positives}; it must be above 0 and below 1")
        self.positives = positives

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        if labels is None or labels.ndim != 2:
            raise InputError("the balanced sampler needs labels that are positive or negative; use it for edges")
        return two_kinds(available, labels.reshape(-1)[available] >= 0.5, number, self.positives)


class Boundary(Sampler):
    """A given share of the points beside a boundary of the labels, where most errors are.

    A boundary runs between two neighbors, across or down, that differ: class ids; normals by more than 20 degrees;
    other values by more than a twentieth of the larger. None runs along unlabelled pixels. Beside it are the three
    pixels to either side.

    Args:
        pixels: as everywhere. When an image has too few of one kind, the other fills up.
        near: share of the points, 0..1.
    """

    def __init__(self, pixels: int | str = 2000, near: float = 0.5):
        super().__init__(pixels)
        if not 0 < near < 1:
            raise InputError(f"the share of points near a boundary is {near}; it must be above 0 and below 1")
        self.near = near

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        if labels is None:
            raise InputError("the boundary sampler needs labels to find boundaries in")
        beside = binary_dilation(boundary_pixels(labels), iterations=REACH - 1)
        return two_kinds(available, beside.reshape(-1)[available], number, self.near)


class TwoPhase(Sampler):
    """Draws twice (Neyman 1938): candidates uniformly, then the points among them, by what the model makes of each.

    The second draw too is of fixed quotas from strata. A point's weight is the inverse of its chance to be a candidate
    times that to be taken then, which are both known: the weights of an image still sum to its number of labelled
    pixels, and the estimate is unbiased, exactly, although no pixel's chance over all sets of candidates is known.

    candidates: how many there are for each point that is asked for. asks: what the model is asked of each,
    "confidence" (`Task.confidence` of its logits) or "gradient" (the length of the loss's gradient at its logits).
    """

    candidates = 3
    asks: ClassVar[str]

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        return [(available, min(self.candidates * number, len(available)))]

    def narrow(self, measure: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The second draw: weights of the candidates (C,) float32, 0 for those that are not taken.

        measure: (C,), what the model was asked. weights: (C,) float32, those of the first draw. Among candidates of
        like measure the earlier is taken first.
        """
        taken = np.zeros_like(weights)
        if not len(weights):
            return taken
        number = pixel_quota(self.pixels, round(float(weights.sum(dtype=np.float64))))
        for members, quota in self.second_strata(measure, number):
            if quota:
                chosen = rng.choice(members, quota, replace=False, shuffle=False)
                taken[chosen] = weights[chosen] * np.float32(len(members) / quota)
        return taken

    def second_strata(self, measure: np.ndarray, number: int) -> list[tuple[np.ndarray, int]]:
        """Split the candidates (C,) into groups, and `number` points into a quota for each."""
        raise NotImplementedError


class Hard(TwoPhase):
    """PointRend's rule (Kirillov et al., CVPR 2020, section 3.2): the least certain candidates, the rest uniformly.

    Args:
        pixels: as everywhere.
        hardest: share of the points that are the least certain candidates, 0..1; PointRend's beta.
    """

    asks = "confidence"

    def __init__(self, pixels: int | str = 2000, hardest: float = 0.75):
        super().__init__(pixels)
        if not 0 < hardest < 1:
            raise InputError(f"the share of the hardest points is {hardest}; it must be above 0 and below 1")
        self.hardest = hardest

    def second_strata(self, measure: np.ndarray, number: int) -> list[tuple[np.ndarray, int]]:
        hardest = min(round(self.hardest * number), number - 1)  # one at least stands for the others
        order = np.argsort(measure, kind="stable")
        return [(order[:hardest], hardest), (order[hardest:], number - hardest)]


class Gradient(TwoPhase):
    """More points where the loss has more to say: strata of like gradients, and quotas in proportion to their sums.

    That is Neyman's allocation, a quota as the stratum's size times its spread: gradients point all ways, so their
    spread is their length. With weights it is the estimate of the whole gradient that varies least (compare Zhao and
    Zhang, ICML 2015); without, it learns from what is wrong.
    """

    asks = "gradient"

    def second_strata(self, measure: np.ndarray, number: int) -> list[tuple[np.ndarray, int]]:
        groups = np.array_split(np.argsort(measure, kind="stable"), min(BINS, number))
        sizes = np.array([len(members) for members in groups], np.int64)
        steepness = np.array([measure[members].sum(dtype=np.float64) for members in groups])
        share = steepness if steepness.any() else sizes
        ends = np.round(share.cumsum() / share.sum() * (number - len(groups))).astype(np.int64)
        wanted = 1 + np.diff(ends, prepend=0)  # one at least, or a stratum would be left out of the estimate
        return list(zip(groups, _redistribute(np.minimum(wanted, sizes), sizes, number), strict=True))


def boundary_pixels(labels: np.ndarray) -> np.ndarray:
    """Which pixels have a neighbor, across or down, on the other side of a boundary: labels (H, W[, 3]) -> (H, W)."""
    found = np.zeros(labels.shape[:2], bool)
    across, down = _differ(labels[:, 1:], labels[:, :-1]), _differ(labels[1:], labels[:-1])
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.ndim == 3:
        known = one.any(axis=-1) & other.any(axis=-1)
        return known & ((one * other).sum(axis=-1) < np.cos(np.radians(BEND)))
    if np.issubdtype(one.dtype, np.integer):
        return (one != other) & (one != 255) & (other != 255)
    with np.errstate(invalid="ignore"):  # never so of NaN, nor between infinities
        return abs(one - other) > STEP * np.maximum(abs(one), abs(other))


def two_kinds(available: np.ndarray, kind: np.ndarray, number: int, share: float) -> list[tuple[np.ndarray, int]]:
    """Strata of the pixels of a kind, with a share of the points, and of the others; both with at least one point."""
    _, groups = _group(available, kind)
    if number < 2 or len(groups) < 2:
        return [(available, number)]
    sizes = np.array([len(members) for members in groups], np.int64)
    wanted = min(max(1, round(number * share)), number - 1)
    quotas = _redistribute(np.minimum([number - wanted, wanted], sizes), sizes, number)
    return list(zip(groups, quotas, strict=True))


def _group(members: np.ndarray, stratum_ids: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The strata that occur, in order, and the members of each; all groups are non-empty."""
    order = np.argsort(stratum_ids, kind="stable")
    found, firsts = np.unique(stratum_ids[order], return_index=True)
    return found, np.split(members[order], firsts[1:]) if len(found) else []


def _redistribute(start: np.ndarray, sizes: np.ndarray, number: int) -> list[int]:
    """Raise quotas that start below their groups' sizes evenly, until `number` is reached or all groups are empty."""
    quotas = start.copy()
    while (left := number - int(quotas.sum())) > 0 and (open_groups := np.flatnonzero(quotas < sizes)).size:
        if left < len(open_groups):
            # What cannot be split evenly goes to the smallest quotas, so that no class is left without a point.
            quotas[open_groups[np.argsort(quotas[open_groups], kind="stable")[:left]]] += 1
        else:
            room = sizes[open_groups] - quotas[open_groups]
            quotas[open_groups] += np.minimum(left // len(open_groups), room)
    return [int(quota) for quota in quotas]


SAMPLERS: dict[str, type[Sampler]] = {
    "uniform": Uniform,
    "stratified": Stratified,
    "balanced": Balanced,
    "boundary": Boundary,
    "hard": Hard,
    "gradient": Gradient,
    "all": All,
}


def make_sampler(name: str, pixels: int | str = 2000, **options: object) -> Sampler:
    """A sampler by name; `options` are its own: `quotas` of stratified, `positives` of balanced, `near`, `hardest`.

    Raises:
        InputError: an unknown name, an option that the sampler has not, or a value out of range.
    """
    if name not in SAMPLERS:
        raise InputError(f"there is no sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    known = signature(SAMPLERS[name]).parameters
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InputError(f"the sampler {name} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    return SAMPLERS[name](pixels, **options)
