"""Stacks: files of many images, which are labelled by a file of as many maps, or by a file for each page.

labels/stack[3].png is of the fourth image of stack.tif, where dataset.json says labels/{path}.png.
"""

from collections.abc import Sequence
from pathlib import Path

from pixelnet.data.folder.form import FILE, Form
from pixelnet.data.folder.item import Item
from pixelnet.data.folder.layout import some
from pixelnet.data.pages import page_in
from pixelnet.errors import InputError
from pixelnet.rasters import STACKS, read_header

REFUSE, SKIP, BACKGROUND = "refuse", "skip", "background"  # of what lacks its partner


def pages_of(item: Item, root: Path, form: Form) -> list[Item]:
    """The items of a stack, one a page; the item itself of a single image."""
    if item.image.suffix.lower() not in STACKS:
        return [item]
    pages = read_header(root / item.image, form.axes).pages
    if pages == 1:
        return [item]
    for label in (own for own in item.labels if page_in(own.stem) is None):
        own = read_header(root / label, form.axes).pages if label.suffix.lower() in STACKS else 1
        if own != pages:
            raise InputError(
                f"{item.image} holds {pages} images and {label} {own}; give one label map an image, or say by "
                f'"axes" in '
                f"{FILE} what the first axis is (CYX: channels of one image)"
            )
    found = [
        item._replace(
            name=f"{item.name}[{page}]",
            labels=tuple(own for own in item.labels if page_in(own.stem) in (None, page)),
            page=page,
        )
        for page in range(pages)
    ]
    bare = [f"{item.image}[{own.page}]" for own in found if not own.labels]
    if bare and item.labels and form.missing_labels == REFUSE:
        raise InputError(
            f"{len(bare)} of {pages} images of {item.image} have no labels: {some(bare)}; "
            f'"missing_labels": "{SKIP}" in {FILE} leaves them out, "{BACKGROUND}" takes all of them for background'
        )
    return with_policy(found, form.missing_labels) if item.labels else found


def with_policy(items: Sequence[Item], policy: str) -> list[Item]:
    """The items that are learnt from, where some have no labels."""
    labelled = {item.split for item in items if item.labels}
    if policy == BACKGROUND:
        return [item for item in items if item.split in labelled or not labelled]
    return [item for item in items if item.labels]
