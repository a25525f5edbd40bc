"""A survey's plan beside people who answer, among its own images, and of classes with odd names."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import save_png

import pixelnet
from pixelnet.errors import InputError
from pixelnet.measure import planning
from pixelnet.measure.survey import Survey, read_survey

NAMES = ("sky", "tree", "road")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Images, and maps of three classes."""
    for k in range(3):
        rng = np.random.default_rng(k)
        save_png(tmp_path / "images" / f"{k}.png", rng.integers(0, 255, (40, 60, 3), np.uint8))
        save_png(tmp_path / "maps" / f"{k}.png", np.tile(np.arange(60, dtype=np.uint8) // 20, (40, 1)))
    return tmp_path


def survey_of(world: Path, out: str, **options: Any) -> Survey:
    given: dict[str, Any] = {"predictions": world / "maps", "classes": NAMES, "budget": 40} | options
    return pixelnet.measure.plan(world / "images", world / out, **given)


def test_answers_given_while_samples_are_added_are_kept(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey_of(world, "s")
    drawn = planning.look

    def slow(*given: Any) -> Any:
        pixelnet.measure.label(world / "s", 2, "tree")  # by somebody who has the page open
        return drawn(*given)

    monkeypatch.setattr(planning, "look", slow)
    more = pixelnet.measure.plan(out=world / "s", add=10)
    assert more.samples[1].answer == read_survey(world / "s").samples[1].answer == "tree"


def test_two_who_add_at_once_do_not_undo_each_other(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey_of(world, "s")
    drawn = planning.look

    def slow(*given: Any) -> Any:
        monkeypatch.setattr(planning, "look", drawn)
        pixelnet.measure.plan(out=world / "s", add=5)
        return drawn(*given)

    monkeypatch.setattr(planning, "look", slow)
    with pytest.raises(InputError, match=r"has added to .* meanwhile"):
        pixelnet.measure.plan(out=world / "s", add=10)
    assert len(read_survey(world / "s").samples) == 45


def test_a_survey_among_its_images_is_no_image(world: Path) -> None:
    first = survey_of(world, "images/s")
    assert len(pixelnet.measure.plan(out=world / "images" / "s", add=10).samples) == 50
    assert survey_of(world, "images/t").plan["images"] == first.plan["images"] == ["0", "1", "2"]


@pytest.mark.parametrize("names", [("sky", "?", "road"), ("sky", " tree", "road"), ("sky", "tree", "tree")])
def test_a_class_that_could_be_no_answer_is_refused(world: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"cannot be an answer|give them names of their own"):
        survey_of(world, "s", classes=names)


def test_somebody_without_a_name_may_label(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey_of(world, "s")
    monkeypatch.setattr("getpass.getuser", lambda: {}[os.getuid()])
    pixelnet.measure.label(world / "s", 1, "tree")
    assert read_survey(world / "s").samples[0].who == "somebody"


@pytest.mark.parametrize("design", ["confidence", "uniform", "proportional", "equal", "neyman", "good-practice"])
def test_a_map_of_one_class_alone_is_surveyed(world: Path, design: str) -> None:
    """Of which the map is as sure everywhere."""
    for k in range(3):
        save_png(world / "maps" / f"{k}.png", np.zeros((40, 60), np.uint8))
    survey = survey_of(world, "s", classes=("sky",), design=design, budget=20)
    for one in survey.samples:
        pixelnet.measure.label(world / "s", one.sample, "sky")
    assert pixelnet.measure.report(world / "s")["scores"][0]["value"] == 1
