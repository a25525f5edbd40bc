"""Whether an encoded picture has the numbers that were encoded, by what its bytes say and not by its name.

Sources: ITU-T T.81 (JPEG's frame markers), RFC 9649 (WebP's chunks), ITU-T T.800 (JPEG 2000's SIZ and COD).
"""

from typing import NamedTuple

JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
JPEG_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}


def jpeg_is_lossy(data: bytes) -> bool:
    """Of JPEG but for its rare lossless frames."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in JPEG_FRAMES:
            return data[at + 1] not in JPEG_LOSSLESS
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True


def webp_is_lossy(data: bytes) -> bool:
    """Of WebP without a lossless frame, VP8L."""
    return b"VP8L" not in data


class Codestream(NamedTuple):
    """What JPEG 2000 says of itself: its components, the most bits of one, and whether its wavelet is the 9/7."""

    components: int
    bits: int
    lossy: bool


def jpeg2000_is_lossy(data: bytes) -> bool:
    return read_codestream(data).lossy


def read_codestream(data: bytes) -> Codestream:
    """The head of JPEG 2000, within its boxes or without. Raises ValueError where there is none."""
    start = data.find(b"\xff\x4f\xff\x51")  # SOC and SIZ, which begin each codestream
    if start < 0:
        raise ValueError("JPEG 2000 without a codestream")
    components = int.from_bytes(data[start + 40 : start + 42], "big")
    depths = data[start + 42 : start + 42 + 3 * components : 3]
    at = start + 2
    while at + 4 <= len(data) and data[at : at + 2] != b"\xff\x52":
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if not depths or at + 14 > len(data):
        raise ValueError("JPEG 2000 without a head")
    return Codestream(components, 1 + max(depth & 127 for depth in depths), lossy=data[at + 13] == 0)
