"""Labels that a folder has before it is opened for the first time, in any form that `folder:` reads."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelnet.data.folder import Folder
from pixelnet.data.folder.survey import survey
from pixelnet.data.pages import page_in
from pixelnet.errors import InputError

TASK = "segmentation"
SKIP = {"missing_labels": "skip"}
NONE = "no labels for segmentation that go with them"  # what a folder without labels is said to have


class Before(NamedTuple):
    """Labels that a folder has of an image. page: of a stack. files: the image's, and those of its labels."""

    labels: np.ndarray
    page: int | None
    files: tuple[Path, ...]


class Found(NamedTuple):
    """The classes of labels that a folder has, those of each image, and why some there are cannot be read."""

    classes: tuple[str, ...] = ()
    labelled: tuple[Before, ...] = ()
    fault: str = ""


def labelled_before(folder: Path) -> Found:
    """Those of all its splits; images that have none are left to be labelled."""
    try:
        names = survey(folder, TASK, SKIP).splits or ("train",)
        splits = [Folder(folder, TASK, name, SKIP) for name in names]
        return Found(
            tuple(splits[0].class_names),
            tuple(
                Before(data.labels(i), page_in(name), data.files(i))
                for data in splits
                for i, name in enumerate(data.names)
            ),
        )
    except InputError as error:
        return Found(fault="" if NONE in str(error) else str(error))
