"""One self-contained HTML page: every picture inside, no script, nothing fetched. Text and pixels in, text out."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import PIL.Image
import PIL.ImageDraw

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6575; --paper: #fbfbfa; --card: #fff; --line: #dfe3e8;
  --accent: #0b66c3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --paper: #14171c; --card: #1c2128;
  --line: #323a45; --accent: #6cb2ff; } img.plot { filter: invert(.89) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 28px 18px 60px; }
h1 { font-size: 2rem; margin: 0 0 8px; } h2 { margin: 0 0 6px; font-size: 1.35rem; }
h3 { margin: 22px 0 8px; font-size: 1rem; }
p { margin: 0 0 12px; max-width: 75ch; } .soft, th, figcaption { color: var(--soft); }
.lead { font-size: 1.1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 22px;
  margin-top: 24px; }
.grid { display: grid; gap: 6px 8px; } .grid + p { margin-top: 14px; }
.grid b { font-size: .85rem; color: var(--soft); font-weight: 600; }
img { display: block; width: 100%; height: auto; border-radius: 4px; }
section > img.plot { width: auto; max-width: 100%; margin: 8px auto; } img.exact { image-rendering: pixelated; }
.wide { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); }
figure { margin: 0; } figcaption { font-size: .9rem; margin-top: 6px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 14px 0; padding: 0; list-style: none;
  font-size: .9rem; }
.chip { display: inline-block; width: 1em; height: 1em; border-radius: 3px; border: 1px solid var(--line);
  margin-right: .4em; vertical-align: -.12em; }
.key { display: flex; gap: 16px; align-items: center; margin-top: 14px; }
.key img { width: 96px; flex: none; border-radius: 50%; }
.key p { margin: 0; font-size: .9rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: 7px 12px 7px 0; text-align: left;
  vertical-align: baseline; border-bottom: 1px solid var(--line); } th { font-weight: 600; font-size: .85rem; }
td.value { font-weight: 700; font-variant-numeric: tabular-nums; white-space: nowrap; color: var(--accent); }
pre { margin: 0 0 12px; padding: 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--paper);
  white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.5 ui-monospace, monospace; }
@media (max-width: 600px) { main { padding: 18px 10px 40px; } section { padding: 14px 12px; } h1 { font-size: 1.6rem; }
  .grid { gap: 4px; } }
"""


@dataclass(frozen=True)
class Picture:
    """A picture in words and pixels: uint8 (H, W, 3) RGB, or the bytes of a PNG; what it shows; how it is drawn.

    look: "exact" shows enlarged pixels as squares, "photo" smooths them, "plot" is dark on white and turns light on
    dark with the page.
    """

    pixels: np.ndarray | bytes
    caption: str
    look: str = "exact"


@dataclass(frozen=True)
class Score:
    """A number as people read it, and what it means."""

    name: str
    value: str
    meaning: str


def page(title: str, lead: str, parts: Sequence[str]) -> str:
    """The whole document. `title` and `lead` are text; `parts` are HTML, as `section` gives it."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n'
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A titled card around parts that are HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def heading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def command(text: str) -> str:
    """A command line that people copy; long ones wrap."""
    return f"<pre>{escape(text)}</pre>"


def image(picture: Picture) -> str:
    """The picture itself, inside the page."""
    content = picture.pixels if isinstance(picture.pixels, bytes) else png(picture.pixels)
    data = base64.b64encode(content).decode("ascii")
    look, words = escape(picture.look), escape(picture.caption)
    return f'<img class="{look}" alt="{words}" src="data:image/png;base64,{data}">'


def figures(pictures: Sequence[Picture]) -> str:
    """Large pictures with their captions: side by side where there is room, else below each other."""
    parts = [f"<figure>{image(one)}<figcaption>{escape(one.caption)}</figcaption></figure>" for one in pictures]
    return '<div class="wide">' + "\n".join(parts) + "</div>"


def comparison(columns: Sequence[str], rows: Sequence[Sequence[Picture]]) -> str:
    """Rows of small pictures under the columns' titles, side by side at any width."""
    cells = [f"<b>{escape(column)}</b>" for column in columns] + [image(picture) for row in rows for picture in row]
    style = f"grid-template-columns: repeat({len(columns)}, 1fr)"
    return f'<div class="grid" style="{style}">\n' + "\n".join(cells) + "\n</div>"


def legend(entries: Sequence[tuple[tuple[int, int, int], str]]) -> str:
    """Colors (RGB, 0..255) and what they stand for."""
    items = [
        f'<li><span class="chip" style="background: rgb({r}, {g}, {b})"></span>{escape(text)}</li>'
        for (r, g, b), text in entries
    ]
    return '<ul class="legend">' + "".join(items) + "</ul>"


def color_key(picture: Picture) -> str:
    """A small picture that explains colors, with its caption beside it."""
    return f'<div class="key">{image(picture)}<p>{escape(picture.caption)}</p></div>'


def score_table(scores: Sequence[Score], meaning: str = "What it says") -> str:
    """A row a score; `meaning` heads the last column."""
    rows = [
        f'<tr><td>{escape(one.name)}</td><td class="value">{escape(one.value)}</td><td>{escape(one.meaning)}</td></tr>'
        for one in scores
    ]
    return f"<table><tr><th>Score</th><th>Value</th><th>{escape(meaning)}</th></tr>" + "".join(rows) + "</table>"


def png(pixels: np.ndarray) -> bytes:
    """uint8 (H, W, 3) as the bytes of a PNG."""
    content = io.BytesIO()
    PIL.Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


def dots(pixels: np.ndarray, points: np.ndarray, colors: np.ndarray, zoom: int = 5, radius: float = 6) -> np.ndarray:
    """Points drawn on an enlarged, faded image.

    Args:
        pixels: uint8 (H, W, 3).
        points: (P, 2) as (x, y) in its pixels.
        colors: uint8 (P, 3), one for each point.
        zoom: how many times larger the picture gets.
        radius: of a dot, in pixels of the larger picture.

    Returns:
        uint8 (zoom H, zoom W, 3).
    """
    height, width = pixels.shape[:2]
    faded = PIL.Image.fromarray(pixels).resize((zoom * width, zoom * height), PIL.Image.Resampling.BICUBIC)
    faded = PIL.Image.blend(faded, PIL.Image.new("RGB", faded.size, "white"), 0.45)
    draw = PIL.ImageDraw.Draw(faded)
    for (x, y), color in zip((points + 0.5) * zoom, colors, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=tuple(int(value) for value in color), outline=(20, 24, 32))
    return np.asarray(faded)
