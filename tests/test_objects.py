"""Objects in place of names: arrays, torch data sets, modules, functions, samplers; and what holds of models then."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pixelnet
from pixelnet import Dataset, InputError, PixelNet
from pixelnet.config import read_json
from pixelnet.points import Uniform

OPTIONS: dict[str, Any] = {
    "backbone": "test_resnet", "max_steps": 3, "batch_size": 2, "pixels": 50, "crop": (48, 64), "num_workers": 0,
}  # fmt: skip


class Pyramid(nn.Module):
    """Two maps, of strides 2 and 4."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, images: Tensor) -> list[Tensor]:
        first = self.first(images).relu()
        return [first, self.second(first)]


class Tensors(torch.utils.data.Dataset):
    """A torch data set of images (4, H, W) and class ids."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(i)
        return torch.rand(4, 40, 50, generator=generator), torch.randint(0, 2, (40, 50), generator=generator)


class Stripes(Dataset):
    """The shortest data set of one's own."""

    names = ("a", "b", "c")
    class_names = ("even", "odd")

    def image(self, i: int, window: Any = None) -> np.ndarray:
        return np.random.default_rng(i).integers(0, 256, (64, 80, 3), dtype=np.uint8)[window or ...]

    def labels(self, i: int, window: Any = None) -> np.ndarray:
        return np.tile(np.arange(80, dtype=np.uint8) // 8 % 2, (64, 1))[window or ...]


@pytest.fixture
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (64, 80, 3), dtype=np.uint8), rng.integers(0, 3, (64, 80), dtype=np.uint8))
        for _ in range(4)
    ]


def focal(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    sure = logits.log_softmax(1).gather(1, labels.long()[:, None])[:, 0]
    return (weights * -((1 - sure.exp()) ** 2) * sure).sum() / weights.sum()


def test_arrays_are_data(pairs: list, tmp_path: Path) -> None:
    model = pixelnet.train("segmentation", pairs, tmp_path / "run", **OPTIONS)
    assert model.config.class_names == ("0", "1", "2")
    assert pixelnet.evaluate(model, data=pairs)["miou"] > 0
    assert read_json(tmp_path / "run/config.json")["train"]["data"] == "list"
    np.testing.assert_array_equal(pixelnet.load(tmp_path / "run").predict(pairs[0][0]), model.predict(pairs[0][0]))


def test_the_same_data_teach_the_same_in_memory_and_on_disk(folder_data: Callable, tmp_path: Path) -> None:
    spec = f"folder:{folder_data('segmentation', splits=('.',))}"
    disk = pixelnet.open_dataset(spec, "segmentation")
    arrays = [(disk.image(i), disk.labels(i)) for i in range(len(disk))]
    models = [
        pixelnet.train("segmentation", data, tmp_path / name, **{**OPTIONS, "crop": None})
        for name, data in (("disk", spec), ("arrays", arrays))
    ]
    for one, other in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_torch_data_set_of_four_channels_is_data(tmp_path: Path) -> None:
    model = pixelnet.train("segmentation", Tensors(), tmp_path / "run", **OPTIONS)
    assert model.config.in_channels == 4
    assert model.predict(Tensors()[0][0]).shape == (40, 50)


def test_a_data_set_of_ones_own_needs_names_images_and_labels(tmp_path: Path) -> None:
    model = pixelnet.train("segmentation", Stripes(), tmp_path / "run", val_data=Stripes(), **OPTIONS)
    assert model.config.class_names == ("even", "odd")
    assert set(pixelnet.evaluate(model, data=Stripes())["iou_per_class"]) != {None}
    given = Stripes()
    given.task = "segmentation"
    with pytest.raises(InputError, match="labels for segmentation, not for edges"):
        pixelnet.train("edges", given, tmp_path / "other", **OPTIONS)


def test_a_module_a_function_and_a_sampler_go_where_names_do(pairs: list, tmp_path: Path) -> None:
    run, given = tmp_path / "run", {"backbone": Pyramid(), "loss": focal, "sampler": Uniform(30)}
    options = {name: value for name, value in OPTIONS.items() if name != "pixels"} | given
    model = pixelnet.train("segmentation", pairs, run, **options)
    assert model.backbone.strides == (2, 4, 2)  # the last of the pyramid that is laid on any
    settings = read_json(run / "config.json")
    assert [settings["train"][name] for name in given] == ["Pyramid", "focal", "Uniform"]
    assert settings["model"]["objects"] == ["backbone"]
    with pytest.raises(InputError, match=r"an object of its maker's \(Pyramid\), which is not saved; give it again"):
        pixelnet.load(run)
    loaded = pixelnet.load(run, backbone=Pyramid())
    np.testing.assert_array_equal(loaded.predict(pairs[0][0]), model.predict(pairs[0][0]))
    with pytest.raises(InputError, match=r"the task of .* is the library's own segmentation; leave task out"):
        pixelnet.load(run, backbone=Pyramid(), task="edges")
    more = {**options, "resume": True}
    np.testing.assert_array_equal(
        pixelnet.train("segmentation", pairs, run, **more).predict(pairs[0][0]), model.predict(pairs[0][0])
    )


def test_modules_that_give_no_maps_are_refused() -> None:
    class One(Pyramid):
        def forward(self, images: Tensor) -> Any:
            return super().forward(images)[0][:, :, 1:]

    for module, message in ((nn.Flatten(), "no list of maps"), (One(), "no list of maps")):
        with pytest.raises(InputError, match=message):
            PixelNet("edges", backbone=module)

    class Cropped(Pyramid):
        def forward(self, images: Tensor) -> list[Tensor]:
            return [features[:, :, 1:] for features in super().forward(images)]

    with pytest.raises(InputError, match="no whole shares of it"):
        PixelNet("edges", backbone=Cropped())
    with pytest.raises(InputError, match="taps 0 to 1"):
        PixelNet("edges", backbone=Pyramid(), taps=(2,))
    with pytest.raises(InputError, match="backbones by name"):
        PixelNet("edges", backbone=Pyramid(), pretrained=True)


# ------------------------------------------------------------------------------------------------- prediction


def small() -> PixelNet:
    torch.manual_seed(0)
    return PixelNet("segmentation", 5, "test_resnet", head="paper", hidden=(8, 8), dropout=0.5)


def test_a_model_in_training_answers_as_one_in_evaluation_in_any_number_of_threads(pairs: list) -> None:
    image = pairs[0][0]
    expected = small().eval().predict(image)
    model = small().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: model.predict(image), range(6)):
            np.testing.assert_array_equal(found, expected)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_models_of_half_precision_predict(precision: torch.dtype, pairs: list) -> None:
    image, points = pairs[0][0], [(3, 4), (70.5, 20)]
    torch.manual_seed(0)
    exact = PixelNet("edges", backbone="test_efficientnet", hidden=(8,)).eval()
    model = copy.deepcopy(exact).to(precision)
    np.testing.assert_allclose(model.predict(image), exact.predict(image), atol=0.05)
    np.testing.assert_allclose(model.predict(image, points=points), exact.predict(image, points=points), atol=0.05)


def test_every_form_of_an_image_has_the_same_answer(pairs: list) -> None:
    image, model = pairs[0][0], small().eval()
    expected = model.predict(image, probabilities=True)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    forms = [image.astype(np.uint16) * 257, image / 255, (image / 255).astype(np.float32), tensor, tensor / 255]
    for form in forms:
        np.testing.assert_allclose(model.predict(form, probabilities=True), expected, atol=1e-5)
    gray = np.repeat(image[..., :1], 3, axis=2)
    for form in (image[..., 0], image[..., :1], tensor[0]):
        np.testing.assert_array_equal(model.predict(form), model.predict(gray))
    several = model.predict([image, tensor], points=[(1, 2)])
    assert [answer.shape for answer in several] == [(1,), (1,)]
    assert len(model.predict(torch.stack([tensor, tensor]))) == 2


def test_wrong_images_are_refused() -> None:
    model = small()
    for image, message in (
        (np.full((4, 4, 3), 7.0), r"7..7, expected 0..1"),
        (np.full((4, 4, 3), np.nan), "expected 0..1"),
        (np.zeros((4, 4, 3), np.int64), "int64; give uint8"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\), expected"),
        (3, "is a int"),
    ):
        with pytest.raises(InputError, match=message):
            model.predict(image)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------- torch's own


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_give_the_same(backend: str) -> None:
    model = PixelNet("segmentation", 5, Pyramid(), hidden=(8,)).eval()  # of few layers, which compile in seconds
    images, points = torch.rand(2, 3, 40, 56), torch.rand(2, 9, 2) * 40
    compiled = torch.compile(model, backend=backend)
    given = (images, points) if backend == "aot_eager" else (images,)
    torch.testing.assert_close(compiled(*given), model(*given))


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet", "test_resnet@2"])
def test_exported_models_take_images_of_any_size(backbone: str) -> None:
    model = PixelNet("segmentation", 5, backbone, hidden=(8,)).eval()
    given, free = (torch.rand(1, 3, 64, 96), torch.rand(1, 50, 2) * 60), torch.export.Dim.AUTO
    shapes = {"images": {2: free, 3: free}, "points": {1: free}}
    exported = torch.export.export(model, given, dynamic_shapes=shapes).module()
    for size, number in (((64, 96), 50), ((47, 130), 60)):
        images, points = torch.rand(1, 3, *size), torch.rand(1, number, 2) * 40
        torch.testing.assert_close(exported(images, points), model(images, points), atol=1e-5, rtol=1e-4)


def test_copies_are_models_of_their_own(pairs: list) -> None:
    model = small().eval()
    other = copy.deepcopy(model)
    expected = model.predict(pairs[0][0])
    np.testing.assert_array_equal(other.predict(pairs[0][0]), expected)
    with torch.no_grad():
        other.head.last.bias[3] += 100
    assert (other.predict(pairs[0][0]) == 3).all()
    np.testing.assert_array_equal(model.predict(pairs[0][0]), expected)
