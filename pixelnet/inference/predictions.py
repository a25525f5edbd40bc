"""Any method's answers on disk: one file for each image, all accounted for before the first is scored."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelnet.data.dataset import Dataset, Window
from pixelnet.errors import InputError
from pixelnet.geometry import convert_normals
from pixelnet.rasters import IMAGE_EXTENSIONS, TIFF, read_header, read_size, stored_in_parts
from pixelnet.tasks import Task

HEADED = (".png", ".npy", ".zarr", *TIFF)  # endings of files that tell their size before they are read
NAMED = 5  # in a message, of however many


class Place(NamedTuple):
    """Where a prediction is: its file in the folder, which page of a stack, which rows and columns of a scene's map."""

    name: str
    page: int | None = None
    window: Window | None = None


class Predictions:
    """The files of a folder, one for each item of a data set: NAME.png, NAME.npy or NAME.tif for the image NAME.

    They lie in its own sub-folders where names have them; of the images NAME[0], NAME[1] and so on of a stack, NAME.tif
    may hold a map each, and of the blocks NAME[0,0] and so on of a scene NAME.tif or NAME.zarr (OME-Zarr) the whole.
    Class ids (H, W) or class probabilities (.npy, TIFF or OME-Zarr, (H, W, K)); edge strength as 8- or 16-bit PNG, or
    in 0..1 as .npy or TIFF of real numbers; normals as PNG, .npy or TIFF of real numbers; real values. `predictions(i)`
    reads that of item i, or rows and columns of it. With `resize` one of another size is brought to its truth's: class
    ids by nearest neighbor, the rest bilinearly (half-pixel centers), normals then made unit vectors again. The truth
    is never resized. normals: the convention that normals are written in (geometry.CONVENTIONS), or None.

    Raises InputError, when made, that names all that is missing, extra or, unless `resize`, of another size, and
    whose header cannot be read; when called, for a file that is broken further on or holds something else.
    """

    def __init__(
        self, folder: str | Path, dataset: Dataset, task: Task, resize: bool = False, normals: str | None = None
    ) -> None:
        if normals is not None and task.name != "normals":
            raise InputError(f"--normals names the axes of normals, and the task is {task}; leave it out")
        self.folder, self.dataset, self.task, self.normals = Path(folder), dataset, task, normals
        self.resize = resize
        self._places = self._find(resize)

    @property
    def files(self) -> Iterator[Path]:
        """Those of all items."""
        return (self.file(i) for i in range(len(self._places)))

    def file(self, i: int) -> Path:
        return self.folder / self._places[i].name

    def __call__(self, i: int, window: Window | None = None) -> np.ndarray:
        place = self._places[i]
        if window is not None and self.in_parts(i):
            return self._read(place._replace(window=window))
        prediction, size = self._read(place), truth_size(self.dataset, i)
        if prediction.shape[:2] != size and self.resize:
            prediction = self.task.resize(prediction, size)
        return prediction[window or ...]  # of another size it does not fit its truth, which the scorer says

    def in_parts(self, i: int) -> bool:
        """Whether no more of an item's prediction is read than a window asks for."""
        path, window = self.file(i), self._places[i].window
        if window is not None or path.suffix.lower() not in HEADED or not stored_in_parts(path):
            return False
        return read_size(path)[::-1] == truth_size(self.dataset, i)

    def _find(self, resize: bool) -> list[Place]:
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {self.folder}; give the folder of the predictions")
        deep = any("/" in name for name in self.dataset.names)
        files = self.folder.rglob("*") if deep else self.folder.iterdir()
        endings = (*HEADED, self.task.suffix)
        present = sorted(str(path.relative_to(self.folder)) for path in files if path.suffix.lower() in endings)
        found: dict[str, Place] = {}
        extra = []
        wanted, scenes = set(self.dataset.names), self._scenes()
        for text in present:
            inside, path = Path(text), self.folder / text
            name = inside.with_name(inside.stem).as_posix()
            if path.suffix.lower() == ".zarr" and name not in {*wanted, *scenes}:
                name = name.removesuffix(".ome")  # a.ome.zarr
            places = {name: Place(text)}
            if name in scenes and name not in wanted:
                places = {own: Place(text, None, window) for own, window in scenes[name].items()}
            elif name not in wanted and f"{name}[0]" in wanted and path.suffix.lower() in TIFF:  # of a stack
                places = {f"{name}[{k}]": Place(text, k) for k in range(self._pages(path))}
            if places.keys() <= wanted and not places.keys() & found.keys():
                found |= places
            else:
                extra.append(text)
        missing = [self._unread(name) for name in self.dataset.names if name not in found]
        unreadable, sized = self._unfit(found, resize)
        faults = [
            (missing, f"lacks {len(missing)} of {len(self.dataset)} predictions: ", "; name each as its image"),
            (extra, f"has {len(extra)} files that are of no image, or second to another: ", "; take them away"),
            (unreadable, f"has {len(unreadable)} broken files: ", ""),
            (sized, f"has {len(sized)} of another size: ", "; --resize brings them to the size of the truth"),
        ]
        told = [before + _some(names) + after for names, before, after in faults if names]
        if told:
            raise InputError(f"nothing is scored. {self.folder} " + ". It ".join(told))
        return [found[name] for name in self.dataset.names]

    def _scenes(self) -> dict[str, dict[str, Window]]:
        """The images whose blocks the items are: of each the rows and columns by the items' names."""
        found: dict[str, dict[str, Window]] = {}
        for i, name in enumerate(self.dataset.names):
            if (scene := self.dataset.within(i)) is not None:
                found.setdefault(scene.name, {})[name] = scene.window
        return found

    def _pages(self, path: Path) -> int:
        try:
            return read_header(path).pages
        except InputError:
            return 1  # it is named among the broken files

    def _unread(self, name: str) -> str:
        """A name without its prediction, and the file that was perhaps meant to be it."""
        others = [self.folder / f"{name}{end}" for end in (*IMAGE_EXTENSIONS, ".npz", ".mat")]
        meant = next((other.name for other in others if other.exists()), None)
        return f"{name} ({meant} is not read: save it as .png or .npy)" if meant else name

    def _unfit(self, found: dict[str, Place], resize: bool) -> tuple[list[str], list[str]]:
        """What is wrong with files by their headers: with those that cannot be read, and those of another size."""
        unreadable, sized = [], []
        for i, name in enumerate(self.dataset.names):
            if name in found:
                path, window = self.folder / found[name].name, found[name].window
                scene = self.dataset.within(i) if window is not None else None
                width, height = truth_size(self.dataset, i)[::-1] if scene is None else scene.size
                if path.suffix.lower() not in HEADED:  # a form of the task's own is read in the scoring pass
                    continue
                try:
                    found_size = read_size(path)
                except InputError as error:
                    unreadable.append(str(error))
                    continue
                if scene is not None and found_size != scene.size:
                    more = "give a map of the scene's own pixels, or one of each block"
                    unreadable.append(f"{path} is {found_size[0]}x{found_size[1]}, its scene {width}x{height}: {more}")
                elif found_size != (width, height) and not resize:
                    is_now = f"{found_size[0]}x{found_size[1]}"
                    if path.suffix.lower() == ".npy":
                        is_now = f"an array of shape {np.load(path, mmap_mode='r').shape}, which is (H, W, ...),"
                    sized.append(f"{path.name} is {is_now} but its truth is {width}x{height}")
        return unreadable, sized

    def _read(self, place: Place) -> np.ndarray:
        # A task of one's own may read neither pages nor windows, and is not asked for what nobody needs.
        asked = {name: value for name, value in place._asdict().items() if value is not None}
        prediction = self.task.read_prediction(self.folder / asked.pop("name"), **asked)
        return prediction if self.normals is None else convert_normals(prediction, self.normals)


def truth_size(dataset: Dataset, i: int) -> tuple[int, int]:
    """(H, W) of an item's labels, which is its image's; from the header of a file where there is one."""
    width, height = dataset.size(i)
    return height, width


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
