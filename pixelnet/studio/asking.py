"""The samples of a survey, asked for one at a time in a page: of the studio's own survey, or of any.

What is around a sample comes from its image, as far as anybody wants to see; where that is not here any more, from the
survey's own picture.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse

from pixelnet.errors import InputError
from pixelnet.files import read_text
from pixelnet.learning.strokes import Images
from pixelnet.measure import label, next_sample, report
from pixelnet.measure.labelling import Asked, asked
from pixelnet.measure.maps import by_kind, images_of
from pixelnet.measure.page import told
from pixelnet.measure.survey import Survey, read_survey
from pixelnet.rasters import read_header
from pixelnet.studio.bodies import Answered, Number, Part, Step
from pixelnet.studio.canvas import Box
from pixelnet.studio.images import Pictures
from pixelnet.studio.serving import REFUSED, guarded, place_at, serve, shown, with_page

REPORT, VIEWS = "report.html", "views"
SampleNumber = Annotated[int, InPath(ge=1, lt=2**31, description="The sample's number, from 1.")]


class Asking:
    """Ask for the samples of a survey, and keep what is said of them.

    Args:
        folder: of the survey, found when it is asked for; raises InputError where there is none.
        who: answers; the user if not given.
    """

    def __init__(self, folder: Callable[[], Path], who: str | None = None) -> None:
        self.folder, self.who = folder, who
        self._seen: dict[tuple[Path, int], Surroundings] = {}

    def next(self, after: int = 0) -> dict[str, Any]:
        """The next sample without an answer, or that there is none any more; see `measure.next_sample`."""
        found = next_sample(self.folder(), after)
        return {"open": False} if found is None else self._told(found)

    def answer(self, number: int, answer: str | None) -> dict[str, Any]:
        """Keep what somebody says of a sample; None takes it back. Raises InputError where others were quicker."""
        return self._told(label(self.folder(), number, answer, self.who, first=True))

    def crop(self, number: int) -> bytes:
        """The survey's own picture of a sample, PNG. Raises InputError for a sample that there is not."""
        path = asked(read_survey(self.folder()), number).crop
        if not path.is_file():
            raise InputError(f"there is no picture of sample {number}; plan the survey again")
        return path.read_bytes()

    def pixels(self, number: int, box: Box, step: int) -> bytes:
        """A part of a sample's image. Raises InputError where it is not here."""
        one = asked(read_survey(self.folder()), number)
        return self._around(one.all).pixels(one.image, box, step)

    def report(self) -> dict[str, Any]:
        """What the answers come to, in words, and the page that has it all. Raises InputError for too few answers."""
        folder = self.folder()
        return {"words": told(report(folder, report=folder / REPORT))}

    def page(self) -> str:
        """The same as HTML. Raises InputError where nobody has asked for it yet."""
        return read_text(self.folder() / REPORT)

    def _told(self, one: Asked) -> dict[str, Any]:
        return {
            "open": True, "number": one.number, "image": one.image, "x": one.x, "y": one.y, "done": one.done,
            "all": one.all, "choices": list(one.choices), "answer": one.answer,
            "size": self._around(one.all).size(one.image, one.x, one.y),
        }  # fmt: skip

    def _around(self, samples: int) -> "Surroundings":
        """Of the survey, found anew when it is another one, or has more samples."""
        known = self.folder(), samples
        if known not in self._seen:
            self._seen = {known: Surroundings(read_survey(known[0]))}
        return self._seen[known]


class Surroundings:
    """The images that a survey's samples are in, those that are still where they were when it was planned."""

    def __init__(self, survey: Survey) -> None:
        self._found: dict[str, tuple[Pictures, int]] = {}
        wanted = {one.image for one in survey.samples}
        with suppress(InputError):
            items, _ = images_of([path for path in survey.plan["given"]["of"] if Path(path).exists()])
            here = [item for item in items if str(item.name) in wanted and _is_readable(item.path)]
            alike = by_kind(here)
            # Images of one kind are stretched alike, and what is kept of large ones goes by which they are.
            pictures = {id(images): Pictures(images, survey.folder / VIEWS / _named(images)) for images, _ in alike}
            for item, (images, place) in zip(here, alike, strict=True):
                self._found[str(item.name)] = pictures[id(images)], place

    def size(self, name: str, x: int, y: int) -> list[int] | None:
        """Width and height of an image; None for one that is not here, or that the pixel (x, y) is not in."""
        if name not in self._found:
            return None
        pictures, place = self._found[name]
        width, height = pictures.images.sizes[place]
        return [width, height] if x < width and y < height else None

    def pixels(self, name: str, box: Box, step: int) -> bytes:
        """A part of an image, every few pixels of it; see `Pictures.shown`. Raises InputError where it is not here."""
        if name not in self._found:
            raise InputError(
                f"the image {name} is not where it was when the survey was planned; put it back, and start this anew"
            )
        pictures, place = self._found[name]
        width, height = pictures.images.sizes[place]
        inside = Box(box.x, box.y, min(box.width, width - box.x), min(box.height, height - box.y))
        if inside.width < 1 or inside.height < 1:
            raise InputError(f"{name} is {width}x{height}; nothing of it is there")
        return pictures.shown(place, (), inside, step)


def _named(images: Images) -> str:
    """A name for these images in this order: another one for others, or in another."""
    return hashlib.sha256("\n".join(map(str, images.given)).encode(errors="surrogateescape")).hexdigest()[:16]


def _is_readable(path: Path) -> bool:
    with suppress(InputError):
        read_header(path)
        return True
    return False


def add_questions(app: FastAPI, asking: Asking) -> None:
    """Let a server ask for a survey's samples."""

    @app.get("/api/survey/next", responses=REFUSED)
    def following(after: Number = 0) -> dict[str, Any]:
        """The next sample that nobody has said anything of, behind this one, or else before it."""
        return asking.next(after)

    @app.get("/api/survey/{number}/crop", response_class=Response, responses=REFUSED)
    def crop(number: SampleNumber) -> Response:
        """The survey's own picture of it, PNG, the pixel in a ring."""
        return Response(asking.crop(number), media_type="image/png", headers={"cache-control": "no-store"})

    @app.get("/api/survey/{number}/pixels", response_class=Response, responses=REFUSED)
    def pixels(number: SampleNumber, named: Part, step: Step = 1) -> Response:
        """A part of its image, every few pixels of it: PNG, or JPEG."""
        return shown(asking.pixels(number, named, step), "no-store")

    @app.post("/api/survey/answers", responses=REFUSED)
    def answer(body: Answered) -> dict[str, Any]:
        """Say what it shows."""
        return asking.answer(body.number, body.answer)

    @app.get("/api/survey/report", responses=REFUSED)
    def report() -> dict[str, Any]:
        """What the answers come to."""
        return asking.report()

    @app.get("/api/survey/page", response_class=HTMLResponse, responses=REFUSED)
    def page() -> Response:
        """The same as a page, with more of it."""
        return HTMLResponse(asking.page(), headers={"cache-control": "no-store"})


def label_survey(survey: str | Path, host: str = "127.0.0.1", port: int = 8472, who: str | None = None) -> None:
    """Serve a page that asks for a survey's samples, until Ctrl-C; at a terminal, a browser opens it.

    Args:
        survey: its folder. Each answer is in its samples.csv as soon as it is given.
        host, port: where to be reached; see `studio`.
        who: answers; the user if not given.

    Raises:
        InputError: a folder that is no survey; a port that is taken.
    """
    folder = Path(survey)
    found = read_survey(folder)
    place = place_at(host, port)
    with place.listening:
        app = guarded("PixelNet survey", host, place.token)
        add_questions(app, Asking(lambda: folder, who))
        server = uvicorn.Server(
            uvicorn.Config(with_page(app, "survey.html"), log_level="warning", timeout_graceful_shutdown=5,
                           server_header=False)
        )  # fmt: skip
        done = sum(bool(one.answer) for one in found.samples)
        serve(
            server.run,
            place,
            f"the survey {folder} is at {place.address}: {done} of {len(found.samples)} samples have an answer\n"
            f"Ctrl-C ends it; answers are saved as you give them. Then: pixelnet measure report {folder}",
        )
