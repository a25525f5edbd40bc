"""Predictions of one image: whole, at points, encoded once and asked often; and of several in a row."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelnet import InputError, PixelNet
from pixelnet.data.transforms import bring_to
from pixelnet.metrics.boundaries import thin
from pixelnet.metrics.morphology import thin_mask

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


FORMS = {
    "words": lambda image: image.astype(np.uint16) * 257,
    "reals": lambda image: image.astype(np.float32) / 255,
    "doubles": lambda image: image / 255,
    "a tensor of bytes": lambda image: torch.from_numpy(image).permute(2, 0, 1),
    "a tensor of words": lambda image: torch.from_numpy(image.astype(np.uint16) * 257).permute(2, 0, 1),
    "a tensor of reals": lambda image: torch.from_numpy(image).permute(2, 0, 1).float() / 255,
    "one that learns": lambda image: (torch.from_numpy(image).permute(2, 0, 1).double() / 255).requires_grad_(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [None, 31])
def test_an_image_is_the_same_in_any_numbers(form: str, size: int | None) -> None:
    model, image = small("regression", image_size=size), picture()
    expected, found = model.predict(image), model.predict(FORMS[form](image))
    # Bytes are rounded to bytes where the image is resized, along either axis.
    np.testing.assert_allclose(found, expected, atol=1e-5 if size is None else 0.02 * np.abs(expected).max())
    if size is not None:
        exact = model.predict(FORMS["reals"](image))
        np.testing.assert_allclose(found, expected if form.endswith("bytes") else exact, atol=1e-5)


def test_several_images_are_several_answers() -> None:
    model, images = small("regression"), [picture(), picture(20, 31), picture(12, 70)]
    for several in (images, tuple(images)):
        found = model.predict(several, adaptive=0.5)
        assert isinstance(found, list)
        for one, image in zip(found, images, strict=True):
            np.testing.assert_array_equal(one, model.predict(image, adaptive=0.5))
    batch = torch.from_numpy(np.stack([picture(), picture()[::-1]])).permute(0, 3, 1, 2)
    found = model.predict(batch, points=[(3, 4)])
    for one, image in zip(found, batch, strict=True):
        np.testing.assert_array_equal(one, model.predict(image, points=[(3, 4)]))
    assert model.predict([]) == []


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (picture().astype(np.float32), r"0\.\.255, expected 0\.\.1.*divide"),
        (np.full((9, 9, 3), np.nan), r"expected 0\.\.1"),
        (picture() / 255 - 0.1, r"expected 0\.\.1"),
        (picture().astype(np.int64), "int64"),
        (picture(9, 9, 5), r"\(9, 9, 5\), expected \(H, W\)"),
        (np.zeros((0, 9, 3), np.uint8), r"\(0, 9, 3\)"),
        (torch.zeros(9, 9, 3, dtype=torch.uint8), r"tensors are \(C, H, W\)"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_image_is_refused(image: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small().predict(image)  # type: ignore[arg-type]


def test_a_gray_picture_is_read_as_a_color_one() -> None:
    model, gray = small(), picture()[..., 0]
    np.testing.assert_array_equal(
        model.predict(Image.fromarray(gray)), model.predict(np.repeat(gray[..., None], 3, axis=2))
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    assert small().predict(picture(*size)).shape == size


def test_other_channels_come_as_arrays() -> None:
    model = small(in_channels=5)
    assert model.predict(picture(20, 30, 5)).shape == (20, 30)
    tensor = torch.from_numpy(picture(20, 30, 5)).permute(2, 0, 1)
    np.testing.assert_array_equal(model.predict(tensor), model.predict(picture(20, 30, 5)))
    for wrong, message in (
        (picture(20, 30, 3), r"\(20, 30, 3\), expected \(H, W, 5\)"),
        (Image.fromarray(picture()), r"the model takes channel 0, channel 1.*give an array \(H, W, C\)"),
        (picture(20, 30, 5).astype(np.float32), r"expected 0\.\.1"),
    ):
        with pytest.raises(InputError, match=message):
            model.predict(wrong)


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    model = small(dropout=0.5).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = model.predict(picture())
    assert model.training == training
    with pytest.raises(InputError):
        model.predict(picture(), points=[[1, 2, 3]])
    assert model.training == training
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
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
    model = small("regression", image_size=size, in_channels=channels)
    image, (height, width) = picture(*shape, channels), shape
    resized, factor = bring_to(image, size)
    pixels = torch.tensor([[x, y] for y in range(height) for x in range(width)], dtype=torch.float64)
    with torch.no_grad():
        places = ((pixels + 0.5) * factor - 0.5).float()
        expected = model(resized[None], places[None]).view(height, width).numpy()
    found = model.predict(image)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    points = np.random.default_rng(0).uniform(-0.5, (width - 0.5, height - 0.5), (50, 2)).astype(np.float32)
    with torch.no_grad():
        places = torch.from_numpy((points + 0.5) * factor - 0.5).float()
        expected = model(resized[None], places[None]).view(50).numpy()
    np.testing.assert_allclose(model.predict(image, points), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_points_of_a_sized_model_are_answered_as_the_whole_image_is(shape: tuple[int, int], size: int) -> None:
    model, image = small("normals", image_size=size), picture(*shape)
    whole = model.predict(image)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found = model.predict(image, np.stack([columns.ravel(), rows.ravel()], axis=1))
    np.testing.assert_allclose(found.reshape(whole.shape), whole, atol=1e-4)


def test_an_image_of_the_size_itself_is_not_touched() -> None:
    model, image = small("regression"), picture()
    expected = model.predict(image)
    for size in (None, 53):
        sized = small("regression", image_size=size)
        sized.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(sized.predict(image), expected)
        np.testing.assert_array_equal(sized.predict(image, adaptive=0.5), model.predict(image, adaptive=0.5))


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="the image size is 0"):
        small(image_size=0)


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
def test_binary_edges_that_cannot_be_are_refused(task, threshold, options, message) -> None:
    model = small(task, threshold=threshold)
    with pytest.raises(InputError, match=message):
        model.predict(picture(), binary=True, **options)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1])
def test_a_threshold_that_is_none_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="the threshold is"):
        small("edges", threshold=threshold)


# ------------------------------------------------------------------------------------------------------ points


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(53, 3)], "1 of 1 points lie outside the image of 53x37: x 53, y 3 is the first; points are x,y"),
        ([(3, 4), (2, 37), (-1, 0), (5, 36)], "2 of 4 points lie outside the image of 53x37: x 2, y 37 is the first"),
        ([(30, 50), (2, 3)], r"x 30, y 50 is the first.*did you swap x and y\?$"),
        ([(30, 50), (700, 3)], "from 0,0 on$"),
    ],
)
def test_points_outside_the_image_are_refused(points: list, message: str) -> None:
    encoded = small().encode(picture())
    for ask in (encoded.at, encoded.hypercolumns, lambda given: small().predict(picture(), given)):
        with pytest.raises(InputError, match=message):
            ask(points)
    assert len(encoded.at([(-0.5, -0.5), (52.5, 36.5)])) == 2  # the corners of its outermost pixels


@pytest.mark.parametrize("points", [[], [1, 2], [[1, 2, 3]], [[np.nan, 1]], [[np.inf, 1]]])
def test_points_that_are_none_are_refused(points: list) -> None:
    with pytest.raises(InputError, match=r"\(P, 2\)"):
        small().predict(picture(), points=points)


# ----------------------------------------------------------------------------------------------------- encoded


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("flip", [False, True])
def test_an_image_that_is_encoded_answers_as_it_does_when_predicted(task: str, flip: bool) -> None:
    model, image, points = small(task, image_size=40), picture(), [(0, 0), (51.5, 36), (7, 20.25)]
    encoded = model.encode(image, flip)
    assert (encoded.width, encoded.height) == (53, 37)
    np.testing.assert_array_equal(encoded.dense(), model.predict(image, flip=flip))
    np.testing.assert_array_equal(encoded.at(points), model.predict(image, points, flip=flip))
    if task in ("segmentation", "edges"):
        np.testing.assert_array_equal(encoded.dense(probabilities=True), model.predict(image, None, True, flip=flip))
        np.testing.assert_array_equal(encoded.at(points, True), model.predict(image, points, True, flip=flip))
    if not flip:
        np.testing.assert_array_equal(encoded.dense(adaptive=0.5), model.predict(image, adaptive=0.5))


def test_an_encoded_image_is_seen_once() -> None:
    model, seen = small(), []
    model.maps, maps = (lambda *given, **options: seen.append(1) or maps(*given, **options)), model.maps  # type: ignore
    encoded = model.encode(picture())
    encoded.dense()
    encoded.dense(adaptive=0.5)
    for x in range(5):
        encoded.at([(x, 3)])
        encoded.hypercolumns([(x, 3)])
    assert len(seen) == 1


@pytest.mark.parametrize("head", ["linear", "linear-bn", "mlp", "paper"])
@pytest.mark.parametrize("size", [None, 80, 31])
@pytest.mark.parametrize("training", [False, True])
def test_hypercolumns_of_an_encoded_image_are_what_the_head_gets(head: str, size: int | None, training: bool) -> None:
    model = small("regression", head=head, hidden=() if head.startswith("linear") else (8,), image_size=size)
    for norm in model.norms.modules():  # as after some training: not 0 and 1
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    image, points = picture(), np.random.default_rng(0).uniform(-0.5, (52.5, 36.5), (50, 2)).astype(np.float32)
    resized, factor = bring_to(image, size)
    with torch.no_grad():
        places = torch.from_numpy((points + 0.5) * factor - 0.5).float()
        expected = model.hypercolumns(resized[None], places[None])[0].numpy()
    encoded = model.train(training).encode(image)
    found = encoded.hypercolumns(points)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    with torch.no_grad():
        values = model.eval().head(torch.from_numpy(found))[:, 0].numpy()
    answers = encoded.at(points)
    np.testing.assert_allclose(values, answers, atol=1e-4 * np.abs(answers).max())


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda encoded: encoded.at([(1, 2)], adaptive=0.5), "adaptive is for all pixels"),
        (lambda encoded: encoded.at([(1, 2)], binary=True), "binary is for all pixels"),
        (lambda encoded: encoded.at([1, 2]), r"\(P, 2\)"),
        (lambda encoded: encoded.hypercolumns([1, 2]), r"\(P, 2\)"),
        (lambda encoded: encoded.dense(adaptive=-0.1), "from 0"),
        (lambda encoded: encoded.dense(binary=True), "no threshold"),
        (lambda encoded: encoded.model.encode(picture(), flip=True).dense(adaptive=0.5), "do not go together"),
    ],
)
def test_an_encoded_image_refuses_what_predict_refuses(ask, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(small("edges").encode(picture()))
