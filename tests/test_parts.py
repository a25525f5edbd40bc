"""What few labels are learnt from: maps read where they are, kept within bounds, and alike alone and within a model."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from pixelnet import InputError, PixelNet
from pixelnet.data.arrays import Arrays
from pixelnet.hypercolumn import hypercolumns
from pixelnet.learning import parts as module
from pixelnet.learning.assemble import assemble
from pixelnet.learning.described import Described
from pixelnet.learning.logistic import Linear
from pixelnet.learning.parts import FILTERS, Maps, known_sources, name_of, open_part, split
from pixelnet.learning.tiles import Tile

PARTS = ["edges", "edges@2", FILTERS]


def images(count: int = 1, channels: int = 3, shape: tuple[int, int] = (40, 52)) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, *shape, channels), dtype=np.uint8))


def maps_of(pixels: Sequence[np.ndarray], most: int = 2**30) -> Maps:
    return Maps(lambda i: pixels[i], lambda i: pixels[i].shape[1::-1], pixels[0].shape[2], most=most)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_points_are_read_as_by_definition(part: str, channels: int) -> None:
    (pixels,) = images(channels=channels)
    points = np.random.default_rng(1).uniform(-1, 53, (30, 2))
    points[:4] = [[0, 0], [51, 39], [0, 39], [25.5, 20.25]]
    backbone = open_part(part, channels)
    unit = torch.from_numpy(pixels.transpose(2, 0, 1)[None] / 255).float()
    with torch.no_grad():
        expected = hypercolumns(
            backbone(backbone.padded(unit)), torch.from_numpy(points[None]).float(), backbone.strides
        )
    found = maps_of([pixels]).at(0, part, points)
    assert found.dtype == np.float32
    assert found.shape == (30, sum(backbone.channels))
    largest = abs(expected[0].numpy()).max(axis=0)
    assert (abs(found - expected[0].numpy()) <= 2e-3 * largest + 2e-3).all()


def test_ranges_bring_numbers_to_those_of_bytes() -> None:
    (pixels,) = images()
    wide = pixels.astype(np.uint16) * 10 + 100
    points = np.array([[3, 5], [20, 11]])
    found = Maps(lambda i: wide, lambda i: (52, 40), 3, ranges=[(100, 2650)] * 3).at(0, "edges", points)
    np.testing.assert_allclose(found, maps_of([pixels]).at(0, "edges", points), atol=1e-2)


def test_no_more_is_kept_than_may_be_and_what_was_dropped_is_made_again() -> None:
    pixels = images(4)
    free, whole = maps_of(pixels), Tile(0, 40, 0, 52)
    one = sum(own.numel() * own.element_size() for own in free.of(0, "edges", whole).maps)
    assert all(own.dtype == torch.float16 for own in free.of(0, "edges", whole).maps)
    asked: list[int] = []

    def image(i: int) -> np.ndarray:
        asked.append(i)
        return pixels[i]

    bound = Maps(image, lambda i: (52, 40), 3, most=2 * one)
    firsts = [[own.clone() for own in bound.of(i, "edges", whole).maps] for i in range(4)]
    assert bound._bytes == 2 * one
    bound.of(2, "edges", whole)
    assert asked == [0, 1, 2, 3]  # 2 was at hand
    for i in range(4):
        assert all(torch.equal(a, b) for a, b in zip(bound.of(i, "edges", whole).maps, firsts[i], strict=True))
        assert bound._bytes <= 2 * one
    assert asked == [0, 1, 2, 3, 0, 1, 2, 3]
    tiny = Maps(image, lambda i: (52, 40), 3, most=1)  # one entry is always kept
    assert tiny.of(2, FILTERS, whole) is tiny.of(2, FILTERS, whole)
    tiny.of(1, FILTERS, whole)
    assert list(tiny._kept) == [(1, FILTERS, whole)]


def test_how_far_a_network_sees_is_not_traced_for_an_image_that_is_seen_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing takes seconds, which `fit` has few of."""
    monkeypatch.setattr(module, "reach_of", lambda *_: pytest.fail("it was traced"))
    maps = maps_of(images())
    assert maps.seconds(0, "edges") > 0
    assert maps.at(0, "edges", np.array([[3, 4]])).shape[0] == 1


def test_numbers_beyond_half_precision_are_cut() -> None:
    bright = np.full((8, 8, 1), 1e6, np.float32)
    found = Maps(lambda i: bright, lambda i: (8, 8), 1, ranges=[(0.0, 1e-3)]).at(0, FILTERS, np.array([[4, 4]]))
    assert np.isfinite(found).all()


def test_described_points_are_read_once_and_in_order() -> None:
    pixels = images(3)
    rng = np.random.default_rng(2)
    points = [rng.integers(0, 40, (count, 2)) for count in (4, 0, 6)]
    described = Described(maps_of(pixels), points[:2])
    assert described.add_within(points[2:], (FILTERS,), 100) == 1
    assert described.sizes == [4, 0, 6]
    chosen = np.array([9, 0, 5])
    found = described((FILTERS, "edges"), chosen)
    fresh = maps_of(pixels)
    for row, (image, k) in zip(found, [(2, 5), (0, 0), (2, 1)], strict=True):
        own = [fresh.at(image, part, points[image][k : k + 1])[0] for part in (FILTERS, "edges")]
        np.testing.assert_array_equal(row, np.concatenate(own))
    assert described.of("edges") is described.of("edges")
    assert described.add_within(points, (FILTERS,), -1) == 0
    assert len(described.points) == 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("edges@2+filters", ("edges@2", "filters")),
        (" imagenet + filters ", ("imagenet", "filters")),
        ("edges@1+edges@0.5+edges", ("edges", "edges@0.5")),
        ("filters+filters", ("filters",)),
    ],
)
def test_descriptions(text: str, parts: tuple[str, ...]) -> None:
    assert split(text) == parts


@pytest.mark.parametrize("text", ["", "+", "edges+", "resnet50", "filters@2", "edges@3", "edges@", "edges@2@2", "@2"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is nothing to learn from; write imagenet, edges, pixelnet or filters"):
        split(text)


def test_the_networks_that_ship_are_known() -> None:
    assert {"edges", "pixelnet"} <= set(known_sources())


def test_a_part_within_a_model_has_the_maps_that_it_has_alone() -> None:
    (pixels,) = images(channels=4)
    data = Arrays([(pixels, np.arange(40 * 52).reshape(40, 52) % 2)], "segmentation")
    parts = ("edges@2", FILTERS, "pixelnet")
    width = sum(sum(open_part(part, 4).channels) for part in parts)
    rng = np.random.default_rng(3)
    linear = Linear(rng.normal(size=(2, width)) / width, rng.normal(size=2))
    model = assemble(parts, linear, data)
    assert isinstance(model, PixelNet)
    assert model.config.backbone == "+".join(map(name_of, parts))
    assert model.config.backbone == "tf_efficientnet_lite2@2+filters+tf_efficientnet_lite2"
    unit = torch.from_numpy(pixels.transpose(2, 0, 1)[None] / 255).float()
    points = rng.integers(0, 40, (20, 2))
    with torch.no_grad():
        found = model.hypercolumns(unit, torch.from_numpy(points[None]).float())[0].numpy()
    alone = maps_of([pixels])
    expected = np.concatenate([alone.at(0, part, points) for part in parts], axis=1)
    assert (abs(found - expected) <= 2e-3 * abs(expected).max(axis=0) + 2e-3).all()
