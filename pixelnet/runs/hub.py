"""Models by name: a folder, one that ships with the package, or one of Hugging Face; and what is known of them."""

import difflib
import re
from pathlib import Path
from typing import Any

from torch import nn

from pixelnet.config import read_json
from pixelnet.devices import find_device, seeing
from pixelnet.errors import InputError, printable
from pixelnet.files import read_text
from pixelnet.memory import use_huge_pages
from pixelnet.model import PixelNet
from pixelnet.runs.checkpoint import CHECKPOINT, CONFIG, MOST_CONFIG, WEIGHTS, is_model, load_model
from pixelnet.tasks import AnyTask

SHIPPED = Path(__file__).parents[1] / "shipped"  # a folder for each model
DEFAULT = "pixelnet"  # which of them answers where none is named
CARD = "README.md"
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
REVISION = re.compile(r"@[\w./-]+$")  # a branch, a tag or a commit of it
FORMS = f"a folder with {CONFIG} and {WEIGHTS}, the name of a model that ships, or user/name of Hugging Face"


def shipped() -> dict[str, Path]:
    """The models that ship with the package, in the order of their names: name -> folder."""
    return {folder.name: folder for folder in sorted(SHIPPED.glob("*")) if is_model(folder)}


def load(
    name: str | Path,
    task: AnyTask | None = None,
    backbone: nn.Module | None = None,
    device: str = "cpu",
    precision: str = "no",
) -> PixelNet:
    """A model, in evaluation mode.

    Args:
        name: the folder of a model; the name of one that ships with the package, as `pixelnet models` lists them; or
            "user/name" of Hugging Face's hub, "user/name@revision" as it was at a commit, a tag or a branch. Nothing
            but JSON and safetensors is read, and nothing is run.
        task, backbone: the objects that the model was made with, where these were no names; see `PixelNet`.
        device: where it answers: cpu, cuda, cuda:1, mps, or auto for an accelerator where there is one.
        precision: in which its network sees images: no for float32, bf16 or fp16. The head, and answers, are float32.

    Raises:
        InputError: no such model, device or precision; a file is missing, damaged, misspelt or of another model; an
            object that the model was made with was not given, or one that it was made without was.
    """
    use_huge_pages()
    place, folder = find_device(device), folder_of(name)
    seeing(place, precision)  # which refuses one that there is not, before anything is read
    model = load_model(folder, task, backbone).to(place)
    model.folder, model.precision = folder, precision
    return model


def folder_of(name: str | Path) -> Path:
    """Where a model is on disk.

    Args:
        name: the folder of a model; the name of one that ships; or "user/name" or "user/name@revision", which Hugging
            Face's hub is asked for and which its cache keeps. A folder of a model comes before a name.

    Raises:
        InputError: none of these, or a model that could not be fetched.
    """
    folder, text = Path(name), str(name)
    if is_model(folder):
        return folder
    ships = shipped()
    if text in ships:
        return ships[text]
    try:
        a_folder, there = folder.is_dir(), folder.exists()
    except OSError:  # a name that no file can have
        a_folder = there = False
    if a_folder:
        raise InputError(f"{folder / CONFIG} is not there; give {FORMS}")
    if REPOSITORY.fullmatch(REVISION.sub("", text)) and not there:
        return _fetched(text)
    near = difflib.get_close_matches(text, ships, n=1)
    hint = f"did you mean {near[0]!r}? Or give" if near else "give"
    raise InputError(f"{text} is no folder, and no model that ships ({_listed(ships)}); {hint} {FORMS}")


def model_files(model: Any) -> set[Path]:
    """The files of a model by its folder or name; none of one in memory."""
    if not isinstance(model, str | Path):
        return set()
    return {folder_of(model) / name for name in (CONFIG, WEIGHTS, CHECKPOINT, CARD)}


def default() -> Path:
    """The folder of the model that answers where none is named. Raises InputError if it does not ship."""
    ships = shipped()
    if DEFAULT not in ships:
        raise InputError(
            f"no model was named, and {DEFAULT!r}, which would answer then, does not ship with this installation; "
            f"name one before the images: {FORMS} ({_listed(ships)})"
        )
    return ships[DEFAULT]


def card(folder: Path) -> dict[str, Any]:
    """What a model's config.json says of how well it does; {} where it says nothing.

    Returns:
        summary (one line), data, license, and scores, each {"data", "score", "value", "low", "high"}: the score's
        name, its value on that data and its 95 % interval, in the score's own unit.
    """
    known = read_json(folder / CONFIG, most=MOST_CONFIG).get("card", {})
    if not isinstance(known, dict) or not isinstance(known.get("scores", []), list):
        raise InputError(f"{folder / CONFIG} has a card that is none: expected an object with a list of scores")
    return known


def describe(name: str | Path | None = None) -> str:
    """The card of a model, for people; without a name a table of the models that ship.

    Raises:
        InputError: no such model, or one without a card.
    """
    if name is None:
        return _table(shipped())
    path = folder_of(name) / CARD
    if not path.is_file():
        raise InputError(f"{path} is not there, so nothing is known of {name} but its {CONFIG}")
    return printable(read_text(path, MOST_CONFIG)).rstrip()


def _table(models: dict[str, Path]) -> str:
    if not models:
        return "no model ships with this installation"
    rows = [("model", "tasks", "MB", "scores, each with its 95 % interval over images")]
    for name, folder in models.items():
        known, tasks = card(folder), read_json(folder / CONFIG)["model"]["task"]
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        scores = [_score(**score) for score in known.get("scores", [])]
        rows.append((name, tasks, f"{size:.1f}", scores[0] if scores else "-"))
        rows += [("", "", "", score) for score in scores[1:]]
        rows += [("", "", "", known["summary"])] if "summary" in known else []
    first, second, third = (max(len(row[k]) for row in rows) for k in range(3))
    return "\n".join(f"{a:<{first}}  {b:<{second}}  {c:>{third}}  {d}" for a, b, c, d in rows)


def _score(data: str, score: str, value: float, low: float | None = None, high: float | None = None) -> str:
    interval = "" if low is None or high is None else f" ({low:#.3g} .. {high:#.3g})"
    return f"{score} {value:#.3g}{interval}, {data}"


def _listed(models: dict[str, Path]) -> str:
    return ", ".join(models) or "none"


def _fetched(name: str) -> Path:
    """The folder, in Hugging Face's cache, of a model of its hub. Only three files are asked for: none can run code."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    here = f"there is no folder {name} here, and Hugging Face's {name}"
    repository, _, revision = name.partition("@")
    files = [CONFIG, WEIGHTS, CARD]
    try:
        folder = Path(huggingface_hub.snapshot_download(repository, revision=revision or None, allow_patterns=files))
    except RevisionNotFoundError as error:
        raise InputError(
            f"Hugging Face's {repository} has no {revision}; look at its commits, tags and branches"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{here} does not exist, or is not for everyone; look at the spelling, or log in (hf auth login)"
        ) from error
    except LocalEntryNotFoundError as error:
        cache = huggingface_hub.constants.HF_HUB_CACHE
        raise InputError(
            f"{here} is not whole in its cache ({cache}) while the hub cannot be reached; go online, with "
            "HF_HUB_OFFLINE not set, or give the folder of a model"
        ) from error
    except Exception as error:  # the hub and the libraries beneath it have many words for a download that failed
        raise InputError(
            f"{here} could not be fetched ({error}); try again later, or give the folder of a model"
        ) from error
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise InputError(f"{here} holds no {file}; pixelnet reads {CONFIG} and {WEIGHTS}, and nothing else")
    if "model" not in read_json(folder / CONFIG):
        raise InputError(f"{here} is of another library: its {CONFIG} says nothing of a pixelnet model")
    return folder
