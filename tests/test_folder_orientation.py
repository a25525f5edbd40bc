import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pixelnet.data import open_dataset
from pixelnet.data.folder.orientation import TURNS, fits_stored, upright
from pixelnet.errors import InputError


def pillow_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """The same by Pillow, an independent reader of the tag."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(array).save(file, "PNG", exif=exif)
    return np.asarray(ImageOps.exif_transpose(Image.open(file)))


@pytest.mark.parametrize("orientation", TURNS)
def test_turned_as_pillow_turns(orientation: int) -> None:
    labels = np.random.default_rng(0).integers(0, 9, (5, 7), np.uint8)
    np.testing.assert_array_equal(upright(labels, orientation), pillow_upright(labels, orientation))


@pytest.mark.parametrize("orientation", TURNS)
def test_normals_turn_with_their_photo(orientation: int) -> None:
    """Depth of a curved surface: normals of the turned depth are the turned normals of the depth."""
    y, x = np.mgrid[:9, :12].astype(np.float32)

    def normals(depth: np.ndarray) -> np.ndarray:
        down, right = np.gradient(depth)
        return np.stack([right, down, -np.ones_like(depth)], axis=2).astype(np.float32)

    depth = 0.1 * x**2 + 0.3 * y + 0.02 * x * y
    found = upright(normals(depth), orientation, normals=True)
    np.testing.assert_allclose(found, normals(upright(depth, orientation)), atol=1e-5)


def scene(seed: int, shape: tuple[int, int] = (40, 40)) -> tuple[np.ndarray, np.ndarray]:
    """Bright blocks on noise, and their ids."""
    rng = np.random.default_rng(seed)
    ids = np.zeros(shape, np.uint8)
    for _ in range(2):
        top, left = rng.integers(0, 25, 2)
        ids[top : top + 9, left : left + 12] = 1
    return (60 + 100 * ids[..., None] + rng.normal(0, 8, (*shape, 3))).clip(0, 255).astype(np.uint8), ids


@pytest.mark.parametrize("orientation", sorted(TURNS.keys() - {1}))
@pytest.mark.parametrize("kind", ["ids", "depth", "normals"])
def test_half_turns_and_squares_are_told_by_where_labels_change(orientation: int, kind: str) -> None:
    def made(seed: int) -> tuple[np.ndarray, np.ndarray]:
        photo, ids = scene(seed)
        depth = 3 - 2.0 * ids
        depth[0, 0] = np.nan
        as_normals = np.stack([depth, 1 - depth, depth], axis=2)
        return photo, {"ids": ids, "depth": depth, "normals": as_normals}[kind]

    pairs = [made(seed) for seed in range(3)]
    assert fits_stored((orientation, upright(photo, orientation), labels) for photo, labels in pairs)
    assert not fits_stored((orientation, photo, labels) for photo, labels in pairs)


def test_sizes_tell_at_once_and_nothing_tells_of_empty_maps() -> None:
    photo, ids = scene(0, (40, 60))
    assert fits_stored([(6, upright(photo, 6), ids)])
    assert not fits_stored([(6, photo, ids)])
    assert not fits_stored([(3, photo, np.zeros_like(ids))])
    assert not fits_stored([(3, photo[:1], ids[:1])])
    assert not fits_stored([])


def test_the_choice_may_be_said(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3
    for k in range(3):
        photo, ids = scene(k)
        Image.fromarray(photo).save(tmp_path / f"images/{k}.jpg", exif=exif)
        Image.fromarray(ids).save(tmp_path / f"labels/{k}.png")
    stored = np.asarray(Image.open(tmp_path / "labels/0.png"))
    found = open_dataset(tmp_path, "segmentation")
    np.testing.assert_array_equal(found.labels(0), stored[::-1, ::-1])
    for orientation, expected in (("stored", stored[::-1, ::-1]), ("exif", stored)):
        said = open_dataset(tmp_path, "segmentation", changes={"orientation": orientation})
        np.testing.assert_array_equal(said.labels(0), expected)
        assert not any("EXIF" in note for note in said.notes)  # type: ignore[attr-defined]


def test_no_advice_to_resize_what_was_turned(tmp_path: Path) -> None:
    """A photo that lost its tag lies otherwise than its label."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    photo, ids = scene(0, (40, 60))
    Image.fromarray(upright(photo, 6)).save(tmp_path / "images/a.png")
    Image.fromarray(ids).save(tmp_path / "labels/a.png")
    dataset = open_dataset(tmp_path, "segmentation")
    for look in (dataset.size, dataset.labels):
        with pytest.raises(InputError, match=r"a.png is 60x40 but images/a.png is 40x60; one of them was turned"):
            look(0)
