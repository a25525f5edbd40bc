"""The learner behind the page: it follows the labels, and answers for what is looked at, in threads of its own.

One thread fits and answers; what is visible comes first, every few pixels, the whole of the image behind it, and a
stroke that comes meanwhile begins it all anew. Another makes maps of images ahead, of the one that is looked at first,
and takes the score when nothing else is to be done. Until the networks have seen an image, its own filters answer.
"""

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from threading import Condition, Event, RLock, Thread
from typing import Any

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.errors import InputError, printable
from pixelnet.learning.session import Score, Session
from pixelnet.nn.networks import FILTERS
from pixelnet.studio.answers import Answer
from pixelnet.studio.canvas import Box
from pixelnet.studio.project import Project

FIRST = 2**17  # pixels that are asked at once at first
QUIET = 3.0  # seconds without a stroke before a score is taken
AHEAD = 0.6  # of the memory for maps: what is made ahead stays below, so that nothing in use is dropped for it
FEWEST = 3  # folds that a score is told of: the spread of two says next to nothing
FOLLOWING = 3  # images behind the one that is looked at, whose maps are made ahead


class Following:
    """A session that follows a project's labels; `ids` are the project's numbers of its classes."""

    def __init__(self, session: Session, ids: list[int]) -> None:
        self.session, self.ids = session, np.array(ids, np.uint8)
        self.known: dict[int, int] = {}  # of each image the version of its labels that the session has
        self.version = -1  # of the project's that it was fitted to

    def take(self, project: Project) -> None:
        """Take over labels that have changed."""
        with project.lock:
            version = project.version
            changed = {number: own for number, own in project.versions().items() if self.known.get(number) != own}
            labels = {number: project.labels(number) for number in changed}
        for number, own in labels.items():
            rows, columns = np.nonzero(own != UNLABELLED)
            points = np.stack([columns, rows], axis=1)
            self.session.strokes.replace(number, points, np.searchsorted(self.ids, own[rows, columns]))
            self.known[number] = changed[number]
        if self.version != version:
            self.session.fit()
            self.version = version

    def fork(self) -> "Following":
        other = Following(self.session.fork(), self.ids.tolist())
        other.known, other.version = dict(self.known), self.version
        return other

    def has(self, image: int) -> bool:
        """Whether all maps of an image are at hand."""
        return all(self.session.maps.has(image, part) for part in self.session.parts)

    def can(self, image: int, versions: dict[int, int]) -> bool:
        """Whether it can follow the labels, and answer for an image, without making any maps."""
        seen = (self.has(number) or self.known.get(number) == own for number, own in versions.items())
        return self.has(image) and all(seen)


class Learner:
    """Begin to follow a project. told: is called with what has changed, from any thread."""

    def __init__(self, project: Project, told: Callable[[dict[str, Any]], None], networks: bool = True) -> None:
        self.project, self.told, self.networks = project, told, networks
        self.words, self.busy = "", False
        self.score: Score | None = None
        self.answers: dict[int, Answer] = {}
        self._base = Session([project.folder / path for path in project.paths], ("a", "b"))
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
            thread.join(timeout=30)

    def wake(self, stroke: bool = False) -> None:
        """There are other labels, or something else is looked at."""
        with self._changed:
            self._asked += 1
            if stroke:
                self._last_stroke = time.monotonic()
            self._changed.notify_all()

    def look(self, image: int, window: Box) -> None:
        """Say what is on screen, which is answered first. Raises InputError for an image that there is not."""
        self.project.canvas(image)
        if (image, window) != (self._looked_at, self._window):
            self._looked_at, self._window = image, window
            self.wake()

    def status(self) -> dict[str, Any]:
        """For the page: what it is doing, in words, and how good it would be."""
        ready = self._full is not None and self._full.has(self._looked_at)
        score = self.score and asdict(self.score)
        return {
            "type": "learner", "words": self.words, "score": score, "busy": self.busy, "networks": ready,
            "answers": bool(self.answers),
        }  # fmt: skip

    def ready(self) -> list[int]:
        """The images that can be asked at once."""
        maps, parts = self._base.maps, self._base.parts if self.networks else (FILTERS,)
        return [number for number in range(len(self.project.paths)) if all(maps.has(number, part) for part in parts)]

    def sure(self, image: int, step: int) -> np.ndarray | None:
        """How probable the answers at every few pixels of an image are, (h, w), 0 to 1; None if there are none."""
        with self._working:
            own = self._full if self.networks else self._quick
            if own is None or own.version < 0:
                return None
            return own.session.predict(image, (slice(None, None, step), slice(None, None, step)))[1]

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

    def _say(self, words: str, busy: bool = False) -> None:
        if (words, busy) != (self.words, self.busy):
            self.words, self.busy = words, busy
            self.told(self.status())

    def _learn(self, seen: int) -> None:
        """Fit, and answer for what is looked at, until something changes."""
        if self._answered(self.project.version):
            return
        labelled = sum(count > 0 for count in self.project.counts().values())
        if labelled < 2:
            self.answers.clear()
            self._say(_missing(len(self.project.classes), labelled))
            return
        image, window = self._looked_at, self._window
        if image in self.project.faults:
            self._say(self.project.faults[image])
            return
        with self._working:
            following = self._following()
            assert following is not None
            full, quick = following
            own = full if self.networks and full.can(image, self.project.versions()) else quick
            self._say("learning", busy=True)
            own.take(self.project)
        whole = Box(0, 0, *self.project.images.sizes[image])
        step = max(1, math.ceil(math.sqrt(window.width * window.height / FIRST)))
        self._answer(own, image, window, step)
        if (step, window) != (1, whole) and seen == self._asked:
            self._answer(own, image, whole, 1)
        waiting = own is quick and self.networks
        self._say("filters answer; the networks are still looking at this image" if waiting else "ready")

    def _answered(self, version: int) -> bool:
        answer = self.answers.get(self._looked_at)
        better = self.networks and self._full is not None and self._full.has(self._looked_at)
        size = self.project.images.sizes[self._looked_at]
        return (
            answer is not None
            and answer.version == version
            and answer.step == 1
            and answer.labels.shape == size[::-1]
            and not (answer.preview and better)
        )

    def _answer(self, own: Following, image: int, window: Box, step: int) -> None:
        rows = slice(window.y, window.y + window.height, step)
        columns = slice(window.x, window.x + window.width, step)
        with self._working:
            labels, chances = own.session.predict(image, (rows, columns))
        sure = (chances * 255).astype(np.uint8)
        preview = own is not self._full
        answer = Answer(own.version, image, window.x, window.y, step, own.ids[labels], sure, preview)
        self.answers[image] = answer
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
        """Make the next maps that will be wanted; with none to make, take the score."""
        image = self._looked_at
        with self.project.lock:
            labelled = [k for k, own in self.project.canvases.items() if own.done]
        ahead = [*range(image + 1, min(image + 1 + FOLLOWING, len(self.project.paths)))]
        maps, parts = self._base.maps, self._base.parts if self.networks else (FILTERS,)
        for number in dict.fromkeys([image, *labelled, *ahead]):
            if number in self.project.faults:
                continue
            for part in sorted(parts, key=lambda own: own != FILTERS):
                if maps.has(number, part) or (number not in (image, *labelled) and maps.share > AHEAD):
                    continue
                if number != image and number in labelled and self._full is not None and number in self._full.known:
                    continue
                try:
                    for tile in maps.missing(number, part):
                        if self._looked_at != image or self._ended.is_set():
                            return
                        maps.of(number, part, tile)
                except InputError as error:
                    self.project.fault(number, error)
                    return
                self.told({"type": "seen", "image": number, "part": part})
                self.wake()
                return
        full = self._full
        quiet = time.monotonic() - self._last_stroke > QUIET
        if full is not None and quiet and full.version == self.project.version and self._scored != full.version:
            self._judge(full)

    def _judge(self, full: Following) -> None:
        with self._working:
            fork = full.fork()
        score = fork.session.score()
        if score.folds < FEWEST:
            score = Score.of(())
        with self._working:
            self._scored = fork.version
            if self._full is full and full.version == fork.version and score.folds:
                self._full = fork  # whose confidence is that of the folds
                self.answers.clear()
        self.score = score
        self.told(self.status())
        self.wake()


def _missing(classes: int, labelled: int) -> str:
    if classes < 2:
        return "add two classes or more, then paint a little of each"
    return "paint a little of each class, at least two" if not labelled else "paint a little of another class, too"
