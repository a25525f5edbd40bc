"""Predictions of images in memory and on disk, and the files they become."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelnet import InputError, PixelNet
from pixelnet.data.images import read_normals
from pixelnet.data.transforms import bring_to
from pixelnet.metrics.boundaries import thin
from pixelnet.metrics.morphology import thin_mask
from pixelnet.predict import image_files, predict_files, read_points

TASKS = {"segmentation": 4, "normals": None, "edges": None, "regression": None}


def small(task: str = "segmentation", **options: object) -> PixelNet:
    torch.manual_seed(0)
    return PixelNet(task, TASKS[task], "test_resnet", **{"hidden": (8,), **options}).eval()  # type: ignore[arg-type]


def picture(height: int = 37, width: int = 53, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_is_the_decoded_dense_output(task: str) -> None:
    model, image = small(task), picture()
    found = model.predict(image)
    logits = model(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0].detach().double().numpy()
    expected = {
        "segmentation": lambda: logits.argmax(0),
        "normals": lambda: (logits / np.sqrt((logits**2).sum(0))).transpose(1, 2, 0),
        "edges": lambda: 1 / (1 + np.exp(-logits[0])),
        "regression": lambda: logits[0],
    }[task]()
    assert found.dtype == (np.uint8 if task == "segmentation" else np.float32)
    assert found.shape == ((37, 53, 3) if task == "normals" else (37, 53))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_points_are_answered_as_the_whole_image_is(task: str) -> None:
    model, image = small(task), picture()
    points = [(0, 0), (52, 36), (7, 20), (52, 0)]
    found, whole = model.predict(image, points=points), model.predict(image)
    np.testing.assert_allclose(found, [whole[y, x] for x, y in points], atol=1e-5)
    assert model.predict(image, points=np.zeros((0, 2))).shape[0] == 0


def test_probabilities_are_a_distribution() -> None:
    model, image = small(), picture()
    shares = model.predict(image, probabilities=True)
    assert shares.shape == (37, 53, 4)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_array_equal(shares.argmax(axis=2), model.predict(image))
    np.testing.assert_allclose(model.predict(image, points=[(3, 4)], probabilities=True), [shares[4, 3]], atol=1e-5)
    with pytest.raises(InputError, match="not a distribution"):
        small("normals").predict(image, probabilities=True)


def test_a_path_a_picture_and_an_array_are_one(tmp_path: Path) -> None:
    model, image = small(), picture()
    Image.fromarray(image).save(tmp_path / "image.png")
    expected = model.predict(image)
    for given in (tmp_path / "image.png", str(tmp_path / "image.png"), Image.fromarray(image)):
        np.testing.assert_array_equal(model.predict(given), expected)


def test_a_grey_picture_is_read_as_a_colour_one() -> None:
    model, grey = small(), picture()[..., 0]
    np.testing.assert_array_equal(
        model.predict(Image.fromarray(grey)), model.predict(np.repeat(grey[..., None], 3, axis=2))
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    assert small().predict(picture(*size)).shape == size


def test_other_channels_come_as_arrays() -> None:
    model = small(channels=5)
    assert model.predict(picture(20, 30, 5)).shape == (20, 30)
    for wrong in (picture(20, 30, 3), "image.png", picture(20, 30, 5).astype(np.float32)):
        with pytest.raises(InputError, match=r"uint8 array \(H, W, 5\)"):
            model.predict(wrong)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model = small().train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = model.predict(picture())
    assert model.training == training
    with pytest.raises(InputError):
        model.predict(picture(), points=[[1, 2, 3]])
    assert model.training == training
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    np.testing.assert_array_equal(found, model.eval().predict(picture()))


def test_a_part_that_was_set_apart_stays_so() -> None:
    """Training with a frozen backbone leaves it in evaluation mode, whatever is predicted meanwhile."""
    model = small().train()
    model.backbone.eval()
    model.predict(picture())
    assert model.training
    assert not model.backbone.training


def test_a_model_of_double_precision_predicts_too() -> None:
    model = small()
    expected = model.predict(picture())
    assert (model.double().predict(picture()) == expected).mean() > 0.99


# -------------------------------------------------------------------------------------------------------- size


SIZES = [((37, 53), 80), ((37, 53), 31), ((90, 41), 33), ((20, 200), 64), ((2, 90), 32)]


@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("channels", [3, 5])
def test_a_sized_model_sees_the_image_at_its_size_and_answers_at_its_pixels(shape, size, channels) -> None:
    model = small("regression", size=size, channels=channels)
    image, (height, width) = picture(*shape, channels), shape
    resized, factor = bring_to(image, size)
    pixels = torch.tensor([[x, y] for y in range(height) for x in range(width)], dtype=torch.float64)
    with torch.no_grad():
        places = ((pixels + 0.5) * factor - 0.5).float()
        expected = model(resized[None].float() / 255, places[None]).view(height, width).numpy()
    found = model.predict(image)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    points = np.random.default_rng(0).uniform(-3, 200, (50, 2)).astype(np.float32)
    with torch.no_grad():
        places = torch.from_numpy((points + 0.5) * factor - 0.5).float()
        expected = model(resized[None].float() / 255, places[None]).view(50).numpy()
    np.testing.assert_allclose(model.predict(image, points), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_points_of_a_sized_model_are_answered_as_the_whole_image_is(shape: tuple[int, int], size: int) -> None:
    model, image = small("normals", size=size), picture(*shape)
    whole = model.predict(image)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found = model.predict(image, np.stack([columns.ravel(), rows.ravel()], axis=1))
    np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=1e-4)


def test_an_image_of_the_size_itself_is_not_touched() -> None:
    model, image = small("regression"), picture()
    expected = model.predict(image)
    for size in (None, 53):
        sized = small("regression", size=size)
        sized.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(sized.predict(image), expected)
        np.testing.assert_array_equal(sized.predict(image, adaptive=0.5), model.predict(image, adaptive=0.5))


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="the size is 0"):
        small(size=0)


# ------------------------------------------------------------------------------------------------ binary edges


def test_binary_edges_are_the_benchmarks_at_the_models_threshold() -> None:
    image = picture(60, 80)
    strength = small("edges").predict(image)
    crests = thin(strength)
    threshold = float(np.median(crests[crests > 0]))
    model = small("edges", threshold=threshold)
    found = model.predict(image, binary=True)
    assert found.dtype == bool
    assert 50 < found.sum() < (crests > 0).sum() / 1.5
    np.testing.assert_array_equal(found, thin_mask(crests >= threshold))
    np.testing.assert_array_equal(model.predict(image), strength)
    np.testing.assert_array_equal(
        model.predict(image, adaptive=0.4, binary=True),
        thin_mask(thin(model.predict(image, adaptive=0.4)) >= threshold),
    )


def test_binary_edges_are_written_in_black_and_white(images: Path, tmp_path: Path) -> None:
    model = small("edges", threshold=0.3)
    predict_files(model, [images / "a.png"], tmp_path, binary=True)
    expected = model.predict(images / "a.png", binary=True)
    assert expected.any()
    stored, view = Image.open(tmp_path / "a.png"), Image.open(tmp_path / "a.view.png")
    assert stored.mode == "L"
    np.testing.assert_array_equal(np.array(stored), np.where(expected, 255, 0))
    np.testing.assert_array_equal(np.array(view), np.where(expected, 0, 255)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize(
    ("task", "threshold", "options", "message"),
    [
        ("normals", None, {}, "the model's task is normals"),
        ("edges", None, {}, "no threshold.*config.json"),
        ("edges", 0.5, {"points": [(1, 2)]}, "binary is for all pixels"),
        ("edges", 0.5, {"probabilities": True}, "no probabilities"),
        ("edges", 0.5, {"adaptive": 2}, "from 0"),
    ],
)
def test_binary_edges_that_cannot_be_are_refused(task, threshold, options, message, images, tmp_path) -> None:
    model = small(task, threshold=threshold)
    with pytest.raises(InputError, match=message):
        model.predict(picture(), binary=True, **options)
    if not options:
        with pytest.raises(InputError, match=message):
            predict_files(model, [images], tmp_path / "out", binary=True)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="the threshold is"):
        small("edges", threshold=threshold)


# ------------------------------------------------------------------------------------------------------ points


@pytest.mark.parametrize("points", [[], [1, 2], [[1, 2, 3]], [[np.nan, 1]], [[np.inf, 1]]])
def test_points_that_are_none_are_refused(points: list) -> None:
    with pytest.raises(InputError, match=r"\(P, 2\)"):
        small().predict(picture(), points=points)


# ------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, (name, size) in enumerate((("a.png", (37, 53)), ("b.JPG", (20, 31)))):
        Image.fromarray(picture(*size) // (number + 1)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_files_hold_the_predictions(task: str, images: Path, tmp_path: Path) -> None:
    model, out = small(task), tmp_path / "out"
    written = predict_files(model, [images], out)
    suffix = "png" if task in ("segmentation", "edges") else "npy"
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in written)
    assert {path.name for path in written} == {f"{n}.{s}" for n in "ab" for s in (suffix, "view.png")}
    for name in ("a.png", "b.JPG"):
        expected = model.predict(images / name)
        path = out / f"{name[0]}.{suffix}"
        stored = np.load(path) if suffix == "npy" else np.array(Image.open(path))
        if task == "segmentation":
            assert stored.dtype == np.uint8
            np.testing.assert_array_equal(stored, expected)
        elif task == "edges":
            assert Image.open(path).mode.startswith("I;16")
            np.testing.assert_allclose(stored / 65535, expected, atol=0.51 / 65535)
        else:
            assert stored.dtype == (np.float16 if task == "normals" else np.float32)
            np.testing.assert_allclose(stored, expected, atol=5e-4 if task == "normals" else 0)
        view = np.array(Image.open(out / f"{name[0]}.view.png"))
        np.testing.assert_array_equal(view, model.task.paint(expected))


@pytest.mark.parametrize("task", TASKS)
def test_points_from_a_table_go_to_a_table(task: str, images: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n3,4\n\n10.5, 7.25\n")
    model, out = small(task), tmp_path / "out"
    written = predict_files(model, [images / "a.png"], out, tmp_path / "points.csv")
    assert [path.name for path in written] == [path.name for path in out.iterdir()] == ["a.csv"]
    rows = list(csv.DictReader((out / "a.csv").open()))
    assert [(float(row["x"]), float(row["y"])) for row in rows] == [(3, 4), (10.5, 7.25)]
    values = [[float(value) for key, value in row.items() if key not in "xy"] for row in rows]
    expected = model.predict(images / "a.png", [(3, 4), (10.5, 7.25)]).reshape(2, -1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert ("prediction" in rows[0]) == (task != "normals")


def test_normals_are_written_in_the_axes_asked_for(images: Path, tmp_path: Path) -> None:
    model, table = small("normals"), tmp_path / "points.csv"
    table.write_text("3,4\n")
    expected = model.predict(images / "a.png") * (1, -1, -1)
    predict_files(model, [images / "a.png"], tmp_path / "out", normals="opengl")
    np.testing.assert_allclose(np.load(tmp_path / "out/a.npy"), expected, atol=5e-4)
    np.testing.assert_allclose(read_normals(tmp_path / "out/a.npy", "opengl") * (1, -1, -1), expected, atol=1e-3)
    view = np.array(Image.open(tmp_path / "out/a.view.png"))
    np.testing.assert_array_equal(view, model.task.paint(model.predict(images / "a.png")))
    predict_files(model, [images / "a.png"], tmp_path / "out", table, normals="opengl")
    (row,) = csv.DictReader((tmp_path / "out/a.csv").open())
    np.testing.assert_allclose([float(row[f"{axis}_normal"]) for axis in "xyz"], expected[4, 3], atol=1e-5)


def test_a_convention_that_will_not_do_is_refused_at_once(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no convention 'directx' of normals; known are pixelnet, opengl"):
        predict_files(small("normals"), [images], tmp_path / "out", normals="directx")
    with pytest.raises(InputError, match="the model's task is edges; leave it out"):
        predict_files(small("edges"), [images], tmp_path / "out", normals="opengl")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["3,4\n5,6\n", "x,y\n3,4\n5,6", "X, Y ,note\n3,4,a\n5,6,b\n", "\ufeffx,y\n3,4\n5,6\n"])
def test_tables_of_points(text: str, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text, encoding="utf-8")
    assert read_points(tmp_path / "points.csv").tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize("content", [b"", b"x,y\n", b"3;4\n", b"3,four\n", b"3,nan\n", b"\xff\xfe3,4"])
def test_tables_that_are_none_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"points\.csv"):
        read_points(tmp_path / "points.csv")
    with pytest.raises(InputError, match=r"none\.csv"):
        read_points(tmp_path / "none.csv")


def test_inputs_that_will_not_do_are_named(images: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        image_files([tmp_path / "empty"])
    with pytest.raises(InputError, match=r"c\.png is not there"):
        image_files([images / "c.png"])
    with pytest.raises(InputError, match="no image was given"):
        image_files([])
    Image.fromarray(picture()).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="both be written as a"):
        image_files([images, tmp_path / "a.png"])
    assert image_files([images, images / "a.png"]) == [images / "a.png", images / "b.JPG"]


def test_a_broken_image_is_named_and_what_was_written_stays(images: Path, tmp_path: Path) -> None:
    (images / "c.png").write_bytes((images / "a.png").read_bytes()[:200])
    with pytest.raises(InputError, match=r"c\.png"):
        predict_files(small(), [images], tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "a.view.png", "b.png", "b.view.png"}


def test_the_images_themselves_are_not_written_over(images: Path) -> None:
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    with pytest.raises(InputError, match="--out"):
        predict_files(small(), [images], images)
    with pytest.raises(InputError, match="--out"):
        predict_files(small(), [images / "a.png"], images / ".." / images.name)
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before
