"""Large images are seen in tiles: their maps are those of the whole, and a session answers without a seam."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from striped import HEIGHT, WIDTH, drawn, image, made

import pixelnet
from pixelnet.learning import tiles as module
from pixelnet.learning.parts import FILTERS, Maps, known_sources, open_part, reach_of
from pixelnet.learning.tiles import MARGIN, Tile, tile_numbers, tiles_of


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


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 9))
def test_a_tile_answers_for_its_own(start: int, length: int, step: int) -> None:
    rows, columns = range(start, start + length, step), range(2 * start, 2 * start + length, step + 1)
    tile = Tile(10, 31, 20, 60)
    down, across = tile.places(rows, columns)
    assert list(rows[down]) == [own for own in rows if 10 <= own < 31]
    assert list(columns[across]) == [own for own in columns if 20 <= own < 60]


def test_a_margin_ends_with_the_image() -> None:
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
        assert reach_of(source, 3) > 0


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


@pytest.fixture(scope="module", params=["filters", "edges@2+filters+edges@0.5"])
def mosaic(request: pytest.FixtureRequest) -> pixelnet.Session:
    """A session of one image of six, three side by side, fitted by some features."""
    session = made(1, features=request.param)
    rows = [np.concatenate([image(3 * k + own) for own in range(3)], axis=1) for k in range(2)]
    session.images.given[0] = np.concatenate(rows)
    session.images.sizes[0] = 3 * WIDTH, 2 * HEIGHT
    session.fit()
    return session


def test_a_session_answers_without_a_seam(mosaic: pixelnet.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, confidence = mosaic.predict(0)
    monkeypatch.setattr(module, "WHOLE", 0)
    monkeypatch.setattr(module, "SIDE", 64)
    found = mosaic.predict(0)
    np.testing.assert_allclose(found[1], confidence, atol=5e-3)
    assert (found[0] == labels).mean() > 0.999
    mosaic.label(0, drawn(3)[0] + (128, 64), drawn(3)[1])
    mosaic.fit()
    mosaic.unlabel(0, drawn(3)[0] + (128, 64))
    mosaic.fit()


@given(
    st.tuples(st.integers(0, 2 * HEIGHT - 1), st.integers(1, 2 * HEIGHT), st.integers(1, 80)),
    st.tuples(st.integers(0, 3 * WIDTH - 1), st.integers(1, 3 * WIDTH), st.integers(1, 80)),
)
@settings(max_examples=40)
def test_a_window_with_steps_is_that_of_the_whole_across_tiles(
    mosaic: pixelnet.Session, rows: tuple[int, int, int], columns: tuple[int, int, int]
) -> None:
    down, across = (slice(start, start + length, step) for start, length, step in (rows, columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WHOLE", 0)
        patch.setattr(module, "SIDE", 64)
        labels, confidence = mosaic.predict(0)
        found, sure = mosaic.predict(0, (down, across))
    np.testing.assert_allclose(sure, confidence[down, across], atol=1e-6)
    np.testing.assert_array_equal(found, labels[down, across])


def test_maps_are_at_hand_once_all_tiles_are_and_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 0)
    monkeypatch.setattr(module, "SIDE", 64)
    size = (150, 100)
    maps = Maps(lambda _: np.zeros((100, 150, 3), np.uint8), lambda _: size, 3)
    for tile in tiles_of(size):
        assert not maps.has(0, FILTERS)
        maps.of(0, FILTERS, tile)
    assert maps.has(0, FILTERS)
    assert not maps.has(1, FILTERS)
    kept = maps._bytes
    maps.of(1, FILTERS, tiles_of(size)[0])
    maps.forget(0)
    assert 0 < maps._bytes < kept
    assert list(maps._kept) == [(1, FILTERS, tiles_of(size)[0])]


def test_two_threads_that_make_the_same_maps_keep_them_once() -> None:
    both = Barrier(2)

    def pixels(_: int) -> np.ndarray:
        both.wait(10)
        return np.zeros((64, 200, 3), np.uint8)

    maps, (whole,) = Maps(pixels, lambda _: (200, 64), 3), tiles_of((200, 64))
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: maps.of(0, FILTERS, whole), range(2))
    assert all(torch.equal(*both) for both in zip(one.maps, other.maps, strict=True))
    (kept,) = maps._kept.values()
    assert maps._bytes == sum(own.numel() * own.element_size() for own in kept.maps)


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
    monkeypatch.setattr("pixelnet.learning.parts.pace", lambda part, channels, device: 1e-6)
    sizes = [(1000, 1000), (1000, 1500), (6000, 4000)]
    maps = Maps(lambda _: np.zeros(0), sizes.__getitem__, 3)
    small, more, large = (maps.seconds(k, "edges@2") for k in range(3))
    assert (small, more) == pytest.approx((1, 1.5))
    assert 24 * 2 < large < 24 * 4  # halos are seen, too
