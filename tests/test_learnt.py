"""What a run notes of its images, and what a run that goes on, and a score, make of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import save_png
from tiny import TINY, assert_same_outcome, train_and_stop

import pixelnet
from pixelnet import InputError
from pixelnet.data import open_dataset
from pixelnet.data.arrays import Arrays
from pixelnet.evaluation import table
from pixelnet.runs.learnt import Images, known_images, read_images

SHORT = {**TINY, "crop": None, "max_steps": 4, "val_every": 2, "checkpoint_every": 1, "head": "mlp", "dropout": 0.0}


def noted(run: Path) -> dict:
    return json.loads((run / "images.json").read_text())


def names(run: Path, side: str) -> list[str]:
    return [image["name"] for image in noted(run)[side]]


def pairs(count: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, (16, 20, 3), np.uint8), rng.integers(0, 3, (16, 20)).astype(np.uint8))
        for _ in range(count)
    ]


@pytest.fixture
def run(folder_data: Callable, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of six images without splits, and a short run on it that holds one out and leaves its neighbors out."""
    data = folder_data("segmentation", splits=(".",), items=6)
    pixelnet.train(**{**SHORT, "data": str(data)}, out=tmp_path / "run")
    return data, tmp_path / "run"


def test_a_share_is_held_out_where_there_is_no_val_split(capsys, run: tuple[Path, Path]) -> None:
    _, out = run
    line = "no val split: 1 of 6 images is held out as val (neighbors, by their numbers; 2 beside them are left out)"
    assert f"{line}; --val-share 0 trains on all" in capsys.readouterr().err
    assert names(out, "learnt") == ["0000", "0001", "0002"]
    assert names(out, "held_out") == ["0004"]
    assert "scores" in (out / "metrics.jsonl").read_text()
    assert json.loads((out / "config.json").read_text())["train"]["val_share"] is None


def test_none_is_held_out_if_none_is_asked_for_or_there_is_one(folder_data: Callable, tmp_path: Path, capsys) -> None:
    data = folder_data("edges", splits=(".",), items=3)
    options = {**SHORT, "task": "edges", "max_steps": 1}
    pixelnet.train(**{**options, "data": str(data), "val_share": 0}, out=tmp_path / "all")
    assert len(names(tmp_path / "all", "learnt")) == 3
    assert noted(tmp_path / "all")["held_out"] == []
    assert "val" not in capsys.readouterr().err
    for part in ("images", "edges"):
        for name in ("0001", "0002"):
            (data / part / f"{name}.png").unlink()
    pixelnet.train(**{**options, "data": str(data)}, out=tmp_path / "one")
    assert names(tmp_path / "one", "learnt") == ["0000"]
    assert "no val split, and nothing is held out" in capsys.readouterr().err


def test_images_in_memory_are_held_out_at_random_and_known_by_their_pixels(tmp_path: Path, capsys) -> None:
    pixelnet.train(**{**SHORT, "data": pairs()}, out=tmp_path / "run")
    assert "1 of 6 images is held out as val (drawn at random)" in capsys.readouterr().err
    known = known_images(Arrays(pairs(), "segmentation"))
    assert len({one.image for one in known}) == len({one.labels for one in known}) == 6
    assert {(one["image"], one["labels"]) for side in noted(tmp_path / "run").values() for one in side} == {
        (one.image, one.labels) for one in known
    }


def test_data_that_is_another_each_time_has_no_hashes() -> None:
    class Noisy:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
            return np.random.default_rng().integers(0, 256, (8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)

    assert [one.image for one in known_images(Arrays(Noisy(), "segmentation"))] == [""] * 3


def test_an_image_is_known_by_its_bytes_and_its_page(folder_data: Callable, tmp_path: Path) -> None:
    data = folder_data("edges", splits=(".",), items=3)
    known = known_images(open_dataset(data, "edges"))
    shutil.copytree(data, tmp_path / "elsewhere")
    assert known_images(open_dataset(tmp_path / "elsewhere", "edges")) == known

    class Pages(Arrays):
        def files(self, i: int) -> tuple[Path, ...]:
            return data / "images/0000.png", data / "edges/0000.png"

    pages = Pages(pairs(3), "segmentation")
    pages.names = ["vol[0]", "vol[1]", "other[1]"]
    first, second, third = known_images(pages)
    assert first.image != second.image == third.image
    assert first.labels != second.labels
    assert Images((first,), (second,)) != Images((first,), (third,))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    images = Images(known_images(Arrays(pairs(3), "segmentation")))
    images.write(tmp_path)
    assert read_images(tmp_path) == images
    assert read_images(tmp_path / "nowhere") is None
    for content, says in (("{", "JSON"), ('{"learnt": 3}', "not a list"), ('{"learnt": [{"nam": ""}]}', "nam")):
        (tmp_path / "images.json").write_text(content)
        with pytest.raises(InputError, match=says):
            read_images(tmp_path)


# ------------------------------------------------------------------------------------------------ going on


def test_the_same_images_at_another_place_go_on(folder_data: Callable, tmp_path: Path, monkeypatch) -> None:
    data = folder_data("segmentation", splits=(".",), items=6)
    options = {**SHORT, "data": str(data)}
    pixelnet.train(**options, out=tmp_path / "whole")
    train_and_stop(monkeypatch, 3, **options, out=tmp_path / "stopped")
    data.rename(tmp_path / "moved")
    pixelnet.train(**{**options, "data": str(tmp_path / "moved")}, out=tmp_path / "stopped", resume=True)
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: save_png(data / "images/0001.png", np.zeros((13, 16, 3), np.uint8)), "0001.*another image"),
        (lambda data: save_png(data / "labels/0001.png", np.zeros((13, 16), np.uint8)), "0001.*other labels"),
        (lambda data: [(data / part / "0000.png").unlink() for part in ("images", "labels")], "0000.*is gone"),
        (
            lambda data: [
                shutil.copy(data / part / "0000.png", data / part / "0006.png") for part in ("images", "labels")
            ],
            "0003, of the images it learnt from, is new",  # which was left out before
        ),
        (lambda data: save_png(data / "labels/0004.png", np.ones((16, 16), np.uint8)), "0004.*valid.*other"),
    ],
)  # fmt: skip
def test_other_images_do_not(change: Callable, says: str, run: tuple[Path, Path]) -> None:
    data, out = run
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    change(data)
    with pytest.raises(InputError, match=f"begun on other data: {says}"):
        pixelnet.train(**{**SHORT, "data": str(data)}, out=out, resume=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


# ------------------------------------------------------------------------------------------------- scoring


def test_of_data_without_a_val_split_what_was_held_out_is_scored(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = run
    scores = pixelnet.evaluate(out, data=str(data), json=tmp_path / "scores.json", csv=tmp_path / "rows.csv")
    line = f"scored on the 1 image that {out} held out; the 3 that it learnt from and 2 others are left out"
    assert scores["notes"] == [line]
    assert table(scores).splitlines()[0] == line
    assert (scores["images"], scores["learnt_from"], scores["intervals"]) == (1, 0, {})
    assert [row.split(",")[0] for row in (tmp_path / "rows.csv").read_text().splitlines()] == ["name", "0004"]
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert (stored["images"], stored["learnt_from"], stored["notes"]) == (1, 0, [line])
    alone = pixelnet.evaluate(pixelnet.load(out), data=str(data))
    assert alone["miou"] == scores["miou"]
    assert alone["images"] == 1
    assert f"{table(scores)}".count("too few images to say") > 3


def test_images_that_it_learnt_from_are_said_to_be(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = run
    for part in ("images", "labels"):  # under other names, in another place, beside one that is new
        (tmp_path / "other" / part).mkdir(parents=True)
        for name, other in (("0000", "x"), ("0002", "y"), ("0004", "z")):
            shutil.copy(data / part / f"{name}.png", tmp_path / "other" / part / f"{other}.png")
    scores = pixelnet.evaluate(out, data=str(tmp_path / "other"), split="test", report=tmp_path / "page.html")
    line = f"2 of these 3 images are among those that {out} learnt from: this score says nothing of new images"
    assert scores["notes"] == [line]
    assert scores["learnt_from"] == 2
    assert line in (tmp_path / "page.html").read_text()
    assert table(scores).startswith(line)
    (out / "images.json").unlink()
    assert "learnt_from" not in pixelnet.evaluate(out, data=str(tmp_path / "other"), split="test")


def test_pairs_in_memory_are_known_too(tmp_path: Path) -> None:
    model = pixelnet.train(**{**SHORT, "data": pairs(10)}, out=tmp_path / "run")
    assert pixelnet.evaluate(model, data=pairs(10))["images"] == 2
    learnt = pixelnet.evaluate(model, data=Arrays(pairs(10), "segmentation"))
    assert (learnt["images"], learnt["learnt_from"]) == (10, 8)


def test_a_val_split_is_scored_whole_and_the_train_split_is_what_it_learnt_from(
    folder_data: Callable, tmp_path: Path
) -> None:
    data = str(folder_data("segmentation"))
    pixelnet.train(**{**SHORT, "data": data}, out=tmp_path / "run")
    assert "notes" not in pixelnet.evaluate(tmp_path / "run", data=data)
    assert pixelnet.evaluate(tmp_path / "run", data=data, split="train")["learnt_from"] == 3


def test_two_models_are_scored_on_the_same_images(run: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = run
    pixelnet.train(**{**SHORT, "data": str(data), "seed": 3, "val_share": 0}, out=tmp_path / "all")
    scores = pixelnet.evaluate(out, against=tmp_path / "all", data=str(data))
    assert scores["images"] == scores["against"]["images"] == 1
    assert (scores["learnt_from"], scores["against"]["learnt_from"]) == (0, 1)
    assert f"1 of these 1 image are among those that {tmp_path / 'all'} learnt from" in "\n".join(scores["notes"])
