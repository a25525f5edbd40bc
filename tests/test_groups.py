"""What names show of which images belong together."""

import hashlib
import uuid
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from pixelnet.data.groups import Groups, groups_of

CHASE = [f"Image_{child:02d}{eye}" for child in range(1, 15) for eye in "LR"]
SITES = [f"site{site}/patient{site}{k}_slice{z}" for site in (1, 2, 3) for k in range(3) for z in range(5)]
CAMERA = [f"IMG_202103{day:02d}_1011{second:02d}" for day in (4, 5, 9) for second in (1, 20, 35)]
VIDEOS = [f"{video}_{frame:05d}" for video in ("0001TP", "0006R0", "0016E5") for frame in range(750, 1500, 30)]
VIDEOS += [f"Seq05VD_f{frame:05d}" for frame in range(0, 300, 30)]
ACDC = [f"patient{k:03d}_frame{frame:02d}_slice_{z}" for k in range(9) for frame in (1, 12) for z in (4, 5)]
CITIES = [f"{city}/{city}_{k:06d}_000019" for city in ("aachen", "bochum", "ulm") for k in range(6)]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (CHASE, {f"Image_{child:02d}" for child in range(1, 15)}),
        (SITES, {f"site{site}/patient{site}{k}" for site in (1, 2, 3) for k in range(3)}),
        (CAMERA, {"IMG_20210304", "IMG_20210305", "IMG_20210309"}),
        (VIDEOS, {"0001TP", "0006R0", "0016E5", "Seq05VD"}),
        (ACDC, {f"patient{k:03d}" for k in range(9)}),
        (CITIES, {"aachen/aachen", "bochum/bochum", "ulm/ulm"}),
        ([f"scan{k}[{z}]" for k in range(4) for z in range(3)], {f"scan{k}" for k in range(4)}),
        ([f"p{k}_{scan}[{z}]" for k in range(5) for scan in "ab" for z in range(3)], {f"p{k}" for k in range(5)}),
        (["01L", "01R", "02L", "02R"], {"01", "02"}),
    ],
)
def test_what_names_begin_with_alike_is_a_group_that_stays_whole(names: list[str], groups: set[str]) -> None:
    found = groups_of(names)
    assert found.order is None
    assert set(found.names) == groups
    assert all(name.startswith(group) for name, group in zip(names, found.names, strict=True))


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([str(k) for k in range(30)], {""}),
        ([f"frame_{k:04d}" for k in range(1, 40)], {"frame"}),
        ([f"volume[{z}]" for z in range(30)], {"volume"}),
        ([f"{video}_{k:03d}" for video in "ab" for k in range(100)], {"a", "b"}),
        ([f"{stack}[{z}]" for stack in ("one", "two") for z in range(9)], {"one", "two"}),
    ],
)
def test_few_groups_of_numbers_are_sequences(names: list[str], groups: set[str]) -> None:
    found = groups_of(names)
    assert set(found.names) == groups
    assert found.order is not None
    for group in groups:
        order = [place for name, place in zip(found.names, found.order, strict=True) if name == group]
        assert order == sorted(order)
        assert len(set(order)) == len(order)


def test_a_name_of_another_kind_does_not_hide_a_sequence() -> None:
    found = groups_of([*(f"{k:03d}" for k in range(30)), "overview"])
    assert found.names == [*([""] * 30), "overview"]
    assert found.order is not None
    assert found.order[:3] == [(0,), (1,), (2,)]


def test_numbers_are_in_order_whatever_their_width() -> None:
    found = groups_of(["10", "9", "100"])
    assert found.order == [(10,), (9,), (100,)]


@pytest.mark.parametrize(
    "names",
    [
        [hashlib.md5(str(k).encode()).hexdigest() for k in range(100)],
        [hashlib.md5(str(k).encode()).hexdigest()[:6] for k in range(300)],
        [str(uuid.UUID(int=Random(k).getrandbits(128))) for k in range(100)],
        ["cat", "dog", "my house", "tree 2", "sunset"],
        ["a", "b", "c"],
        ["one"],
        [],
    ],
)
def test_names_that_show_nothing_are_groups_of_one(names: list[str]) -> None:
    assert groups_of(names) == Groups(names)


def test_one_large_beginning_is_read_further() -> None:
    """Five folders, of which one has nearly all: its patients are the groups, not the folders."""
    names = [f"a/p{k}_s{z}" for k in range(20) for z in range(3)] + [
        f"{folder}/p1_s{z}" for folder in "bcde" for z in (1, 2)
    ]
    assert Counter(groups_of(names).names)["a/p3"] == 3


@pytest.mark.parametrize(
    ("folder", "groups"), [("camvid/train/images", 3), ("acdc-scribbles/train/images", 70), ("own/em/image", None)]
)
def test_real_names(folder: str, groups: int | None, real_data: Path) -> None:
    if not (real_data / folder).is_dir():
        pytest.skip(f"no {real_data / folder}")
    found = groups_of(sorted(path.stem for path in (real_data / folder).iterdir()))
    assert (found.order is None) == (groups is not None)
    assert len(set(found.names)) == (groups or 1)
