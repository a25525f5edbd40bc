"""The protocols of the learner's benchmark: what is drawn, what is scored, and that its parts are what they say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from benchmarks.learner import dense, few, forest, rows, unet
from benchmarks.learner.report import Report, dense_rows, few_rows, report
from benchmarks.learner.sets import LearnerSet, Part
from benchmarks.learner.views import CROP, VIEWS, Views, magnified
from pixelnet import InputError
from pixelnet.data.arrays import Arrays
from pixelnet.data.batches import Batches
from pixelnet.data.dataset import evenly
from pixelnet.data.transforms import Augmentation
from pixelnet.points import make_sampler
from pixelnet.tasks import make_task


def made(count: int = 8, groups: int = 5) -> Part:
    """Images whose class is their brightness: left half 0, right half 1, and a rare 2 in even images."""
    rng = np.random.default_rng(0)
    items = []
    for k in range(count):
        labels = np.zeros((24, 30), np.uint8)
        labels[:, 15:] = 1
        if k % 2 == 0:
            labels[:2, :2] = 2
        image = np.repeat((labels[..., None] * 80 + rng.integers(0, 20, (24, 30, 1))).astype(np.uint8), 3, axis=2)
        items.append((image, labels))
    source = Arrays(items, "segmentation")
    return Part(source, range(count), ("a", "b", "c"), [str(k % groups) for k in range(count)])


def test_counts_are_as_even_as_images_have_them() -> None:
    assert few.shares([100, 100, 100, 100], 10) in ([3, 3, 2, 2], [2, 2, 3, 3])
    assert few.shares([100, 1, 100, 0], 11) == [5, 1, 5, 0]
    assert few.shares([2, 1, 0, 3], 100) == [2, 1, 0, 3]


def test_a_draw_has_its_pixels_in_all_of_as_many_groups_and_is_its_seeds_alone() -> None:
    part = made()
    for seed in range(5):
        chosen, maps = few.draw(part, 10, 3, seed)
        assert len({part.groups[k] for k in chosen}) == len(chosen) == 4
        for k, drawn in zip(chosen, maps, strict=True):
            known = drawn != 255
            np.testing.assert_array_equal(drawn[known], part.labels(k)[known])
        assert [sum(int((drawn == label).sum()) for drawn in maps) for label in (0, 1)] == [10, 10]
        again = few.draw(part, 10, 3, seed)
        assert again[0] == chosen
        np.testing.assert_array_equal(np.stack(again[1]), np.stack(maps))
        _, more = few.draw(part, 40, 3, seed)
        assert all(
            (larger[drawn != 255] == drawn[drawn != 255]).all() for drawn, larger in zip(maps, more, strict=True)
        )
    assert few.draw(part, 10, 3, 0)[0] != few.draw(part, 10, 3, 1)[0]


def test_images_of_few_groups_are_still_four_different_ones() -> None:
    assert len(set(few.draw_images(made(groups=2), 0))) == 4


def test_images_are_spread_evenly() -> None:
    assert evenly(len(made()), 8) == list(range(8))
    assert evenly(len(made()), 3) == [0, 4, 7]


@pytest.mark.parametrize("name", ["forest", "refined"])
def test_a_trial_scores_an_arm_that_knows_the_answer_with_one(
    monkeypatch: pytest.MonkeyPatch, name: few.ArmName
) -> None:
    part = made()

    def arm(images: list[np.ndarray], maps: list[np.ndarray], classes: int) -> few.Answer:
        assert classes == 3
        assert len(images) == len(maps) == (len(part) if name == "refined" else 4)
        assert [(own != 255).any() for own in maps] == [k < 4 for k in range(len(maps))]
        return lambda image: np.minimum(np.rint((image[..., 0] - 9.5) / 80), 2).astype(np.uint8)

    monkeypatch.setattr(few, "arm_of", lambda _: arm)
    found = few.trial(LearnerSet("em", part, part), name, 10, 0)
    assert (found["miou"], found["iou"]) == (1.0, [1.0, 1.0, 1.0])
    assert found["fit"]["wall"] >= 0


def test_the_forest_learns_and_its_filters_are_the_derivatives_they_say() -> None:
    part = made()
    answer = forest.learn([part.image(k) for k in range(4)], few.draw(part, 50, 3, 0)[1], 3)
    assert (answer(part.image(5)) == part.labels(5)).mean() > 0.9

    plane = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    found = forest.at_scale(plane, 3.5)
    inside = (slice(15, -15), slice(15, -15))
    smooth = gaussian_filter(plane.astype(np.float64), 3.5)
    np.testing.assert_allclose(found[0][inside], smooth[inside], atol=0.01)
    dy, dx = np.gradient(smooth)
    np.testing.assert_allclose(found[2][inside], np.hypot(dy, dx)[inside], atol=0.002)
    hessian = np.linalg.eigvalsh(np.array([[3.0, 1.0], [1.0, 2.0]]))
    np.testing.assert_allclose(forest.eigenvalues(*map(np.array, (3.0, 1.0, 2.0))), hessian[::-1])
    assert len(forest.filters(part.image(0))) == 1 + 6 * 8  # gray: its three channels count once


def test_fewer_labels_are_some_of_all_and_the_seeds_alone() -> None:
    part = made()
    assert part.labelled("all", 0) is part
    some, again, other = (part.labelled("20", seed) for seed in (0, 0, 1))
    for k in range(len(part)):
        known = some.labels(k) != 255
        assert known.sum() == 20
        np.testing.assert_array_equal(some.labels(k)[known], part.labels(k)[known])
        np.testing.assert_array_equal(some.labels(k), again.labels(k))
        assert (some.labels(k) != other.labels(k)).any()


def test_rows_survive_a_torn_line_and_are_not_measured_twice(tmp_path: Path) -> None:
    kept = rows.Rows(tmp_path / "few" / "few.jsonl")
    kept.add({"set": "em", "seed": 0}, {"miou": 0.5})
    with kept.path.open("a") as file:
        file.write('{"set": "em", "se')
    found = rows.Rows(kept.path)
    assert found.has({"set": "em", "seed": 0})
    assert not found.has({"set": "em", "seed": 1})
    found.add({"set": "em", "seed": 1}, {"miou": 0.6})
    assert [row["miou"] for row in rows.read(kept.path)] == [0.5, 0.6]


def test_differences_are_paired_by_seed_and_rows_stay_beside_them(tmp_path: Path) -> None:
    assert rows.interval([0.5]) == (0.5, None)
    mean, reach = rows.interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert reach == pytest.approx(2.4841, abs=1e-4)  # 4.3027 / sqrt(3)
    assert rows.difference({0: 0.5, 1: 0.7, 2: 0.9}, {0: 0.4, 1: 0.6, 5: 0.1}) == (
        pytest.approx(0.1), pytest.approx(0, abs=1e-9),
    )  # fmt: skip
    spent = {"processor": 1.0, "wall": 2.0}
    measured = [
        {"set": "em", "count": 10, "arm": arm, "seed": seed, "miou": 0.5 + shift + 0.1 * seed, "fit": spent}
        | {"answer_megapixel": spent}
        for seed in range(3)
        for arm, shift in (("pixelnet", 0.2), ("forest", 0.0))
    ]
    lines = few_rows(json.loads(json.dumps(measured)), "pixelnet")
    assert [line["pixelnet less this"] for line in lines] == ["", "0.2000 ± 0.0000"]
    elsewhere = [row | {"set": "chase", "miou": row["miou"] + 0.2} for row in measured if row["seed"] < 2]
    lines = few_rows([*measured, *elsewhere], "pixelnet")
    (both,) = (line for line in lines if (line["set"], line["arm"]) == ("all", "pixelnet"))
    assert (both["draws"], both["mean IoU"][:6]) == (2, "0.8500")  # of .7, .8, .9 and .9, 1.0
    kept = rows.Rows(tmp_path / "few.jsonl")
    for row in measured:
        kept.add(row, {})
    report(Report(few=kept.path, dense=tmp_path / "none.jsonl", out=tmp_path / "docs"))
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["learner_few.json", "learner_few.jsonl"]
    assert rows.read(tmp_path / "docs" / "learner_few.jsonl") == measured


def test_views_are_those_that_pixelnet_train_cuts() -> None:
    part = made()
    task = make_task("segmentation", class_names=part.class_names)
    theirs = Batches(part, task, make_sampler("all"), Augmentation(), VIEWS, seed=3)[1]
    images, labels = Views(part, magnified(1), 3)[1]
    assert images.shape == (VIEWS, 3, *CROP)
    height, width = theirs.images.shape[-2:]
    torch.testing.assert_close(images[..., :height, :width], theirs.images)
    assert (labels[:, height:] == 255).all()
    real = theirs.weights > 0
    x, y = theirs.points[real].round().long().unbind(-1)
    assert (labels[real.nonzero()[:, 0], y, x] == theirs.labels[real]).float().mean() > 0.95  # .5 is rounded either way


def test_options_and_arms_are_read_or_refused() -> None:
    assert dense.parse("lr=3e-3,scale=[1,2],sampler=hard") == {"lr": 3e-3, "scale": [1, 2], "sampler": "hard"}
    found = list(dense.variants(dense.Dense(arms="unet@2,pixelnet", options="lr=1e-3")))
    assert [arm for arm, _, _ in found] == ["unet@2", "unet@2", "pixelnet"]
    assert found[0][1:] == ("all", {"rate": 1e-3, "encoder_share": 0.3})
    fewer = dense.variants(dense.Dense(arms="unet@1,pixelnet", labels=("all", "20"), rates=(1e-3,)))
    assert [(arm, how) for arm, how, _ in fewer] == [("unet@1", "all"), ("pixelnet", "all"), ("pixelnet", "20")]
    with pytest.raises(InputError, match="NAME=VALUE"):
        dense.parse("lr")
    with pytest.raises(InputError, match="known are"):
        list(dense.variants(dense.Dense(arms="fpn")))


def test_a_unet_answers_at_the_images_size() -> None:
    class Brightness(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert not any(length % unet.STRIDE for length in images.shape[-2:])
            return torch.cat([-images[:, :1], images[:, :1]], dim=1)

    image = np.zeros((50, 70, 3), np.uint8)
    image[20:40, 30:60] = 255
    for magnify in (1, 2):
        np.testing.assert_array_equal(unet.answer(Brightness(), image, magnify), image[..., 0] // 255)


def test_dense_scores_are_compared_with_the_best_of_our_settings() -> None:
    spent = {"processor": 1.0, "wall": 2.0}
    measured = [
        {"set": "chase", "seconds": 400, "arm": arm, "options": {"lr": rate}, "seed": seed, "steps": 5, "fit": spent}
        | {"answer_megapixel": spent, "miou": 0.1, "iou": [0.9, None], "dice": [0.9, value + 0.01 * seed]}
        | {"labels": how}
        for arm, how, rate, value in (
            ("pixelnet", "all", 1, 0.70),
            ("pixelnet", "all", 2, 0.75),
            ("pixelnet", "20", 2, 0.60),
            ("unet@1", "all", 1, 0.72),
        )
        for seed in range(2)
    ]
    lines = dense_rows(measured, "pixelnet")
    assert [line["pixelnet less this"] for line in lines] == [
        "0.0500 ± 0.0000", "", "0.1500 ± 0.0000", "0.0300 ± 0.0000",
    ]  # fmt: skip
    assert lines[2]["share"] == round(0.605 / 0.755, 3)
    assert lines[0]["score"] == "vessel Dice"
    assert lines[0]["IoU of classes"] == "0.900 0.000"
