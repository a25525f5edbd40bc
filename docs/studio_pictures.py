"""The studio's pictures, of the real page: python docs/studio_pictures.py (needs Chromium, and the test extra).

The images are cut from a photograph of coins that scikit-image brings (from Pompeii, Brooklyn Museum).
"""

import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import PIL.Image
from playwright.sync_api import sync_playwright
from skimage import data

from pixelnet.studio.app import Server, Studio

ASSETS = Path(__file__).parent / "assets"
COINS = [(28, 45), (85, 45), (150, 45), (30, 115), (92, 115), (155, 118)]  # (x, y) of some of them in the first image
TABLE = [(58, 78), (122, 80), (120, 20), (60, 150), (8, 85), (180, 80)]


def place_images(folder: Path) -> None:
    coins = data.coins()
    for k in range(4):
        row, column = divmod(k, 2)
        PIL.Image.fromarray(coins[row * 150 : row * 150 + 150, column * 192 : column * 192 + 192]).save(
            folder / f"coins-{k + 1}.png"
        )


class Hand:
    """Paints in a page."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def paint(self, x: float, y: float) -> None:
        at = self.page.evaluate(f"import('./canvas.js').then((own) => own.toScreen({x}, {y}))")
        box = self.page.locator("#overlay").bounding_box()
        self.page.mouse.move(box["x"] + at["x"] - 12, box["y"] + at["y"])
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + at["x"] + 12, box["y"] + at["y"], steps=4)
        self.page.mouse.up()

    def keep(self, name: str) -> None:
        self.page.mouse.move(640, 20)
        time.sleep(0.5)
        self.page.screenshot(path=ASSETS / f"{name}.jpg", type="jpeg", quality=85)


def take(studio: Studio, page: Any) -> None:
    hand = Hand(page)
    page.wait_for_selector("#image-list [aria-current=true]")
    for name in ("table", "coin"):
        page.fill("#class-name", name)
        page.press("#class-name", "Enter")
        page.wait_for_selector(f"#classes button[aria-label^={name}]")
    for key, places in (("1", TABLE), ("2", COINS)):
        page.locator("#overlay").focus()
        page.keyboard.press(key)
        for spot in places:
            hand.paint(*spot)
    while not (studio.learner.words == "ready" and studio.learner.score):
        time.sleep(0.2)
    hand.keep("studio")
    page.keyboard.press("k")
    hand.keep("studio-swipe")
    page.keyboard.press("g")
    page.fill("#measure-dialog [name=budget]", "100")
    page.click("#measure-dialog .primary")
    page.wait_for_selector("#survey-choices button:enabled", timeout=120_000)
    for k in range(100):
        page.wait_for_selector(f"#survey-place:has-text('{k} of 100')")
        page.wait_for_selector("#survey-choices button:enabled")
        asked = studio.surveyor.asking.next(k)
        if k > 10 and 60 < asked["x"] < 130 and 50 < asked["y"] < 100:  # with something around it to see
            break
        page.keyboard.press("1")
    hand.keep("studio-survey")


def main() -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "coins"
        folder.mkdir()
        place_images(folder)
        listening = socket.create_server(("127.0.0.1", 0))
        studio = Studio(folder)
        server = Server(studio)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        try:
            take(studio, page)
        finally:
            browser.close()
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
