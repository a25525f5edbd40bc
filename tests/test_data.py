import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from pixelnet.data import NAMES, Dataset, as_dataset, first_task, has_split, open_dataset, sources_in, task_of
from pixelnet.errors import InputError
from pixelnet.tasks import TASKS, make_task


def test_each_name_opens_its_class(camvid_data: Path, bsds500_data: Path, nyudv2_data: Path, folder_data) -> None:
    roots = {
        "camvid": (camvid_data, "segmentation"),
        "bsds500": (bsds500_data, "edges"),
        "nyudv2": (nyudv2_data, "regression"),
        "nyudv2-13": (nyudv2_data, "segmentation"),
        "folder": (folder_data("edges"), "edges"),
    }
    own_tests = {"ade20k", "cityscapes", "pascal-context", "pascal-context-33", "voc2012"}
    assert set(roots) | own_tests == set(NAMES)
    for name, (root, task) in roots.items():
        dataset = open_dataset(f"{name}:{root}", task)
        assert type(dataset) is NAMES[name]
        assert (dataset.source, dataset.task, dataset.split) == (f"{name}:{root}", task, "train")


@pytest.mark.parametrize("task", TASKS)
def test_scenes_need_no_path_and_serve_every_task(task: str) -> None:
    dataset = open_dataset("scenes:2", task, "val")
    assert len(dataset) == 2
    assert dataset.image(0).shape[:2] == dataset.labels(0).shape[:2]
    assert has_split("scenes", task, "val")
    assert not has_split("scenes", task, "test")


@pytest.mark.parametrize(
    ("spec", "task", "message"),
    [
        (
            "camvit:/data",
            "segmentation",
            "no data set 'camvit'; known are ade20k, bsds500, camvid, cityscapes, folder, ",
        ),
        ("camvid", "segmentation", "camvid needs the folder it is in; write camvid:PATH"),
        ("camvid:", "segmentation", "camvid needs the folder it is in; write camvid:PATH"),
        ("camvid:/no/such", "segmentation", "there is no folder /no/such"),
        ("folder:/no/such", "segments", "no task 'segments'; choose one of segmentation, normals, edges, regression"),
    ],
)
def test_a_wrong_spec_says_what_is_right(spec: str, task: str, message: str) -> None:
    for ask in (lambda: open_dataset(spec, task), lambda: has_split(spec, task, "val")):
        with pytest.raises(InputError, match=message):
            ask()


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_alone_is_a_folders(kind: type, folder_data, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_data("edges")
    expected = open_dataset(f"folder:{root}", "edges", "val")
    for spec in (root, root.name, f"~/{root.name}"):
        monkeypatch.chdir(root.parent)
        monkeypatch.setenv("HOME", str(root.parent))
        found = open_dataset(kind(spec), "edges", "val")
        assert type(found) is NAMES["folder"]
        assert (found.source, found.split, found.names) == (f"folder:{spec}", "val", expected.names)
        np.testing.assert_array_equal(found.labels(0), expected.labels(0))
        assert has_split(kind(spec), "edges", "val")
        assert not has_split(kind(spec), "edges", "test")
        assert first_task(kind(spec)) == "edges"
        assert as_dataset(kind(spec), "edges", "val").names == expected.names
    shutil.rmtree(root / "val/images")
    with pytest.raises(InputError, match=f"{root}/val: 3 files of labels have no image: edges/0000.png"):
        open_dataset(kind(root / "val"), "edges")


@pytest.mark.parametrize("spec", ["no/such", "/no/such", "~/no/such"])
def test_a_path_that_is_not_there_is_no_data_set(spec: str) -> None:
    with pytest.raises(InputError, match=f"there is no folder {spec}, and no data set of that name; known are ade20k"):
        open_dataset(spec, "edges")


def test_a_comma_in_a_path_is_the_paths(folder_data, camvid_data: Path, bsds500_data: Path) -> None:
    root = folder_data("segmentation")
    root = root.rename(root.with_name("a,b, camvid,c"))
    for spec in (str(root), f"folder:{root}"):
        assert sources_in(spec) == [spec]
        assert len(open_dataset(spec, "segmentation")) == 3
        assert len(open_dataset(f"{spec},bsds500:{bsds500_data}", ["segmentation", "edges"])) == 5
        several = [spec, f"camvid:{camvid_data}", "scenes", "scenes:2", f"folder:{root}", f"nyudv2-13:{root}"]
        assert sources_in(",".join(several)) == several
    assert sources_in(f"scenes,{root}") == [f"scenes,{root}"]  # only NAME: after a comma begins another


def test_home_is_understood(folder_data, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_data("edges")
    monkeypatch.setenv("HOME", str(root.parent))
    assert open_dataset(f"folder:~/{root.name}", "edges").source == f"folder:~/{root.name}"


def test_the_first_task_is_one_that_has_labels(
    camvid_data: Path, bsds500_data: Path, nyudv2_data: Path, folder_data, tmp_path: Path
) -> None:
    assert first_task(f"camvid:{camvid_data}") == "segmentation"
    assert first_task(f"bsds500:{bsds500_data}") == "edges"
    assert first_task(f"nyudv2:{nyudv2_data}") == "segmentation"
    shutil.rmtree(nyudv2_data / "train/labels40")
    shutil.rmtree(nyudv2_data / "test/labels40")
    assert first_task(f"nyudv2:{nyudv2_data}") == "normals"
    assert first_task("scenes") == "segmentation"
    for task in TASKS:
        assert first_task(f"folder:{folder_data(task)}") == task
        shutil.rmtree(folder_data(task))
        assert first_task(f"folder:{folder_data(task, splits=('.',))}") == task
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no images; expected files ending in \.jpg"):
        first_task(f"folder:{tmp_path}/empty")
    with pytest.raises(InputError, match="there is no folder"):
        first_task(f"camvid:{tmp_path}/none")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "folder"])
def test_a_folder_that_is_not_the_data_is_told_what_to_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        first_task(f"{name}:{tmp_path}")
    message = str(raised.value)
    assert f"`{name}:PATH`" in message  # the module's own words
    assert "PATH/" in message or "/JPEGImages/" in message  # where files lie
    assert "Get it from " in message


def test_a_folder_without_labels_is_told_what_to_hold(tmp_path: Path) -> None:
    Image.new("RGB", (16, 12)).save(tmp_path / "a.png")
    with pytest.raises(InputError) as raised:
        first_task(f"folder:{tmp_path}")
    assert str(raised.value) == (
        f"{tmp_path} holds 1 images (a.png) and no labels for segmentation that go with them; expected a folder such "
        'as labels/ or masks/ beside them, or files such as a_mask.png; "images" and "labels" in dataset.json name '
        "others; a table of labelled pixels goes with them by --labels FILE.csv"
    )


# ------------------------------------------------------------------------------------------ as_dataset


class Own(Dataset):
    """Two images whose labels are for whoever asks, unless it is told a task."""

    names = ("a", "b")
    class_names = ("sky", "road", "tree")

    def image(self, i: int, window=None) -> np.ndarray:
        return np.full((4, 5, 3), i, np.uint8)[window or ...]

    def labels(self, i: int, window=None) -> np.ndarray:
        return np.full((4, 5), i, np.uint8)[window or ...]


def test_a_data_set_is_itself() -> None:
    own = Own()
    assert as_dataset(own, "segmentation", "val") is own
    assert own.task_name == "segmentation"
    assert task_of(own).class_names == ("sky", "road", "tree")
    assert own.size(1) == (5, 4)
    with pytest.raises(InputError, match="a data set of your own has labels for segmentation, not for edges"):
        as_dataset(own, "edges")
    edges = Own()
    edges.task = make_task("edges")
    assert as_dataset(edges, "edges").task_name == "edges"
    assert as_dataset(edges, make_task("edges")) is edges
    scenes = open_dataset("scenes:2", "segmentation,normals")
    assert as_dataset(scenes, ["segmentation", "normals"]) is scenes
    with pytest.raises(InputError, match="has labels for segmentation,normals, not for normals"):
        as_dataset(scenes, "normals")


def pairs(number: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images of sizes of their own, with class ids 0 to 3 and unlabelled pixels."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.integers(0, 256, (6 + k, 8, 3), dtype=np.uint8),
            rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (6 + k, 8)),
        )
        for k in range(number)
    ]


def test_a_list_of_arrays_is_a_data_set() -> None:
    given = pairs()
    found = as_dataset(given, "segmentation")
    assert (len(found), found.names) == (3, ["000000", "000001", "000002"])
    assert (found.task_name, found.source) == ("segmentation", "3 items of a list")
    assert found.class_names == ("0", "1", "2", "3")
    window = (slice(1, 4), slice(2, 7))
    for i, (image, labels) in enumerate(given):
        np.testing.assert_array_equal(found.image(i), image)
        np.testing.assert_array_equal(found.labels(i), labels)
        np.testing.assert_array_equal(found.truth(i), labels)
        np.testing.assert_array_equal(found.image(i, window), image[1:4, 2:7])
        np.testing.assert_array_equal(found.labels(i, window), labels[1:4, 2:7])
        assert found.size(i) == (8, 6 + i)
        found.image(i)[...] = found.labels(i)[...] = 9  # what a caller does to its copy is its own affair
        np.testing.assert_array_equal(found.image(i), image)
        np.testing.assert_array_equal(found.labels(i), labels)
    pictures = [(Image.fromarray(image), Image.fromarray(labels)) for image, labels in given]
    np.testing.assert_array_equal(as_dataset(pictures, "segmentation").image(1), given[1][0])
    np.testing.assert_array_equal(as_dataset(pictures, "segmentation").labels(1), given[1][1])


@pytest.mark.parametrize("task", ["edges", "regression", "normals"])
def test_labels_of_other_tasks_are_real_numbers(task: str) -> None:
    rng = np.random.default_rng(1)
    labels = rng.random((4, 5, 3) if task == "normals" else (4, 5))
    found = as_dataset([(rng.random((4, 5)), labels)], task)
    assert found.class_names == ()
    assert found.labels(0).dtype == np.float32
    np.testing.assert_array_equal(found.labels(0), labels.astype(np.float32))
    assert (found.image(0).shape, found.image(0).dtype) == ((4, 5, 1), np.float32)
    assert found.channels == ("gray",)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_torch_data_set_of_tensors_is_a_data_set(channels: int) -> None:
    images, targets = torch.rand(3, channels, 6, 8), torch.randint(0, 5, (3, 6, 8))
    targets[0, 0, :2] = torch.tensor([255, 4])
    found = as_dataset(TensorDataset(images, targets), "segmentation")
    assert (len(found), found.source) == (3, "3 items of a TensorDataset")
    assert found.class_names == ("0", "1", "2", "3", "4")
    for i in range(3):
        np.testing.assert_array_equal(found.image(i), images[i].permute(1, 2, 0).numpy())
        np.testing.assert_array_equal(found.labels(i), targets[i].numpy())
        assert found.labels(i).dtype == np.uint8
    assert len(found.channels) == channels
    assert found.channels == {1: ("gray",), 3: ("red", "green", "blue")}.get(channels, found.channels)


class Named(TensorDataset):
    classes = ("sky", "road", "tree", "car", "person", "sign")


def test_a_torch_data_sets_classes_are_taken_over() -> None:
    data = Named(torch.rand(2, 3, 4, 4), torch.ones(2, 4, 4, dtype=torch.int64))
    assert as_dataset(data, "segmentation").class_names == Named.classes
    names = ("a", "b", "c")
    assert as_dataset(data, make_task("segmentation", class_names=names)).class_names == names


@pytest.mark.parametrize(
    ("data", "task", "message"),
    [
        (7, "edges", r'the data are a int; give text such as "folder:PATH", a Dataset, or \(image, labels\) pairs'),
        (pairs(), "segmentation,edges", "the data are a list; give a Dataset"),
        ([], "segmentation", r"the data are empty; give at least one \(image, labels\)"),
        ([np.zeros((4, 4, 3))], "edges", r"item 0 of the data is no pair \(image, labels\)"),
        (
            [(np.zeros((4, 4, 3)), np.zeros((4, 4)))],
            "segmentation",
            r"labels of item 0 are float64 \(4, 4\); give class",
        ),
        ([(np.zeros((4, 4, 3)), np.zeros((4, 5)))], "edges", "an image of 4x4 and labels of 5x4; they must be of one"),
        (
            [(np.zeros((4, 4, 3), np.int64), np.zeros((4, 4)))],
            "edges",
            r"image of item 0 is int64; give uint8",
        ),
        (
            [(np.full((4, 4, 3), 7.0), np.zeros((4, 4)))],
            "edges",
            "image of item 0 holds real values 7..7, expected 0..1",
        ),
        ([(torch.full((3, 4, 4), -1.0), np.zeros((4, 4)))], "edges", "image of item 0 holds real values -1..-1"),
        ([(np.zeros((4, 4)), np.full((4, 4), "a"))], "edges", r"labels of item 0 are .*; give numbers"),
    ],
)
def test_what_is_no_data_is_refused(data: object, task: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_dataset(data, task)


def test_ids_beyond_the_classes_name_their_item() -> None:
    found = as_dataset([*pairs(2), (np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 3))], "segmentation")
    found.class_names = ("a", "b", "c")
    with pytest.raises(
        InputError, match=r"item 2 of the data holds the value 3 in 16 pixels, outside the classes 0\.\.2"
    ):
        found.labels(2)
