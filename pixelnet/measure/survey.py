"""What a survey is on disk: plan.json, samples.csv, drawn.npz and crops/; read whole, written whole or not at all."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.config import read_json
from pixelnet.errors import InputError
from pixelnet.files import read_text, write_atomic, write_json

PLAN, SAMPLES, DRAWN, CROPS = "plan.json", "samples.csv", "drawn.npz", "crops"
FORMAT = 2
UNKNOWN = "?"  # an answer: cannot tell


@dataclass(frozen=True)
class Sample:
    """A line of samples.csv: a pixel that was drawn, and what somebody said of it.

    sample: its number, from 1. answer: a class, or of regression a value; "?" for cannot tell, "" for not asked yet:
    the column is `class`, or `value`. stratum: its number in plan.json. probability: the chance that it was drawn with.
    trained: anything but "" says that a model was trained on it.
    """

    sample: int
    image: str
    x: int
    y: int
    answer: str
    stratum: int
    probability: float
    who: str = ""
    when: str = ""
    trained: str = ""


@dataclass(frozen=True)
class Drawn:
    """What the plan knows of each sample, which the labeller is not shown, and of all pixels.

    image: (n,), of which image; x, y: (n,); stratum: (n,). mapped: (n,) ids, probabilities: (n, K), or values: (n,).
    foreseen: (M, 3 K + 1), what the model expects of each image; empty of two-stage designs and regression.
    """

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    stratum: np.ndarray
    mapped: np.ndarray
    probabilities: np.ndarray
    values: np.ndarray
    foreseen: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Survey:
    """A survey that was read: its folder, what plan.json says, its samples in the order of their numbers, the draw."""

    folder: Path
    plan: dict[str, Any]
    samples: list[Sample]
    drawn: Drawn

    @property
    def class_names(self) -> list[str]:
        return list(self.plan["classes"])

    @property
    def column(self) -> str:
        """How the column of answers is called."""
        return "value" if self.plan["task"] == "regression" else "class"

    def crop(self, number: int) -> Path:
        return self.folder / CROPS / f"{number:04d}.png"


def is_survey(folder: str | Path) -> bool:
    return (Path(folder) / PLAN).is_file()


def read_survey(folder: str | Path) -> Survey:
    """A survey from its folder. Raises InputError for one that is none, or whose samples are not those drawn."""
    folder = Path(folder)
    if not is_survey(folder):
        raise InputError(f"{folder} is no survey: there is no {PLAN} in it; make one with `pixelnet measure plan`")
    plan = read_json(folder / PLAN)
    if plan.get("format") != FORMAT:
        raise InputError(
            f"{folder / PLAN} has the format {plan.get('format')!r}, expected {FORMAT}; plan the survey anew with this "
            "version, or read it with the one that made it"
        )
    try:
        with np.load(folder / DRAWN, allow_pickle=False) as found:
            drawn = Drawn(**{one.name: found[one.name] for one in fields(Drawn)})
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / DRAWN} cannot be read: {error}; plan the survey again") from error
    column = "value" if plan["task"] == "regression" else "class"
    samples = _checked(_samples(folder / SAMPLES, column), plan, drawn, folder / SAMPLES)
    return Survey(folder, plan, samples, drawn)


def _samples(path: Path, column: str) -> list[tuple[int, Sample]]:
    """The lines of samples.csv, each with its number in the file."""
    reader = csv.DictReader(io.StringIO(read_text(path)))
    titles = [one.name if one.name != "answer" else column for one in fields(Sample)]
    missing = [title for title in titles if title not in (reader.fieldnames or [])]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}; its first line should be {','.join(titles)}")
    found = []
    for row in reader:
        cells = {title: (row[title] or "").strip() for title in titles}
        if not any(cells.values()):
            continue
        try:
            number, x, y, stratum = (int(float(cells[name])) for name in ("sample", "x", "y", "stratum"))
            probability = float(cells["probability"])
        except ValueError as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}; a number was changed: undo it") from error
        texts = (cells["who"], cells["when"], cells["trained"])
        own = Sample(number, cells["image"], x, y, cells[column], stratum, probability, *texts)
        found.append((reader.line_num, own))
    return found


def _checked(rows: list[tuple[int, Sample]], plan: dict[str, Any], drawn: Drawn, path: Path) -> list[Sample]:
    """The samples in the order of their numbers. Raises InputError unless they are those that were drawn."""
    by_number: dict[int, Sample] = {}
    for line, one in rows:
        if not 1 <= one.sample <= len(drawn):
            raise InputError(
                f"{path}, line {line}: sample {one.sample} was not drawn, 1 to {len(drawn)} were; remove it"
            )
        if one.sample in by_number:
            raise InputError(f"{path}, line {line}: sample {one.sample} is there twice; keep one of the two lines")
        k = one.sample - 1
        there = (plan["images"][int(drawn.image[k])], int(drawn.x[k]), int(drawn.y[k]))
        if (one.image, one.x, one.y) != there:
            raise InputError(
                f"{path}, line {line}: sample {one.sample} is at {one.image} ({one.x}, {one.y}), but {there[0]} "
                f"({there[1]}, {there[2]}) was drawn; put that back: a pixel of one's own choice is no random one"
            )
        by_number[one.sample] = one
    lost = [number for number in range(1, len(drawn) + 1) if number not in by_number]
    if lost:
        raise InputError(f"{path} lacks {len(lost)} samples, the first of them {lost[0]}; put them back, as unlabelled")
    return [by_number[number] for number in range(1, len(drawn) + 1)]


def write_samples(folder: Path, samples: Sequence[Sample], column: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([one.name if one.name != "answer" else column for one in fields(Sample)])
    for one in samples:
        cells = asdict(one)
        cells["probability"] = f"{one.probability:.9g}"
        writer.writerow(cells.values())
    write_atomic(folder / SAMPLES, text.getvalue().encode(errors="backslashreplace"))


def write_survey(survey: Survey) -> None:
    """Write all but the crops, plan.json last: without it there is no survey."""
    arrays = {one.name: getattr(survey.drawn, one.name) for one in fields(Drawn)}
    write_atomic(survey.folder / DRAWN, lambda file: np.savez_compressed(file, **arrays))
    write_samples(survey.folder, survey.samples, survey.column)
    write_json(survey.folder / PLAN, survey.plan)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def check_files(survey: Survey) -> None:
    """Raise InputError if a map, or the model, has changed since the plan; those that are not here are passed over."""
    for name, known in survey.plan["files"].items():
        path = Path(name)
        if path.is_file() and digest(path) != known:
            raise InputError(
                f"{name} has changed since {survey.folder / PLAN} was made, so that its samples are of another map; "
                "put the old one back, or plan a new survey"
            )
