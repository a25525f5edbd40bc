"""A scene and its picture: textures, sun and shadow, lens and sensor. Labels are exact, the picture is not.

Classes, normals and depth are those of the ray through each pixel's center. The picture is softened as a
photograph would be: where neighbors differ it averages several rays a pixel, then come vignetting, noise and
8-bit rounding. Frames and vectors are raycast.py's; colors are linear, 0..1, until the last step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from pixelnet.data.scenes.raycast import SKY, Camera, Hits, Plane, Solid, Surface, cast, column, dot, near, unit

RGB = tuple[float, float, float]

# Rays averaged where neighboring pixels differ: a square turned so that no two share a row or a column.
SUBPIXELS = np.array([(-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)])
CONTRAST = 0.1  # a difference between neighbors, after gamma, that is worth more rays

_LATTICE = np.random.default_rng(1702_06506).random((16, 16, 16), np.float32)


def value_noise(points: np.ndarray) -> np.ndarray:
    """Smooth noise (M,) in 0..1 at points (3, M): random values on the integer lattice, interpolated."""
    corner = np.floor(points)
    fraction = points - corner
    fx, fy, fz = fraction * fraction * (3 - 2 * fraction)
    x0, y0, z0 = low = corner.astype(np.intp) & 15
    x1, y1, z1 = (low + 1) & 15

    def along_z(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _LATTICE[x, y, z0] * (1 - fz) + _LATTICE[x, y, z1] * fz

    first = along_z(x0, y0) * (1 - fy) + along_z(x0, y1) * fy
    second = along_z(x1, y0) * (1 - fy) + along_z(x1, y1) * fy
    return first * (1 - fx) + second * fx


@dataclass(frozen=True)
class Texture:
    """Two colors mixed by where in the surface's own frame a point is: a solid texture fits any shape."""

    kind: str  # one of Texture.kinds
    colors: tuple[RGB, RGB]
    scale: float  # meters: the size of a tile, a stripe, a spot
    phase: tuple[float, float, float]  # in tiles; keeps flat faces off the borders between tiles
    gloss: float  # strength of the highlight, 0..1

    kinds: ClassVar[tuple[str, ...]] = ("plain", "checker", "stripes", "bands", "noise")

    def albedo(self, points: np.ndarray) -> np.ndarray:
        """Colors (3, M) at points (3, M) of the surface's own frame."""
        share = self._share(points / self.scale + column(self.phase, points))
        first, second = (column(color, points) for color in self.colors)
        return first + share * (second - first)

    def _share(self, tiles: np.ndarray) -> np.ndarray:
        """How much of the second color (M,), 0..1."""
        if self.kind == "checker":
            return np.floor(tiles).sum(0) % 2
        if self.kind == "stripes":
            return np.floor(tiles[0] + tiles[2]) % 2
        if self.kind == "bands":
            return np.floor(tiles[1]) % 2
        if self.kind == "noise":
            return 0.7 * value_noise(2 * tiles) + 0.3 * value_noise(5 * tiles)
        return np.zeros_like(tiles[0])


@dataclass(frozen=True)
class Light:
    """A sun, the sky's own light, and what the sky looks like."""

    sun: RGB  # unit vector towards the sun, world
    sun_color: RGB
    ambient: RGB
    horizon: RGB
    zenith: RGB

    @property
    def disc(self) -> np.ndarray:
        """(3, 1, 4) directions over a sun large enough for soft shadows."""
        sun = np.array(self.sun)
        side = unit(np.cross(sun, [0.0, 1.0, 0.0]))
        up = np.cross(side, sun)
        turns = 2 * np.pi * np.arange(4) / 4
        around = sun[:, None] + 0.045 * (side[:, None] * np.cos(turns) + up[:, None] * np.sin(turns))
        return unit(around)[:, None, :].astype(np.float32)

    def sky(self, direction: np.ndarray) -> np.ndarray:
        """Colors (3, M) of the sky in world directions (3, M), with a few thin clouds."""
        direction = unit(direction)
        height = np.clip(-direction[1] * 4, 0, 1) ** 0.7
        horizon, zenith = column(self.horizon, direction), column(self.zenith, direction)
        clouds = value_noise(direction * column((4, 14, 4), direction))
        return horizon + (zenith - horizon) * height * (1 - 0.6 * np.clip(2 * clouds - 0.8, 0, 1))


@dataclass(frozen=True)
class Scene:
    """Everything a picture is made from. Surface k wears texture k."""

    camera: Camera
    surfaces: tuple[Surface, ...]
    textures: tuple[Texture, ...]
    light: Light
    vignette: float  # share of the light lost in the corners
    noise: float  # standard deviation of the sensor's noise, 1 is white

    @property
    def solids(self) -> tuple[tuple[int, Solid], ...]:
        return tuple((k, surface) for k, surface in enumerate(self.surfaces) if isinstance(surface, Solid))


class Rendering(NamedTuple):
    """What the camera sees, by pixel. Where it sees the sky, surface is SKY, normals are zero and depth is NaN."""

    image: np.ndarray  # (H, W, 3) uint8 sRGB
    surface: np.ndarray  # (H, W) uint8 index into scene.surfaces
    normals: np.ndarray  # (H, W, 3) float32 unit vectors, camera frame
    depth: np.ndarray  # (H, W) float32 meters along z


def render(scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> Rendering:
    """The view of a scene at `size` = (H, W); `rng` gives the sensor's noise and nothing else."""
    height, width = size
    y, x = (axis.ravel() for axis in np.mgrid[:height, :width].astype(float))
    hits, normals, colors = _look(scene, scene.camera.rays(x, y, size))

    picture = _gamma(colors).reshape(3, height, width)
    busy = np.flatnonzero(_busy(picture, hits.surface.reshape(size)))
    around = scene.camera.rays((x[busy] + SUBPIXELS[:, :1]).ravel(), (y[busy] + SUBPIXELS[:, 1:]).ravel(), size)
    fine = _gamma(_look(scene, around.astype(np.float32))[2]).reshape(3, len(SUBPIXELS), -1).mean(1)
    picture.reshape(3, -1)[:, busy] = fine

    radius = ((x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2) / ((width**2 + height**2) / 4)
    picture *= (1 - scene.vignette * radius.reshape(size)).astype(np.float32)
    picture += scene.noise * rng.standard_normal(picture.shape, np.float32)
    image = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)

    return Rendering(
        np.ascontiguousarray(image),
        hits.surface.reshape(size),
        np.ascontiguousarray(scene.camera.to_camera(normals).T.reshape(*size, 3), np.float32),
        np.where(hits.surface == SKY, np.nan, hits.t).reshape(size).astype(np.float32),
    )


def _gamma(colors: np.ndarray) -> np.ndarray:
    """Linear light to what is stored, with highlights rolled off instead of clipped."""
    return np.clip(1 - np.exp(-1.7 * colors), 0, 1) ** (1 / 2.2)


def _busy(picture: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels that differ enough from one of their four neighbors to deserve more rays."""
    busy = np.zeros(surface.shape, bool)
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :])):
        contrast = np.abs(picture[(slice(None), *one)] - picture[(slice(None), *other)]).max(0)
        change = (contrast > CONTRAST) | (surface[one] != surface[other])
        busy[one] |= change
        busy[other] |= change
    return busy


def _look(scene: Scene, rays: np.ndarray) -> tuple[Hits, np.ndarray, np.ndarray]:
    """Hits, world normals (3, M) and colors (3, M) of camera rays (3, M)."""
    direction = scene.camera.to_world(rays)
    eye = column((0, -scene.camera.height, 0), direction)
    hits = cast(scene.surfaces, eye, direction)
    points = eye + np.where(hits.surface == SKY, 0, hits.t) * direction
    normals, albedo = np.zeros_like(points), np.zeros_like(points, np.float32)
    gloss = np.zeros_like(albedo[0])
    for number, (surface, texture) in enumerate(zip(scene.surfaces, scene.textures, strict=True)):
        seen = np.flatnonzero(hits.surface == number)
        own = surface.own_points(points.take(seen, 1))
        normals[:, seen] = surface.world_directions(surface.normal(own, hits.face[seen]))
        albedo[:, seen] = texture.albedo(own.astype(np.float32))
        gloss[seen] = texture.gloss
    sky = np.flatnonzero(hits.surface == SKY)
    points, direction = points.astype(np.float32), direction.astype(np.float32)
    colors = _shade(scene, points, normals.astype(np.float32), unit(direction), albedo, gloss, hits.surface)
    colors[:, sky] = scene.light.sky(direction[:, sky])
    return hits, normals, colors


def _shade(
    scene: Scene,
    points: np.ndarray,
    normals: np.ndarray,
    direction: np.ndarray,
    albedo: np.ndarray,
    gloss: np.ndarray,
    surface: np.ndarray,
) -> np.ndarray:
    """Colors (3, M): Lambert and a highlight under the sun where it reaches, the sky's light everywhere."""
    light = scene.light
    sun, sun_color, ambient = (column(v, points) for v in (light.sun, light.sun_color, light.ambient))
    facing = np.maximum(dot(normals, sun), 0)
    sunlit = _sunlight(scene, points, facing, surface)
    # The sky lights what faces up most, what faces down by what the ground returns.
    above = (0.62 - 0.38 * normals[1]) * _openness(scene, points, normals, surface)
    halfway = unit(sun - direction)
    highlight = gloss * sunlit * (facing > 0) * np.maximum(dot(normals, halfway), 0) ** 40
    return albedo * (ambient * above + sun_color * (facing * sunlit)) + sun_color * highlight


def _sunlight(scene: Scene, points: np.ndarray, facing: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Share (M,) of the sun's disc that points (3, M) see past the solids; the stage casts no shadow.

    Points that do not face the sun are left untested. Solids are convex, so none shades itself where it does face
    it: it is left out, and needs no safety distance that would lift shadows off the things that cast them.
    """
    disc = scene.light.disc
    blocked = np.zeros((points.shape[1], disc.shape[2]), bool)
    sun = column(scene.light.sun, points)
    for number, solid in scene.solids:
        shaded = np.flatnonzero(near(solid, points, sun, margin=1.3) & (surface != number) & (facing > 0))
        t, _ = solid.hit(solid.own_points(points.take(shaded, 1))[:, :, None], solid.own_directions(disc))
        blocked[shaded] |= np.isfinite(t)
    return 1 - blocked.mean(1, dtype=points.dtype)


def _openness(scene: Scene, points: np.ndarray, normals: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Share (M,) of the sky's light left near other surfaces: corners and contacts are darker.

    A solid hides what a ball of its size would: cos(angle) (radius / distance)^2.
    """
    openness = np.ones_like(points[0])
    for number, solid in scene.solids:
        way = column(solid.center, points) - points
        square = dot(way, way)
        radius = 0.8 * min(solid.size[0], solid.size[2], solid.size[1])
        hidden = np.maximum(dot(normals, way), 0) * radius**2 / (square * np.sqrt(square))
        openness *= np.where(surface == number, 1, 1 - np.minimum(hidden, 0.8))
    for number, stage in enumerate(scene.surfaces):
        if isinstance(stage, Plane):
            distance = np.abs(stage.own_points(points)[stage.axis])
            openness *= np.where(surface == number, 1, 1 - 0.4 * np.exp(-distance / 0.3))
    return openness
