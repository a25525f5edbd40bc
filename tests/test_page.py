"""The page is one well-formed file that needs nothing else, and says what it was told."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import PIL.Image

from pixelnet.report import page
from pixelnet.report.page import Picture, Score

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Fails on tags that do not nest; keeps tags, attributes and text."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> does not close what was opened last"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words += data

    def pictures(self) -> list[np.ndarray]:
        """Every image of the page, decoded from the page itself."""
        sources = [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        files = [base64.b64decode(source.partition(",")[2], validate=True) for source in sources]
        return [np.asarray(PIL.Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


def assert_self_contained(text: str) -> None:
    assert text.startswith("<!DOCTYPE html>")
    for word in ("http:", "https:", "<script", "<link", "url(", "@import", "srcset"):
        assert word not in text, f"the page holds {word}"


def checks(height: int = 3, width: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole_page(words: str) -> str:
    picture = Picture(checks(), words)
    parts = [
        page.paragraph(words),
        page.heading(words),
        page.command(words),
        page.comparison((words, words), [(picture, picture)]),
        page.figures([picture]),
        page.color_key(picture),
        page.legend([((1, 2, 3), words)]),
        page.score_table([Score(words, words, words)]),
        page.image(Picture(page.png(checks()), words, "plot")),
    ]
    return page.page(words, words, [page.section(words, *parts)])


def test_a_page_is_well_formed_and_self_contained():
    text = whole_page("plain words")
    assert_self_contained(text)
    tags = [tag for tag, _ in Reader(text).tags]
    assert tags.count("html") == tags.count("body") == tags.count("h1") == 1


def test_a_page_fits_phones_and_the_dark():
    text = whole_page("plain words")
    assert 'name="viewport" content="width=device-width' in text
    assert "prefers-color-scheme: dark" in text


def test_text_is_escaped_wherever_it_goes():
    nasty = """<b onclick="x">&amp; 'tis"""
    reader = Reader(whole_page(nasty))
    # 3 of the page, 1 of the section, 3 paragraphs, 2 columns, 2 captions, 1 legend, 3 of the table
    assert reader.words.count(nasty) == 15
    assert [attributes["alt"] for tag, attributes in reader.tags if tag == "img"] == [nasty] * 5
    assert not any("onclick" in attributes for _, attributes in reader.tags)


def test_pictures_are_inside_pixel_for_pixel():
    for picture in Reader(whole_page("x")).pictures():
        np.testing.assert_array_equal(picture, checks())


def test_a_comparison_has_a_title_for_each_column():
    reader = Reader(page.comparison(("a", "b", "c"), [[Picture(checks(), "x")] * 3] * 2))
    assert reader.tags[0][1]["style"] == "grid-template-columns: repeat(3, 1fr)"
    assert [tag for tag, _ in reader.tags[1:]] == ["b"] * 3 + ["img"] * 6


def test_dots_lie_on_their_pixels():
    black = np.zeros((4, 6, 3), np.uint8)
    picture = page.dots(black, np.array([[2.0, 1.0]]), np.array([[255, 0, 0]], np.uint8), zoom=10, radius=4)
    assert picture.shape == (40, 60, 3)
    rows, columns = np.nonzero((picture == (255, 0, 0)).all(-1))
    # The center of pixel (2, 1) is at (2.5, 1.5) pixels from the corner.
    assert abs(columns.mean() - 25) <= 0.5
    assert abs(rows.mean() - 15) <= 0.5
    assert 30 < len(rows) < 60
