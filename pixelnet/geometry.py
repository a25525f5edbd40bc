"""Surface normals from a depth map, the pinhole camera it was seen by, and the frames normals are written in.

Along camera rays (x, y, 1) a plane n . X = d has the inverse depth 1/z = n . (x, y, 1) / d: linear in the pixel's
place. So what is linear in 1/z is an exact plane, however steep, and its coefficients are the normal. The fits are
least squares over square windows (local planes after Hoppe et al., SIGGRAPH 1992), by box sums. Each pixel looks at
windows of several sizes, about it and to its sides, and believes those on one surface: where a window crosses an
edge, another that holds the pixel does not (Kuwahara et al., 1976, smooth pictures so).
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter, minimum_filter, uniform_filter

from pixelnet.errors import InputError

RADII = (1, 2, 3, 5, 8, 12)  # pixels; a window of radius r is 2 r + 1 wide
NOISE_RADIUS = 2  # of the windows whose residuals tell the noise
FEWEST = 5  # pixels with depth that a window needs: two more than a plane has coefficients
FEWEST_LEVELS = 16  # of depth that tell of rounding; fewer may as well be so many surfaces
NARROWEST = 0.3  # pixels^2 across; two rows of pixels have a quarter, and a plane through them fits any step
COARSEST = 0.05  # of the depth: no sensor's rounding is coarser, so a wider gap lies between surfaces
LOOSEST = 0.02  # of the depth: what is farther from its planes, and not by noise, is on no surface that a window holds
NO_PLANE = 1e20  # a variance
SHARPNESS = 4  # a plane's weight is its error to minus this power: nearly the best alone, yet less noisy

# Axes that normals are published in, as the factors that take x right, y down, z into the scene to them. They are
# only flips, so the same factors lead back.
CONVENTIONS: dict[str, tuple[int, int, int]] = {
    "pixelnet": (1, 1, 1),  # x right, y down, z into the scene: a wall seen head-on is (0, 0, -1); as OpenCV's camera
    "opengl": (1, -1, -1),  # x right, y up, z to the viewer; Hypersim's camera frame too (Roberts et al. 2021)
    "dsine": (-1, -1, -1),  # pointing away, the wall (0, 0, 1): DSINE and the NYUv2 truth of GeoNet that it reads
    "2d3ds": (1, 1, -1),  # x right, y down, z to the viewer (2D-3D-S, Armeni et al. 2017): left-handed
}


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera: focal lengths and principal point in pixels, the center of the first pixel at (0, 0)."""

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if not (self.fx > 0 and self.fy > 0 and np.isfinite([self.fx, self.fy, self.cx, self.cy]).all()):
            raise InputError(f"{self} is no camera; give focal lengths above 0 and a principal point, in pixels")


class Planes(NamedTuple):
    """For the window about each pixel (H, W): 1/z = a x + b y + c in pixels from the middle of the image, and the
    variance of 1/z about it, NO_PLANE where the window holds none."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    variance: np.ndarray


def convert_normals(normals: np.ndarray, convention: str) -> np.ndarray:
    """Normals (..., 3) taken to the convention named, or, the flips being their own inverse, from it.

    Raises InputError for a name that is not in CONVENTIONS.
    """
    if convention not in CONVENTIONS:
        raise InputError(f"there is no convention {convention!r} of normals; known are {', '.join(CONVENTIONS)}")
    return normals * np.array(CONVENTIONS[convention], normals.dtype) + 0  # + 0: no zero of negative sign


def normals_from_depth(depth: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """Surface normals of a depth map.

    Exact on planes, up to their edges, and on steps between them; on curved surfaces as good as their chords over
    the smallest windows. How finely the depth is rounded, and its noise, are told from the map itself.

    Args:
        depth: (H, W) along z, in meters or another unit; 0, negative, NaN or infinite is a hole.
        intrinsics: the camera, for pixels of this map.

    Returns:
        float32 (H, W, 3): unit vectors, x right, y down, z into the scene, facing the camera; the zero vector in
        holes, and where no window has five pixels of one surface, not in a line: on what is thinner than three.

    Raises:
        InputError: a depth that is not (H, W).
    """
    depth = np.asarray(depth, np.float64)
    if depth.ndim != 2 or not depth.size:
        raise InputError(f"a depth map has shape {depth.shape}, expected (H, W)")
    height, width = depth.shape
    known = (depth > 0) & (depth < np.inf)
    depth = np.where(known, depth, 0) / (np.median(depth[known]) if known.any() else 1)  # no unit matters
    inverse = np.divide(1, depth, out=np.zeros_like(depth), where=known)
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    noise = _noise(depth, inverse, known, x, y)
    total = np.zeros((5, height, width))  # a, b, c, variance and 1, each times its weight
    for radius in RADII:
        planes = fit_planes(inverse, known, x, y, radius)
        for shift in product((0, -radius, radius), repeat=2):
            here, there = _overlap(height, shift[0]), _overlap(width, shift[1])
            own, window = (here[0], there[0]), (here[1], there[1])
            a, b, c, variance = (plane[window] for plane in planes)
            miss = a * x[own] + b * y[own] + c - inverse[own]
            # A slope's error is that of 1/z over the window's size; at the window's edge it tells twice as much.
            variance = np.maximum(variance, miss * miss)
            error = (variance + noise[own]) * ((2 if any(shift) else 1) / radius**2)
            weight = error**-SHARPNESS
            for term, plane in zip(total, (a, b, c, variance, 1), strict=True):
                term[own] += weight * plane
    a, b, c, variance, weight = total
    found = known & (variance < weight * np.maximum((LOOSEST * inverse) ** 2, 9 * noise))
    found &= a * x + b * y + c > 0  # 1/z by the plane, without which the normal would face away
    # From pixels about the image's middle to rays, where the coefficients are the normal's, of any length.
    c += a * (intrinsics.cx - (width - 1) / 2) + b * (intrinsics.cy - (height - 1) / 2)
    normals = -np.stack([a * intrinsics.fx, b * intrinsics.fy, c], axis=-1)
    length = np.sqrt(np.einsum("hwc,hwc->hw", normals, normals))[..., None]
    return np.divide(normals, length, out=np.zeros_like(normals), where=found[..., None]).astype(np.float32)


def fit_planes(inverse: np.ndarray, known: np.ndarray, x: np.ndarray, y: np.ndarray, radius: int) -> Planes:
    """Least-squares planes through 1/z (H, W) over the known pixels of each window; x, y: their places (H, W)."""
    size = 2 * radius + 1
    share = uniform_filter(known.astype(np.float64), size, mode="constant")
    number = np.round(share * size**2)
    share[number == 0] = 1

    def mean(values: np.ndarray) -> np.ndarray:
        return uniform_filter(values, size, mode="constant") / share

    x, y, w = x * known, y * known, inverse * known
    mx, my, mw = mean(x), mean(y), mean(w)
    xx, xy, yy = mean(x * x) - mx * mx, mean(x * y) - mx * my, mean(y * y) - my * my
    xw, yw, ww = mean(x * w) - mx * mw, mean(y * w) - my * mw, mean(w * w) - mw * mw
    breadth = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)  # the variance of places across their longer direction
    flat = (number < FEWEST) | (breadth < NARROWEST)
    determinant = np.where(flat, np.inf, xx * yy - xy * xy)
    a, b = (yy * xw - xy * yw) / determinant, (xx * yw - xy * xw) / determinant
    variance = np.maximum(ww - a * xw - b * yw, 0) * number / np.maximum(number - 3, 1)
    variance[flat] = NO_PLANE
    return Planes(a, b, mw - a * mx - b * my, variance)


def _noise(depth: np.ndarray, inverse: np.ndarray, known: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The variance of 1/z (H, W) that says nothing of the surface: rounding, or the sensor's noise if that is more.

    Small windows cannot see rounding: between two levels they fit without residual. Depth is taken as rounded where
    many depths fill 2x2 pixels, as no slanted surface does by itself; the gap between neighboring depths, the
    median of nine, is then how coarsely. Noise is the least residual of the small windows that hold a pixel, the
    median over pixels; that of a sensor that triangulates is the same in 1/z at every depth.
    """
    corner, rounding = depth[:-1, :-1], np.zeros_like(depth)
    level = (corner == depth[1:, :-1]) & (corner == depth[:-1, 1:]) & (corner == depth[1:, 1:]) & (corner > 0)
    if len(np.unique(corner[level])) >= FEWEST_LEVELS:
        depths = np.unique(depth[known])
        gaps = median_filter(np.diff(depths), 9, mode="nearest")
        gap = gaps[np.minimum(np.searchsorted(depths, depth), len(gaps) - 1)]
        rounding = np.minimum(gap, COARSEST * depth) * inverse**2  # of 1/z, whose derivative is -1/z^2
    variance = fit_planes(inverse, known, x, y, NOISE_RADIUS).variance
    variance = minimum_filter(variance, 2 * NOISE_RADIUS + 1, mode="nearest")[known]
    variance = variance[variance < NO_PLANE]
    sensor = np.median(variance) if variance.size else 0
    noise = np.maximum(rounding**2 / 12, sensor) + (1e-7 * inverse) ** 2  # the last: of float32
    return np.where(known, noise, 1)


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """The pixels whose neighbor at `shift` is in the image too, and those neighbors."""
    first, last = max(0, -shift), max(0, length - max(0, shift))
    return slice(first, max(first, last)), slice(first + shift, max(first, last) + shift)
