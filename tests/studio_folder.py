"""A small folder of images for the studio, and the operations of a page."""

import socket
import threading
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from conftest import save_png
from fastapi.testclient import TestClient

from pixelnet.studio.app import Server, Studio, make_app

HEIGHT, WIDTH = 60, 80
# Of a run that lets a network learn: as small as can be.
QUICK = (
    "--backbone", "test_resnet", "--hidden", "4", "--pyramid", "4", "--crop", "32", "32", "--pixels", "40",
    "--num-workers", "0", "--batch-size", "2", "--max-steps", "2",
)  # fmt: skip


def striped(k: int) -> np.ndarray:
    """Which pixels are light: stripes of ten columns, and every other image begins with a light one."""
    return np.tile((np.arange(WIDTH) // 10 + k) % 2, (HEIGHT, 1))


def make_folder(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        noise = np.random.default_rng(k).normal(0, 12, (HEIGHT, WIDTH))
        save_png(folder / f"image-{k}.png", (np.where(striped(k), 190, 70) + noise).clip(0, 255).astype(np.uint8))
    return folder


def key() -> str:
    return uuid.uuid4().hex


class Page:
    """What a page asks of a server."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/api/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/{path}").json()

    def add_class(self, name: str) -> None:
        self.post("classes", name=name, id=key())

    def paint(self, image: int, label: int | None, points: list[list[float]], radius: float = 2.0) -> Any:
        return self.post(f"images/{image}/strokes", tool="brush", label=label, points=points, radius=radius, id=key())

    def labels(self, image: int) -> np.ndarray:
        content = self.client.get(f"/api/images/{image}/labels").content
        return np.frombuffer(content, np.uint8).reshape(HEIGHT, WIDTH)


def client_of(folder: Path, **options: Any) -> TestClient:
    """A client of a studio whose learner goes by filters alone; to be used in `with`."""
    return TestClient(make_app(Studio(folder, networks=False), **options), base_url="http://127.0.0.1:8471")


class Served:
    """A studio of a folder at an address, whose learner goes by filters alone."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        listening = socket.create_server(("127.0.0.1", port))
        self.port = listening.getsockname()[1]
        self.studio = Studio(folder, networks=False)
        self.studio.finetuner.options = QUICK
        self.server = Server(self.studio)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
