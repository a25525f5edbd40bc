from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelnet.data.folder.patterns import base_of, chosen, filled, item_name, named_pairs, proposal, select
from pixelnet.errors import InputError


def paths(*names: str) -> list[PurePosixPath]:
    return [PurePosixPath(name) for name in names]


FILES = paths("a/p1/x.png", "a/p1/y.jpg", "a/p2/x.png", "b/p1/x_m.png", "b/p2/x_m.png", "b/p1/y_m.png")


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("a/*/x.png", "a/p1/x.png a/p2/x.png"),
        ("a/**/*.png", "a/p1/x.png a/p2/x.png"),
        ("**/*.jpg", "a/p1/y.jpg"),
        ("a/p?/x.png", "a/p1/x.png a/p2/x.png"),
        ("a/*/*.{png,jpg}", "a/p1/x.png a/p1/y.jpg a/p2/x.png"),
        ("a/**", "a/p1/x.png a/p1/y.jpg a/p2/x.png"),
    ],
)
def test_globs(glob: str, names: str) -> None:
    assert list(select(FILES, [glob], "here")) == paths(*names.split())


@pytest.mark.parametrize("glob", ["*.png", "a/*.png", "a/*/X.png", "a.*/x.png", "a/[p]1/x.png"])
def test_a_glob_that_names_no_file_is_refused(glob: str) -> None:
    with pytest.raises(InputError, match=r"here .* names no file; write a path from the data's own folder on"):
        select(FILES, [glob], "here")


def test_what_wildcards_stood_for() -> None:
    image = PurePosixPath("a/p1/sub/x.y.png")
    assert base_of("a/**/*.png") == "a/"
    assert item_name(image, "a/**/*.png") == "p1/sub/x.y"
    assert filled("b/{path}_m.png", image, "a/**/*.png", "labels") == "b/p1/sub/x.y_m.png"
    assert filled("b/{name}.tif", image, "a/**/*.png", "labels") == "b/x.y.tif"
    assert filled("b/{1}{2}-m.png", image, "a/**/*.png", "labels") == "b/p1/sub/x.y-m.png"
    with pytest.raises(InputError, match=r"labels .* has the field \{3\}; known are \{1\}, \{2\}, \{path\}, \{name\}"):
        filled("b/{3}.png", image, "a/**/*.png", "labels")


def test_an_accent_is_one_however_it_is_written() -> None:
    files = paths("a/Jose\u0301.png", "b/Jos\xe9.png")
    assert named_pairs(files, ["a/*.png"], ["b/{name}.png"]) == {files[0]: [files[1]]}


def test_labels_of_another_are_no_images() -> None:
    files = paths("x.png", "x_mask.png", "y.png")
    assert named_pairs(files, ["*.png"], ["{name}_mask.png"]) == {files[0]: [files[1]], files[2]: []}


def test_splits_name_images_by_path_or_by_what_wildcards_stood_for() -> None:
    image = PurePosixPath("photos/site1/deep/a.png")
    assert chosen(image, ["photos/**/*.png"], ["site1/*"])
    assert chosen(image, ["photos/**/*.png"], ["photos/site1/*"])
    assert chosen(image, ["photos/**/*.png"], ["*/a"])
    assert not chosen(image, ["photos/**/*.png"], ["site2/*", "site1"])


def test_what_was_found_is_generalized() -> None:
    pairs = [(a, [b]) for a, b in zip(FILES[:3:2], FILES[3:5], strict=True)]
    assert proposal([*FILES[:1], *FILES[2:5]], pairs) == (["a/*/*.png"], ["b/{1}/{name}_m.png"])
    uneven = [(PurePosixPath("x.png"), paths("m/x.png")), (PurePosixPath("s/y.png"), paths("m/y.png"))]
    assert proposal(paths("x.png", "m/x.png", "s/y.png", "m/y.png"), uneven) is None
    assert proposal([], []) is None
    braces = paths("im/a.png", "lb{old}/a.png")
    assert proposal(braces, [(braces[0], braces[1:])]) is None
    twice = paths("im/a.png", "im/b.png", "lb/a_mask.png", "lb/b_mask.png")
    assert proposal(twice, list(zip(twice[:2], ([own] for own in twice[2:]), strict=True))) == (
        ["im/*.png"],
        ["lb/{name}_mask.png"],
    )


NAME = st.text("ab_1", min_size=1, max_size=4)


@given(st.sets(st.tuples(NAME, NAME), min_size=1, max_size=6), NAME)
def test_a_proposal_says_what_it_was_made_from(names: set[tuple[str, str]], ending: str) -> None:
    pairs = [
        (PurePosixPath(f"im/{folder}/{stem}.png"), paths(f"lb/{folder}/{stem}{ending}.png"))
        for folder, stem in sorted(names)
    ]
    files = [path for image, labels in pairs for path in (image, *labels)]
    found = proposal(files, pairs)
    assert found is not None
    assert named_pairs(files, *found) == dict(pairs)
