import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelnet.cli import main
from pixelnet.data import Dataset, open_dataset
from pixelnet.data.arrays import Arrays
from pixelnet.data.check import check, find_problems, overlay, validate
from pixelnet.errors import InputError
from pixelnet.tasks import TASKS, make_task


def opened(root: Path, task: str, split: str = "train") -> Dataset:
    return open_dataset(f"folder:{root}", task, split)


def problems(dataset: Dataset) -> list[str]:
    """What check finds, which training must find too."""
    found = check(dataset).problems
    assert find_problems(dataset) == found
    return found


@pytest.mark.parametrize("task", TASKS)
def test_sound_data_has_no_problems(folder_data, task: str) -> None:
    report = check(opened(folder_data(task), task))
    assert report.problems == []
    assert report.items == 3
    assert report.sizes == {(16, 12): 1, (16, 13): 1, (16, 14): 1}
    assert "no problems found" in str(report)
    assert "16x13 (1)" in str(report)
    validate(opened(folder_data(task), task))


# ------------------------------------------------------------------------------------------ statistics


def test_class_shares_are_of_all_pixels(folder_data) -> None:
    root = folder_data("segmentation")
    counts = dict.fromkeys((0, 1, 2, 3, 255), 0)
    for path in (root / "train/labels").iterdir():
        for value in np.asarray(Image.open(path)).flat:
            counts[int(value)] += 1
    labels = check(opened(root, "segmentation")).labels
    total = 16 * (12 + 13 + 14)
    expected = {("unlabelled" if k == 255 else str(k)): n / total for k, n in counts.items()}
    assert labels == pytest.approx(expected)
    assert list(labels) == ["0", "1", "2", "3", "unlabelled"]


def test_edge_shares_count_unsure_pixels_too(folder_data) -> None:
    root = folder_data("edges", items=1)
    (root / "train/edges/0000.png").unlink()
    share = np.zeros((12, 16))
    share[0, :4] = [0.2, 0.5, 1, np.nan]
    np.save(root / "train/edges/0000.npy", share)
    labels = check(opened(root, "edges")).labels
    assert list(labels.values()) == pytest.approx([1.7 / 191, 3 / 191, 2 / 191, 1 / 192])


def test_normals_and_values_are_averaged_over_labelled_pixels(folder_data) -> None:
    root = folder_data("normals", items=1)
    (root / "train/normals/0000.png").unlink()
    normals = np.zeros((12, 16, 3))
    normals[0, :3] = [[0, 0, -1], [0.6, 0, -0.8], [0, -0.6, 0.8]]
    np.save(root / "train/normals/0000.npy", normals)
    labels = check(opened(root, "normals")).labels
    assert list(labels.values()) == pytest.approx([0.2, -0.2, -1 / 3, 1 / 3, 189 / 192], abs=1e-6)

    root = folder_data("regression", items=1)
    values = np.full((12, 16), np.nan)
    values[3, :2] = [-1, 4]
    np.save(root / "train/values/0000.npy", values)
    labels = check(opened(root, "regression")).labels
    assert labels == pytest.approx({"smallest": -1, "largest": 4, "mean": 1.5, "unlabelled": 190 / 192})


# ------------------------------------------------------------------------------------------- bad input


def test_every_problem_is_listed_with_its_file(folder_data) -> None:
    root = folder_data("segmentation", items=5)
    (root / "dataset.json").write_text('{"classes": ["a", "b", "c", "d"]}')
    Image.new("L", (16, 11)).save(root / "train/labels/0000.png")
    ids = np.zeros((13, 16), np.uint8)
    ids[4, 4] = 9
    Image.fromarray(ids).save(root / "train/labels/0001.png")
    whole = (root / "train/images/0002.png").read_bytes()
    (root / "train/images/0002.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/images/0003.png").write_text("not at all")
    found = problems(opened(root, "segmentation"))
    assert len(found) == 4
    assert found[0] == (
        "train/labels/0000.png is 16x11 but train/images/0000.png is 16x12; resize the label with nearest neighbor"
    )
    assert found[1].startswith(
        "train/labels/0001.png holds the value 9 in 1 pixels (first at x 4, y 4), outside the classes a (0), b (1)"
    )
    assert f"{root}/train/images/0002.png cannot be read, it is truncated" in found[2]
    assert f"{root}/train/images/0003.png cannot be read" in found[3]
    assert "4 problems:" in str(check(opened(root, "segmentation")))


def test_a_color_label_map_and_nan_in_normals(folder_data) -> None:
    root = folder_data("segmentation", items=2)
    Image.new("RGB", (16, 12), (9, 0, 0)).save(root / "train/labels/0000.png")
    assert problems(opened(root, "segmentation")) == [
        "train/labels/0000.png is in colors, and other label maps are in numbers; save all alike"
    ]
    root = folder_data("normals", items=1)
    (root / "train/normals/0000.png").unlink()
    np.save(root / "train/normals/0000.npy", np.full((12, 16, 3), np.nan))
    assert "0000.npy holds NaN in 192 pixels" in problems(opened(root, "normals"))[0]


def test_data_without_one_labelled_pixel(folder_data) -> None:
    root = folder_data("regression", items=2)
    for name in ("0000", "0001"):
        np.save(root / f"train/values/{name}.npy", np.full((12 + int(name), 16), np.nan))
    assert problems(opened(root, "regression")) == [
        f"folder:{root}, split train, has no labelled pixel; check its label maps"
    ]
    np.save(root / "train/values/0001.npy", np.ones((13, 16)))
    assert problems(opened(root, "regression")) == []


def test_validate_names_the_first_five(folder_data) -> None:
    root = folder_data("edges", items=7)
    for path in (root / "train/edges").iterdir():
        Image.new("L", (5, 5)).save(path)
    with pytest.raises(InputError) as caught:
        validate(opened(root, "edges"))
    lines = str(caught.value).splitlines()
    assert [line[:21] for line in lines[:5]] == [f"train/edges/000{k}.png "[:21] for k in range(5)]
    assert lines[5:] == ["(2 more problems; `pixelnet check` lists them all)"]


def test_without_time_headers_are_still_compared(folder_data) -> None:
    root = folder_data("edges")
    Image.new("L", (5, 5)).save(root / "train/edges/0001.png")
    whole = (root / "train/images/0002.png").read_bytes()
    (root / "train/images/0002.png").write_bytes(whole[: len(whole) // 2])  # whose header is sound
    found = find_problems(opened(root, "edges"), seconds=0)
    assert len(found) == 1
    assert "0001.png is 5x5" in found[0]


def test_without_time_nothing_is_said_of_labels_not_read(folder_data) -> None:
    assert find_problems(opened(folder_data("regression"), "regression"), seconds=0) == []


class Made(Dataset):
    """Data of somebody's own: no files, and labels of the wrong size in one item."""

    task, source, split, names = "regression", "made", "train", ["a", "b"]

    def image(self, i: int) -> np.ndarray:
        return np.zeros((4, 5, 3), np.uint8)

    def labels(self, i: int) -> np.ndarray:
        return np.ones((4, 5 - i), np.float32)


class Generated(Made):
    generated = True


def test_data_without_files_is_checked_and_if_generated_not_before_training() -> None:
    found = ["made: the labels of b are 4x4 but its image is 5x4; resize the labels with nearest neighbor"]
    assert check(Made()).problems == find_problems(Made()) == found
    assert check(Generated()).problems == found
    assert find_problems(Generated()) == []


# --------------------------------------------------------------------------------------------- overlay


@pytest.mark.parametrize("task", TASKS)
def test_overlay_draws_each_task(folder_data, tmp_path: Path, task: str) -> None:
    overlay(opened(folder_data(task), task), tmp_path / "overlay.png", count=2)
    with Image.open(tmp_path / "overlay.png") as picture:
        widths = [round(240 * 16 / height) for height in (12, 14)]
        assert picture.size == (sum(widths), 480)


def test_overlay_paints_labelled_pixels_only(folder_data, tmp_path: Path) -> None:
    root = folder_data("segmentation", splits=(".",), items=1, classes=2)
    classes = [{"name": "a", "value": 0, "color": [200, 0, 0]}, {"name": "b", "value": 1, "color": [0, 200, 0]}]
    (root / "dataset.json").write_text(json.dumps({"classes": classes, "unlabelled": [255]}))
    Image.new("RGB", (16, 12), (100, 100, 100)).save(root / "images/0000.png")
    ids = np.full((12, 16), 255, np.uint8)
    ids[:, :8] = 0
    Image.fromarray(ids).save(root / "labels/0000.png")
    overlay(opened(root, "segmentation"), tmp_path / "overlay.png")
    picture = np.asarray(Image.open(tmp_path / "overlay.png"))
    assert picture[100, 50].tolist() == picture[400, 300].tolist() == [100, 100, 100]
    assert picture[400, 50].tolist() == [150, 50, 50]


def test_overlay_draws_thin_strokes_opaque_and_points_as_dots(tmp_path: Path) -> None:
    ids = np.full((480, 480), 255, np.uint8)
    ids[100:103, 50:200] = 0  # a stroke that comes to a pixel and a half
    ids[300, 400] = 1  # a point that would come to less than one
    ids[0, 479] = 1  # at the edge
    ids[350:450, 50:150] = 0  # as wide as it should be, to be seen through
    data = Arrays([(np.full((480, 480, 3), 100, np.uint8), ids)], "segmentation", ("a", "b"))
    data.class_colors = ((200, 0, 0), (0, 200, 0))
    overlay(data, tmp_path / "overlay.png")
    picture = np.asarray(Image.open(tmp_path / "overlay.png"))[240:]
    for y, x, color in (
        (50, 60, (200, 0, 0)), (51, 60, (200, 0, 0)), (50, 99, (200, 0, 0)), (45, 60, (100, 100, 100)),
        (150, 200, (0, 200, 0)), (150, 203, (0, 200, 0)), (147, 200, (0, 200, 0)), (150, 204, (255, 255, 255)),
        (150, 205, (0, 0, 0)), (150, 206, (100, 100, 100)), (0, 239, (0, 200, 0)), (200, 50, (150, 50, 50)),
    ):  # fmt: skip
        assert tuple(picture[y, x].tolist()) == color, (y, x)


def test_overlay_leaves_out_what_cannot_be_read(folder_data, tmp_path: Path) -> None:
    root = folder_data("edges", items=2)
    (root / "train/images/0000.png").write_text("not at all")
    overlay(opened(root, "edges"), tmp_path / "overlay.png")
    with Image.open(tmp_path / "overlay.png") as picture:
        assert picture.size == (round(240 * 16 / 13), 480)
    (root / "train/images/0001.png").write_text("not at all")
    with pytest.raises(InputError, match="no item could be drawn"):
        overlay(opened(root, "edges"), tmp_path / "overlay.png")


# --------------------------------------------------------------------------------------------- a table


@pytest.fixture
def clicks(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of two images without labels, and a table of points of one of them."""
    (tmp_path / "photos").mkdir()
    for name in "ab":
        Image.new("RGB", (40, 30), (90, 90, 90)).save(tmp_path / f"photos/{name}.png")
    table = tmp_path / "points.csv"
    table.write_text("image,x,y,class\na,3,4,tree\na,30,20,sky\na,31,20,sky\n")
    return tmp_path / "photos", table


def test_a_table_of_points_is_checked(clicks: tuple[Path, Path], tmp_path: Path, capsys) -> None:
    photos, table = clicks
    picture = tmp_path / "overlay.png"
    assert main(["check", str(photos), "--labels", str(table), "--overlay", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert f"{table}: 3 labelled pixels of 1 image\n  sky   2 in 1 image\n  tree  1 in 1 image\n" in printed
    assert "no problems found" in printed
    tree = make_task("segmentation", class_names=("sky", "tree")).palette[1]
    with Image.open(picture) as drawn:
        assert drawn.size == (320, 480)
        assert drawn.getpixel((round(3.5 * 8), 240 + round(4.5 * 8))) == tree
    assert main(["check", str(photos), "--labels", str(table), "--classes", "rock,sky,tree"]) == 0
    assert "  rock  0 in 0 images\n  sky   2 in 1 image" in capsys.readouterr().out


def test_a_folder_without_labels_is_told_of_tables(clicks: tuple[Path, Path], capsys) -> None:
    assert main(["check", str(clicks[0])]) == 2
    assert "a table of labelled pixels goes with them by --labels FILE.csv" in capsys.readouterr().err


def test_what_is_wrong_with_a_table_is_named_line_by_line(clicks: tuple[Path, Path], capsys) -> None:
    photos, table = clicks
    far = [f"a,{40 + k},1,sky" for k in range(6)]
    table.write_text("\n".join(["image,x,y,class", "a,3,4,tree", "a,3,4,sky", *far]))
    assert main(["check", str(photos), "--labels", str(table)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert f"{table}, line 3: (3, 4) of a is sky, and tree in line 2" in lines[0]
    assert [f"line {k}: " in line for k, line in enumerate(lines[1:5], start=4)] == [True] * 4
    assert lines[5:] == ["(2 more lines like these)"]


@pytest.mark.parametrize("options", [["--set", "threshold=3"], ["--write"], ["--out", "a.json"], ["--task", "edges"]])
def test_options_of_a_folders_own_labels_are_not_of_a_table(options: list[str], clicks, capsys) -> None:
    assert main(["check", str(clicks[0]), "--labels", str(clicks[1]), *options]) == 2
    assert "--labels" in capsys.readouterr().err


def test_real_camvid_has_the_published_class_shares(real_data: Path) -> None:
    dataset = open_dataset(f"camvid:{real_data}/camvid", "segmentation")
    dataset.names, dataset.pairs = dataset.names[::24], dataset.pairs[::24]  # type: ignore[attr-defined]
    report = check(dataset)
    assert report.problems == []
    # Of all 367: sky .169, building .233, road .317; of every 24th, near that.
    assert [report.labels[name] for name in ("Sky", "Building", "Road")] == pytest.approx(
        [0.169, 0.233, 0.317], abs=0.06
    )


def test_the_format_is_explained_and_the_first_files_named(camvid_data: Path) -> None:
    report = str(check(open_dataset(f"camvid:{camvid_data}", "segmentation")))
    assert "11 unlabelled" in report
    assert f"First item: {camvid_data}/train/images/a_1.png with {camvid_data}/train/labels/a_1.png" in report
