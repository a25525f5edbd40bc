"""The studio's page in a real browser: from an empty project to a model that answers as the page does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio_browser import Person
from studio_folder import HEIGHT, WIDTH, Served, striped

from pixelnet.cli import main


def test_from_two_classes_to_a_model_that_answers_as_the_page(
    browser: Any, striped_folder: Path, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person(browser, served.address)
    page = person.page
    assert "add two classes" in page.locator("#hint").inner_text().lower()
    person.two_classes()
    assert (person.answered() == striped(0)).mean() > 0.9
    before = person.ask("answer().version")
    person.press("2")
    person.paint((45, 30))  # which is dark
    person.until(f"answer().version > {before} && state.undo === 5")
    person.press("z")
    person.until("state.undo === 4 && state.redo === 1")
    person.press("y")
    person.until("state.undo === 5 && state.redo === 0")
    person.press("z")
    person.until("state.undo === 4")
    person.answered()
    person.press("s")
    person.until("state.suggested !== null && state.number === state.suggested.image")
    person.press("0")
    page.locator("#image-list button").nth(1).click()
    person.until("state.number === 1 && answer() && answer().image === 1 && answer().step === 1")
    assert (person.answered() == striped(1)).mean() > 0.9
    person.press("a")
    person.paint((42, 12), (68, 40))  # accepted as predicted
    person.until("state.undo === 1")
    person.press("d")
    person.until("state.images[1].state === 'done'")
    page.reload()
    page.wait_for_selector("#image-list .done")
    person.until("state.number === 1 && state.undo === 1 && state.classes.length === 2")
    person.answered()
    refined_or_not(person)
    person.press("x")
    page.locator("#export-dialog .primary").click()
    person.until("!state.export.running && state.export.command !== ''", 60)
    model = striped_folder / "studio" / "export-1" / "model"
    assert main(["predict", str(model), str(striped_folder / "image-1.png"), "--out", str(tmp_path / "said")]) == 0
    labels = np.array(person.ask("[...answer().labels]"), np.uint8).reshape(HEIGHT, WIDTH)
    said = np.asarray(Image.open(tmp_path / "said" / "segmentation" / "image-1.png"))
    assert (said == labels).mean() > 0.99
    assert person.faults == []


def refined_or_not(person: Person) -> None:
    """Let the network learn, on too few images first; whatever comes of it, what is shown is what is said."""
    person.press("t")
    person.page.locator("#finetune-dialog .primary").click()
    person.until("document.getElementById('toast').innerText.includes('label something in 3 or more')")
    person.press("PageDown", "1")
    person.paint((4, 5), (4, 50))
    person.until("state.number === 2 && state.undo === 1")
    person.press("t")
    person.page.locator("#finetune-dialog .primary").click()
    person.until("state.finetune.running")
    person.until("!state.finetune.running", 120)
    words = person.page.locator("#finetune-words").inner_text()
    assert "of the model fitted without these images" in words
    assert person.page.locator("#by-row").is_visible() == ("network is kept" in words)
    person.press("PageUp")
    person.until("state.number === 1 && answer() && answer().image === 1 && answer().step === 1")


def test_a_survey_is_answered_by_keys(browser: Any, served: Served) -> None:
    person = Person(browser, served.address)
    person.two_classes()
    person.answered()
    person.measure(12)
    person.page.wait_for_selector("#survey-dialog[open]", timeout=60_000)
    for k in range(12):
        person.page.wait_for_selector(f"#survey-place:has-text('{k} of 12')")
        person.page.wait_for_selector("#survey-choices button:enabled")
        person.press("?" if k == 3 else str(k % 2 + 1))
    person.page.wait_for_selector("#survey-report:has-text('11 labelled pixels')")
    person.page.click("#survey-back")
    person.page.wait_for_selector("#survey-place:has-text('11 of 12')")
    person.press("Escape")
    assert person.faults == []


def test_every_key_does_what_the_sheet_says(browser: Any, served: Served) -> None:
    person = Person(browser, served.address)
    person.two_classes()
    person.answered()
    person.press("?")
    shown = person.page.locator("#keys dt").all_inner_texts()
    assert len(shown) == 34
    person.press("Escape")
    for key, tool in zip("bepofah", ("brush", "eraser", "point", "polygon", "fill", "accept", "pan"), strict=True):
        person.press(key)
        assert person.ask("state.tool") == tool
    changes = {
        "1": ("state.chosen", 0), "2": ("state.chosen", 1), "[": ("state.radius", 3.25), "]": ("state.radius", 4),
        "v": ("state.mode", "outline"), "c": ("state.confidence", True), "l": ("state.labelsShown", False),
        "k": ("state.compare", "swipe"), "n": ("state.number", 1), "m": ("state.number", 0),
        "PageDown": ("state.number", 1), "PageUp": ("state.number", 0),
    }  # fmt: skip
    for key, (what, expected) in changes.items():
        person.press(key)
        assert person.ask(what) == expected, key
    for key, grows in (("+", 1), ("-", -1), ("=", 1)):
        before = person.ask("view.zoom")
        person.press(key)
        assert np.sign(person.ask("view.zoom") - before) == grows
    for key, change in ((",", -0.1), (".", 0.1)):
        before = person.ask("state.opacity")
        person.press(key)
        assert person.ask("state.opacity") - before == pytest.approx(change)
    for key, dialog in (("t", "finetune"), ("g", "measure")):
        person.press(key)
        person.page.wait_for_selector(f"#{dialog}-dialog[open]")
        person.press("Escape")
    person.press("0", "v", "v", "l", "k", "k", "x")
    assert person.page.locator("#export-dialog").is_visible()
    person.press("Escape", "d")
    person.until("state.images[0].state === 'done'")
    person.press("z", "y")
    person.until("state.undo === 4 && state.redo === 0")
    person.press("Control+z")
    person.until("state.redo === 1")
    person.press("Control+Shift+Z")
    person.until("state.redo === 0")
    assert person.faults == []


def test_a_person_without_a_mouse_can_paint(browser: Any, served: Served) -> None:
    person = Person(browser, served.address)
    person.two_classes()
    person.press("1", "[", "[", "[", "ArrowRight")
    x, y = person.ask("[canvas.cursor.x, canvas.cursor.y]")
    person.press("Enter", "Shift+ArrowDown", "Enter")
    person.until("state.undo === 5")
    assert person.ask(f"readPixel({x}, {y + 9}).label.name") == "dark"
    person.press(
        "o", "Enter", *["Shift+ArrowLeft", "Enter", "Shift+ArrowUp", "Enter"], "Shift+ArrowRight", "Shift+Enter"
    )
    person.until("state.undo === 6")
    assert person.faults == []


def test_two_tabs_see_each_other(browser: Any, served: Served) -> None:
    one, other = Person(browser, served.address), Person(browser, served.address)
    one.two_classes()
    other.until("state.classes.length === 2 && state.undo === 4")
    assert other.ask("readPixel(4, 20).label.name") == "dark"
    other.press("z")
    one.until("state.undo === 3")


def test_strokes_wait_for_a_server_that_is_away(browser: Any, striped_folder: Path) -> None:
    served = Served(striped_folder)
    person = Person(browser, served.address)
    person.two_classes()
    served.close()
    person.until("state.away")
    person.press("1")
    person.paint((64, 10), (64, 40))
    person.until("document.getElementById('away').innerText.includes('1 change waits')")
    again = Served(striped_folder, served.port)
    person.until("!state.away && state.undo === 5", 40)
    assert person.ask("readPixel(64, 20).label.name") == "dark"
    again.close()


SIZES = [((390, 844), "dark"), ((1280, 800), "dark"), ((1280, 800), "light"), ((2560, 1440), "light")]


@pytest.mark.parametrize(("size", "scheme"), SIZES)
def test_every_control_has_a_name_and_contrast_in_every_state(
    browser: Any, served: Served, size: Any, scheme: Any
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    person = Person(browser, served.address, color_scheme=scheme, reduced_motion="reduce")
    page, narrow = person.page, size[0] < 860

    def check(state: str) -> None:
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{state}: {found.generate_report()}"

    check("nothing labelled")
    person.two_classes()
    person.answered()
    page.set_viewport_size({"width": size[0], "height": size[1]})
    check("answered")
    assert person.ask("document.documentElement.scrollWidth <= innerWidth")
    for drawer in ("images", "panel") if narrow else ():
        page.click(f"#open-{drawer}")
        check(drawer)
    page.click("#classes .plain >> nth=0")
    check("class")
    page.click("#class-delete")
    check("a class that is to be deleted")
    person.press("Escape", "k", "o")
    check("swipe")
    person.press("k", "k")
    for key, dialog in (("?", "help"), ("x", "export-dialog"), ("t", "finetune-dialog"), ("g", "measure-dialog")):
        person.press(key)
        page.wait_for_selector(f"#{dialog}[open]")
        check(dialog)
        person.press("Escape")
    person.measure(4)
    page.wait_for_selector("#survey-choices button:enabled", timeout=60_000)
    check("survey")
    for k in range(4):
        page.wait_for_selector(f"#survey-place:has-text('{k} of 4')")
        page.wait_for_selector("#survey-choices button:enabled")
        person.press("1")
    page.wait_for_selector("#survey-report:not([hidden])")
    check("what a survey says")
    person.press("Escape")
    person.ask("(await import('./state.js')).emit('refused', 'This is not to be done.')")
    served.close()
    person.until("state.away")
    check("away, and an error")
    assert person.faults == []
