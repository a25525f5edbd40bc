"""The experiments' plans: arms that training takes, each once, in the sizes that are claimed. Nothing is trained."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelnet.data import open_dataset
from pixelnet.data.arrays import Arrays
from pixelnet.data.subset import Subset
from recipes.experiments import across, catalog, labelled, runs, scale, sections, small, starts, tables, together
from recipes.experiments.runs import Experiment
from recipes.experiments.scale import Setup

Planned = Callable[..., Experiment]


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """The plan of an experiment, whose data are not written."""
    plans: list[Experiment] = []
    for room in (scale, starts, together):
        monkeypatch.setattr(room, "small", lambda task, data, out: f"folder:{out / task}")
    for room in (starts, together):
        monkeypatch.setattr(room, "rooms", lambda data, out: f"folder:{out / 'rooms'}")
    monkeypatch.setattr(scale, "carry_out", lambda experiment, out: plans.append(experiment) or {"correlation": {}})

    def plan(name: str, **setup: object) -> Experiment:
        catalog.EXPERIMENTS[name](Setup(tmp_path, tmp_path, tmp_path, **setup))  # type: ignore[arg-type]
        return plans.pop()

    return plan


@pytest.mark.parametrize(
    ("name", "setup"),
    [
        *((name, {}) for name in catalog.EXPERIMENTS),
        *((name, {"full": True}) for name in catalog.WITH_FULL),
        *((name, {"steps": 3000, "seeds": 1}) for name in catalog.WITH_STEPS),
    ],
    ids=str,
)
def test_experiments_are_plans_that_training_takes(name: str, setup: dict, planned: Planned) -> None:
    made = planned(name, **setup)
    assert made.name == name + "-full" * ("full" in setup) + "-3000" * ("steps" in setup)
    assert len(made.seeds) == setup.get("seeds", max(3, len(made.seeds)))
    names = [(arm.task, arm.name) for arm in made.arms]
    assert len(set(names)) == len(names)
    for arm in made.arms:
        for task in arm.task.split(",") if arm.control else ():
            assert any(other == arm.control and task in theirs.split(",") for theirs, other in names)
    known = [json.dumps(runs.identity(settings), sort_keys=True) for _, settings in runs.plan(made)]
    assert len(set(known)) == len(known) == len(names) * len(made.seeds)
    for settings in map(json.loads, known):
        assert settings["schedule"] == "step"  # comparisons on the way need a part at the full rate
        assert settings["max_steps"] * tables.FULL_RATE >= settings["val_every"]
        if "steps" in setup:
            assert settings["max_steps"] in (3000, 3 * 3000)  # one network for three tasks takes as many as three


def test_table4_varies_pixels_and_images_apart_and_all_see_as_many_images(planned: Planned) -> None:
    made = planned("table4")
    settings = [settings for arm, settings in runs.plan(made) if (arm.task, settings["seed"]) == ("normals", 0)]
    assert [(own["batch_size"], own["pixels"]) for own in settings] == [
        (1, "4%"), (1, "20%"), (1, "80%"), (5, "4%"), (5, "16%"),
    ]  # fmt: skip
    assert {own["batch_size"] * own["max_steps"] for own in settings} == {1440}


def test_predictors_differ_by_their_heads_alone_and_share_runs_with_table1(planned: Planned) -> None:
    made = planned("predictors")
    found = {arm.name: settings for arm, settings in runs.plan(made) if (arm.task, settings["seed"]) == ("normals", 0)}
    others = {frozenset((key, str(value)) for key, value in own.items() if key not in ("head", "hidden"))
              for name, own in found.items() if "all pixels" not in name}  # fmt: skip
    assert len(others) == 1
    assert {own.get("hidden") for own in found.values()} == {
        None, (64,), (1024,), (64, 64), (256, 256), (1024, 1024),
    }  # fmt: skip
    assert "1,024, all pixels" not in found
    ours, theirs = (
        [runs.identity(settings) for _, settings in runs.plan(own)] for own in (made, planned("table1"))
    )  # fmt: skip
    assert all(own in ours for own in theirs)


def test_across_every_drive_is_unseen_once_and_none_is_on_both_sides(real_data: Path) -> None:
    for unseen in across.DRIVES:
        parts = {
            split: {name for part in own for name in part.names}
            for split, own in across.streets(unseen, real_data).items()
        }
        drives = {split: {name.split("_")[0] for name in names} for split, names in parts.items()}
        assert drives == {
            "train": set(across.DRIVES) - {unseen},
            "val": set(across.DRIVES) - {unseen},
            "test": {unseen},
        }
        assert len(parts["train"] | parts["val"] | parts["test"]) == sum(map(len, parts.values())) == 367
        assert 0.18 < len(parts["val"]) / (367 - len(parts["test"])) < 0.22


def test_rooms_that_were_seen_have_a_neighbor_on_either_side_that_is_learnt_from(real_data: Path) -> None:
    parts = across.rooms_by_number(real_data)
    train, val = ({int(name) for name in parts[split][0].names} for split in ("train", "val"))
    assert len(val) > 100
    assert not train & val
    assert all({number - 1, number + 1} <= train for number in val)
    assert not {int(name) for name in parts["test"][0].names} & (train | val)


def test_a_written_folder_holds_what_its_data_sets_did(tmp_path: Path) -> None:
    whole = open_dataset("scenes:6", "segmentation"), open_dataset("scenes:6", "normals")
    some = {split: [Subset(own, [place, 3], split) for own in whole] for place, split in enumerate(("train", "test"))}
    spec = small.write_folder(tmp_path / "two", lambda: some)
    assert small.write_folder(tmp_path / "two", dict) == spec  # which is there
    for split, members in some.items():
        for task, own in zip(("segmentation", "normals"), members, strict=True):
            found = open_dataset(spec, task, split)
            assert found.class_names == own.class_names
            assert sorted(found.names) == sorted(own.names)
            for item, name in enumerate(found.names):
                theirs = own.names.index(name)
                np.testing.assert_array_equal(found.image(item), own.image(theirs))
                np.testing.assert_allclose(
                    found.labels(item), own.labels(theirs), atol=0.01 if task == "normals" else 0
                )


@pytest.fixture
def streets() -> Arrays:
    """An image of four colors, each a class, one of them on a few pixels alone, with a stripe of no label."""
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:], labels[20:, :30], labels[:2, :3], labels[10:15] = 1, 2, 3, 255
    image = np.array([[10, 10, 10], [90, 90, 90], [150, 150, 150], [250, 250, 250]], np.uint8)[labels % 255]
    return Arrays([(image, labels)], "segmentation")


@pytest.mark.parametrize("how", ["uniform", "by class", "by color"])
@pytest.mark.parametrize("count", [10, 30])
def test_so_many_labelled_pixels_are_chosen_each_once(how: str, count: int, streets: Arrays) -> None:
    points = labelled.chosen(streets, 0, how, count, np.random.default_rng(0))
    found = streets.labels(0)[points[:, 1], points[:, 0]]
    assert len({tuple(point) for point in points.tolist()}) == len(points) == count
    assert (found != 255).all()
    if how == "by class":
        assert np.bincount(found, minlength=4).min() >= min(6, count // 4)
    if how == "by color":
        assert (found == 3).any()  # six pixels of 2,100, which chance hardly finds


def test_by_doubt_half_is_uniform_and_half_is_where_the_margin_is_smallest(streets: Arrays) -> None:
    class Doubting:
        """Sure to the left, and the less sure the farther to the right."""

        def predict(self, image: np.ndarray, points: np.ndarray, probabilities: bool) -> np.ndarray:
            sure = 1 - points[:, 0] / 130
            return np.stack([sure, 1 - sure], axis=1)

    first = labelled.chosen(streets, 0, "uniform", 15, np.random.default_rng(3))
    points = labelled.chosen(streets, 0, "by doubt", 30, np.random.default_rng(3), Doubting())  # type: ignore[arg-type]
    np.testing.assert_array_equal(points[:15], first)
    assert len({tuple(point) for point in points.tolist()}) == 30
    assert points[15:, 0].min() >= 55  # a twentieth of the candidates


def test_a_joint_run_is_in_the_tables_of_all_its_tasks_and_beside_three_of_one(planned: Planned) -> None:
    made = planned("joint", seeds=2)
    result = {"name": "joint", "compare": made.compare, "runs": [], "arms": []}
    result["arms"] = [
        {"task": arm.task, "name": arm.name, "control": arm.control, "published": ""} for arm in made.arms
    ]
    headline = {"segmentation": ("miou", 0.4, 0.5), "normals": ("mean", 30.0, 24.0), "edges": ("quick_f", 0.5, 0.5)}
    for arm, settings in runs.plan(made):
        own = arm.task.split(",")
        steps = settings["max_steps"]
        score = {task: headline[task][1 if len(own) == 1 else 2] for task in own}
        curve = {
            task: [
                {"step": step, "images": 5 * step, "seconds": step / 2, "score": score[task]}
                for step in (steps // 2, steps)
            ]
            for task in own
        }
        scores = {task: {headline[task][0]: score[task], "iou_per_class": {"a": 0.5}} for task in own}
        several = {"scores": scores, "curve": curve}
        single = {"scores": scores[own[0]], "curve": curve[own[0]]}
        result["runs"].append(
            {"task": arm.task, "arm": arm.name, "seed": settings["seed"], "settings": runs.identity(settings)}
            | {"steps": steps, "seconds": steps / 2, "peak_memory_gib": 1.0} | (single if len(own) == 1 else several)
        )  # fmt: skip
    (_, segmentation), *_, (_, rows) = sections.sections(result)
    assert [row["arm"] for row in segmentation] == ["alone", *(arm.name for arm in made.arms[3:])]
    assert rows[0]["average"].startswith("15.00 ")  # the mean of + 25 %, + 20 % and 0
    assert (rows[0]["seconds"], rows[0]["seconds alone"]) == ("864", "864")


def test_gains_on_seen_and_unseen_places_are_means_over_places(planned: Planned) -> None:
    made = planned("across", seeds=2)
    gain = {"ImageNet": (0.3, 0.1), "pyramid": (0.32, 0.09)}
    result = {"name": "across", "runs": [], "arms": [vars(arm) for arm in made.arms]}
    for arm, settings in runs.plan(made):
        if arm.task == "segmentation":
            kind, _, place = arm.name.rpartition(", ")
            seen, unseen = gain.get(kind, (0.0, 0.0))
            extra = 0.03 * place.startswith("0016E5")
            own = {"val": {"miou": 0.3 + seen}, "test": {"miou": 0.2 + unseen + extra * (kind == "ImageNet")}}
            result["runs"].append({"task": arm.task, "arm": arm.name, "seed": settings["seed"], "splits": own})
    rows = {row["gain"]: row for row in sections.survival(result, "segmentation")}
    imagenet = rows["ImageNet over random weights"]
    assert imagenet["miou, seen"].startswith("0.3000")
    assert imagenet["miou, unseen"].startswith("0.1100")
    assert imagenet["each place, unseen"] == "0001TP unseen +0.1; 0006R0 unseen +0.1; 0016E5 unseen +0.13"
    assert rows["pyramid over ImageNet"]["miou, unseen"].startswith("-0.0200")
