"""Photographs, and what the models that ship say of them."""

from pathlib import Path

import numpy as np

from pixelnet.data.images import to_array
from pixelnet.demo.pictures import edges_legend, normals_legend
from pixelnet.files import inside, read_bytes, write_atomic
from pixelnet.report import page
from pixelnet.report.page import Picture
from pixelnet.runs.hub import load

SOURCE = Path(__file__).parent / "photos"
PHOTOS = ("coffee", "rocket")  # of which the first is labelled
FOLDER, POINTS = "photos", "points.csv"  # in the demo's folder

ANY = (
    "The model called edges has learnt from what people drew as the edges of photographs of all kinds, and serves any: "
    "the darker, the surer."
)
ROOMS = (
    "Those called normals and pixelnet know rooms and nothing else, and neither photograph shows one. Which way a "
    "surface faces carries over in part: see the two sides of the cup. What a thing is does not: among the 40 classes "
    "of rooms there is no cup, and what is round, white and shiny is a toilet; there is no sky, so it is a wall. A "
    "model answers for every pixel, whether it knows the place or not. The next part teaches one what is in the first "
    "photograph."
)


def lay_out(folder: Path) -> None:
    """Put the photographs and the table of points where the page's commands find them; what is there is kept."""
    for name in (*(f"{photo}.jpg" for photo in PHOTOS), POINTS):
        target = inside(folder, name if name == POINTS else Path(FOLDER, name))
        if not target.exists():
            write_atomic(target, read_bytes(SOURCE / name))


def part(folder: Path, _: float) -> str:
    """The card of edges, normals and classes of each photograph."""
    edges, normals, rooms = load("edges"), load("normals"), load("pixelnet").only("segmentation")
    rows, classes = [], []
    for name in PHOTOS:
        image = to_array(folder / FOLDER / f"{name}.jpg")
        classes.append(rooms.predict(image))
        rows.append(
            [
                Picture(image, f"The photograph {name}", "photo"),
                Picture(edges.task.paint(edges.predict(image)), f"Edges of {name}", "photo"),
                Picture(normals.task.paint(normals.predict(image)), f"Surface normals of {name}", "photo"),
                Picture(rooms.task.paint(classes[-1]), f"Classes of {name}", "photo"),
            ]
        )
    named = rooms.task.legend(np.concatenate([own.ravel() for own in classes])[None])
    return page.section(
        "Models that ship, on photographs",
        page.paragraph(ANY),
        page.comparison(("Photograph", "edges", "normals", "pixelnet, its classes"), rows),
        edges_legend(edges.task),
        normals_legend(normals.task),
        page.legend([(color, name) for name, color in named]),
        page.paragraph(ROOMS),
        page.command(f"pixelnet predict edges {FOLDER}/{PHOTOS[0]}.jpg --out answers\npixelnet models"),
    )
