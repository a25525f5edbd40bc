"""Shares held out and folds: which images they are."""

from collections.abc import Callable

import numpy as np
import pytest
from contract_dataset import DatasetContract

from pixelnet import Dataset, InputError, open_dataset
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
