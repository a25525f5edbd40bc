"""How soon the studio's answer follows a stroke, in a real browser, and that it loses no stroke under load.

    python -m benchmarks.studio overlay     # end of a stroke -> new overlay on screen, 1024 x 768
    python -m benchmarks.studio load        # 200 strokes a second from four clients, the server killed in the middle

`overlay` needs Playwright and Chromium on the path. Times are by the page's own clock, from the release of the pointer
to the first frame that shows an answer to that stroke.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 1024, 768
LABELLED = 2000  # pixels, before strokes are timed
CLIENTS, RATE, SECONDS = 4, 200, 60
WATCH = """() => import('./state.js').then(({on}) => { window.shown = []; window.released = [];
  on('answered', (found) => window.shown.push([found.version, performance.now(), found.step]));
  document.getElementById('overlay').addEventListener('pointerup', () => window.released.push(performance.now())); })"""


def scene(folder: Path) -> np.ndarray:
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


def overlay(strokes: int) -> dict[str, object]:
    """Milliseconds from the end of a stroke to the overlay, once features are there and so many pixels are labelled."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        blobs = scene(folder)
        served = Served(folder)
        with httpx.Client(base_url=served.address, timeout=120) as client:
            for name in ("ground", "blob"):
                client.post("/api/classes", json={"name": name, "id": key()})
            rng = np.random.default_rng(1)
            for label in (0, 1):
                rows, columns = np.nonzero(blobs == label)
                for k in rng.choice(len(rows), LABELLED // 2, replace=False):
                    body = {"tool": "brush", "label": label, "points": [[int(columns[k]), int(rows[k])]], "radius": 0.5}
                    client.post("/api/images/0/strokes", json=body | {"id": key()})
            while client.get("/api/project").json()["learner"]["words"] != "ready":
                time.sleep(0.5)
            while client.get("/api/project").json()["learner"]["score"] is None:
                time.sleep(0.5)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.goto(served.address)
        page.wait_for_selector("#preview", state="hidden")
        page.evaluate(WATCH)
        box = page.locator("#overlay").bounding_box()
        assert box is not None
        times = []
        for k in range(strokes):
            x, y = (
                box["x"] + box["width"] * (0.3 + 0.4 * rng.random()),
                box["y"] + box["height"] * (0.3 + 0.4 * rng.random()),
            )
            before = page.evaluate("Math.max(0, ...window.shown.map((own) => own[0]))")
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 8, y, steps=2)
            page.mouse.up()
            page.wait_for_function(
                "(version) => window.shown.some((own) => own[0] > version)", arg=before, timeout=60000
            )
            times.append(
                page.evaluate("(v) => window.shown.find((own) => own[0] > v)[1] - window.released.at(-1)", before)
            )
            time.sleep(1.5 if k % 5 else 2.5)
        browser.close()
        served.end()
    return {
        "strokes": strokes,
        "median_ms": round(float(np.median(times))),
        "p95_ms": round(float(np.quantile(times, 0.95))),
    }


def load(seconds: float) -> dict[str, object]:
    """How many strokes were acknowledged, and lost when the server was killed and started again."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scene(folder)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["overlay", "load"])
    parser.add_argument("--strokes", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    print(json.dumps(overlay(given.strokes) if given.what == "overlay" else load(given.seconds)))
