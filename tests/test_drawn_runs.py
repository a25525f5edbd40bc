import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet.data.drawn import Patch
from pixelnet.data.drawn.runs import boxed, numbers_of, runs_of, unpack_brush, unpack_runs
from pixelnet.errors import InputError


def whole(patch: Patch, width: int, height: int) -> np.ndarray:
    """A patch on the image that it is a part of."""
    mask = np.zeros((height, width), bool)
    mask[patch.top : patch.top + patch.mask.shape[0], patch.left : patch.left + patch.mask.shape[1]] = patch.mask
    return mask


masks = st.builds(
    lambda seed, share, height, width: np.random.default_rng(seed).random((height, width)) < share,
    st.integers(0, 2**32), st.floats(0, 1), st.integers(1, 60), st.integers(1, 60),
)  # fmt: skip


# ---------------------------------------------------------------------------------------------- COCO


def naive_runs(mask: np.ndarray) -> list[int]:
    runs, value = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if mask[y, x] != value:
                runs.append(0)
                value = not value
            runs[-1] += 1
    return runs


def naive_text(runs: list[int]) -> str:
    text = ""
    for k, run in enumerate(runs):
        value = run - runs[k - 2] if k > 2 else run
        while True:
            group, value = value & 31, value >> 5
            last = value == (-1 if group & 16 else 0)
            text += chr(48 + group + (0 if last else 32))
            if last:
                break
    return text


@given(masks)
def test_run_lengths_in_both_forms(mask: np.ndarray) -> None:
    height, width = mask.shape
    for counts in (naive_runs(mask), naive_text(naive_runs(mask))):
        patch = unpack_runs(runs_of(counts, mask.size, ""), width, height)
        np.testing.assert_array_equal(whole(patch, width, height), mask)


def test_run_lengths_fill_the_columns_they_are_in() -> None:
    patch = unpack_runs(np.array([200, 5, 0, 7, 0, 0, 100, 0, 88]), 20, 20)
    assert (patch.top, patch.left, patch.mask.shape, patch.mask.sum()) == (0, 10, (20, 1), 12)


@pytest.mark.parametrize(
    "counts",
    [
        [9223372036854775807, 9223372036854775807, 770],  # whose sum in 64 bits is 768
        [-(10**400), 768 + 10**400],
        [-1, 769],
        [768.0],
        [True] * 768,
        ["768"],
        [None],
        {"768": 1},
        768,
        None,
        [],
        "",
        naive_text([700]),
    ],
)
def test_run_lengths_that_are_none(counts) -> None:
    with pytest.raises(InputError, match=r"^here.*run lengths"):
        runs_of(counts, 768, "here")


@pytest.mark.parametrize("text", ["P", "o" * 100_000, "0 0", "\x00", "é", naive_text([2**59] * 3)[:-1]])
def test_text_that_holds_no_run_lengths(text: str) -> None:
    with pytest.raises(ValueError, match=r"run lengths|ascii"):
        numbers_of(text)


# ---------------------------------------------------------------------------------------------- Label Studio


def packed(values: bytes, sizes: tuple[int, ...] = (3, 4, 8, 16), longest: int = 2**16) -> list[int]:
    """The bytes of Label Studio's format for some values, in runs and in blocks of single values, as bits in text."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)

    def block(run: bool, length: int, held: bytes) -> str:
        which = next(k for k, size in enumerate(sizes) if length <= 2**size)
        return f"{run:b}{which:02b}{length - 1:0{sizes[which]}b}" + "".join(f"{value:08b}" for value in held)

    singles = b""
    for value, group in itertools.groupby(values):
        length = len(list(group))
        if length == 1 and len(singles) < longest:
            singles += bytes([value])
            continue
        bits += block(False, len(singles), singles) if singles else ""
        singles = b""
        while length:
            step = min(length, longest)
            bits += block(True, step, bytes([value]))
            length -= step
    bits += block(False, len(singles), singles) if singles else ""
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


@given(masks, st.booleans(), st.sampled_from([(3, 4, 8, 16), (1, 2, 3, 4)]))
def test_brush_strokes(mask: np.ndarray, noisy: bool, sizes: tuple[int, ...]) -> None:
    height, width = mask.shape
    rgba = np.repeat(mask.ravel() * 255, 4).astype(np.uint8)
    if noisy:  # colors that differ from pixel to pixel, and alpha of any strength
        rgba = np.random.default_rng(0).integers(0, 256, (mask.size, 4), np.uint8)
        rgba[:, 3] = np.where(mask.ravel(), np.maximum(rgba[:, 3], 1), 0)
    data = bytes(packed(rgba.tobytes(), sizes, 2 ** sizes[-1]))
    np.testing.assert_array_equal(whole(unpack_brush(data, width, height), width, height), mask)


def test_brush_strokes_that_are_none() -> None:
    good = bytes(packed(bytes(4 * 12)))
    for data in (b"", b"abc", good[:8], good[:-3], bytes([255]) * 40, good[:3] + bytes([44]) + good[4:]):
        with pytest.raises(ValueError, match="a brush stroke"):
            unpack_brush(data, 4, 3)
    longer = bytes(packed(bytes(4 * 13)))
    with pytest.raises(ValueError, match="a brush stroke that is longer than the image"):
        unpack_brush(good[:4] + longer[4:], 4, 3)


def test_masks_are_cut_to_what_they_hold() -> None:
    mask = np.zeros((9, 7), bool)
    assert boxed(mask).mask.size == 0
    mask[2, 3] = mask[5, 1] = True
    assert (boxed(mask).top, boxed(mask).left, boxed(mask).mask.shape) == (2, 1, (4, 3))
    np.testing.assert_array_equal(whole(boxed(mask), 7, 9), mask)
