"""The demo end to end, made tiny: the page it leaves, that it does nothing twice, and that its commands run."""

import csv
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_page import Reader, assert_self_contained

from pixelnet import cli, demo
from pixelnet.config import TrainConfig
from pixelnet.data.table import PointTable
from pixelnet.demo import few, own, photographs, pictures, trained
from pixelnet.errors import InputError
from pixelnet.tasks import make_task

TINY = {"backbone": "test_resnet", "hidden": (8,), "taps": (0, 1), "max_steps": 2, "batch_size": 2, "num_workers": 0}
WATCH = {"val_every": 2, "val_images": 2}
PAGE = "report.html"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, list[str]]]:
    """A folder with a finished demo, its page, and what the page was each time that it was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "SETTINGS", trained.SETTINGS | TINY | WATCH)
        patch.setattr(trained, "DATA", "scenes:4")
        patch.setattr(trained, "SHOWN", 2)
        patch.setattr(few, "SCENES", "scenes:4")
        patch.setattr(few, "ASKED", 2)
        patch.setattr(few, "FITTING", {"seconds": 1.0, "features": "filters"})
        patch.setattr(few, "FEATURES", "filters")
        patch.setattr(demo, "SECONDS", 1e4)
        folder, pages = tmp_path_factory.mktemp("demo"), []
        lay_out_small(folder)
        write = demo.write_atomic
        patch.setattr(
            demo, "write_atomic", lambda path, content: (pages.append(content.decode()), write(path, content))
        )
        yield folder, demo.demo(folder), pages


def lay_out_small(folder: Path) -> None:
    """The photographs and their points at a quarter of their size, which the demo keeps."""
    (folder / photographs.FOLDER).mkdir()
    for name in photographs.PHOTOS:
        with Image.open(photographs.SOURCE / f"{name}.jpg") as photo:
            photo.reduce(4).save(folder / photographs.FOLDER / f"{name}.jpg")
    rows = csv.reader((photographs.SOURCE / photographs.POINTS).read_text().splitlines()[1:])
    small = [f"{image},{int(x) // 4},{int(y) // 4},{name}\n" for image, x, y, name in rows]
    (folder / photographs.POINTS).write_text("image,x,y,class\n" + "".join(small))


def test_the_page_shows_every_part(finished) -> None:
    folder, report, _ = finished
    assert report == folder / PAGE
    text = report.read_text(encoding="utf-8")
    assert_self_contained(text)
    reader = Reader(text)
    photos = 2 * 4 + 1  # and the key of normals
    clicks = 2 + 2 + 2 * 3  # dots and answer of the photograph, dots of two scenes, and two others
    # 2 draws, and of each task 2 rows of 3 and the curves; 1 key of normals, 1 draw for edges
    assert len(reader.pictures()) == photos + clicks + 2 + 3 * (2 * 3 + 1) + 1 + 1
    assert sum(tag == "section" for tag, _ in reader.tags) == 7
    words = (
        "Input",
        "Truth",
        "Prediction",
        "mean IoU",
        "median error",
        "F-measure",
        "cylinder",
        "Stratified",
        "toilet",
    )
    for name in (*words, "learnt from 48 labelled pixels of 1 image", "on your labels", "spoon", "2 steps in"):
        assert name in reader.words


def test_the_page_is_there_from_the_first_part_on(finished) -> None:
    _, report, pages = finished
    pages = pages[: len(demo.PARTS)]
    for number, text in enumerate(pages, start=1):
        reader = Reader(text)
        assert reader.words.count("Still to come") == (number < len(demo.PARTS))
        assert all((title in reader.words) == (k > number) for k, (title, _) in enumerate(demo.PARTS, 1) if k > 3)
        assert all(command in reader.words for command in own.QUICK)
    assert "Still to come" not in report.read_text(encoding="utf-8")


def test_each_task_is_an_ordinary_run(finished) -> None:
    folder, *_ = finished
    for name in trained.TASKS:
        lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "loss" in line] == [1, 2]
        assert (folder / name / "model.safetensors").is_file()
        assert (folder / name / "curves.png").is_file()


def test_a_second_demo_trains_nothing_again(finished, monkeypatch) -> None:
    folder, *_ = finished
    kept = ("model.safetensors", "checkpoint.pt", "metrics.jsonl")
    before = {(name, file): (folder / name / file).read_bytes() for name in trained.TASKS for file in kept}
    times = {key: (folder / key[0] / key[1]).stat().st_mtime_ns for key in before if key[1] != "metrics.jsonl"}
    points = folder / photographs.POINTS
    points.write_text(points.read_text().replace("spoon", "silver"))  # people may change it
    monkeypatch.setattr(demo, "PARTS", demo.PARTS[1:])  # what it says of photographs takes long, and leaves no file
    report = demo.demo(folder)
    assert {(name, file): (folder / name / file).read_bytes() for name, file in before} == before
    assert {key: (folder / key[0] / key[1]).stat().st_mtime_ns for key in times} == times
    text = report.read_text(encoding="utf-8")
    assert "Prediction" in text
    assert "silver" in text


def test_quick_commands_run_as_they_are_printed(finished, tmp_path, monkeypatch) -> None:
    reader = Reader(finished[1].read_text(encoding="utf-8"))
    photographs.lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    fit, predict = own.QUICK
    assert f"{fit}\n{predict}" in reader.words
    assert cli.main([*shlex.split(fit)[1:], "--features", "filters", "--strength", "0.1"]) == 0  # the quickest
    assert cli.main(shlex.split(predict)[1:]) == 0
    with (
        Image.open(photographs.SOURCE / "coffee.jpg") as photo,
        Image.open("answers/segmentation/coffee.png") as answer,
    ):
        assert answer.size == photo.size
        ids = np.asarray(answer)
    table = PointTable(photographs.POINTS, photographs.FOLDER)
    labels = table.labels(0)
    known = labels != 255
    assert known.sum() == 48
    assert (ids[known] == labels[known]).mean() > 0.8
    assert (tmp_path / "answers/view/coffee.png").is_file()


def test_commands_for_a_whole_folder_run(finished, folder_data, tmp_path, monkeypatch) -> None:
    reader = Reader(finished[1].read_text(encoding="utf-8"))
    assert "\n".join(own.WHOLE) in reader.words
    data = folder_data("segmentation")
    monkeypatch.chdir(tmp_path)
    photo = next(path for path in sorted(data.rglob("*")) if "images" in str(path) and path.is_file())
    put = {"MY_DATA": str(data), "PHOTO.jpg": str(photo)}
    check, learn, predict = (
        [put.get(word, word) for word in shlex.split(line)[1:]] for line in own.WHOLE
    )  # fmt: skip
    small = shlex.split("--backbone test_resnet --max-steps 1 --batch-size 2 --crop 8 8 --pixels 20 --num-workers 0")
    assert cli.main(check) == 0
    assert cli.main([word for word in learn if word != "--pretrained"] + small) == 0
    assert cli.main(predict) == 0
    assert (tmp_path / "answers/view" / f"{photo.stem}.png").is_file()
    assert "--pretrained" in learn


def test_the_time_is_shared_out(tmp_path, monkeypatch) -> None:
    """A part may take an equal share of what is left, whatever those before it took."""
    given: list[float] = []
    now = [0.0]

    def part(_: Path, seconds: float) -> str:
        given.append(seconds)
        now[0] += 30
        return ""

    monkeypatch.setattr(demo, "perf_counter", lambda: now[0])
    monkeypatch.setattr(demo, "PARTS", [(name, part) for name in "abc"])
    monkeypatch.setattr(demo, "SECONDS", 90.0)
    demo.demo(tmp_path)
    assert given == [30, 30, 30]
    monkeypatch.setattr(demo, "SECONDS", 60.0)
    given.clear()
    demo.demo(tmp_path)
    assert given == [20, 15, 0]


def test_scenes_are_fitted_while_there_is_time(tmp_path, monkeypatch) -> None:
    lay_out_small(tmp_path)
    monkeypatch.setattr(few, "FITTING", {"seconds": 1.0, "features": "filters"})
    monkeypatch.setattr(few, "_scenes", lambda: ["of scenes"])
    assert "of scenes" in few.part(tmp_path, 1e4)
    assert "of scenes" not in few.part(tmp_path, 0.0)


def test_a_run_that_goes_on_keeps_its_time(tmp_path) -> None:
    assert trained.minutes_of(tmp_path / "run", 30.0) == 0.5
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text(json.dumps({"train": {"minutes": 0.25}}))
    assert trained.minutes_of(tmp_path / "run", 30.0) == 0.25


def test_the_scores_are_those_of_the_weights_kept(tmp_path) -> None:
    lines = [
        {"step": 0, "total": 2},
        {"step": 1, "loss": 2.0, "seconds": 1.5},
        {"step": 1, "scores": {"mean": 30.0}},
        {"step": 2, "loss": 1.0, "seconds": 0.25},
        {"step": 2, "scores": {"mean": 20.0}},
        {"step": 3, "scores": {"mean": 25.0}},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert trained.read_run(tmp_path, make_task("normals")) == ({"mean": 20.0}, 2, 1.75)  # of normals less is better


def test_scores_in_words() -> None:
    lines = trained.score_lines("segmentation", {"miou": 0.5, "pixel_accuracy": 0.75, "mean_accuracy": None})
    assert [line.value for line in lines] == ["0.50", "75%", "none"]


@pytest.mark.parametrize("name", trained.TASKS)
def test_the_command_line_says_what_was_done(name, monkeypatch) -> None:
    """Read by the command line itself, it gives the demo's own configuration, but for the data and the watching."""
    seen: list[TrainConfig] = []
    monkeypatch.setattr(importlib.import_module("pixelnet.training"), "run", seen.append)
    assert cli.main(shlex.split(trained.command_line(name, 412))[1:]) == 0
    for key, value in {**trained.SETTINGS, "max_steps": 412}.items():
        if key not in trained.WATCHING:
            assert getattr(seen[0], key) == value
    assert (seen[0].task, seen[0].data) == (name, "folder:MY_DATA")


def test_the_color_key_shows_what_normals_look_like() -> None:
    normals = make_task("normals")
    key = Reader(pictures.normals_legend(normals)).pictures()[0]
    half, last = key.shape[0] // 2, key.shape[0] - 1
    np.testing.assert_array_equal(key[half, half], normals.paint(np.array([[[0, 0, -1.0]]]))[0, 0])  # towards us
    np.testing.assert_array_equal(key[half, last], normals.paint(np.array([[[1.0, 0, 0]]]))[0, 0])  # to the right
    np.testing.assert_array_equal(key[0, half], normals.paint(np.array([[[0, -1.0, 0]]]))[0, 0])  # up


def test_the_photographs_are_small_and_of_known_origin() -> None:
    card = (photographs.SOURCE / "README.md").read_text(encoding="utf-8")
    for path in photographs.SOURCE.glob("*.jpg"):
        assert path.stat().st_size <= 60_000
        assert re.search(rf"^\| `{path.name}` \|.*(CC0|public domain)", card, re.MULTILINE)
    assert {path.stem for path in photographs.SOURCE.glob("*.jpg")} == set(photographs.PHOTOS)


def test_the_package_carries_the_photographs() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert '"demo/photos/*"' in project


def test_a_file_in_the_way_is_named(tmp_path) -> None:
    (tmp_path / "page").write_text("x")
    with pytest.raises(InputError, match="page is a file"):
        demo.demo(tmp_path / "page")
