"""`pixelnet measure plan | label | report`: the survey's steps on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pixelnet.config import read_list
from pixelnet.errors import InputError, needs

Step = Literal["plan", "label", "report"]
OF_STEP = {
    "plan": {
        "out", "predictions", "task", "classes", "design", "budget", "target", "target_class", "add", "seed",
    },
    "label": {"sample", "answer", "who", "host", "port"},
    "report": {"truth", "split", "against", "tolerance", "json", "report"},
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """How good is a map, from a few hundred pixels that somebody looks at? plan, then label, then report."""

    step: tyro.conf.Positional[Step]
    """plan: draw the pixels. label: a page that asks for them, or with --sample keep an answer. report: scores."""
    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[MODEL] IMAGES | SURVEY")] = ()
    """Of plan: a model, and images or folders of images; with --predictions the images alone. Else the survey."""
    out: Path = Path("survey")
    """Of plan: folder of the survey."""
    predictions: Path | None = None
    """Of plan: in place of a model, any method's maps, each named as its image (.png, .npy, GeoTIFF)."""
    task: str | None = None
    """Of plan: what the predictions are, segmentation, edges or regression; or which of a model's tasks."""
    classes: str | None = None
    """Of plan: names of the classes of --predictions, with commas between them."""
    design: Literal["confidence", "uniform", "proportional", "equal", "neyman", "good-practice", "two-stage"] | None = (
        None
    )
    """Of plan: how pixels are drawn; confidence takes fewest labels, and is taken if nothing is said."""
    budget: int = 300
    """Of plan: how many pixels."""
    target: float | None = None
    """Of plan: in place of a budget, half the width of the interval that is wanted, as .03."""
    target_class: str | None = None
    """Of plan: the class whose IoU --target is of; overall accuracy if not given."""
    add: int | None = None
    """Of plan: draw so many more for the survey that is in --out."""
    seed: int = 0
    """Of plan: of the draw."""
    sample: int | None = None
    """Of label: the number of a sample that is answered here, without the page."""
    answer: str | None = None
    """Of label: its class, or its number, a value, or ? for cannot tell."""
    who: str | None = None
    """Of label: who says so; the user if not given."""
    host: str = "127.0.0.1"
    """Of label: where the page is to be reached; elsewhere than on this machine with a token in the address."""
    port: int = 8472
    """Of label: where to listen; 0 for any port that is free."""
    truth: str | None = None
    """Of report: a data set whose labels stand in for answers: camvid:PATH and so on."""
    split: str = "val"
    """Of report: which part of it."""
    against: str | None = None
    """Of report: a second model, or a folder of other maps: the difference by the same samples."""
    tolerance: float | None = None
    """Of report: of values, how far off counts as within."""
    json: Path | None = None
    """Of report: write the scores to this file as well."""
    report: Path | None = None
    """Of report: write a page to this file (.html)."""

    def __call__(self) -> int:
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("step", "inputs")}
        changed = {one.name for one in fields(self) if one.name in given and given[one.name] != one.default}
        strange = sorted(changed - OF_STEP[self.step])
        if strange:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in strange)
            raise InputError(f"measure {self.step} has no option {options}; `pixelnet measure --help` says whose it is")
        said = {"plan": self._plan, "label": self._label, "report": self._report}[self.step](given)
        if said:
            print(said)
        return 0

    def _plan(self, given: dict[str, Any]) -> str:
        from pixelnet.measure.page import planned
        from pixelnet.measure.planning import plan

        options = {name: given[name] for name in OF_STEP["plan"] if name not in ("out", "classes")}
        model, images = self._model_and_images()
        classes = [] if self.classes is None else read_list(self.classes, "--classes")
        survey = plan(images, self.out, model=model, classes=classes, **options)
        return planned(survey)

    def _model_and_images(self) -> tuple[str | None, Sequence[str]]:
        if self.add is not None or self.predictions is not None:
            return None, self.inputs
        if len(self.inputs) < 2:
            raise InputError(
                "give a model and images, as in `pixelnet measure plan MODEL IMAGES`, or --predictions DIR"
            )
        return self.inputs[0], self.inputs[1:]

    def _survey(self) -> str:
        if len(self.inputs) != 1:
            raise InputError(f"give the folder of the survey, as in `pixelnet measure {self.step} survey`")
        return self.inputs[0]

    def _label(self, given: dict[str, Any]) -> str:
        from pixelnet.measure.labelling import label
        from pixelnet.measure.page import following

        if (self.sample is None) != (self.answer is None):
            raise InputError("--sample and --answer go together: which pixel, and what it is")
        survey = self._survey()
        if self.sample is None:
            self._page(survey)
            return ""
        label(survey, self.sample, self.answer, self.who)
        return following(survey)

    def _page(self, survey: str) -> None:
        """The studio's page for the survey, which stands on this room, and not the other way round."""
        try:
            from pixelnet.studio.asking import label_survey
        except ImportError as error:
            raise needs("the page of a survey", error.name, "studio") from error
        label_survey(survey, self.host, self.port, self.who)

    def _report(self, given: dict[str, Any]) -> str:
        from pixelnet.measure.page import told
        from pixelnet.measure.reporting import report

        return told(report(self._survey(), **{name: given[name] for name in OF_STEP["report"]}))
