"""A folder that is being labelled: its images, classes and labels, each change of which is on disk before it counts.

FOLDER/dataset.json                 what `folder:` reads; studio/dataset.json where the folder has one of its own
FOLDER/studio/labels/IMAGE.png      label maps, 255 where nothing is labelled, written soon after a change
FOLDER/studio/journal.jsonl         all that was done, from which everything is made again when the folder is opened
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.drawn.shapes import Patch
from pixelnet.data.folder.form import FILE, ClassForm, Form, to_text
from pixelnet.data.pages import file_and_page, name_of
from pixelnet.errors import InputError
from pixelnet.files import inside, write_atomic, write_png
from pixelnet.learning.strokes import Images
from pixelnet.studio.before import Found, labelled_before
from pixelnet.studio.canvas import Box, Canvas, brushed, outlined, packed, unpacked
from pixelnet.studio.classes import Class, Classes
from pixelnet.studio.images import LARGE, OWN, Listed, Pictures, in_words, listed, named, readable, stamp
from pixelnet.studio.journal import Journal, Record

Change = dict[str, Any]  # what is told to all that look on


class Project:
    """Open a folder. `told` is called with each change from then on, whoever makes it.

    Raises InputError for a folder without an image, or a journal that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.own, self.lock = folder, inside(folder, OWN), RLock()
        self.told: Callable[[Change], None] = lambda change: None
        given = Found() if (self.own / "journal.jsonl").exists() else labelled_before(folder)
        self.notice = given.fault and f"The labels in this folder were not taken over: {in_words(given.fault, folder)}"
        passed = {path for own in given.labelled for path in own.files[1:]}
        self.images: Images
        self.images, self.listed = readable(folder, listed(folder, passed))
        self.paths = [own.path for own in self.listed if not own.fault]
        self._numbers = {path: number for number, path in enumerate(self.paths)}
        self.key = named(folder)  # by which a page knows that it is another folder's
        self._stamps = {own.path: stamp(file_and_page(folder / own.path)[0]) for own in self.listed}
        self.pictures = Pictures(self.images, self.own / "overviews")
        self.classes, self.version = Classes(), 0
        self.canvases: dict[int, Canvas] = {}
        self.finished: set[int] = set()
        self.faults: dict[int, str] = {}  # of images whose pixels cannot be read, although their headers can
        self._seen: set[str] = set()  # the ids of operations, which are not done twice
        self._unsaved: set[int] = set()
        self._stopped = ""  # why no more can be done
        self._form_unsaved = True
        self._ours = self._form_is_ours()
        self.journal = Journal(self.own)
        self.missing: set[str] = set()  # images that were labelled, and are no more there; the journal keeps theirs
        for record in self.journal.records:
            if record.get("image", self.paths[0]) in self._numbers:
                self._apply(record)
            else:
                self.missing.add(record["image"])
        if not self.journal.records:
            self._take(given)
        self._unsaved.update(self.canvases)

    # ----------------------------------------------------------------------------------- what is there

    def canvas(self, number: int) -> Canvas:
        """An image's. Raises InputError for an image that there is not."""
        if not 0 <= number < len(self.paths):
            raise InputError(f"there is no image {number}; there are {len(self.paths)}, from 0 on")
        if number not in self.canvases:
            self.canvases[number] = Canvas(*self.images.sizes[number])
        return self.canvases[number]

    def labels(self, number: int, box: Box | None = None, step: int = 1) -> np.ndarray:
        """What is labelled of an image, or of a part of it, by now: uint8 (h, w); see `Canvas.read`."""
        with self.lock:
            return self.classes.now(self.canvas(number).read(box, step))

    def labelled(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Where an image's labels are, (P, 2) as (x, y), and what they are by now: (P,)."""
        with self.lock:
            points, ids = self.canvas(number).labelled()
            ids = self.classes.now(ids)
            return points[ids != UNLABELLED], ids[ids != UNLABELLED]

    def inside(self, number: int, box: Box) -> Box:
        """What of a part lies in the image, at least a pixel. Raises InputError for an image that there is not."""
        canvas = self.canvas(number)
        left, top = min(box.x, canvas.width - 1), min(box.y, canvas.height - 1)
        return Box(left, top, min(box.width, canvas.width - left), min(box.height, canvas.height - top))

    def part(self, number: int, box: Box, step: int) -> Box:
        """The same, of what is asked for at once. Raises InputError where that is too much."""
        found = self.inside(number, box)
        asked = -(-found.width // step) * -(-found.height // step)
        if asked > LARGE:
            raise InputError(f"these are {asked:,} pixels, and up to {LARGE:,} are sent at once; ask for fewer of them")
        return found

    def counts(self) -> dict[int, int]:
        """Labelled pixels of each class."""
        with self.lock:
            total = sum((own.counts for own in self.canvases.values()), np.zeros(256, np.int64))
            now = np.bincount(self.classes.now(np.arange(256, dtype=np.uint8)), total, 256).astype(int)
            return {number: int(now[number]) for number in self.classes.ids}

    def versions(self) -> dict[int, int]:
        """Of each image that has or had labels, when they last changed."""
        with self.lock:
            return {number: own.version for number, own in self.canvases.items() if own.version}

    def state(self, number: int) -> str:
        canvas = self.canvases.get(number)
        if number in self.faults:
            return "broken"
        if number in self.finished:
            return "done"
        return "labelled" if canvas is not None and canvas.done else "unlabelled"

    def describe(self) -> dict[str, Any]:
        """All that a page needs to begin with."""
        with self.lock:
            return {
                "project": self.key,
                "folder": self.folder.name,
                "notice": self.notice,
                "version": self.version,
                "images": [self._entry(own) for own in self.listed],
                "channels": list(self.pictures.channels),
                "classes": self.classes.listed(),
                "counts": self.counts(),
            }

    def _entry(self, own: Listed) -> dict[str, Any]:
        number = self._numbers.get(own.path)
        told: dict[str, Any] = {"path": own.path, "number": number, "width": own.width, "height": own.height}
        fault = own.fault if number is None else self.faults.get(number, "")
        told["stamp"] = self._stamps[own.path]
        told["large"] = number is not None and self.pictures.is_large(number)
        return told | {"fault": fault, "state": "broken" if number is None else self.state(number)}

    def read(self, number: int, reading: Callable[[], bytes]) -> bytes:
        """What is read of an image's pixels. Raises InputError where they cannot be, and tells all pages."""
        try:
            return reading()
        except InputError as error:
            self.fault(number, error)
            raise

    def fault(self, number: int, error: InputError) -> None:
        """Note that an image cannot be read after all."""
        self.faults[number] = in_words(error, self.folder)
        self.told({"type": "state", "image": number, "state": "broken", "fault": self.faults[number]})

    # ------------------------------------------------------------------------------------ what is done

    def do(self, record: Record) -> Change | None:
        """Do what a record says; when this returns, it is on disk. None where it was done before, or changes nothing.

        Raises InputError for what cannot be done; nothing is written then.
        """
        with self.lock:
            if record["id"] in self._seen:
                return None
            if self._stopped:
                raise InputError(self._stopped)
            change = self._apply(record)
            try:
                end = self.journal.write(record)
            except InputError as error:  # what is in memory is ahead of the disk, where nothing may follow then
                self._stopped = f"{error}; then start the studio again: all that was acknowledged is there"
                raise InputError(self._stopped) from error
            if change is not None:
                self.told(change | {"id": record["id"]})
        self.journal.sync(end)
        return change

    def stroke(
        self, number: int, tool: str, label: int | None, points: list[tuple[float, float]], **more: Any
    ) -> Change | None:
        """A line of the brush, or an area with an outline; without a class what was labelled there is erased."""
        return self.do({"do": tool, "image": self.paths[number], "class": label, "points": points, **more})

    def patch(self, number: int, tool: str, patch: Patch, values: np.ndarray, key: str) -> Change | None:
        """Pixels with a class each: those of an answer that somebody accepts."""
        known = np.where(patch.mask, values, UNLABELLED).astype(np.uint8)
        place = [patch.left, patch.top]
        return self.do(
            {"do": "patch", "tool": tool, "image": self.paths[number], "at": place, "map": packed(known), "id": key}
        )

    def _apply(self, record: Record) -> Change | None:
        """Do what a record says, in memory. Raises InputError, with nothing done, where it cannot be done."""
        change = _DO[record["do"]](self, record)
        self._seen.add(record["id"])
        return change

    def _painted(self, number: int, box: Box | None) -> Change | None:
        if box is None:
            return None
        self.version += 1
        canvas = self.canvases[number]
        canvas.version = self.version
        self._unsaved.add(number)
        return {
            "type": "labels", "image": number, "box": list(box), "version": self.version, "state": self.state(number),
            "undo": len(canvas.done), "redo": len(canvas.undone),
        }  # fmt: skip

    def _brush(self, record: Record) -> Change | None:
        number = self._number(record)
        canvas, points = self.canvas(number), record["points"]
        if record["do"] == "polygon":
            patch = outlined(points, canvas.width, canvas.height)
        else:
            patch = brushed(points, record["radius"], canvas.width, canvas.height)
        label = UNLABELLED if record["class"] is None else self.classes[record["class"]].id
        return self._painted(number, canvas.paint(patch, label))

    def _patch(self, record: Record) -> Change | None:
        number = self._number(record)
        values, (left, top) = unpacked(record["map"]), record["at"]
        return self._painted(number, self.canvas(number).paint(Patch(top, left, values != UNLABELLED), values))

    def _undo(self, record: Record) -> Change | None:
        number = self._number(record)
        return self._painted(number, self.canvas(number).undo())

    def _redo(self, record: Record) -> Change | None:
        number = self._number(record)
        return self._painted(number, self.canvas(number).redo())

    def _mark(self, record: Record) -> Change:
        number = self._number(record)
        (self.finished.add if record["done"] else self.finished.discard)(number)
        return {"type": "state", "image": number, "state": self.state(number)}

    def _class(self, record: Record) -> Change:
        if record.get("class") is None:  # a new one: its number is the next in the journal's order
            self.classes.put(self.classes.fresh(record["name"], record.get("color")))
        else:
            old = self.classes[record["class"]]
            self.classes.put(self.classes.checked(Class(old.id, record["name"], record.get("color") or old.color)))
        return self._classes_changed()

    def _drop(self, record: Record) -> Change:
        gone, into = self.classes[record["class"]], record.get("into")
        if into == gone.id:
            raise InputError(f"{gone.name} cannot be merged into itself; choose another class")
        self.classes.drop(gone.id, UNLABELLED if into is None else self.classes[into].id)
        for canvas in self.canvases.values():
            canvas.version = self.version + 1
        self._unsaved.update(self.canvases)
        return self._classes_changed()

    def _classes_changed(self) -> Change:
        self.version += 1
        self._form_unsaved = True
        return {"type": "classes", "classes": self.classes.listed(), "version": self.version}

    def _number(self, record: Record) -> int:
        return self._numbers[record["image"]]

    # ------------------------------------------------------------------------------------ what is kept

    def _take(self, given: Found) -> None:
        """Begin with labels that the folder has already."""
        stamp = f"import-{time.time_ns()}"
        for k, name in enumerate(given.classes):
            self.do({"do": "class", "name": name.replace(",", " ")[:60], "id": f"{stamp}-class-{k}"})
        for k, (labels, page, paths) in enumerate(given.labelled):
            path = paths[0].relative_to(self.folder).as_posix()
            number = self._numbers.get(f"{path}[{page}]", self._numbers.get(path))
            if number is not None and (labels != UNLABELLED).any():
                self.patch(number, "import", Patch(0, 0, labels != UNLABELLED), labels, f"{stamp}-{k}")

    def save(self, large: bool = True) -> None:
        """Write the label maps that have changed, and dataset.json. Raises InputError where it cannot be written.

        large: those of large images, too, which takes seconds.
        """
        with self.lock:
            numbers = {own for own in self._unsaved if large or not self.pictures.is_large(own)}
            self._unsaved -= numbers
            maps = [(self._map_of(number), self.labels(number)) for number in sorted(numbers)]
            form = self._form(None if self._ours else "..", self.own / "labels") if self._form_unsaved else None
            self._form_unsaved = False
        try:
            for path, labels in maps:
                if (labels != UNLABELLED).any():
                    write_png(path, labels)
                else:
                    path.unlink(missing_ok=True)
            if form is not None and len(self.classes):
                write_atomic((self.folder if self._ours else self.own) / FILE, to_text(form).encode())
        except InputError:
            with self.lock:
                self._unsaved |= numbers
                self._form_unsaved = True
            raise

    def snapshot(self, folder: Path) -> Path:
        """Write the labels as they are now into a folder of its own, which stays as it is; returns its dataset.json."""
        with self.lock:
            maps = {self.paths[number]: self.labels(number) for number in self.versions()}
            form = self._form("/".join([".."] * len(folder.relative_to(self.folder).parts)), folder / "labels")
        for path, labels in maps.items():
            if (labels != UNLABELLED).any():
                write_png(inside(folder, "labels", f"{name_of(path)}.png"), labels)
        write_atomic(folder / FILE, to_text(form).encode())
        return folder / FILE

    def fresh(self, name: str) -> Path:
        """A folder of the studio's own, made now: NAME-1, or the next that there is not."""
        number = next(k for k in range(1, 10**6) if not (self.own / f"{name}-{k}").exists())
        made = inside(self.own, f"{name}-{number}")
        made.mkdir()
        return made

    def close(self) -> None:
        """Write what has changed, and end."""
        self.save()
        self.journal.close()

    def _form_is_ours(self) -> bool:
        """Whether the folder has no dataset.json of its own; ours speaks of the studio's label maps."""
        with suppress(OSError):
            return f'"{OWN}/labels/' in (self.folder / FILE).read_text(encoding="utf-8", errors="replace")
        return True

    def _form(self, root: str | None, labels: Path) -> Form:
        """What dataset.json says. root: of the images, from where it lies; labels: the folder of label maps."""
        endings = sorted({file_and_page(path)[0].suffix for path in self.paths})
        return Form(
            root=root,
            task="segmentation",
            images=tuple(f"**/*{ending}" for ending in endings),
            labels=(f"{labels.relative_to(self.folder).as_posix()}/{{path}}.png",),
            classes=tuple(
                ClassForm(own.name, (own.id,), tuple(bytes.fromhex(own.color[1:])))  # type: ignore[arg-type]
                for own in self.classes
            ),
            unlabelled=(UNLABELLED,),
            missing_labels="skip",
        )

    def _map_of(self, number: int) -> Path:
        return inside(self.own, "labels", f"{name_of(self.paths[number])}.png")


_DO: dict[str, Callable[[Project, Record], Change | None]] = {
    "brush": Project._brush,
    "polygon": Project._brush,
    "patch": Project._patch,
    "undo": Project._undo,
    "redo": Project._redo,
    "mark": Project._mark,
    "class": Project._class,
    "drop": Project._drop,
}
