"""The maps that are measured, image by image: a model's answers, or any method's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pixelnet.data.images import view_of
from pixelnet.errors import InputError
from pixelnet.inference.inputs import Failure, Item, find_pages, image_files
from pixelnet.inference.methods import of_one_task
from pixelnet.inference.source import FileSource
from pixelnet.learning.strokes import Images
from pixelnet.measure.survey import PLAN, SAMPLES
from pixelnet.metrics.confusion import UNLABELLED
from pixelnet.model import PixelNet
from pixelnet.rasters import read_header, read_size, read_stored
from pixelnet.rasters.ground import pixel_area
from pixelnet.runs.hub import load, model_files
from pixelnet.tasks import make_task

ENDINGS = (".png", ".npy", ".tif", ".tiff")  # of any method's files
SURE = 0.8  # how often a map without probabilities is taken to be right, until labels tell
EDGES = ("none", "edge")


@dataclass(frozen=True)
class Answer:
    """What a map says of an image: class ids (H, W), UNLABELLED where nothing, and class probabilities (H, W, K); or of
    regression values (H, W), NaN where nothing."""

    mapped: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    values: np.ndarray | None = None

    @property
    def said(self) -> np.ndarray:
        """(H, W): where the map says anything."""
        return ~np.isnan(self.values) if self.mapped is None else self.mapped != UNLABELLED  # type: ignore[arg-type]


def images_of(given: Sequence[str | Path]) -> tuple[list[Item], list[Failure]]:
    """Images and those in folders, but for the pictures of surveys that lie among them; and what cannot be read."""
    folders = [Path(path) for path in given if Path(path).is_dir()]
    surveys = [plan.parent for folder in folders for plan in folder.rglob(PLAN) if (plan.parent / SAMPLES).is_file()]
    return find_pages(image_files(given, surveys), None)


def by_kind(items: Sequence[Item]) -> list[tuple[Images, int]]:
    """For each image those of its type and channels, which have one stretch, and its place among them."""
    of_kind: dict[object, list[str | Path]] = {}
    places = []
    for item in items:
        header = read_header(item.path)
        own = of_kind.setdefault((header.dtype, header.channels), [])
        places.append(((header.dtype, header.channels), len(own)))
        own.append(f"{item.path}[{item.page}]" if header.pages > 1 else item.path)
    alike = {kind: Images(own) for kind, own in of_kind.items()}
    return [(alike[kind], place) for kind, place in places]


class Maps:
    """The maps of some images. `maps(i)` is that of the i-th.

    names: of the images. class_names: () of regression. probable: there are probabilities. files: those that the maps
    rest on. ground: square meters of a pixel, where all maps say so and agree.
    """

    task: str
    class_names: tuple[str, ...] = ()
    probable = True
    ground: float | None = None

    def __init__(self, images: Sequence[str | Path]) -> None:
        self.items, failures = images_of(images)
        if failures:
            raise InputError(failures[0].reason)
        self.names = [str(item.name) for item in self.items]
        self.files: list[Path] = []

    def __len__(self) -> int:
        return len(self.items)

    def __call__(self, i: int) -> Answer:
        raise NotImplementedError

    def view(self, i: int) -> np.ndarray:
        """An image as people see it, uint8 (H, W, 3), stretched as the studio stretches all images of its kind."""
        images, place = self._alike[i]
        return view_of(images.read(place), images.ranges, images.channels)

    @cached_property
    def _alike(self) -> list[tuple[Images, int]]:
        return by_kind(self.items)


class ModelMaps(Maps):
    """What a model answers: classes, edges (from its threshold on, or .5) or real values."""

    def __init__(self, images: Sequence[str | Path], model: PixelNet | str | Path, task: str | None = None) -> None:
        super().__init__(images)
        self.model = of_one_task(load(model) if isinstance(model, str | Path) else model, task)
        self.task = self.model.config.task
        if not self.model.task.categorical and self.task not in ("edges", "regression"):
            raise InputError(f"a survey measures segmentation, edges and regression, not {self.task}; add --task")
        if self.model.task.categorical:
            count = self.model.config.num_classes or 0
            self.class_names = self.model.config.class_names or tuple(map(str, range(count)))
        elif self.task == "edges":
            self.class_names = EDGES
        self.files = sorted(path for path in model_files(model) if path.is_file())

    def __call__(self, i: int) -> Answer:
        image, config = self._image(i), self.model.config
        if self.task == "regression":
            return Answer(values=self.model.predict(image).astype(np.float64))
        if self.task == "edges":
            share = self.model.predict(image).astype(np.float32)
            lines = share >= (config.threshold or 0.5)
            return Answer(lines.astype(np.uint8), np.stack([1 - share, share], axis=-1))
        probabilities = self.model.predict(image, probabilities=True)
        return Answer(probabilities.argmax(axis=-1).astype(np.uint8), probabilities)

    def view(self, i: int) -> np.ndarray:
        """As the model sees it; where it knows no ranges of numbers that are no bytes, stretched as of any maps."""
        image, ranges = self._image(i), self.model.config.ranges
        if ranges is None and image.dtype != np.uint8:
            return super().view(i)
        return view_of(image, ranges, self.model.channels)

    def _image(self, i: int) -> np.ndarray:
        item = self.items[i]
        with FileSource(item.path, self.model, item.page) as source:  # which knows the slices around one
            return source.read(range(source.height), range(source.width))


class FileMaps(Maps):
    """Files, each named as its image: class ids (.png, .npy, GeoTIFF), probabilities (.npy), edge strength, values.

    Raises InputError for a map that is missing, of another size than its image, or holds what is no class.
    """

    def __init__(
        self, images: Sequence[str | Path], folder: str | Path, task: str | None, class_names: Sequence[str]
    ) -> None:
        super().__init__(images)
        self.task = task or "segmentation"
        if self.task not in ("segmentation", "edges", "regression"):
            raise InputError(f"a survey measures segmentation, edges and regression, not {self.task}")
        self.files = [self._file(Path(folder), name) for name in self.names]
        if self.task == "edges":
            self.class_names = EDGES
        elif self.task == "segmentation":
            self.class_names = tuple(class_names)
            largest, depth = self._largest()
            self.probable = depth is not None
            count = max(largest + 1, depth or 0)
            self.class_names = self.class_names or tuple(map(str, range(max(2, count))))
            if count > len(self.class_names):
                raise InputError(
                    f"the maps in {folder} have classes up to {count - 1}, and {len(self.class_names)} are named; name "
                    f"{count} (--classes)"
                )
        areas = {pixel_area(path) for path in self.files}
        area = areas.pop() if len(areas) == 1 else None
        self.ground = area.size if area is not None and area.unit == "square_meters" else None

    def _file(self, folder: Path, name: str) -> Path:
        found = [path for end in ENDINGS if (path := folder / f"{name}{end}").is_file()]
        if len(found) != 1:
            what = "no map of that name" if not found else f"{found[0].name} and {found[1].name}"
            raise InputError(f"{folder} has {what} for the image {name}; expected one, as {' '.join(ENDINGS)}")
        return found[0]

    def _largest(self) -> tuple[int, int | None]:
        """The largest class id of all maps, and how many probabilities a pixel has, where they are that."""
        largest, depths = 0, set()
        for path in self.files:
            stored, nodata = self._stored(path)
            depths.add(stored.shape[2] if stored.ndim == 3 else None)
            if stored.ndim == 2:
                known = stored[~np.isin(stored, [*nodata, UNLABELLED])]
                largest = max(largest, int(known.max(initial=0)))
        if len(depths) != 1:
            raise InputError(f"{self.files[0].parent} holds maps of class ids and of probabilities, or of unlike many")
        return largest, depths.pop()

    @staticmethod
    def _stored(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
        found = read_stored(path)
        return found.values, found.nodata

    def __call__(self, i: int) -> Answer:
        path = self.files[i]
        width, height = read_size(self.items[i].path)
        if self.task != "segmentation":
            values = make_task(self.task).read_prediction(path)
            answer = Answer(values=values.astype(np.float64))
            if self.task == "edges":
                share = values.astype(np.float32)
                answer = Answer((share >= 0.5).astype(np.uint8), np.stack([1 - share, share], axis=-1))
        else:
            answer = self._classes(path)
        size = answer.said.shape
        if size != (height, width):
            raise InputError(f"{path} is {size[1]}x{size[0]} but its image is {width}x{height}; give maps of its size")
        return answer

    def _classes(self, path: Path) -> Answer:
        stored, nodata = self._stored(path)
        classes = len(self.class_names)
        if stored.ndim == 3:
            probabilities = make_task("segmentation", class_names=self.class_names).read_prediction(path)
            return Answer(probabilities.argmax(axis=-1).astype(np.uint8), probabilities)
        nothing = np.isin(stored, [*nodata, UNLABELLED])
        if not np.issubdtype(stored.dtype, np.integer) or ((stored < 0) | (stored >= classes))[~nothing].any():
            raise InputError(f"{path} holds values that are no class ids from 0 to {classes - 1}; correct it")
        mapped = np.where(nothing, UNLABELLED, stored).astype(np.uint8)
        sure = np.full((*mapped.shape, classes), (1 - SURE) / max(1, classes - 1), np.float32)
        np.put_along_axis(sure, np.minimum(mapped, classes - 1)[..., None].astype(np.int64), SURE, axis=-1)
        return Answer(mapped, sure)
