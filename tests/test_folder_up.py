"""Pictures with and without an up, and what is proposed for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from pixelnet.data import open_dataset
from pixelnet.data.check import check
from pixelnet.data.folder.proposed import proposed_form, write_form
from pixelnet.data.folder.up import UNEVEN, unevenness

Maker = Callable[[np.random.Generator], np.ndarray]


def blobs(rng: np.random.Generator, side: int = 256) -> np.ndarray:
    """Round spots, as cells are."""
    field = gaussian_filter(rng.normal(size=(side, side)), 4)
    return np.repeat(np.uint8(255 * (field > 0))[..., None], 3, axis=2)


def boxes(rng: np.random.Generator) -> np.ndarray:
    """Upright rectangles, as in streets and rooms."""
    image = np.zeros((256, 256, 3), np.uint8)
    for _ in range(30):
        y, x = rng.integers(0, 230, 2)
        image[y : y + rng.integers(10, 60), x : x + rng.integers(10, 60)] = rng.integers(0, 256, 3)
    return image


def lit(rng: np.random.Generator) -> np.ndarray:
    """Spots under a sky that is lighter above."""
    return np.uint8(blobs(rng) // 16 + np.linspace(200, 0, 256)[:, None, None])


def fields(rng: np.random.Generator) -> np.ndarray:
    """Furrows that all run one way: not surely without an up."""
    return np.repeat(np.uint8(127 + 127 * np.sin(np.arange(256) / 3))[None, :, None], 256, axis=0).repeat(3, axis=2)


def grow(root: Path, pictures: list[np.ndarray], folder: str = "masks") -> Path:
    for k, picture in enumerate(pictures):
        for name, content in (("images", picture), (folder, np.uint8(picture[..., 0] > 99))):
            (root / name).mkdir(parents=True, exist_ok=True)
            if folder == "normals" and name == folder:
                content = np.full_like(picture, 200)
            Image.fromarray(content).save(root / name / f"{k}.png")
    return root


@pytest.mark.parametrize(("make", "top_down"), [(blobs, True), (boxes, False), (lit, False), (fields, False)])
def test_what_is_proposed(make: Maker, top_down: bool, tmp_path: Path) -> None:
    data = open_dataset(grow(tmp_path / "data", [make(np.random.default_rng(k)) for k in range(5)]), "segmentation")
    report = check(data)
    assert ('"augment": "top-down"\n}' in report.form) == top_down
    notes = [note for note in report.notes if "--augment top-down" in note]
    assert len(notes) == top_down
    assert proposed_form(data).augment == ("top-down" if top_down else None)
    assert data.augment == "photo"  # which a proposal does not change
    write_form(data)
    assert open_dataset(data.root, "segmentation").augment == ("top-down" if top_down else "photo")


def test_nothing_is_proposed_of_few_or_small_pictures_or_of_normals(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, pictures, folder in (
        ("few", [blobs(rng) for _ in range(3)], "masks"),
        ("small", [blobs(rng, 100) for _ in range(6)], "masks"),
        ("normals", [blobs(rng) for _ in range(5)], "normals"),
    ):
        task = "normals" if folder == "normals" else "segmentation"
        data = open_dataset(grow(tmp_path / name, pictures, folder), task)
        assert proposed_form(data).augment is None, name


@pytest.mark.parametrize("said", ["photo", "top-down"])
def test_what_is_said_is_not_asked_again(said: str, tmp_path: Path) -> None:
    root = grow(tmp_path / "data", [blobs(np.random.default_rng(k)) for k in range(5)])
    data = open_dataset(root, "segmentation", changes={"augment": said})
    assert data.augment == proposed_form(data).augment == said
    assert not any("without an up" in note for note in check(data).notes)


def test_the_measure_knows_directions_and_not_which() -> None:
    """0 for rings, 1 for a ramp, and the same for a picture that is turned by quarters."""
    y, x = np.mgrid[-200:200, -200:200]
    rings = np.uint8(127 + 127 * np.cos(np.hypot(x, y) / 6) * (np.hypot(x, y) < 190))
    assert unevenness(np.repeat(rings[..., None], 3, axis=2)) < 0.01
    assert unevenness(np.repeat(np.uint8((y + 200) / 2)[..., None], 3, axis=2)) > 0.95
    assert unevenness(np.full((200, 200, 3), 7, np.uint8)) == 1
    picture = lit(np.random.default_rng(0))
    assert unevenness(np.rot90(picture).copy()) == pytest.approx(unevenness(picture), rel=1e-3)


@pytest.mark.parametrize(
    ("spec", "task", "top_down"),
    [
        ("own/chase", "segmentation", True),
        ("own/em", "segmentation", True),
        ("acdc-scribbles", "segmentation", False),
        ("camvid:camvid", "segmentation", False),
        ("bsds500:bsds500", "edges", False),
        ("nyudv2:nyudv2", "segmentation", False),
    ],
)
def test_real_sets(real_data: Path, spec: str, task: str, top_down: bool) -> None:
    name, _, path = spec.rpartition(":")
    if not (real_data / path).is_dir():
        pytest.skip(f"no folder {real_data / path}")
    data = open_dataset(f"{name or 'folder'}:{real_data / path}", task)
    found = [unevenness(data.image(i)) for i in range(0, len(data), max(1, len(data) // 12))]
    assert (np.mean(found) < UNEVEN) == top_down
    assert abs(np.mean(found) - UNEVEN) > 0.015  # not by a hair
