"""Answers of blocks on disk, a file each, until all are there: who is stopped goes on from the last whole one."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.config import read_json
from pixelnet.errors import InputError
from pixelnet.files import inside, write_json, write_npy
from pixelnet.inference.windows import Tiling, within
from pixelnet.runs.lock import held

HOME = ".parts"  # the folder of what is not whole yet, in that of all answers
ABOUT = "about.json"


class Parts:
    """A folder of answers. It is kept as long as it is of the same image, model and options, and begun anew else.

    Args:
        folder: of the parts alone.
        about: what decides the answers, as JSON has it.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder, self._about = folder, dict(about)
        self.begun = self._begun()
        if self.begun is None:
            self.remove()

    def _begun(self) -> dict[str, Any] | None:
        """What `begin` was told before, of the same image, model and options."""
        if not (self.folder / ABOUT).is_file():
            return None
        try:
            found: Any = read_json(self.folder / ABOUT)
        except InputError:
            return None
        return found.get("plan") if found.get("about") == self._about else None

    def begin(self, tiling: Tiling, plan: Mapping[str, Any]) -> None:
        """Say how the image is cut, and what else is to be known of the plan."""
        self.tiling = tiling
        if self.begun != dict(plan):
            self.remove()
            write_json(inside(self.folder, ABOUT), {"about": self._about, "plan": dict(plan)})
            self.begun = dict(plan)

    def missing(self) -> list[int]:
        """The numbers of the blocks that are not there yet, rising."""
        return [number for number in range(self.tiling.count) if not (self.folder / f"{number}.done").exists()]

    def put(self, number: int, answers: Mapping[str, np.ndarray]) -> None:
        for name, answer in answers.items():
            write_npy(inside(self.folder, f"{number}.{name}.npy"), answer)
        inside(self.folder, f"{number}.done").touch()

    def read(self, name: str, rows: range, band: int | None = None) -> np.ndarray:
        """A task's answer in some rows, (h, W) or (h, W, L); of one of the L alone, (h, W)."""
        tiling, out = self.tiling, None
        for down in range(rows.start // tiling.side, -(-rows.stop // tiling.side)):
            for across in range(tiling.across):
                block = tiling.block(down * tiling.across + across)
                stored = np.load(self.folder / f"{block.number}.{name}.npy", mmap_mode="r", allow_pickle=False)
                stored = stored if band is None or stored.ndim == 2 else stored[..., band]
                if out is None:
                    out = np.empty((len(rows), tiling.width, *stored.shape[2:]), stored.dtype)
                shared = range(max(rows.start, block.rows.start), min(rows.stop, block.rows.stop))
                here, there = within(shared, rows), within(shared, block.rows)
                columns = slice(block.columns.start, block.columns.stop)
                out[here.start : here.stop, columns] = stored[there.start : there.stop]
        assert out is not None
        return out

    def remove(self) -> None:
        """Take the folder away, and those above it that held nothing else, up to that of all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _prune(self.folder.parent)


@contextmanager
def only_process(folder: Path) -> Iterator[Path]:
    """Hold a folder of parts against every other process. Raises InputError if another is at work there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with held(folder.with_name(f".{folder.name}.lock")):
            yield folder
    finally:
        _prune(folder.parent)


def _prune(folder: Path) -> None:
    """Take away folders that hold nothing, up to that of all parts."""
    with suppress(OSError):  # there is more in it
        while folder.name and (folder.name == HOME or HOME in folder.parts):
            folder.rmdir()
            folder = folder.parent
