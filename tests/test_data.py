import shutil
from pathlib import Path

import pytest

from pixelnet.data import NAMES, TASKS, first_task, has_split, open_dataset
from pixelnet.errors import InputError


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


def test_a_bare_path_is_pointed_to_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"did you mean folder:{tmp_path}"):
        open_dataset(str(tmp_path), "edges")


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
    with pytest.raises(InputError, match="has no labels for segmentation, normals, edges, regression; it should hold"):
        first_task(f"folder:{tmp_path}/empty")
    with pytest.raises(InputError, match="there is no folder"):
        first_task(f"camvid:{tmp_path}/none")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_not_the_data_is_told_what_to_hold(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        first_task(f"{name}:{tmp_path}")
    message = str(raised.value)
    assert f"`{name}:PATH`" in message  # the module's own words
    assert "PATH/" in message or "/JPEGImages/" in message  # where files lie
    assert name == "folder" or "Get it from " in message
