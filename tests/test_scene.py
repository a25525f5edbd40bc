"""An image in windows is answered as the whole is; and how it is decided that it is cut."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelnet import InputError, PixelNet
from pixelnet.inference import scene
from pixelnet.inference.encoded import encode_views
from pixelnet.inference.reach import reach
from pixelnet.inference.scene import Plan, Planner, answer_points, answered, look
from pixelnet.inference.source import ArraySource
from pixelnet.inference.windows import Tiling, cut, steps_at
from pixelnet.rasters.ground import OnGround

GB = 2**30
# One of each kind, with the size of an image that is larger than its windows.
BACKBONES = {
    "test_resnet": (70, 330), "filters": (110, 190), "test_resnet@2+filters": (20, 210), "test_convnext": (40, 1100),
    "tf_efficientnet_lite0": (32, 1060),
}  # fmt: skip


def model_of(backbone: str, **options: Any) -> PixelNet:
    torch.manual_seed(0)
    return PixelNet("segmentation", 4, backbone, hidden=(8,), **options).eval()


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole(height: int, width: int, scale: Fraction = Fraction(1), **options: Any) -> Plan:
    return Plan(Tiling(height, width, max(height, width), 0, 1), scale, **options)


def logits_of(model: PixelNet, image: np.ndarray, plan: Plan) -> np.ndarray:
    found = np.zeros((*image.shape[:2], model.task.outputs), np.float32)
    source = ArraySource(image)
    for block in plan.tiling.blocks():
        encoded = encode_views(model, look(model, source, plan, block).views)
        with torch.inference_mode():
            found[cut(block.rows), cut(block.columns)] = torch.cat(list(encoded.logits())).numpy()
    return found


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-5 of the largest logit, and but for one label in a million."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert (found.argmax(2) != expected.argmax(2)).mean() <= 1e-6


@pytest.mark.parametrize("backbone", BACKBONES)
def test_tiled_is_whole(backbone: str) -> None:
    model, (height, width) = model_of(backbone), BACKBONES[backbone]
    step, halo = model.backbone.step, reach(model.backbone)
    assert halo is not None
    image, side = picture(height, width), -(-96 // step) * step
    expected = logits_of(model, image, whole(height, width))
    assert abs(np.diff(expected, axis=1)).max() > 1e-3 * abs(expected).max()  # it says something
    tiling = Tiling(height, width, side, halo, step)
    assert tiling.count > 1
    assert_same(logits_of(model, image, Plan(tiling, Fraction(1))), expected)
    with_less = logits_of(model, image, Plan(Tiling(height, width, side, 0, step), Fraction(1)))
    assert abs(with_less - expected).max() > 1e-4 * abs(expected).max()  # which a halo is for


@given(st.data())
@settings(max_examples=5)
def test_whatever_the_size_the_windows_and_the_scale(data: st.DataObject) -> None:
    model = model_of("test_resnet@2+filters")
    height, width = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 180))
    scale, flip = data.draw(st.sampled_from([Fraction(1), Fraction(3, 4), Fraction(2)])), data.draw(st.booleans())
    step = steps_at(model.backbone.step, scale)
    halo = -(-int(80 / scale) // step) * step
    tiling = Tiling(height, width, step * data.draw(st.integers(3, 6)), halo, step)
    image = picture(height, width)
    expected = logits_of(model, image, whole(height, width, scale, flip=flip))
    assert_same(logits_of(model, image, Plan(tiling, scale, flip)), expected)


def test_blocks_are_the_same_bit_for_bit_whoever_answers_for_them() -> None:
    model, image = model_of("test_resnet"), picture(100, 110)
    for blend in (False, True):
        plan = Plan(Tiling(100, 110, 64, 32, 32, blend), Fraction(1), probabilities=True)
        alone = {b.number: a["segmentation"] for b, a in answered(model, ArraySource(image), plan)}
        assert sorted(alone) == list(range(4))
        for share in ([0, 2], [1, 3], [3]):
            some = {b.number: a["segmentation"] for b, a in answered(model, ArraySource(image), plan, share)}
            assert sorted(some) == share
            assert all(np.array_equal(some[number], alone[number]) for number in share)


def test_mixed_answers_are_near_those_of_the_whole_and_show_no_seam() -> None:
    model, image = model_of("mobilenetv3_small_050"), picture(256, 320)
    plan = Plan(Tiling(256, 320, 96, 64, 32, blend=True), Fraction(1), probabilities=True)
    mixed = np.zeros((256, 320, 4), np.float32)
    for block, answers in answered(model, ArraySource(image), plan):
        mixed[cut(block.rows), cut(block.columns)] = answers["segmentation"]
    np.testing.assert_allclose(mixed.sum(2), 1, atol=1e-5)
    steps = abs(np.diff(mixed, axis=1)).max(axis=2)
    seams = steps[:, [95, 191, 287]].mean()
    assert seams < 1.5 * steps.mean()


def test_what_was_not_measured_is_not_answered_for() -> None:
    model, image = model_of("test_resnet"), picture(96, 128)
    source = ArraySource(image.astype(np.float32) / 255)
    source.pixels[:40, 64:] = np.nan
    for tiling in (Tiling(96, 128, 32, 32, 32), Tiling(96, 128, 32, 32, 32, blend=True)):
        found = np.zeros((96, 128), np.uint8)
        for block, answers in answered(model, source, Plan(tiling, Fraction(1))):
            found[cut(block.rows), cut(block.columns)] = answers["segmentation"]
        np.testing.assert_array_equal(found == 255, np.isnan(source.pixels).any(axis=2))


def test_points_are_answered_by_their_windows() -> None:
    model, image = model_of("test_resnet"), picture(200, 230)
    points = np.array([(0, 0), (229, 199), (63.5, 64), (64.4, 20), (100, 150)], np.float32)
    found = answer_points(model, ArraySource(image), Plan(Tiling(200, 230, 64, 128, 32), Fraction(1)), points)
    np.testing.assert_array_equal(found["segmentation"], model.predict(image, points))


def planner(model: PixelNet, memory: float = 4, scale: float | None = None, exact: bool = False) -> Planner:
    return Planner(model, scale, int(memory * GB), exact, resident=0)


def test_photos_are_one_window_and_scenes_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "AT_ONCE", 0)
    model = model_of("test_resnet")
    asked = np.dtype(np.uint8), False, False, None, "a.tif"
    assert planner(model).plan(ArraySource(picture(100, 120)), *asked).whole
    plan = planner(model, memory=0.19).plan(ArraySource(picture(1000, 1200)), *asked)
    assert not plan.whole
    assert plan.tiling.halo == 128  # what covers the receptive field
    assert plan.tiling.side % 32 == 0
    with pytest.raises(InputError, match=r"a memory of 1 MB is too little .* give --memory \d+MB or more"):
        planner(model, memory=0.001).plan(ArraySource(picture(1000, 1200)), *asked)


def test_the_least_memory_that_is_named_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene, "AT_ONCE", 0)
    model, source = model_of("test_resnet"), ArraySource(picture(1000, 1200))
    asked = np.dtype(np.uint8), False, False, None, "a.tif"
    with pytest.raises(InputError, match="give --memory") as raised:
        planner(model, memory=0.001).plan(source, *asked)
    least = int(str(raised.value).split("--memory ")[1].split("MB")[0])
    assert planner(model, memory=least / 1024).plan(source, *asked).tiling.side > 0


def test_a_scene_is_not_squeezed_to_a_working_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("test_resnet", image_size=64)
    asked = np.dtype(np.uint8), False, False
    source = ArraySource(picture(100, 200))
    assert planner(model).plan(source, *asked, None, "a.tif").scale is None
    monkeypatch.setattr(scene, "SCENE", 19_999)
    assert planner(model).plan(source, *asked, None, "a.tif").whole  # a photo may be larger
    message = r"a.tif is 200x100, .* to 64 pixels, which would squeeze it 3 times; .*--scale 1 "
    with pytest.raises(InputError, match=message):
        planner(model).plan(source, *asked, OnGround(None), "a.tif")
    plan = planner(model, scale=1).plan(source, *asked, OnGround(None), "a.tif")
    assert plan.scale == 1
    expected = logits_of(model_of("test_resnet"), source.pixels, whole(100, 200))
    assert_same(logits_of(model, source.pixels, plan), expected)
