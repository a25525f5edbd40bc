"""Any method's answers on disk: one file for each image, all accounted for before the first is scored."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelnet.data.dataset import Dataset
from pixelnet.errors import InputError
from pixelnet.geometry import convert_normals
from pixelnet.rasters import IMAGE_EXTENSIONS, TIFF, read_header, read_size
from pixelnet.tasks import Task

HEADED = (".png", ".npy", *TIFF)  # endings of files that tell their size before they are read
NAMED = 5  # in a message, of however many
Place = tuple[Path, int | None]  # a file, and which of the maps in it, where it is a stack


class Predictions:
    """The files of a folder, one for each item of a data set: NAME.png, NAME.npy or NAME.tif for the image NAME.

    They lie in its own sub-folders where names have them; of the images NAME[0], NAME[1] and so on of a stack, NAME.tif
    may hold a map each. Class ids (H, W) or class probabilities (.npy or TIFF,
    (H, W, K)); edge strength as 8- or 16-bit PNG, or in 0..1 as .npy or TIFF of real numbers; normals as PNG, .npy or
    TIFF of real numbers; real values. `predictions(i)` reads that of item i. With `resize` one of another size is
    brought to its truth's: class ids by nearest neighbor, the rest bilinearly (half-pixel centers), normals then
    made unit vectors again. The truth is never resized. normals: the convention that normals are written in
    (geometry.CONVENTIONS), None for the library's.

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
        self.files = [path for path, _ in self._places]

    def __call__(self, i: int) -> np.ndarray:
        prediction, size = self._read(*self._places[i]), truth_size(self.dataset, i)
        if prediction.shape[:2] == size or not self.resize:
            return prediction  # of another size it does not fit its truth, which the scorer says
        return self.task.resize(prediction, size)

    def _find(self, resize: bool) -> list[Place]:
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {self.folder}; give the folder of the predictions")
        deep = any("/" in name for name in self.dataset.names)
        files = self.folder.rglob("*") if deep else self.folder.iterdir()
        present = sorted(path for path in files if path.suffix.lower() in {*HEADED, self.task.suffix})
        found: dict[str, Place] = {}
        extra = []
        wanted = set(self.dataset.names)
        for path in present:
            inside = path.relative_to(self.folder)
            name = inside.with_name(inside.stem).as_posix()
            places: dict[str, Place] = {name: (path, None)}
            if name not in wanted and f"{name}[0]" in wanted and path.suffix.lower() in TIFF:  # of a stack
                places = {f"{name}[{k}]": (path, k) for k in range(self._pages(path))}
            if places.keys() <= wanted and not places.keys() & found.keys():
                found |= places
            else:
                extra.append(str(inside))
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
                height, width = truth_size(self.dataset, i)
                path = found[name][0]
                if path.suffix.lower() not in HEADED:  # a form of the task's own is read in the scoring pass
                    continue
                try:
                    found_size = read_size(path)
                except InputError as error:
                    unreadable.append(str(error))
                    continue
                if found_size != (width, height) and not resize:
                    is_now = f"{found_size[0]}x{found_size[1]}"
                    if path.suffix.lower() == ".npy":
                        is_now = f"an array of shape {np.load(path, mmap_mode='r').shape}, which is (H, W, ...),"
                    sized.append(f"{path.name} is {is_now} but its truth is {width}x{height}")
        return unreadable, sized

    def _read(self, path: Path, page: int | None) -> np.ndarray:
        prediction = self.task.read_prediction(path) if page is None else self.task.read_prediction(path, page)
        return prediction if self.normals is None else convert_normals(prediction, self.normals)


def truth_size(dataset: Dataset, i: int) -> tuple[int, int]:
    """(H, W) of an item's labels, which is its image's; from the header of a file where there is one."""
    width, height = dataset.size(i)
    return height, width


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
