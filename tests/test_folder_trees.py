"""Folders as they are downloaded are read right, or refused in words; and dataset.json says what was found."""

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from trees import TREES, expected, grow

from pixelnet.data.folder import Folder
from pixelnet.data.folder.form import SCHEMA
from pixelnet.data.folder.proposed import write_form
from pixelnet.data.folder.survey import survey
from pixelnet.errors import InputError

READ = [name for name, tree in TREES.items() if not tree["pairs"].startswith("!")]
REFUSED = [name for name in TREES if name not in READ]


def grown(root: Path, name: str) -> Path:
    return grow(root / "data", TREES[name]["files"])


def found(root: Path, form: dict | None = None) -> dict[str, dict[str, list[str]]]:
    pairs: dict[str, dict[str, list[str]]] = {}
    for item in survey(root, "segmentation", form).items:
        pairs.setdefault(item.split or "-", {})[str(item.image)] = [str(path) for path in item.labels]
    return pairs


def opened(root: Path, form: dict | None = None) -> list[Folder]:
    """A folder's splits."""
    return [
        Folder(root, "segmentation", split, form) for split in survey(root, "segmentation", form).splits or ("train",)
    ]


@pytest.mark.parametrize("name", READ)
def test_images_find_their_labels(name: str, tmp_path: Path) -> None:
    tree = TREES[name]
    assert found(grown(tmp_path, name), tree.get("form")) == expected(tree["pairs"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_meant_in_two_ways_is_refused(name: str, tmp_path: Path) -> None:
    root = grown(tmp_path, name)
    with pytest.raises(InputError) as caught:
        opened(root)
    assert re.search(TREES[name]["pairs"].removeprefix("!").strip(), str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_dataset_json_says_what_was_found(name: str, tmp_path: Path) -> None:
    root = grown(tmp_path, name)
    for before in opened(root, TREES[name].get("form")):
        path = write_form(before, tmp_path / "said.json")
        jsonschema.validate(json.loads(path.read_text()), json.loads(SCHEMA.read_text()))
        after = Folder(path, "segmentation", before.split)
        assert after.names == before.names
        assert after.items == before.items
        assert after.survey.splits == before.survey.splits
        assert after.class_names == before.class_names
        assert after.class_colors == before.class_colors
        for i in range(len(before)):
            np.testing.assert_array_equal(after.labels(i), before.labels(i))
            np.testing.assert_array_equal(after.image(i), before.image(i))
            assert set(np.unique(before.labels(i))) <= {*range(len(before.class_names)), 255}
            assert len(np.unique(before.labels(i))) > 1
