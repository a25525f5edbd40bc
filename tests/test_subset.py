"""Shares held out and folds: which images they are."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from contract_dataset import DatasetContract
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelnet import Dataset, InputError, open_dataset
from pixelnet.data.arrays import Arrays
from pixelnet.data.dataset import Window
from pixelnet.data.subset import Subset, hold_out, one_fold


class TestSubset(DatasetContract):
    @pytest.fixture
    def dataset(self, folder_data: Callable) -> Dataset:
        whole = open_dataset(f"folder:{folder_data('segmentation', splits=('.',), items=5)}", "segmentation")
        return Subset(whole, [0, 2, 3], "val")


def data(count: int = 10) -> Dataset:
    return open_dataset(f"scenes:{count}", "edges")


def test_a_share_is_held_out_always_the_same() -> None:
    kept, held = hold_out(data(), 0.3)
    assert (len(kept), len(held)) == (7, 3)
    assert sorted([*kept.names, *held.names]) == data().names
    assert hold_out(data(), 0.3)[1].names == held.names
    for item, name in enumerate(held.names):
        np.testing.assert_array_equal(held.image(item), data().image(data().names.index(name)))
    assert [len(part) for part in hold_out(data(2), 0.01)] == [1, 1]
    assert [len(part) for part in hold_out(data(2), 0.99)] == [1, 1]


def test_folds_share_nothing_and_are_all() -> None:
    held = [one_fold(data(), f"{k}/3")[1].names for k in (1, 2, 3)]
    assert sorted(len(names) for names in held) == [3, 3, 4]
    assert sorted(name for names in held for name in names) == data().names
    for k, names in enumerate(held, start=1):
        assert sorted([*one_fold(data(), f"{k}/3")[0].names, *names]) == data().names


class Named(Dataset):
    """Images of these names, of which nothing but the names is asked."""

    task = "edges"

    def __init__(self, names: Sequence[str], groups: Sequence[str] = ()) -> None:
        self.names, self.groups = names, groups

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        raise NotImplementedError

    labels = image


EYES = [f"Image_{child:02d}{eye}" for child in range(1, 15) for eye in "LR"]


def test_groups_are_on_one_side() -> None:
    kept, held = hold_out(Named(EYES), 0.2)
    assert len(held) == 6
    assert sorted([*kept.names, *held.names]) == EYES
    assert not {name[:-1] for name in kept.names} & {name[:-1] for name in held.names}
    assert held.chosen.startswith("by group: Image_")
    folds = [one_fold(Named(EYES), f"{k}/5")[1].names for k in range(1, 6)]
    assert sorted(name for names in folds for name in names) == EYES
    assert sorted(map(len, folds)) == [4, 6, 6, 6, 6]
    assert all(len({name[:-1] for name in names}) * 2 == len(names) for names in folds)
    with pytest.raises(InputError, match=r"14 groups of images \(Image_01, Image_02, Image_03 and 11 more\)"):
        one_fold(Named(EYES), "1/15")


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    shares=st.tuples(st.floats(0.02, 0.98), st.floats(0.02, 0.98)),
)
def test_what_a_smaller_share_holds_out_a_larger_one_does(sizes: list[int], shares: tuple[float, float]) -> None:
    groups = [f"g{k}" for k, size in enumerate(sizes) for _ in range(size)]
    data = Named([f"{i:03d}" for i in range(len(groups))], groups)
    less, more = (hold_out(data, share) for share in sorted(shares))
    assert set(less[1].names) <= set(more[1].names)
    for (kept, held), share in zip((less, more), sorted(shares), strict=True):
        assert len(kept) + len(held) == len(groups)
        assert min(len(kept), len(held)) > 0
        assert not {groups[int(name)] for name in kept.names} & {groups[int(name)] for name in held.names}
        taken = [sizes[int(name[1:])] for name in {groups[int(name)] for name in held.names}]
        assert max(taken) <= share * len(groups) or sorted(taken) == [min(sizes)]


def test_a_group_that_is_too_large_is_taken_only_if_none_is_smaller() -> None:
    large = [f"a{k:02d}" for k in range(50)]
    data = Named([f"{i:03d}" for i in range(70)], ["big"] * 50 + [f"s{k // 5}" for k in range(20)])
    assert "big" not in hold_out(data, 0.2)[1].groups
    two = Named(large, ["one"] * 20 + ["two"] * 30)
    assert set(hold_out(two, 0.2)[1].groups) == {"one"}
    with pytest.raises(InputError, match="all of one group, one"):
        hold_out(Named(["a", "b"], ["one", "one"]), 0.2)


def test_a_sequence_loses_a_block_and_what_is_beside_it() -> None:
    kept, held = hold_out(Named([str(k) for k in range(30)]), 0.2)
    block = sorted(map(int, held.names))
    assert block == list(range(19, 25))
    assert sorted(map(int, kept.names)) == [*range(18), *range(26, 30)]
    assert held.chosen == "neighbors, by their numbers; 2 beside them are left out"
    more = hold_out(Named([str(k) for k in range(30)]), 0.4)[1]
    assert set(held.names) < set(more.names)
    for k in range(1, 6):
        kept, held = one_fold(Named([str(k) for k in range(30)]), f"{k}/5")
        block = sorted(map(int, held.names))
        assert block == list(range(6 * k - 6, 6 * k))
        assert not {block[0] - 1, block[-1] + 1} & set(map(int, kept.names))


def test_of_two_sequences_each_loses_a_block() -> None:
    names = [f"{video}_{k:03d}" for video in "ab" for k in range(100)]
    kept, held = hold_out(Named(names), 0.2)
    assert Counter(name[0] for name in held.names) == {"a": 20, "b": 20}
    assert Counter(name[0] for name in kept.names) == {"a": 78, "b": 78}
    for video in "ab":
        block = [int(name[2:]) for name in held.names if name[0] == video]
        assert block == list(range(block[0], block[0] + 20))


@pytest.mark.parametrize("count", range(2, 12))
def test_of_few_images_some_are_left_to_learn_from(count: int) -> None:
    kept, held = hold_out(Named([f"p{k}" for k in range(count)]), 0.2)
    assert len(held) == max(1, round(0.2 * count))
    assert 2 * len(kept) >= count - len(held)
    if count > 5:  # and from there on no neighbor is on both sides
        numbers = {int(name[1:]) for name in held.names}
        assert all(abs(int(name[1:]) - number) > 1 for name in kept.names for number in numbers)


def test_numbers_of_items_in_memory_show_nothing() -> None:
    pairs = [(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)) for _ in range(20)]
    kept, held = hold_out(Arrays(pairs, "segmentation"), 0.2)
    assert (len(kept), len(held)) == (16, 4)
    assert held.chosen == "drawn at random"


def test_an_image_that_is_there_twice_is_on_one_side(folder_data: Callable) -> None:
    root = folder_data("edges", splits=(".",), items=4)
    (root / "normals").mkdir()
    for path in (root / "images").iterdir():
        (root / "normals" / path.name).write_bytes(path.read_bytes())
    joint = open_dataset(f"folder:{root},folder:{root}", "edges,normals")
    assert len(joint) == 8
    kept, held = hold_out(joint, 0.25)
    assert (len(kept), len(held)) == (6, 2)
    assert not {kept.files(i)[0] for i in range(6)} & {held.files(i)[0] for i in range(2)}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_shares_that_leave_nothing_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="above 0 and below 1"):
        hold_out(data(), share)


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "2", "a/b", "1/2/3", "-1/5"])
def test_folds_that_are_none_are_refused(fold: str) -> None:
    with pytest.raises(InputError, match="give which of how many"):
        one_fold(data(), fold)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InputError, match="too few for 5 folds"):
        one_fold(data(3), "1/5")
    with pytest.raises(InputError, match="has one image"):
        hold_out(data(1), 0.5)
