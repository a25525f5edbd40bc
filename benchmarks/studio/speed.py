"""How soon the studio's answer follows a stroke, in a real browser, and that it loses no stroke under load.

`overlay` and `scene` need Playwright and Chromium on the path. Times are by the page's own clock.
"""

import csv
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion

from pixelnet.rasters.geotiff import Map, write_geotiff

WIDTH, HEIGHT = 1024, 768
LABELLED = 2000  # pixels, before strokes are timed
MARGIN = 24  # pixels that strokes keep from other classes
OUT_OF_TURN = 5  # images between two that are opened: more than the studio looks ahead
CLIENTS, RATE, SECONDS = 4, 200, 60
WATCH = """() => import('./state.js').then(({on}) => { window.shown = []; window.released = [];
  on('answered', (found) => window.shown.push([found.version, performance.now(), found.step]));
  document.getElementById('overlay').addEventListener('pointerup', () => window.released.push(performance.now())); })"""

# Where a pixel of the image is in the window.
PLACE = """([x, y]) => import('./canvas.js').then(({toScreen}) => {
  const box = document.getElementById('overlay').getBoundingClientRect(), own = toScreen(x, y);
  return [box.left + own.x, box.top + own.y]; })"""

SHOWN = "async (number) => { const {state} = await import('./state.js'); return state.number === number; }"

# Whether the view is shown as finely as the screen does; and a look somewhere else until it is.
DETAILED = "async () => (await import('./canvas.js')).detailed()"
LOOK = """([x, y, zoom]) => import('./canvas.js').then((own) => new Promise((done) => {
  const began = performance.now();
  own.center(x, y, zoom);
  const end = () => done(performance.now() - began);
  const wait = () => (own.detailed() ? requestAnimationFrame(end) : setTimeout(wait, 5));
  wait();
}))"""


def scene_of_blobs(folder: Path) -> np.ndarray:
    """An image of blobs on noise, and which pixels are blobs."""
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.random((12, 16)).astype(np.float32)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    )
    blobs = smooth > 0.5
    pixels = np.where(blobs, 150, 90)[..., None] + rng.normal(0, 25, (HEIGHT, WIDTH, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "scene.png")
    return blobs


class Served:
    """`pixelnet studio FOLDER` in a process of its own."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        with socket.create_server(("127.0.0.1", port or 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "pixelnet", "studio", str(folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.address = f"http://127.0.0.1:{self.port}"

    def end(self, how: int = signal.SIGINT) -> None:
        self.process.send_signal(how)
        self.process.wait()


def key() -> str:
    return uuid.uuid4().hex


def opened(playwright: Any, address: str) -> tuple[Any, Any]:
    """A browser, and a page of it."""
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto(address)
    page.wait_for_selector("#image-list [aria-current=true]")
    return browser, page


def until(page: Any, told: str, given: Any = None, seconds: float = 60) -> None:
    """Wait for what a page's function tells. The page forbids eval, with which the browser would wait by itself."""
    end = time.monotonic() + seconds
    while not page.evaluate(told, given):
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {seconds:g} s: {told}")
        time.sleep(0.02)


def label(address: str, blobs: np.ndarray, count: int) -> None:
    """Name two classes, label so many pixels, and wait until all is learnt and judged."""
    rng = np.random.default_rng(1)
    with httpx.Client(base_url=address, timeout=120) as client:
        for name in ("ground", "blob"):
            client.post("/api/classes", json={"name": name, "id": key()})
        for own in (0, 1):
            rows, columns = np.nonzero(blobs == own)
            for k in rng.choice(len(rows), count // 2, replace=False):
                body = {"tool": "brush", "label": own, "points": [[int(columns[k]), int(rows[k])]], "radius": 0.5}
                client.post("/api/images/0/strokes", json=body | {"id": key()})
        learner = {"words": "", "score": None}
        while learner["words"] != "ready" or learner["score"] is None:
            time.sleep(0.5)
            learner = client.get("/api/project").json()["learner"]


@contextmanager
def painted(copies: int = 0) -> Iterator[tuple[Any, list[np.ndarray]]]:
    """A page of the studio with so many pixels labelled, and answered; and the inside of either class.

    copies: of the image, behind it.
    """
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        blobs = scene_of_blobs(folder)
        copy_scene(folder, copies)
        served = Served(folder)
        label(served.address, blobs, LABELLED)
        browser, page = opened(playwright, served.address)
        page.wait_for_selector("#preview", state="hidden")
        page.evaluate(WATCH)
        yield page, [binary_erosion(blobs == own, iterations=MARGIN, border_value=0) for own in (False, True)]
        browser.close()
        served.end()


def copy_scene(folder: Path, copies: int) -> None:
    for k in range(1, 1 + copies):
        shutil.copyfile(folder / "scene.png", folder / f"scene-{k:03d}.png")


def overlay(strokes: int) -> dict[str, object]:
    """Milliseconds from the end of a stroke to the overlay, once features are there and so many pixels are labelled."""
    times, rng = [], np.random.default_rng(2)
    with painted() as (page, inner):
        for k in range(strokes):
            times.append(answered_after(page, k % 2, inner, rng))
            time.sleep(1)
            page.keyboard.press("Control+z")  # so that it stays by about so many labels
            time.sleep(2)
    return {
        "strokes": strokes,
        "median_ms": round(float(np.median(times))),
        "p95_ms": round(float(np.quantile(times, 0.95))),
    }


def first(images: int) -> dict[str, object]:
    """Milliseconds from the end of the first stroke on an image to the overlay, and until the networks answer.

    Each is opened out of turn, so that nothing of it was made ahead, and painted on as soon as it is shown.
    """
    times, whole, rng = [], [], np.random.default_rng(2)
    with painted(images * OUT_OF_TURN) as (page, inner):
        for k in range(images):
            page.locator("#image-list > *").nth((1 + k) * OUT_OF_TURN).click()
            until(page, SHOWN, (1 + k) * OUT_OF_TURN)
            times.append(answered_after(page, k % 2, inner, rng))
            began = time.monotonic()
            page.wait_for_selector("#preview", state="hidden", timeout=120_000)
            whole.append(time.monotonic() - began + times[-1] / 1000)
    return {
        "images": images, "median_ms": round(float(np.median(times))), "worst_ms": round(max(times)),
        "networks_s": round(float(np.median(whole)), 1),
    }  # fmt: skip


def answered_after(page: Any, label: int, inner: list[np.ndarray], rng: np.random.Generator) -> float:
    """Paint a short stroke within a class; the milliseconds from its end to the first frame that answers it."""
    rows, columns = np.nonzero(inner[label])
    at = rng.integers(len(rows))
    page.keyboard.press(str(label + 1))
    x, y = page.evaluate(PLACE, [int(columns[at]), int(rows[at])])
    before = page.evaluate("Math.max(0, ...window.shown.map((own) => own[0]))")
    page.mouse.move(x - 4, y)
    page.mouse.down()
    page.mouse.move(x + 4, y, steps=2)
    page.mouse.up()
    until(page, "(version) => window.shown.some((own) => own[0] > version)", before)
    found = page.evaluate("(v) => window.shown.find((own) => own[0] > v)[1] - window.released.at(-1)", before)
    return float(found)


def survey(samples: int) -> dict[str, object]:
    """Milliseconds from a key that answers to the next pixel that can be answered; nobody thinks meanwhile.

    In the middle the server is killed and started again; `kept` of the answers are there in the end.
    """
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        blobs = scene_of_blobs(folder)
        served = Served(folder)
        label(served.address, blobs, 200)
        browser, page = opened(playwright, served.address)
        page.keyboard.press("g")
        page.fill("#measure-dialog [name=budget]", str(samples))
        page.click("#measure-dialog .primary")
        page.wait_for_selector("#survey-choices button:enabled", timeout=120_000)
        began, times = time.monotonic(), []
        asked = began
        for k in range(samples):
            page.wait_for_selector(f"#survey-place:has-text('{k} of {samples}')")
            page.wait_for_selector("#survey-choices button:enabled")
            if k:
                times.append(1000 * (time.monotonic() - asked))
            if k == samples // 2:
                served.end(signal.SIGKILL)
                served = Served(folder, served.port)
            asked = time.monotonic()
            page.keyboard.press(str(k % 2 + 1))
        page.wait_for_selector("#survey-report:not([hidden])", timeout=60_000)
        seconds = time.monotonic() - began
        browser.close()
        served.end()
        (path,) = folder.glob("studio/survey-*/samples.csv")
        kept = sum(bool(row["class"]) for row in csv.DictReader(path.open()))
    return {
        "samples": samples, "kept": kept, "median_ms": round(float(np.median(times))),
        "p95_ms": round(float(np.quantile(times, 0.95))), "seconds": round(seconds, 1),
    }  # fmt: skip


def load(seconds: float) -> dict[str, object]:
    """How many strokes were acknowledged, and lost when the server was killed and started again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scene_of_blobs(folder)
        served = Served(folder)
        httpx.post(f"{served.address}/api/classes", json={"name": "a", "id": key()}, timeout=60)
        acknowledged: list[int] = []
        started = time.monotonic()

        def paint(client: int) -> None:
            with httpx.Client(base_url=served.address, timeout=20) as own:
                for k in range(int(RATE * seconds / CLIENTS)):
                    number = k * CLIENTS + client
                    time.sleep(max(0.0, started + number / RATE - time.monotonic()))
                    body = {
                        "tool": "brush",
                        "label": 0,
                        "points": [[number % WIDTH, number // WIDTH]],
                        "radius": 0.5,
                        "id": key(),
                    }
                    while True:  # as the page does: the same operation, until it is acknowledged
                        try:
                            if own.post("/api/images/0/strokes", json=body).status_code == 200:
                                break
                        except httpx.TransportError:
                            time.sleep(0.2)
                    acknowledged.append(number)

        def kill() -> None:
            nonlocal served
            time.sleep(seconds / 2)
            served.end(signal.SIGKILL)
            served = Served(folder, served.port)

        killer = threading.Thread(target=kill)
        killer.start()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(paint, range(CLIENTS)))
        killer.join()
        took = time.monotonic() - started
        labels = np.frombuffer(httpx.get(f"{served.address}/api/images/0/labels", timeout=60).content, np.uint8)
        lost = [number for number in acknowledged if labels[number // WIDTH * WIDTH + number % WIDTH] != 0]
        served.end(signal.SIGKILL)
    return {"acknowledged": len(acknowledged), "lost": len(lost), "seconds": round(took, 1)}


def scene(side: int, views: int) -> dict[str, object]:
    """A tiled GeoTIFF with overviews is opened, and looked at here and there, closer and farther."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        write_scene(Path(place) / "scene.tif", side)
        served = Served(Path(place))
        began = time.monotonic()
        browser, page = opened(playwright, served.address)
        until(page, DETAILED)
        first, rng, times = time.monotonic() - began, np.random.default_rng(0), []
        for _ in range(views):
            zoom = float(2.0 ** rng.uniform(-4, 1))
            x, y = (rng.random(2) * side * 0.8 + side * 0.1).tolist()
            times.append(page.evaluate(LOOK, [x, y, zoom]))
        browser.close()
        megabytes = resident(served.process.pid)
        served.end()
    return {
        "views": views, "first_s": round(first, 1), "median_ms": round(float(np.median(times))),
        "p95_ms": round(float(np.quantile(times, 0.95))), "server_mb": megabytes,
    }  # fmt: skip


def write_scene(path: Path, side: int) -> None:
    """Hills of noise, RGB, deflated, with overviews."""
    rng = np.random.default_rng(0)
    tile = rng.integers(60, 200, (512, 512, 3), dtype=np.uint8)

    def read(rows: range, band: int) -> np.ndarray:
        strip = np.tile(tile[: len(rows), :, band], (1, -(-side // 512)))[:, :side]
        return strip // 2 + (np.arange(side) * 100 // side).astype(np.uint8) + np.uint8(rows.start * 27 // side)

    write_geotiff(path, Map(side, side, 3, np.dtype(np.uint8), read), None)


def memory(images: tuple[int, ...]) -> dict[str, object]:
    """Of the server's process, resident, after the first image is answered by all that describes a pixel."""
    found: dict[str, object] = {}
    for count in images:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            blobs = scene_of_blobs(folder)
            copy_scene(folder, count - 1)
            served = Served(folder)
            label(served.address, blobs, 200)
            time.sleep(10)
            found[f"mb_of_{count}"] = resident(served.process.pid)
            served.end()
    return found


def resident(pid: int) -> int:
    """Megabytes of a process that are in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024
