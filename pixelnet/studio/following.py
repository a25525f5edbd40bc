"""A session that follows a project's labels, and what it takes for it to answer at once."""

import numpy as np

from pixelnet.learning.session import Session
from pixelnet.learning.tiles import Tile, tile_numbers, tiles_of
from pixelnet.studio.canvas import Box
from pixelnet.studio.project import Project


class Following:
    """A session that follows a project's labels; `ids` are the project's numbers of its classes."""

    def __init__(self, session: Session, ids: list[int]) -> None:
        self.session, self.ids = session, np.array(ids, np.uint8)
        self.known: dict[int, int] = {}  # of each image the version of its labels that the session has
        self.version = -1  # of the project's that it was fitted to

    def take(self, project: Project) -> None:
        """Take over labels that have changed, and learn from them."""
        with project.lock:
            version = project.version
            changed = [number for number, own in project.versions().items() if self.known.get(number) != own]
            labels = {number: (project.versions()[number], *project.labelled(number)) for number in changed}
        for number, (own, points, ids) in labels.items():
            self.session.strokes.replace(number, points, np.searchsorted(self.ids, ids))
            self.known[number] = own
        if self.version != version:
            self.session.fit()
            self.version = version

    def read(self, project: Project, number: int) -> None:
        """Take over the labels of one image, and what describes them, so that its maps need not be held."""
        with project.lock:
            version, (points, ids) = project.versions()[number], project.labelled(number)
        self.session.strokes.replace(number, points, np.searchsorted(self.ids, ids))
        self.known[number] = version
        for part in self.session.parts if len(points) else ():
            self.session.strokes.features(number, part)

    def fork(self) -> "Following":
        other = Following(self.session.fork(), self.ids.tolist())
        other.known, other.version = dict(self.known), self.version
        return other

    def missing(self, image: int, tiles: list[Tile]) -> list[tuple[str, Tile]]:
        """Of these tiles of an image the maps that are not at hand."""
        maps = self.session.maps
        return [(part, tile) for part in self.session.parts for tile in maps.missing(image, part) if tile in tiles]

    def unread(self, project: Project) -> dict[int, list[Tile]]:
        """The images whose labels have changed since they were taken over, and the tiles that these lie in."""
        found = {}
        for number, version in project.versions().items():
            if self.known.get(number) != version:
                size = project.images.sizes[number]
                tiles, points = tiles_of(size), project.labelled(number)[0]
                found[number] = [tiles[k] for k in np.unique(tile_numbers(points, size))]
        return found

    def can(self, image: int, tiles: list[Tile], project: Project) -> bool:
        """Whether it can follow the labels, and answer for these tiles of an image, without making any maps."""
        labelled = self.unread(project).items()
        return not self.missing(image, tiles) and not any(self.missing(number, own) for number, own in labelled)


def tiles_in(size: tuple[int, int], window: Box) -> list[Tile]:
    """The tiles of an image of size (width, height) that a part of it lies in."""
    return [
        tile
        for tile in tiles_of(size)
        if tile.top < window.y + window.height
        and tile.bottom > window.y
        and tile.left < window.x + window.width
        and tile.right > window.x
    ]
