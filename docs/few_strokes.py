"""Three pictures, a few strokes on each, and what a model fitted to them answers: the pictures of own-data.md.

    python docs/few_strokes.py [--only retina tissue forest] [--forest PNG] [--out docs/few_strokes]

Two photos are scikit-image's (the test extra has it). The third comes with the package deepforest:
`pip download --no-deps deepforest`, unpack it, and give deepforest/data/2019_YELL_2_541000_4977000_image_crop.png.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

import pixelnet

Stroke = tuple[str, int, list[tuple[int, int]]]  # a class, the brush's width, and the corners of a line (x, y)


class Example(NamedTuple):
    """A picture's classes with the colors they are shown in, what a person painted, and then, seeing the answer."""

    classes: dict[str, tuple[int, int, int]]
    strokes: list[Stroke]
    corrections: list[Stroke]


RETINA = Example(
    {"background": (52, 56, 70), "vessel": (242, 174, 62)},
    [
        ("vessel", 5, [(560, 334), (600, 338), (640, 341), (660, 343)]),
        ("vessel", 3, [(590, 433), (620, 429), (650, 436)]),
        ("vessel", 1, [(653, 372), (656, 390), (652, 412)]),
        ("vessel", 3, [(458, 440), (480, 460), (500, 474)]),
        ("vessel", 1, [(590, 545), (593, 560), (595, 580)]),
        ("vessel", 5, [(912, 942), (912, 960), (911, 985)]),
        ("vessel", 5, [(893, 1020), (885, 1040), (875, 1060)]),
        ("vessel", 3, [(880, 866), (930, 867)]),
        ("vessel", 1, [(1005, 890), (998, 905), (985, 930)]),
        ("vessel", 1, [(802, 800), (802, 830), (806, 850)]),
        ("background", 3, [(460, 360), (560, 400)]),
        ("background", 3, [(630, 500), (635, 590)]),
        ("background", 3, [(700, 380), (720, 440)]),
        ("background", 3, [(840, 960), (880, 990)]),
        ("background", 3, [(970, 1010), (1040, 1020)]),
        ("background", 3, [(980, 800), (990, 850)]),
        ("background", 3, [(250, 640), (275, 690)]),
        ("background", 3, [(690, 690), (740, 710)]),
        ("background", 3, [(60, 60), (120, 30)]),
    ],
    [
        ("background", 5, [(49, 480), (27, 560)]),
        ("background", 5, [(1236, 1147), (1195, 1192), (1150, 1233)]),
        ("background", 2, [(288, 440), (270, 475), (258, 495)]),
        ("background", 3, [(350, 335), (370, 315)]),
        ("background", 3, [(370, 362), (390, 343)]),
        ("background", 3, [(440, 345), (490, 365)]),
    ],
)
TISSUE = Example(
    {"gland": (199, 84, 80), "stroma": (88, 132, 200), "empty": (236, 214, 120)},
    [
        ("gland", 3, [(60, 110), (110, 160)]),
        ("gland", 3, [(350, 100), (420, 60)]),
        ("gland", 3, [(60, 330), (130, 360)]),
        ("gland", 3, [(300, 380), (340, 450)]),
        ("stroma", 3, [(110, 235), (150, 262)]),
        ("stroma", 3, [(230, 290), (300, 300)]),
        ("stroma", 3, [(190, 350), (215, 430)]),
        ("stroma", 3, [(470, 100), (490, 300)]),
        ("empty", 3, [(20, 320), (20, 370)]),
        ("empty", 3, [(60, 8), (90, 10)]),
        ("empty", 3, [(325, 105), (360, 165)]),
        ("empty", 3, [(440, 420), (455, 470)]),
    ],
    [
        ("stroma", 3, [(243, 318), (250, 310), (262, 303)]),
        ("stroma", 3, [(466, 130), (466, 180)]),
        ("stroma", 3, [(215, 262), (240, 250), (255, 235)]),
        ("stroma", 3, [(160, 330), (164, 400)]),
        ("stroma", 3, [(385, 420), (380, 460)]),
        ("empty", 3, [(5, 292), (38, 328)]),
        ("empty", 2, [(300, 55), (312, 85)]),
    ],
)
FOREST = Example(
    {"tree": (34, 120, 80), "shadow": (40, 60, 130), "grass": (160, 205, 90), "road": (190, 190, 190)},
    [
        ("road", 5, [(174, 62), (197, 156), (249, 311), (322, 477)]),
        ("road", 5, [(399, 622), (524, 830)]),
        ("grass", 3, [(410, 467), (446, 498)]),
        ("grass", 3, [(233, 62), (244, 135)]),
        ("grass", 3, [(1037, 425), (1079, 415)]),
        ("grass", 3, [(363, 664), (410, 737)]),
        ("shadow", 3, [(1162, 239), (1193, 290)]),
        ("shadow", 3, [(415, 135), (425, 197)]),
        ("shadow", 3, [(861, 259), (892, 311)]),
        ("shadow", 3, [(176, 871), (207, 903)]),
        ("tree", 3, [(685, 353), (695, 363)]),
        ("tree", 3, [(612, 415), (643, 394)]),
        ("tree", 3, [(685, 446), (716, 456)]),
        ("tree", 3, [(913, 799), (954, 768)]),
        ("tree", 3, [(425, 311), (436, 332)]),
    ],
    [
        ("tree", 3, [(440, 250), (455, 300)]),
        ("tree", 3, [(600, 380), (640, 400)]),
        ("tree", 3, [(480, 430), (505, 450)]),
        ("tree", 3, [(570, 655), (600, 665)]),
        ("tree", 3, [(693, 610), (700, 635)]),
        ("grass", 3, [(770, 258), (790, 265)]),
        ("grass", 3, [(590, 545), (612, 575)]),
        ("shadow", 3, [(735, 280), (742, 312)]),
        ("shadow", 3, [(465, 530), (472, 565)]),
    ],
)
EXAMPLES = {"retina": RETINA, "tissue": TISSUE, "forest": FOREST}
WIDTH, GAP = 400, 6  # of the panels of a picture


def photo_of(name: str, forest: Path | None) -> Image.Image:
    if name == "forest":
        if forest is None:
            raise SystemExit("--forest is not given; see the head of this file for where the photo is")
        return Image.open(forest).convert("RGB")
    return Image.fromarray(data.retina() if name == "retina" else data.immunohistochemistry())


def painted(strokes: list[Stroke], classes: list[str], size: tuple[int, int]) -> np.ndarray:
    """Class ids (H, W), 255 where nobody painted."""
    canvas = Image.new("L", size, 255)
    for name, width, corners in strokes:
        ImageDraw.Draw(canvas).line(corners, fill=classes.index(name), width=width)
    return np.asarray(canvas)


def write_labels(path: Path, image: str, labels: np.ndarray, classes: list[str]) -> None:
    """A labelled pixel in each line: image, x, y, class."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "x", "y", "class"])
        table.writerows([image, x, y, classes[labels[y, x]]] for y, x in np.argwhere(labels != 255))


def with_strokes(photo: Image.Image, strokes: list[Stroke], colors: dict[str, tuple[int, int, int]]) -> Image.Image:
    """The photo as wide as a panel, and its strokes, wide enough to be seen."""
    scale = WIDTH / photo.width
    small = photo.resize((WIDTH, round(photo.height * scale)), Image.Resampling.LANCZOS)
    for name, width, corners in strokes:
        line = [(x * scale, y * scale) for x, y in corners]
        ImageDraw.Draw(small).line(line, fill="white", width=max(5, round(width * scale) + 3))
        ImageDraw.Draw(small).line(line, fill=colors[name], width=max(3, round(width * scale)))
    return small


def answered(name: str, photo: Image.Image, strokes: list[Stroke], folder: Path) -> Image.Image:
    """The answer of a model that is fitted to the strokes, as wide as a panel; what it took is printed."""
    colors = EXAMPLES[name].classes
    classes = list(colors)
    labels = painted(strokes, classes, photo.size)
    (folder / name).mkdir(parents=True)
    photo.save(folder / name / f"{name}.png")
    write_labels(folder / f"{name}.csv", f"{name}.png", labels, classes)

    began = time.perf_counter()
    model = pixelnet.fit(folder / name, labels=folder / f"{name}.csv", class_names=classes)
    fitted = time.perf_counter()
    answer = model.predict(photo)
    print(
        f"{name}, {photo.width} x {photo.height}, {len(strokes)} strokes of {(labels != 255).sum():,} pixels: "
        f"{model.config.backbone}, fitted in {fitted - began:.0f} s, answered in {time.perf_counter() - fitted:.0f} s"
    )
    painting = Image.fromarray(np.array(list(colors.values()), np.uint8)[answer])
    return painting.resize((WIDTH, round(photo.height * WIDTH / photo.width)), Image.Resampling.LANCZOS)


def show(name: str, photo: Image.Image, folder: Path) -> Image.Image:
    """The photo with all strokes, the answer to the first of them, and to all."""
    example = EXAMPLES[name]
    every = example.strokes + example.corrections
    panels = [
        with_strokes(photo, every, example.classes),
        answered(name, photo, example.strokes, folder / "first"),
        answered(name, photo, every, folder / "then"),
    ]
    sheet = Image.new("RGB", (3 * WIDTH + 2 * GAP, panels[0].height), "white")
    for k, panel in enumerate(panels):
        sheet.paste(panel, (k * (WIDTH + GAP), 0))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=EXAMPLES, default=list(EXAMPLES))
    parser.add_argument("--forest", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "few_strokes")
    arguments = parser.parse_args()
    arguments.out.mkdir(exist_ok=True)
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            picture = show(name, photo_of(name, arguments.forest), Path(folder))
        picture.save(arguments.out / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
