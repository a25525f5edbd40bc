"""A session of labelling: strokes come and go, the answer follows at once, and what is saved can be fitted again.

    session = pixelnet.Session("slides/", class_names=["cell", "membrane"])
    session.label("slides/a.png", [(120, 44), (310, 200)], ["cell", "membrane"])
    session.fit()
    labels, confidence = session.predict("slides/a.png")

It is what `pixelnet.fit` does, in steps: images are seen once, labelled pixels are described once, and a fit begins
where the one before has ended.
"""

import csv
import io
import shlex
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from pixelnet.config import as_list
from pixelnet.devices import find_device, one_torch_thread
from pixelnet.errors import InputError
from pixelnet.files import write_atomic
from pixelnet.learning.assemble import assemble, joined, put, toward
from pixelnet.learning.choose import STRENGTHS, Choice, Parts, Table, choose
from pixelnet.learning.dense import logits_in
from pixelnet.learning.fit import Priors, candidates, default, fit_noted, folds_of, given_members, shares_by
from pixelnet.learning.labels import Labels, anywhere, quota, spread, unlabelled_points
from pixelnet.learning.logistic import Linear, balanced
from pixelnet.learning.parts import MOST_BYTES, Maps
from pixelnet.learning.strokes import Given, Images, Labelled, Strokes
from pixelnet.learning.tiles import tiles_of
from pixelnet.learning.warm import LARGE, refit
from pixelnet.metrics.intervals import reach_of_mean
from pixelnet.model import PixelNet
from pixelnet.points import make_sampler

LABELS = "labels.csv"
TOO_FEW = (
    "too few labels to say: label pixels of every class in three images or more, or of one image in four places apart"
)


@dataclass(frozen=True)
class Score:
    """How well a session would do on pixels of images that it has not seen, by folds that were held out.

    value: the share of a class's labelled pixels that is found, the mean over the classes and then over the folds, 0 to
    1; None where there are too few labels. interval: its 95 % interval, Student's t over the folds, within 0 to 1. They
    share what they learn from, so it is a rough one. folds: how many. words: all that in a line.
    """

    value: float | None
    interval: tuple[float, float] | None
    folds: int
    words: str

    @classmethod
    def of(cls, accuracy: Sequence[float]) -> "Score":
        """By the accuracy on each fold; nothing can be said by fewer than two."""
        folds = len(accuracy)
        if folds < 2:
            return cls(None, None, 0, TOO_FEW)
        value = float(np.mean(accuracy))
        reach = reach_of_mean(accuracy)
        low, high = max(0.0, value - reach), min(1.0, value + reach)
        words = f"mean recall of the classes {value:.3f}, 95 % interval {low:.3f} to {high:.3f} over {folds} folds"
        return cls(value, (low, high), folds, words)


class Session:
    """Images, labels of a few of their pixels, and a model that follows them.

    Args:
        images: files, arrays (H, W) or (H, W, C), PIL images; or a folder, which is searched through. A stack is its
            pages, of which stack.tif[3] is the fourth. The first says which channels all have.
        class_names: two or more.
        priors: how common the classes are: "estimated" from unlabelled pixels of the labelled images; "labels", as
            among the labels; or all "equal". See `pixelnet.fit`.
        memory: bytes of maps of images that are kept; those that were not asked for the longest are made again.
        features: what describes a pixel, in place of what is best on average; as for `pixelnet.fit`.
        device: where networks see images, as for `pixelnet.load`; all else is on the processor.

    Raises:
        InputError: no image, one that cannot be read, names of classes that are not two different ones, features that
            are none.
    """

    def __init__(
        self,
        images: Given | Iterable[Given],
        class_names: Sequence[str],
        *,
        priors: Priors = "estimated",
        memory: int = MOST_BYTES,
        features: str | Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        self.class_names = _checked_names(class_names)
        if priors not in get_args(Priors):
            raise InputError(f"priors are {priors!r}; give estimated, labels or equal")
        self.images, self.priors = Images(images), priors
        own = self.images
        self.maps = Maps(own.read, own.sizes.__getitem__, len(own.channels), own.ranges, memory, find_device(device))
        self.strokes = Strokes(self.images, self.maps, self.class_names)
        self._choice = Choice(tuple(given_members(features, None) or default()))
        self._tried: list[tuple[Parts, Sequence[float]]] = []  # what was chosen from
        self._judged: int | None = None  # how many changes of labels there were when folds were last held out
        self._fitted: dict[Parts, Linear] = {}
        self._elsewhere: dict[tuple[int, str], np.ndarray] = {}  # what describes pixels that nobody labelled
        self._model: tuple[Parts, PixelNet] | None = None  # which parts it is of, in its order

    def fork(self, class_names: Sequence[str] | None = None, features: str | Sequence[str] | None = None) -> "Session":
        """Another session of the same images and their maps, which goes its own way from here on.

        It may be asked in a thread of its own, for a score, say, which takes its time, while this one goes on.

        Args:
            class_names: of labels that are yet to come; None for the same classes, with the labels that there are.
            features: what describes a pixel, as for `pixelnet.fit`; None for what this session goes by.

        Raises:
            InputError: as when a session is begun.
        """
        other = copy(self)
        other._tried, other._fitted, other._elsewhere = list(self._tried), dict(self._fitted), dict(self._elsewhere)
        other._model = None
        if class_names is None:
            other.strokes = self.strokes.copy()
        else:
            other.class_names = _checked_names(class_names)
            other.strokes = Strokes(self.images, self.maps, other.class_names)
            other._fitted, other._judged = {}, None
        if features is not None:
            other._choice, other._tried = Choice(tuple(given_members(features, None) or ())), []
        return other

    @property
    def parts(self) -> Parts:
        """What describes a pixel, part by part: those whose maps a fit and an answer need."""
        return self._choice.parts

    def add(self, images: Iterable[Given]) -> None:
        """Further images, behind those that there are. They are brought to 0..1 as the first ones are."""
        self.images.add(images)

    def label(self, image: int | str | Path, points: Any, ids: Any) -> None:
        """Say what some pixels show. What was said of them before counts no more.

        Args:
            image: its number, its path, or its name: the path within the folder.
            points: (P, 2) as (x, y) in pixels, (0, 0) the first; rounded to whole ones.
            ids: of each point the class, by number or by name; or one, of all of them.

        Raises:
            InputError: an image or a class that there is not, points outside the image. Nothing is labelled then.
        """
        self.strokes.label(self.images.find(image), points, ids)

    def unlabel(self, image: int | str | Path, points: Any) -> None:
        """Take back what was said of some pixels (P, 2); those without a label stay so. Raises as `label`."""
        self.strokes.unlabel(self.images.find(image), points)

    def fit(self) -> None:
        """Learn from the labels as they are now, beginning where the last fit ended.

        What describes a pixel, how strongly the predictor is held back, and how sure it may be, stay as `choose`,
        `score` or `save` found them last. Raises InputError where fewer than two classes are labelled.
        """
        data, labels = self._labels()
        images, classes = list(range(len(data))), len(self.class_names)
        ids = np.concatenate([labels.ids[i] for i in images])
        weights = balanced(ids, classes)
        for parts, strength in self._choice.members:
            features, start = self._features(data, parts, images), self._fitted.get(parts)
            with one_torch_thread(features.size < LARGE):
                self._fitted[parts] = refit(features, ids, weights, classes, strength, start)
        self._settle(data, labels.counts)

    def choose(self, seconds: float = 30.0) -> None:
        """Choose what describes a pixel, and how strongly to hold the predictor back, and learn anew.

        By folds, as `pixelnet.fit` chooses, in about so many seconds. Too few labels to choose by leave the default.
        """
        if not seconds > 0:
            raise InputError(f"seconds are {seconds:g}; give a time above 0")
        table = self._table_for_choice()
        self._choice = choose(table, [(parts, STRENGTHS) for parts in candidates()], seconds, default())
        self._tried = [(parts, STRENGTHS) for parts in dict.fromkeys(trial.parts for trial in self._choice.trials)]
        self._elsewhere = {key: rows for key, rows in self._elsewhere.items() if key[1] in self._choice.parts}
        self._judged = self.strokes.changes
        self.fit()

    def score(self, between: Callable[[], None] = lambda: None) -> Score:
        """How well it would do on images, or of one image on places, that it has not seen. See `Score`.

        Each fold is answered by what the others' labels would have led to; where there was a choice, that is made
        within each fold again, of all that was tried, which takes about as long. The same folds tell how sure the
        predictor may be, so that confidence follows.

        between: called between the fits of folds; what it raises ends the score, and all is as it was.
        """
        if len(self.strokes.classes()) < 2:
            return Score.of(())
        if self._judged != self.strokes.changes:
            table, members = replace(self._table_for_choice(), between=between), self._choice.members
            given = [(parts, (strength,)) for parts, strength in members]
            own = choose(table, given, np.inf, members, len(members))
            accuracy = choose(table, self._tried, np.inf, members).accuracy if self._tried else own.accuracy
            self._choice, self._judged = replace(own, accuracy=accuracy), self.strokes.changes
            self.fit()
        return Score.of(self._choice.accuracy)

    @torch.inference_mode()
    def predict(
        self, image: int | str | Path, window: tuple[slice, slice] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What an image shows, labelled or not, by the last fit.

        Args:
            image: as for `label`.
            window: rows and columns of it; None for all. It takes as much longer as it is larger. Slices with a step
                ask every few pixels, which is what a screen shows of a large image; those are answered as in the whole.

        Returns:
            Labels, uint8 (h, w), and the probability of each, float32 (h, w), 1/K to 1.

        Raises:
            InputError: no such image, a window without a pixel, or nothing has been fitted yet.
        """
        index = self.images.find(image)
        if self._model is None:
            raise InputError("nothing was fitted yet; label pixels of two classes or more, and call fit")
        width, height = self.images.sizes[index]
        given = (slice(None), slice(None)) if window is None else window
        rows, columns = _asked(given[0], height), _asked(given[1], width)
        parts, model = self._model
        labels = np.empty((len(rows), len(columns)), np.uint8)
        confidence = np.empty(labels.shape, np.float32)
        for tile in tiles_of((width, height)):
            down, across = tile.places(rows, columns)
            if not labels[down, across].size:
                continue
            pieces = [self.maps.of(index, part, tile) for part in parts]
            maps = [features for piece in pieces for features in piece.maps]
            logits = logits_in(model, maps, pieces[0].top, pieces[0].left, rows[down], columns[across])
            chances, found = logits.softmax(dim=0).max(dim=0)
            labels[down, across], confidence[down, across] = found.to(torch.uint8).numpy(), chances.numpy()
        return labels, confidence

    def save(self, out: str | Path) -> str | None:
        """Fit once more, from nothing and in a fixed order, and write the model with the labels beside it.

        The same labels give the same bytes, whatever the order in which they were given, and whatever was taken back.
        Afterwards the session answers as that model does.

        Args:
            out: the model's folder: config.json, model.safetensors, images.json, and labels.csv (image, x, y, class).

        Returns:
            The command line that fits it again; None if a labelled image is no file.

        Raises:
            InputError: fewer than two classes are labelled, or `out` holds a model already.
        """
        data, _ = self._labels()
        members = self._choice.members
        features, strengths = ["+".join(parts) for parts, _ in members], [strength for _, strength in members]
        fitted = fit_noted(
            data, out, seconds=np.inf, features=features, strength=strengths, priors=self.priors, maps=data
        )
        write_atomic(Path(out) / LABELS, _rows(data).encode(errors="backslashreplace"))
        self._choice = replace(fitted.choice, accuracy=self._choice.accuracy)
        self._model = self._choice.parts, fitted.model
        if self.images.root is None or not all(data.files(i) for i in range(len(data))):
            return None
        strength = ",".join(f"{own:g}" for own in strengths)
        told = ["--data", str(self.images.root), "--labels", str(Path(out) / LABELS), "--features", ",".join(features)]
        told += ["--classes", as_list(self.class_names), "--strength", strength, "--priors", self.priors]
        told += ["--seconds", "inf", "--out", f"{out}-again"]
        return shlex.join(["pixelnet", "fit", *told])

    def _labels(self) -> tuple[Labelled, Labels]:
        """The labelled images, and those of their labels that are learnt from, as `labelled_points` draws them."""
        known = self.strokes.classes()
        if len(known) < 2:
            named = ", ".join(self.class_names[k] for k in known) or "none"
            raise InputError(f"{len(known)} classes have labels ({named}); label pixels of at least two")
        data = Labelled(self.strokes)
        sampler, points, ids = make_sampler("stratified", quota(len(data))), [], []
        counts = np.zeros(len(self.class_names), np.int64)
        for i, number in enumerate(data.numbers):
            own = self.strokes.ids(number)
            drawn = sampler(np.ones((1, len(own)), bool), np.random.default_rng((0, i)), own[None], None)
            data.drawn.append(np.sort(drawn.points[:, 0].astype(np.int64)))
            points.append(self.strokes.points(number)[data.drawn[-1]])
            ids.append(own[data.drawn[-1]])
            counts += np.bincount(own, minlength=len(counts))
        return data, Labels(points, ids, counts)

    def _features(self, data: Labelled, parts: Parts, images: list[int]) -> np.ndarray:
        """What describes the points that are learnt from, (M, D) float32, of some of the labelled images."""
        found = np.empty((sum(len(data.drawn[i]) for i in images), sum(map(data.width, parts))), np.float32)
        left = 0
        for part in parts:
            top, right = 0, left + data.width(part)
            for i in images:
                bottom = top + len(data.drawn[i])
                found[top:bottom, left:right] = self.strokes.features(data.numbers[i], part)[data.drawn[i]]
                top = bottom
            left = right
        return found

    def _table(self, data: Labelled, labels: Labels, images: list[int]) -> Table:
        def describe(parts: Parts, chosen: np.ndarray) -> np.ndarray:
            features = self._features(data, parts, images)
            return features if len(chosen) == len(features) else features[chosen]

        def seconds(parts: Parts) -> float:
            new = [(i, part) for i in images for part in parts if not self.strokes.read(data.numbers[i], part)]
            return sum(data.seconds(i, part) for i, part in new)

        def width(parts: Parts) -> int:
            return sum(map(data.width, parts))

        ids = np.concatenate([labels.ids[i] for i in images])
        folds = folds_of(data, labels, images)
        return Table(describe, ids, folds, len(self.class_names), seconds, width, len(images) == 1)

    def _table_for_choice(self) -> Table:
        data, labels = self._labels()
        return self._table(data, labels, spread(list(range(len(data)))))

    def _settle(self, data: Labelled, counts: np.ndarray) -> None:
        """Make what was fitted the model's head. counts: (K,), pixels labelled as each class."""
        members = [(parts, self._fitted[parts]) for parts, _ in self._choice.members]
        first = data.numbers[0]
        widths = {part: self.strokes.features(first, part).shape[1] for part in self._choice.parts}
        parts, linear = joined(members, widths)
        common = shares_by(self.priors, counts, self._choice.warmth, lambda: self._unlabelled(data, parts, linear))
        linear = toward(linear, self._choice, common)
        if self._model is None or self._model[0] != parts:
            self._model = parts, assemble(parts, linear, data)
        else:
            put(linear, self._model[1])

    def _unlabelled(self, data: Labelled, parts: Parts, linear: Linear) -> np.ndarray:
        """Logits (M, K) of pixels of the labelled images that nobody labelled."""
        found, few = [], unlabelled_points(len(data))
        for number in data.numbers:
            total, first = torch.from_numpy(linear.bias), 0
            for part in parts:
                key = number, part
                if key not in self._elsewhere:
                    self._elsewhere[key] = self.maps.at(number, part, anywhere(self.images.sizes[number]))
                width = self._elsewhere[key].shape[1]
                own = torch.from_numpy(linear.kernel[:, first : first + width]).float()
                total, first = total + torch.from_numpy(self._elsewhere[key][:few]) @ own.T, first + width
            found.append(total)
        return torch.cat(found).numpy()


def _checked_names(given: Sequence[str]) -> tuple[str, ...]:
    names = tuple(map(str, given))
    if isinstance(given, str) or len(set(names)) != len(names) or len(names) < 2:
        raise InputError(f"class_names are {given!r}; give a list of two names or more, all different")
    return names


def _asked(given: slice, length: int) -> range:
    """Which pixels a window has along one axis. Raises InputError if there is none, or it runs backwards."""
    start, stop, step = given.indices(length)
    if step < 1 or stop <= start:
        raise InputError(f"the window {given} has no pixel of the {length} that there are, or runs backwards")
    return range(start, stop, step)


def _rows(data: Labelled) -> str:
    """The labels as a table of image, x, y, class: by image, then row, then column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "x", "y", "class"])
    for path, number in zip(data.paths, data.numbers, strict=True):
        ids = [data.class_names[k] for k in data.strokes.ids(number)]
        writer.writerows(
            [path, *map(int, point), own] for point, own in zip(data.strokes.points(number), ids, strict=True)
        )
    return text.getvalue()
