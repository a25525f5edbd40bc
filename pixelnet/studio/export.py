"""Taking home what was learnt: a folder with the model, what it says of every image, outlines, and a page that tells.

FOLDER/studio/export-N/model/                an ordinary model, labels.csv beside it
FOLDER/studio/export-N/predictions/          as `pixelnet predict` writes them
FOLDER/studio/export-N/polygons.geojson      or coco.json, or labelme/, where they were asked for
FOLDER/studio/export-N/report.html
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from threading import Lock, Thread
from typing import Any

import numpy as np

from pixelnet.data.images import view_of
from pixelnet.errors import InputError, printable
from pixelnet.files import inside, write_atomic, write_json
from pixelnet.inference.answers import write_dense
from pixelnet.model import PixelNet
from pixelnet.report import page
from pixelnet.runs.hub import load
from pixelnet.studio import polygons
from pixelnet.studio.learner import Learner
from pixelnet.studio.project import Project

SHOWN = 6  # images in the report
Maps = list[tuple[str, np.ndarray]]


class Exporter:
    """Write exports, one at a time, in a thread of its own. told: is called with how far it is."""

    def __init__(self, project: Project, learner: Learner, told: Callable[[dict[str, Any]], None]) -> None:
        self.project, self.learner, self.told = project, learner, told
        self._lock, self._state = (
            Lock(),
            {"type": "export", "running": False, "words": "", "done": 0.0, "folder": "", "command": ""},
        )

    def status(self) -> dict[str, Any]:
        """For the page: whether it runs, how far it is (done, 0 to 1), and where it has written."""
        return dict(self._state)

    def start(self, predictions: bool, outlines: Sequence[str]) -> dict[str, Any]:
        """Begin; returns the status. Raises InputError where one runs already, or two classes have no labels."""
        if sum(count > 0 for count in self.project.counts().values()) < 2:
            raise InputError("there is no model yet; paint a little of two classes or more first")
        with self._lock:
            if self._state["running"]:
                raise InputError("an export is being written; wait until it is done")
            self._state |= {"running": True, "words": "fitting the model", "done": 0.0, "folder": "", "command": ""}
        Thread(target=self._run, args=(predictions, outlines), daemon=True).start()
        return self.status()

    def _say(self, **what: Any) -> None:
        self._state |= what
        self.told(self.status())

    def _run(self, predictions: bool, outlines: Sequence[str]) -> None:
        try:
            self._write(predictions, outlines)
        except InputError as error:
            self._say(running=False, words=printable(str(error)))
        except Exception:  # the page goes on, and says so
            traceback.print_exc()
            self._say(running=False, words="the export has failed; its message is where the studio was started")

    def _write(self, predictions: bool, outlines: Sequence[str]) -> None:
        number = next(k for k in range(1, 10**6) if not (self.project.own / f"export-{k}").exists())
        out = inside(self.project.own, f"export-{number}")
        session = self.learner.fitted()
        command = session.save(out / "model") or ""
        score = session.score().words
        self._say(words="the model is written", done=0.1, command=command)
        maps: Maps = []
        pictures: list[list[page.Picture]] = []
        if predictions or outlines:
            for picture, own in self._predicted(load(out / "model"), out / "predictions", predictions):
                maps.append(own)
                if len(pictures) < SHOWN:
                    pictures.append(picture)
        for kind in outlines:
            self._say(words=f"writing outlines for {kind}")
            _WRITERS[kind](out, maps, session.class_names)
        write_atomic(out / "report.html", self._report(session.class_names, score, command, pictures).encode())
        self._say(
            running=False, words=f"written: {out.relative_to(self.project.folder.parent)}", done=1.0, folder=str(out)
        )

    def _predicted(
        self, model: PixelNet, out: Path, kept: bool
    ) -> Iterator[tuple[list[page.Picture], tuple[str, np.ndarray]]]:
        """For each image two pictures and its label map; `kept`, written as well."""
        paths = self.project.paths
        for k, path in enumerate(paths):
            self._say(words=f"image {k + 1} of {len(paths)}", done=0.1 + 0.8 * k / len(paths))
            labels = model.predict(self.project.folder / path)
            photo = view_of(self.project.images[k], self.project.images.ranges)
            if kept:
                name = PurePath(path).with_suffix("")
                write_dense(out, name, photo, {"segmentation": labels}, model.task, "pixelnet")
            shown = [
                page.Picture(photo, path, "photo"),
                page.Picture(model.task.paint(labels), "what the model says", "labels"),
            ]
            yield shown, (path, labels)

    def _report(
        self, names: Sequence[str], score: str, command: str, pictures: Sequence[Sequence[page.Picture]]
    ) -> str:
        counts = self.project.counts().values()
        images = sum(self.project.state(k) != "unlabelled" for k in range(len(self.project.paths)))
        tally = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
        parts = [
            page.section(
                "What was labelled", page.paragraph(f"{images} of {len(self.project.paths)} images. Pixels of {tally}.")
            ),
            page.section("How good it is", page.paragraph(score.capitalize() + ".")),
        ]
        if command:
            parts.append(page.section("The same again", page.paragraph("Without the page:"), page.command(command)))
        if pictures:
            parts.append(page.section("What it says", page.comparison(("Image", "Answer"), pictures)))
        return page.page(self.project.folder.name, "A model learnt from a few labelled pixels, in the studio.", parts)


def _geojson(out: Path, maps: Maps, names: Sequence[str]) -> None:
    write_json(out / "polygons.geojson", polygons.geojson(maps, names))


def _coco(out: Path, maps: Maps, names: Sequence[str]) -> None:
    write_json(out / "coco.json", polygons.coco(maps, names))


def _labelme(out: Path, maps: Maps, names: Sequence[str]) -> None:
    for path, labels in maps:
        write_json(
            inside(out, "labelme", str(PurePath(path).with_suffix(".json"))), polygons.labelme(path, labels, names)
        )


_WRITERS: dict[str, Callable[[Path, Maps, Sequence[str]], None]] = {
    "geojson": _geojson,
    "coco": _coco,
    "labelme": _labelme,
}
