"""What all our servers have: a guard before them, one way of saying no, the page's files, and an address."""

import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from pixelnet.errors import InputError, printable
from pixelnet.studio.guard import LOCAL, Guard

PAGE = Path(__file__).with_name("page")
PNG = b"\x89PNG"  # what such a file begins with
REFUSED: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "What cannot be done as things are, and what to do instead",
        "content": {"application/json": {}},
    }
}


def guarded(title: str, host: str, token: str | None, living: Any = None) -> FastAPI:
    """A server that answers our own pages alone, and says with 409 what an InputError says. host, token: see `Guard`.

    living: what begins and ends with it, FastAPI's `lifespan`.
    """
    app = FastAPI(title=title, version=version("pixelnet"), lifespan=living, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, host=host, token=token)

    @app.exception_handler(InputError)
    async def refused(request: Request, error: InputError) -> Response:
        return JSONResponse({"detail": printable(str(error))}, 409)

    return app


def with_page(app: FastAPI, first: str) -> FastAPI:
    """Let it have the page's files, after all that it answers. first: of them, the one at its bare address."""

    @app.get("/", include_in_schema=False)
    def begin() -> Response:
        return FileResponse(PAGE / first, headers={"cache-control": "no-cache"})

    app.mount("/", _Files(directory=PAGE))
    return app


def shown(picture: bytes, kept: str) -> Response:
    """A picture as an answer, PNG or JPEG. kept: how long a browser may keep it."""
    kind = "image/png" if picture.startswith(PNG) else "image/jpeg"
    return Response(picture, media_type=kind, headers={"cache-control": kept})


class _Files(StaticFiles):
    """Files which a browser asks for again where they have changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


class Place(NamedTuple):
    """Where a server is to be reached. token: without which nobody is let in, None on this machine."""

    listening: socket.socket
    token: str | None
    address: str


def place_at(host: str, port: int) -> Place:
    """Listen at an address; port 0 is any that is free. Raises InputError where that cannot be."""
    listening = _listening(host, port)
    token = None if host in LOCAL else secrets.token_urlsafe(24)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    return Place(listening, token, address)


def serve(run: Callable[..., None], place: Place, said: str) -> None:
    """Say where the page is, open it in a browser if somebody sits there, and run a server until Ctrl-C."""
    print(said, flush=True)
    if sys.stdout.isatty():
        Timer(1.0, webbrowser.open, [place.address]).start()
    run(sockets=[place.listening])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows what is TCP, and has small answers sent at once; else each waits 40 milliseconds.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(
            f"{host}:{port} cannot be listened at: {error.strerror}; give another --port or --host"
        ) from error
    return listening
