"""Where to look: the samplers that choose pixels to learn from, and how much each chosen pixel stands for.

A point is (x, y) in pixels of the image, x to the right, y down, (0, 0) the centre of the first pixel.

Neighbouring pixels tell a learner nearly the same thing, so a few of each image do (PixelNet, section 3.1). Every
sampler here draws a fixed quota from each stratum, without replacement, so that a pixel's chance to be chosen is
known: quota / size of its stratum. The weight of a point is the inverse of that chance. The weights of an image
therefore sum to its number of labelled pixels, always, and sum(w * loss) / sum(w) over a batch is an unbiased
estimate of the loss over all labelled pixels, whichever sampler drew the points.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pixelnet.errors import InputError

COLOUR_LEVELS = 4  # per channel, when strata are made of colours: 64 at most


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
            labelled: (H, W) bool; False where a pixel may not be chosen. With fewer labelled pixels than asked
                for, all are taken; with none, the draw is empty.
            rng: the only source of chance.
            labels: (H, W), class ids or shares, for samplers that look at them.
            image: (H, W, 3) uint8, for samplers that look at colours.
        """
        available = np.flatnonzero(labelled)
        number = pixel_quota(self.pixels, len(available)) if len(available) else 0
        chosen, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for members, quota in self.strata(available, number, labels, image):
            if quota:
                chosen.append(rng.choice(members, quota, replace=False, shuffle=False))
                weights.append(np.full(quota, len(members) / quota, np.float32))
        rows, columns = np.divmod(np.concatenate(chosen), labelled.shape[1])
        return Draw(np.stack([columns, rows], axis=1).astype(np.float32), np.concatenate(weights))

    def strata(
        self, available: np.ndarray, number: int, labels: np.ndarray | None, image: np.ndarray | None
    ) -> list[tuple[np.ndarray, int]]:
        """Split the flat indices of the labelled pixels into groups, and `number` points into a quota for each."""
        raise NotImplementedError


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
    """Looks first, and takes a quota of each class, or of each colour when there are no classes to go by.

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
        kinds, groups = _group(available, self._kinds(available, labels, image))
        sizes = np.array([len(members) for members in groups], np.int64)
        if isinstance(self.quotas, Mapping):
            wanted = np.array([self.quotas.get(int(kind), 0) for kind in kinds], np.int64)
            sizes[wanted == 0] = 0
            quotas = _hand_on(np.minimum(wanted, sizes), sizes, sum(self.quotas.values()))
        elif number < len(groups):
            return [(available, number)]
        elif self.quotas == "equal":
            quotas = _hand_on(np.zeros_like(sizes), sizes, number)
        else:
            share = (number - len(sizes)) / max(sizes.sum() - len(sizes), 1)
            quotas = _hand_on(1 + np.floor((sizes - 1) * share).astype(np.int64), sizes, number)
        return list(zip(groups, quotas, strict=True))

    def _kinds(self, available: np.ndarray, labels: np.ndarray | None, image: np.ndarray | None) -> np.ndarray:
        if labels is not None and labels.ndim == 2 and np.issubdtype(labels.dtype, np.integer):
            return labels.reshape(-1)[available].astype(np.int64)
        if isinstance(self.quotas, Mapping):
            raise InputError("quotas for classes need a task with classes; give equal or proportional")
        if image is None:
            raise InputError("a stratified sampler needs class labels or an image to look at")
        levels = image.reshape(-1, image.shape[-1])[available].astype(np.int64) * COLOUR_LEVELS // 256
        return levels @ COLOUR_LEVELS ** np.arange(levels.shape[1])


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
        _, groups = _group(available, labels.reshape(-1)[available] >= 0.5)
        if number < 2 or len(groups) < 2:
            return [(available, number)]
        sizes = np.array([len(members) for members in groups], np.int64)
        positives = min(max(1, round(number * self.positives)), number - 1)
        quotas = _hand_on(np.minimum([number - positives, positives], sizes), sizes, number)
        return list(zip(groups, quotas, strict=True))


def _group(members: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The kinds that occur, in order, and the members of each; all groups are non-empty."""
    order = np.argsort(kinds, kind="stable")
    found, firsts = np.unique(kinds[order], return_index=True)
    return found, np.split(members[order], firsts[1:]) if len(found) else []


def _hand_on(start: np.ndarray, sizes: np.ndarray, number: int) -> list[int]:
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
    "all": All,
}


def make_sampler(name: str, pixels: int | str = 2000, **options: object) -> Sampler:
    """A sampler by name; `options` are its own (`quotas` of stratified, `positives` of balanced).

    Raises:
        InputError: an unknown name, an option that the sampler has not, or a value out of range.
    """
    if name not in SAMPLERS:
        raise InputError(f"there is no sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    try:
        return SAMPLERS[name](pixels, **options)
    except TypeError:
        raise InputError(f"the sampler {name} has no option {', '.join(options)}") from None
