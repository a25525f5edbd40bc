"""Where rays meet a stage and the solids that stand on it: exact hits and normals, and a pinhole camera.

Two frames, both in meters, x to the right, y down, z into the scene. The camera frame has the camera at its
origin; normals and depth are given in it. In the world frame y is vertical, the ground is y = 0 (so what
stands above it has negative y), and the camera is at (0, -height, 0). A surface is described in a frame of its
own: the middle of its base is the origin, and its yaw, about the vertical, is zero.

Vectors are arrays (3, ...), coordinates first, any shape after that, and broadcast. A ray is `origin + t *
direction`; camera rays have z = 1 in the camera frame, so t is the depth z. Rays are a list, not a grid: any
few pixels can be rendered. Results have the type of the rays: float64 for labels, float32 will do for a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

SKY = 255  # the surface number of rays that meet nothing
SHORTEST_CHORD = 1e-4  # meters; a ray that only grazes a solid has no reliable normal there, and misses it

Span = tuple[np.ndarray, np.ndarray]  # where a ray enters and leaves a region; it misses where enter >= leave


def turn(vectors: np.ndarray, yaw: float) -> np.ndarray:
    """Vectors (3, ...) turned about the vertical by `yaw` radians; z turns towards x."""
    c, s = math.cos(yaw), math.sin(yaw)
    x, y, z = vectors
    turned = np.empty_like(vectors)
    turned[0], turned[1], turned[2] = c * x + s * z, y, c * z - s * x
    return turned


def dot(a: np.ndarray | Sequence[float], b: np.ndarray) -> np.ndarray:
    """Dot product of vectors (3, ...), written out: the same sums in the same order on every machine."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def column(vector: Sequence[float] | np.ndarray, like: np.ndarray) -> np.ndarray:
    """One vector (3,), shaped and typed to go with vectors (3, ...)."""
    return np.asarray(vector, like.dtype).reshape(3, *[1] * (like.ndim - 1))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(dot(vectors, vectors))


def _slab(origin: np.ndarray, direction: np.ndarray, low: float, high: float) -> Span:
    """The span of each ray between two parallel planes, from its coordinate across them."""
    direction = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    a, b = (low - origin) / direction, (high - origin) / direction
    return np.minimum(a, b), np.maximum(a, b)


def _between_roots(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Span:
    """The span where a t^2 + 2 b t + c < 0, for a > 0."""
    square = b * b - a * c
    root = np.sqrt(np.maximum(square, 0))
    return np.where(square >= 0, (-b - root) / a, np.inf), np.where(square >= 0, (root - b) / a, -np.inf)


def _first_entry(*spans: Span) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter the convex solid common to all spans (inf: they miss it), and through which of them."""
    entries = np.stack([span[0] for span in spans])
    leave = np.minimum.reduce([span[1] for span in spans])
    t = entries.max(0)
    return np.where((leave - t > SHORTEST_CHORD) & (t > 0), t, np.inf), entries.argmax(0)


@dataclass(frozen=True)
class Surface:
    """Something a ray can meet. `hit` and `normal` speak of its own frame."""

    position: tuple[float, float, float]  # meters, world: the middle of the base
    yaw: float  # radians

    label: ClassVar[str]

    def own_points(self, points: np.ndarray) -> np.ndarray:
        """World points (3, ...) in the surface's own frame."""
        return turn(points - column(self.position, points), -self.yaw)

    def own_directions(self, directions: np.ndarray) -> np.ndarray:
        """World directions (3, ...) in the surface's own frame."""
        return turn(directions, -self.yaw)

    def world_directions(self, directions: np.ndarray) -> np.ndarray:
        """Directions (3, ...) of the surface's own frame in the world's."""
        return turn(directions, self.yaw)

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """t (...) at which rays first meet the surface, inf where they do not, and the number of the face met."""
        raise NotImplementedError

    def normal(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        """Outward unit normals (3, M) at points (3, M) of the surface, on the faces (M,) that `hit` told."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plane(Surface):
    """A part of the plane where coordinate `axis` of its own frame is 0, seen from the negative side."""

    axis: ClassVar[int]

    def extent(self, points: np.ndarray) -> np.ndarray:
        """Which points (3, ...) of the plane are on the surface: bool (...)."""
        raise NotImplementedError

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Rays that run along the plane or away from it get NaN, which no comparison lets through.
        t = -origin[self.axis] / np.where(direction[self.axis] > 1e-9, direction[self.axis], np.nan)
        met = (t > 0) & self.extent(origin + t * direction)
        return np.where(met, t, np.inf), np.zeros(t.shape, np.intp)

    def normal(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        normals = np.zeros_like(points)
        normals[self.axis] = -1
        return normals


@dataclass(frozen=True)
class Floor(Plane):
    """The ground, out to `radius` meters: depth stays bounded, and the sky comes down to meet it."""

    radius: float

    label: ClassVar[str] = "floor"
    axis: ClassVar[int] = 1

    def extent(self, points: np.ndarray) -> np.ndarray:
        return points[0] ** 2 + points[2] ** 2 < self.radius**2


@dataclass(frozen=True)
class Wall(Plane):
    """An upright plane without ends, `height` meters high; inf for the wall of a room."""

    height: float

    label: ClassVar[str] = "wall"
    axis: ClassVar[int] = 2

    def extent(self, points: np.ndarray) -> np.ndarray:
        return points[1] > -self.height


@dataclass(frozen=True)
class Solid(Surface):
    """A convex thing that stands on the ground, `size` = (half width, height, half depth) in meters."""

    size: tuple[float, float, float]

    @property
    def center(self) -> np.ndarray:
        """(3,) world coordinates of the middle."""
        return np.array(self.position) - [0, self.size[1] / 2, 0]

    @property
    def reach(self) -> float:
        """Radius of a ball about `center` that holds the solid."""
        return float(np.hypot(self.plan, self.size[1] / 2))

    @property
    def plan(self) -> float:
        """Radius of a disc on the ground that holds the solid, seen from above."""
        return max(self.size[0], self.size[2])


@dataclass(frozen=True)
class Sphere(Solid):
    label: ClassVar[str] = "sphere"

    @property
    def reach(self) -> float:
        return self.size[0]

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radius = self.size[0]
        x, y, z = origin
        start = np.stack([x, y + radius, z])
        c = dot(start, start) - radius**2
        return _first_entry(_between_roots(dot(direction, direction), dot(start, direction), c))

    def normal(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        return unit(points + column((0, self.size[0], 0), points))


@dataclass(frozen=True)
class Box(Solid):
    label: ClassVar[str] = "box"

    @property
    def plan(self) -> float:
        return float(np.hypot(self.size[0], self.size[2]))

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        limits = ((-self.size[0], self.size[0]), (-self.size[1], 0), (-self.size[2], self.size[2]))
        return _first_entry(*(_slab(o, d, *limit) for o, d, limit in zip(origin, direction, limits, strict=True)))

    def normal(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        outward = np.sign(points + column((0, self.size[1] / 2, 0), points))
        return outward * (np.arange(3)[:, None] == face)


@dataclass(frozen=True)
class Cylinder(Solid):
    label: ClassVar[str] = "cylinder"

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radius, height, _ = self.size
        (x, y, z), (u, v, w) = origin, direction
        mantle = _between_roots(u * u + w * w, x * u + z * w, x * x + z * z - radius**2)
        return _first_entry(mantle, _slab(y, v, -height, 0))

    def normal(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        x, _, z = points
        level = np.zeros_like(x)
        return np.where(face == 0, np.stack([x, level, z]) / np.hypot(x, z), np.stack([level, level - 1, level]))


@dataclass(frozen=True)
class Cone(Solid):
    label: ClassVar[str] = "cone"

    def hit(self, origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        radius, height, _ = self.size
        (x, y, z), (u, v, w) = origin, direction
        slope = (radius / height) ** 2
        below = y + height  # the apex
        a, b = u * u + w * w - slope * v * v, x * u + z * w - slope * below * v
        c = x * x + z * z - slope * below * below
        a = np.where(np.abs(a) < 1e-12, 1e-12, a)
        enter, leave = _between_roots(a, b, c)
        # A ray steeper than the mantle stays inside once below the apex: the upper nappe is not ours.
        steep = np.broadcast_to(a < 0, enter.shape)
        enter, leave = (
            np.where(steep, np.where(v > 0, np.maximum(enter, leave), -np.inf), enter),
            np.where(steep, np.where(v > 0, np.inf, np.minimum(enter, leave)), leave),
        )
        return _first_entry((enter, leave), _slab(y, v, -height, 0))

    def normal(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        radius, height, _ = self.size
        x, _, z = points
        return unit(np.stack([x, -np.hypot(x, z) * radius / height, z]))


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at (0, -height, 0) whose principal point is the middle of the image."""

    height: float  # meters above the ground
    pitch: float  # radians, positive looks down
    yaw: float  # radians, positive looks to the right
    roll: float  # radians
    focal: float  # focal length as a share of the image's longer side

    @cached_property
    def rotation(self) -> np.ndarray:
        """(3, 3): camera coordinates to world coordinates."""
        (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (self.pitch, self.roll))
        tilt = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        return turn(tilt @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]), self.yaw)

    def rays(self, x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Camera-frame directions (3, M), z = 1, through pixels x, y (M,); the first pixel's center is (0, 0)."""
        height, width = size
        focal = self.focal * max(size)
        return np.stack([(x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal, np.ones(np.shape(x))])

    def to_world(self, vectors: np.ndarray) -> np.ndarray:
        """Camera-frame directions (3, M) in the world's frame."""
        return np.stack([dot(row, vectors) for row in self.rotation.tolist()])

    def to_camera(self, vectors: np.ndarray) -> np.ndarray:
        """World directions (3, M) in the camera's frame."""
        return np.stack([dot(axis, vectors) for axis in self.rotation.T.tolist()])


class Hits(NamedTuple):
    """What M rays meet first."""

    t: np.ndarray  # (M,) inf where a ray meets nothing
    surface: np.ndarray  # (M,) uint8, index of the surface, SKY where there is none
    face: np.ndarray  # (M,) index of its face


def near(solid: Solid, origin: np.ndarray, direction: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """(M,) bool: rays that pass the ball about a solid; the others need no exact test."""
    way = column(solid.center, origin) - origin
    along = dot(way, direction)
    length = dot(direction, direction)
    return dot(way, way) * length - along * along < (margin * solid.reach) ** 2 * length


def cast(surfaces: Sequence[Surface], origin: np.ndarray, direction: np.ndarray) -> Hits:
    """The first surface that each ray meets: origin (3, 1), direction (3, M), in the world's frame."""
    count = direction.shape[1]
    hits = Hits(np.full(count, np.inf, direction.dtype), np.full(count, SKY, np.uint8), np.zeros(count, np.intp))
    for number, surface in enumerate(surfaces):
        rays = np.flatnonzero(near(surface, origin, direction)) if isinstance(surface, Solid) else np.arange(count)
        t, face = surface.hit(surface.own_points(origin), surface.own_directions(direction.take(rays, 1)))
        closer = t < hits.t[rays]
        rays = rays[closer]
        hits.t[rays], hits.surface[rays], hits.face[rays] = t[closer], number, face[closer]
    return hits
