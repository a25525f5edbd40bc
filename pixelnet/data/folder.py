"""`folder:PATH`: your own images and label maps, matched by file stem.

    PATH/images/0003.jpg   PATH/labels/0003.png   PATH/classes.json

or the same under PATH/SPLIT/. Beside images/ stands labels/ (segmentation), normals/, edges/ or values/
(regression). Data without splits serves any split asked for. Symbolic links are followed. In place of label maps,
labels/ may hold LabelMe's JSON files, or all shapes be in a COCO file:

    PATH/SPLIT/labels.json or _annotations.coco.json beside PATH/SPLIT/images/   (or without SPLIT/)
    PATH/SPLIT/_annotations.coco.json beside the pictures, as Roboflow exports; its valid is val
    PATH/annotations/instances_train2017.json of PATH/train2017/, as COCO is released; the split is train
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pixelnet.config import from_dict, read_json
from pixelnet.data.dataset import UNLABELLED, PairedFiles, Window, class_ids, match, rel_path, stems
from pixelnet.data.drawn import Coco, labelme_labels, paint, read_labelme
from pixelnet.errors import InputError
from pixelnet.geometry import CONVENTIONS, convert_normals
from pixelnet.rasters import IMAGE_EXTENSIONS, LABEL_EXTENSIONS
from pixelnet.tasks import TASKS, Task, find_task
from pixelnet.tasks.segmentation import read_labels

COCO_FILES = ("labels.json", "_annotations.coco.json")  # the second is Roboflow's
INSTANCES = "instances_"  # SPLIT2017.json, in annotations/, is COCO's own


def coco_splits(root: Path) -> dict[str, tuple[Path, Path]]:
    """The folder of images and the COCO file of each split in a folder; the split "." is the folder itself.

    A file of COCO_FILES beside images/, in root/ or root/SPLIT/. Or beside the pictures themselves, as Roboflow
    exports, whose "valid" is val. Or annotations/instances_train2017.json of the images in train2017/ or
    images/train2017/, as COCO is released: the split train, or train2017 if there is another year's, too.
    """
    found: dict[str, tuple[Path, Path]] = {}
    files = {file.stem.removeprefix(INSTANCES): file for file in sorted(root.glob(f"annotations/{INSTANCES}*.json"))}
    short = {part: part.rstrip("0123456789") or part for part in files}
    years = Counter(short.values())
    for part, file in files.items():
        images = next((place for place in (root / part, root / "images" / part) if place.is_dir()), None)
        if images:
            found[short[part] if years[short[part]] == 1 else part] = images, file
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        files_here = (folder / name for name in COCO_FILES)
        if drawn := next((path for path in files_here if path.is_file()), None):
            beside = drawn.name == COCO_FILES[1] and not (folder / "images").is_dir()
            split = "." if folder == root else "val" if beside and folder.name == "valid" else folder.name
            found[split] = folder if beside else folder / "images", drawn
    return found


@dataclass(frozen=True)
class Classes:
    """What classes.json may hold: class names by id, the id that means unlabelled, one RGB (0..255) a class.

    normals: the convention of the axes of normals, one of geometry.CONVENTIONS.
    """

    names: tuple[str, ...] = ()
    ignore: int = UNLABELLED
    colors: tuple[tuple[int, int, int], ...] = ()
    normals: str = "pixelnet"


class Folder(PairedFiles):
    """Images of your own, each with a label map of its name, or shapes drawn on it.

    classes.json, {"names": [...], "ignore": 255, "colors": [[r, g, b], ...], "normals": "opengl"}, lies in
    PATH/SPLIT or in PATH; each key is optional. Without names the classes are 0 to the largest id in the label
    maps of every split, so that the splits agree on them; of drawn shapes, "background" (what no shape covers)
    and the labels of every split, COCO's by id, LabelMe's sorted. With names that lack "background", what no
    shape covers is unlabelled. images.py has the formats of label maps.
    """

    name = "folder"
    tasks = tuple(TASKS)

    coco: Coco | None = None  # of this split, if its labels are a COCO file

    def __init__(self, path: str | Path, task: str | Task, split: str = "train") -> None:
        self.kind = find_task(task)
        super().__init__(path, task, split)
        settings = self.settings()
        self.convention = settings.normals
        if self.convention not in CONVENTIONS:
            raise InputError(
                f"{self.source}: classes.json calls its normals {self.convention!r}; known conventions are "
                f"{', '.join(CONVENTIONS)}"
            )
        if self.kind.categorical:
            self.ignore, self.class_colors = settings.ignore, settings.colors
            self.class_names = (
                settings.names or self.drawn_classes() or tuple(str(k) for k in range(self.largest_id() + 1))
            )
            self.check_classes()

    @classmethod
    def serves(cls, task: str | Task) -> bool:
        return isinstance(task, Task) or task in cls.tasks

    @classmethod
    def layout(cls, root: Path, part: str, task: str | Task) -> tuple[Path, Path]:
        return root / part / "images", root / part / find_task(task).folder

    @classmethod
    def has_labels(cls, root: Path, task: str | Task) -> bool:
        drawn = find_task(task).categorical and root.is_dir() and bool(coco_splits(root))
        return drawn or super().has_labels(root, task)

    @classmethod
    def folder_names(cls, root: Path) -> tuple[str, ...]:
        return (".", *cls.splits(root, "segmentation"))

    @classmethod
    def splits(cls, root: Path, task: str | Task) -> tuple[str, ...]:
        own = {path.name for path in root.iterdir() if (path / "images").is_dir()}
        drawn = coco_splits(root).keys() - {"."} if find_task(task).categorical else set()
        return tuple(sorted(own | drawn))

    @property
    def part(self) -> str:
        """The part that serves the split: the split's own, or all there is."""
        return self.split if self.split in self.splits(self.root, self.task) else "."

    def folders(self) -> list[tuple[Path, Path]]:
        images, targets = self.layout(self.root, self.part, self.task)
        found = ", ".join(self.splits(self.root, self.task))
        if not images.is_dir() or (self.part == "." and found and not targets.is_dir()):
            raise InputError(
                f"{self.source} has no split {self.split!r}; it has {found}"
                if found
                else f"{self.root} has no folder images/; expected images/ beside {targets.name}/, or "
                f"{self.split}/images/ beside {self.split}/{targets.name}/"
            )
        return [(images, targets)]

    def find(self) -> dict[str, tuple[Path, Path]]:
        drawn = coco_splits(self.root).get(self.part) if self.kind.categorical else None
        if drawn:
            return self.find_drawn(*drawn)
        ((images, targets),) = self.folders()
        drawings = (".json",) if self.kind.categorical else ()
        return match(images, targets, tuple(dict.fromkeys((*LABEL_EXTENSIONS, self.kind.suffix, *drawings))), self.root)

    def find_drawn(self, images: Path, file: Path) -> dict[str, tuple[Path, Path]]:
        """`find` for the images of a COCO file."""
        targets = file.parent / self.kind.folder
        if targets.is_dir():
            raise InputError(f"{self.rel(targets)}/ and {self.rel(file)} both hold labels; keep one of them")
        self.coco, found = Coco(file), stems(images, IMAGE_EXTENSIONS, self.root)
        self.keys = {Path(image).stem: image for image in self.coco.images}
        if not found:
            raise InputError(f"{images} holds no images; expected files ending in {' '.join(IMAGE_EXTENSIONS)}")
        for names, others, what in (
            (found.keys(), self.keys.keys(), f"is in {self.rel(images)}/ but not among the images of"),
            (self.keys.keys(), found.keys(), f"is not in {self.rel(images)}/ but among the images of"),
        ):
            alone = sorted(names - others)
            if alone:
                more = f" ({len(alone) - 1} more like it)" if len(alone) > 1 else ""
                raise InputError(f"{alone[0]} {what} {self.rel(file)}{more}; both must be the same images")
        return {stem: (image, file) for stem, image in found.items()}

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        image, target = self.pairs[i]
        if target.suffix.lower() != ".json":
            return super().labels(i, window)
        size = self.size(i)
        drawing = self.coco.drawing(self.keys[image.stem], size) if self.coco else read_labelme(target, size)
        background = self.class_names.index("background") if "background" in self.class_names else UNLABELLED
        return paint(drawing, self.class_names, background)[window or ...]

    def drawn_classes(self) -> tuple[str, ...]:
        """ "background" and the labels of the shapes in all splits; () if the labels are not drawn."""
        coco = [file for _, file in coco_splits(self.root).values()]
        folders = [self.layout(self.root, part, self.task)[1] for part in self.folder_names(self.root)]
        labelme = [stems(folder, (".json",), self.root).values() for folder in folders if folder.is_dir()]
        files = tqdm(list(chain(*labelme)), "reading classes (classes.json would say)", delay=2, leave=False)
        labels = set().union(*map(labelme_labels, files))
        own = (self.coco if self.coco and self.coco.path == file else Coco(file) for file in coco)
        names = [*chain(*(file.categories for file in own)), *sorted(labels)]
        return tuple(dict.fromkeys(["background", *names])) if coco or any(labelme) else ()

    def read(self, path: Path) -> np.ndarray:
        stored = self.kind.read(path)  # type: ignore[arg-type, call-arg]
        if self.kind.categorical:
            return class_ids(stored, len(self.class_names), self.ignore, self.rel(path))
        return convert_normals(stored, self.convention) if self.task_name == "normals" else stored

    def settings(self) -> Classes:
        for path in (self.root / self.split / "classes.json", self.root / "classes.json"):
            if path.is_file():
                return from_dict(Classes, read_json(path), str(path))
        return Classes()

    def check_classes(self) -> None:
        where, count = f"{self.source}: classes.json", len(self.class_names)
        if not 2 <= count <= UNLABELLED:
            raise InputError(
                f"{self.source} has {count} classes, expected 2 to 255; ids are 0, 1, 2 ... (a black and white mask "
                "holds 0 and 255: save its white as 1), and classes.json may name them"
            )
        if len(set(self.class_names)) < count:
            raise InputError(f"{where} names a class twice; give each its own name")
        if self.class_colors and len(self.class_colors) != count:
            raise InputError(f"{where} has {len(self.class_colors)} colors for {count} classes; give one a class")
        if any(not 0 <= value <= 255 for color in self.class_colors for value in color):
            raise InputError(f"{where} has a color outside 0..255; give [red, green, blue] of 0 to 255 each")

    def largest_id(self) -> int:
        """The largest class id in the label maps of all splits; -1 if there is none."""
        folders = [self.layout(self.root, part, self.task)[1] for part in self.folder_names(self.root)]
        files = [
            path
            for folder in folders
            if folder.is_dir()
            for path in stems(folder, LABEL_EXTENSIONS, self.root).values()
        ]
        with ThreadPoolExecutor() as pool:
            found = pool.map(self.largest_in, files)
            largest = list(tqdm(found, "reading classes (classes.json would say)", len(files), delay=2, leave=False))
        top = int(np.argmax(largest))
        if largest[top] >= UNLABELLED:
            raise InputError(
                f"{rel_path(files[top], self.root)} holds the id {largest[top]}, expected class ids up to 254 "
                f"({self.ignore} is unlabelled); correct it, or give names and `ignore` in {self.root}/classes.json"
            )
        return largest[top]

    def largest_in(self, path: Path) -> int:
        ids = read_labels(path)
        classes = ids[ids != self.ignore]
        return int(classes.max()) if classes.size else -1
