"""PixelNet itself: shapes, borders, padding, bands, and what it refuses. Families: see test_backbone.py."""

import numpy as np
import pytest
import torch
from contract_backbone import border_and_random_points, sparse_and_dense_agree
from torch.nn import functional as F

import pixelnet.model
from pixelnet import InputError, PixelNet

OUTPUTS = {"segmentation": 4, "normals": 3, "edges": 1, "regression": 1}


def small(task: str = "segmentation", **options: object) -> PixelNet:
    torch.manual_seed(0)
    classes = 4 if task == "segmentation" else None
    return PixelNet(task, classes, "test_resnet", **{"hidden": (8,), **options}).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("task", OUTPUTS)
def test_shapes(task: str) -> None:
    model, images = small(task), torch.rand(2, 3, 33, 47)
    assert model(images).shape == (2, OUTPUTS[task], 33, 47)
    assert model(images, torch.zeros(2, 9, 2)).shape == (2, 9, OUTPUTS[task])
    assert model(images, torch.zeros(2, 0, 2)).shape == (2, 0, OUTPUTS[task])
    assert model.hypercolumns(images, torch.zeros(2, 9, 2)).shape == (2, 9, 32 + 32 + 48 + 192 + 96)


@pytest.mark.parametrize("head", ["linear", "linear-bn", "mlp", "paper"])
@pytest.mark.parametrize("training", [False, True])
def test_sparse_equals_dense_with_every_head(head: str, training: bool) -> None:
    hidden = None if head.startswith("linear") else (8, 6)
    model = small(head=head, hidden=hidden, dropout=0.0).double().train(training)
    images = torch.rand(2, 3, 41, 39, dtype=torch.float64)
    points = torch.stack([border_and_random_points(n, 39, 41) for n in (0, 1)])
    sparse_and_dense_agree(model, images, points, 1e-9)


@pytest.mark.parametrize("height", [1, 2, 31, 32, 33, 64, 65])
def test_a_dense_prediction_is_upsampled_padded_maps_cut_back(height: int) -> None:
    """By torch's own functions, from the network's own maps."""
    model, width = small(head="linear-bn", hidden=()).double(), 45
    images = torch.rand(1, 3, height, width, dtype=torch.float64)
    padded = torch.from_numpy(np.pad(images.numpy(), ((0, 0), (0, 0), (0, -height % 32), (0, -width % 32)), "edge"))
    with torch.no_grad():
        maps = [norm(m) for norm, m in zip(model.norms.norms, model.backbone(padded), strict=True)]
        size = padded.shape[-2:]
        columns = torch.cat([F.interpolate(m, size, mode="bilinear", align_corners=False) for m in maps], dim=1)
        expected = F.conv2d(columns, model.head[0].weight[:, :, None, None], model.head[0].bias)
        found = model(images)
    torch.testing.assert_close(found, expected[:, :, :height, :width], atol=1e-9 * float(expected.abs().max()), rtol=0)


def test_points_between_pixels_are_grid_samples_of_the_padded_maps() -> None:
    model = small(head="linear", hidden=()).double()
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    points = torch.rand(2, 50, 2, dtype=torch.float64) * torch.tensor([110, 80]) - 8  # some of them outside
    grid = (2 * points + 1) / torch.tensor([96, 64]) - 1
    with torch.no_grad():
        maps = model.maps(images).features
        read = [F.grid_sample(m, grid[:, None], padding_mode="border", align_corners=False) for m in maps]
        expected = torch.cat(read, dim=1)[:, :, 0].permute(0, 2, 1)
        torch.testing.assert_close(model.hypercolumns(images, points), expected, atol=1e-9, rtol=0)
        torch.testing.assert_close(model(images, points), model.head(expected), atol=1e-12, rtol=1e-9)


def test_hypercolumns_are_what_the_head_gets() -> None:
    model, images, points = small(), torch.rand(2, 3, 40, 40), torch.rand(2, 12, 2) * 39
    torch.testing.assert_close(model.head(model.hypercolumns(images, points)), model(images, points))


@pytest.mark.parametrize("head", ["linear", "linear-bn", "mlp", "paper"])
@pytest.mark.parametrize("training", [False, True])
def test_what_is_computed_is_the_definition(head: str, training: bool) -> None:
    """Hypercolumns first, then the head on each."""
    hidden = None if head.startswith("linear") else (8, 6)
    model = small(head=head, hidden=hidden, dropout=0.0).double().train(training)
    images, points = torch.rand(2, 3, 41, 39, dtype=torch.float64), torch.rand(2, 30, 2, dtype=torch.float64) * 44 - 3
    for given in (points, None):
        found, expected = model(images, given), model.by_definition(images, given)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, atol=1e-9 * float(expected.detach().abs().max()), rtol=0)


def test_maps_of_a_resized_image_are_read_in_the_images_own_pixels() -> None:
    model = small().double()
    seen, points = torch.rand(1, 3, 64, 64, dtype=torch.float64), torch.rand(1, 20, 2, dtype=torch.float64) * 128
    found = model.read_head(model.maps(seen, zoom=0.5), points)
    torch.testing.assert_close(found, model(seen, (points + 0.5) * 0.5 - 0.5))


@pytest.mark.parametrize("band", [1, 7, 50, 100_000])
def test_bands_do_not_show(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = small(), torch.rand(2, 3, 23, 21)
    whole = model(images)
    monkeypatch.setattr(pixelnet.model, "BAND", band)
    assert sum(logits.shape[1] for logits in model.bands(model.maps(images), range(23), range(21))) == 23
    torch.testing.assert_close(model(images), whole)


def test_whole_pixels_may_be_asked_for_by_integers() -> None:
    model, images = small(), torch.rand(1, 3, 40, 40)
    points = torch.tensor([[[3, 5], [39, 0]]])
    assert torch.equal(model(images, points), model(images, points.float()))


def test_points_outside_are_read_at_the_border_of_the_maps() -> None:
    model, images = small(), torch.rand(1, 3, 64, 64)
    outside, corner = torch.tensor([[[-50.0, -9.0], [900.0, 70.0]]]), torch.tensor([[[-0.5, -0.5], [63.5, 63.5]]])
    torch.testing.assert_close(model(images, outside), model(images, corner))


def test_each_image_of_a_batch_is_read_in_its_own_maps() -> None:
    model, images, points = small(), torch.rand(3, 3, 40, 50), torch.rand(3, 6, 2) * 39
    alone = torch.cat([model(images[n : n + 1], points[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(model(images, points), alone)


def test_images_are_normalized_by_the_backbones_statistics() -> None:
    model = small()
    with torch.no_grad():
        expected = model.backbone.network((torch.full((1, 3, 32, 32), 0.3) - model.backbone.mean) / model.backbone.std)
        found = model.norms.norms[0](expected[0])
        torch.testing.assert_close(model.maps(torch.full((1, 3, 32, 32), 0.3)).features[0], found)


def test_it_is_differentiable_in_either_mode() -> None:
    images = torch.rand(2, 3, 40, 40, requires_grad=True)
    for training in (False, True):
        model = small().train(training)
        model(images, torch.rand(2, 5, 2) * 39).sum().backward()
        assert all(parameter.grad is not None for parameter in model.head.parameters())
        assert images.grad is not None
        assert images.grad.any()
        images.grad = None


def test_names_give_the_number_of_classes() -> None:
    model = PixelNet(
        "segmentation", backbone="test_resnet", class_names=("sky", "road"), class_colors=((0, 0, 255), (9, 9, 9))
    )
    assert model.config.num_classes == model.task.outputs == 2
    assert model.config.class_names == ("sky", "road")


@pytest.mark.parametrize(
    ("images", "points", "message"),
    [
        (torch.zeros(3, 40, 40), None, r"\(N, 3, H, W\)"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.uint8), None, "floats"),
        (torch.zeros(1, 1, 40, 40), None, r"\(N, 3, H, W\)"),
        (torch.zeros(2, 3, 40, 40), torch.zeros(1, 5, 2), r"give \(2, P, 2\)"),
        (torch.zeros(1, 3, 40, 40), torch.zeros(5, 2), r"give \(1, P, 2\)"),
        (torch.zeros(1, 3, 40, 40), torch.zeros(1, 5, 3), r"give \(1, P, 2\)"),
    ],
)
def test_wrong_shapes_are_refused(images: torch.Tensor, points: torch.Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small()(images, points)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("depth",), {}, "segmentation"),
        (("segmentation",), {}, "number of classes"),
        (("edges", 3), {}, "classes"),
        (("edges", None, "no_such_network"), {}, "no_such_network"),
        (("edges", None, "test_resnet"), {"head": "deep"}, "mlp"),
        (("edges", None, "test_resnet"), {"taps": (7,)}, "7"),
        (("segmentation", 3, "test_resnet"), {"class_names": ("a", "b")}, "2 class names"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PixelNet(*arguments, **options)
