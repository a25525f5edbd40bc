"""Labels that a model contradicts: regions whose labels were changed come first."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixelnet
from pixelnet import InputError, PixelNet, open_dataset
from pixelnet.cli import main
from pixelnet.data.arrays import Arrays
from pixelnet.data.dataset import Dataset, Window
from pixelnet.inference.methods import model_answers
from pixelnet.label_errors import Suspect, check_labels, label_errors
from pixelnet.label_errors import _draw as label_errors_draw

CLASSES = ("dark", "bright", "red")


def picture(k: int, size: tuple[int, int] = (48, 64)) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of three looks that a network learns in a few steps, and which is which."""
    rng = np.random.default_rng(k)
    ids = rng.integers(0, 3, (size[0] // 16, size[1] // 16)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    looks = np.array([(30, 30, 30), (220, 220, 220), (220, 30, 30)])
    return np.clip(looks[ids] + rng.normal(0, 12, (*size, 3)), 0, 255).astype(np.uint8), ids


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    data = Arrays([picture(k) for k in range(16)], "segmentation", CLASSES)
    options = {"backbone": "test_resnet", "hidden": (16,), "pixels": 300, "crop": None, "scale": (1, 1), "lr": 1e-2}
    pixelnet.train(
        "segmentation", data, out, max_steps=60, backbone_lr=1e-2, val_share=0, num_workers=0, color_jitter=0, **options
    )
    return out


@pytest.fixture
def swapped(tmp_path: Path) -> tuple[Path, set[str]]:
    """A folder of ten images, of which three have a block of a wrong label."""
    wrong = {"2": (0, 16), "5": (16, 32), "7": (32, 0)}
    for k in range(10):
        image, ids = picture(100 + k)
        if str(k) in wrong:
            row, column = wrong[str(k)]
            ids[row : row + 16, column : column + 16] = (ids[row, column] + 1) % 3
        for part, pixels in (("images", image), ("labels", ids)):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / part / f"{k}.png")
    return tmp_path / "data", set(wrong)


def test_wrong_labels_come_first(model: Path, swapped: tuple[Path, set[str]], tmp_path: Path, capsys) -> None:
    data, wrong = swapped
    found = label_errors(model, open_dataset(data, "segmentation"))
    assert {one.name for one in found[:3]} == wrong
    first = next(one for one in found if one.name == "5")
    assert np.abs(np.array(first.box) - (32, 16, 48, 32)).max() <= 3
    assert first.pixels >= 10 * 10
    assert first.doubt <= first.pixels
    ids = picture(105)[1]
    assert first.words == f"labelled {CLASSES[(ids[20, 40] + 1) % 3]}, the model says {CLASSES[ids[20, 40]]}"
    assert main(["check", str(data), "--model", str(model), "--overlay", str(tmp_path / "errors.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(i for i, line in enumerate(lines) if "contradicts most surely" in line)
    assert lines[place + 1].strip() == str(found[0])
    assert np.array(Image.open(tmp_path / "errors.png")).shape[0] == 480


def test_labels_that_the_model_gives_itself_are_not_contradicted(model: Path, swapped: tuple[Path, set[str]]) -> None:
    loaded = pixelnet.load(model)
    images = [picture(200 + k)[0] for k in range(3)]
    data = Arrays([(image, loaded.predict(image)) for image in images], "segmentation", CLASSES)
    assert label_errors(loaded, data) == []
    assert "contradicts no label" in check_labels(loaded, data)


class Values(Dataset):
    """Labels as the model gives them, but for a corner that is far off."""

    def __init__(self, model: PixelNet) -> None:
        self.task, self.model, self.names = model.config.task, model, ["a", "b"]

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return picture(i)[0][window or ...]

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        labels = self.model.predict(self.image(i)).copy()
        if i:
            labels[:8, :10] *= -1 if self.task == "normals" else 5
            labels[:4] = np.nan if self.task == "regression" else 0
        return labels[window or ...]


@pytest.mark.parametrize(("task", "words"), [("normals", "180 degrees"), ("regression", "the model says")])
def test_values_that_are_far_off_are_found(task: str, words: str) -> None:
    data = Values(PixelNet(task, None, "test_resnet", hidden=(4,)).eval())
    (found,) = label_errors(data.model, data)
    assert (found.name, found.box, found.pixels) == ("b", (0, 4, 10, 8), 40)
    assert words in found.words
    assert isinstance(found, Suspect)


class Dark(Arrays):
    """Pictures of 16 bits that use a part of them."""

    ranges = ((100, 100 + 3 * 255),) * 3

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        return super().image(i, window).astype(np.uint16) * 3 + 100


def test_the_picture_shows_dark_images_stretched(model: Path, tmp_path: Path) -> None:
    image, ids = picture(300)
    ids[16:32, 16:32] = (ids[16:32, 16:32] + 1) % 3
    suspect = Suspect(0, "000000", (16, 16, 32, 32), 256, 1.0, "")
    label_errors_draw(model, Dark([(image, ids)], "segmentation", CLASSES), [suspect], tmp_path / "a.png")
    around = np.asarray(Image.fromarray(image[:48, :48]).resize((160, 160), Image.Resampling.NEAREST))
    found = np.asarray(Image.open(tmp_path / "a.png"))[:160]
    np.testing.assert_array_equal(found[:50], around[:50])  # above the box


def test_edges_and_other_tasks_are_refused(model: Path) -> None:
    edges = PixelNet("edges", None, "test_resnet", hidden=(4,)).eval()
    with pytest.raises(InputError, match="edges has no region"):
        label_errors(edges, open_dataset("scenes:2", "edges"))
    with pytest.raises(InputError, match="model is of segmentation, not of edges"):
        label_errors(model, open_dataset("scenes:2", "edges"))
    assert model_answers(edges, open_dataset("scenes:2", "edges"), False)[0].name == "edges"
