"""`pixelnet studio FOLDER`: label a few pixels in a page, watch the model learn, know how good it is, take it home.

The page is plain HTML, CSS and modules of JavaScript in page/, and asks nothing of any other host. It needs FastAPI and
uvicorn, which `pip install pixelnet[studio]` brings.
"""

from pathlib import Path

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
        from pixelnet.studio.serving import place_at, serve
    except ImportError as error:
        raise needs("the studio", error.name, "studio") from error
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one of images")
    find_device(device)
    place = place_at(host, port)
    with place.listening, one_blas_thread(), only_writer(folder / OWN, ("journal.jsonl",), ()):
        opened = Studio(folder, device=device)
        said = f"the studio of {folder} is at {place.address}\nCtrl-C ends it; labels are saved as you make them"
        notice = f"\n{opened.project.notice}" if opened.project.notice else ""
        serve(Server(opened, host, place.token).run, place, said + notice)
