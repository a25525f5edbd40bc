"""Somebody in front of the studio's page in a real browser."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from studio_folder import HEIGHT, WIDTH


def until(true: Callable[[], Any], what: str, seconds: float = 90) -> None:
    """Wait for what is to become true. The page forbids eval, with which the browser would wait by itself."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Person:
    """Somebody in front of a page, which must never stumble."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, **options)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("#image-list [aria-current=true]")
        self.until("state.images.length > 0 && view.zoom > 2")

    def ask(self, expression: str) -> Any:
        """What an expression comes to, among the page's modules."""
        return self.page.evaluate(
            "async () => { const { state } = await import('./state.js'); const canvas = await import('./canvas.js');"
            f" const {{ view, answer, readPixel, toScreen }} = canvas; return {expression}; }}"
        )

    def until(self, expression: str, seconds: float = 90) -> None:
        until(lambda: self.ask(expression), expression, seconds)

    def place(self, x: float, y: float) -> tuple[float, float]:
        box, at = self.page.locator("#overlay").bounding_box(), self.ask(f"toScreen({x}, {y})")
        return box["x"] + at["x"], box["y"] + at["y"]

    def paint(self, *points: tuple[float, float]) -> None:
        self.page.mouse.move(*self.place(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.place(*point), steps=3)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def two_classes(self) -> None:
        for k, name in enumerate(("dark", "light")):
            self.page.fill("#class-name", name)
            self.page.press("#class-name", "Enter")
            self.until(f"state.classes.length === {k + 1} && state.chosen === {k}")
        self.page.locator("#overlay").focus()
        for k in range(4):
            self.press(str(k % 2 + 1))
            self.paint((10 * k + 4, 5), (10 * k + 4, 50))
        self.until("state.undo === 4")

    def measure(self, budget: int) -> None:
        """Ask for a survey of so many pixels."""
        self.press("g")
        self.page.fill("#measure-dialog [name=budget]", str(budget))
        self.page.click("#measure-dialog .primary")

    def answered(self) -> np.ndarray:
        """The page's labels once they are by all that was painted, not by the strokes before the last."""
        # Asked and read at once: between two questions the page may begin anew, and have no answer for a moment.
        now = "(await (await fetch('/api/project')).json()).version"
        current = "answer() && answer().step === 1 && answer().version === version && !state.learner.busy"
        found: list[list[int]] = []

        def read() -> bool:
            labels = self.ask(f"((version) => {current} ? [...answer().labels] : null)({now})")
            found.append(labels)
            return labels is not None

        until(read, current)
        return np.array(found[-1], np.uint8).reshape(HEIGHT, WIDTH)
