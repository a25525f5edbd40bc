"""Scenes on the ground: layers of vectors for labels, label maps of another grid, and blocks in place of the whole.

A layer goes with the image that it is called after, or else with all that have none of their own: where its features
are is known. A large scene is cut into blocks, each of them an item, so that no more of it is ever in memory.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.drawn import BACKGROUND
from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.item import Block, Item
from pixelnet.data.folder.layout import Found, Pair
from pixelnet.data.folder.words import Place as Named
from pixelnet.data.folder.words import Vocabulary
from pixelnet.errors import InputError
from pixelnet.rasters import IMAGE_EXTENSIONS, LABEL_EXTENSIONS, TIFF, Stored, read_header, read_size, read_stored
from pixelnet.rasters.geotiff import SCENE, Place, is_elsewhere, is_placed, read_onto, read_place
from pixelnet.rasters.vectors import VECTORS, Features, Layer

SIDE = 512  # pixels of a block, unless dataset.json says


def is_layer(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in VECTORS


def layers_and_images(root: Path, files: Sequence[PurePosixPath], form: Form) -> Found | None:
    """The images that say where they lie, each with its layer; None without layers, and where label maps are, too.

    Raises InputError for two layers of one image.
    """
    layers = [path for path in files if is_layer(path) and (not form.labels or str(path) in form.labels)]
    if not layers:
        return None
    words = Vocabulary((), frozenset(), generic=True)
    rasters = [words.place(path) for path in files if path.suffix.lower() in {*IMAGE_EXTENSIONS, *LABEL_EXTENSIONS}]
    if not form.labels and any(place.role == "label" or place.spoken for place in rasters):
        return None
    images = [place for place in rasters if place.path.suffix.lower() in TIFF and is_placed(root / place.path)]
    if not images:
        return None
    named = [words.place(path) for path in layers]
    own = {image.bare for image in images}
    pairs = []
    for image in images:
        called = [layer for layer in named if layer.bare == image.bare]
        pairs.append(Pair(image, _one(image, called or [layer for layer in named if layer.bare not in own])))
    return Found(pairs)


def _one(image: Named, layers: Sequence[Named]) -> tuple[Named, ...]:
    """The layer of an image: of several the one of its split."""
    near = [layer for layer in layers if layer.split == image.split] or layers
    if len(near) > 1:
        raise InputError(
            f"{near[0].path} and {near[1].path} both hold labels of {image.path}; keep one of them, or say which is "
            f'meant by "labels" in {FILE}'
        )
    return tuple(near)


def blocks(item: Item, root: Path, form: Form) -> list[Item]:
    """The items of a scene, one a block, called NAME[row,column]; the item itself of any other image.

    A scene is an image of SCENE pixels or more that says where it lies, or any that is larger than the form's blocks.
    """
    tiff = item.image.suffix.lower() in TIFF
    if item.page is not None or not (tiff or form.block):
        return [item]
    header = read_header(root / item.image, form.axes)
    large = header.width * header.height >= SCENE and tiff and is_placed(root / item.image)
    if header.orientation != 1 or not (form.block or large):
        return [item]
    rows, columns = (_edges(length, form.block or SIDE) for length in (header.height, header.width))
    if len(rows) == len(columns) == 2:
        return [item]
    return [
        item._replace(name=f"{item.name}[{y},{x}]", block=Block(top, left, bottom - top, right - left))
        for y, (top, bottom) in enumerate(pairwise(rows))
        for x, (left, right) in enumerate(pairwise(columns))
    ]


def _edges(length: int, side: int) -> list[int]:
    """Where blocks begin, and where the last one ends, which is of half a side to one and a half."""
    count = max(1, (2 * length + side) // (2 * side))
    return [*(k * side for k in range(count)), length]


class Ground:
    """What a folder's labels are at the pixels of its images. Layers and places are read once."""

    def __init__(self, root: Path, form: Form) -> None:
        self.root, self.form = root, form
        self._layers: dict[PurePosixPath, Layer] = {}
        self._places: dict[PurePosixPath, Place] = {}
        self._features: dict[tuple[PurePosixPath, PurePosixPath], Features] = {}
        self._elsewhere: dict[tuple[PurePosixPath, PurePosixPath], bool] = {}

    def layer(self, path: PurePosixPath) -> Layer:
        if path not in self._layers:
            self._layers[path] = Layer(self.root / path, self.form.layer, self.form.attribute)
        return self._layers[path]

    def classes(self, layers: Sequence[PurePosixPath]) -> tuple[str, ...]:
        """ "background", and what the features of all layers are called: by number if they all are, else by letter."""
        found = {name for path in layers for name in self.layer(path).classes} - {*BACKGROUND, "__ignore__"}
        numbers = all(name.lstrip("-").isdecimal() for name in found)
        return ("background", *sorted(found, key=int if numbers else None))

    def features(self, item: Item) -> Features:
        """The features of an item's layer on its whole image."""
        image, label = item.image, item.labels[0]
        if (image, label) not in self._features:
            header = read_header(self.root / image)
            layer, size = self.layer(label), (header.width, header.height)
            self._features[image, label] = layer.onto(self._place(image), size, self.form.line_width)
        return self._features[image, label]

    def is_elsewhere(self, image: PurePosixPath, label: PurePosixPath) -> bool:
        """Whether a label map has another grid than its image, and both say where they lie."""
        if {image.suffix.lower(), label.suffix.lower()} - {*TIFF}:
            return False
        if (image, label) not in self._elsewhere:
            self._elsewhere[image, label] = is_elsewhere(self.root / label, self.root / image)
        return self._elsewhere[image, label]

    def stored(self, item: Item, label: PurePosixPath, smooth: bool = False) -> Stored:
        """A label map at the pixels of an item; see `read_map`."""
        page = item.page_of(label)
        axes = None if page is None else self.form.axes
        image = self.root / item.image if self.is_elsewhere(item.image, label) else None
        return read_map(self.root / label, page, axes, self.form.threshold is not None, item.block, image, smooth)

    def _place(self, image: PurePosixPath) -> Place:
        if image not in self._places:
            self._places[image] = read_place(self.root / image)
        return self._places[image]


def read_map(
    path: Path,
    page: int | None,
    axes: str | None,
    lossy: bool,
    block: Block | None = None,
    image: Path | None = None,
    smooth: bool = False,
) -> Stored:
    """A label map, or a block of it, as `read_stored` reads it; or what it says at the pixels of an image elsewhere.

    smooth: of values on another grid, between whose pixels others lie.
    """
    if image is None:
        return read_stored(path, page, axes, lossy, None if block is None else block.window)
    width, height = read_size(image)
    block = block or Block(0, 0, height, width)
    place = read_place(image).at(block.left, block.top)
    values, nodata = read_onto(path, place, (block.width, block.height), smooth)
    return Stored(values, 0, "F", None, nodata)


def labelled(items: Sequence[Item], ground: Ground, background: int) -> tuple[list[Item], list[str]]:
    """Those of some items that have labels by their layers, and what to tell people.

    Of an image without a feature of its layer the form says what it means. Where nothing is background a block without
    any feature says nothing, and is left out. Raises InputError.
    """
    found, missing, silent = [], dict[PurePosixPath, Item](), Counter[PurePosixPath]()
    for item in items:
        if not (item.labels and is_layer(item.labels[0])):
            found.append(item)
        elif not len(ground.features(item)):
            missing[item.image] = item
            if ground.form.missing_labels == "background":
                found.append(item)
        elif item.block and background == UNLABELLED and not len(ground.features(item).within(item.block.window)):
            silent[item.image] += 1
        else:
            found.append(item)
    if missing and (ground.form.missing_labels == "refuse" or not found):
        item = next(iter(missing.values()))
        more = f" ({len(missing) - 1} more like it)" if len(missing) > 1 else ""
        layer = ground.layer(item.labels[0])
        raise InputError(
            f"{item.labels[0]} has {len(layer.features)} features, none of them on {item.image}{more}; give the layer "
            f"of this place and its true CRS (it says {layer.crs}), or say in {FILE} "
            '"missing_labels": "skip" or "background"'
        )
    notes = [f"{count} blocks of {image} have no label, and are left out" for image, count in silent.items()]
    return found, notes
