"""The pictures that somebody looks at: a pixel's surroundings, magnified, with a ring around it."""

import numpy as np
from PIL import Image, ImageDraw

from pixelnet.files import write_png
from pixelnet.measure.maps import Maps
from pixelnet.measure.survey import CROPS, Survey

SIDE, ZOOM = 97, 4  # pixels across, and how many times larger it is drawn


def write_crops(maps: Maps, survey: Survey, numbers: range) -> None:
    """Write the crops of samples, by their places, image by image."""
    (survey.folder / CROPS).mkdir(parents=True, exist_ok=True)
    order = sorted(numbers, key=lambda k: int(survey.drawn.image[k]))
    shown, last = np.zeros((1, 1, 3), np.uint8), -1
    for k in order:
        image = int(survey.drawn.image[k])
        if image != last:
            shown, last = maps.view(image), image
        write_png(survey.crop(k + 1), crop(shown, int(survey.drawn.x[k]), int(survey.drawn.y[k])))


def crop(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """The surroundings of a pixel (x, y) of an image (H, W, 3): uint8, magnified, the pixel in the middle of a ring.

    What lies beyond the image's edge is gray.
    """
    half = SIDE // 2
    padded = np.pad(image, ((half, half), (half, half), (0, 0)), constant_values=128)[y : y + SIDE, x : x + SIDE]
    picture = Image.fromarray(padded).resize((ZOOM * SIDE, ZOOM * SIDE), Image.Resampling.BICUBIC)
    pen, middle = ImageDraw.Draw(picture), ZOOM * (half + 0.5)
    for radius, color in ((3.2 * ZOOM, "white"), (3.2 * ZOOM - 2, "black")):
        pen.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), outline=color, width=2)
    return np.asarray(picture)
