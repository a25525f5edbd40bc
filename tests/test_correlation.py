"""What the experiments learn from in the small, and how alike two pixels of an image are."""

from pathlib import Path

import numpy as np
import pytest

from pixelnet import PixelNet
from pixelnet.data import open_dataset
from recipes.experiments import correlation
from recipes.experiments.small import small


def test_small_data_is_half_the_image_and_every_second_label(camvid_data: Path, tmp_path: Path) -> None:
    source = small("segmentation", camvid_data.parent, tmp_path / "out")
    assert source == f"folder:{tmp_path / 'out' / 'small-camvid'}"
    whole, half = (open_dataset(spec, "segmentation") for spec in (f"camvid:{camvid_data}", source))
    assert (half.names, half.class_names, half.class_colors) == (
        whole.names,
        whole.class_names,
        whole.class_colors,
    )
    for item in range(len(whole)):
        np.testing.assert_array_equal(half.labels(item), whole.labels(item)[::2, ::2])
        means = whole.image(item).reshape(6, 2, 8, 2, 3).mean(axis=(1, 3))
        assert abs(half.image(item) - means).max() <= 0.5
    before = (tmp_path / "out" / "small-camvid" / "dataset.json").stat().st_mtime_ns
    small("segmentation", camvid_data.parent, tmp_path / "out")
    assert (tmp_path / "out" / "small-camvid" / "dataset.json").stat().st_mtime_ns == before


def test_small_normals_and_edges_are_as_they_were(nyudv2_data: Path, bsds500_data: Path, tmp_path: Path) -> None:
    normals = small("normals", nyudv2_data.parent, tmp_path / "out")
    whole, kept = (open_dataset(spec, "normals", "val") for spec in (f"nyudv2:{nyudv2_data}", normals))
    assert abs(kept.labels(0) - whole.labels(0)).max() < 0.01
    np.testing.assert_array_equal(kept.labels(0).any(-1), whole.labels(0).any(-1))
    edges = small("edges", bsds500_data.parent, tmp_path / "out")
    whole, kept = (open_dataset(spec, "edges") for spec in (f"bsds500:{bsds500_data}", edges))
    for item in range(len(whole)):
        shares, expected = kept.labels(item), whole.labels(item)
        assert abs(shares - expected).max() <= 0.5 / 255 + 1e-6
        np.testing.assert_array_equal(shares >= 0.5, expected >= 0.5)


def test_correlation_of_labels_is_that_of_the_whole_maps() -> None:
    """Of neighbors, by all pairs across and down; and of two pixels of an image, by the images' means."""
    dataset = open_dataset("scenes:6", "segmentation")
    found = correlation.correlation(dataset, PixelNet("segmentation", 7, "test_resnet", head="linear").eval())
    maps = np.stack([np.eye(7)[dataset.labels(item)] for item in range(6)])
    maps -= maps.mean(axis=(0, 1, 2))
    own = (maps**2).sum(-1).mean()
    pairs = (maps[:, 1:] * maps[:, :-1]).sum(-1), (maps[:, :, 1:] * maps[:, :, :-1]).sum(-1)
    assert found["labels"][0] == pytest.approx(np.concatenate([p.ravel() for p in pairs]).mean() / own, abs=0.05)
    within = (maps.mean(axis=(1, 2)) ** 2).sum(-1).mean() / own
    assert found["effective"]["labels"] == pytest.approx(1 / within, rel=0.15)
    assert found["hypercolumns"][0] > found["hypercolumns"][5]


def test_gradients_are_outer_products_of_labels_and_hypercolumns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean correlation of two pixels of an image, from the gradients themselves."""
    monkeypatch.setattr(correlation, "POINTS", 40)
    dataset = open_dataset("scenes:4", "normals")
    model = PixelNet("normals", None, "test_resnet", head="linear").eval()
    found = correlation.correlation(dataset, model)
    samples = [correlation.sample(dataset, model, item) for item in range(4)]
    labels, features = (np.stack([part[k] for part in samples]).astype(float) for k in (1, 2))
    labels -= labels.mean(axis=(0, 1))
    features = (features - features.mean(axis=(0, 1))) / np.maximum(features.std(axis=(0, 1)), 1e-6)
    gradients = np.einsum("ipv,ipd->ipvd", labels, features).reshape(4, 40, -1)
    own = (gradients**2).sum(-1).mean(1)
    pairs = ((gradients.sum(1) ** 2).sum(-1) - 40 * own) / (40 * 39)
    r = pairs.sum() / own.sum()
    assert found["effective"]["gradients"] == pytest.approx(found["pixels"] / (1 + (found["pixels"] - 1) * r), abs=0.1)


def test_effective_pixels_of_independent_ones_are_all_and_of_like_ones_one() -> None:
    rng, apart = np.random.default_rng(0), np.ones((50, 50))
    alone, alike = correlation.Sums(), correlation.Sums()
    for _ in range(200):
        values = rng.normal(size=(50, 1))
        alone.add(values @ values.T, apart)
        alike.add(np.full((50, 50), rng.normal() ** 2), apart)
    assert alone.effective(50) > 40
    assert alike.effective(50) == pytest.approx(1)
    assert alike.by_distance() == [1.0] + [None] * 7
    assert alone.by_distance()[0] == pytest.approx(1 / 50, abs=0.02)  # a pixel is at distance 1 from itself here, too
