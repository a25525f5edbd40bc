"""Packed masks to pixels: COCO's run lengths, and the brush strokes of Label Studio.

Sources: COCO's data format, its runs down the columns and their text form, groups of five bits of which each count
after the third is a difference to the one two before; Label Studio's brush format, an RGBA picture's bytes packed as
in thi.ng's rle-pack, whose alpha is the mask.
"""

from typing import Any

import numpy as np

from pixelnet.data.drawn.shapes import Patch, text_of
from pixelnet.errors import InputError


def runs_of(counts: Any, pixels: int, where: str) -> np.ndarray:
    """int64 (R,) of COCO's run lengths, numbers or text: runs of 0 and 1 in turn, 0 first.

    Raises InputError unless they are whole numbers that add up to the image's pixels.
    """
    runs = numbers_of(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not set(map(type, runs)) <= {int}:
        raise InputError(f"{where} has run lengths that are no whole numbers; export it again")
    if any(run < 0 for run in runs) or sum(runs) != pixels:
        raise InputError(f"{where}: run lengths add up to {text_of(sum(runs))}, expected {pixels}, none negative")
    return np.array(runs, np.int64)


def numbers_of(text: str) -> list[int]:
    """The run lengths in COCO's text form. Raises ValueError for text that is not of it."""
    numbers: list[int] = []
    value = shift = 0
    for code in text.encode("ascii"):
        group = code - 48
        if not 0 <= group < 64 or shift > 60:
            raise ValueError("run lengths that are not in COCO's text form")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:  # the last group of this number, its highest bit the sign
            value -= (group & 16) << (shift - 4)
            numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths end within a number")
    return numbers


def unpack_runs(runs: np.ndarray, width: int, height: int) -> Patch:
    """The pixels of COCO's run lengths (R,), which go down the columns and add up to width x height."""
    edges = np.concatenate([[0], np.cumsum(runs)])
    begin, end = edges[1:-1:2], edges[2::2]  # of the runs of 1
    filled = begin < end
    if not filled.any():
        return Patch(0, 0, np.zeros((0, 0), bool))
    left, right = int(begin[filled][0]) // height, -(-int(end[filled][-1]) // height)
    lengths = np.diff(np.clip(edges, left * height, right * height))
    return Patch(0, left, np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(right - left, height).T)


def unpack_brush(data: bytes, width: int, height: int) -> Patch:
    """The pixels of a brush stroke of Label Studio. Raises ValueError for bytes that are not of its format.

    A header: the number of values (32 bits), their bits less 1 (5), and less 1 each the bits of four lengths (4 x 4).
    Then blocks: whether it is a run (1), which of the lengths follows (2), its length less 1, and one value for a run
    or each value.
    """
    position = 0

    def read(bits: int) -> int:
        nonlocal position
        start, position = position, position + bits
        if position > 8 * len(data):
            raise ValueError("a brush stroke that ends too soon")
        chunk = int.from_bytes(data[start // 8 : (position + 7) // 8], "big")
        return chunk >> (-position % 8) & ((1 << bits) - 1)

    count, value_bits = read(32), read(5) + 1
    if (count, value_bits) != (4 * width * height, 8):
        raise ValueError(f"a brush stroke of {count} values, expected {4 * width * height} for {width}x{height} pixels")
    sizes = [read(4) + 1 for _ in range(4)]
    mask = np.zeros(width * height, bool)
    done = 0
    while done < count:
        run, start = read(1), done
        done += 1 + read(sizes[read(2)])
        if done > count:
            raise ValueError("a brush stroke that is longer than the image")
        pixels = slice(start // 4, done // 4)  # whose alpha, value 4 p + 3, is in this block
        if run:
            mask[pixels] = read(8) > 0
        else:
            values = read(8 * (done - start)).to_bytes(done - start, "big")
            mask[pixels] = np.frombuffer(values, np.uint8)[(3 - start) % 4 :: 4] > 0
    return boxed(mask.reshape(height, width))


def boxed(mask: np.ndarray) -> Patch:
    """A mask (H, W) cut to the box of what it holds."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Patch(0, 0, np.zeros((0, 0), bool))
    top, left = int(rows[0]), int(columns[0])
    return Patch(top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1])
