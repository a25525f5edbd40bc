"""`scenes`: a generated data set with exact labels for every task, so that a fresh machine can train at once.

Each item is a random stage (a room, a walled garden or open ground under a sky) with solids on it. Colors and
textures are drawn alike for every surface, so they do not give a class away; shape does (and the sky, no surface,
looks like one). The sun is above and behind the camera, so shading tells normals.
"""

from __future__ import annotations

import colorsys
import math
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from pixelnet.data.dataset import Dataset, Window
from pixelnet.data.scenes.raycast import SKY, Box, Camera, Cone, Cylinder, Floor, Solid, Sphere, Wall
from pixelnet.data.scenes.render import RGB, Light, Rendering, Scene, Texture, render
from pixelnet.errors import InputError
from pixelnet.tasks import Task

CLASSES = ("floor", "wall", "sky", "sphere", "box", "cylinder", "cone")
COLORS = (
    (196, 178, 148),
    (120, 130, 148),
    (158, 208, 240),
    (226, 84, 74),
    (64, 128, 214),
    (248, 190, 60),
    (92, 176, 104),
)
SPLITS = {"train": 512, "val": 64}  # and how many items each has unless told
SCENE, NOISE = 1, 2  # an item's two streams of random numbers: the scene is the same at every image size
CACHE_BYTES = 256 * 2**20
GROUND = 11.5  # meters of ground about the camera: depth stays below 12


class Scenes(Dataset):
    """Rendered scenes, with labels exact at the ray through each pixel's center.

    Item i of a split depends on nothing but (split, i); the splits share no scene. Labels by task:

    - segmentation: ids of `CLASSES`; nothing is unlabelled.
    - normals: unit vectors; the sky is unlabelled.
    - edges: 0 or 1. An edge pixel is one whose surface ends there: one of its four neighbors shows another
      surface, and the pixel lies on the nearer side, or, where the two touch, on what stands on the other
      (solid on wall on floor). So edges are occlusions and contacts, unbroken, one pixel wide and inside the
      thing they outline, as people draw them; creases within one thing (the faces of a box) are none.
    - regression: depth along z in meters, 1 to 12; the sky is unlabelled.

    Args:
        task: one of segmentation, normals, edges, regression.
        split: "train" or "val".
        count: number of items in this split; by default 512 in train and 64 in val.
        size: (H, W) of every image, in pixels, both at least 16.

    Raises:
        InputError: an unknown task or split, a count outside 1 to a million, a size below 16.
    """

    generated = True
    tasks: ClassVar[tuple[str, ...]] = ("segmentation", "normals", "edges", "regression")

    def __init__(
        self, task: str | Task, split: str = "train", count: int | None = None, size: tuple[int, int] = (128, 160)
    ) -> None:
        if str(task) not in self.tasks:
            raise InputError(f"scenes serves {', '.join(self.tasks)}, not {task}; choose one of them")
        if split not in SPLITS:
            raise InputError(f"scenes has no split {split!r}; choose one of {', '.join(SPLITS)}")
        count = SPLITS[split] if count is None else count
        if not 1 <= count <= 1_000_000:
            raise InputError(f"scenes was asked for {count} items; ask for 1 to 1000000, for instance scenes:512")
        if min(size) < 16:
            raise InputError(f"scenes was asked for images of {size[0]}x{size[1]}; ask for at least 16x16")
        self.task, self.split, self.shape = task, split, (size[0], size[1])
        self.source = f"scenes:{count}"
        self.names = self.groups = [f"{split}-{i:06d}" for i in range(count)]  # neighbors in number alone
        self.class_names = CLASSES if str(task) == "segmentation" else ()
        self.class_colors = COLORS if str(task) == "segmentation" else ()
        self._remember()

    @classmethod
    def from_spec(cls, rest: str, task: str | Task, split: str) -> Scenes:
        """The data set of the spec "scenes" (rest is "") or "scenes:COUNT" (rest is COUNT, items in this split)."""
        if rest and not rest.isdecimal():
            raise InputError(f"scenes:{rest} names no number of items; write scenes or, for instance, scenes:512")
        return cls(task, split, int(rest) if rest else None)

    def __len__(self) -> int:
        return len(self.names)

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return self._item(i)[0][window or ...].copy()

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return self._item(i)[1][window or ...].copy()

    def size(self, i: int) -> tuple[int, int]:
        """(width, height)."""
        return self.shape[1], self.shape[0]

    def scene(self, i: int) -> Scene:
        """What item i is a picture of: camera, surfaces, textures and light, in meters."""
        return random_scene(self._rng(i, SCENE))

    def view(self, i: int) -> Rendering:
        """Item i rendered afresh, with surface numbers, normals and depth together, whatever the task."""
        return render(self.scene(i), self.shape, self._rng(i, NOISE))

    def _rng(self, i: int, stream: int) -> np.random.Generator:
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)}")
        return np.random.default_rng((list(SPLITS).index(self.split), i, stream))

    def _render(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        scene = self.scene(i)
        view = render(scene, self.shape, self._rng(i, NOISE))
        if self.task_name == "segmentation":
            return view.image, classes_of(scene, view.surface)
        if self.task_name == "normals":
            return view.image, view.normals
        if self.task_name == "edges":
            return view.image, outlines(scene, view.surface, view.depth).astype(np.float32)
        return view.image, view.depth

    def _remember(self) -> None:
        largest = self.shape[0] * self.shape[1] * (3 + 12)  # bytes of an image and its normals
        self._item = lru_cache(max(1, CACHE_BYTES // largest))(self._render)

    def __getstate__(self) -> dict[str, Any]:
        # Rendered items stay behind: a worker renders what it is asked for.
        return {key: value for key, value in self.__dict__.items() if key != "_item"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._remember()


def classes_of(scene: Scene, surface: np.ndarray) -> np.ndarray:
    """Class ids uint8 (H, W) of a view's surface numbers (H, W)."""
    ids = np.full(256, CLASSES.index("sky"), np.uint8)
    ids[: len(scene.surfaces)] = [CLASSES.index(item.label) for item in scene.surfaces]
    return ids[surface]


def outlines(scene: Scene, surface: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """bool (H, W): pixels at which a surface ends, on its side (see `Scenes` for the rule).

    Solids compare by depth. They hide the stage and never the reverse, and the walls of a scene touch each other
    and the floor, where depth decides nothing: there the order of the surfaces does.
    """
    order = np.zeros(256)
    order[: len(scene.surfaces)] = [
        0 if isinstance(item, Solid) else 256 - number for number, item in enumerate(scene.surfaces)
    ]
    rank = np.where(surface == SKY, np.inf, order[surface] * 2 * GROUND + depth)
    edges = np.zeros(surface.shape, bool)
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        change = surface[one] != surface[other]
        first = rank[one] <= rank[other]
        edges[one] |= change & first
        edges[other] |= change & ~first
    return edges


# -------------------------------------------------------------------------------------------- random scenes


def random_scene(rng: np.random.Generator) -> Scene:
    """A stage and 3 to 7 solids on it (rarely 2), composed for pictures of about 4:5 or wider."""
    camera = Camera(
        height=rng.uniform(1.3, 2.1),
        pitch=np.radians(rng.uniform(10, 20)),
        yaw=np.radians(rng.uniform(-8, 8)),
        roll=np.radians(rng.uniform(-3, 3)),
        focal=rng.uniform(0.95, 1.25),
    )
    walls = _random_walls(rng, camera)
    floor = Floor((0.0, 0.0, 0.0), walls[0].yaw if walls else rng.uniform(-0.5, 0.5), GROUND)
    solids = _random_solids(rng, camera, walls)
    # The walls of a room share a texture. Tiles are at most a meter on the stage, and at most a solid's own size.
    textures = [_random_texture(rng, 0.4, 1.0)] + [_random_texture(rng, 0.4, 1.0)] * len(walls)
    textures += [_random_texture(rng, 0.3 * solid.plan, 0.9 * solid.plan) for solid in solids]
    vignette, noise = rng.uniform(0.05, 0.25), rng.uniform(0.003, 0.012)
    return Scene(camera, (floor, *walls, *solids), tuple(textures), _random_light(rng), vignette, noise)


def _random_walls(rng: np.random.Generator, camera: Camera) -> list[Wall]:
    """Open ground: none. A garden: one wall, the sky above it. A room: one to three that fill the picture."""
    kind = rng.choice(["open", "garden", "room"], p=[0.2, 0.25, 0.55])
    bearing = rng.uniform(-0.5, 0.5) * (0.5 if kind == "garden" else 1)
    # Higher than the camera, so that no strip of ground shows behind it.
    height = camera.height * rng.uniform(1, 1.6) if kind == "garden" else np.inf
    left, right = rng.random(2) < 0.4
    # A back wall that runs away to one side meets a side wall there, before it is too far to see.
    left, right = left or bearing > 0.25, right or bearing < -0.25
    places = [(bearing, rng.uniform(6, 8.5))] if kind != "open" else []
    places += [(bearing - np.pi / 2, rng.uniform(2.2, 4.2))] if left and kind == "room" else []
    places += [(bearing + np.pi / 2, rng.uniform(2.2, 4.2))] if right and kind == "room" else []
    return [Wall((distance * np.sin(yaw), 0.0, distance * np.cos(yaw)), yaw, height) for yaw, distance in places]


def _random_solids(rng: np.random.Generator, camera: Camera, walls: list[Wall]) -> list[Solid]:
    """Solids spread evenly over the picture's ground, apart from each other and from the walls."""
    wanted = rng.integers(3, 8)
    # Spots are drawn in a picture of 4:5, so that near and far ground get their fair share of it.
    x, y = rng.uniform([[12.0], [46.0]], [[148.0], [118.0]], (2, 40 * wanted))
    rays = camera.to_world(camera.rays(x, y, (128, 160)))
    depth = np.where(rays[1] > 0, camera.height / rays[1], np.inf)
    solids: list[Solid] = []
    for t, ray in zip(depth.tolist(), rays.T.tolist(), strict=True):
        if not 2.2 < t < 8.5:
            continue
        width = rng.uniform(11, 24) * t / (160 * camera.focal)  # 11 to 24 pixels from its axis
        solid = _random_solid(rng, (t * ray[0], 0.0, t * ray[2]), float(np.clip(width, 0.2, 0.9)))
        if _stands_free(solid, walls, solids):
            solids.append(solid)
        if len(solids) == wanted:
            break
    return solids


def _stands_free(solid: Solid, walls: list[Wall], others: list[Solid]) -> bool:
    """Whether there is room for the solid between camera, walls and others, and none is hidden behind another."""
    x, _, z = solid.position
    away = math.hypot(x, z)
    rooms = [away - 1.5] + [-float(wall.own_points(np.array(solid.position))[2]) for wall in walls]
    if min(rooms) < solid.plan + 0.1:
        return False
    for other in others:
        u, _, w = other.position
        apart = abs(math.atan2(x, z) - math.atan2(u, w))
        widest = max(solid.plan / away, other.plan / math.hypot(u, w))
        if math.hypot(x - u, z - w) < solid.plan + other.plan + 0.1 or apart < 0.7 * widest:
            return False
    return True


def _random_solid(rng: np.random.Generator, position: tuple[float, float, float], width: float) -> Solid:
    kind = (Sphere, Box, Cylinder, Cone)[rng.integers(4)]
    # Seen corner first, so that a box shows two upright faces: one alone is easily taken for a cylinder.
    yaw = math.atan2(position[0], position[2]) + rng.uniform(0.3, 1.27)
    if kind is Sphere:
        return Sphere(position, yaw, (width, 2 * width, width))
    if kind is Box:
        depth = float(width * rng.uniform(0.7, 1.2))
        return Box(position, yaw, (width * 0.85, float(width * rng.uniform(0.9, 2.0)), depth * 0.85))
    tallness = rng.uniform(1.1, 3.0) if kind is Cylinder else rng.uniform(1.8, 3.2)
    return kind(position, yaw, (width * 0.9, float(width * tallness), width * 0.9))


def _random_texture(rng: np.random.Generator, finest: float, coarsest: float) -> Texture:
    hue, saturation, value = rng.random(), rng.uniform(0.15, 0.85), rng.uniform(0.5, 0.95)
    second = (
        (hue + rng.choice([0.0, rng.uniform(-0.12, 0.12), 0.5])) % 1,
        saturation * rng.uniform(0.2, 1),
        float(np.clip(value + rng.choice([-1, 1]) * rng.uniform(0.15, 0.35), 0.25, 1)),
    )
    return Texture(
        kind=str(rng.choice(Texture.kinds, p=[0.3, 0.2, 0.15, 0.15, 0.2])),
        colors=(_linear(hue, saturation, value), _linear(*second)),
        scale=rng.uniform(finest, coarsest),
        phase=tuple(rng.uniform(0.05, 0.95, 3) + 8),
        gloss=rng.choice([0.0, rng.uniform(0, 0.4)]),
    )


def _linear(hue: float, saturation: float, value: float) -> RGB:
    red, green, blue = (channel**2.2 for channel in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _random_light(rng: np.random.Generator) -> Light:
    azimuth, elevation = np.radians(rng.uniform(-70, 70)), np.radians(rng.uniform(35, 62))
    sun = (np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), -np.cos(azimuth) * np.cos(elevation))
    warmth, strength = rng.uniform(0, 0.12), rng.uniform(1.1, 1.5)
    sky = rng.uniform(0.2, 0.34)
    hue, saturation = rng.uniform(0.52, 0.64), rng.uniform(0.45, 0.8)
    return Light(
        sun=sun,
        sun_color=(strength * (1 + warmth), strength, strength * (1 - 1.5 * warmth)),
        ambient=(sky * (1 - warmth), sky, sky * (1 + 1.2 * warmth)),
        horizon=_linear(hue, rng.uniform(0.12, 0.35), 0.97),
        zenith=_linear(hue, saturation, rng.uniform(0.65, 0.95)),
    )
