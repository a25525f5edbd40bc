"""Data sets whose splits are lists of names in text files, as the VOC challenges keep them."""

import os
from abc import abstractmethod
from functools import cached_property
from pathlib import Path

from pixelnet.data.dataset import PairedFiles
from pixelnet.errors import InputError
from pixelnet.files import LONGEST, read_text
from pixelnet.tasks import Task


class Listed(PairedFiles):
    """PairedFiles whose splits are text files of one name a line; what follows the name is passed over."""

    @classmethod
    @abstractmethod
    def lists(cls, root: Path) -> dict[str, tuple[Path, ...]]:
        """Each split and the lists it is made of; a split is there if all its lists are."""

    @abstractmethod
    def pair(self, name: str) -> tuple[Path, Path]:
        """The image and the label file of a name; they need not exist."""

    @cached_property
    def home(self) -> tuple[Path, Path]:
        """The folders of images and of labels, looked for once, not for each of ten thousand names."""
        return self.layout(self.root, ".", self.task)

    @classmethod
    def splits(cls, root: Path, task: str | Task) -> tuple[str, ...]:
        return tuple(split for split, paths in cls.lists(root).items() if paths and all(p.is_file() for p in paths))

    def find(self) -> dict[str, tuple[Path, Path]]:
        lists = self.lists(self.root)
        self.require_split(f"a list {self.rel(next(iter(lists.values()))[0])}")
        names = self.listed(*lists[self.split])
        pairs = {name: self.pair(name) for name in names}
        for name, files in pairs.items():
            for what, file in zip(("image", "labels"), files, strict=True):
                if not file.is_file():
                    raise InputError(
                        f"{self.source}: the split {self.split} lists {name}, whose {what} {self.rel(file)} is not "
                        f"there; get it from {self.origin}, or take the name off the list"
                    )
        return pairs

    def listed(self, *paths: Path) -> list[str]:
        """The names in some lists, each once."""
        names = dict.fromkeys(line.split()[0] for path in paths for line in read_lines(path))
        if not names:
            raise InputError(f"{', '.join(map(str, paths))} names no image; expected one name a line")
        if longest := next((name for name in names if len(os.fsencode(name)) > LONGEST), None):
            raise InputError(f"{', '.join(map(str, paths))} lists {longest[:40]}..., a name that no file can have")
        return list(names)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank, stripped. Raises InputError for a file that cannot be read."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]
