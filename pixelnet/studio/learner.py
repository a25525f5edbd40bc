"""The learner behind the page: it follows the labels, and answers for what is looked at, in threads of its own.

One thread fits and answers; what is visible comes first, every few pixels, the whole of the image behind it, and a
stroke that comes meanwhile begins it all anew. Another makes maps, of what is visible first, of images ahead behind it,
and takes the score when nothing else is to be done. Until the networks have seen an image, its own filters answer. Of
an image whose maps are more than can be held, what is visible is answered, and no more.
"""

import math
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Condition, Event, RLock, Thread
from typing import Any, NamedTuple

import numpy as np

from pixelnet.devices import step_back
from pixelnet.errors import InputError, printable
from pixelnet.learning.fit import Priors
from pixelnet.learning.session import Score, Session
from pixelnet.learning.tiles import Tile, tiles_of
from pixelnet.model import PixelNet
from pixelnet.nn.networks import FILTERS
from pixelnet.studio.answers import Answer
from pixelnet.studio.canvas import Box
from pixelnet.studio.following import Following, tiles_in
from pixelnet.studio.images import LARGE
from pixelnet.studio.project import Project

FIRST = 2**17  # pixels that are asked at once at first
QUIET = 3.0  # seconds without a stroke before a score is taken
STILL = 0.4  # seconds that a part of a large image has been on screen before maps are made of it
AHEAD = 0.6  # of the memory for maps: what is made ahead stays below, so that nothing in use is dropped for it
MOST = 0.5  # of the memory for maps, that those of what is visible may take
FEWEST = 3  # folds that a score is told of: the spread of two says next to nothing
FOLLOWING = 3  # images behind the one that is looked at, whose maps are made ahead


class Refined(NamedTuple):
    """A network that has learnt itself. ids: the project's numbers of its classes, (K,). folder: of the model."""

    model: PixelNet
    ids: np.ndarray
    folder: Path
    command: str
    words: str


class _Late(Exception):
    """There are other labels than those that a score is taken of."""


class Learner:
    """Begin to follow a project. told: is called with what has changed, from any thread. device: of networks."""

    def __init__(
        self, project: Project, told: Callable[[dict[str, Any]], None], networks: bool = True, device: str = "cpu"
    ) -> None:
        self.project, self.told, self.networks, self.device = project, told, networks, device
        self.words, self.busy, self.hint = "", False, False
        self.score: Score | None = None
        self.answers: dict[int, Answer] = {}
        self._who, self._by = 0, dict[int, int]()  # who is to answer, by number, and who has, of each image
        self.refined: Refined | None = None
        self.by_network = False
        large = any(map(project.pictures.is_large, range(len(project.paths))))
        # Of a scene nobody waits until all of it is seen, which alone tells how common its classes are.
        priors: Priors = "labels" if large else "estimated"
        images = [project.folder / path for path in project.paths]
        self._base = Session(images, ("a", "b"), priors=priors, device=device)
        self._quick: Following | None = None
        self._full: Following | None = None
        self._looked_at, self._window = 0, Box(0, 0, *project.images.sizes[0])
        self._changed, self._last_stroke, self._scored = Condition(), 0.0, -1
        self._working = RLock()  # of the sessions
        self._ended, self._asked = Event(), 1
        self._threads = [Thread(target=self._run, args=(work,), daemon=True) for work in (self._learn, self._prepare)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        self.wake()
        for thread in self._threads:
            thread.join()

    def wake(self, stroke: bool = False) -> None:
        """There are other labels, or something else is looked at."""
        with self._changed:
            self._asked += 1
            if stroke:
                self._last_stroke = time.monotonic()
                self.by_network = False  # the fit alone follows
                if self.refined is not None and self.refined.ids.tolist() != self.project.classes.ids:
                    self.refined = None
            self._changed.notify_all()

    def refine(self, refined: "Refined | None", by_network: bool = True) -> None:
        """Answer by a network that has learnt itself, or by the fit, which follows the strokes."""
        self.refined, self.by_network = refined, refined is not None and by_network
        self._who += 1
        self.wake()

    def look(self, image: int, window: Box) -> None:
        """Say what is on screen, which is answered first. Raises InputError for an image that there is not."""
        self.project.canvas(image)
        if (image, window) != (self._looked_at, self._window):
            self._looked_at, self._window = image, window
            self.wake()

    def status(self) -> dict[str, Any]:
        """For the page: what it is doing, in words, and how good it would be."""
        ready = self._full is not None and not self._full.missing(self._looked_at, self._visible())
        score = self.score and asdict(self.score)
        return {
            "type": "learner", "words": self.words, "score": score, "busy": self.busy, "hint": self.hint,
            "networks": ready, "answers": bool(self.answers), "refined": self.refined is not None,
            "by_network": self.by_network,
        }  # fmt: skip

    def ready(self) -> list[int]:
        """The images all of which can be asked at once."""
        maps, parts = self._base.maps, self._parts()
        return [number for number in range(len(self.project.paths)) if all(maps.has(number, part) for part in parts)]

    def sure(self, image: int, step: int) -> np.ndarray | None:
        """How probable the answers at every few pixels of an image are, (h, w), 0 to 1; None if there are none."""
        with self._working:
            own = self._full if self.networks else self._quick
            if own is None or own.version < 0:
                return None
            return own.session.predict(image, (slice(None, None, step), slice(None, None, step)))[1]

    def seen(self) -> Answer | None:
        """What is answered of an image that is more than can be answered whole, and is looked at."""
        return self.answers.get(self._looked_at) if self._is_heavy(self._looked_at) else None

    def _parts(self) -> tuple[str, ...]:
        return self._base.parts if self.networks else (FILTERS,)

    def _is_heavy(self, image: int) -> bool:
        """Whether an image's maps are more than may be held beside others', or it is too large to be shown whole."""
        width, height = self.project.images.sizes[image]
        return self.project.pictures.is_large(image) or self._bytes(width * height) > AHEAD

    def _bytes(self, pixels: int) -> float:
        """The maps of so many pixels, as a share of what is held."""
        return pixels * sum(map(self._base.maps.weight, self._parts())) / self._base.maps.most

    def _visible(self) -> list[Tile]:
        """The tiles that are answered of the image that is looked at: all, or of a heavy one those on screen."""
        size = self.project.images.sizes[self._looked_at]
        return tiles_in(size, self._window if self._is_heavy(self._looked_at) else Box(0, 0, *size))

    def fitted(self) -> Session:
        """A session of its own, fitted to all labels by all that describes a pixel; it takes its time.

        Raises InputError where fewer than two classes are labelled.
        """
        with self._working:
            following = self._following()
            if following is None or sum(count > 0 for count in self.project.counts().values()) < 2:
                raise InputError("label pixels of two classes first")
            own = following[not self.networks].fork()
        own.take(self.project)
        own.session.score()
        return own.session

    # -------------------------------------------------------------------------------------- two threads

    def _run(self, work: Callable[[int], None]) -> None:
        if work == self._prepare:
            step_back()  # a view, and an answer, are waited for
        seen = 0
        while not self._ended.is_set():
            with self._changed:
                if self._asked == seen and not self._ended.is_set():
                    self._changed.wait(QUIET)
                seen = self._asked
            try:
                work(seen)
            except InputError as error:
                self._say(printable(str(error)))
            except Exception:  # the page goes on, and says that the learner does not
                traceback.print_exc()
                self._say("the learner has stumbled; its message is where the studio was started. The labels are safe")

    def _say(self, words: str, busy: bool = False, hint: bool = False) -> None:
        """hint: there is something for people to do."""
        if (words, busy, hint) != (self.words, self.busy, self.hint):
            self.words, self.busy, self.hint = words, busy, hint
            self.told(self.status())

    def _learn(self, seen: int) -> None:
        """Fit, and answer for what is looked at, until something changes."""
        if self._answered(self.project.version):
            return
        labelled = sum(count > 0 for count in self.project.counts().values())
        if labelled < 2:
            self.answers.clear()
            self._say(_missing(len(self.project.classes), labelled), hint=True)
            return
        image, window, tiles = self._looked_at, self._window, self._visible()
        if image in self.project.faults:
            self._say(self.project.faults[image], hint=True)
            return
        if self.refined is not None and self.by_network:
            self._answer_refined(self.refined, image)
            return
        if self._bytes(sum(tile.pixels for tile in tiles)) > MOST and self._is_heavy(image):
            self.answers.pop(image, None)
            self._say("zoom in: so much of this image is not answered at once", hint=True)
            return
        own, waiting = self._taken(image, tiles)
        size = self.project.images.sizes[image]
        whole = Box(0, 0, *size)
        step = max(1, math.ceil(math.sqrt(window.width * window.height / FIRST)))
        self._answer(own, image, window, step)
        if not self._is_heavy(image) and (step, window) != (1, whole) and seen == self._asked:
            self._answer(own, image, whole, 1)
        elif self._is_heavy(image) and step > 1 and window.width * window.height <= LARGE and seen == self._asked:
            self._answer(own, image, window, 1)
        self._say("filters answer; the networks are still looking at this image" if waiting else "ready")

    def _taken(self, image: int, tiles: list[Tile]) -> tuple[Following, bool]:
        """Who can answer for these tiles now, with all labels taken over, and whether it is only for the time being."""
        with self._working:
            following = self._following()
            assert following is not None
            full, quick = following
            own = full if self.networks and full.can(image, tiles, self.project) else quick
            self._say("learning", busy=True)
            own.take(self.project)
        return own, own is quick and self.networks

    def _answered(self, version: int) -> bool:
        image, window = self._looked_at, self._window
        answer = self.answers.get(image)
        better = self.networks and self._full is not None and not self._full.missing(image, self._visible())
        wanted = window if self._is_heavy(image) else Box(0, 0, *self.project.images.sizes[image])
        fine = window.width * window.height <= LARGE
        return (
            answer is not None
            and self._by.get(image) == self._who
            and answer.version == version
            and (answer.step == 1 or (self._is_heavy(image) and not fine))
            and answer.covers(wanted)
            and not (answer.preview and better)
        )

    def _answer_refined(self, refined: Refined, image: int) -> None:
        """Answer by the network that has learnt itself, whatever was painted since."""
        who = self._who
        self._say("the network looks at this image", busy=True)
        chances = refined.model.predict(self.project.images.read(image), probabilities=True)
        labels, sure = chances.argmax(axis=2).astype(np.uint8), (chances.max(axis=2) * 255).astype(np.uint8)
        answer = Answer(self.project.version, image, 0, 0, 1, refined.ids[labels], sure, False)
        self._keep(answer, who)
        self._say("ready")

    def _answer(self, own: Following, image: int, window: Box, step: int) -> None:
        rows = slice(window.y, window.y + window.height, step)
        columns = slice(window.x, window.x + window.width, step)
        with self._working:
            who = self._who
            labels, chances = own.session.predict(image, (rows, columns))
        sure = (chances * 255).astype(np.uint8)
        preview = own is not self._full
        answer = Answer(own.version, image, window.x, window.y, step, own.ids[labels], sure, preview)
        self._keep(answer, who)

    def _keep(self, answer: Answer, who: int) -> None:
        """An answer of those before stays on screen until there is one of who is to answer now."""
        self.answers[answer.image], self._by[answer.image] = answer, who
        self.told({"type": "answer"} | answer.head())

    def _following(self) -> tuple[Following, Following] | None:
        """The full session and the quick one, begun anew where there are other classes; None for fewer than two."""
        with self.project.lock:
            ids, names = self.project.classes.ids, self.project.classes.names
        if len(ids) < 2:
            return None
        if self._full is None or self._quick is None or self._full.ids.tolist() != ids:
            self._full = Following(self._base.fork(names), ids)
            self._quick = Following(self._base.fork(names, FILTERS), ids)
        for own in (self._full, self._quick):
            own.session.class_names = own.session.strokes.class_names = tuple(names)
        return self._full, self._quick

    def _prepare(self, seen: int) -> None:
        """Make the next maps that will be wanted, and read labels by them; with none to make, take the score."""
        image = self._looked_at
        for number, tiles in self._wanted(image):
            if number in self.project.faults:
                continue
            try:
                done = self._make(image, number, tiles)
            except InputError as error:
                self.project.fault(number, error)
                return
            if done:
                self.wake()
                return
        full = self._full
        quiet = time.monotonic() - self._last_stroke > QUIET
        if full is not None and quiet and full.version == self.project.version and self._scored != full.version:
            self._judge(full)

    def _make(self, image: int, number: int, tiles: list[Tile]) -> bool:
        """Make the first maps of an image that are missing, while this one is looked at; whether there were any."""
        maps, window, heavy = self._base.maps, self._window, self._is_heavy(image)
        for part in sorted(self._parts(), key=lambda own: own != FILTERS):
            missing = [tile for tile in maps.missing(number, part) if tile in tiles]
            if missing and heavy:
                self._ended.wait(STILL)
            for tile in missing:
                if self._looked_at != image or (heavy and self._window != window) or self._ended.is_set():
                    return True
                maps.of(number, part, tile)
            if missing:
                self.told({"type": "seen", "image": number, "part": part})
                return True
        full = self._full
        whole = number == image and not self._is_heavy(image)  # whose labels the next answer takes over
        if full is None or whole or number not in full.unread(self.project):
            return False
        with self._working:
            full.read(self.project, number)
        return True

    def _wanted(self, image: int) -> Iterator[tuple[int, list[Tile]]]:
        """Images, and tiles of them that are to be at hand: what is visible, what is to be read, what comes next."""
        sizes, tiles = self.project.images.sizes, self._visible()
        if self._bytes(sum(tile.pixels for tile in tiles)) <= MOST or not self._is_heavy(image):
            yield image, tiles
        if self._full is not None:
            yield from self._full.unread(self.project).items()
        for number in range(image + 1, min(image + 1 + FOLLOWING, len(self.project.paths))):
            if self._base.maps.share < AHEAD and not self._is_heavy(number):
                yield number, tiles_of(sizes[number])

    def _judge(self, full: Following) -> None:
        with self._working:
            fork = full.fork()

        def between() -> None:
            if self.project.version != fork.version or self._ended.is_set():
                raise _Late

        try:
            score = fork.session.score(between)
        except _Late:
            return  # the answer to the stroke that came needs the processor
        if score.folds < FEWEST:
            score = Score.of(())
        with self._working:
            self._scored = fork.version
            if self._full is full and full.version == fork.version and score.folds:
                self._full = fork  # whose confidence is that of the folds
                self._who += 1
        self.score = score
        self.told(self.status())
        self.wake()


def _missing(classes: int, labelled: int) -> str:
    if classes < 2:
        return "add two classes or more, then paint a little of each"
    return "paint a little of each class, at least two" if not labelled else "paint a little of another class, too"
