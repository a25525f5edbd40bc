"""Large images are seen in tiles: their maps are those of the whole, and a session answers without a seam."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from striped import drawn, image, made

from pixelnet.learning import tiles as module
from pixelnet.learning.parts import FILTERS, Maps, known_sources, open_part, reach_of
from pixelnet.learning.tiles import FARTHEST, MARGIN, Tile, tile_numbers, tiles_of


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_each_pixel_is_in_one_tile(width: int, height: int) -> None:
    tiles = tiles_of((width, height))
    assert sum(tile.pixels for tile in tiles) == width * height
    assert (len(tiles) == 1) == (width * height <= module.WHOLE)
    points = np.random.default_rng(width).uniform((-1, -1), (width, height), (50, 2))
    points[:4] = (0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)
    for (x, y), number in zip(points, tile_numbers(points, (width, height)), strict=True):
        inside = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        tile = tiles[number]
        assert tile.left <= inside[0] < tile.right
        assert tile.top <= inside[1] < tile.bottom


def test_what_two_tiles_share() -> None:
    assert Tile(0, 9, 5, 20).within(Tile(4, 12, 0, 8)) == Tile(4, 9, 5, 8)
    assert Tile(0, 4, 0, 4).within(Tile(6, 9, 6, 9)).pixels == 0
    assert Tile(4, 8, 4, 8).around(5, (10, 99)) == Tile(0, 13, 0, 10)


@pytest.mark.parametrize("part", [FILTERS, "edges@2"])
def test_nothing_hangs_on_what_lies_beyond_the_reach(part: str) -> None:
    backbone, far = open_part(part, 3), reach_of(part, 3)
    assert far % backbone.multiple == 0
    assert MARGIN % backbone.multiple == 0
    strip = torch.rand(1, 3, 64, -(-(2 * far + 256) // 64) * 64)
    changed = strip.clone()
    changed[..., : far // 2], changed[..., -(far // 2) :] = 0, 1
    with torch.inference_mode():
        for one, other, stride in zip(backbone(strip), backbone(changed), backbone.strides, strict=True):
            inner = slice(int((far // 2 + far) / stride), int((far // 2 + 256) / stride))
            torch.testing.assert_close(one[..., inner], other[..., inner], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(one[..., : int(far / stride)], other[..., : int(far / stride)], atol=1e-2)


def test_all_networks_that_are_tried_see_in_tiles() -> None:
    for source in known_sources():
        assert 0 < reach_of(source, 3) < FARTHEST


@pytest.mark.parametrize("part", [FILTERS, "edges", "edges@2", "edges@0.5"])
def test_tiles_have_the_maps_of_the_whole(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    width, height = 1411, 75
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    rng = np.random.default_rng(1)
    points = rng.uniform((-0.5, -0.5), (width - 0.5, height - 0.5), (300, 2))
    points[:6, 0] = 255.4, 255.6, 256, 511.5, 0, width - 1

    def read() -> np.ndarray:
        return Maps(lambda _: pixels, lambda _: (width, height), 3, most=0).at(0, part, points)

    whole = read()
    monkeypatch.setattr(module, "WHOLE", 0)
    monkeypatch.setattr(module, "SIDE", 256)
    assert len(tiles_of((width, height))) == 6
    assert (abs(read() - whole) <= 2e-3 * abs(whole).max(axis=0) + 1e-3).all()


def test_a_session_answers_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(1)
    one.images.given[0] = np.concatenate([image(k) for k in range(6)], axis=1)
    one.images.sizes[0] = one.images.given[0].shape[1::-1]
    one.fit()
    labels, confidence = one.predict(0)
    window = (slice(11, 60), slice(100, 300))
    part = one.predict(0, window)
    monkeypatch.setattr(module, "WHOLE", 0)
    monkeypatch.setattr(module, "SIDE", 128)
    one.maps._kept.clear()
    found = one.predict(0)
    np.testing.assert_allclose(found[1], confidence, atol=2e-3)
    assert (found[0] == labels).mean() > 0.999
    np.testing.assert_array_equal(one.predict(0, window)[0], found[0][window])
    np.testing.assert_array_equal(part[0], labels[window])
    one.label(0, drawn(3)[0] + (128, 0), drawn(3)[1])
    one.fit()


def test_an_image_of_several_tiles_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def pixels(index: int) -> np.ndarray:
        asked.append(index)
        return np.zeros((64, 600, 3), np.uint8)

    monkeypatch.setattr(module, "WHOLE", 0)
    monkeypatch.setattr(module, "SIDE", 256)
    maps = Maps(pixels, lambda _: (600, 64), 3, most=0)
    for index in (0, 1):
        maps.at(index, FILTERS, np.array([[3, 3], [300, 3], [599, 63]]))
    assert asked == [0, 1]
    assert len(maps._kept) == 1


def test_seconds_grow_with_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelnet.learning.parts.pace", lambda part, channels: 1e-6)
    sizes = [(1000, 1000), (1000, 1500), (6000, 4000)]
    maps = Maps(lambda _: np.zeros(0), sizes.__getitem__, 3)
    small, more, large = (maps.seconds(k, "edges@2") for k in range(3))
    assert (small, more) == pytest.approx((1, 1.5))
    assert 24 * 2 < large < 24 * 4  # halos are seen, too
