"""The studio's server: what the page may ask, in OpenAPI's words at /openapi.json."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from threading import Event, Thread
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, StreamingResponse

from pixelnet.errors import InputError, printable
from pixelnet.studio.accept import accepted
from pixelnet.studio.asking import add_questions
from pixelnet.studio.bodies import (
    Accept,
    AnswerBy,
    Export,
    Finetune,
    Look,
    Mark,
    Merge,
    NewClass,
    NewSurvey,
    Operation,
    Part,
    Step,
    Stroke,
)
from pixelnet.studio.canvas import Box
from pixelnet.studio.events import Events
from pixelnet.studio.export import Exporter, Wanted
from pixelnet.studio.finetune import Finetuner
from pixelnet.studio.learner import Learner
from pixelnet.studio.project import Project
from pixelnet.studio.serving import REFUSED, guarded, shown, with_page
from pixelnet.studio.suggest import Suggester
from pixelnet.studio.surveying import Surveyor

SAVE_EVERY = 1.0  # seconds between writings of label maps that have changed
LARGE_EVERY = 30  # of these times those of large images are written, too
FOREVER = "private, max-age=31536000, immutable"

ImageNumber = Annotated[int, InPath(ge=0, lt=2**31, description="The image's number in the project.")]
ClassPath = Annotated[int, InPath(ge=0, le=254)]


class Studio:
    """A project, its learner and its pages."""

    def __init__(self, folder: Path, networks: bool = True, device: str = "cpu") -> None:
        self.events = Events()
        self.project = Project(folder)
        self.learner = Learner(self.project, self.events.tell, networks, device)
        given = self.project, self.learner, self.events.tell
        self.exporter = Exporter(*given, folder="", command="")
        self.finetuner, self.surveyor = Finetuner(*given), Surveyor(*given, folder="")
        self.suggester = Suggester(self.project, self.learner)
        self.project.told = self._changed
        self._ended = Event()
        self._saver = Thread(target=self._save, daemon=True)

    def start(self) -> None:
        self.finetuner.resume()
        self.learner.start()
        self._saver.start()

    def close(self) -> None:
        self._ended.set()
        self.events.close()
        for work in (self.finetuner, self.exporter, self.surveyor):
            work.close()
        self.learner.close()
        self._saver.join(timeout=30)
        self.project.close()

    def describe(self) -> dict[str, Any]:
        """All that a page begins with."""
        works = {work.kind: work.status() for work in (self.exporter, self.finetuner, self.surveyor)}
        return self.project.describe() | {"learner": self.learner.status()} | works

    def _changed(self, change: dict[str, Any]) -> None:
        self.events.tell(change)
        if change["type"] in ("labels", "classes"):
            self.learner.wake(stroke=True)

    def _save(self) -> None:
        turn = 0
        while not self._ended.wait(SAVE_EVERY):
            turn += 1
            try:
                self.project.save(large=turn % LARGE_EVERY == 0)
            except InputError as error:
                self.events.tell({"type": "fault", "words": printable(str(error))})


def make_app(studio: Studio, host: str = "127.0.0.1", token: str | None = None) -> FastAPI:
    """The server of a studio, which starts and ends with it. host, token: see `Guard`."""

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        studio.start()
        yield
        studio.close()

    app = guarded("PixelNet studio", host, token, living)
    _reading(app, studio)
    _answering(app, studio)
    _telling(app, studio)
    _labelling(app, studio)
    _classes(app, studio)
    _learning(app, studio)
    _surveying(app, studio.surveyor)
    return with_page(app, "index.html")


class Server(uvicorn.Server):
    """A studio's server. Streams of events have no end of their own, so when it is to end it ends them."""

    def __init__(self, studio: Studio, host: str = "127.0.0.1", token: str | None = None) -> None:
        app = make_app(studio, host, token)
        super().__init__(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5, server_header=False))
        self.events = studio.events

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        self.events.close()
        await super().shutdown(sockets)


def _reading(app: FastAPI, studio: Studio) -> None:
    project = studio.project

    @app.get("/api/project")
    def whole() -> dict[str, Any]:
        """The images, the classes, what is labelled, and how far the learner is."""
        return studio.describe()

    @app.get("/api/images/{number}/pixels", response_class=Response, responses=REFUSED)
    def pixels(number: ImageNumber, named: Part, step: Step = 1, channels: str = "") -> Response:
        """The image, or a part, every few pixels of it: PNG, or JPEG with a step, and of much of a large image.

        channels: up to three, by number.
        """
        if channels and not all(part.isdigit() and len(part) < 5 for part in channels.split(",")[:4]):
            raise InputError(f"channels are {channels[:40]!r}; give numbers with commas between them")
        chosen = tuple(int(part) for part in channels.split(",")[:3]) if channels else ()
        box = project.part(number, named, step)
        picture = project.read(number, lambda: project.pictures.shown(number, chosen, box, step))
        return shown(picture, FOREVER)

    @app.get("/api/images/{number}/thumbnail", response_class=Response, responses=REFUSED)
    def thumbnail(number: ImageNumber) -> Response:
        """A small picture of the image, WebP."""
        project.canvas(number)
        return Response(
            project.read(number, lambda: project.pictures.small(number)),
            media_type="image/webp",
            headers={"cache-control": FOREVER},
        )


def _answering(app: FastAPI, studio: Studio) -> None:
    project = studio.project

    @app.get("/api/images/{number}/labels", response_class=Response, responses=REFUSED)
    def labels(number: ImageNumber, named: Part, step: Step = 1) -> Response:
        """What is labelled, a byte a pixel, row by row: a class's number, 255 for none; of a part, if one is named.

        With a step, a byte for every step x step pixels: one of their labels, if any has one.
        """
        box = project.part(number, named, step)
        with project.lock:
            canvas = project.canvas(number)
            found = project.labels(number, box, step)
            told = {"version": canvas.version, "undo": len(canvas.done), "redo": len(canvas.undone)}
        headers = {f"x-{key}": str(value) for key, value in told.items()} | {"cache-control": "no-store"}
        return Response(found.tobytes(), media_type="application/octet-stream", headers=headers)

    @app.get(
        "/api/images/{number}/answer", response_class=Response, responses=REFUSED | {204: {"description": "None yet"}}
    )
    def answer(number: ImageNumber) -> Response:
        """The newest answer: the length of a head in 4 bytes, the head in JSON, labels, certainties, a byte each."""
        project.canvas(number)
        found = studio.learner.answers.get(number)
        if found is None:
            return Response(status_code=204)
        return Response(found.packed(), media_type="application/octet-stream", headers={"cache-control": "no-store"})


def _telling(app: FastAPI, studio: Studio) -> None:
    @app.get("/api/events", response_class=StreamingResponse, responses={503: {"description": "Too many pages"}})
    async def events() -> Response:
        """What changes, as server-sent events."""
        if studio.events.full():
            raise HTTPException(503, "too many pages are open; close one, and load this one again")
        first = {"type": "hello", "version": studio.project.version}
        return StreamingResponse(
            studio.events.stream(first), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )


def _labelling(app: FastAPI, studio: Studio) -> None:
    project = studio.project

    def done(change: dict[str, Any] | None) -> dict[str, Any]:
        return change or {"type": "nothing"}

    @app.post("/api/images/{number}/strokes", responses=REFUSED)
    def stroke(number: ImageNumber, body: Stroke) -> dict[str, Any]:
        """Paint, or erase."""
        project.canvas(number)
        return done(project.stroke(number, body.tool, body.label, body.points, radius=body.radius, id=body.id))

    @app.post("/api/images/{number}/accept", responses=REFUSED)
    def accept(number: ImageNumber, body: Accept) -> dict[str, Any]:
        """Take what the learner says for the truth, in a box or in a region."""
        project.canvas(number)
        found = studio.learner.answers.get(number)
        patch, values = accepted(found, body.tool, body.serial, Box(body.x, body.y, body.width, body.height))
        return done(project.patch(number, body.tool, patch, values, body.id))

    def stepping(what: str) -> Callable[[int, Operation], dict[str, Any]]:
        def step(number: ImageNumber, body: Operation) -> dict[str, Any]:
            project.canvas(number)
            return done(project.do({"do": what, "image": project.paths[number], "id": body.id}))

        step.__doc__ = {"undo": "Take the image's last operation back.", "redo": "Do again what was taken back."}[what]
        step.__name__ = what
        return step

    for what in ("undo", "redo"):
        app.post(f"/api/images/{{number}}/{what}", responses=REFUSED)(stepping(what))

    @app.post("/api/images/{number}/mark", responses=REFUSED)
    def mark(number: ImageNumber, body: Mark) -> dict[str, Any]:
        """Say that an image is done, or is not."""
        project.canvas(number)
        return done(project.do({"do": "mark", "image": project.paths[number], "done": body.done, "id": body.id}))


def _classes(app: FastAPI, studio: Studio) -> None:
    project = studio.project

    @app.post("/api/classes", responses=REFUSED)
    def add(body: NewClass) -> dict[str, Any]:
        """Add a class."""
        return project.do({"do": "class", "name": body.name, "color": body.color, "id": body.id}) or {"type": "nothing"}

    @app.post("/api/classes/{label}", responses=REFUSED)
    def change(label: ClassPath, body: NewClass) -> dict[str, Any]:
        """Give a class another name or color."""
        record = {"do": "class", "class": label, "name": body.name, "color": body.color, "id": body.id}
        return project.do(record) or {"type": "nothing"}

    @app.post("/api/classes/{label}/drop", responses=REFUSED)
    def drop(label: ClassPath, body: Merge) -> dict[str, Any]:
        """Delete a class with its labels, or merge it into another one."""
        return project.do({"do": "drop", "class": label, "into": body.into, "id": body.id}) or {"type": "nothing"}


def _learning(app: FastAPI, studio: Studio) -> None:
    @app.post("/api/look", status_code=204, responses=REFUSED)
    def look(body: Look) -> None:
        """Say what is on screen: that is answered first."""
        box = Box(body.x, body.y, body.width, body.height)
        studio.learner.look(body.image, studio.project.inside(body.image, box))

    @app.get("/api/suggestion", responses=REFUSED)
    def suggest() -> dict[str, Any]:
        """Where a label helps most: an image, and a place in it."""
        return studio.suggester.next()

    @app.post("/api/export", status_code=202, responses=REFUSED)
    def export(body: Export) -> dict[str, Any]:
        """Begin to write the model, and what is wanted besides, into a folder of its own; events tell how far it is."""
        return studio.exporter.start(Wanted(body.predictions, tuple(body.polygons), body.objects, body.onnx))

    @app.get("/api/export/report", response_class=HTMLResponse, responses=REFUSED)
    def report() -> Response:
        """The report page of the newest export."""
        return HTMLResponse(studio.exporter.report(), headers={"cache-control": "no-store"})

    @app.post("/api/finetune", status_code=202, responses=REFUSED)
    def finetune(body: Finetune) -> dict[str, Any]:
        """Let the network itself learn, in a process of its own; events tell how far it is, and what came of it."""
        return studio.finetuner.start(body.minutes)

    @app.post("/api/finetune/cancel")
    def cancel() -> dict[str, Any]:
        """Stop that."""
        return studio.finetuner.cancel()

    @app.post("/api/answer-by", responses=REFUSED)
    def answer_by(body: AnswerBy) -> dict[str, Any]:
        """Say who is to answer."""
        learner = studio.learner
        if body.network and learner.refined is None:
            raise InputError("no network has learnt from these labels yet; let it, by Finetune")
        learner.refine(learner.refined, body.network)
        return learner.status()


def _surveying(app: FastAPI, surveyor: Surveyor) -> None:
    @app.post("/api/survey", status_code=202, responses=REFUSED)
    def begin(body: NewSurvey) -> dict[str, Any]:
        """Draw pixels by chance, by which the model is measured; events tell how far it is."""
        return surveyor.start(body.budget)

    add_questions(app, surveyor.asking)
