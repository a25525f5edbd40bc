"""Images by their URL: against a web server of this machine, and S3 as moto stands in for it."""

import csv
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_inputs import encoded
from test_predict import picture, small

from pixelnet import InputError, predict_files
from pixelnet.inference import remote
from pixelnet.inference.bulk import Unanswered
from pixelnet.inference.inputs import image_files, model_and_images
from pixelnet.rasters import VARIABLE

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, whole files or parts of them, and keeps how many bytes it sent."""

    sent: dict[str, int]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        part = self.headers.get("Range")
        if not path.is_file() or part is None or path.suffix != ".zip":
            self.sent[path.name] = self.sent.get(path.name, 0) + (path.stat().st_size if path.is_file() else 0)
            return super().do_GET()
        content = path.read_bytes()
        first, last = part.removeprefix("bytes=").split("-")
        begin, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
        self.sent[path.name] = self.sent.get(path.name, 0) + end + 1 - begin
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
        self.send_header("Content-Length", str(end + 1 - begin))
        self.end_headers()
        self.wfile.write(content[begin : end + 1])
        return None


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """A web server of a folder: its address, and the bytes that it sent of each file."""
    sent: dict[str, int] = {}

    class Own(Handler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(folder))  # type: ignore[arg-type]

    Own.sent = sent
    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        server.server_close()


def pictures(folder: Path) -> dict[str, np.ndarray]:
    found = {name: picture(30 + k, 40) for k, name in enumerate(("day/a.png", "day/two words.png", "b.png"))}
    for name, pixels in found.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return found


def test_a_url_is_answered_as_its_file_is(tmp_path: Path) -> None:
    pixels, model = pictures(tmp_path / "web")["day/two words.png"], small()
    with served(tmp_path / "web") as (address, _):
        written = predict_files(model, f"{address}/day/two%20words.png?token=secret", tmp_path / "out")
        assert written[0] == tmp_path / "out/segmentation/two words.png"
        assert (np.array(Image.open(written[0])) == model.predict(pixels)).all()
        with pytest.raises(InputError, match=r"http:/127.0.0.1/day/none.png is not there") as caught:
            predict_files(model, f"{address}/day/none.png?token=secret", tmp_path / "out")
        assert "secret" not in str(caught.value)


def test_a_list_of_urls_goes_on_where_it_stopped(tmp_path: Path) -> None:
    found, model = pictures(tmp_path / "web"), small()
    listed = tmp_path / "list.txt"
    with served(tmp_path / "web") as (address, sent):
        urls = [f"{address}/{name.replace(' ', '%20')}" for name in found]
        listed.write_text("\n".join([*urls, f"{address}/none.png", "web/b.png"]))
        with pytest.raises(Unanswered):
            predict_files(model, listed, tmp_path / "out")
        before = dict(sent)
        with pytest.raises(Unanswered):
            predict_files(model, listed, tmp_path / "out")
        assert {name: sent[name] for name in ("a.png", "b.png")} == {name: before[name] for name in ("a.png", "b.png")}
    for name, pixels in found.items():
        answer = tmp_path / "out/segmentation/127.0.0.1" / name
        assert (np.array(Image.open(answer)) == model.predict(pixels)).all()
    (failure,) = csv.DictReader((tmp_path / "out/failures.csv").open())
    assert (failure["name"], failure["file"]) == ("127.0.0.1/none", "http:/127.0.0.1/none.png")


def test_of_an_archive_elsewhere_no_more_is_read_than_its_images(tmp_path: Path) -> None:
    model, pixels = small(), picture(20, 24)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as out:
        out.writestr("notes.bin", np.random.default_rng(0).bytes(40_000_000))
        out.writestr("day/a.png", encoded(pixels))
    with served(tmp_path) as (address, sent):
        written = predict_files(model, f"{address}/all.zip", tmp_path / "out")
    assert written[0] == tmp_path / "out/segmentation/day/a.png"
    assert (np.array(Image.open(written[0])) == model.predict(pixels)).all()
    assert sent["all.zip"] < 25_000_000


def test_no_more_is_copied_than_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large.png").write_bytes(bytes(50_000))
    monkeypatch.setenv(VARIABLE, "10000")
    with served(tmp_path) as (address, _):
        own = remote.Remote()
        place = own.add(f"{address}/large.png")
        with pytest.raises(InputError, match="no more than 40,000 are unpacked"), own.unpacked(place):
            pass


def test_names_and_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://user:word@host:8000/a%20b/../../../x/1.png?key=2"
    assert (str(remote.place_of(url)), remote.name_of(url)) == ("https:/x/1.png", PurePath("x/1.png"))
    assert model_and_images(["https://host/a"]) == (None, ["https://host/a"])
    for other in ("file:///etc/hostname.png", "reference://host/a.png", "nothing://a.png"):
        with pytest.raises(InputError, match=r"of the protocol .*; known are s3, gs, gcs, https, http"):
            predict_files(small(), other, tmp_path / "out")
    with pytest.raises(InputError, match="where only predict reads"):
        image_files(["https://host/a.png"])
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(InputError, match=r'needs the package fsspec; pip install "pixelnet\[cloud\]"'):
        predict_files(small(), "s3://bucket/a.png", tmp_path / "out")


def test_s3_is_read_as_a_folder_is(bucket: Any, tmp_path: Path) -> None:
    pixels, content, model = picture(20, 24), io.BytesIO(), small()
    bucket.pipe("bucket/day/a.png", encoded(pixels))
    with zipfile.ZipFile(content, "w") as out:
        out.writestr("a.png", encoded(pixels))
    bucket.pipe("bucket/all.zip", content.getvalue())
    for url, name in (("s3://bucket/day/a.png", "a.png"), ("s3://bucket/all.zip", "a.png")):
        (written, *_) = predict_files(model, url, tmp_path / f"out{url[-3:]}")
        assert written.name == name
        assert (np.array(Image.open(written)) == model.predict(pixels)).all()
    with pytest.raises(InputError, match=r"s3:/bucket/none.png is not there"):
        predict_files(model, "s3://bucket/none.png", tmp_path / "out")
