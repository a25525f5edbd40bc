"""From files of any channels and numbers to a trained model and its answers, which know both."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from tiny import TINY

import pixelnet
from pixelnet import Dataset, InputError, PixelNet
from pixelnet.data.images import find_ranges, match_channels, percentile_ranges, to_array
from pixelnet.inference.bulk import predict_files
from pixelnet.rasters import read_header, read_pixels
from pixelnet.runs.checkpoint import load_config

NIR = ("red", "green", "blue", "band 4")


def discs(seed: int, size: int = 48) -> np.ndarray:
    """Class ids (size, size): some discs on ground."""
    rng, (y, x) = np.random.default_rng(seed), np.mgrid[:size, :size]
    ids = np.zeros((size, size), np.uint8)
    for _ in range(3):
        at, radius = rng.uniform(8, size - 8, 2), rng.uniform(5, 10)
        ids[(x - at[0]) ** 2 + (y - at[1]) ** 2 < radius**2] = 1
    return ids


def bands(seed: int, channels: int) -> np.ndarray:
    """Twelve bits in sixteen: the discs are a little brighter in the last channel alone."""
    rng, ids = np.random.default_rng(seed), discs(seed)
    image = rng.normal(300, 20, (*ids.shape, channels))
    image[..., -1] += 120 * ids
    return image.clip(0, 4095).astype(np.uint16)


class Files(Dataset):
    """Pages of files, read as they are stored, with the ranges that they need."""

    task = "segmentation"
    class_names = ("ground", "disc")

    def __init__(self, paths: list[Path], axes: str | None = None) -> None:
        self.axes = axes
        self.pages = [(path, page) for path in paths for page in range(read_header(path, axes).pages)]
        self.names = [f"{path.stem}[{page:02d}]" for path, page in self.pages]
        header = read_header(paths[0], axes)
        self.channels = header.channels
        self.ranges = find_ranges((self.image(i) for i in range(len(self))), header.dtype)

    def image(self, i: int, window=None) -> np.ndarray:
        path, page = self.pages[i]
        return read_pixels(path, page, window, axes=self.axes)

    def labels(self, i: int, window=None) -> np.ndarray:
        return discs(i)[window or ...]


def four_bands(folder: Path) -> Files:
    for k in range(4):
        tifffile.imwrite(folder / f"p{k}.tif", bands(k, 4), photometric="rgb", extrasamples=["unassalpha"])
    return Files(sorted(folder.glob("*.tif")))


def thirty_pages(folder: Path) -> Files:
    tifffile.imwrite(
        folder / "volume.tif", np.stack([bands(k, 1)[..., 0] for k in range(30)]), photometric="minisblack"
    )
    return Files([folder / "volume.tif"], "ZYX")


@pytest.mark.parametrize("make", [four_bands, thirty_pages])
def test_a_model_keeps_its_channels_and_ranges_and_answers_files_by_them(tmp_path: Path, make) -> None:
    (tmp_path / "data").mkdir()
    data = make(tmp_path / "data")
    settings = TINY | {"data": data, "max_steps": 30, "head": "mlp", "dropout": 0.0, "out": tmp_path / "run"}
    settings |= {"crop": None, "scale": (1, 1), "pixels": 200, "val_share": 0.25}
    settings |= {"val_every": 30, "checkpoint_every": 30}
    pixelnet.train(**settings)
    config = load_config(tmp_path / "run")
    assert config.channels == data.channels == (NIR if make is four_bands else ("gray",))
    assert config.ranges == data.ranges
    assert all(150 < low < 300 < high < 550 for low, high in data.ranges or ())
    model = pixelnet.load(tmp_path / "run")
    predict_files(model, tmp_path / "data", tmp_path / "out", axes=data.axes)
    answers = sorted((tmp_path / "out/segmentation").iterdir())
    assert [path.suffix for path in answers] == [".png"] * len(data) if make is four_bands else [".tif"]
    right = []
    for i, (path, page) in enumerate(data.pages):
        name = path.stem if make is four_bands else f"{path.stem}[{page}]"
        ending, part = (".png", None) if make is four_bands else (".tif", page)
        found = model.task.read_prediction(tmp_path / f"out/segmentation/{path.stem}{ending}", part)
        np.testing.assert_array_equal(found, model.predict(data.image(i)))
        right.append((found == discs(i)).mean())
        view = np.array(Image.open(tmp_path / f"out/view/{name}.png"))
        assert view.shape == (48, 48, 3)
    chance = np.mean([(discs(i) == 0).mean() for i in range(len(data))])
    assert np.mean(right) > chance + 0.05  # what eight bits of sixteen would not show


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_a_trained_first_layer_sees_gray_in_any_channels_as_in_three(weights: Path, channels: int) -> None:
    def maps(count: int) -> list[torch.Tensor]:
        file = weights / "tf_efficientnet_lite0_imagenet.safetensors"
        model = PixelNet("edges", backbone_weights=file, in_channels=count, hidden=(4,)).eval()
        with torch.no_grad():
            return list(model.maps(gray.expand(1, count, 64, 96)).features)

    gray = 0.5 + 0.1 * torch.randn(1, 1, 64, 96, generator=torch.manual_seed(0)).cumsum(-1).clamp(-4, 4)
    expected, found = maps(3), maps(channels)
    assert all(bool(torch.isfinite(own).all()) for own in found)
    for own, other in zip(found, expected, strict=True):
        similar = torch.corrcoef(torch.stack([own.flatten(), other.flatten()]))[0, 1]
        assert similar > 0.75  # of two or four, one color counts for more than another


# ------------------------------------------------------------------------------------------------------ channels


def test_channels_are_found_by_name_and_by_number_where_there_are_none(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 60000, (9, 11, 4)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "named.tif", stored, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(tmp_path / "nameless.tif", stored, photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(tmp_path / "gray.tif", stored[..., 0])
    Image.fromarray((stored[..., :3] >> 8).astype(np.uint8)).save(tmp_path / "photo.png")
    Image.fromarray((stored[..., 0] >> 8).astype(np.uint8)).save(tmp_path / "gray.png")
    red_green_blue, generic = NIR[:3], tuple(f"band {k}" for k in range(1, 5))
    for name, channels, chosen in (
        ("named", red_green_blue, [0, 1, 2]),
        ("named", ("band 4", "red"), [3, 0]),
        ("named", (*red_green_blue, "nir"), [0, 1, 2, 3]),
        ("named", tuple(f"channel {k}" for k in range(4)), [0, 1, 2, 3]),
        ("nameless", NIR, [0, 1, 2, 3]),
        ("nameless", generic, [0, 1, 2, 3]),
        ("nameless", ("band 2", "band 1"), [1, 0]),
        ("gray", red_green_blue, [0, 0, 0]),
        ("gray", ("gray",), [0]),
    ):
        np.testing.assert_array_equal(to_array(tmp_path / f"{name}.tif", channels), stored[..., chosen])
    np.testing.assert_array_equal(to_array(tmp_path / "gray.png", ("gray",)), stored[..., :1] >> 8)
    for name, channels in (
        ("photo.png", NIR), ("photo.png", ("gray",)), ("photo.png", ("band 1", "band 2", "band 3")), ("gray.tif", NIR),
        ("gray.tif", ("red", "green")), ("nameless.tif", red_green_blue), ("named.tif", ("nir", *red_green_blue)),
    ):  # fmt: skip
        path = tmp_path / name
        message = f"{name} has the channels {', '.join(read_header(path).channels)}; the model was trained on "
        with pytest.raises(InputError, match=message + ", ".join(channels)):
            to_array(path, channels)
    assert match_channels(read_header(tmp_path / "photo.png"), red_green_blue, "photo.png") is None


def test_numbers_that_cannot_reach_the_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "a.png")
    model = PixelNet("edges", backbone="test_resnet", hidden=(4,), ranges=[(300, 4000)] * 3)
    for image in (tmp_path / "a.png", np.zeros((8, 9, 3), np.uint8)):
        with pytest.raises(InputError, match="is uint8, and the model's range reaches 4000; give images of the type"):
            model.predict(image)
    model.predict(np.zeros((8, 9, 3), np.uint16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ("red", "green")}, "the channels are red, green, but images have 3; name each of them"),
        ({"channels": ("red", "red", "blue")}, "name each of them"),
        ({"ranges": [(0, 1)]}, "1 ranges are given for 3 channels; give one for each"),
        ({"ranges": [(0, 1), (2, 2), (0, 1)]}, "a range is 2.0 to 2.0; give two finite numbers"),
        ({"ranges": [(0, 1), (0, float("inf")), (0, 1)]}, "give two finite numbers"),
    ],
)
def test_channels_and_ranges_that_are_none_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PixelNet("edges", backbone="test_resnet", **options)


# -------------------------------------------------------------------------------------------------------- ranges


def images(kind: str, low: float, high: float, channels: int = 2) -> list[np.ndarray]:
    return [np.random.default_rng(k).uniform(low, high, (90, 120, channels)).astype(kind) for k in range(3)]


@pytest.mark.parametrize(
    ("kind", "low", "high", "needed"),
    [
        ("uint8", 3, 9, False),
        ("uint16", 0, 65535, False),
        ("uint16", 0, 33000, False),
        ("uint16", 100, 4095, True),
        ("int16", 0, 30000, True),
        ("uint32", 0, 4e9, True),
        ("float32", 0, 1, False),
        ("float32", 0, 0.4, True),
        ("float64", -1, 1, True),
        ("float32", 0, 5000, True),
    ],
)
def test_ranges_are_found_where_a_type_will_not_do(kind: str, low: float, high: float, needed: bool) -> None:
    given = images(kind, low, high)
    found = find_ranges(iter(given), np.dtype(kind))
    assert (found is not None) == needed
    if found is not None:
        everything = np.concatenate([image.reshape(-1, 2) for image in given]).astype(np.float64)
        expected = np.percentile(everything, (0.1, 99.9), axis=0).T
        np.testing.assert_allclose(found, expected, atol=0.003 * (high - low))
        assert found == find_ranges(iter(given), np.dtype(kind))


def test_one_dark_channel_of_sixteen_bits_needs_ranges() -> None:
    given = [
        np.concatenate(pair, axis=2) for pair in zip(images("uint16", 0, 65535), images("uint16", 0, 900), strict=True)
    ]
    assert find_ranges(given, np.dtype("uint16")) is not None


def test_holes_are_no_part_of_a_range_and_a_constant_has_one() -> None:
    image = np.full((20, 30, 4), 7.0, np.float32)
    image[..., 1] = np.nan
    image[..., 2] = np.linspace(2, 4, 600).reshape(20, 30)
    image[:10, :, 2:] = -9999
    image[0, 0, 2] = np.inf
    found = percentile_ranges([image], nodata=[-9999], percentiles=(0, 100))
    assert found[:2] == ((7, 8), (0, 1))
    np.testing.assert_allclose(found[2], (image[10, 0, 2], 4))
    assert found[3] == (7, 8)
    with pytest.raises(InputError, match="ranges are of one image or more, all of as many channels"):
        percentile_ranges([image, image[..., :2]])


def test_a_model_is_not_scored_on_other_channels_of_as_many(tmp_path: Path) -> None:
    """Two named channels for two others: the numbers would fit, and mean nothing."""
    for k in range(2):
        for name, pixels in (("images", np.zeros((2, 16, 16), np.uint16)), ("labels", np.eye(16, dtype=np.uint8))):
            path = tmp_path / "data" / name / f"{k}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            options = {"metadata": {"axes": "CYX", "Channel": {"Name": ["red", "nir"]}}, "ome": True}
            tifffile.imwrite(path, pixels, **(options if name == "images" else {}))
    own = {"in_channels": 2, "class_names": ("0", "1"), "backbone": "test_resnet", "hidden": (4,)}
    pixelnet.evaluate(PixelNet("segmentation", channels=("red", "nir"), **own), data=tmp_path / "data")
    with pytest.raises(InputError, match="the channels red, nir; the model was trained on red, swir"):
        pixelnet.evaluate(PixelNet("segmentation", channels=("red", "swir"), **own), data=tmp_path / "data")
