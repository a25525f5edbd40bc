"""The studio's page while answers come late, out of order, or not at all, and while another page is at work."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import save_png
from studio_browser import Person, until
from studio_folder import HEIGHT, WIDTH, Served, make_folder, striped

from pixelnet.measure.labelling import asked
from pixelnet.measure.survey import read_survey


@pytest.fixture
def person(browser: Any, served: Served) -> Iterator[Person]:
    """Who must not have stumbled at the end."""
    person = Person(browser, served.address)
    yield person
    assert person.faults == []


class Held:
    """Requests to a path, which are let go one by one."""

    def __init__(self, person: Person, path: str) -> None:
        self.page, self.routes = person.page, list[Any]()
        self.page.route(path, lambda route: self.routes.append(route))

    def wait(self, count: int = 1) -> None:
        for _ in range(3000):  # a minute
            if len(self.routes) >= count:
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"{len(self.routes)} of {count} requests have come")

    def let_go(self) -> None:
        self.wait()
        self.routes.pop(0).continue_()


def test_a_name_that_is_half_written_stays_when_the_last_one_is_answered(browser: Any, served: Served) -> None:
    person = Person(browser, served.address)
    held: list[Any] = []
    person.page.route("**/api/classes", lambda route: held.append(route))
    person.page.fill("#class-name", "dark")
    person.page.press("#class-name", "Enter")
    person.page.wait_for_timeout(200)
    person.page.fill("#class-name", "lig")
    held[0].continue_()
    person.until("state.classes.length === 1 && state.chosen === 0")
    person.page.wait_for_timeout(200)
    assert person.page.input_value("#class-name") == "lig"
    person.page.fill("#class-name", "dark")
    person.page.press("#class-name", "Enter")
    person.page.wait_for_timeout(200)
    held[1].continue_()
    person.page.wait_for_selector("#toast:not([hidden])")
    assert person.page.input_value("#class-name") == "dark"
    assert person.faults == []


def test_enter_does_what_a_dialog_is_for(person: Person, served: Served) -> None:
    person.two_classes()
    person.answered()
    person.page.click("#classes .plain >> nth=0")
    person.page.fill("#class-dialog [name=name]", "shadow")
    person.press("Enter")
    person.until("state.classes[0].name === 'shadow' && state.classes.length === 2")
    asked: list[Any] = []
    person.page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[1]))
    for button, name in (("finetune", "finetune"), ("measure", "survey")):
        person.page.click(f"#{button}")
        person.page.locator(f"#{button}-dialog input").press("Enter")
        person.page.wait_for_timeout(200)
        assert name in asked


def test_labels_are_deleted_by_a_second_click(person: Person) -> None:
    person.two_classes()
    person.until("state.counts[0] > 0")
    person.page.click("#classes .plain >> nth=0")
    person.page.click("#class-delete")
    assert "are gone then" in person.page.inner_text("#class-note")
    person.page.click("#class-dialog .cancel")
    person.page.click("#classes .plain >> nth=0")
    person.page.click("#class-delete")
    assert person.page.is_visible("#class-dialog")
    person.page.click("#class-delete")
    person.until("state.classes.length === 1 && state.classes[0].name === 'light'")


def test_a_dialog_keeps_what_another_page_has_changed(browser: Any, person: Person, served: Served) -> None:
    person.two_classes()
    other = Person(browser, served.address)
    person.page.click("#classes .plain >> nth=0")
    other.page.click("#classes .plain >> nth=0")
    other.page.fill("#class-dialog [name=name]", "shadow")
    other.press("Enter")
    person.until("state.classes[0].name === 'shadow'")
    person.page.fill("#class-dialog [name=color]", "#112233")
    person.page.click("#class-keep")
    other.until("state.classes[0].color === '#112233'")
    assert other.ask("state.classes[0].name") == "shadow"
    person.page.click("#classes .plain >> nth=1")
    other.page.click("#classes .plain >> nth=1")
    other.page.click("#class-delete")
    other.page.click("#class-delete")
    person.page.wait_for_selector("#class-dialog", state="hidden")
    assert "light is gone" in person.page.inner_text("#toast")


def test_pictures_that_a_browser_keeps_are_of_this_folder(browser: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    save_png(other / "image-0.png", np.full((HEIGHT, WIDTH), 250, np.uint8))
    seen, context = [], browser.new_context()
    port = 0
    for folder in (make_folder(tmp_path / "images"), other):
        served = Served(folder, port)
        port = served.port
        page = context.new_page()
        page.goto(served.address)
        page.wait_for_selector("#image-list img")
        read = "document.querySelector('#image-list img').complete"
        until(partial(page.evaluate, read), read)
        seen.append(
            page.evaluate("""() => {
            const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
            canvas.drawImage(document.querySelector('#image-list img'), 0, 0);
            return canvas.getImageData(2, 30, 1, 1).data[0];
        }""")
        )
        page.close()
        served.close()
    context.close()
    assert seen[0] < 130
    assert seen[1] == pytest.approx(250, abs=4)


def test_what_is_shown_is_answered_when_the_server_is_back(browser: Any, striped_folder: Path) -> None:
    served = Served(striped_folder)
    person = Person(browser, served.address)
    person.two_classes()
    person.press("n")
    person.until("state.number === 1 && answer()")
    served.close()
    person.until("state.away")
    again = Served(striped_folder, served.port)
    person.until("!state.away", 40)
    person.until("answer() && answer().image === 1 && answer().step === 1")
    assert (person.answered() == striped(1)).mean() > 0.9
    again.close()


def test_a_stroke_that_waited_is_of_its_image_whatever_has_come_before_it(browser: Any, striped_folder: Path) -> None:
    served = Served(striped_folder)
    person = Person(browser, served.address)
    person.two_classes()
    person.press("n", "1")
    person.until("state.number === 1")
    served.close()
    person.until("state.away")
    person.paint((15, 10), (15, 40))
    person.until("sessionStorage.length === 1")
    make_folder(striped_folder / "before", 2)  # which are listed first
    again = Served(striped_folder, served.port)
    person.until("!state.away && state.images[state.number].path === 'image-1.png' && state.undo === 1", 40)
    assert person.ask("state.number") == again.studio.project.paths.index("image-1.png") > 1
    assert person.ask("readPixel(15, 20).label.name") == "dark"
    again.close()


def test_a_key_that_is_early_is_no_answer_of_a_survey(person: Person, served: Served) -> None:
    person.two_classes()
    person.answered()
    person.measure(6)
    person.page.wait_for_selector("#survey-choices button:enabled", timeout=60_000)
    held = Held(person, "**/api/survey/answers")
    person.press("1", "2")
    held.wait()
    person.press("2")
    held.let_go()
    person.page.wait_for_selector("#survey-place:has-text('1 of 6')")
    person.page.wait_for_selector("#survey-choices button:enabled")
    assert held.routes == []
    person.page.click("#survey-back")
    following = served.studio.surveyor.asking.next()
    assert (following["number"], following["done"]) == (2, 1)
    held.let_go()
    person.page.wait_for_selector("#survey-place:has-text('0 of 6')")


def test_two_people_do_not_overwrite_each_other_in_a_survey(person: Person, served: Served) -> None:
    person.two_classes()
    person.answered()
    person.measure(6)
    person.page.wait_for_selector("#survey-choices button:enabled", timeout=60_000)
    served.studio.surveyor.asking.answer(1, "light")
    person.press("1")
    person.page.wait_for_selector("#toast:has-text('Somebody else has answered sample 1')")
    person.page.wait_for_selector("#survey-place:has-text('1 of 6')")
    person.page.wait_for_selector("#survey-choices button:enabled")
    person.press("1")
    person.page.wait_for_selector("#survey-place:has-text('2 of 6')")
    surveyor = served.studio.surveyor
    assert [asked(read_survey(surveyor.folder()), number).answer for number in (1, 2)] == ["light", "dark"]


def test_a_survey_does_not_open_under_a_hand_that_paints(person: Person, served: Served) -> None:
    person.two_classes()
    person.answered()
    person.measure(6)
    person.page.mouse.move(*person.place(5, 30))
    person.page.mouse.down()
    person.until("state.survey.done === 1 && !state.survey.running", 60)
    person.page.wait_for_timeout(300)
    assert not person.page.is_visible("#survey-dialog")
    assert "Measure asks for them" in person.page.inner_text("#survey-words")
    person.page.mouse.up()
    person.press("g")
    person.page.wait_for_selector("#survey-dialog[open]")


def test_a_suggestion_that_comes_late_leaves_people_where_they_are(person: Person) -> None:
    person.two_classes()
    person.answered()
    held = Held(person, "**/api/suggestion")
    person.press("s")
    held.wait()
    person.press("n", "n", "s")
    person.until("state.number === 2")
    place = person.ask("[view.x, view.y]")
    held.let_go()
    person.until("state.suggested !== null")
    assert person.ask("state.number") == 2
    assert person.ask("[view.x, view.y]") == place
    assert held.routes == []


def test_a_stroke_is_of_the_class_that_it_was_begun_with(person: Person, served: Served) -> None:
    person.two_classes()
    person.press("1")
    person.page.mouse.move(*person.place(64, 10))
    person.page.mouse.down()
    person.press("2")
    person.page.mouse.move(*person.place(64, 40), steps=3)
    person.page.mouse.up()
    person.until("state.undo === 5")
    assert person.ask("readPixel(64, 20).label.name") == "dark"


def test_a_class_can_be_clicked_while_its_count_changes(person: Person) -> None:
    person.two_classes()
    person.until("state.counts[0] > 0 && state.counts[1] > 0")
    first = person.page.locator("#classes .choose").first
    first.hover()
    person.page.mouse.down()
    # In one go: what the server counts would come between.
    before, after = person.ask(
        "await import('./state.js').then(({ set }) => {"
        " const words = () => document.querySelector('#classes .choose').innerText,"
        " before = words(); set({ counts: { ...state.counts, 0: state.counts[0] + 1 } }); return [before, words()]; })"
    )
    person.page.mouse.up()
    assert person.ask("state.chosen") == 0
    assert after != before


def test_two_fingers_leave_no_mark(browser: Any, served: Served) -> None:
    person = Person(browser, served.address, has_touch=True)
    person.two_classes()
    session = person.page.context.new_cdp_session(person.page)
    fingers = [dict(zip("xy", person.place(*at), strict=True)) for at in ((20, 20), (60, 40))]
    zoom = person.ask("view.zoom")
    for tool in "pbo":
        person.press(tool)
        for kind, points in (("touchStart", fingers[:1]), ("touchStart", fingers), ("touchEnd", [])):
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    person.page.wait_for_timeout(300)
    assert served.studio.project.versions() == {0: served.studio.project.version}
    assert person.ask("state.undo") == 4
    person.press("p")
    for kind, points in (("touchStart", fingers[:1]), ("touchEnd", [])):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    person.until("state.undo === 5")
    assert person.ask("view.zoom") == zoom
    assert person.faults == []


def test_a_request_that_fails_is_said_in_words_and_made_up_for(person: Person) -> None:
    person.two_classes()
    person.answered()
    person.page.route("**/api/images/0/strokes", lambda route: route.abort(), times=1)
    person.paint((64, 10), (64, 40))
    person.until("state.away")
    assert "1 change waits" in person.page.inner_text("#away")
    person.until("!state.away && state.undo === 5")
    # It is away for a moment alone, in which nobody may happen to look.
    person.ask("globalThis.away = 0")
    person.ask("(await import('./state.js')).on('away', () => { if (state.away) globalThis.away++; })")
    person.page.route("**/api/suggestion", lambda route: route.abort(), times=1)
    person.press("s")
    person.until("globalThis.away > 0")
    person.until("!state.away")
    assert not person.page.is_visible("#toast")


def test_an_answer_stays_until_there_is_the_next_one(person: Person, served: Served) -> None:
    person.two_classes()
    person.answered()
    before = person.ask("answer().serial")
    person.ask("globalThis.gone = 0")
    person.ask("(await import('./state.js')).on('any', () => { if (!answer()) globalThis.gone++; })")
    served.studio.learner.refine(None)
    person.until(f"answer() && answer().serial > {before}")
    assert person.ask("globalThis.gone") == 0
