"""The network itself learns, in a process of its own: it answers only if it is better, and all is as it was if not."""

import importlib
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image
from studio_folder import QUICK, Page, make_folder

import pixelnet
from pixelnet.studio.app import Studio, make_app

ONNX = all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))


def labelled(folder: Path) -> tuple[Studio, TestClient, Page]:
    studio = Studio(folder, networks=False)
    studio.finetuner.options = QUICK
    client = TestClient(make_app(studio), base_url="http://127.0.0.1:8471")
    return studio, client, Page(client)


def paint_all(page: Page) -> None:
    page.add_class("dark")
    page.add_class("light")
    for image in range(3):
        for k in range(4):
            page.paint(image, (k + image) % 2, [[10 * k + 2, 5], [10 * k + 7, 50]], 1.5)


def ended(page: Page, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while (told := page.get("project"))["finetune"]["running"]:
        assert time.monotonic() < end, told["finetune"]
        time.sleep(0.2)
    return told


def stub(said: str, head: str) -> Any:
    """A process that trains, without one: it leaves a model and words."""

    def train(options: list[str], told: Path, run: Path) -> int:
        pixelnet.PixelNet("segmentation", 2, backbone="test_resnet", head=head, class_names=("dark", "light")).save(run)
        (run / "images.json").write_text("{}")
        (run / "metrics.jsonl").write_text('{"step": 0, "total": 7}\n{"step": 7, "loss": 0.5}\n')
        told.write_text(f"50%|####\rval miou: 0.500 of the model fitted without these images, {said}\n")
        return 0

    return train


def same_by_onnx(file: Path, image: Path, labels: np.ndarray) -> None:
    """A file answers by another library as the page does."""
    session = importlib.import_module("onnxruntime").InferenceSession(file)
    pixels = np.repeat(np.asarray(Image.open(image))[..., None], 3, axis=2)
    found = dict(
        zip([own.name for own in session.get_outputs()], session.run(None, {"pixels": pixels[None]}), strict=True)
    )
    assert (found["segmentation"][0] == labels).mean() > 0.999


def test_a_better_network_answers_until_a_stroke_and_is_what_is_taken_home(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "images")
    studio, client, page = labelled(folder)
    studio.finetuner._train = stub("0.600 of the network it taught; the network is kept", "mlp")  # type: ignore[method-assign]
    with client:
        paint_all(page)
        page.post("finetune", minutes=1)
        told = ended(page)
        assert "the network is kept" in told["finetune"]["words"]
        assert told["learner"]["by_network"]
        run = folder / "studio" / "finetune-1" / "run"
        model = pixelnet.load(run)
        page.post("look", image=1, x=0, y=0, width=80, height=60)
        while (found := studio.learner.answers.get(1)) is None or found.labels.shape != (60, 80):
            time.sleep(0.05)
        np.testing.assert_array_equal(found.labels, model.predict(folder / "image-1.png"))
        assert "export, then open the report" in client.get("/api/export/report").json()["detail"]
        page.post("export", predictions=False, onnx=ONNX)
        while page.get("project")["export"]["running"]:
            time.sleep(0.1)
        again = page.get("project")["export"]["command"]
        taken = folder / "studio" / "export-1" / "model"
        assert taken.joinpath("model.safetensors").read_bytes() == run.joinpath("model.safetensors").read_bytes()
        assert "--max-steps 7" in again
        assert client.get("/api/export/report").text == (folder / "studio/export-1/report.html").read_text()
        if ONNX:
            same_by_onnx(folder / "studio" / "export-1" / "model.onnx", folder / "image-1.png", found.labels)
        page.paint(0, 0, [[2, 2]])
        told = page.get("project")["learner"]
        assert (told["refined"], told["by_network"]) == (True, False)
        assert page.post("answer-by", network=True)["by_network"]
        data = pixelnet.open_dataset(str(folder / "studio/finetune-1/dataset.json"), "segmentation", "train")
        assert (data.names, data.class_names) == ([f"image-{k}" for k in range(3)], ("dark", "light"))
        assert (data.labels(0)[2, 2], page.labels(0)[2, 2]) == (255, 0)
    (folder / "studio" / "finetune-2" / "fitted").mkdir(parents=True)  # of a studio that was killed
    studio, client, page = labelled(folder)
    with client:
        told = page.get("project")["learner"]
        assert (told["refined"], told["by_network"]) == (True, False)
        assert not (folder / "studio" / "finetune-2").exists()
        page.add_class("other")
    _, client, page = labelled(folder)
    with client:
        assert not page.get("project")["learner"]["refined"]


def test_what_the_studio_has_started_ends_with_it(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-m", "pixelnet.studio.child", "--version"], stdin=subprocess.PIPE)
    assert done.wait(timeout=60) == 0  # while its standard input is still open
    long = ["studio", str(make_folder(tmp_path / "images")), "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pixelnet.studio.child", *long], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline().startswith("the studio of")
    process.stdin.close()  # as the system does for one that was killed
    process.wait(timeout=60)


def test_one_that_is_no_better_changes_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "images")
    studio, client, page = labelled(folder)
    studio.finetuner._train = stub("0.400 of the network it taught; the fitted model is kept", "fitted")  # type: ignore[method-assign]
    with client:
        assert "0 images have labels" in client.post("/api/finetune", json={}).json()["detail"]
        paint_all(page)
        page.post("finetune", minutes=1)
        told = ended(page)
        assert told["finetune"]["words"].startswith("all stays as it was; mean IoU on images held back: 0.500")
        assert not told["learner"]["refined"]
        assert not list((folder / "studio").glob("finetune-*"))
        assert "no network has learnt" in client.post("/api/answer-by", json={"network": True}).json()["detail"]


def test_one_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "images")
    _, client, page = labelled(folder)
    with client:
        paint_all(page)
        page.post("finetune", minutes=30)
        assert "learning already" in client.post("/api/finetune", json={"minutes": 1}).json()["detail"]
        while not list((folder / "studio").glob("finetune-*/fitted/config.json")):
            time.sleep(0.1)
        page.post("finetune/cancel")
        assert ended(page)["finetune"]["words"] == "stopped; all is as it was"
        assert not list((folder / "studio").glob("finetune-*"))
