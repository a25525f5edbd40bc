"""Data for several tasks at once: `open_dataset("nyudv2:PATH,bsds500:PATH", "segmentation,normals,edges")`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pixelnet.data.dataset import Dataset, Window, task_of
from pixelnet.errors import InputError
from pixelnet.tasks import Joint, Task


class JointData(Dataset):
    """The images of several data sets, each with the labels that its own has for it.

    sources: for each source, how it is written and its data set for each task that it serves. An image that a source
    has labels of two tasks for is one item with both. A source that is named twice counts twice.

    Raises InputError for a task that no source serves, and for more than one list of classes.
    """

    def __init__(
        self, sources: Sequence[tuple[str, Mapping[str, Dataset]]], tasks: Sequence[str | Task], split: str
    ) -> None:
        self.split, self.source = split, ",".join(spec for spec, _ in sources)
        self._members = [member for _, members in sources for member in members.values()]
        self.channels, self.ranges = self._members[0].channels, self._members[0].ranges
        if all(member.augment == self._members[0].augment for member in self._members):
            self.augment = self._members[0].augment
        for member in self._members:
            if (member.channels, member.ranges) != (self.channels, self.ranges):
                raise InputError(
                    f"{self.source}: the channels of their images differ, or their ranges do; they must be the same"
                )
            if member.class_names:
                if self.class_names and member.class_names != self.class_names:
                    raise InputError(
                        f"{self.source}: their classes differ; segmentation can be learnt from one of them"
                    )
                self.class_names, self.class_colors = member.class_names, member.class_colors
        parts = []
        for task in tasks:
            served = next((member for member in self._members if member.task_name == str(task)), None)
            if served is None:
                raise InputError(f"{self.source} has no labels for {task}; add a data set that has")
            parts.append(task_of(served))
        self.task = self.joint = Joint(parts)
        self.items: list[dict[str, tuple[Dataset, int]]] = []
        self.names, groups = [], []
        for place, (_, members) in enumerate(sources):
            found: dict[str, dict[str, tuple[Dataset, int]]] = {}
            for member in members.values():
                for i, name in enumerate(member.names):
                    found.setdefault(name, {})[member.task_name] = (member, i)
            for name in sorted(found):
                self.names.append(f"{place}-{name}")
                self.items.append(found[name])
                member, own = next(iter(found[name].values()))
                groups += [f"{place}-{member.groups[own]}"] if member.groups else []
        self.groups = groups if len(groups) == len(self.names) else ()

    @property
    def members(self) -> list[Dataset]:
        return self._members

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        member, own = next(iter(self.items[i].values()))
        return member.image(own, window)

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        """float32 (H, W, L), the labels of all tasks side by side; see `Joint.pack`."""
        labels = {task: member.labels(own, window) for task, (member, own) in self.items[i].items()}
        return self.joint.pack(labels, next(iter(labels.values())).shape[:2])

    def size(self, i: int) -> tuple[int, int]:
        member, own = next(iter(self.items[i].values()))
        return member.size(own)

    def truth(self, i: int) -> dict[str, np.ndarray]:  # type: ignore[override]
        """By task, of those that the image is labelled for."""
        return {task: member.truth(own) for task, (member, own) in self.items[i].items()}

    def key(self, i: int) -> str:
        member, own = next(iter(self.items[i].values()))
        return member.key(own)

    def files(self, i: int) -> tuple[Path, ...]:
        files = [file for member, own in self.items[i].values() for file in member.files(own)]
        return tuple(dict.fromkeys(files))
