"""Many images at once: read ahead, seen in batches of one size, written in the background.

    items --threads--> photos --the model, batch by batch--> answers --threads--> files

Decoders and encoders of pictures let other threads run, so that the model seldom waits for either. In a batch of
another size, an image's answer may differ in its last bits.
"""

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from pixelnet.errors import InputError
from pixelnet.inference.answerer import Answerer, Answers, Photo
from pixelnet.inference.inputs import Item

READERS = WRITERS = 2  # threads
PIXELS = 5 * 2**18  # that are seen in one pass, of images that are not larger: eight of 400 x 400
WAITING = 4  # so many times as much is in memory at once, read, to be seen or to be written
NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)  # what no other image would fare better with

BATCH_SIZE = 8  # on a GPU

Result = tuple[Item, list[Path] | InputError]


def batch_size_on(device: torch.device) -> int:
    """How many images of one size are best seen in one pass."""
    return 1 if device.type == "cpu" else BATCH_SIZE


def stream(
    answerer: Answerer, items: Iterable[Item], batch_size: int, note: Callable[[Item, list[Path]], None] | None = None
) -> Iterator[Result]:
    """The files of each image's answers, or why it has none, in the order in which they are ready.

    note: is told of each image as soon as its files are whole, from any thread.

    Raises InputError where nothing more can be written, such as on a full disk; what was written before is whole.
    """
    threads = torch.get_num_threads()
    reading, writing = (ThreadPoolExecutor(count, initializer=_apart) for count in (READERS, WRITERS))
    try:
        yield from _Course(answerer, batch_size, note, reading, writing).run(items)
    finally:  # whoever is stopped waits for what is begun, and begins no more
        reading.shutdown(cancel_futures=True)
        writing.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # of threads that are yet to come


def _apart() -> None:
    """Keep this thread out of the model's way, each of whose layers waits for the slowest of its threads.

    torch would have it lead as many threads as the model has, and they wait for work by turning on the spot.
    """
    torch.set_num_threads(1)


class _Course:
    def __init__(
        self,
        answerer: Answerer,
        batch_size: int,
        note: Callable[[Item, list[Path]], None] | None,
        reading: ThreadPoolExecutor,
        writing: ThreadPoolExecutor,
    ) -> None:
        self.answerer, self.batch_size, self.note = answerer, batch_size, note
        self.reading, self.writing = reading, writing
        self.largest = 0  # pixels of an image, of those that were read
        self.seen: dict[object, list[Photo]] = {}  # to be seen, by their form
        self.written: deque[tuple[Item, Future[list[Path]]]] = deque()

    @property
    def ahead(self) -> int:
        """How many images may be in memory at once in each of the three places."""
        if not self.largest:
            return READERS
        return max(READERS, min(WAITING * self.batch_size, WAITING * PIXELS // self.largest))

    def run(self, items: Iterable[Item]) -> Iterator[Result]:
        read: deque[tuple[Item, Future[Photo | None]]] = deque()
        for item in items:
            read.append((item, self.reading.submit(self.answerer.read, item)))
            if len(read) >= self.ahead:
                yield from self._take(*read.popleft())
        while read:
            yield from self._take(*read.popleft())
        while self.seen:
            self._see(next(iter(self.seen)))
        yield from self._ready(0)

    def _take(self, item: Item, reading: "Future[Photo | None]") -> Iterator[Result]:
        """What was read: it waits for others of its form, or is answered on its own."""
        try:
            photo = reading.result()
            if photo is None:
                yield item, self._noted(item, self.answerer.answer(item))
                return
        except InputError as error:
            yield item, _bearable(error)
            return
        self.largest = max(self.largest, photo.image.width * photo.image.height, photo.pixels)
        alike = self.seen.setdefault(photo.form, [])
        alike.append(photo)
        if len(alike) >= self.batch_size or (len(alike) + 1) * photo.pixels > PIXELS:
            self._see(photo.form)
        elif sum(map(len, self.seen.values())) >= self.ahead:
            self._see(next(iter(self.seen)))  # which have waited longest
        yield from self._ready(self.ahead)

    def _see(self, form: object) -> None:
        photos = self.seen.pop(form)
        for photo, answers in zip(photos, self.answerer.see(photos), strict=True):
            photo.look.views.clear()  # which are large, and seen
            self.written.append((photo.item, self.writing.submit(self._write, photo, answers)))

    def _write(self, photo: Photo, answers: Answers) -> list[Path]:
        return self._noted(photo.item, self.answerer.write(photo, answers))

    def _noted(self, item: Item, written: list[Path]) -> list[Path]:
        if self.note is not None:
            self.note(item, written)
        return written

    def _ready(self, most: int) -> Iterator[Result]:
        """What is written by now; waits until no more than so many are still to be."""
        while self.written and (len(self.written) > most or self.written[0][1].done()):
            item, writing = self.written.popleft()
            try:
                yield item, writing.result()
            except InputError as error:
                yield item, _bearable(error)


def _bearable(error: InputError) -> InputError:
    """The error of one image. Raises it if it would be that of any other, too."""
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_PLACE:
        raise error
    return error
