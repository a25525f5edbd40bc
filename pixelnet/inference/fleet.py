"""Many images on many machines: the predictor of `answerer.py` as actors of Ray Data. Needs the extra ray.

    items --blocks--> actors, each with the model, as `stream` --answers--> this process, which keeps the journal

What an actor answers comes here once its files are whole. A block of images whose actor died is given to another one
and answered again, to the same bytes, so that nothing is missing and nothing is noted twice.
"""

import json
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np

from pixelnet.devices import find_device
from pixelnet.errors import InputError, needs
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.archives import Archive
from pixelnet.inference.inputs import Item
from pixelnet.inference.journal import stamp
from pixelnet.inference.remote import Elsewhere, Remote, is_place, is_remote, opened_archive
from pixelnet.inference.stream import Result, batch_size_on, stream
from pixelnet.memory import return_freed_memory
from pixelnet.model import PixelNet

BLOCK = 32  # images that an actor takes at once
ROUNDS = 4  # so many blocks an actor at least, so that all end at about the same time
DEATHS = 2  # of actors, after which the image that they were at is given up

Note = Callable[[Item, list[str], list[Any]], None]  # an image, the names of its files in OUT, its stamp


@dataclass(frozen=True)
class Work:
    """What all actors are given. out: a folder that all of them reach, or the place of one elsewhere.

    batch_size: how many images of one size are seen in one pass; None for what is best where each is.
    """

    model: PixelNet
    out: Path
    points: np.ndarray | None
    asked: Asked
    batch_size: int | None
    device: str


class Tries(Protocol):
    """How often something was begun, and did not end, by any actor."""

    def began(self, name: str) -> int: ...

    def ended(self, name: str) -> None: ...


class Counts:
    """`Tries` in one process."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}

    def began(self, name: str) -> int:
        self._begun[name] = self._begun.get(name, 0) + 1
        return self._begun[name]

    def ended(self, name: str) -> None:
        self._begun.pop(name, None)


class Worker:
    """Answers blocks of images. Items and answers travel as JSON, which keeps names of any bytes."""

    def __init__(self, work: Work, tries: Tries) -> None:
        return_freed_memory()
        device = find_device(work.device)
        self._tries, self._archives, self._elsewhere = tries, dict[str, Archive](), None
        self._batch_size = work.batch_size or batch_size_on(device)
        self._folder = work.out
        if is_place(work.out):
            self._elsewhere, self._home = Elsewhere(work.out), tempfile.TemporaryDirectory(prefix="pixelnet-")
            self._folder = Path(self._home.name)
        self._answerer = Answerer(work.model.to(device), self._folder, work.points, work.asked)

    def answer(self, given: str) -> Iterator[str]:
        """One block. An answer names the files, or has the reason why there are none, or that of all others, "stop"."""
        items = [self._item(one) for one in json.loads(given)]
        block = f"the block from {items[0].name} on"
        again = self._tries.began(block) > 1  # it was an actor's that has died, of one of these images perhaps
        try:
            for part in [[item] for item in items] if again else [items]:
                name = str(part[0].name)
                if again and self._tries.began(name) > DEATHS:
                    yield json.dumps({"name": name, "reason": _deadly(part[0])})
                    continue
                for item, found in stream(self._answerer, part, self._batch_size):
                    yield json.dumps({"name": str(item.name), **self._told(item, found)})
                if again:
                    self._tries.ended(name)
        except InputError as error:
            yield json.dumps({"stop": str(error)})
        self._tries.ended(block)

    def _told(self, item: Item, found: list[Path] | InputError) -> dict[str, Any]:
        if isinstance(found, InputError):
            return {"reason": str(found)}
        names = [path.relative_to(self._folder).as_posix() for path in found]
        if self._elsewhere is not None:
            for name, path in zip(names, found, strict=True):
                self._elsewhere.send(name, self._folder)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return {"files": names, "stamp": stamp(item)}

    def _item(self, given: dict[str, Any]) -> Item:
        archive: Archive | Remote | None = None
        if given["archive"]:
            where = given["archive"]
            if where not in self._archives:
                self._archives[where] = opened_archive(where) if is_remote(where) else Archive(Path(where))
            archive = self._archives[where]
        elif given["url"]:
            archive = Remote()
            archive.add(given["url"])
        return Item(PurePath(given["name"]), Path(given["path"]), given["page"], archive, given["pages"])


def _deadly(item: Item) -> str:
    return (
        f"{item.path}: the worker that answers it has died, {DEATHS} times, for want of memory perhaps; give --memory, "
        "or predict it alone"
    )


def _given(item: Item) -> dict[str, Any]:
    """An item as actors are given it, who may be in other folders."""
    inside = item.archive
    archive = (inside.url or str(inside.path.absolute())) if isinstance(inside, Archive) else ""
    url = inside.url(item.path) if isinstance(inside, Remote) else ""
    return {
        "name": str(item.name), "path": str(_anywhere(item.path)), "page": item.page, "pages": item.pages,
        "archive": archive, "url": url,
    }  # fmt: skip


def _anywhere(path: Path) -> Path:
    return path if is_place(path) else path.absolute()


def stream_with_ray(work: Work, items: Sequence[Item], workers: int | None, note: Note | None) -> Iterator[Result]:
    """As `stream`, by so many actors, on whichever machines Ray has.

    note: is told of each image as soon as its files are whole.

    Raises InputError where nothing more can be written, and where Ray has not what is asked for.
    """
    by_name = {str(item.name): item for item in items}
    for text in _answers(work, [_given(item) for item in items], workers) if items else ():
        told = json.loads(text)
        if "stop" in told:
            raise InputError(told["stop"])
        item = by_name[told["name"]]
        if "reason" in told:
            yield item, InputError(told["reason"].replace(str(_anywhere(item.path)), str(item.path)))
            continue
        if note is not None:
            note(item, told["files"], told["stamp"])
        yield item, [work.out / name for name in told["files"]]


def _answers(work: Work, given: Sequence[dict[str, Any]], workers: int | None) -> Iterator[str]:
    """What actors say of all items, as soon as a block is done."""
    with _ray() as ray:
        import ray.data as data

        gpus = work.device != "cpu" and ray.cluster_resources().get("GPU", 0) > 0
        if work.device.startswith("cuda") and not gpus:
            raise InputError(f"Ray has no GPU for --device {work.device}; give auto or cpu")
        # An actor sees its own GPU alone, and not the one that the model is on here.
        device = "auto" if gpus else work.device
        work = replace(work, model=deepcopy(work.model).cpu(), out=_anywhere(work.out), device=device)
        count, cores = (_per_gpu if gpus else _per_core)(ray, workers)
        length = max(1, min(BLOCK, len(given) // (ROUNDS * count)))
        blocks = [{"items": json.dumps(given[first : first + length])} for first in range(0, len(given), length)]
        tries = ray.remote(num_cpus=0)(Counts).remote()
        answered = data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
            Actor,
            fn_constructor_args=[ray.put(work), tries],
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(count, len(blocks))),
            num_cpus=cores,
            num_gpus=1 if gpus else None,
        )
        try:
            for row in answered.iter_rows():
                yield row["answer"]
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError):  # of the library's own code
                raise
            raise InputError(
                f"Ray has given up ({str(error).splitlines()[0][:200]}); what is answered is kept: give the same "
                "command again"
            ) from error


class Actor:
    """A `Worker` among Ray's."""

    def __init__(self, work: Any, tries: Any) -> None:
        import ray

        self._worker = Worker(ray.get(work), _Asked(tries))

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"answer": np.array([answer for given in batch["items"] for answer in self._worker.answer(str(given))])}


class _Asked:
    """`Tries` of an actor that counts for all."""

    def __init__(self, counts: Any) -> None:
        self._counts = counts

    def began(self, name: str) -> int:
        import ray

        return int(ray.get(self._counts.began.remote(name)))

    def ended(self, name: str) -> None:
        self._counts.ended.remote(name)


def _per_gpu(ray: Any, workers: int | None) -> tuple[int, float]:
    """How many workers, and how many cores for each, where each has a GPU."""
    there = int(ray.cluster_resources()["GPU"])
    if workers is not None and workers > there:
        raise InputError(f"there are {there} GPUs for {workers} workers; give --workers {there}, or --device cpu")
    return workers or there, 1


def _per_core(ray: Any, workers: int | None) -> tuple[int, float]:
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    there = sum(machines)
    if workers is not None and workers > there:
        raise InputError(f"Ray has {there} cores for {workers} workers; give --workers {there}")
    count = workers or there
    return count, max(cores for cores in range(1, there + 1) if sum(own // cores for own in machines) >= count)


@contextmanager
def _ray() -> Iterator[Any]:
    """Ray, connected to its cluster (RAY_ADDRESS, or one of this machine) or begun here; it says little meanwhile."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a command on private images reports to nobody
    try:
        import ray
        from ray.data import DataContext
    except ImportError as error:
        raise needs("--engine ray", "ray", "ray") from error
    logger, ours, handler = logging.getLogger("ray.data"), not ray.is_initialized(), signal.getsignal(signal.SIGTERM)
    if ours:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    context, level = DataContext.get_current(), logger.level
    shown, context.enable_progress_bars = context.enable_progress_bars, False
    logger.setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        context.enable_progress_bars = shown
        logger.setLevel(level)
        if ours:
            ray.shutdown()
            if threading.current_thread() is threading.main_thread():  # it leaves a handler of its own
                signal.signal(signal.SIGTERM, handler)
