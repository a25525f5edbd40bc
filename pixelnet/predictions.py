"""Any method's answers on disk: one file for each image, all accounted for before the first is scored."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from pixelnet.data.dataset import Dataset
from pixelnet.data.images import IMAGE_EXTENSIONS, read_labels, read_normals, read_share, read_size, read_values
from pixelnet.errors import InputError

SHOWN = 5  # names in a message, of however many
READERS = {"segmentation": read_labels, "normals": read_normals, "edges": read_share, "regression": read_values}


class Predictions:
    """The files of a folder, one for each item of a data set: NAME.png or NAME.npy for the image NAME.

    Class ids (H, W) or class probabilities (.npy, (H, W, K)); edge strength as 8- or 16-bit PNG or .npy in 0..1;
    normals as PNG or .npy; real values. `predictions(i)` reads that of item i. With `resize` one of another size is
    brought to its truth's: class ids by nearest neighbour, the rest bilinearly (half-pixel centres), normals then
    made unit vectors again. The truth is never resized. normals: the convention that normals are written in
    (geometry.CONVENTIONS), None for the library's.

    Raises InputError, when made, that names all that is missing, extra or, unless `resize`, of another size, and
    whose header cannot be read; when called, for a file that is broken further on or holds something else.
    """

    def __init__(self, folder: str | Path, dataset: Dataset, resize: bool = False, normals: str | None = None) -> None:
        if normals is not None and dataset.task != "normals":
            raise InputError(f"--normals names the axes of normals, and the task is {dataset.task}; leave it out")
        self.folder, self.dataset, self.normals = Path(folder), dataset, normals
        self.files = self._find(resize)

    def __call__(self, i: int) -> np.ndarray:
        prediction = self._read(self.files[i])
        size = truth_size(self.dataset, i)
        return prediction if prediction.shape[:2] == size else resized(prediction, size, self.dataset.task)

    def _find(self, resize: bool) -> list[Path]:
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {self.folder}; give the folder of the predictions")
        present = sorted(path for path in self.folder.iterdir() if path.suffix.lower() in (".png", ".npy"))
        present = [path for path in present if not path.name.endswith(".view.png")]  # `predict` leaves them for people
        found: dict[str, Path] = {}
        extra = []
        wanted = set(self.dataset.names)
        for path in present:
            if path.stem in wanted and path.stem not in found:
                found[path.stem] = path
            else:
                extra.append(path.name)
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

    def _unread(self, name: str) -> str:
        """A name without its prediction, and the file that was perhaps meant to be it."""
        others = [self.folder / f"{name}{end}" for end in (*IMAGE_EXTENSIONS, ".npz", ".mat")]
        meant = next((other.name for other in others if other.exists()), None)
        return f"{name} ({meant} is not read: save it as .png or .npy)" if meant else name

    def _unfit(self, found: dict[str, Path], resize: bool) -> tuple[list[str], list[str]]:
        """What is wrong with files by their headers: with those that cannot be read, and those of another size."""
        unreadable, sized = [], []
        for i, name in enumerate(self.dataset.names):
            if name in found:
                height, width = truth_size(self.dataset, i)
                try:
                    found_size = read_size(found[name])
                except InputError as error:
                    unreadable.append(str(error))
                    continue
                if found_size != (width, height) and not resize:
                    is_now = f"{found_size[0]}x{found_size[1]}"
                    if found[name].suffix.lower() == ".npy":
                        is_now = f"an array of shape {np.load(found[name], mmap_mode='r').shape}, which is (H, W, ...),"
                    sized.append(f"{found[name].name} is {is_now} but its truth is {width}x{height}")
        return unreadable, sized

    def _read(self, path: Path) -> np.ndarray:
        if self.dataset.task == "segmentation" and path.suffix.lower() == ".npy":
            stored = np.load(path, mmap_mode="r", allow_pickle=False)  # its header was read before
            if stored.ndim == 3:
                return _probabilities(path, np.asarray(stored), len(self.dataset.classes))
        if self.normals is not None:
            return read_normals(path, convention=self.normals)
        return READERS[self.dataset.task](path)


def truth_size(dataset: Dataset, i: int) -> tuple[int, int]:
    """(H, W) of an item's labels, which is its image's; from the header of a file where there is one."""
    files = dataset.files(i)
    if files and files[0].suffix.lower() in IMAGE_EXTENSIONS:
        width, height = read_size(files[0])
        return height, width
    height, width = dataset.labels(i).shape[:2]
    return height, width


def resized(prediction: np.ndarray, size: tuple[int, int], task: str) -> np.ndarray:
    """A prediction (h, w) or (h, w, C) at the size (H, W); see `Predictions`."""
    if task == "segmentation" and prediction.ndim == 2:
        rows, cols = (
            ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, prediction.shape, strict=True)
        )
        return prediction[np.ix_(rows, cols)]
    maps = torch.from_numpy(prediction.astype(np.float32)).reshape(1, *prediction.shape[:2], -1).permute(0, 3, 1, 2)
    new = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    if task == "normals":
        length = np.linalg.norm(new, axis=-1, keepdims=True)
        return np.divide(new, length, out=np.zeros_like(new), where=length > 0)
    return new.reshape(*size, *prediction.shape[2:])


def _probabilities(path: Path, stored: np.ndarray, classes: int) -> np.ndarray:
    if stored.dtype.kind != "f" or stored.shape[2] != classes:
        raise InputError(
            f"{path} is an array of {stored.dtype}, shape {stored.shape}; class probabilities are real numbers "
            f"(H, W, {classes}), one for each class of the data"
        )
    if not (stored.min() >= 0 and np.abs(stored.sum(axis=2, dtype=np.float32) - 1).max() < 0.02):  # float16 rounds
        raise InputError(f"{path} holds no probabilities: they are 0 or more and sum to 1; apply the softmax")
    return stored.astype(np.float32)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
