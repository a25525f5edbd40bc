"""How good the model really is: a survey of pixels drawn by chance, which somebody looks at in the page.

FOLDER/studio/survey-N/model/    what is measured
FOLDER/studio/survey-N/          as `pixelnet measure plan` writes it, with report.html once there are answers
"""

import shutil
from pathlib import Path
from typing import Any

from pixelnet.data.pages import file_and_page
from pixelnet.errors import InputError
from pixelnet.measure import plan
from pixelnet.measure.survey import is_survey
from pixelnet.studio.asking import Asking
from pixelnet.studio.export import write_model
from pixelnet.studio.work import Work


class Surveyor(Work):
    """Plan a survey of the model that answers in the page; `asking` asks for its samples then."""

    kind = "survey"
    busy = "a survey is being planned; wait until it is"

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.asking = Asking(self.folder, "studio")

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
