"""Label a survey: the next pixel to look at, and what somebody said of it, kept at once."""

import getpass
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pixelnet.errors import InputError
from pixelnet.measure.survey import PLAN, UNKNOWN, Survey, read_survey, write_samples
from pixelnet.runs.lock import only_writer

PATIENCE = 5.0  # seconds that one labeller waits for another's answer to be written


@dataclass(frozen=True)
class Asked:
    """A pixel to look at.

    number: of the sample. image, x, y: where it is. crop: a picture of its surroundings, the pixel in a ring. choices:
    the classes; () where a value is asked for. answer: what was said before, "" if nothing. done, all: samples.
    """

    number: int
    image: str
    x: int
    y: int
    crop: Path
    choices: tuple[str, ...]
    answer: str
    done: int
    all: int


def next_sample(survey: str | Path, after: int = 0) -> Asked | None:
    """The first sample after this number that nobody has answered yet, or else before it; None when all are.

    Nothing is told of what the map says there, which would lead the answer. Raises InputError for a broken survey.
    """
    found = read_survey(survey)
    open_ones = [one.sample for one in found.samples if not one.answer]
    number = next((own for own in open_ones if own > after), open_ones[0] if open_ones else None)
    return None if number is None else asked(found, number)


def asked(survey: Survey, number: int) -> Asked:
    """One sample of a survey, by its number from 1."""
    if not 1 <= number <= len(survey.samples):
        raise InputError(f"there is no sample {number}; they are 1 to {len(survey.samples)}")
    one, done = survey.samples[number - 1], sum(bool(other.answer) for other in survey.samples)
    choices = tuple(survey.class_names)
    return Asked(number, one.image, one.x, one.y, survey.crop(number), choices, one.answer, done, len(survey.samples))


def label(
    survey: str | Path, number: int, answer: str | float | None, who: str | None = None, first: bool = False
) -> Asked:
    """Keep an answer, with who gave it and when: samples.csv is whole at any moment, whoever else labels meanwhile.

    Args:
        survey: the folder.
        number: of the sample, from 1.
        answer: the class, by its name or its number; of regression the value; "?" for cannot tell; None takes an answer
            back.
        who: gives it; the user's name if not given.
        first: refuse an answer to what somebody has answered otherwise meanwhile.

    Returns:
        The sample as it is now.

    Raises:
        InputError: no such sample; an answer that is no class, or no number; one that is not the first; another process
            that does not let go.
    """
    folder = Path(survey)
    with alone(folder):
        found = read_survey(folder)
        earlier = asked(found, number).answer
        text = "" if answer is None else checked(found, str(answer), f"sample {number}")
        if first and text and earlier not in ("", text):
            raise InputError(f"somebody else has answered sample {number} meanwhile; that answer is kept")
        when = datetime.now(UTC).isoformat(timespec="seconds")
        own = replace(
            found.samples[number - 1],
            answer=text, who=(who or _user()) if text else "", when=when if text else "",
        )  # fmt: skip
        samples = [*found.samples[: number - 1], own, *found.samples[number:]]
        write_samples(folder, samples, found.column)
    return asked(replace(found, samples=samples), number)


def _user() -> str:
    with suppress(KeyError, OSError):  # of a number without a name, as in a container
        return getpass.getuser()
    return "somebody"


def checked(survey: Survey, answer: str, where: str) -> str:
    """An answer as samples.csv keeps it: the class's name, the number, or "?". Raises InputError for any other."""
    text, names = answer.strip(), survey.class_names
    if text == UNKNOWN:
        return text
    if survey.plan["task"] == "regression":
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{where} is {answer!r}, which is no value; give a number, or {UNKNOWN} for cannot tell")
        return text
    if text in names:
        return text
    if text.isdecimal() and int(text) < len(names):
        return names[int(text)]
    raise InputError(
        f"{where} is {answer!r}, which is no class; give one of {', '.join(names)}, its number from 0, or {UNKNOWN} "
        "for cannot tell"
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the survey against others who write it, each of whom needs it for a moment only."""
    read_survey(folder)  # no lock is left in a folder that is no survey
    end = time.monotonic() + PATIENCE
    while True:
        lock = only_writer(folder, (PLAN,), ())
        try:
            lock.__enter__()
            break
        except InputError as error:
            if time.monotonic() > end:
                raise InputError(f"another process is writing {folder}; try again when it has ended") from error
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
