"""What is exported answers as the model does, in onnxruntime and in torch, for any size; or there is no file."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import PIL.Image
import pytest
import torch
from conftest import existing

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.cli import main
from pixelnet.data import open_dataset
from pixelnet.data.transforms import bring_to
from pixelnet.export import Exported, export, writing
from pixelnet.export.graph import Encoder, resized_along_x
from pixelnet.nn import filters
from pixelnet.nn.backbone import ModuleBackbone
from pixelnet.nn.networks import Joined

onnxruntime = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[1]
CLASSES = ("sky", "tree", "road")
LOADED_ALONE = """
import sys, numpy as np, torch
sys.modules["pixelnet"] = None  # whoever imports it fails
program = torch.export.load(sys.argv[1]).module()
for number, path in enumerate(sys.argv[2:]):
    answers = program(torch.from_numpy(np.load(path)))
    np.save(path, answers["edges"].numpy())
"""


class Tiny(torch.nn.Module):
    """Two convolutions, for a tracer takes its time; one map is read before the head's first layer, one after."""

    channels, strides = (4, 24), (2, 8)

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.Conv2d(4, 24, 5, 4, 2)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.fine(images).relu()
        return [fine, self.coarse(fine)]


def small(task: str, image_size: int | None = None) -> PixelNet:
    """With norms as after some training."""
    torch.manual_seed(0)
    names = CLASSES if "segmentation" in task else ()
    model = PixelNet(task, backbone=Tiny(), hidden=(16,), class_names=names, image_size=image_size)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> PixelNet:
    return small("segmentation,normals,edges", image_size=48)


@pytest.fixture(scope="module")
def file(model: PixelNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    done = export(model, path)
    assert done == Exported((path,), done.difference, 7)
    assert 0 < done.difference < 1e-3
    return path


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 90), (131, 17), (64, 48)])
def test_the_file_answers_what_predict_does(model: PixelNet, file: Path, height: int, width: int) -> None:
    session = onnxruntime.InferenceSession(str(file))
    pixels = np.stack([picture(seed, height, width) for seed in (0, 1)])
    names = [output.name for output in session.get_outputs()]
    assert names == ["segmentation", "segmentation_probabilities", "normals", "edges", "logits"]
    answers = dict(zip(names, session.run(None, {"pixels": pixels}), strict=True))
    for n, image in enumerate(pixels):
        expected = model.predict(image)
        assert answers["segmentation"].dtype == np.uint8
        assert (answers["segmentation"][n] == expected["segmentation"]).mean() > 0.99
        np.testing.assert_allclose(answers["normals"][n], expected["normals"], atol=5e-3)
        np.testing.assert_allclose(answers["edges"][n], expected["edges"], atol=2e-3)
        distribution = model.only("segmentation").predict(image, probabilities=True)
        np.testing.assert_allclose(answers["segmentation_probabilities"][n], distribution, atol=2e-3)


def test_the_file_says_what_the_model_is(file: Path) -> None:
    session = onnxruntime.InferenceSession(str(file))
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["class_names"]) == list(CLASSES)
    assert (known["task"], json.loads(known["image_size"])) == ("segmentation,normals,edges", 48)
    assert "thins" in known["beyond_the_network"]
    (pixels,) = session.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape) == ("pixels", "tensor(uint8)", ["N", "H", "W", 3])


@pytest.mark.parametrize("page", ["README.md", "docs/export.md"])
def test_the_lines_that_pages_show_run_without_the_package(
    page: str, model: PixelNet, file: Path, tmp_path: Path
) -> None:
    image = picture(2, 40, 50)
    PIL.Image.fromarray(image).save(tmp_path / "photo.jpg", quality=100)
    name = {"README.md": "mine.onnx", "docs/export.md": "model.onnx"}[page]
    (tmp_path / name).write_bytes(file.read_bytes())
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (code,) = [block for block in blocks if "onnxruntime" in block]
    code += 'import sys\nassert not {"torch", "pixelnet"} & set(sys.modules)\n'
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == CLASSES[model.predict(tmp_path / "photo.jpg")["segmentation"][10, 20]]


def test_the_lines_that_the_readme_shows_run_in_a_browser(model: PixelNet, file: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium on the path")
    runtime = existing("PIXELNET_ONNXRUNTIME_WEB", "../shared/onnxruntime-web")
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        shutil.copy(runtime / name, tmp_path)
    shutil.copy(file, tmp_path / "mine.onnx")
    image = picture(2, 40, 50)
    PIL.Image.fromarray(image).save(tmp_path / "photo.jpg", "png")  # whose pixels all decoders agree on
    (code,) = re.findall(r"^```js\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    code += "globalThis.logits = Array.from((await session.run({ pixels }, ['logits'])).logits.data);"
    imports = '{"imports": {"onnxruntime-web": "./ort.wasm.min.mjs"}}'
    (tmp_path / "index.html").write_text(
        f'<script type="importmap">{imports}</script><script type="module">{code}</script>', encoding="utf-8"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    said = list[str]()
    with sync_api.sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.on("console", lambda message: said.append(message.text) if message.type == "log" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_function("globalThis.logits", timeout=60_000)
        found = np.array(page.evaluate("logits")).reshape(40, 50, -1)
        page.context.browser.close()
    server.shutdown()
    server.server_close()
    with torch.inference_mode():
        expected = torch.cat(list(model.encode(image).logits())).numpy()
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    assert said == [str(model.predict(image)["segmentation"][10, 20])]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("size", [16, 48, 100])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 53), (48, 30), (97, 211), (3, 300), (211, 30)])
def test_resizing_is_pillows(size: int, height: int, width: int) -> None:
    image = picture(size, height, width)
    expected, _ = bring_to(image, size)
    found = torch.from_numpy(image).permute(2, 0, 1)[None]
    for _ in range(2):
        found = resized_along_x(found, size, max(height, width), 1).transpose(2, 3)
    assert torch.equal(found[0], (expected * 255).round().to(torch.uint8))


def test_an_export_that_is_not_the_model_is_not_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    factors = iter([1.01, np.nan, 1.0005])

    def nearly(model: PixelNet, to: str, points: bool, out: Path) -> tuple[dict[Path, bytes], list]:
        factor = next(factors)

        def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
            with torch.inference_mode():
                found = [torch.cat(list(model.encode(image).logits())).numpy() for image in pixels]
            return {"logits": factor * np.stack(found)}

        return {out: b"a file"}, [run]

    monkeypatch.setattr(writing, "_made", nearly)
    for _ in range(2):
        with pytest.raises(InputError, match=r"differs from the model by (1.0e-02|nan) of the largest logit"):
            export(small("edges"), tmp_path / "model.onnx")
        assert not list(tmp_path.iterdir())
    assert export(small("edges"), tmp_path / "model.onnx").difference == pytest.approx(5e-4, rel=1e-2)
    assert (tmp_path / "model.onnx").read_bytes() == b"a file"


def test_what_cannot_be_traced_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def untraceable(self: Encoder, pixels: torch.Tensor) -> None:
        raise ValueError("no such operation")

    monkeypatch.setattr(Encoder, "forward", untraceable)
    with pytest.raises(InputError, match=r"the backbone Tiny cannot be exported: .*no such operation"):
        export(small("edges"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_fitted_model_is_exported_as_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(filters, "SCALES", {1: (0.7,)})  # of many scales the tracer takes a minute
    torch.manual_seed(0)
    several = Joined([ModuleBackbone(Tiny(), None, 3).magnified(2), filters.Filters(3)], 3)
    model = PixelNet("segmentation", backbone=several, head="fitted", class_names=CLASSES).eval()
    model.norms.mean.normal_()
    model.norms.deviation.uniform_(0.5, 2)
    done = export(model, tmp_path / "fitted.onnx")
    assert (done.images, done.difference < 1e-4) == (6, True)
    session = onnxruntime.InferenceSession(str(tmp_path / "fitted.onnx"))
    for height, width in [(1, 2), (33, 58)]:
        image = picture(0, height, width)
        (found,) = session.run(["segmentation_probabilities"], {"pixels": image[None]})
        np.testing.assert_allclose(found[0], model.predict(image, probabilities=True), atol=1e-4)


def test_a_missing_library_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"export needs the package onnxruntime; .*pixelnet\[export\]"):
        export(small("edges"), tmp_path / "model.onnx")


def test_eight_bits_are_scored_beside_the_floats(
    model: PixelNet, file: Path, folder_data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pixelnet.export import int8

    monkeypatch.setattr(int8, "export", lambda _, path: path.write_bytes(file.read_bytes()))
    done = int8.export_int8(model, tmp_path / "int8.onnx", folder_data("edges"))
    assert (done.task.name, done.images) == ("edges", 3)
    dataset, scorer = open_dataset(folder_data("edges"), "edges", "val"), done.task.scorer()
    for i in range(3):
        scorer.update(model.predict(dataset.image(i))["edges"], dataset.truth(i))
    assert done.before.score == pytest.approx(scorer.result()[done.task.headline[0]], abs=1e-3)
    assert min(done.before.seconds, done.after.seconds) > 0
    assert "int8: " in str(done)
    pixels, outputs = picture(0, 20, 30)[None], []
    for path in (file, tmp_path / "int8.onnx"):
        outputs.append(onnxruntime.InferenceSession(str(path)).run(["edges"], {"pixels": pixels})[0])
    assert 0 < np.abs(outputs[0] - outputs[1]).max() < 0.5


def test_points_are_answered_by_two_files(tmp_path: Path) -> None:
    model = small("edges")
    done = export(model, tmp_path / "model.onnx", points=True)
    assert done.difference < 1e-3
    assert [path.name for path in done.files] == ["model.encoder.onnx", "model.points.onnx"]
    encoder, asked = (onnxruntime.InferenceSession(str(path)) for path in done.files)
    for height, width in [(33, 58), (1, 3)]:
        image, border = (
            picture(0, height, width),
            [[0, 0], [width - 1, height - 1], [0, height - 1], [width - 0.5, -0.5]],
        )
        points = np.array([*border, [(width - 1) * 0.3, (height - 1) * 0.7]], dtype=np.float32)
        names = [value.name for value in encoder.get_outputs()]
        maps = dict(zip(names, encoder.run(None, {"pixels": image[None]}), strict=True))
        (edges,) = asked.run(["edges"], {"points": points[None], **maps})
        np.testing.assert_allclose(edges[0], model.predict(image, points), atol=1e-4)
        dense = model.predict(image)
        x, y = points[:3].astype(int).T
        np.testing.assert_allclose(edges[0, :3], dense[y, x], atol=1e-4)


def test_a_program_of_torch_needs_no_pixelnet(tmp_path: Path) -> None:
    model, images = small("edges"), [picture(0, 1, 41), picture(1, 90, 63)]
    export(model, tmp_path / "model.pt2", to="torch")
    files = [tmp_path / f"{number}.npy" for number in range(2)]
    for path, image in zip(files, images, strict=True):
        np.save(path, image[None])
    command = [sys.executable, "-c", LOADED_ALONE, str(tmp_path / "model.pt2"), *map(str, files)]
    subprocess.run(command, check=True, cwd=tmp_path)
    for path, image in zip(files, images, strict=True):
        np.testing.assert_allclose(np.load(path)[0], model.predict(image), atol=1e-4)


def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = str(tmp_path / "model.onnx")
    assert main(["export", "street", "--out", out, "--int8"]) == 2
    assert "--int8 and --data go together" in capsys.readouterr().err
    assert main(["export", "street", "--out", out, "--int8", "--data", "scenes", "--points"]) == 2
    assert "one ONNX file" in capsys.readouterr().err


def test_it_is_a_function_of_the_package() -> None:
    assert pixelnet.export.export is export
    assert writing.CLOSE == 1e-3
