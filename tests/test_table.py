"""Labels as a table of points: what is read, in whatever form, and what each error says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import random_image, save_png
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import pixelnet
from pixelnet import InputError
from pixelnet.cli import main
from pixelnet.data.arrays import Arrays
from pixelnet.data.table import PointTable, read_rows
from pixelnet.learning.fit import fit_noted

RNG = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two pictures, 20x10, one of them in a folder of its own."""
    save_png(tmp_path / "photos" / "a.png", random_image(RNG, (10, 20)))
    save_png(tmp_path / "photos" / "far" / "b.png", random_image(RNG, (10, 20)))
    return tmp_path / "photos"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_pixel_a_line(photos: Path, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "image,x,y,class\na.png,3,4,road\nfar/b.png,19,9,sky\na.png,0,0,sky\n")
    data = PointTable(table, photos)
    assert data.names == ["a", "far/b"]
    assert data.class_names == ("road", "sky")
    assert data.size(0) == (20, 10)
    labels = data.labels(0)
    assert labels.dtype == np.uint8
    assert (labels[4, 3], labels[0, 0]) == (0, 1)
    assert (labels != 255).sum() == 2
    np.testing.assert_array_equal(data.labels(1, (slice(8, 10), slice(18, 20))), [[255, 255], [255, 1]])
    np.testing.assert_array_equal(data.image(1), np.asarray(Image.open(photos / "far" / "b.png")))
    assert data.files(1) == (photos / "far" / "b.png", table)
    assert data.channels == ("red", "green", "blue")


@pytest.mark.parametrize(
    "text",
    [
        "class,y,note,x,image\nsky,4,hm,3,a.png\nroad,9,,19,far/b\n",
        "\ufeffImage, X ,Y,Class\r\na,3,4,sky\r\n\r\nfar/b,19,9,road\r\n",
        "image;x;y;class\na;3.4;3.5;sky\nfar/b.png;18.6;8.9;road\n",
        'image\tx\ty\tclass\n"a"\t3\t4\tsky\nfar/b\t19\t9\troad\n',
        "image,x,y,class\nphotos/a.png,3,4,sky\n./far/../far/b,19,9,road\na,3,4,sky\n",
    ],
    ids=["order", "mark", "semicolon", "tab", "paths"],
)
def test_forms_of_one_table(photos: Path, tmp_path: Path, text: str) -> None:
    data = PointTable(written(tmp_path / "t.csv", text), str(photos))
    assert data.names == ["a", "far/b"]
    assert data.class_names == ("road", "sky")
    for i, (x, y, own) in enumerate([(3, 4, 1), (19, 9, 0)]):
        expected = np.full((10, 20), 255)
        expected[y, x] = own
        np.testing.assert_array_equal(data.labels(i), expected)


def test_numbers_are_in_their_order(photos: Path, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "image,x,y,class\na,0,0,10\na,1,0,9\na,2,0,9.0\na,3,0,-1\n")
    data = PointTable(table, photos)
    assert data.class_names == ("-1", "9", "10")
    np.testing.assert_array_equal(data.labels(0)[0, :5], [2, 1, 1, 0, 255])
    mixed = written(tmp_path / "m.csv", "image,x,y,class\na,0,0,10\na,1,0,9\na,2,0,x\n")
    assert PointTable(mixed, photos).class_names == ("10", "9", "x")


def test_classes_are_in_the_order_that_is_given(photos: Path, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "image,x,y,class\na,3,4,road\na,0,0,sky\n")
    data = PointTable(table, photos, class_names=("void", "sky", "road"))
    assert data.class_names == ("void", "sky", "road")
    assert (data.labels(0)[4, 3], data.labels(0)[0, 0]) == (2, 1)
    with pytest.raises(InputError, match="line 3: 'sky' is none of the classes void, road"):
        PointTable(table, photos, class_names=("void", "road"))
    with pytest.raises(InputError, match="--classes are of --labels"):
        pixelnet.fit(photos, class_names=("road", "sky"))


@given(
    st.lists(
        st.tuples(st.floats(-0.5, 19.49), st.floats(-0.5, 9.49)),
        min_size=1, max_size=30, unique_by=lambda p: (np.floor(p[0] + 0.5), np.floor(p[1] + 0.5)),
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_order_of_lines_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[float, float]], random: object
) -> None:
    folder = tmp_path_factory.mktemp("t")
    save_png(folder / "a.png", np.zeros((10, 20, 3), np.uint8))
    lines = [f"a,{x!r},{y!r},{'pq'[k % 2]}" for k, (x, y) in enumerate(places)]
    one = PointTable(written(folder / "t.csv", "\n".join(["image,x,y,class", *lines])), folder).labels(0)
    random.shuffle(lines)  # type: ignore[attr-defined]
    other = PointTable(written(folder / "t.csv", "\n".join(["image,x,y,class", *lines])), folder).labels(0)
    np.testing.assert_array_equal(one, other)
    assert (one != 255).sum() == len(places)
    for k, (x, y) in enumerate(places):
        assert one[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))] == k % 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,3,4,x\nc,1,1,x", r"t.csv, line 3: there is no image 'c' in .*photos, nor beside the table"),
        ("far/bb.png,1,1,x", r"line 2: there is no image 'far/bb.png'.*; did you mean 'far/b.png'\?"),
        (f"{'a' * 300},1,1,x", "line 2: there is no image 'aaa"),
        (f"{'a' * 300}/b,1,1,x", "line 2: there is no image 'aaa"),
        ("a\0,1,1,x", "line 2: there is no image"),
        ("a,20,4,x", r"line 2: \(20, 4\) lies outside of a, which is 20x10; x and y are in pixels from 0"),
        ("a,-0.6,4,x", r"line 2: \(-1, 4\) lies outside"),
        ("a,3,4,x\na,4,15,x", r"line 3: \(4, 15\) lies outside of a, which is 20x10; are x and y swapped\?"),
        ("a,3,4,x\na,1,1,x\na.png,3.2,3.9,y", r"line 4: \(3, 4\) of a.png is y, and x in line 2; give each pixel one"),
        ("a,3,4,", r"line 2: class is empty; give image, x, y, class in each line"),
        ("a,3,4", r"line 2: class is empty"),
        (",3,4,x", r"line 2: image is empty"),
        ("a,,4,x", r"line 2: x is empty"),
        ("a,3,four,x", r"line 2: y is 'four', expected a number of pixels"),
        ("a,nan,4,x", r"line 2: x is 'nan', expected"),
        ("a,1e999,4,x", r"line 2: x is '1e999', expected"),
        ("", r"labels nothing; expected a line for each labelled pixel"),
        ('a,3,4,"x\ny', r"t.csv, line 3 cannot be read as CSV"),
    ],
)
def test_each_error_names_its_line(photos: Path, tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PointTable(written(tmp_path / "t.csv", f"image,x,y,class\n{rows}\n"), photos)


def test_classes_that_differ_in_capitals_are_asked_about(photos: Path, tmp_path: Path, capsys) -> None:
    rows = "a,3,4,Background\na,5,5, background\nfar/b,1,1,sky\nfar/b,2,2,back ground\n"
    table = written(tmp_path / "t.csv", f"image,x,y,class\n{rows}")
    said = (
        "'Background' and 'back ground' and 'background' are 3 classes, and differ in capital letters or blanks alone; "
        f"if they are one, write them alike in {table}"
    )
    assert PointTable(table, photos).questions == (said,)
    given = ["--data", str(photos), "--labels", str(table)]
    assert main(["check", str(photos), "--labels", str(table)]) == 0
    assert f"is it so? {said}\nno problems found, one question above" in capsys.readouterr().out
    assert main(["fit", *given, "--out", str(tmp_path / "m"), "--features", "filters"]) == 0
    assert capsys.readouterr().out.startswith(f"is it so? {said}\n")
    small = ["--backbone", "test_resnet", "--hidden", "4", "--max-steps", "1", "--num-workers", "0", "--val-share", "0"]
    assert main(["train", "--task", "segmentation", *given, "--out", str(tmp_path / "run"), *small]) == 0
    assert f"is it so? {said}" in "".join(capsys.readouterr())
    written(table, "image,x,y,class\na,3,4,road\na,5,5,sky\n")
    assert PointTable(table, photos).questions == ()


@pytest.mark.parametrize("text", ["", "\n\n", "a,3,4,x\n", "image,x,class\na,3,x\n"])
def test_titles_are_needed(photos: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"has no column .*expected the titles image,x,y,class"):
        PointTable(written(tmp_path / "t.csv", text), photos)


def test_a_table_or_folder_that_is_not_there(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.csv"):
        PointTable(tmp_path / "nothing.csv", photos)
    table = written(tmp_path / "t.csv", "image,x,y,class\na,3,4,x\n")
    with pytest.raises(InputError, match="there is no folder"):
        PointTable(table, tmp_path / "nowhere")


def test_a_name_of_two_images_is_refused(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(random_image(RNG, (10, 20))).save(photos / "a.jpg")
    table = written(tmp_path / "t.csv", "image,x,y,class\na,3,4,x\n")
    with pytest.raises(InputError, match=r"line 2: a may be a.jpg or a.png; write which, with its ending"):
        PointTable(table, photos)
    both = written(tmp_path / "t.csv", "image,x,y,class\na.png,3,4,x\na.jpg,3,4,y\n")
    data = PointTable(both, photos)
    assert data.names == ["a.jpg", "a.png"]
    assert [int(data.labels(i)[4, 3]) for i in range(2)] == [1, 0]


def test_too_many_classes(photos: Path, tmp_path: Path) -> None:
    rows = "".join(f"a,{k % 20},{k // 20},c{k}\n" for k in range(200)) + "".join(
        f"far/b,{k % 20},{k // 20},d{k}\n" for k in range(56)
    )
    with pytest.raises(InputError, match="names 256 classes; there can be 255"):
        PointTable(written(tmp_path / "t.csv", "image,x,y,class\n" + rows), photos)


# ---------------------------------------------------------------------------------- images of other kinds


def test_gray_and_sixteen_bits_are_read_as_a_folder_reads_them(tmp_path: Path) -> None:
    gray, deep = tmp_path / "gray", tmp_path / "deep"
    pixels = RNG.integers(0, 4096, (10, 20)).astype(np.uint16)
    save_png(gray / "a.png", (pixels // 16).astype(np.uint8))
    deep.mkdir()
    tifffile.imwrite(deep / "a.tif", pixels)
    table = written(tmp_path / "t.csv", "image,x,y,class\na,3,4,x\na,5,4,y\n")
    one, other = PointTable(table, gray), PointTable(table, deep)
    np.testing.assert_array_equal(one.image(0), np.repeat((pixels // 16)[..., None], 3, axis=2))
    assert one.ranges is None
    np.testing.assert_array_equal(other.image(0)[..., 0], pixels)
    assert other.ranges is not None
    assert 3900 < other.ranges[0][1] < 4096
    written(deep / "dataset.json", '{"range": [0, 4095]}')
    assert PointTable(table, deep).ranges == ((0.0, 4095.0),) * 3


def test_pages_of_a_stack(tmp_path: Path) -> None:
    pages = RNG.integers(0, 256, (3, 10, 20), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", pages, photometric="minisblack", metadata={"axes": "ZYX"})
    rows = "s[2],3,4,x\ns.tif[0],1,1,y\n"
    data = PointTable(written(tmp_path / "t.csv", f"image,x,y,class\n{rows}"), tmp_path)
    assert data.names == ["s[0]", "s[2]"]
    np.testing.assert_array_equal(data.image(1)[..., 0], pages[2])
    assert data.labels(1)[4, 3] == 0
    for image, message in [("s", r"s.tif holds 3 images; write which, as in s.tif\[0\]"), ("s[3]", r"last of them s")]:
        with pytest.raises(InputError, match=message):
            PointTable(written(tmp_path / "t.csv", f"image,x,y,class\n{image},0,0,x\n"), tmp_path)


def test_images_that_are_not_named_are_there_where_asked_for(photos: Path, tmp_path: Path) -> None:
    for name in ("c.png", "a_mask.png", "d.jpg", "aside/e.png"):
        save_png(photos / name, random_image(RNG, (10, 20)))
    pages = RNG.integers(0, 256, (3, 10, 20, 3), dtype=np.uint8)
    tifffile.imwrite(photos / "s.tif", pages, photometric="rgb", metadata={"axes": "ZYXS"})
    table = written(tmp_path / "t.csv", "image,x,y,class\na,3,4,road\ns[1],9,9,sky\n")
    data = PointTable(table, photos, unlabelled=9)
    assert data.names == ["a", "c", "s[0]", "s[1]", "s[2]"]  # no labels, nothing of another kind or place
    assert [(data.labels(i) != 255).sum() for i in range(5)] == [1, 0, 0, 1, 0]
    np.testing.assert_array_equal(data.image(4), pages[2])
    assert PointTable(table, photos, unlabelled=1).names == ["a", "c", "s[1]"]
    items = [(random_image(RNG, (10, 20)), np.zeros((10, 20), np.uint8)) for _ in range(3)]
    named = written(tmp_path / "n.csv", "image,x,y,class\n000001,3,4,x\n")
    other = PointTable(named, items, unlabelled=9)
    assert [(other.labels(i) != 255).sum() for i in range(3)] == [0, 1, 0]


def test_photos_are_seen_upright(tmp_path: Path) -> None:
    rotated = Image.new("RGB", (20, 10))
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "a.jpg", exif=exif)
    data = PointTable(written(tmp_path / "t.csv", "image,x,y,class\na,9,19,x\n"), tmp_path)
    assert data.size(0) == (10, 20)
    assert data.labels(0).shape == data.image(0).shape[:2] == (20, 10)


def test_images_of_any_data_set(tmp_path: Path) -> None:
    items = [(random_image(RNG, (10, 20)), np.zeros((10, 20), np.uint8)) for _ in range(3)]
    table = written(tmp_path / "t.csv", "image,x,y,class\n000002,3,4,x\n000000.png,5,4,y\n")
    data = PointTable(table, Arrays(items, "segmentation"))
    assert data.names == ["000000", "000002"]
    np.testing.assert_array_equal(data.image(1), items[2][0])
    assert data.files(0) == ()
    assert PointTable(table, items).names == data.names
    scenes = PointTable(written(tmp_path / "t.csv", "image,x,y,class\ntrain-000001,3,4,x\n"), "scenes:2")
    assert scenes.names == ["train-000001"]
    with pytest.raises(InputError, match=r"line 2: .* has no image '7'"):
        PointTable(written(tmp_path / "t.csv", "image,x,y,class\n7,3,4,x\n"), items)


def test_a_model_is_fitted_to_a_table_as_to_label_maps(photos: Path, tmp_path: Path) -> None:
    rows = "".join(
        f"{name},{x},{y},{'left' if x < 10 else 'right'}\n"
        for name in ("a", "far/b")
        for x in range(20)
        for y in (2, 7)
    )
    table = written(tmp_path / "t.csv", "image,x,y,class\n" + rows)
    options = {"features": "filters", "strength": 0.01}
    model = pixelnet.fit(photos, tmp_path / "m", labels=table, **options)
    assert model.config.class_names == ("left", "right")
    data = PointTable(table, photos)
    items = [(data.image(i), data.labels(i)) for i in range(2)]
    same = fit_noted(items, **options).model
    for one, other in zip(model.state_dict().values(), same.state_dict().values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert len(read_rows(table)) == 80


def test_a_network_learns_from_a_table_too(photos: Path, tmp_path: Path) -> None:
    lines = [
        f"{image},{x},{y},{'road' if y > 4 else 'sky'}" for image in ("a", "far/b") for x in (3, 9) for y in (1, 8)
    ]
    table = written(tmp_path / "t.csv", "\n".join(["image,x,y,class", *lines]))
    told: dict[str, Any] = {"backbone": "test_resnet", "hidden": (4,), "pyramid": 4, "max_steps": 1, "num_workers": 0}
    told |= {"batch_size": 2, "crop": (10, 20), "val_share": 0.0, "labels": table}
    model = pixelnet.train("segmentation", photos, tmp_path / "run", **told)
    assert model.config.class_names == ("road", "sky")
    learnt = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])["pixels"]
    assert 0 < learnt <= len(lines)  # a view may leave some out
    with pytest.raises(InputError, match=r"t\.csv names classes, which edges does not learn"):
        pixelnet.train("edges", photos, tmp_path / "other", **told)
    with pytest.raises(InputError, match="without --channels, --range and --slices"):
        pixelnet.train("segmentation", photos, tmp_path / "other", **told, channels=("red",))
