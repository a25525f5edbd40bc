"""The experiments' logic: which runs there are, that none is repeated, what is made of them. Nothing is measured."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scipy import stats
from tiny import TINY

import pixelnet
from pixelnet import InputError
from pixelnet.data import open_dataset
from pixelnet.runs import record
from recipes import results
from recipes.experiments import correlation, pictures, runs, tables
from recipes.experiments.runs import Arm, Experiment

COMMON = {key: value for key, value in TINY.items() if key != "task"} | {"schedule": "step", "max_steps": 12}
ARMS = (
    Arm("segmentation", "all pixels", {"sampler": "all"}),
    Arm("segmentation", "few", {"pixels": "9"}, "all pixels", "IoU 44.6"),
)


def experiment(**changes: Any) -> Experiment:
    own = {"arms": ARMS, "common": {"segmentation": {**COMMON, "sampler": "uniform"}}, "seeds": (0, 1, 2), **changes}
    return Experiment("made-up", "Two arms.", "python -m recipes made-up", **own)


# -------------------------------------------------------------------------------------------------------- runs


def test_a_plan_has_every_arm_with_every_seed_seed_by_seed() -> None:
    found = [(arm.name, settings["seed"], settings["sampler"]) for arm, settings in runs.plan(experiment())]
    assert found == [
        (name, seed, sampler) for seed in (0, 1, 2) for name, sampler in (("all pixels", "all"), ("few", "uniform"))
    ]


def made_up(settings: dict[str, Any], seconds: float = 1.0, gain: float = 0.0) -> dict[str, Any]:
    """A run as results files hold it: the score rises by .1 each 2 steps, by less with another seed."""
    seed = settings["seed"]
    curve = [
        {"step": step, "images": 2 * step, "seconds": step * seconds, "score": 0.05 * step - 0.01 * seed**2 + gain}
        for step in range(2, settings["max_steps"] + 1, 2)
    ]
    return {
        "seed": seed, "settings": runs.identity(settings), "steps": settings["max_steps"],
        "seconds": settings["max_steps"] * seconds, "curve": curve, "peak_memory_gib": 0.5,
        "scores": {"miou": curve[-1]["score"], "iou_per_class": {"a": 0.2 + gain, "b": None}},
    }  # fmt: skip


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The runs that were really made, in order: (sampler, seed). The sixth call in all fails."""
    calls: list[tuple[str, int]] = []

    def run(settings: dict[str, Any], out: Path, splits: tuple[str, ...]) -> dict[str, Any]:
        if len(calls) == 5 and not any(call[0] == "killed" for call in calls):
            calls.append(("killed", -1))
            raise KeyboardInterrupt
        calls.append((settings["sampler"], settings["seed"]))
        return made_up(settings)

    monkeypatch.setattr(runs, "run_apart", run)
    monkeypatch.setattr(runs, "draw", lambda *_: None)
    monkeypatch.setattr(runs, "side_by_side", lambda: 1)
    return calls


def test_what_is_done_is_not_done_again(tmp_path: Path, carried_out: list) -> None:
    with pytest.raises(KeyboardInterrupt):
        runs.carry_out(experiment(), tmp_path, tmp_path)
    written = json.loads((tmp_path / "made-up.json").read_text())
    assert [(run["arm"], run["seed"]) for run in written["runs"]] == [
        ("all pixels", 0), ("few", 0), ("all pixels", 1), ("few", 1), ("all pixels", 2),
    ]  # fmt: skip
    result = runs.carry_out(experiment(), tmp_path, tmp_path)
    assert carried_out[5:] == [("killed", -1), ("uniform", 2)]
    assert json.loads((tmp_path / "made-up.json").read_text()) == result
    assert [(run["arm"], run["seed"]) for run in result["runs"]] == [
        (arm.name, seed) for seed in (0, 1, 2) for arm in ARMS
    ]
    runs.carry_out(experiment(), tmp_path, tmp_path)
    assert len(carried_out) == 7


def test_another_experiment_with_the_same_settings_takes_the_run_and_gives_it_its_own_name(
    tmp_path: Path, carried_out: list
) -> None:
    runs.carry_out(experiment(seeds=(0, 1)), tmp_path, tmp_path)
    other = Experiment(
        "other", "", "", (Arm("segmentation", "dense", {"sampler": "all"}),), experiment().common, seeds=(1, 2)
    )
    result = runs.carry_out(other, tmp_path, tmp_path)
    assert carried_out[4:] == [("all", 2)]
    assert [(run["arm"], run["seed"]) for run in result["runs"]] == [("dense", 1), ("dense", 2)]


def test_changed_settings_are_another_run_and_arms_that_are_gone_are_dropped(tmp_path: Path, carried_out: list) -> None:
    runs.carry_out(experiment(seeds=(0, 1)), tmp_path, tmp_path)
    changed = (ARMS[0], Arm("segmentation", "some", {"pixels": "10"}))
    result = runs.carry_out(experiment(arms=changed, seeds=(0,)), tmp_path, tmp_path)
    assert carried_out[4:] == [("uniform", 0)]
    assert [(run["arm"], run["seed"]) for run in result["runs"]] == [("all pixels", 0), ("some", 0), ("all pixels", 1)]


def test_a_few_seeds_now_and_more_later_repeat_nothing_and_fewer_lose_nothing(
    tmp_path: Path, carried_out: list
) -> None:
    runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)
    more = runs.carry_out(experiment(seeds=(0, 1)), tmp_path, tmp_path)
    assert carried_out == [("all", 0), ("uniform", 0), ("all", 1), ("uniform", 1)]
    again = runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)
    assert len(carried_out) == 4
    assert again["runs"] == more["runs"]
    changed = (ARMS[0], Arm("segmentation", "few", {"pixels": "8"}))
    again = runs.carry_out(experiment(arms=changed, seeds=(0,)), tmp_path, tmp_path)
    assert [(run["arm"], run["seed"]) for run in again["runs"]] == [
        ("all pixels", 0), ("few", 0), ("all pixels", 1),
    ]  # fmt: skip


def test_runs_know_how_many_were_made_at_once_and_others_take_only_those_of_as_many(
    tmp_path: Path, carried_out: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made-up.json"
    result = runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)
    assert [run[tables.BESIDE] for run in result["runs"]] == [1, 1]
    older = {**result, "machine": {**result["machine"], tables.BESIDE: 2}}
    older["runs"] = [{key: value for key, value in run.items() if key != tables.BESIDE} for run in result["runs"]]
    path.write_text(json.dumps(older))
    result = runs.carry_out(experiment(seeds=(0, 1)), tmp_path, tmp_path)
    assert carried_out[2:] == [("all", 1), ("uniform", 1)]
    assert [run[tables.BESIDE] for run in result["runs"]] == [2, 2, 1, 1]
    other = Experiment("other", "", "", ARMS[:1], experiment().common, seeds=(0, 1))
    runs.carry_out(other, tmp_path, tmp_path)
    assert carried_out[4:] == [("all", 0)]


def test_as_many_runs_go_at_once_as_the_process_may_use_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runs.os, "sched_getaffinity", lambda pid: {1, 5, 7}, raising=False)
    assert runs.side_by_side() == 3
    monkeypatch.delattr(runs.os, "sched_getaffinity")
    assert runs.side_by_side() == runs.os.cpu_count()


def test_a_run_is_prepared_once_and_only_where_it_is_made(tmp_path: Path, carried_out: list) -> None:
    prepared: list[str] = []
    arm = Arm(
        "segmentation", "own", {"data": "folder:there/own-{seed}"}, prepare=lambda own: prepared.append(own["data"])
    )
    for _ in range(2):
        runs.carry_out(experiment(arms=(arm,), seeds=(0, 1)), tmp_path, tmp_path)
    assert prepared == ["folder:there/own-0", "folder:there/own-1"]


def test_another_machine_is_refused_and_what_a_file_holds_besides_is_kept(
    tmp_path: Path, carried_out: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made-up.json"
    result = runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)
    path.write_text(json.dumps({**result, "correlation": {"a": 1}}))
    assert runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)["correlation"] == {"a": 1}
    monkeypatch.setattr(runs, "machine", lambda: {"cores": 1000})
    with pytest.raises(InputError, match="another machine"):
        runs.carry_out(experiment(), tmp_path, tmp_path)


def test_what_was_done_before_there_was_an_option_is_done(tmp_path: Path, carried_out: list) -> None:
    path = tmp_path / "made-up.json"
    result = runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)
    for run in result["runs"]:
        del run["settings"]["init_from"]
    path.write_text(json.dumps(result))
    count = len(carried_out)
    runs.carry_out(experiment(seeds=(0,)), tmp_path, tmp_path)
    assert len(carried_out) == count > 0


def test_a_run_is_known_by_all_its_settings_and_by_no_path() -> None:
    one = {**COMMON, "task": "edges", "seed": 1, "data": "folder:/here/small", "backbone_weights": Path("/here/net.pt")}
    other = {**one, "data": "folder:/there/small", "backbone_weights": "/there/net.pt", "num_workers": 7}
    assert runs.identity(one) == runs.identity(other)
    assert runs.identity(one)["data"] == "folder:small"
    assert "/here" not in json.dumps(runs.identity(one))
    start = {"init_from": "/here/start-1"}  # which need not be there
    for change in ({"seed": 2}, {"weighted": True}, {"pixels": "3"}, {"data": "folder:/here/large"}, start):
        assert runs.identity({**one, **change}) != runs.identity(one)


def test_a_summary_counts_steps_at_their_median_and_takes_the_last_scores() -> None:
    lines = [
        {"step": 1, "loss": 1.0, "pixels": 3, "seconds": 2.0},
        {"step": 1, "scores": {"miou": 0.1, "iou_per_class": [0.1, None], "dice_per_class": [0.2, None]}},
        {"step": 2, "loss": 0.9, "pixels": 3, "seconds": 0.5},
        {"step": 3, "loss": 0.9, "pixels": 3, "seconds": 0.75},
        {"step": 3, "scores": {"miou": 0.3, "iou_per_class": [0.3, None], "dice_per_class": [0.2, None]}},
    ]
    config = {"model": {"task": "segmentation", "class_names": ["a", "b"]}, "train": {"batch_size": 5}}
    assert runs.summary(lines, config) == {
        "steps": 3,
        "seconds": 2.25,
        "scores": {"miou": 0.3, "iou_per_class": {"a": 0.3, "b": None}},
        "curve": [
            {"step": 1, "images": 5, "seconds": 0.75, "score": 0.1},
            {"step": 3, "images": 15, "seconds": 2.25, "score": 0.3},
        ],
    }


def test_a_summary_of_several_tasks_has_scores_and_curves_by_task() -> None:
    found = {
        "joint": 0.5,
        "edges": {"quick_f": 0.6},
        "segmentation": {"miou": 0.3, "iou_per_class": [0.3], "dice_per_class": [1]},
    }
    lines = [{"step": 2, "loss": 1.0, "seconds": 2.0}, {"step": 2, "scores": found}]
    config = {"model": {"task": "segmentation,edges", "class_names": ["a"]}, "train": {"batch_size": 5}}
    made = runs.summary(lines, config)
    assert made["scores"] == {"segmentation": {"miou": 0.3, "iou_per_class": {"a": 0.3}}, "edges": {"quick_f": 0.6}}
    assert made["curve"]["edges"] == [{"step": 2, "images": 10, "seconds": 4.0, "score": 0.6}]
    arms = [
        {"task": task, "name": name, "control": None}
        for task, name in (("segmentation,edges", "one"), ("edges", "own"))
    ]
    single = {**made, "scores": made["scores"]["edges"], "curve": made["curve"]["edges"]}
    ran = [
        {**made, "task": "segmentation,edges", "arm": "one", "seed": 0},
        {**single, "task": "edges", "arm": "own", "seed": 0},
    ]
    result = {"arms": arms, "runs": ran}
    assert tables.tasks_of(result) == ["segmentation", "edges"]
    assert [arm["name"] for arm in tables.of_task(result, "edges")] == ["one", "own"]
    assert [arm["runs"][0]["curve"] for arm in tables.of_task(result, "edges")] == [single["curve"]] * 2


def test_a_run_that_was_killed_goes_on_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**COMMON, "task": "segmentation", "seed": 0, "sampler": "hard", "pixels": "20"}
    step = record.Record.step
    with monkeypatch.context() as patch:

        def stop_after_five(self: Any, done: int, *rest: Any) -> None:
            step(self, done, *rest)
            if done == 5:
                raise KeyboardInterrupt

        patch.setattr(record.Record, "step", stop_after_five)
        with pytest.raises(KeyboardInterrupt):
            pixelnet.train(**settings, out=tmp_path / "run")
    run = runs.run_apart(settings, tmp_path / "run")
    assert run["steps"] == 12
    assert [point["step"] for point in run["curve"]] == [3, 6, 9, 12]
    assert run["scores"]["iou_per_class"].keys() == set(open_dataset("scenes:6", "segmentation").class_names)
    assert run["peak_memory_gib"] > 0.05
    assert not (tmp_path / "run").exists()
    json.dumps(run, allow_nan=False)


# ------------------------------------------------------------------------------------------------------ tables


@pytest.fixture
def result() -> dict[str, Any]:
    """Three seeds of two arms: "few" takes half the seconds, and scores .02, .03 and .04 more with seeds 0, 1, 2."""
    found = {
        "name": "made-up", "what": "Two arms.", "command": "python -m recipes made-up", "machine": {"cores": 2},
        "compare": ["end", "step", "images", "seconds"], "picture": "curves",
        "arms": [
            {"task": "segmentation", "name": "all pixels", "control": None, "published": "IoU 44.4"},
            {"task": "segmentation", "name": "few", "control": "all pixels", "published": "IoU 44.6"},
        ],
        "runs": [],
    }  # fmt: skip
    for arm, settings in runs.plan(experiment()):
        few = arm.name == "few"
        run = made_up(settings, 1 - 0.5 * few, (0.02 + 0.01 * settings["seed"]) * few)
        found["runs"].append({**run, "task": arm.task, "arm": arm.name})
    return found


def test_budgets_are_what_every_run_came_to_at_its_full_rate(result: dict) -> None:
    arms = tables.of_task(result, "segmentation")
    assert [tables.budget(arms, by) for by in ("end", "step", "images", "seconds")] == [None, 10, 20, 5]


def test_scores_on_the_way_lie_between_validations(result: dict) -> None:
    run = result["runs"][0]
    assert tables.score(run, "end", None) == pytest.approx(0.6)
    assert tables.score(run, "seconds", 5.0) == pytest.approx(0.25)
    assert tables.score(run, "seconds", 1.9) is None
    run["curve"][1]["score"] = None
    assert tables.score(run, "seconds", 5.0) == pytest.approx(0.25)
    assert tables.score(run, "seconds", 3.0) == pytest.approx(0.15)


def test_a_summary_has_means_and_paired_differences(result: dict) -> None:
    all_pixels, few = tables.summary(result, "segmentation")
    column = "miou (higher is better) at the end"
    ends = {"all": [0.6, 0.59, 0.56], "few": [0.62, 0.62, 0.6]}
    half = stats.sem(ends["few"]) * stats.t.ppf(0.975, 2)
    assert few[column] == f"0.6133 ± {half:.4f}"
    expected = stats.ttest_rel(ends["few"], ends["all"])
    half = (expected.confidence_interval(0.95).high - expected.confidence_interval(0.95).low) / 2
    assert few["difference to the control at the end"] == f"+0.0300 ± {half:.4f}, p {expected.pvalue:.3f}"
    assert all_pixels["difference to the control at the end"] == ""
    # At 5 seconds all pixels have come to step 5 and few to step 10.
    assert few["miou (higher is better) equal seconds, 5"].startswith("0.5133 ")
    assert all_pixels["miou (higher is better) equal seconds, 5"].startswith("0.2333 ")
    assert (few["published"], few["seconds a step"], few["GiB"], few["seeds"]) == ("IoU 44.6", "0.500", "0.50", 3)


def test_differences_by_class_are_to_the_control_and_absent_classes_have_none(result: dict) -> None:
    all_pixels, few = tables.by_class(result)
    assert (all_pixels["a"], all_pixels["b"]) == ("0.200", "")
    assert (few["a"], few["b"]) == ("0.230 (+0.030*)", "")


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [(0.3, True, "< 10"), (0.5, True, "32"), (0.6, True, "100"), (0.8, True, "> 1,000"), (20, False, "562")],
)
def test_pixels_of_equal_score_are_read_off_the_logarithm(value: float, more: bool, expected: str) -> None:
    line = [(10, 0.4), (100, 0.6), (1000, 0.7)] if more else [(10, 40.0), (100, 23.0), (1000, 19.0)]
    assert tables.uniform_pixels(value, line, more) == expected


def test_a_smaller_number_never_scores_more_on_the_line() -> None:
    assert tables.uniform_pixels(0.6, [(10, 0.4), (100, 0.6), (1000, 0.55)], True) == "100"


def test_pixels_needed_are_the_fewest_whose_interval_is_within_a_twentieth(result: dict) -> None:
    assert tables.needed(result, "segmentation").startswith("segmentation: few come within 5%")
    for run in result["runs"]:
        if run["arm"] == "few":
            run["curve"][-1]["score"] -= 0.05 + 0.01 * run["seed"]  # .03 below with every seed: more than 5 % of .583
    assert "no arm" in tables.needed(result, "segmentation")


@pytest.mark.parametrize("name", ["made-up", "pixels", "samplers", "samplers-full"])
def test_a_section_and_a_picture_are_made_of_every_experiment(
    name: str, result: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result["name"] = name
    if name == "pixels":
        like = {kind: [1.0, 0.5] for kind in correlation.KINDS}
        effective = dict.fromkeys(correlation.KINDS, 12.0)
        result["correlation"] = {"segmentation": {"distance": [1.0, 2.0], **like, "effective": effective}}
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / f"{name}.json").write_text(json.dumps(result))
    pictures.draw(result, folder / f"{name}.png")
    with Image.open(folder / f"{name}.png") as picture:
        assert picture.width > 300
    monkeypatch.setattr(results, "RESULTS", folder)
    (folder / "coverage.json").write_text('{"level": 0.95}')  # which has no section
    results.results()
    text = (tmp_path / "results.md").read_text()
    assert f"## {name}\n" in text
    assert f"![curves](results/{name}.png)" in text
    assert "| few | IoU 44.6 | 0.6133 ±" in text
    assert ("Pixels saved" in text) == ("samplers" in name)
    assert ("12" in text and "hypercolumns" in text) == (name == "pixels")
