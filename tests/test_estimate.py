"""From answers to intervals: what few samples of a class can say."""

import numpy as np
from PIL import Image

import pixelnet
from pixelnet.measure.page import told


def test_few_samples_that_are_all_right_say_little(tmp_path):
    """Of a class of which six samples are all right a third may be wrong."""
    rng = np.random.default_rng(0)
    for k in range(8):
        mapped = np.zeros((40, 50), np.uint8)
        mapped[:2, :10] = 1
        mapped[39, 49] = 2
        for folder, pixels in (("images", rng.integers(0, 255, (40, 50), dtype=np.uint8)), ("maps", mapped)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{k}.png")
    survey = pixelnet.measure.plan(
        tmp_path / "images", tmp_path / "s", predictions=tmp_path / "maps", classes=["a", "b", "c"], budget=300,
        design="uniform",
    )  # fmt: skip
    counts = np.bincount(survey.drawn.mapped, minlength=3)
    assert 1 <= counts[1] <= 8
    assert counts[2] == 0
    for number, own in enumerate(survey.drawn.mapped, start=1):
        pixelnet.measure.label(tmp_path / "s", number, "abc"[own])
    found = {(row["name"], row["class"]): row for row in pixelnet.measure.report(tmp_path / "s")["scores"]}
    for who in ("these_maps", "images_like_these"):
        low, high = found["users", "b"][who]
        assert low <= counts[1] / (counts[1] + 1.96**2)  # Wilson's, of so many draws, all right
        assert high == 1
        assert found["users", "a"][who][0] > 0.98
        assert found["iou", "a"][who][0] < found["users", "a"][who][0] + 0.01
    assert ("users", "c") not in found  # of which no sample is


def test_of_a_class_without_a_sample_the_model_is_not_believed(tmp_path):
    """A model that is sure of itself says how much there is; that it is right nobody has seen."""
    rng = np.random.default_rng(0)
    for k in range(6):
        sure = np.zeros((40, 50, 3), np.float32)
        sure[..., 0], sure[:20, :, 0] = 0.98, 0.01
        sure[..., 1], sure[:20, :, 1] = 0.01, 0.98
        sure[..., 2] = 0.01
        sure[39, 49, :] = (0.01, 0.01, 0.98)
        for folder in ("images", "maps"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 50), dtype=np.uint8)).save(tmp_path / "images" / f"{k}.png")
        np.save(tmp_path / "maps" / f"{k}.npy", sure)
    survey = pixelnet.measure.plan(
        tmp_path / "images", tmp_path / "s", predictions=tmp_path / "maps", classes=["a", "b", "c"], budget=80,
        design="uniform",
    )  # fmt: skip
    assert 2 not in survey.drawn.mapped
    for number, own in enumerate(survey.drawn.mapped, start=1):
        pixelnet.measure.label(tmp_path / "s", number, "abc"[own])
    result = pixelnet.measure.report(tmp_path / "s")
    lines = told(result).splitlines()
    assert [line.split() for line in lines if line.startswith("IoU, c")] == [["IoU,", "c", "?", *["no", "sample"] * 2]]
    assert result["estimator"] == "difference"
    found = {(row["name"], row["class"]): row for row in result["scores"]}
    for who in ("these_maps", "images_like_these"):
        for name in ("iou", "dice", "users", "producers"):
            low, high = found[name, "c"][who]
            assert low < 0.01
            assert high > 0.99
        low, high = found["area", "c"][who]
        assert low < 0.01
        assert high > 0.03  # as little as that may be passed over by 80 samples
    assert found["iou", "a"]["these_maps"][0] > 0.8
