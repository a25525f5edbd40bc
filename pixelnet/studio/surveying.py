"""How good the model really is: a survey of pixels drawn by chance, which somebody looks at in the page.

FOLDER/studio/survey-N/model/    what is measured
FOLDER/studio/survey-N/          as `pixelnet measure plan` writes it, with report.html once there are answers
"""

import shutil
from pathlib import Path
from typing import Any

from pixelnet.data.pages import file_and_page
from pixelnet.errors import InputError
from pixelnet.files import read_text
from pixelnet.measure import label, next_sample, plan, report
from pixelnet.measure.labelling import Asked
from pixelnet.measure.page import told
from pixelnet.measure.survey import is_survey
from pixelnet.studio.export import write_model
from pixelnet.studio.work import Work

PAGE = "report.html"


class Surveyor(Work):
    """Plan a survey of the model that answers in the page, and keep what is said of its samples."""

    kind = "survey"
    busy = "a survey is being planned; wait until it is"

    def start(self, budget: int) -> dict[str, Any]:
        """Draw so many pixels. Raises InputError as `Work`."""
        return self._begin(lambda: self._plan(budget), "fitting the model", folder="")

    def _plan(self, budget: int) -> None:
        folder = self.project.fresh("survey")
        try:
            write_model(self.learner, folder / "model")
            self._step(words="the model answers for all images, and pixels are drawn", done=0.3)
            paths, faults = self.project.paths, self.project.faults
            readable = [file_and_page(self.project.folder / path)[0] for k, path in enumerate(paths) if k not in faults]
            plan(list(dict.fromkeys(readable)), folder, model=folder / "model", budget=budget)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # nobody has answered anything in it
            raise
        self._say(words="the pixels are drawn, and Measure asks for them", done=1.0, folder=folder.name)

    def folder(self) -> Path:
        """Of the newest survey. Raises InputError where there is none."""
        found = [path for path in self.project.own.glob("survey-*") if is_survey(path)]
        if not found:
            raise InputError("there is no survey yet; begin one, by Measure")
        return max(found, key=lambda path: path.stat().st_mtime)

    def next(self, after: int = 0) -> dict[str, Any]:
        """The next sample without an answer, or who there is none any more; see `measure.next_sample`."""
        found = next_sample(self.folder(), after)
        return {"open": False} if found is None else _told(found)

    def answer(self, number: int, answer: str | None) -> dict[str, Any]:
        """Keep what somebody says of a sample; None takes it back. Raises InputError where others were quicker."""
        return _told(label(self.folder(), number, answer, "studio", first=True))

    def crop(self, number: int) -> bytes:
        """A picture of a sample's surroundings, PNG. Raises InputError for a sample that there is not."""
        path = self.folder() / "crops" / f"{number:04d}.png"
        if not path.is_file():
            raise InputError(f"there is no picture of sample {number}; plan the survey again")
        return path.read_bytes()

    def report(self) -> dict[str, Any]:
        """What the answers come to, in words, and the page that has it all. Raises InputError for too few answers."""
        folder = self.folder()
        return {"words": told(report(folder, report=folder / PAGE))}

    def page(self) -> str:
        """The same as HTML. Raises InputError where nobody has asked for it yet."""
        return read_text(self.folder() / PAGE)


def _told(one: Asked) -> dict[str, Any]:
    return {
        "open": True, "number": one.number, "image": one.image, "x": one.x, "y": one.y,
        "choices": list(one.choices), "answer": one.answer, "done": one.done, "all": one.all,
    }  # fmt: skip
