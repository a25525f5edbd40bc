"""Label maps from drawn shapes: LabelMe's JSON (one an image) and COCO's (one a split), read and rasterized.

Coordinates are pixel corners: the image spans 0..W and 0..H, and pixel (column x, row y) belongs to a shape if its
center (x + 0.5, y + 0.5) lies inside by the even-odd rule. (Pillow's polygons take in the outline as well, about a
pixel's width too much.)

Sources: LabelMe's file format; COCO's data format, its run lengths down the columns and their text form, groups of
five bits of which each count after the third is a difference to the one two before.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pixelnet.config import read_json
from pixelnet.data.dataset import UNLABELLED
from pixelnet.errors import InputError

COCO_FILES = ("labels.json", "_annotations.coco.json")  # the second is Roboflow's
INSTANCES = "instances_"  # SPLIT2017.json, in annotations/, is COCO's own


class Shape(NamedTuple):
    """One drawn object. mask: bool (H, W). where: file and shape, for messages. crowd: left unlabelled."""

    label: str
    mask: np.ndarray
    where: str
    crowd: bool = False


class Drawing(NamedTuple):
    """The shapes of one image of width x height pixels, in the order they are painted."""

    width: int
    height: int
    shapes: list[Shape]


def paint(drawing: Drawing, classes: tuple[str, ...], background: int) -> np.ndarray:
    """uint8 (H, W): each shape's class painted over what came before it, `background` where there is none.

    Raises InputError that names the shape whose label is not among the classes.
    """
    ids = np.full((drawing.height, drawing.width), background, np.uint8)
    for shape in drawing.shapes:
        if shape.label not in classes:
            raise InputError(
                f"{shape.where} has the label {shape.label!r}, not among the classes {', '.join(classes)}; correct "
                "it, or add it to the names in classes.json"
            )
        ids[shape.mask] = UNLABELLED if shape.crowd else classes.index(shape.label)
    return ids


# ---------------------------------------------------------------------------------------------- LabelMe


def read_labelme(path: Path) -> Drawing:
    """The drawing in a LabelMe file, in its own order. Raises InputError that names file and shape."""
    content = read_json(path)
    with understood(str(path), "LabelMe's imageWidth, imageHeight and shapes"):
        width, height = int(content["imageWidth"]), int(content["imageHeight"])
        shapes = list(enumerate(content["shapes"]))
    drawn = []
    for k, shape in shapes:
        where = f"{path}: shape {k}"
        with understood(where, "a label, a shape_type and points [[x, y], ...]"):
            points = np.asarray(shape["points"], np.float64).reshape(-1, 2)
            outline = outline_of(shape.get("shape_type") or "polygon", points, where)
            drawn.append(Shape(shape["label"], fill(outline, width, height, where), where))
    return Drawing(width, height, drawn)


def labelme_labels(path: Path) -> set[str]:
    """The labels a LabelMe file uses. Raises InputError."""
    content = read_json(path)
    with understood(str(path), "LabelMe's shapes, each with a label"):
        return {str(shape["label"]) for shape in content["shapes"]}


def outline_of(kind: str, points: np.ndarray, where: str) -> np.ndarray:
    """The polygon (P, 2) of a LabelMe shape: a rectangle is two corners, a circle its center and a point on it."""
    if kind == "polygon":
        return points
    if kind not in ("rectangle", "circle"):
        raise InputError(f"{where} is a {kind}; expected polygon, rectangle or circle: draw it as one, or delete it")
    if len(points) != 2:
        raise InputError(f"{where}, a {kind}, has {len(points)} points, expected 2; draw it again")
    (x0, y0), (x1, y1) = points
    if kind == "rectangle":
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)  # within 1e-5 of the radius
    return points[0] + np.hypot(x1 - x0, y1 - y0) * np.stack([np.cos(angles), np.sin(angles)], axis=1)


# ---------------------------------------------------------------------------------------------- COCO


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


class Coco:
    """A COCO file. categories: name by id, in the order of ids. images, shapes: its records by image file stem."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = read_json(path)
        with understood(str(path), "COCO's images, annotations and categories"):
            self.categories = {int(c["id"]): str(c["name"]) for c in sorted(content["categories"], key=_id)}
            self.images: dict[str, dict[str, Any]] = {}
            for image in content["images"]:
                stem = Path(image["file_name"]).stem
                if stem in self.images:
                    raise InputError(f"{path} has two images called {stem}; rename one")
                self.images[stem] = image
            stems = {image["id"]: stem for stem, image in self.images.items()}
            self.shapes: dict[str, list[dict[str, Any]]] = {stem: [] for stem in self.images}
            for shape in content["annotations"]:
                if shape["image_id"] not in stems:
                    raise InputError(
                        f"{path}: annotation {shape['id']} is of image {shape['image_id']}, which is not among its "
                        "images; correct image_id, or delete the annotation"
                    )
                self.shapes[stems[shape["image_id"]]].append(shape)

    def drawing(self, stem: str) -> Drawing:
        """The drawing of an image, larger shapes first so that small ones stay visible.

        Raises InputError that names file and annotation.
        """
        image = self.images[stem]
        with understood(f"{self.path}: image {stem}", "a width and a height"):
            width, height = int(image["width"]), int(image["height"])
        drawn = []
        for shape in self.shapes[stem]:
            where = f"{self.path}: annotation {shape.get('id')} of {stem}"
            with understood(where, "a category_id and a segmentation, polygons or run lengths"):
                if shape["category_id"] not in self.categories:
                    raise InputError(f"{where} has the category {shape['category_id']}, not among categories; add it")
                mask = mask_of(shape["segmentation"], width, height, where)
                label = self.categories[shape["category_id"]]
                drawn.append(Shape(label, mask, where, bool(shape.get("iscrowd", 0))))
        return Drawing(width, height, sorted(drawn, key=lambda shape: -int(shape.mask.sum())))


def _id(record: dict[str, Any]) -> int:
    return int(record["id"])


def mask_of(segmentation: Any, width: int, height: int, where: str) -> np.ndarray:
    """bool (H, W) of a COCO segmentation: the union of polygons [x, y, x, y, ...], or run lengths."""
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise InputError(f"{where}: run lengths of size {segmentation['size']}, expected [{height}, {width}]")
        return decode_runs(segmentation["counts"], width, height, where)
    if not segmentation:
        raise InputError(f"{where} has no polygon, expected one of 3 points or more; draw it, or delete it")
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in segmentation]
    return np.logical_or.reduce([fill(ring, width, height, where) for ring in rings])


def decode_runs(counts: list[int] | str, width: int, height: int, where: str) -> np.ndarray:
    """bool (H, W) of COCO run lengths, numbers or text: runs of 0 and 1 in turn, 0 first, down the columns.

    Raises InputError unless they add up to the image's pixels.
    """
    runs = np.asarray(numbers_of(counts) if isinstance(counts, str) else counts, np.int64)
    if (runs < 0).any() or runs.sum() != width * height:
        raise InputError(f"{where}: run lengths add up to {runs.sum()}, expected {width * height} ({width}x{height})")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def numbers_of(text: str) -> list[int]:
    """The run lengths in COCO's text form. Raises ValueError for text that ends within a number."""
    numbers: list[int] = []
    value = shift = 0
    for code in text.encode("ascii"):
        group = code - 48
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:  # the last group of this number, its highest bit the sign
            value -= (group & 16) << (shift - 4)
            numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths end within a number")
    return numbers


# ---------------------------------------------------------------------------------------------- both


def fill(outline: np.ndarray, width: int, height: int, where: str) -> np.ndarray:
    """bool (H, W): the pixels whose center is inside a polygon (P, 2) of corner coordinates; it may leave the image.

    Raises InputError for fewer than 3 points or coordinates that are not finite.
    """
    if len(outline) < 3 or not np.isfinite(outline).all():
        raise InputError(f"{where} has {len(outline)} points, expected 3 or more, all finite; draw it, or delete it")
    mask = np.zeros((height, width), bool)
    (x0, y0), (x1, y1) = outline.T, np.roll(outline, -1, axis=0).T
    first, last = np.clip(np.ceil(np.sort([y0, y1], axis=0) - 0.5), 0, height).astype(int)
    # An entry for each edge and row whose centers it crosses, and the first column whose center is right of it.
    number = last - first
    edge = np.repeat(np.arange(len(outline)), number)
    if not edge.size:
        return mask
    rows = first[edge] + np.arange(edge.size) - (np.cumsum(number) - number)[edge]
    x = x0[edge] + (rows + 0.5 - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
    columns = np.clip(np.ceil(x - 0.5), 0, width).astype(int)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max()
    crossings = np.zeros((bottom - top, right - left + 1), np.uint8)
    np.add.at(crossings, (rows - top, columns - left), 1)
    mask[top:bottom, left:right] = np.cumsum(crossings, axis=1, dtype=np.uint8)[:, :-1] & 1
    return mask


@contextmanager
def understood(where: str, expected: str) -> Iterator[None]:
    """Say what was expected of a record that is not of the format's form."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where} cannot be read ({error!r}); expected {expected}") from error
