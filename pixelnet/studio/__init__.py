"""`pixelnet studio FOLDER`: label a few pixels in a page, watch the model learn, know how good it is, take it home.

The page is plain HTML, CSS and modules of JavaScript in page/, and asks nothing of any other host. It needs FastAPI and
uvicorn, which `pip install pixelnet[studio]` brings.
"""

import secrets
import socket
import sys
import webbrowser
from pathlib import Path
from threading import Timer

from pixelnet.errors import InputError, needs
from pixelnet.runs.lock import only_writer

OWN = "studio"


def studio(folder: str | Path, host: str = "127.0.0.1", port: int = 8471, device: str = "auto") -> None:
    """Serve the page of a folder of images until Ctrl-C; at a terminal, a browser opens it.

    Args:
        folder: of the images; labels and all else the studio writes go into FOLDER/studio, and dataset.json beside
            the images if they have none.
        host: the address to be reached at; of this machine alone, unless another one is given. The address that is
            printed has a token then, without which nobody is let in.
        port: where to listen; 0 for any that is free.
        device: where networks see images, and learn: auto for an accelerator where there is one, cpu, cuda and so on.

    Raises:
        InputError: no images, no such device, a port that is taken, packages that are not there, another studio at work
            in the folder.
    """
    try:
        from pixelnet.devices import find_device, one_blas_thread  # here, and not for --help, since they bring torch
        from pixelnet.studio.app import Server, Studio
    except ImportError as error:
        raise needs("the studio", error.name, "studio") from error
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one of images")
    find_device(device)
    one_blas_thread()
    listening = _listening(host, port)
    token = None if host in ("127.0.0.1", "localhost", "::1") else secrets.token_urlsafe(24)
    with listening, only_writer(folder / OWN, ("journal.jsonl",), ()):
        opened = Studio(folder, device=device)
        server = Server(opened, host, token)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
        print(f"the studio of {folder} is at {address}\nCtrl-C ends it; labels are saved as you make them", flush=True)
        if opened.project.notice:
            print(opened.project.notice, flush=True)
        if sys.stdout.isatty():
            Timer(1.0, webbrowser.open, [address]).start()
        server.run(sockets=[listening])


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
