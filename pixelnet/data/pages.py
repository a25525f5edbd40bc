"""How a page of a stack is called: stack.tif[3], the fourth image of a file; and without its ending, stack[3]."""

import os
import re
from pathlib import Path, PurePosixPath

PAGE = re.compile(r"\[(\d+)\]$")


def page_in(name: str) -> int | None:
    """Which page of a stack is called so, NAME[3] the fourth; None for what is called as no page is."""
    found = PAGE.search(name)
    return int(found[1]) if found else None


def file_and_page(image: str | Path) -> tuple[Path, int | None]:
    """An image's file, and which page of it, if one is named; a file that is called so itself comes first."""
    text = str(image)
    page = page_in(text)
    # Path's own would raise where a name is too long for a file.
    if page is None or os.path.exists(text):  # noqa: PTH110
        return Path(text), None
    return Path(PAGE.sub("", text)), page


def name_of(path: str) -> str:
    """The name of an image, by its path: without the ending, with the page."""
    page = PAGE.search(path)
    file = PurePosixPath(PAGE.sub("", path))
    return file.with_suffix("").as_posix() + (page[0] if page else "")
