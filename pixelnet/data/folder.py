"""`folder:PATH`: your own images and label maps, matched by file stem.

    PATH/images/0003.jpg   PATH/labels/0003.png   PATH/classes.json

or the same under PATH/SPLIT/. Beside images/ stands labels/ (segmentation), normals/, edges/ or values/
(regression). Data without splits serves any split asked for. Symbolic links are followed. In place of label maps,
labels/ may hold LabelMe's JSON files, or all shapes be in a COCO file:

    PATH/SPLIT/labels.json or _annotations.coco.json beside PATH/SPLIT/images/   (or without SPLIT/)
    PATH/SPLIT/_annotations.coco.json beside the pictures, as Roboflow exports; its valid is val
    PATH/annotations/instances_train2017.json of PATH/train2017/, as COCO is released; the split is train
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pixelnet.config import from_dict, read_json
from pixelnet.data.dataset import UNLABELLED, Pairs, class_ids, match, shown, stems
from pixelnet.data.images import IMAGE_EXTENSIONS, LABEL_EXTENSIONS, read_labels, read_normals, read_share, read_values
from pixelnet.data.polygons import Coco, Drawing, coco_splits, labelme_labels, paint, read_labelme
from pixelnet.errors import InputError
from pixelnet.geometry import CONVENTIONS

TARGETS = {"segmentation": "labels", "normals": "normals", "edges": "edges", "regression": "values"}
READERS = {"edges": read_share, "regression": read_values}


@dataclass(frozen=True)
class Classes:
    """What classes.json may hold: class names by id, the id that means unlabelled, one RGB (0..255) a class.

    normals: the convention of the axes of normals, one of geometry.CONVENTIONS.
    """

    names: tuple[str, ...] = ()
    ignore: int = UNLABELLED
    colours: tuple[tuple[int, int, int], ...] = ()
    normals: str = "pixelnet"


class Folder(Pairs):
    """Images of your own, each with a label map of its name, or shapes drawn on it.

    classes.json, {"names": [...], "ignore": 255, "colours": [[r, g, b], ...], "normals": "opengl"}, lies in
    PATH/SPLIT or in PATH; each key is optional. Without names the classes are 0 to the largest id in the label
    maps of every split, so that the splits agree on them; of drawn shapes, "background" (what no shape covers)
    and the labels of every split, COCO's by id, LabelMe's sorted. With names that lack "background", what no
    shape covers is unlabelled. images.py has the formats of label maps.
    """

    name = "folder"
    tasks = tuple(TARGETS)

    coco: Coco | None = None  # of this split, if its labels are a COCO file

    def __init__(self, path: str | Path, task: str, split: str = "train") -> None:
        super().__init__(path, task, split)
        if task == "normals":
            self.convention = self.settings().normals
            if self.convention not in CONVENTIONS:
                raise InputError(
                    f"{self.source}: classes.json calls its normals {self.convention!r}; known conventions are "
                    f"{', '.join(CONVENTIONS)}"
                )
        if task == "segmentation":
            settings = self.settings()
            self.ignore, self.colours = settings.ignore, settings.colours
            self.classes = settings.names or self.drawn_classes() or tuple(str(k) for k in range(self.largest_id() + 1))
            self.check_classes()

    @classmethod
    def layout(cls, root: Path, part: str, task: str) -> tuple[Path, Path]:
        return root / part / "images", root / part / TARGETS[task]

    @classmethod
    def has_labels(cls, root: Path, task: str) -> bool:
        drawn = task == "segmentation" and root.is_dir() and bool(coco_splits(root))
        return drawn or super().has_labels(root, task)

    @classmethod
    def part_names(cls, root: Path) -> tuple[str, ...]:
        return (".", *cls.splits(root, "segmentation"))

    @classmethod
    def splits(cls, root: Path, task: str) -> tuple[str, ...]:
        own = {path.name for path in root.iterdir() if (path / "images").is_dir()}
        drawn = coco_splits(root).keys() - {"."} if task == "segmentation" else set()
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
        drawn = coco_splits(self.root).get(self.part) if self.task == "segmentation" else None
        if drawn:
            return self.find_drawn(*drawn)
        ((images, targets),) = self.folders()
        drawings = (".json",) if self.task == "segmentation" else ()
        return match(images, targets, (*LABEL_EXTENSIONS, *drawings), self.root)

    def find_drawn(self, images: Path, file: Path) -> dict[str, tuple[Path, Path]]:
        """`find` for the images of a COCO file."""
        targets = file.parent / TARGETS[self.task]
        if targets.is_dir():
            raise InputError(f"{self.shown(targets)}/ and {self.shown(file)} both hold labels; keep one of them")
        self.coco, found = Coco(file), stems(images, IMAGE_EXTENSIONS, self.root)
        if not found:
            raise InputError(f"{images} holds no images; expected files ending in {' '.join(IMAGE_EXTENSIONS)}")
        for names, others, what in (
            (found.keys(), self.coco.images.keys(), f"is in {self.shown(images)}/ but not among the images of"),
            (self.coco.images.keys(), found.keys(), f"is not in {self.shown(images)}/ but among the images of"),
        ):
            alone = sorted(names - others)
            if alone:
                more = f" ({len(alone) - 1} more like it)" if len(alone) > 1 else ""
                raise InputError(f"{alone[0]} {what} {self.shown(file)}{more}; both must be the same images")
        return {stem: (image, file) for stem, image in found.items()}

    def labels(self, i: int) -> np.ndarray:
        image, target = self.pairs[i]
        if target.suffix.lower() != ".json":
            return super().labels(i)
        drawing: Drawing = self.coco.drawing(image.stem) if self.coco else read_labelme(target)
        size = self.header_size(i)
        if (drawing.width, drawing.height) != size:
            raise InputError(
                f"{self.shown(target)} says that {self.shown(image)} is {drawing.width}x{drawing.height}, but it is "
                f"{size[0]}x{size[1]}; draw on the image as it is, or put back the one that was drawn on"
            )
        background = self.classes.index("background") if "background" in self.classes else UNLABELLED
        return paint(drawing, self.classes, background)

    def drawn_classes(self) -> tuple[str, ...]:
        """ "background" and the labels of the shapes in all splits; () if the labels are not drawn."""
        categories: dict[int, str] = {}
        coco = [file for _, file in coco_splits(self.root).values()]
        for file in coco:
            own = self.coco if self.coco and self.coco.path == file else Coco(file)
            for key, name in own.categories.items():
                if categories.setdefault(key, name) != name:
                    raise InputError(
                        f"{self.shown(file)} calls category {key} {name!r}, another split {categories[key]!r}; "
                        "give it one name"
                    )
        folders = [self.layout(self.root, part, self.task)[1] for part in self.part_names(self.root)]
        labelme = [stems(folder, (".json",), self.root).values() for folder in folders if folder.is_dir()]
        files = tqdm(list(chain(*labelme)), "reading classes (classes.json would say)", delay=2, leave=False)
        labels = set().union(*map(labelme_labels, files))
        names = [*(categories[key] for key in sorted(categories)), *sorted(labels)]
        return tuple(dict.fromkeys(["background", *names])) if coco or any(labelme) else ()

    def read(self, path: Path) -> np.ndarray:
        if self.task == "segmentation":
            return class_ids(read_labels(path), len(self.classes), self.ignore, self.shown(path))
        if self.task == "normals":
            return read_normals(path, self.convention)
        return READERS[self.task](path)

    def settings(self) -> Classes:
        for path in (self.root / self.split / "classes.json", self.root / "classes.json"):
            if path.is_file():
                return from_dict(Classes, read_json(path), str(path))
        return Classes()

    def check_classes(self) -> None:
        where, count = f"{self.source}: classes.json", len(self.classes)
        if not 2 <= count <= UNLABELLED:
            raise InputError(
                f"{self.source} has {count} classes, expected 2 to 255; ids are 0, 1, 2 ... (a black and white mask "
                "holds 0 and 255: save its white as 1), and classes.json may name them"
            )
        if len(set(self.classes)) < count:
            raise InputError(f"{where} names a class twice; give each its own name")
        if self.colours and len(self.colours) != count:
            raise InputError(f"{where} has {len(self.colours)} colours for {count} classes; give one a class")
        if any(not 0 <= value <= 255 for colour in self.colours for value in colour):
            raise InputError(f"{where} has a colour outside 0..255; give [red, green, blue] of 0 to 255 each")

    def largest_id(self) -> int:
        """The largest class id in the label maps of all splits; -1 if there is none."""
        folders = [self.layout(self.root, part, self.task)[1] for part in self.part_names(self.root)]
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
                f"{shown(files[top], self.root)} holds the id {largest[top]}, expected class ids up to 254 "
                f"({self.ignore} is unlabelled); correct it, or give names and `ignore` in {self.root}/classes.json"
            )
        return largest[top]

    def largest_in(self, path: Path) -> int:
        ids = read_labels(path)
        classes = ids[ids != self.ignore]
        return int(classes.max()) if classes.size else -1
