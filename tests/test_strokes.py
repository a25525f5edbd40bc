"""What a session was told counts, whatever came first and was taken back; what it cannot be told is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from striped import HEIGHT, NAMES, WIDTH, drawn, image, made, saved

import pixelnet
from pixelnet import InputError
from pixelnet.learning import session as module


@pytest.fixture(autouse=True)
def few_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters describe a pixel, unless a test says otherwise."""
    monkeypatch.setattr(module, "default", lambda: [(("filters",), 0.1)])


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """What may be done to come to the labels of `made(2)`: in parts, in any order, with wrong ones taken back."""
    parts = []
    for k in range(2):
        points, ids = drawn(k)
        order = np.array(draw(st.permutations(range(len(points)))))
        cut = draw(st.integers(0, len(points)))
        parts += [("label", k, points[own], ids[own]) for own in (order[:cut], order[cut:]) if len(own)]
    parts = draw(st.permutations(parts))
    done = []
    for what, k, points, ids in parts:
        if draw(st.booleans()):
            done.append(("label", k, points, (ids + 1) % 3))  # said wrongly, and said anew
        wrong = np.stack([np.arange(20, 24), np.full(4, 3)], axis=1)
        if draw(st.booleans()):
            done += [("label", k, wrong, np.zeros(4, int)), ("unlabel", k, wrong, ids)]
        if draw(st.booleans()):
            done.append(("fit", k, points, ids))
        done.append((what, k, points, ids))
    return done


@given(histories())
@settings(max_examples=6)
def test_the_same_labels_make_the_same_bytes(history: list[tuple[str, int, np.ndarray, np.ndarray]]) -> None:
    wrong = {(x, 3) for x in range(20, 24)}
    assert not wrong & {tuple(map(int, point)) for k in range(2) for point in drawn(k)[0]}
    session = made(2, labelled=0)
    for what, k, points, ids in history:
        if what == "label":
            session.label(k, points, ids)
        elif what == "unlabel":
            session.unlabel(k, points)
        elif len(session.strokes.classes()) > 1:
            session.fit()
    assert saved(session) == saved(made(2))


def test_what_was_taken_back_is_forgotten() -> None:
    session = made(2)
    session.fit()
    before = session.predict(1)[1]
    extra = np.array([(60, 5), (61, 5), (62, 6)])
    session.label(0, extra, "cell")
    session.label(1, [(3, 3)], "void")
    session.fit()
    assert abs(session.predict(1)[1] - before).max() > 0.05
    session.unlabel(0, [*extra, (0, 0)])  # the last of which has none
    session.unlabel(1, [(3, 3)])
    session.fit()
    np.testing.assert_allclose(
        session.predict(1)[1], before, atol=0.04
    )  # a fit that goes on stops a little before its end
    for k in range(2):
        session.unlabel(k, drawn(k)[0])
    with pytest.raises(InputError, match="0 classes have labels"):
        session.fit()


def test_a_session_that_grew_is_one_that_was_given_all_at_once() -> None:
    grown = pixelnet.Session(image(0), NAMES)
    grown.label(0, *drawn(0))
    grown.fit()
    grown.add([image(1)])
    grown.label(1, *drawn(1))
    grown.score()
    assert saved(grown) == saved(made(2))


def test_images_without_labels_change_nothing() -> None:
    assert saved(made(5, labelled=2)) == saved(made(2))


def test_each_labelled_pixel_is_described_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session, asked = made(2), []
    read = session.maps.at
    monkeypatch.setattr(session.maps, "at", lambda i, part, points: asked.append(len(points)) or read(i, part, points))
    session.fit()
    labelled = [len(np.unique(drawn(k)[0], axis=0)) for k in range(2)]
    assert sorted(asked) == sorted([*labelled, 2000, 2000])
    asked.clear()
    session.label(1, [(50, 50), (51, 50)], ["cell", "void"])
    session.fit()
    assert asked == [2]
    features = session.strokes.features(1, "filters")
    np.testing.assert_array_equal(features, read(1, "filters", session.strokes.points(1)))


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda s: s.label(0, [(5, 70)], 0), r"73x64: x 5, y 70.*did you swap"),
        (lambda s: s.label(0, [(80, 90)], 0), r"outside the image of 73x64: x 80, y 90 .*from 0,0 on$"),
        (lambda s: s.unlabel(0, [(-1, 0)]), "outside the image"),
        (lambda s: s.label(0, [(1, 2, 3)], 0), r"\(1, 3\); give \(P, 2\)"),
        (lambda s: s.label(0, [(np.nan, 2)], 0), "all finite"),
        (lambda s: s.label(0, [(1, 2)], "cel"), "no class 'cel'; known are cell, membrane, void"),
        (lambda s: s.label(0, [(1, 2)], 3), "no class 3"),
        (lambda s: s.label(0, [(1, 2)], -1), "no class -1"),
        (lambda s: s.label(0, [(1, 2)], 0.5), "no class 0.5"),
        (lambda s: s.label(0, [(1, 2), (3, 4)], [0, 1, 2]), "2 points and 3 classes"),
        (lambda s: s.label(2, [(1, 2)], 0), "no image 2 in this session of 2"),
        (lambda s: s.label(-1, [(1, 2)], 0), "no image -1"),
        (lambda s: s.predict("a.png"), r"no image a.png .*session.add"),
        (lambda s: s.label(image(0), [(1, 2)], 0), "no image a ndarray"),
        (lambda s: s.predict(0), "nothing was fitted yet"),
        (lambda s: s.fit(), r"0 classes have labels \(none\)"),
        (lambda s: s.choose(5), "0 classes"),
        (lambda s: s.choose(0), "seconds are 0"),
        (lambda s: s.save("x"), "0 classes"),
        (lambda s: s.add(["nowhere.png"]), "nowhere.png"),
    ],
)
def test_bad_input_is_refused_and_nothing_changes(work: Any, words: str) -> None:
    session = made(2, labelled=0)
    with pytest.raises(InputError, match=words):
        work(session)
    assert not session.strokes.labelled()
    assert len(session.images) == 2


def test_one_class_is_too_few() -> None:
    session = made(1, labelled=0)
    session.label(0, [(1, 2), (3, 4)], "membrane")
    with pytest.raises(InputError, match=r"1 classes have labels \(membrane\)"):
        session.fit()


@pytest.mark.parametrize(
    ("images", "names", "options", "words"),
    [
        ([], NAMES, {}, "needs an image"),
        ("nowhere.png", NAMES, {}, "nowhere.png"),
        (np.zeros((4, 4, 3), np.uint8), ["cell"], {}, "two names or more"),
        (np.zeros((4, 4, 3), np.uint8), ["cell", "cell"], {}, "all different"),
        (np.zeros((4, 4, 3), np.uint8), "cell,void", {}, "give a list"),
        (np.zeros((4, 4, 3), np.uint8), NAMES, {"priors": "guessed"}, "estimated, labels or equal"),
    ],
)
def test_a_session_that_cannot_be_is_refused(images: Any, names: Any, options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pixelnet.Session(images, names, **options)


def test_the_last_label_of_a_pixel_counts() -> None:
    session = made(1, labelled=0)
    session.label(0, [(5, 5), (5, 5), (5.4, 4.6)], ["cell", "void", "membrane"])
    assert session.strokes.points(0).tolist() == [[5, 5]]
    assert session.strokes.ids(0).tolist() == [1]
    session.label(0, [(WIDTH - 0.5, HEIGHT - 0.5), (-0.5, -0.5)], [0, 2])
    assert session.strokes.points(0).tolist() == [[0, 0], [5, 5], [WIDTH - 1, HEIGHT - 1]]
    assert session.strokes.ids(0).tolist() == [2, 1, 0]
