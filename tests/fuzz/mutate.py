"""Ways to break things: bytes, JSON and numbers."""

import copy
import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

WORDS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 255, 2**31, 2**63 - 1, 2**64, 10**30, -(10**18), 0.5, -0.0, 1e308, -1e308, 1e-320,
    float("nan"), float("inf"), "", "0", "a", "nan", "\x1b[2J", "\u202e", "\udce9", "../../x", "/", "a" * 300, "$x_1^{",
    [], {}, [[]], [None], [1e9, -1e9], [[0, 0]], {"a": 1}, [0] * 50,
]  # fmt: skip


def broken(rng: np.random.Generator, content: bytes, others: Sequence[bytes] = ()) -> bytes:
    """A file's bytes after one to four changes, more often near its beginning, where headers are."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not data:
            break
        reach = len(data) if rng.random() < 0.4 else min(len(data), 200)
        at, length = int(rng.integers(reach)), int(rng.integers(1, 40))
        match int(rng.integers(8)):
            case 0:
                data[at] ^= 1 << int(rng.integers(8))
            case 1:
                data[at] = int(rng.integers(256))
            case 2:
                kind = str(rng.choice(["<B", "<H", ">H", "<I", ">I", "<Q", ">Q"]))
                size = struct.calcsize(kind)
                word = WORDS[int(rng.integers(len(WORDS)))] % 256**size
                data[at : at + size] = struct.pack(kind, word)
            case 3:
                del data[int(rng.integers(len(data))) :]
            case 4:
                del data[at : at + length]
            case 5:
                data[at:at] = data[at : at + length]
            case 6:
                data[at:at] = rng.bytes(length)
            case _:
                other = others[int(rng.integers(len(others)))] if others else content
                start = int(rng.integers(len(other)))
                data[at : at + length] = other[start : start + length]
    return bytes(data)


def with_sums(png: bytes) -> bytes:
    """A PNG whose chunks have the checksums that their contents ask for, so that a decoder goes on."""
    data, place = bytearray(png), 8
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        end = place + 8 + size
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(data)


def value(rng: np.random.Generator) -> Any:
    """Something else than was expected."""
    return copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])


def changed(rng: np.random.Generator, tree: Any) -> Any:
    """What JSON holds after one to three changes anywhere in it."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.integers(1, 4)):
        spots = list(_spots(tree))
        if not spots:
            return value(rng)
        holder, key = spots[int(rng.integers(len(spots)))]
        match int(rng.integers(6)):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 2 if isinstance(holder, dict):
                holder[str(value(rng))] = holder.pop(key)
            case 3:
                other, place = spots[int(rng.integers(len(spots)))]
                if (isinstance(other, list) and place < len(other)) or (isinstance(other, dict) and place in other):
                    holder[key] = copy.deepcopy(other[place])
            case 4:
                holder[key] = [holder[key]]
            case _:
                holder[key] = value(rng)
    return tree


def _spots(tree: Any) -> Any:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _spots(tree[key])


def json_text(rng: np.random.Generator, tree: Any) -> bytes:
    """A changed tree as JSON, or a sound one whose text is broken."""
    kind = rng.random()
    text = json.dumps(tree if kind < 0.25 else changed(rng, tree)).encode()
    if kind < 0.2:
        return broken(rng, text)
    if kind < 0.25:
        bombs = [b"[" * 200_000, b'{"a":' * 100_000, b"1" * 6000, b"1e999", b"-Infinity", b"\xff\xfe{}", b"\x00"]
        at = text.find(b":") + 1
        return text[:at] + bombs[int(rng.integers(len(bombs)))] + text[at:]
    return text


def array(rng: np.random.Generator) -> np.ndarray:
    """An array of any kind, shape and content."""
    shape = tuple(int(side) for side in rng.choice([0, 1, 2, 3, 7, 16], int(rng.integers(0, 5))))
    kinds = ["?", "i1", "u1", "<i2", ">u2", "<i8", "<u8", "f2", "<f4", ">f8", "c8", "U3", "S2", "M8[s]", "V4", "f4,i2"]
    kind = np.dtype(str(rng.choice(kinds)))
    count = int(np.prod(shape))
    found = np.frombuffer(rng.bytes(count * kind.itemsize), np.uint8)
    if kind.kind == "U":
        return np.full(shape, "ab")
    return found.view(kind).reshape(shape) if count else np.zeros(shape, kind)
