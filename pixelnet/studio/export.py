"""Taking home what was learnt: a folder with the model, what it says of every image, outlines, and a page that tells.

FOLDER/studio/export-N/model/                an ordinary model, labels.csv beside it
FOLDER/studio/export-N/predictions/          as `pixelnet predict` writes them, polygons and objects with them
FOLDER/studio/export-N/coco.json, labelme/, model.onnx   where they were asked for
FOLDER/studio/export-N/report.html
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pixelnet.data.pages import file_and_page, name_of
from pixelnet.errors import InputError, printable
from pixelnet.export.writing import export as write_onnx
from pixelnet.export.writing import require_libraries
from pixelnet.files import inside, read_text, write_atomic, write_json
from pixelnet.inference import polygons
from pixelnet.inference.answerer import Answerer, Asked, Item
from pixelnet.learning.session import LABELS
from pixelnet.model import PixelNet
from pixelnet.report import page
from pixelnet.runs.checkpoint import CONFIG, WEIGHTS
from pixelnet.runs.hub import load
from pixelnet.runs.learnt import IMAGES
from pixelnet.studio.learner import Learner
from pixelnet.studio.work import Work

REPORT = "report.html"
SHOWN = 6  # images in the report
SMALL = 640  # pixels, the longer side of pictures there
Maps = list[tuple[str, np.ndarray]]


class Wanted(NamedTuple):
    """What is written beside the model. outlines: of "geojson", "coco" and "labelme"; objects: a table of them.

    Of either, predictions are written as well. onnx: the model as one file that answers without this package.
    """

    predictions: bool
    outlines: tuple[str, ...]
    objects: bool
    onnx: bool = False

    @property
    def asks(self) -> bool:
        """Whether images have to be answered for it."""
        return bool(self.predictions or self.outlines or self.objects)


class Exporter(Work):
    """Write exports of the model that answers in the page."""

    kind = "export"
    busy = "an export is being written; wait until it is done"

    def start(self, wanted: Wanted) -> dict[str, Any]:
        """Begin; returns the status. Raises InputError as `Work`, and for what cannot be written."""
        if wanted.onnx:
            require_libraries()
        return self._begin(lambda: self._write(wanted), "fitting the model", folder="", command="")

    def report(self) -> str:
        """The page of what was written last. Raises InputError where nothing was."""
        if not self._state["folder"]:
            raise InputError("nothing was exported since the studio was started; export, then open the report")
        return read_text(Path(self._state["folder"]) / REPORT)

    def _write(self, wanted: Wanted) -> None:
        self.project.save()
        out = self.project.fresh("export")
        command, score = write_model(self.learner, out / "model")
        self._step(words="the model is written", done=0.1, command=command)
        model = load(out / "model")
        if wanted.onnx:
            self._step(words="writing model.onnx, and comparing it with the model")
            write_onnx(model, out / "model.onnx")
        maps: Maps = []
        pictures: list[list[page.Picture]] = []
        failures: list[str] = []
        if wanted.asks:
            for path, labels, shown in self._predicted(model, out / "predictions", wanted, failures):
                if {"coco", "labelme"} & set(wanted.outlines):
                    maps.append((path, labels))
                if len(pictures) < SHOWN:
                    pictures.append(shown)
        names = model.config.class_names
        if "coco" in wanted.outlines:
            self._step(words="writing coco.json")
            write_json(out / "coco.json", polygons.coco(maps, names))
        for path, labels in maps if "labelme" in wanted.outlines else ():
            place = inside(out, "labelme", f"{name_of(path)}.json")
            write_json(place, polygons.labelme(path, labels, names))
        write_atomic(out / REPORT, self._report(names, score, command, pictures, failures).encode())
        words = f"written: {out.relative_to(self.project.folder.parent)}"
        if failures:
            images = "1 image" if len(failures) == 1 else f"{len(failures)} images"
            words += f"; {images} could not be answered, and the report says why"
        self._say(words=words, done=1.0, folder=str(out))

    def _predicted(
        self, model: PixelNet, out: Path, wanted: Wanted, failures: list[str]
    ) -> Iterator[tuple[str, np.ndarray, list[page.Picture]]]:
        """For each image its path, its label map and two pictures, written on the way."""
        answerer = Answerer(model, out, None, Asked(polygons="geojson" in wanted.outlines, objects=wanted.objects))
        paths = self.project.paths
        for k, path in enumerate(paths):
            self._step(words=f"image {k + 1} of {len(paths)}", done=0.1 + 0.8 * k / len(paths))
            try:
                file, number = file_and_page(self.project.folder / path)
                written = answerer.answer(Item(PurePath(name_of(path)), file, number or 0))
            except InputError as error:
                failures.append(printable(f"{path}: {error}"))
                continue
            labels = model.task.read(written[0])
            step = max(1, max(labels.shape) // SMALL)
            photo = self.project.pictures.thumb(k, SMALL)
            said = Image.fromarray(model.task.paint(labels[::step, ::step])).resize(photo.shape[1::-1], 0)
            yield (
                path,
                labels,
                [
                    page.Picture(photo, path, "photo"),
                    page.Picture(np.asarray(said), "what the model says", "labels"),
                ],
            )

    def _report(
        self,
        names: Sequence[str],
        score: str,
        command: str,
        pictures: Sequence[Sequence[page.Picture]],
        failures: Sequence[str],
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
        if failures:
            parts.append(page.section("Not answered", *map(page.paragraph, failures)))
        return page.page(self.project.folder.name, "A model learnt from a few labelled pixels, in the studio.", parts)


def write_model(learner: Learner, out: Path) -> tuple[str, str]:
    """Write the model that answers in the page; returns the command that makes it again, and its score in words."""
    refined = learner.refined
    if refined is not None and learner.by_network:
        out.mkdir()
        for name in (CONFIG, WEIGHTS, IMAGES, LABELS):
            shutil.copyfile(refined.folder / name, out / name)
        return refined.command, refined.words
    session = learner.fitted()
    return session.save(out) or "", session.score().words
