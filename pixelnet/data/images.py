"""Reading pictures and label maps from files as a person would expect, and refusing the rest by name; writing normals.

Sources: the PNG specification (1-, 2-, 4-bit grey; eXIf) and the EXIF standard's orientation tag.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pixelnet.errors import InputError
from pixelnet.files import write_npy, write_png
from pixelnet.geometry import convert_normals

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
LABEL_EXTENSIONS = (".png", ".bmp", ".tif", ".tiff", ".npy")
LOSSY_EXTENSIONS = (".jpg", ".jpeg", ".webp")  # never for labels: their values do not survive

ORIENTATION = 0x0112  # EXIF tag; 5..8 exchange width and height


def read_image(path: str | Path) -> np.ndarray:
    """A picture as uint8 (H, W, 3) RGB, upright as its EXIF rotation says.

    Grey is repeated; 16-bit grey is scaled by 1/257 (not clipped), 16-bit RGB keeps its high byte, real values
    must lie in 0..1; palettes are looked up; transparency is laid on white. Raises InputError for a file that
    is missing, truncated or no image.
    """
    with reading(path), Image.open(path) as image:
        return to_rgb(image, str(path))


def read_size(path: str | Path) -> tuple[int, int]:
    """(width, height) of a picture or .npy map in pixels, upright, from its header only. Raises InputError."""
    with reading(path):
        if Path(path).suffix.lower() == ".npy":
            height, width = np.load(path, mmap_mode="r", allow_pickle=False).shape[:2]
            return width, height
        with Image.open(path) as image:
            # Pillow decodes a whole PNG to look for EXIF behind the pixels, so only what is in front is asked for.
            header = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            turned = header.get(ORIENTATION, 1) >= 5
            if turned and image.format == "TIFF":  # which Pillow turns itself, some versions only when it is loaded
                image.load()
                return image.size
            return image.size[::-1] if turned else image.size


def read_labels(path: str | Path) -> np.ndarray:
    """Class ids as stored, integers (H, W): grey PNG of 1 to 16 bits, the indices of a palette, TIFF, BMP or .npy.

    Raises InputError for a colour picture or real values: ids are expected.
    """
    stored, _, mode = read_stored(path)
    if stored.ndim != 2 or not np.issubdtype(stored.dtype, np.integer):
        raise InputError(
            f"{path} is {describe(stored, mode)}, but class ids are expected, one integer a pixel (grey or palette); "
            "convert its colours to ids"
        )
    return stored


def read_normals(path: str | Path, convention: str = "pixelnet") -> np.ndarray:
    """Surface normals, float32 (H, W, 3), unit vectors, x right, y down, z into the scene; the zero vector unlabelled.

    An 8- or 16-bit RGB PNG holds n = 2 v / max - 1 and (0, 0, 0) for unlabelled, as does mid-grey, the code of
    the zero vector; a .npy holds the vectors. Their axes are those of the convention named (geometry.CONVENTIONS).
    Raises InputError for NaN, named with its count, and for a convention that is not known.
    """
    stored, top, mode = read_stored(path)
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise InputError(
            f"{path} is {describe(stored, mode)}, but normals need three channels; use an RGB PNG or .npy (H, W, 3)"
        )
    if top:
        if Path(path).suffix.lower() != ".png":  # other formats lose the low byte of 16-bit colour on reading
            raise InputError(f"{path} holds normals, which are read from .png or .npy; save it as one of these")
        normals = stored.astype(np.float32) * (2 / top) - 1
        normals[(stored[..., 0] | stored[..., 1] | stored[..., 2]) == 0] = 0
    else:
        normals = stored.astype(np.float32)
        bad = int((~np.isfinite(normals)).any(axis=2).sum())
        if bad:
            raise InputError(f"{path} holds NaN in {bad} pixels; write (0, 0, 0) where there is no normal")
    length = np.sqrt(np.einsum("hwc,hwc->hw", normals, normals))[..., None]
    # Nothing near a unit vector is this short; mid-grey, 127 or 128 of 255, is.
    unit = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0.1)
    return convert_normals(unit, convention)


def write_normals(path: str | Path, normals: np.ndarray, convention: str = "pixelnet") -> None:
    """Write unit vectors (H, W, 3), x right, y down, z into the scene, in the axes of a convention.

    A .npy holds them as float16; a .png in 8 bits, (n + 1) 127.5 a channel, and (0, 0, 0) for the zero vector.
    The file is written whole or not at all. Raises InputError for another ending, and for a convention that is not
    known.
    """
    path, normals = Path(path), convert_normals(np.asarray(normals, np.float32), convention)
    if path.suffix == ".npy":
        write_npy(path, normals.astype(np.float16))
    elif path.suffix == ".png":
        known = (normals != 0).any(axis=-1, keepdims=True)
        write_png(path, np.where(known, ((normals + 1) * 127.5).round(), 0).astype(np.uint8))
    else:
        raise InputError(f"{path} is to hold normals, which are written to .png or .npy; name it one of these")


def read_share(path: str | Path) -> np.ndarray:
    """Edge maps: the share of annotators who drew a boundary, float32 (H, W) in 0..1, NaN (.npy only) unlabelled.

    Grey PNG of any depth holds share x max (a 1-bit one just draws the edges); .npy holds the share itself.
    """
    stored, top, mode = read_stored(path)
    one_channel(stored, mode, path, "an edge map")
    if top > 1 and stored.max() == 1:
        raise InputError(f"{path} holds only 0 and 1 where {top} means an edge; multiply it by {top}")
    share = stored.astype(np.float32) / (top or 1)
    if (share < 0).any() or (share > 1).any():
        raise InputError(
            f"{path} holds {np.nanmin(share):g}..{np.nanmax(share):g}, but an edge map is the share of annotators, "
            "0..1 (NaN unlabelled); divide it by its maximum"
        )
    return share


def read_values(path: str | Path) -> np.ndarray:
    """Real values (depth, height), float32 (H, W): the numbers of a grey PNG, a TIFF or a .npy; NaN is unlabelled."""
    stored, _, mode = read_stored(path)
    one_channel(stored, mode, path, "a map of values")
    values = stored.astype(np.float32)
    if np.isinf(values).any():
        raise InputError(
            f"{path} is infinite in {int(np.isinf(values).sum())} pixels; write NaN where there is no value"
        )
    return values


def to_array(image: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    """A picture given any way -> uint8 (H, W, 3) RGB.

    image: a path, a PIL image, or a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), RGB in that order.
    Raises InputError for anything else.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, Image.Image):
        name = getattr(image, "filename", "") or "the PIL image"
        with reading(name):
            return to_rgb(image, name)
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image is a {type(image).__name__}; give a path, a PIL image or a uint8 array (H, W, 3)")
    if image.dtype != np.uint8:
        remedy = "multiply 0..1 by 255 and" if np.issubdtype(image.dtype, np.floating) else "scale it to 0..255 and"
        raise InputError(f"an image array is {image.dtype}, expected uint8; {remedy} convert it with .astype(np.uint8)")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise InputError(f"an image array has shape {image.shape}, expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    if image.shape[2] == 4:
        return on_white(Image.fromarray(np.ascontiguousarray(image), "RGBA"))
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """A PIL image of any mode, turned upright -> uint8 (H, W, 3)."""
    image.load()  # strict: Pillow raises on a truncated file
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise InputError(f"{name} holds {grey.min()}..{grey.max()}, expected 0..65535; save it as 8 or 16 bit")
        return repeat(((grey + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        real = np.asarray(image)
        if not (real.min() >= 0 and real.max() <= 1):
            raise InputError(f"{name} holds real values {real.min():g}..{real.max():g}, expected 0..1; scale them")
        return repeat(np.round(real * 255).astype(np.uint8))
    if image.has_transparency_data:
        return on_white(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def repeat(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def on_white(image: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", image.size, "white")
    return np.array(Image.alpha_composite(white, image).convert("RGB"))


def read_stored(path: str | Path) -> tuple[np.ndarray, int, str]:
    """The numbers in a label file as they are stored, the largest its integers can be (0 if no picture), its mode."""
    with reading(path):
        if Path(path).suffix.lower() == ".npy":
            stored = np.load(path, allow_pickle=False)
            if stored.size == 0 or stored.dtype.kind not in "buif":
                raise ValueError(f"an array of {stored.dtype}, shape {stored.shape}")
            return stored.astype(np.uint8) if stored.dtype == bool else stored, 0, "npy"
        with Image.open(path) as image:
            image.load()
            if image.getexif().get(ORIENTATION, 1) != 1:
                raise InputError(f"{path} is a label map with an EXIF rotation; save it upright, without the tag")
            bits, colour = png_depth(path) if image.format == "PNG" else (8, -1)
            if bits == 16 and colour == 2:
                return sixteen_bit_colour(path), 65535, "RGB"
            stored = np.array(image)
            if image.mode == "1":
                return stored.astype(np.uint8), 1, "1"
            if bits < 8 and colour == 0:  # Pillow stretches 2- and 4-bit grey to 0..255
                return stored // (255 // (2**bits - 1)), 2**bits - 1, "L"
            return stored, {"I": 65535, "u": 2 ** (8 * stored.itemsize) - 1}.get(stored.dtype.kind, 0), image.mode


def sixteen_bit_colour(path: str | Path) -> np.ndarray:
    """A PNG of 16-bit RGB, exactly: uint16 (H, W, 3).

    Pillow keeps one byte of each sample, the first when told that they are big-endian (as they are), the second
    when told that they are little-endian; so it is asked twice.
    """
    halves = []
    for rawmode in ("RGB;16B", "RGB;16L"):
        with Image.open(path) as image:
            image.tile = [(*image.tile[0][:3], rawmode)]  # type: ignore[list-item]
            halves.append(np.asarray(image).astype(np.uint16))
    return 256 * halves[0] + halves[1]


def png_depth(path: str | Path) -> tuple[int, int]:
    """(bits a sample, colour type) from a PNG's first chunk, IHDR."""
    with Path(path).open("rb") as file:
        header = file.read(26)
    return header[24], header[25]


def one_channel(stored: np.ndarray, mode: str, path: str | Path, what: str) -> None:
    if stored.ndim != 2 or mode == "P":
        raise InputError(
            f"{path} is {describe(stored, mode)}, but {what} has one number a pixel; save it as grey or .npy"
        )


def describe(stored: np.ndarray, mode: str) -> str:
    if mode == "npy":
        return f"an array of {stored.dtype}, shape {stored.shape}"
    return {"P": "a palette picture", "F": "a picture of real values"}.get(mode, f"a picture of mode {mode}")


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever a decoder raises on a bad file into one InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large to read at once ({error}); cut it into smaller images") from error
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there, or is a link to nothing; check the path") from error
    except Exception as error:  # decoders raise everything from OSError to SyntaxError on corrupt bytes
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read, it is truncated or in another format ({reason}); copy it again from its source"
        ) from error
