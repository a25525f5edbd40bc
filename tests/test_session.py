"""`pixelnet.Session`: what it says follows its labels alone, and is what the model that it saves says."""

import csv
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import save_png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from striped import HEIGHT, NAMES, WIDTH, content, drawn, image, made, stripes

import pixelnet
from pixelnet import InputError
from pixelnet.cli import main
from pixelnet.learning import dense
from pixelnet.learning import fit as fitting
from pixelnet.learning import labels as reading
from pixelnet.learning import session as module
from pixelnet.learning.session import TOO_FEW, Score
from pixelnet.runs import checkpoint


@pytest.fixture(autouse=True)
def few_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters describe a pixel, unless a test says otherwise."""
    monkeypatch.setattr(module, "default", lambda: [(("filters",), 0.1)])


WARM = 5e-2  # how far from its end a fit that begins where the last one ended may stop, as a probability


def assert_same_answers(
    session: pixelnet.Session, model: pixelnet.PixelNet, images: list[np.ndarray], far: float = 5e-3
) -> None:
    for k, pixels in enumerate(images):
        labels, confidence = session.predict(k)
        assert (labels.dtype, confidence.dtype) == (np.uint8, np.float32)
        expected = model.predict(pixels, probabilities=True)
        np.testing.assert_allclose(confidence, expected.max(axis=-1), atol=far)
        first, second = np.sort(expected, axis=-1)[..., :-3:-1].transpose(2, 0, 1)
        clear = first - second > 2 * far
        assert clear.mean() > 0.8
        np.testing.assert_array_equal(labels[clear], expected.argmax(axis=-1)[clear])


# ------------------------------------------------------------------------------------- what it answers


def test_it_learns_and_a_correction_counts_at_once() -> None:
    session = made(2, labelled=1)
    session.fit()
    for k in range(2):
        labels, confidence = session.predict(k)
        assert (labels == stripes()).mean() > 0.8
        assert 1 / 3 - 1e-6 < confidence.min() < 0.6
        assert 0.9 < confidence.max() <= 1
    points, ids = drawn(0)
    session.label(0, points, 2 - ids)  # which is said of the same pixels
    session.fit()
    assert (session.predict(1)[0] == 2 - stripes()).mean() > 0.8


@pytest.mark.parametrize("members", [[(("filters",), 0.1)], [(("edges", "filters"), 0.01), (("filters",), 0.1)]])
def test_it_answers_as_the_model_does_that_it_saves(
    members: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "default", lambda: members)
    session = made(4, labelled=3)
    session.fit()
    session.label(1, *drawn(9))
    session.score()  # which tells how sure it may be
    asked = made(4, labelled=3)
    asked.label(1, *drawn(9))
    asked.save(tmp_path / "model")
    model = pixelnet.load(tmp_path / "model")
    images = [image(k) for k in range(4)]
    assert_same_answers(session, model, images, WARM)
    assert_same_answers(asked, model, images)


def test_of_many_labels_the_same_are_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (fitting, reading):
        monkeypatch.setattr(part, "MOST_POINTS", 60)
    monkeypatch.setattr(reading, "FEWEST_POINTS", 5)
    session = made(3)
    session.score()
    session.save(tmp_path / "model")
    model = pixelnet.load(tmp_path / "model")
    again = made(3)
    again.score()
    assert_same_answers(again, model, [image(k) for k in range(3)], WARM)
    assert sum(map(len, again._labels()[1].ids)) == 60


@given(
    st.tuples(st.integers(0, HEIGHT - 1), st.integers(1, HEIGHT)),
    st.tuples(st.integers(0, WIDTH - 1), st.integers(1, WIDTH)),
    st.integers(1, 7),
)
@settings(max_examples=20)
def test_a_window_is_a_part_of_the_whole(rows: tuple[int, int], columns: tuple[int, int], step: int) -> None:
    labels, confidence = FITTED.predict(0)
    window = slice(rows[0], rows[0] + rows[1], step), slice(columns[0], columns[0] + columns[1], step)
    found, sure = FITTED.predict(0, window)
    np.testing.assert_allclose(sure, confidence[window], atol=1e-6)
    np.testing.assert_array_equal(found, labels[window])


@pytest.fixture(autouse=True, scope="module")
def fitted_once() -> None:
    """A session whose parts have strides of 1 to 32."""
    global FITTED
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "default", lambda: [(("edges", "filters"), 0.01)])
        patch.setattr(dense, "PIECE", 20 * WIDTH)
        FITTED = made(1)
        FITTED.fit()


FITTED: pixelnet.Session


def test_a_window_without_a_pixel_is_refused() -> None:
    for window in ((slice(5, 5), slice(0, 9)), (slice(0, 9), slice(99, 120)), (slice(0, 9, -2), slice(0, 9))):
        with pytest.raises(InputError, match="has no pixel of the"):
            FITTED.predict(0, window)


def test_strips_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FITTED.predict(0)
    for pixels in (1, 7 * WIDTH):
        monkeypatch.setattr(dense, "PIECE", pixels)
        labels, confidence = FITTED.predict(0)
        np.testing.assert_allclose(confidence, whole[1], atol=1e-6)
        np.testing.assert_array_equal(labels, whole[0])


@pytest.mark.parametrize("priors", ["labels", "equal"])
def test_classes_are_as_common_as_was_asked_for(priors: Any, tmp_path: Path) -> None:
    session = pixelnet.Session([image(k) for k in range(3)], NAMES, priors=priors)
    for k in range(3):
        points, ids = drawn(k)
        session.label(k, points[6 * k :], ids[6 * k :])  # of the first class less than of the others
    session.score()
    session.save(tmp_path / "model")
    shares = checkpoint.read_json(tmp_path / "model" / "config.json")["fit"]["shares"]
    assert (np.ptp(shares) == 0) == (priors == "equal")
    assert_same_answers(session, pixelnet.load(tmp_path / "model"), [image(0)])


def test_maps_keep_within_their_bound(tmp_path: Path) -> None:
    one = made(1)
    one.fit()
    size = one.maps._bytes
    session = made(4, memory=int(2.5 * size))
    session.fit()
    for k in (3, 0, 1, 2):
        session.predict(k)
        assert 0 < session.maps._bytes <= 2.5 * size
    session.save(tmp_path / "small")
    assert session.maps._bytes <= 2.5 * size
    made(4).save(tmp_path / "large")
    assert content(tmp_path / "small") == content(tmp_path / "large")


# ------------------------------------------------------------------------------------------ choice and score


def test_too_few_labels_have_no_score() -> None:
    session = made(1, labelled=0)
    assert session.score() == Score(None, None, 0, TOO_FEW)
    session.label(0, [(5, 5), (30, 5)], ["cell", "membrane"])
    session.fit()
    assert session.score().value is None
    session.choose(1)
    assert session.score().words == TOO_FEW


def test_a_score_is_the_mean_of_folds_and_its_interval_students() -> None:
    found = Score.of((0.7, 0.8, 0.9))
    assert found.value == pytest.approx(0.8)
    assert found.interval == pytest.approx((0.8 - 4.3027 * 0.1 / 3**0.5, 1.0), abs=1e-4)
    assert (found.folds, found.words) == (
        3,
        "mean recall of the classes 0.800, 95 % interval 0.552 to 1.000 over 3 folds",
    )


def test_the_score_is_of_pixels_that_were_not_learnt_from() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(4)]
    session = pixelnet.Session(noise, NAMES[:2])
    for k in range(4):
        points = np.unique(rng.integers(0, 60, (40, 2)), axis=0)
        session.label(k, points, rng.integers(0, 2, len(points)))
    found = session.score()
    assert found.value is not None
    assert 0.3 < found.value < 0.7
    assert found.folds == 4
    assert made(3).score().value > 0.8


def test_a_score_that_is_ended_between_fits_changes_nothing() -> None:
    session, whole, calls = made(4), made(4), []

    def between() -> None:
        calls.append(0)
        if len(calls) == 3:
            raise TimeoutError

    session.fit()
    before = session.predict(0)
    with pytest.raises(TimeoutError):
        session.score(between)
    assert len(calls) == 3
    np.testing.assert_array_equal(session.predict(0)[1], before[1])
    whole.fit()
    assert session.score() == whole.score()
    session.score(lambda: pytest.fail("it is known already"))


def test_a_choice_is_judged_by_choosing_within_the_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = [("filters",), ("edges", "filters")]
    monkeypatch.setattr(module, "candidates", lambda: tried)
    session = made(3)
    session.choose(1000)
    assert {parts for parts, _ in session._choice.members} == set(tried)
    calls = []
    choose = module.choose
    monkeypatch.setattr(module, "choose", lambda table, *rest: calls.append(rest[0]) or choose(table, *rest))
    first = session.score()
    assert first.folds == 3
    assert not calls  # nothing was said since the choice, which has told it
    session.label(0, [(40, 40)], "membrane")
    assert session.score().folds == 3
    members = [(parts, (strength,)) for parts, strength in session._choice.members]
    assert calls[0] == members
    assert {parts for parts, _ in calls[1]} == set(tried)
    assert (session.predict(1)[0] == stripes()).mean() > 0.8


# ------------------------------------------------------------------------------------------------- files


def test_a_folder_is_saved_with_the_command_that_fits_it_again(tmp_path: Path) -> None:
    for k in range(3):
        save_png(tmp_path / "slides" / "day 1" / f"{k}.png", image(k))
    session = pixelnet.Session(tmp_path / "slides", ["cell, alive", *NAMES[1:]])
    session.label("day 1/0.png", *drawn(0))
    session.label(tmp_path / "slides" / "day 1" / "1.png", *drawn(1))
    session.label(2, [(70.4, 62.6)], "void")
    command = session.save(tmp_path / "model")
    rows = list(csv.DictReader((tmp_path / "model" / "labels.csv").read_text().splitlines()))
    assert list(rows[-1].values()) == ["day 1/2.png", "70", "63", "void"]
    places = [(row["image"], int(row["y"]), int(row["x"])) for row in rows]
    assert places == sorted(set(places))
    learnt = checkpoint.read_json(tmp_path / "model" / "images.json")["learnt"]
    assert [one["name"] for one in learnt] == ["day 1/0", "day 1/1", "day 1/2"]
    program, *words = shlex.split(str(command))
    assert program == "pixelnet"
    assert main(words) == 0
    again, first = (pixelnet.load(tmp_path / name) for name in ("model-again", "model"))
    assert again.config == first.config
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model-again", "model")]
    assert weights[0] == weights[1]
    with pytest.raises(InputError, match="holds a model already"):
        session.save(tmp_path / "model")


def test_arrays_and_pictures_have_numbers_for_names(tmp_path: Path) -> None:
    session = pixelnet.Session([image(0), Image.fromarray(image(1))], NAMES)
    for k in range(2):
        session.label(f"{k:06d}", *drawn(k))
    assert session.save(tmp_path / "model") is None
    model = pixelnet.load(tmp_path / "model")
    assert_same_answers(session, model, [image(0), image(1)])


def test_channels_and_ranges_are_those_of_the_images(tmp_path: Path) -> None:
    wide = [np.dstack([image(k), image(k)[..., :1]]).astype(np.uint16)[..., [0, 1, 2, 3, 0]] for k in range(2)]
    session = pixelnet.Session(wide, NAMES)
    for k in range(2):
        session.label(k, *drawn(k))
    session.fit()
    session.save(tmp_path / "model")
    model = pixelnet.load(tmp_path / "model")
    assert model.config.in_channels == 5
    assert model.config.ranges is not None
    assert 200 < model.config.ranges[0][1] < 256
    assert (session.predict(0)[0] == stripes()).mean() > 0.8
    assert_same_answers(session, model, wide)


def test_a_stack_is_its_pages(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 2**16, (3, 20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "v.tif", pages, photometric="minisblack", metadata={"axes": "ZYX"})
    for meant in (tmp_path, tmp_path / "v.tif", [f"{tmp_path}/v.tif[{k}]" for k in range(3)]):
        images = pixelnet.Session(meant, NAMES).images
        assert images.names() == ["v.tif[0]", "v.tif[1]", "v.tif[2]"]
        assert images.find("v.tif[2]") == 2
        np.testing.assert_array_equal(images.read(1)[..., 2], pages[1])
        np.testing.assert_array_equal(images.read(2, (slice(3, 9), slice(4, 6)))[..., 0], pages[2, 3:9, 4:6])


def test_a_fork_goes_its_own_way() -> None:
    session = made(2, labelled=1)
    session.fit()
    before = session.predict(1)[0]
    fork = session.fork()
    fork.fit()
    assert (fork.predict(1)[0] == before).mean() > 0.99  # a fit ends near where it began, not there
    points, ids = drawn(0)
    fork.label(0, points, 2 - ids)
    fork.fit()
    assert (fork.predict(1)[0] == 2 - stripes()).mean() > 0.8
    np.testing.assert_array_equal(session.predict(1)[0], before)
    session.fit()
    assert (session.predict(1)[0] == before).mean() > 0.99
    assert fork.maps is session.maps


def test_a_fork_of_other_classes_has_no_labels() -> None:
    fork = made(2).fork(["left", "right"])
    assert fork.class_names == ("left", "right")
    with pytest.raises(InputError, match="0 classes have labels"):
        fork.fit()


def test_what_describes_a_pixel_may_be_said() -> None:
    session = pixelnet.Session([image(0)], NAMES, features="edges")
    session.label(0, *drawn(0))
    session.fit()
    assert session._model is not None
    assert session._model[0] == ("edges",)
    with pytest.raises(InputError, match="nothing to learn from"):
        pixelnet.Session([image(0)], NAMES, features="wings")
