"""The page of a survey: any survey, answered one pixel after the other, and nothing lost."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import save_png
from fastapi.testclient import TestClient
from PIL import Image
from studio_browser import until

import pixelnet
from pixelnet.cli import main
from pixelnet.studio.asking import Asking, Surroundings, add_questions
from pixelnet.studio.canvas import Box
from pixelnet.studio.serving import guarded, with_page

HEIGHT, WIDTH = 150, 240
NAMES = [f"class {k}" for k in range(12)]


def picture(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    for k in range(3):
        save_png(tmp_path / "images" / f"{k}.png", picture(k))
        save_png(tmp_path / "maps" / f"{k}.png", np.tile(np.arange(WIDTH, dtype=np.uint8) // 20, (HEIGHT, 1)))
    given: Any = {"predictions": tmp_path / "maps", "classes": NAMES, "budget": 12, "design": "uniform"}
    pixelnet.measure.plan(tmp_path / "images", tmp_path / "survey", **given)
    return tmp_path / "survey"


def answers(survey: Path) -> list[str]:
    with (survey / "samples.csv").open() as file:
        return [row.get("class") or row.get("value") or "" for row in csv.DictReader(file)]


@pytest.fixture
def client(survey: Path) -> TestClient:
    app = guarded("survey", "127.0.0.1", None)
    add_questions(app, Asking(lambda: survey, "ada"))
    return TestClient(with_page(app, "survey.html"), base_url="http://127.0.0.1:8472")


def test_samples_are_asked_for_and_answers_kept(survey: Path, client: TestClient) -> None:
    asked = client.get("/api/survey/next").json()
    assert (asked["number"], asked["done"], asked["all"], asked["size"]) == (1, 0, 12, [WIDTH, HEIGHT])
    assert asked["choices"] == NAMES
    assert "mapped" not in str(asked)
    said = client.post("/api/survey/answers", json={"number": 1, "answer": "class 7"})
    assert said.json()["answer"] == answers(survey)[0] == "class 7"
    assert client.get("/api/survey/next?after=1").json()["number"] == 2
    again = client.post("/api/survey/answers", json={"number": 1, "answer": "class 2"})
    assert again.status_code == 409
    assert "somebody else has answered sample 1 meanwhile" in again.json()["detail"]
    client.post("/api/survey/answers", json={"number": 1, "answer": None})
    assert answers(survey)[0] == ""
    wrong = client.post("/api/survey/answers", json={"number": 2, "answer": "class 99"})
    assert "is no class" in wrong.json()["detail"]
    assert "there is no sample 13" in client.get("/api/survey/13/pixels").json()["detail"]
    assert "there is no sample 13" in client.get("/api/survey/13/crop").json()["detail"]
    assert client.get("/").text.startswith("<!doctype html>")


def test_what_is_around_a_sample_is_its_image(client: TestClient) -> None:
    asked = client.get("/api/survey/next").json()
    whole = np.asarray(Image.open(io.BytesIO(client.get("/api/survey/1/pixels").content)))
    np.testing.assert_array_equal(whole, picture(int(asked["image"])))
    part = client.get("/api/survey/1/pixels?x=100&y=60&width=400&height=400").content
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(part))), whole[60:, 100:])
    with Image.open(io.BytesIO(client.get("/api/survey/1/pixels?step=2").content)) as coarse:
        assert (coarse.size, coarse.format) == ((WIDTH // 2, HEIGHT // 2), "JPEG")
    beyond = client.get(f"/api/survey/1/pixels?x={WIDTH}")
    assert beyond.status_code == 409
    assert f"is {WIDTH}x{HEIGHT}; nothing of it is there" in beyond.json()["detail"]


def test_an_image_that_is_elsewhere_leaves_the_surveys_own_picture(survey: Path, client: TestClient) -> None:
    (survey.parent / "images").rename(survey.parent / "moved")
    asked = client.get("/api/survey/next").json()
    assert asked["size"] is None
    gone = client.get("/api/survey/1/pixels")
    assert gone.status_code == 409
    assert "is not where it was when the survey was planned" in gone.json()["detail"]
    with Image.open(io.BytesIO(client.get("/api/survey/1/crop").content)) as crop:
        assert crop.size == (388, 388)


def test_one_image_that_is_elsewhere_or_broken_is_alone(survey: Path) -> None:
    images = sorted((survey.parent / "images").iterdir())
    given: Any = {"predictions": survey.parent / "maps", "classes": NAMES, "budget": 30, "design": "uniform"}
    found = pixelnet.measure.plan(images, survey.parent / "listed", **given)
    images[0].rename(survey.parent / "moved.png")
    images[1].write_bytes(b"no image any more")
    around = Surroundings(found)
    assert [around.size(path.stem, 0, 0) for path in images] == [None, None, [WIDTH, HEIGHT]]


def test_an_image_that_is_another_by_now_does_not_show_what_is_not_there(survey: Path) -> None:
    found = pixelnet.measure.survey.read_survey(survey)
    save_png(survey.parent / "images" / "0.png", picture(0)[:20, :30])
    around = Surroundings(found)
    assert around.size("0", 29, 19) == [30, 20]
    assert around.size("0", 30, 19) is None


def test_large_images_of_two_kinds_are_not_taken_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of them on disk is found again, in whatever order they are looked at after a restart."""
    monkeypatch.setattr("pixelnet.studio.images.LARGE", 100)
    monkeypatch.setattr("pixelnet.studio.images.AT_ONCE", 100)
    for folder, kind, value in (("a", np.uint8, 200), ("b", np.uint16, 20)):
        (tmp_path / "images" / folder).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "images" / folder / "x.tif", np.full((64, 80), value, kind))
        save_png(tmp_path / "maps" / folder / "x.png", np.zeros((64, 80), np.uint8))
    given: Any = {"predictions": tmp_path / "maps", "classes": ["a"], "budget": 20, "design": "uniform"}
    found = pixelnet.measure.plan(tmp_path / "images", tmp_path / "survey", **given)

    def seen(*names: str) -> dict[str, bytes]:
        around = Surroundings(found)
        return {name: around.pixels(name, Box(0, 0, 80, 64), 2) for name in names}

    first = seen("a/x", "b/x")
    assert first["a/x"] != first["b/x"]
    assert seen("b/x", "a/x") == first


def test_a_survey_is_found_from_another_folder(survey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(survey.parent)
    given: Any = {"predictions": "maps", "classes": NAMES, "budget": 12, "design": "uniform"}
    found = pixelnet.measure.plan("images", "other", **given)
    monkeypatch.chdir("images")
    assert Surroundings(found).size("0", 5, 5) == [WIDTH, HEIGHT]
    assert len(pixelnet.measure.plan(out=survey.parent / "other", add=5).samples) == 17


def test_without_its_packages_the_page_says_what_brings_them(
    survey: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pixelnet.studio.asking", None)
    assert main(["measure", "label", str(survey)]) == 2
    assert 'pip install "pixelnet[studio]"' in capsys.readouterr().err


def test_no_survey_is_opened_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", "label", str(tmp_path)]) == 2
    assert "is no survey" in capsys.readouterr().err


class Labelling:
    """`pixelnet measure label` in a process of its own."""

    def __init__(self, survey: Path, port: int = 0) -> None:
        command = [sys.executable, "-m", "pixelnet", "measure", "label", str(survey), "--port", str(port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(pixelnet.__file__).parents[1])},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.said)
        assert found, self.said + self.process.stdout.read()
        self.address, self.port = found[0], int(found[1])

    def end(self, how: int = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


@pytest.fixture
def labelling(survey: Path) -> Iterator[Labelling]:
    served = Labelling(survey)
    yield served
    served.process.kill()


class Labeller:
    """Somebody in front of a survey's page."""

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_page(viewport={"width": 1100, "height": 700})
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(address)

    def asked(self, done: int) -> None:
        self.page.wait_for_selector(f"#survey-place:has-text('{done} of 12 answered')")
        self.page.wait_for_selector("#survey-choices button:enabled")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def test_keys_alone_answer_a_survey_and_a_killed_server_loses_nothing(
    browser: Any, survey: Path, labelling: Labelling
) -> None:
    assert "0 of 12 samples have an answer" in labelling.said
    own = Labeller(browser, labelling.address)
    for k, key in enumerate(("1", "9", "a", "c", "?")):
        own.asked(k)
        own.press(key)
    own.asked(5)
    assert answers(survey)[:6] == ["class 0", "class 8", "class 9", "class 11", "?", ""]
    own.press("Backspace")
    own.asked(4)
    own.press("0", "+", "-", "d", "Enter", " ")  # farther and nearer, and keys that are no class's
    own.press("2")
    own.asked(5)
    assert answers(survey)[4] == "class 1"
    labelling.end(signal.SIGKILL)
    own.press("3")
    own.page.wait_for_selector("#away:visible")
    again = Labelling(survey, labelling.port)
    own.page.wait_for_selector("#away", state="hidden")
    for k in range(5, 12):
        own.asked(k)
        own.press("4")
    own.page.wait_for_selector("#survey-report:has-text('12 labelled pixels')")
    assert answers(survey) == ["class 0", "class 8", "class 9", "class 11", "class 1", *["class 3"] * 7]
    assert own.faults == []
    assert again.end() in (0, 130)


def test_a_held_key_answers_once_and_none_answers_what_is_not_shown(
    browser: Any, survey: Path, labelling: Labelling
) -> None:
    own = Labeller(browser, labelling.address)
    own.asked(0)
    own.page.keyboard.down("1")
    own.asked(1)
    for _ in range(5):
        own.page.keyboard.down("1")  # which is how a key that is held repeats
    own.page.keyboard.up("1")
    own.press("2")
    own.asked(2)
    own.press("2")
    own.asked(3)
    own.page.click("#survey-scores")
    own.page.wait_for_selector("#survey-report:visible")
    own.press("2")
    own.page.click("#survey-back")
    own.asked(3)
    assert [answer for answer in answers(survey) if answer] == ["class 0", "class 1", "class 1"]
    assert own.faults == []


def test_where_nobody_could_tell_the_end_says_so_and_leads_back(
    browser: Any, survey: Path, labelling: Labelling
) -> None:
    own = Labeller(browser, labelling.address)
    for k in range(12):
        own.asked(k)
        own.press("?")
    own.page.wait_for_selector("#survey-report:has-text('label some first')")
    own.page.reload()
    own.page.wait_for_selector("#survey-report:has-text('label some first')")
    assert not own.page.is_visible("#survey-page")
    pixelnet.measure.label(survey, 3, None)
    own.page.reload()
    own.asked(11)
    assert own.faults == []


def test_back_while_the_server_is_away_is_not_lost(browser: Any, survey: Path, labelling: Labelling) -> None:
    own = Labeller(browser, labelling.address)
    for k in range(2):
        own.asked(k)
        own.press("1")
    own.asked(2)
    labelling.end(signal.SIGKILL)
    own.press("Backspace")
    own.page.wait_for_selector("#away:visible")
    own.press("Backspace")
    again = Labelling(survey, labelling.port)
    own.page.wait_for_selector("#away", state="hidden")
    own.asked(2)
    own.press("Backspace")
    own.asked(1)
    assert answers(survey)[:2] == ["class 0", ""]
    again.end()


def test_zoom_shows_more_of_the_image_and_the_pixel_stays_in_its_ring(browser: Any, labelling: Labelling) -> None:
    own = Labeller(browser, labelling.address)
    own.asked(0)
    canvas = own.page.locator("#survey-around canvas")
    near = canvas.screenshot()
    with own.page.expect_response(re.compile("/api/survey/1/pixels")) as found:
        own.press("0")
    assert f"width={WIDTH}&height={HEIGHT}" in found.value.url
    until(lambda: canvas.screenshot() != near, "the whole image is shown")
    with own.page.expect_response(re.compile("/api/survey/1/pixels")):
        own.press("0")
    until(lambda: canvas.screenshot() == near, "what was shown first")
    assert own.faults == []


def test_values_are_typed(browser: Any, tmp_path: Path) -> None:
    save_png(tmp_path / "images" / "a.png", picture(0))
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "a.npy", np.random.default_rng(0).normal(size=(HEIGHT, WIDTH)).astype(np.float32))
    given: Any = {"predictions": tmp_path / "maps", "task": "regression", "budget": 12}
    pixelnet.measure.plan(tmp_path / "images", tmp_path / "survey", **given)
    served = Labelling(tmp_path / "survey")
    own = Labeller(browser, served.address)
    own.asked(0)
    own.page.fill("#survey-value", "-1.25")
    own.press("Enter")
    own.asked(1)
    own.press("?")
    own.asked(2)
    assert answers(tmp_path / "survey")[:3] == ["-1.25", "?", ""]
    assert own.faults == []
    served.end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_contrast(browser: Any, survey: Path, labelling: Labelling, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    own = Labeller(browser, labelling.address)
    own.page.emulate_media(color_scheme=scheme)
    for size in ((390, 844), (1100, 700)):
        own.page.set_viewport_size({"width": size[0], "height": size[1]})
        own.asked(0)
        found = axe.Axe().run(own.page)
        assert found.violations_count == 0, found.generate_report()
        assert own.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for k in range(12):
        own.asked(k)
        own.press("1")
    own.page.wait_for_selector("#survey-report:visible")
    found = axe.Axe().run(own.page)
    assert found.violations_count == 0, found.generate_report()
    assert own.faults == []
