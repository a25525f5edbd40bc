"""The studio's server: what a page asks and is told, who may ask at all, and that nothing acknowledged is lost."""

import io
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image
from studio_folder import HEIGHT, WIDTH, Page, client_of, key, make_folder, striped

import pixelnet
from pixelnet import InputError
from pixelnet.cli import main
from pixelnet.data.drawn.shapes import Patch
from pixelnet.learning import tiles
from pixelnet.studio import studio
from pixelnet.studio.project import Project

NAMES = {"dark", "light"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "images")


@pytest.fixture
def page(folder: Path) -> Iterator[Page]:
    with client_of(folder) as client:
        yield Page(client)


def two_classes(page: Page) -> None:
    page.add_class("dark")
    page.add_class("light")
    for k in range(4):
        page.paint(0, k % 2, [[10 * k + 2, 5], [10 * k + 7, 50]], 1.5)


def answered(page: Page, image: int = 0, seconds: float = 90) -> tuple[dict[str, int], np.ndarray]:
    """The answer to the labels of now, once it is whole: its head, and its labels."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        response = page.client.get(f"/api/images/{image}/answer")
        if response.status_code == 200:
            length = int.from_bytes(response.content[:4], "little")
            head = json.loads(response.content[4 : 4 + length])
            current = head["version"] == page.get("project")["version"]
            if current and (head["step"], head["width"]) == (1, WIDTH):
                size = head["width"] * head["height"]
                labels = np.frombuffer(response.content[4 + length : 4 + length + size], np.uint8)
                return head, labels.reshape(head["height"], head["width"])
        time.sleep(0.05)
    raise AssertionError(page.get("project")["learner"])


# ------------------------------------------------------------------------------------- labelling and learning


def test_a_few_strokes_are_learnt_from_at_once_and_answer_for_the_next_image(page: Page) -> None:
    assert page.get("project")["learner"]["answers"] is False
    two_classes(page)
    head, labels = answered(page)
    assert (head["width"], head["height"]) == (WIDTH, HEIGHT)
    assert (labels == striped(0)).mean() > 0.95
    page.post("look", image=1, x=0, y=0, width=WIDTH, height=HEIGHT)
    assert (answered(page, 1)[1] == striped(1)).mean() > 0.95


def test_an_image_that_is_seen_in_tiles_is_answered_across_them(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "WHOLE", 0)
    monkeypatch.setattr(tiles, "SIDE", 64)
    two_classes(page)
    assert (answered(page)[1] == striped(0)).mean() > 0.95
    page.post("look", image=1, x=50, y=10, width=25, height=40)
    assert (answered(page, 1)[1] == striped(1)).mean() > 0.95


def test_strokes_undo_and_redo(page: Page) -> None:
    two_classes(page)
    before = page.labels(0)
    assert page.paint(0, None, [[5, 30]], 4)["undo"] == 5
    assert (page.labels(0)[30, 3:8] == 255).all()
    assert page.post("images/0/undo", id=key())["redo"] == 1
    np.testing.assert_array_equal(page.labels(0), before)
    page.post("images/0/redo", id=key())
    assert (page.labels(0)[30, 3:8] == 255).all()
    assert page.post("images/0/redo", id=key()) == {"type": "nothing"}


def test_an_operation_that_is_sent_again_is_done_once(page: Page) -> None:
    page.add_class("dark")
    body = {"tool": "brush", "label": 0, "points": [[5, 5]], "radius": 2, "id": key()}
    assert page.post("images/0/strokes", **body)["type"] == "labels"
    page.post("images/0/undo", id=key())
    assert page.post("images/0/strokes", **body) == {"type": "nothing"}
    assert (page.labels(0) == 255).all()


def test_what_is_predicted_may_be_accepted(page: Page) -> None:
    two_classes(page)
    head, labels = answered(page)
    box = {"tool": "box", "serial": head["serial"], "x": 40, "y": 10, "width": 30, "height": 20, "id": key()}
    page.post("images/0/accept", **box)
    np.testing.assert_array_equal(page.labels(0)[10:30, 40:70], labels[10:30, 40:70])
    another = head["serial"] + 1000  # the next one may have come by now: what was accepted is learnt from, too
    old = page.client.post("/api/images/0/accept", json=box | {"serial": another, "id": key()})
    assert "the answer has changed meanwhile" in old.json()["detail"]
    head, labels = answered(page)
    region = {"tool": "fill", "serial": head["serial"], "x": 55, "y": 45, "id": key()}
    page.post("images/0/accept", **region)
    assert page.labels(0)[45, 55] == labels[45, 55]
    painted = page.labels(0) != 255
    assert (page.labels(0)[painted] == striped(0)[painted]).mean() > 0.9


def test_classes_are_renamed_merged_and_deleted(page: Page) -> None:
    two_classes(page)
    page.add_class("gray")
    page.paint(0, 2, [[70, 30]])
    page.post("classes/2", name="middle", color="#112233", id=key())
    assert page.get("project")["classes"][2] == {"id": 2, "name": "middle", "color": "#112233"}
    twice = page.client.post("/api/classes", json={"name": "middle", "id": key()})
    assert twice.status_code == 409
    assert "there is a class 'middle' already" in twice.json()["detail"]
    page.post("classes/2/drop", into=1, id=key())
    assert page.labels(0)[30, 70] == 1
    page.post("classes/0/drop", into=None, id=key())
    assert page.labels(0)[30, 5] == 255
    assert page.get("project")["counts"] == {"1": int((page.labels(0) == 1).sum())}
    gone = page.client.post(
        "/api/images/0/strokes", json={"tool": "brush", "label": 0, "points": [[1, 1]], "id": key()}
    )
    assert "there is no class 0 any more" in gone.json()["detail"]


def test_all_is_there_again_and_can_still_be_taken_back(folder: Path) -> None:
    with client_of(folder) as client:
        page = Page(client)
        two_classes(page)
        page.paint(1, 1, [[40, 40]])
        page.post("images/1/undo", id=key())
        page.post("images/1/mark", done=True, id=key())
        before, labels = page.get("project"), page.labels(0)
    with client_of(folder) as client:
        page = Page(client)
        again = page.get("project")
        for name in ("images", "classes", "counts"):
            assert again[name] == before[name]
        np.testing.assert_array_equal(page.labels(0), labels)
        page.post("images/0/undo", id=key())
        assert (page.labels(0) != labels).any()
        page.post("images/1/redo", id=key())
        assert page.labels(1)[40, 40] == 1


def test_labels_lie_beside_the_images_as_folders_are_read(folder: Path) -> None:
    with client_of(folder) as client:
        two_classes(Page(client))
        labels = Page(client).labels(0)
    data = pixelnet.open_dataset(str(folder), "segmentation", "train")
    assert (len(data), data.class_names) == (1, ("dark", "light"))
    np.testing.assert_array_equal(data.labels(0), labels)
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "studio" / "labels" / "image-0.png")), labels)


def test_labels_that_a_folder_has_are_taken_over_and_stay_as_they_are(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "data" / "images").parent
    for k in range(3):
        target = folder / "labels" / f"image-{k}.png"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(striped(k).astype(np.uint8)).save(target)
    (folder / "dataset.json").write_text('{"classes": [{"name": "dark", "value": 0}, {"name": "light", "value": 1}]}')
    before = (folder / "dataset.json").read_text()
    with client_of(folder) as client:
        page = Page(client)
        whole = page.get("project")
        assert [own["path"] for own in whole["images"]] == [f"images/image-{k}.png" for k in range(3)]
        assert [own["name"] for own in whole["classes"]] == ["dark", "light"]
        np.testing.assert_array_equal(page.labels(1), striped(1))
        page.paint(1, None, [[40, 30]], 5)
    assert (folder / "dataset.json").read_text() == before
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "labels" / "image-1.png")), striped(1))
    data = pixelnet.open_dataset(str(folder / "studio" / "dataset.json"), "segmentation", "train")
    assert data.labels(1)[30, 40] == 255


def test_images_that_cannot_be_labelled_are_shown_as_such(folder: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "image-0.png").read_bytes()[:600])
    (folder / "image-1.jpg").write_bytes(b"")
    with client_of(folder) as client:
        assert client.get("/api/images/0/thumbnail").status_code == 409  # whose header alone is whole
        images = {own["path"]: own for own in Page(client).get("project")["images"]}
    assert [images[name]["state"] for name in ("broken.png", "image-0.png")] == ["broken", "unlabelled"]
    assert "truncated" in images["broken.png"]["fault"]
    assert images["image-1.jpg"]["number"] is None
    assert "holds nothing" in images["image-1.jpg"]["fault"] or "cannot be read" in images["image-1.jpg"]["fault"]


def test_pages_of_a_stack_are_images(tmp_path: Path) -> None:
    (folder := tmp_path / "stacks").mkdir()
    noise = np.random.default_rng(0).normal(0, 12, (3, HEIGHT, WIDTH))
    planes = (np.where(np.stack([striped(k) for k in range(3)]), 190, 70) + noise).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "v.tif", planes, photometric="minisblack", metadata={"axes": "ZYX"})
    with client_of(folder) as client:
        page = Page(client)
        assert [own["path"] for own in page.get("project")["images"]] == ["v.tif[0]", "v.tif[1]", "v.tif[2]"]
        shown = np.asarray(Image.open(io.BytesIO(client.get("/api/images/1/pixels").content)))
        np.testing.assert_array_equal(shown[..., 0], planes[1])
        two_classes(page)
        page.paint(2, 1, [[15, 30]], 2)
        labels = page.labels(2)
        page.post("look", image=1, x=0, y=0, width=WIDTH, height=HEIGHT)
        _, said = answered(page, 1)
        assert (said == striped(1)).mean() > 0.9
        page.post("export")
        while page.get("project")["export"]["running"]:
            time.sleep(0.1)
        command = page.get("project")["export"]["command"]
    data = pixelnet.open_dataset(str(folder), "segmentation", "train")
    assert data.names == ["v[0]", "v[2]"]
    np.testing.assert_array_equal(data.labels(1), labels)
    out = folder / "studio" / "export-1"
    np.testing.assert_array_equal(np.asarray(Image.open(out / "predictions" / "segmentation" / "v[1].png")), said)
    assert "v.tif[2],15,30,light" in (out / "model" / "labels.csv").read_text()
    assert main(shlex.split(command)[1:]) == 0
    first, again = (out / name / "model.safetensors" for name in ("model", "model-again"))
    assert first.read_bytes() == again.read_bytes()
    shutil.rmtree(folder / "studio")
    drawn = np.stack([striped(k) for k in range(3)]).astype(np.uint8)
    tifffile.imwrite(folder / "labels.tif", drawn, photometric="minisblack", metadata={"axes": "ZYX"})
    (folder / "dataset.json").write_text('{"images": ["v.tif"], "labels": ["labels.tif"]}')
    with client_of(folder) as client:
        np.testing.assert_array_equal(Page(client).labels(1), striped(1))


def test_a_folder_without_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image that can be labelled"):
        Project(tmp_path)


def test_an_image_that_has_gone_keeps_its_labels_for_when_it_is_back(folder: Path) -> None:
    project = Project(folder)
    project.do({"do": "class", "name": "a", "id": key()})
    project.patch(0, "import", Patch(0, 0, np.ones((4, 4), bool)), np.zeros((4, 4), np.uint8), key())
    project.close()
    (folder / "image-0.png").rename(folder.parent / "away.png")
    project = Project(folder)
    assert project.missing == {"image-0.png"}
    project.close()
    (folder.parent / "away.png").rename(folder / "image-0.png")
    project = Project(folder)
    assert (project.labels(0)[:4, :4] == 0).all()
    project.close()


# ------------------------------------------------------------------------------------------- who may ask


def test_other_pages_and_other_names_are_refused(page: Page) -> None:
    client, body = page.client, {"name": "x", "id": key()}
    assert client.get("/api/project", headers={"host": "evil.example"}).status_code == 421
    assert client.post("/api/classes", json=body, headers={"origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/classes", json=body, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/api/classes", json=body, headers={"origin": "http://127.0.0.1:8471"}).status_code == 200
    assert client.get("/api/project", headers={"host": "localhost:8471"}).status_code == 200
    assert "default-src 'self'" in client.get("/").headers["content-security-policy"]


def test_elsewhere_a_token_is_needed(folder: Path) -> None:
    with client_of(folder, host="0.0.0.0", token="secret") as client:
        assert client.get("/api/project").status_code == 403
        assert client.get("/?token=wrong", follow_redirects=False).status_code == 403
        assert client.get("/?token=secret", follow_redirects=False).status_code == 303
        assert list(client.cookies) == ["pixelnet-8471"]  # another server of this host has its own
        assert client.get("/api/project").status_code == 200


@pytest.mark.parametrize(
    "path", ["/../project.py", "/%2e%2e/project.py", "/..%2fproject.py", "/style.css/../../app.py"]
)
def test_no_path_leads_out_of_the_page(page: Page, path: str) -> None:
    assert page.client.get(path).status_code == 404


def test_there_are_limits(page: Page) -> None:
    page.add_class("dark")
    points = [[0.0, 0.0]] * 5001
    assert (
        page.client.post(
            "/api/images/0/strokes", json={"tool": "brush", "label": 0, "points": points, "id": key()}
        ).status_code
        == 422
    )
    assert page.client.post("/api/classes", content=b"x" * 2**23).status_code == 413
    assert page.client.get("/api/images/99/labels").status_code == 409
    assert (
        page.client.post(
            "/api/images/0/strokes", json={"tool": "brush", "points": [["NaN", 1]], "id": key()}
        ).status_code
        == 422
    )


# --------------------------------------------------------------------------------------- a server of its own


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pixelnet", "studio", str(folder), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        assert f"http://127.0.0.1:{port}/" in server.stdout.readline()
        acknowledged = []
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            client.post("/api/classes", json={"name": "a", "id": key()})
            for k in range(40):
                body = {"tool": "brush", "label": 0, "points": [[k, k]], "radius": 0.5, "id": key()}
                if client.post("/api/images/0/strokes", json=body).status_code == 200:
                    acknowledged.append(k)
        os.kill(server.pid, signal.SIGKILL)
    finally:
        server.kill()
        server.wait()
    assert len(acknowledged) == 40
    project = Project(folder)
    assert all(project.labels(0)[k, k] == 0 for k in acknowledged)
    project.close()


def test_one_folder_one_studio(folder: Path) -> None:
    pytest.importorskip("fcntl")
    (folder / "studio").mkdir()
    code = "import fcntl, sys; file = open(sys.argv[1], 'ab'); fcntl.lockf(file, 2); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(folder / "studio" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match=r"another process is at work in .*studio"):
            studio(folder, port=0)
        other.kill()


def test_a_port_that_is_taken_and_a_folder_that_is_none(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"cannot be listened at: .*; give another --port"):
            studio(folder, port=taken.getsockname()[1])
    with pytest.raises(InputError, match="is no folder; give one of images"):
        studio(folder / "image-0.png")


@pytest.mark.skipif(find_spec("rasterio") is None, reason="needs rasterio")
def test_an_export_is_the_model_that_answers(folder: Path) -> None:
    with client_of(folder) as client:
        page: Page = Page(client)
        two_classes(page)
        _, labels = answered(page)
        page.post("export", predictions=True, polygons=["geojson", "coco", "labelme"], objects=True)
        while page.get("project")["export"]["running"]:
            time.sleep(0.1)
        told = page.get("project")["export"]
    assert told["words"] == "written: images/studio/export-1"
    out = folder / "studio" / "export-1"
    said = np.asarray(Image.open(out / "predictions" / "segmentation" / "image-0.png"))
    assert (said == labels).mean() > 0.995
    predicted = pixelnet.load(out / "model").predict(folder / "image-0.png")
    np.testing.assert_array_equal(predicted, said)
    assert "pixelnet fit --data" in (out / "report.html").read_text()
    assert json.loads((out / "predictions" / "polygons" / "image-0.geojson").read_text())["features"]
    assert (out / "predictions" / "objects" / "image-0.csv").read_text().startswith("class,pixels,x,y")
    assert len(json.loads((out / "coco.json").read_text())["images"]) == 3
    assert {own["label"] for own in json.loads((out / "labelme" / "image-2.json").read_text())["shapes"]} == NAMES
    assert told["command"].startswith("pixelnet fit")
