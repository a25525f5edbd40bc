"""Images that are too large to be shown and answered whole: what is on screen comes, by way of overviews."""

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from fastapi.testclient import TestClient
from PIL import Image
from studio_folder import Page, client_of, key

from pixelnet.learning import parts, tiles
from pixelnet.rasters import OpenPixels, read_levels
from pixelnet.studio import images, project

SIDE = 640


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small here."""
    monkeypatch.setattr(images, "LARGE", 50_000)
    monkeypatch.setattr(images, "HELD", 160)
    monkeypatch.setattr(project, "LARGE", 300_000)
    monkeypatch.setattr(tiles, "WHOLE", 0)
    monkeypatch.setattr(tiles, "SIDE", 128)
    monkeypatch.setattr(parts, "HELD", 0)


def pixels() -> np.ndarray:
    """Stripes of 40 columns, dark and light, that fade downwards."""
    light = np.arange(SIDE) // 40 % 2
    plane = np.where(light, 180, 60)[None] + np.arange(SIDE)[:, None] // 16
    return np.repeat(plane[..., None], 3, axis=2).astype(np.uint8)


def write(path: Path, overviews: int) -> np.ndarray:
    whole = pixels()
    options = {"tile": (128, 128), "photometric": "rgb", "compression": "zlib"}
    with tifffile.TiffWriter(path) as file:
        file.write(whole, subifds=overviews, **options)
        for k in range(1, overviews + 1):
            file.write(whole[:: 2**k, :: 2**k], subfiletype=1, **options)
    return whole


def picture(client: TestClient, **where: int) -> np.ndarray:
    content = client.get("/api/images/0/pixels", params=where).content
    return np.asarray(Image.open(io.BytesIO(content)), int)


@pytest.mark.parametrize("overviews", [0, 2])
def test_every_few_pixels_of_any_part_are_shown(tmp_path: Path, overviews: int) -> None:
    whole = write(tmp_path / "scene.tif", overviews)
    assert len(read_levels(tmp_path / "scene.tif")) == overviews + 1
    with client_of(tmp_path) as client:
        entry = Page(client).get("project")["images"][0]
        assert (entry["large"], entry["fault"]) == (True, "")
        np.testing.assert_array_equal(picture(client, x=33, y=70, width=90, height=61), whole[70:131, 33:123])
        for step in (2, 4, 8):
            found = picture(client, x=0, y=0, width=SIDE, height=SIDE, step=step)
            assert abs(found - whole[::step, ::step]).mean() < 3  # JPEG
        part = picture(client, x=320, y=160, width=160, height=80, step=3)
        assert abs(part - whole[160:240:3, 320:480:3]).mean() < 6
        assert "are sent at once" in client.get("/api/images/0/pixels").json()["detail"]
        assert client.get("/api/images/0/thumbnail").status_code == 200
    with OpenPixels(tmp_path / "scene.tif", level=overviews) as opened:
        assert opened.header.width == SIDE // 2**overviews


def test_a_picture_is_called_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "scene.tif", 2)
    monkeypatch.setattr(images, "EXACT", 100 * 100)
    with client_of(tmp_path) as client:
        for side, step, kind in ((100, 1, "PNG"), (101, 1, "JPEG"), (100, 2, "JPEG")):
            answer = client.get("/api/images/0/pixels", params={"width": side, "height": side, "step": step})
            assert Image.open(io.BytesIO(answer.content)).format == kind
            assert answer.headers["content-type"] == f"image/{kind.lower()}"


def test_a_picture_without_overviews_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(tmp_path / "scene.tif", 0)
    monkeypatch.setattr(images, "AT_ONCE", 10_000)
    with client_of(tmp_path) as client:
        found = picture(client, x=0, y=0, width=SIDE, height=SIDE, step=8)
        assert abs(found - whole[::8, ::8]).mean() < 3
        (made,) = (tmp_path / "studio" / "overviews").iterdir()
        before = made.stat().st_mtime_ns
        picture(client, x=0, y=0, width=SIDE, height=320, step=8)
        assert made.stat().st_mtime_ns == before


def test_what_is_on_screen_is_answered_and_can_be_accepted(tmp_path: Path) -> None:
    write(tmp_path / "scene.tif", 1)
    window = {"x": 200, "y": 300, "width": 160, "height": 100}
    with client_of(tmp_path) as client:
        page = Page(client)
        page.add_class("dark")
        page.add_class("light")
        page.post("look", image=0, **window)
        for k in range(4):
            page.paint(0, (k + 1) % 2, [[220 + 40 * k, 320], [220 + 40 * k, 380]], 4)
        end = time.monotonic() + 60
        while True:
            content = client.get("/api/images/0/answer").content
            head = json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")]) if content else {}
            if head.get("version") == page.get("project")["version"]:
                break
            assert time.monotonic() < end, page.get("project")["learner"]
            time.sleep(0.05)
        assert [head[name] for name in ("left", "top", "width", "height", "step")] == [200, 300, 160, 100, 1]
        start = len(content) - 2 * 160 * 100
        labels = np.frombuffer(content[start : start + 160 * 100], np.uint8).reshape(100, 160)
        truth = (np.arange(200, 360) // 40 % 2)[None].repeat(100, axis=0)
        assert (labels == truth).mean() > 0.95
        suggested = page.get("suggestion")
        assert 200 <= suggested["x"] < 360
        assert 300 <= suggested["y"] < 400
        box = {"tool": "box", "serial": head["serial"], "x": 210, "y": 310, "width": 30, "height": 20, "id": key()}
        page.post("images/0/accept", **box)
        said = client.get("/api/images/0/labels", params={"x": 210, "y": 310, "width": 30, "height": 20}).content
        np.testing.assert_array_equal(np.frombuffer(said, np.uint8).reshape(20, 30), labels[10:30, 10:40])
        shrunk = client.get("/api/images/0/labels", params={"step": 8}).content
        assert len(shrunk) == 80 * 80
        assert shrunk[320 // 8 * 80 + 220 // 8] in (0, 1)
    written = np.asarray(Image.open(tmp_path / "studio" / "labels" / "scene.png"))
    np.testing.assert_array_equal(written[310:330, 210:240], labels[10:30, 10:40])


@pytest.mark.parametrize(("ending", "options"), [
    (".tif", {"driver": "GTiff", "tiled": True, "blockxsize": 128, "blockysize": 128}),
    (".tif", {"driver": "GTiff", "tiled": True, "compress": "jpeg", "photometric": "ycbcr"}),
    (".tif", {"driver": "GTiff", "interleave": "band", "compress": "deflate"}),
    (".img", {"driver": "HFA"}),
])  # fmt: skip
def test_overviews_beside_a_file_are_used_as_those_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, options: dict[str, Any]
) -> None:
    rasterio = pytest.importorskip("rasterio", reason="needs rasterio")
    whole, scene = pixels(), tmp_path / f"scene{ending}"
    with rasterio.open(scene, "w", width=SIDE, height=SIDE, count=3, dtype="uint8", **options) as file:
        file.write(whole.transpose(2, 0, 1))
    before = scene.read_bytes()
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(scene, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    assert ending == ".img" or (scene.read_bytes() == before and Path(f"{scene}.ovr").is_file())
    assert read_levels(scene) == [(SIDE, SIDE), (SIDE // 2, SIDE // 2), (SIDE // 4, SIDE // 4)]
    monkeypatch.setattr(images, "AT_ONCE", 150_000)  # every few pixels of the whole: only of an overview
    with client_of(tmp_path) as client:
        assert [own["path"] for own in Page(client).get("project")["images"]] == [scene.name]
        for step in (4, 8):
            found = picture(client, x=0, y=0, width=SIDE, height=SIDE, step=step)
            assert abs(found - whole[::step, ::step]).mean() < 6
        assert client.get("/api/images/0/thumbnail").status_code == 200
    assert not (tmp_path / "studio" / "overviews").exists()


def test_overviews_of_another_image_are_none_of_this_one(tmp_path: Path) -> None:
    write(tmp_path / "scene.tif", 0)
    other = {"tile": (128, 128), "photometric": "rgb"}
    for shape, kind in (((320, 200, 3), 1), ((320, 320, 3), 0), ((700, 700, 3), 1)):
        with tifffile.TiffWriter(tmp_path / "scene.tif.ovr") as file:
            file.write(np.zeros(shape, np.uint8), subfiletype=kind, **other)
        assert read_levels(tmp_path / "scene.tif") == [(SIDE, SIDE)]
    (tmp_path / "scene.tif.ovr").write_bytes(b"II*\0torn")
    assert read_levels(tmp_path / "scene.tif") == [(SIDE, SIDE)]
