"""Which class each number or color stands for; label maps are arrays of a few pixels, as they would be stored."""

import numpy as np
import pytest

from pixelnet.data.folder.coding import Coding, merged, scan
from pixelnet.data.folder.decide import decide
from pixelnet.data.folder.form import Form, parse
from pixelnet.errors import InputError
from pixelnet.rasters import Stored


def gray(*values: int, size: int = 100, kind: type = np.uint8) -> Stored:
    """Each value in equal parts of a map of so many pixels."""
    plane = np.repeat(np.array(values, kind), size // len(values)).reshape(1, -1)
    return Stored(plane, int(np.iinfo(kind).max), "L")


def colored(*colors: tuple[int, int, int]) -> Stored:
    return Stored(np.repeat(np.array([colors], np.uint8), 5, axis=1), 255, "RGB")


def palette(indices: list[int], colors: list[tuple[int, int, int]]) -> Stored:
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors)] = colors
    return Stored(np.array([indices], np.uint8), 255, "P", table)


def decided(*maps: Stored, **form) -> Coding:
    said = parse(form, "dataset.json") if form else Form()
    scans = [scan(own, f"{k}.png", blobs=True) for k, own in enumerate(maps)]
    coding = decide(merged(scans), said)
    assert coding == decide(scans, said)  # kept together by kind they say the same
    return coding


def decode(coding: Coding, stored: Stored) -> list[int]:
    found: list[int] = coding.decode(stored, "x.png").ravel().tolist()
    return found


# ---------------------------------------------------------------------------------- 255, and what is unlabelled


@pytest.mark.parametrize(
    ("values", "names", "unlabelled"),
    [
        ((0, 255), "0 255", ()),
        ((0, 1), "0 1", (255,)),
        ((0, 1, 255), "0 1", (255,)),
        ((1, 2, 255), "1 2", (255,)),
        ((0, 1, 2, 5, 255), "0 1 2 5", (255,)),
        ((0, 128, 255), "0 128 255", ()),
        ((0, 85, 170, 255), "0 85 170 255", ()),
        ((10, 30, 80), "10 30 80", (255,)),
        ((0, 1, 254, 255), "0 1 254 255", ()),  # which may be either: it is asked
    ],
)
def test_whether_255_is_a_class(values: tuple[int, ...], names: str, unlabelled: tuple[int, ...]) -> None:
    coding = decided(gray(*values))
    assert coding.names == tuple(names.split())
    assert coding.unlabelled == unlabelled
    asked = any('"unlabelled": [255]' in question for question in coding.questions)
    assert asked == (255 in values and not unlabelled and len(values) > 2)


def test_all_maps_together_decide() -> None:
    """A file of 0 and 255 alone is of ids with an ignored border where others have the ids."""
    alone, others = gray(0, 255), gray(0, 1, 2)
    coding = decided(alone, others)
    assert coding.unlabelled == (255,)
    assert set(decode(coding, alone)) == {0, 255}
    assert decided(alone).unlabelled == ()


def test_what_is_said_counts() -> None:
    assert decided(gray(0, 1, 255), unlabelled=[]).names == ("0", "1", "255")
    assert decided(gray(0, 255, 7), unlabelled=[255, 0], classes=["a", {"name": "b", "value": 9}]).names == ("a", "b")
    coding = decided(gray(0, 1, 2), unlabelled=[0], classes=["weed", "crop"])
    assert (coding.names, coding.stored) == (("weed", "crop"), ((1,), (2,)))
    assert coding.notes == ["classes by value: weed 1, crop 2"]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.int64])
def test_numbers_of_any_type(kind: type) -> None:
    top = min(np.iinfo(kind).max, 2**40)
    coding = decided(gray(3, top, kind=kind))
    assert coding.names == ("3", str(top))
    assert decode(coding, gray(3, top, size=4, kind=kind)) == [0, 0, 1, 1]


def test_real_numbers_are_ids_if_they_are_whole() -> None:
    coding = decided(Stored(np.array([[0.0, 2.0, np.nan, np.inf]]), 0, "npy"))
    assert coding.names == ("0", "2")
    assert decode(coding, Stored(np.array([[2.0, np.nan, 0.0, -np.inf]]), 0, "npy")) == [1, 255, 0, 255]
    with pytest.raises(InputError, match=r"0\.png holds real values, but class ids are whole numbers"):
        decided(Stored(np.array([[0.5, 2.0]]), 0, "npy"))


# ------------------------------------------------------------------------------------------- names and values


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a", "b"], r"names 2 classes \(a, b\) and the label maps hold 3 values \(0, 5, 9\); give each class its"),
        ([{"name": "a", "value": 0}, "b"], r"names 2 classes \(a, b\) and the label maps hold 3 values"),
        ([{"name": "a", "value": 0}, {"name": "b", "values": [5, 0]}], "the value 0 is given to more than one class"),
        (
            [{"name": "a", "values": "other"}, {"name": "b", "values": "other"}],
            'more than one class has the values "other"',
        ),
    ],
)
def test_classes_that_do_not_go_with_the_values(classes: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decided(gray(0, 5, 9), classes=classes)


def test_values_join_and_the_rest_may_be_one_class() -> None:
    coding = decided(gray(0, 5, 9, 200), classes=[{"name": "a", "value": 0}, {"name": "b", "values": "other"}])
    assert decode(coding, gray(0, 5, 9, 200, 31, size=5)) == [0, 1, 1, 1, 1]
    joined = decided(gray(0, 5, 9), classes=[{"name": "a", "values": [9, 0]}, {"name": "b", "value": 5}])
    assert decode(joined, gray(0, 5, 9, size=3)) == [0, 1, 0]


def test_a_class_that_occurs_nowhere_is_said() -> None:
    coding = decided(gray(0, 1), classes=[{"name": name, "value": k} for k, name in enumerate(("a", "b", "fish"))])
    assert coding.notes == ["no pixel is labelled fish"]


def test_names_alone_count_from_0_where_a_few_pixels_are_strays() -> None:
    """One pixel of 7 among thousands is a mistake in a file, which is named when it is read."""
    plane = np.zeros((50, 50), np.uint8)
    plane[:20] = 1
    plane[0, 0] = 7
    coding = decided(Stored(plane, 255, "L"), classes=["a", "b"])
    assert coding.stored == ((0,), (1,))
    with pytest.raises(InputError, match=r"x.png holds the value 7 in 1 pixels \(first at x 0, y 0\)"):
        decode(coding, Stored(plane, 255, "L"))


def test_one_value_alone_is_no_classification() -> None:
    with pytest.raises(InputError, match="the label maps hold the value 3 alone, expected two classes or more"):
        decided(gray(3))
    with pytest.raises(InputError, match="hold the value 1 alone beside 255, unlabelled"):
        decided(gray(1, 255))
    assert decided(gray(0), classes=[{"name": "a", "value": 0}, {"name": "b", "value": 1}]).names == ("a", "b")


# ------------------------------------------------------------------------------------------------- thresholds


def soft(seed: int = 0) -> Stored:
    """A mask with grays along its border, as from a resized picture."""
    x = np.arange(100)[None].repeat(60, 0)
    plane = np.clip((x - 45) * 25.0 + np.random.default_rng(seed).integers(0, 20, x.shape), 0, 255)
    return Stored(plane.astype(np.uint8), 255, "L")


def test_masks_with_gray_borders_are_cut_in_the_middle() -> None:
    coding = decided(soft(), soft(1))
    assert coding.names == ("0", "255")
    assert coding.threshold == 128
    np.testing.assert_array_equal(coding.decode(soft(), "x.png"), soft().values >= 128)
    assert "black and white with grays between" in coding.notes[0]
    assert '"threshold" says otherwise' in coding.notes[0]
    assert decided(soft(), classes=["a", "b"]).names == ("a", "b")


def test_a_threshold_may_be_said() -> None:
    coding = decided(gray(0, 40, 90), threshold=50, classes=["a", "b"])
    assert decode(coding, gray(0, 40, 50, 90, size=4)) == [0, 0, 1, 1]
    with pytest.raises(InputError, match=r"a threshold makes two classes, and dataset.json names a, b, c"):
        decided(gray(0, 40, 90), threshold=50, classes=["a", "b", "c"])


def test_many_ids_are_no_gray_border() -> None:
    """Ids 0 to 40 in equal parts, and 255 unlabelled."""
    coding = decided(gray(*range(41), 255, size=4200))
    assert coding.threshold is None
    assert len(coding.names) == 41
    assert coding.unlabelled == (255,)


# ----------------------------------------------------------------------------------------------------- colors

SOIL, WEED, CROP = (0, 0, 0), (255, 0, 0), (0, 255, 0)
NAMED = [
    {"name": "soil", "color": [0, 0, 0]},
    {"name": "weed", "color": "#ff0000"},
    {"name": "crop", "color": [0, 255, 0]},
]


def test_colors_are_looked_up() -> None:
    coding = decided(colored(SOIL, CROP), colored(WEED), classes=NAMED)
    assert coding.names == ("soil", "weed", "crop")
    assert decode(coding, colored(CROP, SOIL, WEED)) == [2] * 5 + [0] * 5 + [1] * 5
    with pytest.raises(
        InputError, match=r"the color #010203 in 5 pixels \(first at x 5, y 0\), outside .* weed \(#ff0000\)"
    ):
        decode(coding, colored(SOIL, (1, 2, 3)))


def test_a_map_of_one_gray_color_is_in_colors_too() -> None:
    """A black map has three equal channels, and is no map of numbers among colored ones."""
    coding = decided(colored(SOIL), colored(WEED, CROP), classes=NAMED)
    assert decode(coding, colored(SOIL)) == [0] * 5
    assert decode(decided(colored(SOIL), colored(WEED, CROP)), colored(SOIL)) == [0] * 5


def test_unnamed_colors_are_classes_and_asked_about() -> None:
    coding = decided(colored(SOIL, WEED), colored(CROP))
    assert coding.names == ("#000000", "#00ff00", "#ff0000")
    assert coding.colors == (SOIL, CROP, WEED)
    assert "what the colors" in coding.questions[0]
    assert decided(colored(SOIL, WEED, CROP), unlabelled=[[0, 0, 0]]).names == ("#00ff00", "#ff0000")


def test_a_photo_is_no_label_map() -> None:
    photo = Stored(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8), 255, "RGB")
    with pytest.raises(InputError, match=r"the label maps hold \d+ colors .* so which are classes must be said"):
        decided(photo)


def test_colors_without_a_class_and_classes_without_a_color() -> None:
    with pytest.raises(InputError, match=r"are in colors .* and dataset.json gives crop none; give each class its"):
        decided(colored(SOIL, WEED), classes=[*NAMED[:2], "crop"])


def test_palettes_that_differ_are_read_by_color() -> None:
    one, other = palette([0, 1], [SOIL, WEED]), palette([0, 1, 2], [SOIL, CROP, WEED])
    coding = decided(one, other)
    assert coding.colored
    assert decode(coding, other) == [coding.names.index(name) for name in ("#000000", "#00ff00", "#ff0000")]
    assert decode(coding, one) == [coding.names.index(name) for name in ("#000000", "#ff0000")]


def test_palettes_that_agree_are_ids() -> None:
    """As VOC's, whose 255 is the border."""
    one, other = palette([0, 1, 255], [SOIL, WEED]), palette([0, 2, 1], [SOIL, WEED, CROP])
    coding = decided(one, other)
    assert (coding.names, coding.unlabelled) == (("0", "1", "2"), (255,))
    assert decode(coding, one) == [0, 1, 255]
    by_color = decided(one._replace(values=np.array([[0, 1, 1]], np.uint8)), other, classes=NAMED)
    assert decode(by_color, other) == [0, 2, 1]


def test_numbers_among_colors_are_named_when_they_are_read() -> None:
    coding = decided(gray(0, 1), gray(0, 1), colored(SOIL, WEED))
    assert coding.names == ("0", "1")
    with pytest.raises(InputError, match=r"x.png is in colors, and other label maps are in numbers; save all alike"):
        decode(coding, colored(SOIL, WEED))


# -------------------------------------------------------------------------------------------------- instances


def test_numbers_of_objects_are_asked_about() -> None:
    rng = np.random.default_rng(0)
    maps = []
    for first in (1, 21):
        plane = np.zeros((60, 60), np.uint16)
        for k in range(20):
            y, x = 12 * (k // 5), 12 * (k % 5)
            plane[y : y + rng.integers(4, 9), x : x + 8] = first + k
        maps.append(Stored(plane, 65535, "I;16"))
    (question,) = decided(*maps).questions
    assert "41 values, nearly each of them one region in its image: if they number objects" in question
    united = [{"name": "background", "value": 0}, {"name": "object", "values": "other"}]
    assert not decided(*maps, classes=united).questions
    many = Stored(np.arange(400).reshape(20, 20), 0, "npy")
    with pytest.raises(
        InputError, match=r"hold 400 values, more than there can be classes \(254\); if they number objects"
    ):
        decided(many)


def test_a_declared_nodata_is_unlabelled() -> None:
    coding = decided(gray(0, 1, 9)._replace(nodata=(9.0,)))
    assert coding.names == ("0", "1")
    assert decode(coding, gray(0, 1, 9, size=3)._replace(nodata=(9.0,))) == [0, 1, 255]


def test_a_threshold_leaves_what_is_unlabelled_alone() -> None:
    stored = gray(3, 127, 200, size=6)
    coding = decide([scan(stored, "a.png")], parse({"threshold": 100, "unlabelled": [127]}, "dataset.json"))
    assert coding.decode(stored, "a.png").tolist() == [[0, 0, 255, 255, 1, 1]]
