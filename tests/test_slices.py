"""Slices with their neighbors as channels: which pages they are, and a model that keeps them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_channels import discs

import pixelnet
from pixelnet import InputError
from pixelnet.cli import main
from pixelnet.data import open_dataset, with_channels
from pixelnet.data.check import check
from pixelnet.data.folder.form import ClassForm, Form, to_text
from pixelnet.data.folder.proposed import write_form
from pixelnet.data.images import view_of
from pixelnet.data.slices import middle, own_channels, slices_of, with_slices
from pixelnet.files import write_png
from pixelnet.inference.source import FileSource
from pixelnet.measure.maps import ModelMaps
from pixelnet.runs.checkpoint import load_config

SHAPE = (30, 48, 48)
GRAY = ("gray[z-1]", "gray", "gray[z+1]")


def stack(folder: Path, kind: type = np.uint16, name: str = "volume") -> np.ndarray:
    """30 pages of noise, in which the discs of the labels are brighter."""
    labels = np.stack([discs(k) for k in range(SHAPE[0])])
    pages = (np.random.default_rng(0).normal(100, 8, SHAPE) + 60 * labels).clip(0, 255).astype(kind)
    for place, values in (("images", pages), ("labels", labels)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / place / f"{name}.tif", values, photometric="minisblack", metadata={"axes": "ZYX"})
    return pages


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_slice_has_its_neighbors_for_channels_and_its_own_labels(kind: type, tmp_path: Path) -> None:
    pages = stack(tmp_path, kind)
    data = open_dataset(tmp_path, "segmentation", changes={"slices": 3})
    assert data.channels == GRAY
    assert [data.names[0], len(data)] == ["volume[0]", 30]
    for i, name in enumerate(data.names):
        k = int(name[7:-1])
        wanted = np.stack([pages[max(k - 1, 0)], pages[k], pages[min(k + 1, 29)]], axis=2)
        assert (data.image(i) == wanted).all()
        assert (data.image(i, (slice(3, 9), slice(5, 40))) == wanted[3:9, 5:40]).all()
        assert (data.labels(i) == discs(k)).all()
    assert data.ranges is None or data.ranges == data.ranges[:1] * 3
    assert (view_of(data.image(5), data.ranges, data.channels)[..., 0] != view_of(data.image(5))[..., 0]).any()
    assert not check(data).problems


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    stack(tmp_path)
    before = open_dataset(tmp_path, "segmentation", changes={"slices": 5})
    write_form(before)
    after = open_dataset(tmp_path, "segmentation")
    assert after.channels == before.channels == with_slices(("gray",), 5)
    assert after.ranges == before.ranges
    assert with_channels(after, ("gray",)).channels in (("gray",), ("red", "green", "blue"))
    assert with_channels(after, GRAY).channels == GRAY


def test_the_answer_for_a_slice_is_of_it_and_its_neighbors(tmp_path: Path) -> None:
    """What FileSource reads at the ends and between; and an answer hangs on the next slice, but on none after it."""
    pages = stack(tmp_path)
    model = pixelnet.PixelNet(
        "segmentation", num_classes=2, backbone="test_resnet", in_channels=3, channels=GRAY, ranges=[(60, 200)] * 3
    ).eval()
    path = tmp_path / "images/volume.tif"
    for k, around in ((0, (0, 0, 1)), (11, (10, 11, 12)), (29, (28, 29, 29))):
        with FileSource(path, model, k) as source:
            found = source.read(range(5, 40), range(48))
        assert (found == pages[list(around), 5:40].transpose(1, 2, 0)).all()
    pixelnet.predict_files(model, path, tmp_path / "out")
    answers = tifffile.imread(tmp_path / "out/segmentation/volume.tif")
    for k in (0, 7, 29):
        wanted = model.predict(pages[[max(k - 1, 0), k, min(k + 1, 29)]].transpose(1, 2, 0))
        assert (answers[k] == wanted).all()


def test_a_survey_asks_a_slice_with_its_neighbors(tmp_path: Path) -> None:
    pages = stack(tmp_path, np.uint8)
    model = pixelnet.PixelNet("segmentation", num_classes=2, backbone="test_resnet", in_channels=3, channels=GRAY)
    maps = ModelMaps([tmp_path / "images"], model.eval())
    assert (len(maps), maps.view(7).shape) == (30, (48, 48, 3))
    for k in (0, 7, 29):
        wanted = model.predict(pages[[max(k - 1, 0), k, min(k + 1, 29)]].transpose(1, 2, 0))
        assert (maps(k).mapped == wanted).all()


def test_labels_of_the_studio_are_learnt_from_with_neighbors(tmp_path: Path) -> None:
    """There a page has a map of its own, and most have none; see `Project._form`."""
    pages = stack(tmp_path)
    shutil.rmtree(tmp_path / "labels")
    (tmp_path / "studio/labels/images").mkdir(parents=True)
    for k in (3, 29):
        write_png(tmp_path / f"studio/labels/images/volume[{k}].png", discs(k).astype(np.uint8))
    form = Form(
        task="segmentation", images=("**/*.tif",), labels=("studio/labels/{path}.png",), unlabelled=(255,),
        classes=tuple(ClassForm(name, (k,)) for k, name in enumerate(("none", "disc"))), missing_labels="skip",
    )  # fmt: skip
    (tmp_path / "dataset.json").write_text(to_text(form))
    data = open_dataset(tmp_path, "segmentation", changes={"slices": 3})
    pages_of = [int(name.split("[")[1].removesuffix("]")) for name in data.names]
    assert sorted(pages_of) == [3, 29]
    for i, k in enumerate(pages_of):
        assert (data.image(i) == pages[[k - 1, k, min(k + 1, 29)]].transpose(1, 2, 0)).all()
        assert (data.labels(i) == discs(k)).all()


def test_a_stack_is_learnt_scored_and_answered_from_the_command_line(tmp_path: Path) -> None:
    stack(tmp_path / "data")
    run, out = tmp_path / "run", tmp_path / "out"
    said = ["train", "--task", "segmentation", "--data", str(tmp_path / "data"), "--out", str(run), "--slices", "3"]
    said += ["--backbone", "test_resnet", "--max-steps", "10", "--val-every", "10", "--val-images", "2"]
    said += ["--crop", "32", "32", "--pixels", "100", "--batch-size", "2", "--num-workers", "0"]
    assert main(said) == 0
    assert main(["evaluate", str(run), "--data", str(tmp_path / "data"), "--json", str(tmp_path / "scores.json")]) == 0
    assert main(["predict", str(run), str(tmp_path / "data/images"), "--out", str(out)]) == 0
    assert load_config(run).channels == GRAY
    assert tifffile.imread(out / "segmentation/volume.tif").shape == SHAPE


def test_names_and_counts() -> None:
    names = with_slices(("red", "nir"), 3)
    assert names == ("red[z-1]", "nir[z-1]", "red", "nir", "red[z+1]", "nir[z+1]")
    assert (slices_of(names), own_channels(names), names[middle(names)]) == (3, ("red", "nir"), ("red", "nir"))
    assert slices_of(("gray",)) == slices_of(("gray", "gray[z+1]")) == 1
    with pytest.raises(InputError, match="give an odd number up to 31"):
        with_slices(("gray",), 2)


def test_slices_of_what_has_none_are_refused(tmp_path: Path) -> None:
    stack(tmp_path)
    with pytest.raises(InputError, match="slices is 2, expected an odd number"):
        open_dataset(tmp_path, "segmentation", changes={"slices": 2})
    for place in ("images", "labels"):
        tifffile.imwrite(tmp_path / place / "volume.tif", discs(0), photometric="minisblack")
    with pytest.raises(InputError, match=r"slices are of stacks, and images/volume.tif is one image"):
        open_dataset(tmp_path, "segmentation", changes={"slices": 3})
