import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest
from contract_dataset import DatasetContract
from scipy.io import savemat

from pixelnet.cli import main
from pixelnet.data import Dataset, first_task, has_split, open_dataset
from pixelnet.data.nyudv2_mat import CAMERA, CLASSES, EVALUATION_CROP, NYUDv2Mat
from pixelnet.errors import InputError
from pixelnet.geometry import normals_from_depth

FILE = "nyu_depth_v2_labeled.mat"


def rewrite(path: Path, name: str, values: np.ndarray) -> None:
    """Put another array in the place of one in the file."""
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = values


def stored(root: Path, name: str) -> np.ndarray:
    with h5py.File(root / FILE) as file:
        return file[name][...]


class TestNYUDv2Mat(DatasetContract):
    @pytest.fixture(params=NYUDv2Mat.tasks)
    def dataset(self, nyudv2_mat: Path, request: pytest.FixtureRequest) -> Dataset:
        return open_dataset(f"nyudv2:{nyudv2_mat}", request.param)


def test_the_split_is_that_of_splits_mat(nyudv2_mat: Path) -> None:
    spec = f"nyudv2:{nyudv2_mat}/{FILE}"  # the file will do as well as its folder
    train = open_dataset(spec, "regression")
    assert (type(train), train.source) == (NYUDv2Mat, spec)
    assert train.names == ["0002", "0003", "0005"]
    assert open_dataset(spec, "regression", "val").names == open_dataset(spec, "regression", "test").names
    assert open_dataset(spec, "regression", "val").names == ["0001", "0004"]
    assert has_split(spec, "regression", "val")
    assert not has_split(spec, "regression", "trainval")
    with pytest.raises(InputError, match="no split 'trainval'; it has train, val, test"):
        open_dataset(spec, "regression", "trainval")


def test_items_are_turned_upright(nyudv2_mat: Path) -> None:
    dataset, images = open_dataset(f"nyudv2:{nyudv2_mat}", "regression"), stored(nyudv2_mat, "images")
    image = dataset.image(1)  # 0003
    assert image.shape == (52, 64, 3)
    for row, column, channel in np.random.default_rng(0).integers(0, (52, 64, 3), (50, 3)):
        assert image[row, column, channel] == images[2, channel, column, row]
    assert (dataset.labels(1) == 3).all()


def test_holes_in_depth_are_unlabelled(nyudv2_mat: Path) -> None:
    depths = stored(nyudv2_mat, "depths")
    depths[1, 10, 20] = 0
    rewrite(nyudv2_mat / FILE, "depths", depths)
    depth = open_dataset(f"nyudv2:{nyudv2_mat}", "regression").labels(0)
    assert np.argwhere(np.isnan(depth)).tolist() == [[20, 10]]


def test_forty_classes_by_the_table(nyudv2_mat: Path) -> None:
    dataset = open_dataset(f"nyudv2:{nyudv2_mat}", "segmentation")
    assert dataset.class_names == CLASSES
    assert len(CLASSES) == 40
    labels = dataset.labels(0)
    assert (labels[0] == 255).all()
    for row in range(1, 52):  # whose label is its number
        assert (labels[row] == 7 * (row - 1) % 40).all()


def test_the_classes_are_those_of_the_folder(real_data: Path) -> None:
    assert open_dataset(f"nyudv2:{real_data}/nyudv2", "segmentation").class_names == CLASSES


def test_normals_are_geometrys_inside_the_crop(nyudv2_mat: Path) -> None:
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    floor = 1.5 * CAMERA.fy / np.maximum(v - CAMERA.cy, 1)
    depth = np.minimum(floor, 11).astype(np.float32)  # and nothing there beyond the floor
    wall = np.where(u < 300, np.minimum(depth, 5), depth)
    rewrite(nyudv2_mat / FILE, "images", np.zeros((5, 3, 640, 480), np.uint8))
    rewrite(nyudv2_mat / FILE, "depths", np.broadcast_to(wall.T, (5, 640, 480)))
    rewrite(nyudv2_mat / FILE, "labels", np.zeros((5, 640, 480), np.uint16))
    found = open_dataset(f"nyudv2:{nyudv2_mat}", "normals").labels(0)
    expected = normals_from_depth(np.where(wall < 9.9, wall, 0), CAMERA)
    np.testing.assert_array_equal(found[EVALUATION_CROP], expected[EVALUATION_CROP])
    outside = np.ones((480, 640), bool)
    outside[45:471, 41:601] = False
    assert not found[outside].any()
    assert found[EVALUATION_CROP].shape == (426, 560, 3)
    np.testing.assert_allclose(found[400, 500], (0, -1, 0), atol=1e-3)
    np.testing.assert_allclose(found[100, 100], (0, 0, -1), atol=1e-5)
    assert not found[100, 500].any()  # too far


def read(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return dataset.image(0), dataset.labels(0)


def test_other_processes_read_too(nyudv2_mat: Path) -> None:
    dataset = open_dataset(f"nyudv2:{nyudv2_mat}", "regression")
    here = read(dataset)
    assert b"h5py" not in pickle.dumps(dataset)
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        there = pool.submit(read, dataset).result()
    for expected, found in zip(here, there, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_check_explains_it(nyudv2_mat: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    command = ["check", f"nyudv2:{nyudv2_mat}", "--overlay", str(tmp_path / "check.png")]
    assert main([*command, "--task", "regression"]) == 0
    assert re.search(r"smallest +2\b", capsys.readouterr().out)
    assert main(command) == 0
    assert "refridgerator" in capsys.readouterr().out
    (nyudv2_mat / "classMapping40.mat").unlink()
    assert main([*command, "--task", "segmentation"]) == 2
    assert "segmentation needs its table mapClass" in capsys.readouterr().err


def test_a_table_or_split_that_is_missing_is_asked_for(nyudv2_mat: Path) -> None:
    spec = f"nyudv2:{nyudv2_mat}"
    assert first_task(spec) == "segmentation"
    (nyudv2_mat / "classMapping40.mat").unlink()
    with pytest.raises(InputError, match=r"classMapping40.mat is not there; segmentation needs its table mapClass"):
        open_dataset(spec, "segmentation")
    assert first_task(spec) == "normals"
    (nyudv2_mat / "splits.mat").unlink()
    for ask in (lambda: open_dataset(spec, "normals"), lambda: first_task(spec)):
        with pytest.raises(InputError, match=r"splits.mat is not there; get it where nyu_depth_v2_labeled.mat is from"):
            ask()
    with pytest.raises(InputError, match="nyudv2 serves segmentation, normals, regression, not edges"):
        open_dataset(spec, "edges")


@pytest.mark.parametrize(
    ("name", "content", "task", "message"),
    [
        ("splits.mat", {"trainNdxs": [[0]]}, "normals", r"splits.mat, 'trainNdxs' holds 0 to 0; .* from 1 to 5"),
        ("splits.mat", {"trainNdxs": [[-1]]}, "normals", r"splits.mat, 'trainNdxs' holds -1 to -1"),
        ("splits.mat", {"trainNdxs": [[1.5]]}, "normals", r"splits.mat, 'trainNdxs' holds numbers that are not whole"),
        ("splits.mat", {"trainNdxs": "one"}, "normals", r"splits.mat, 'trainNdxs' is an array of <U1"),
        ("splits.mat", {"trainNdxs": {"a": 1}}, "normals", r"splits.mat, 'trainNdxs' is an array of object"),
        ("splits.mat", {"trainNdxs": [[6]]}, "normals", r"splits.mat, 'trainNdxs' holds 6 to 6"),
        ("splits.mat", {"other": [[1]]}, "normals", r"splits.mat has no variable 'trainNdxs'"),
        (
            "classMapping40.mat",
            {"mapClass": [[41.0]]},
            "segmentation",
            r"'mapClass' holds 41.0 .* 0 to 40",
        ),
        ("classMapping40.mat", {"map": [[4.0]]}, "segmentation", r"no variable 'mapClass'"),
    ],
)
def test_a_wrong_table_is_named(nyudv2_mat: Path, name: str, content: dict, task: str, message: str) -> None:
    savemat(nyudv2_mat / name, content)
    with pytest.raises(InputError, match=message):
        open_dataset(f"nyudv2:{nyudv2_mat}", task)


def test_a_wrong_file_is_named(nyudv2_mat: Path) -> None:
    savemat(nyudv2_mat / "classMapping40.mat", {"mapClass": np.ones((1, 50))})
    with pytest.raises(
        InputError, match=r"item 0002, holds labels 0 to 51, but mapClass in classMapping40\.mat goes from 0 to 50"
    ):
        open_dataset(f"nyudv2:{nyudv2_mat}", "segmentation").labels(0)
    spec, path = f"nyudv2:{nyudv2_mat}", nyudv2_mat / FILE
    rewrite(path, "labels", np.full((5, 64, 52), -3, np.int16))
    with pytest.raises(InputError, match="holds labels -3 to -3"):  # which would be counted from the table's end
        open_dataset(spec, "segmentation").labels(0)
    with pytest.raises(InputError, match=r"none.mat is not there"):
        open_dataset(f"nyudv2:{nyudv2_mat}/none.mat", "normals")
    with pytest.raises(InputError, match=r"splits.mat cannot be read, it is truncated or in another format"):
        open_dataset(f"nyudv2:{nyudv2_mat}/splits.mat", "normals")
    rewrite(path, "depths", np.zeros((5, 64)))
    with pytest.raises(InputError, match=r"labeled.mat has no array 'depths' of 3 dimensions"):
        open_dataset(spec, "normals")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"labeled.mat cannot be read, it is truncated"):
        open_dataset(spec, "normals")


def test_a_folder_of_pictures_stays_one(nyudv2_data: Path, nyudv2_mat: Path) -> None:
    (nyudv2_mat / FILE).rename(nyudv2_data / FILE)
    assert type(open_dataset(f"nyudv2:{nyudv2_data}", "normals")) is not NYUDv2Mat
