"""The demo end to end, made tiny: the page it leaves, and that it does nothing twice."""

import importlib
import json
import shlex

import numpy as np
import pytest
from test_page import Reader, assert_self_contained

from pixelnet import cli, demo
from pixelnet.config import TrainConfig
from pixelnet.errors import InputError
from pixelnet.tasks import make_task

TINY = {"backbone": "test_resnet", "hidden": (8,), "taps": (0, 1), "max_steps": 2, "batch_size": 2, "num_workers": 0}
WATCH = {"val_every": 1, "val_images": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished demo, and its page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SETTINGS", demo.SETTINGS | TINY | WATCH)
        patch.setattr(demo, "DATA", "scenes:4")
        patch.setattr(demo, "SHOWN", 2)
        folder = tmp_path_factory.mktemp("demo")
        yield folder, demo.demo(folder)


def test_the_page_shows_every_task(finished):
    folder, report = finished
    assert report == folder / "report.html"
    text = report.read_text(encoding="utf-8")
    assert_self_contained(text)
    reader = Reader(text)
    # 2 draws, and of each task 2 rows of 3 and the curves; 1 key of normals, 1 draw for edges
    assert len(reader.pictures()) == 2 + 3 * (2 * 3 + 1) + 1 + 1
    assert sum(tag == "section" for tag, _ in reader.tags) == 5
    for name in ("Input", "Truth", "Prediction", "mean IoU", "median error", "F-measure", "cylinder", "Stratified"):
        assert name in reader.words


def test_each_task_is_an_ordinary_run(finished):
    folder, _ = finished
    for name in demo.TASKS:
        lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "loss" in line] == [1, 2]
        assert (folder / name / "model.safetensors").is_file()
        assert (folder / name / "curves.png").is_file()


def test_a_second_demo_trains_nothing_again(finished):
    folder, _ = finished
    kept = ("model.safetensors", "checkpoint.pt", "metrics.jsonl")
    before = {(name, file): (folder / name / file).read_bytes() for name in demo.TASKS for file in kept}
    times = {key: (folder / key[0] / key[1]).stat().st_mtime_ns for key in before if key[1] != "metrics.jsonl"}
    report = demo.demo(folder)
    assert {(name, file): (folder / name / file).read_bytes() for name, file in before} == before
    assert {key: (folder / key[0] / key[1]).stat().st_mtime_ns for key in times} == times
    assert "Prediction" in report.read_text(encoding="utf-8")


def test_the_scores_are_those_of_the_weights_kept(tmp_path):
    lines = [
        {"step": 1, "loss": 2.0, "seconds": 1.5},
        {"step": 1, "scores": {"mean": 30.0}},
        {"step": 2, "loss": 1.0, "seconds": 0.25},
        {"step": 2, "scores": {"mean": 20.0}},
        {"step": 3, "scores": {"mean": 25.0}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert demo.read_run(tmp_path, make_task("normals")) == ({"mean": 20.0}, 1.75)  # of normals less is better


def test_scores_in_words():
    lines = demo.score_lines("segmentation", {"miou": 0.5, "pixel_accuracy": 0.75, "mean_accuracy": None})
    assert [line.value for line in lines] == ["0.50", "75%", "none"]


@pytest.mark.parametrize("name", demo.TASKS)
def test_the_command_line_says_what_was_done(name, monkeypatch):
    """Read by the command line itself, it gives the demo's own configuration, but for the data and the watching."""
    seen: list[TrainConfig] = []
    monkeypatch.setattr(importlib.import_module("pixelnet.training"), "run", seen.append)
    assert cli.main(shlex.split(demo.command_line(name))[1:]) == 0
    for key, value in demo.SETTINGS.items():
        if key not in demo.WATCHING:
            assert getattr(seen[0], key) == value
    assert (seen[0].task, seen[0].data) == (name, "folder:MY_DATA")


def test_the_color_key_shows_what_normals_look_like():
    normals = make_task("normals")
    key = Reader(demo.LEGENDS["normals"](normals, {})).pictures()[0]
    half, last = key.shape[0] // 2, key.shape[0] - 1
    np.testing.assert_array_equal(key[half, half], normals.paint(np.array([[[0, 0, -1.0]]]))[0, 0])  # towards us
    np.testing.assert_array_equal(key[half, last], normals.paint(np.array([[[1.0, 0, 0]]]))[0, 0])  # to the right
    np.testing.assert_array_equal(key[0, half], normals.paint(np.array([[[0, -1.0, 0]]]))[0, 0])  # up


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "page").write_text("x")
    with pytest.raises(InputError, match="page is a file"):
        demo.demo(tmp_path / "page")
