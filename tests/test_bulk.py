"""From image files to files of answers: where they are written, what they hold, and what is refused before."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_predict import TASKS, picture, small

from pixelnet import InputError, PixelNet
from pixelnet.inference.bulk import Unanswered, predict_files
from pixelnet.inference.inputs import image_files, read_points
from pixelnet.inference.journal import JOURNALS, NOTE
from pixelnet.inference.parts import HOME, Parts
from pixelnet.tasks.normals import read_normals


def files_in(folder: Path) -> set[str]:
    """All files but for the folder's notes of itself."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if name != NOTE and not name.startswith(JOURNALS)}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, (name, size) in enumerate((("a.png", (37, 53)), ("b.JPG", (20, 31)))):
        Image.fromarray(picture(*size) // (number + 1)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_files_hold_the_predictions(task: str, images: Path, tmp_path: Path) -> None:
    model, out = small(task), tmp_path / "out"
    written = predict_files(model, [images], out)
    suffix = "png" if task in ("segmentation", "edges") else "npy"
    names = [path.relative_to(out).as_posix() for path in written]
    assert sorted(names) == sorted(files_in(out))
    assert set(names) == {f"{folder}/{n}.{s}" for n in "ab" for folder, s in ((task, suffix), ("view", "png"))}
    for name in ("a.png", "b.JPG"):
        expected = model.predict(images / name)
        path = out / task / f"{name[0]}.{suffix}"
        stored = np.load(path) if suffix == "npy" else np.array(Image.open(path))
        if task == "segmentation":
            assert stored.dtype == np.uint8
            np.testing.assert_array_equal(stored, expected)
        elif task == "edges":
            assert Image.open(path).mode.startswith("I;16")
            np.testing.assert_allclose(stored / 65535, expected, atol=0.51 / 65535)
        else:
            assert stored.dtype == (np.float16 if task == "normals" else np.float32)
            np.testing.assert_allclose(stored, expected, atol=5e-4 if task == "normals" else 0)
        view = np.array(Image.open(out / "view" / f"{name[0]}.png"))
        np.testing.assert_array_equal(view, model.task.paint(expected))


@pytest.mark.parametrize("task", TASKS)
def test_points_from_a_table_go_to_a_table(task: str, images: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n3,4\n\n10.5, 7.25\n")
    model, out = small(task), tmp_path / "out"
    written = predict_files(model, [images / "a.png"], out, tmp_path / "points.csv")
    assert [path.relative_to(out).as_posix() for path in written] == list(files_in(out)) == ["points/a.csv"]
    rows = list(csv.DictReader((out / "points/a.csv").open()))
    assert [(float(row["x"]), float(row["y"])) for row in rows] == [(3, 4), (10.5, 7.25)]
    values = [[float(value) for key, value in row.items() if key not in "xy"] for row in rows]
    expected = model.predict(images / "a.png", [(3, 4), (10.5, 7.25)]).reshape(2, -1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert list(rows[0]) == ["x", "y", *(["x_normal", "y_normal", "z_normal"] if task == "normals" else [task])]


def test_binary_edges_are_written_in_black_and_white(images: Path, tmp_path: Path) -> None:
    model = small("edges", threshold=0.3)
    predict_files(model, [images / "a.png"], tmp_path / "out", binary=True)
    expected = model.predict(images / "a.png", binary=True)
    assert expected.any()
    stored, view = Image.open(tmp_path / "out/edges/a.png"), Image.open(tmp_path / "out/view/a.png")
    assert stored.mode == "L"
    np.testing.assert_array_equal(np.array(stored), np.where(expected, 255, 0))
    np.testing.assert_array_equal(np.array(view), np.where(expected, 0, 255)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("normals", {"binary": True}, "the model's task is normals"),
        ("edges", {"binary": True}, "no threshold.*config.json"),
        ("edges", {"adaptive": 2}, "from 0"),
        ("edges", {"adaptive": 0.5, "flip": True}, "do not go together"),
    ],
)
def test_options_that_will_not_do_are_refused_at_once(task, options, message, images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        predict_files(small(task), [images], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_normals_are_written_in_the_axes_asked_for(images: Path, tmp_path: Path) -> None:
    model, table = small("normals"), tmp_path / "points.csv"
    table.write_text("3,4\n")
    expected = model.predict(images / "a.png") * (1, -1, -1)
    predict_files(model, [images / "a.png"], tmp_path / "out", normals="opengl")
    np.testing.assert_allclose(np.load(tmp_path / "out/normals/a.npy"), expected, atol=5e-4)
    np.testing.assert_allclose(
        read_normals(tmp_path / "out/normals/a.npy", "opengl") * (1, -1, -1), expected, atol=1e-3
    )
    view = np.array(Image.open(tmp_path / "out/view/a.png"))
    np.testing.assert_array_equal(view, model.task.paint(model.predict(images / "a.png")))
    predict_files(model, [images / "a.png"], tmp_path / "out", table, normals="opengl")
    (row,) = csv.DictReader((tmp_path / "out/points/a.csv").open())
    np.testing.assert_allclose([float(row[f"{axis}_normal"]) for axis in "xyz"], expected[4, 3], atol=1e-5)


def test_a_convention_that_will_not_do_is_refused_at_once(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no convention 'directx' of normals; known are pixelnet, opengl"):
        predict_files(small("normals"), [images], tmp_path / "out", normals="directx")
    with pytest.raises(InputError, match="the model's task is edges; leave it out"):
        predict_files(small("edges"), [images], tmp_path / "out", normals="opengl")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["3,4\n5,6\n", "x,y\n3,4\n5,6", "X, Y ,note\n3,4,a\n5,6,b\n", "\ufeffx,y\n3,4\n5,6\n"])
def test_tables_of_points(text: str, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(text, encoding="utf-8")
    assert read_points(tmp_path / "points.csv").tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize("content", [b"", b"x,y\n", b"3;4\n", b"3,four\n", b"3,nan\n", b"\xff\xfe3,4"])
def test_tables_that_are_none_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"points\.csv"):
        read_points(tmp_path / "points.csv")
    with pytest.raises(InputError, match=r"none\.csv"):
        read_points(tmp_path / "none.csv")


def test_inputs_that_will_not_do_are_named(images: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        image_files([tmp_path / "empty"])
    with pytest.raises(InputError, match=r"c\.png is not there"):
        image_files([images / "c.png"])
    with pytest.raises(InputError, match="no image was given"):
        image_files([])
    Image.fromarray(picture()).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"both be written as a\.png;"):
        image_files([images, tmp_path / "a.png"])
    assert image_files([images, images / "a.png"]) == {Path("a"): images / "a.png", Path("b"): images / "b.JPG"}
    Image.fromarray(picture()).save(images / "a.bmp")
    assert image_files([images]) == {
        Path("a.bmp"): images / "a.bmp", Path("a.png"): images / "a.png", Path("b"): images / "b.JPG"
    }  # fmt: skip


def test_folders_are_looked_through_and_their_folders_kept(images: Path, tmp_path: Path) -> None:
    deep = images / "one.day" / "two"
    for folder in (deep, images / ".hidden"):
        folder.mkdir(parents=True)
        Image.fromarray(picture(20, 20)).save(folder / "a.png")
    Image.fromarray(picture(20, 20)).save(images / ".c.png")
    found = image_files([images])
    assert found == {
        Path("a"): images / "a.png", Path("b"): images / "b.JPG", Path("one.day/two/a"): deep / "a.png"
    }  # fmt: skip
    model, out = small(), tmp_path / "out"
    predict_files(model, [images], out)
    names = ("a", "b", "one.day/two/a")
    assert files_in(out) == {f"{folder}/{name}.png" for folder in ("segmentation", "view") for name in names}
    np.testing.assert_array_equal(
        np.array(Image.open(out / "segmentation/one.day/two/a.png")), model.predict(deep / "a.png")
    )
    (tmp_path / "points.csv").write_text("3,4\n")
    predict_files(model, [images], tmp_path / "table", tmp_path / "points.csv")
    assert files_in(tmp_path / "table") == {f"points/{name}.csv" for name in names}


def test_two_folders_may_not_answer_to_one_name(images: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(picture(20, 20)).save(other / "c.png")
    assert list(image_files([images, other])) == [Path("a"), Path("b"), Path("c")]
    Image.fromarray(picture(20, 20)).save(other / "b.jpg")
    with pytest.raises(InputError, match=r"b\.JPG and .*b\.jpg would both be written as b.jpg;"):
        predict_files(small(), [images, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("table", [False, True])
def test_a_broken_image_is_noted_and_the_rest_goes_on(images: Path, tmp_path: Path, table: bool) -> None:
    (images / "aa.png").write_bytes((images / "a.png").read_bytes()[:200])
    (images / "c.tif").write_bytes(b"II*\0 no more")
    points, out = tmp_path / "points.csv", tmp_path / "out"
    points.write_text("3,4\n")
    with pytest.raises(Unanswered, match=r"2 of 4 images could not be answered, and .*failures\.csv says why") as error:
        predict_files(small(), [images], out, points if table else None)
    folders = {"points": "csv"} if table else {"segmentation": "png", "view": "png"}
    names = {f"{folder}/{name}.{end}" for folder, end in folders.items() for name in "ab"}
    assert {path.relative_to(out).as_posix() for path in error.value.written} == names
    assert files_in(out) == names | {"failures.csv"}
    rows = list(csv.DictReader((out / "failures.csv").open()))
    assert sorted((row["name"], row["file"]) for row in rows) == [
        ("aa", str(images / "aa.png")), ("c", str(images / "c.tif"))
    ]  # fmt: skip
    assert all("cannot be read" in row["reason"] for row in rows)


def test_the_only_image_is_refused_if_it_is_broken(images: Path, tmp_path: Path) -> None:
    for name, content in (("c.png", (images / "a.png").read_bytes()[:200]), ("c.tif", b"II*\0 no more")):
        (images / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} cannot be read") as error:
            predict_files(small(), images / name, tmp_path / "out")
        assert not isinstance(error.value, Unanswered)
    assert not (tmp_path / "out").exists()


def test_an_image_too_small_for_the_points_is_noted(images: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n40,10\n")  # a.png is 53x37, b.JPG 31x20
    with pytest.raises(Unanswered, match=r"1 of 2 images .*b\.JPG: 1 of 1 points lie outside the image of 31x20"):
        predict_files(small(), [images], tmp_path / "out", tmp_path / "points.csv")
    assert files_in(tmp_path / "out") == {"points/a.csv", "failures.csv"}


def test_stacks_are_as_many_images(tmp_path: Path) -> None:
    rng, folder, out = np.random.default_rng(0), tmp_path / "stacks", tmp_path / "out"
    folder.mkdir()
    pages = rng.integers(0, 256, (3, 20, 31), dtype=np.uint8)
    first, *others = map(Image.fromarray, pages)
    first.save(folder / "plain.tif", save_all=True, append_images=others)
    first.save(folder / "moving.gif", save_all=True, append_images=others)
    np.save(folder / "array.npy", pages)
    model = small()
    with pytest.raises(Unanswered, match=r"1 of 5 images .*shape \(3, 20, 31\).* --axes at predict"):
        predict_files(model, folder, out)
    with pytest.raises(InputError, match=r"other options: axes None there and zyx now; .* --overwrite"):
        predict_files(model, folder, out, axes="zyx")
    written = predict_files(model, folder, out, axes="zyx", overwrite=True)
    views = {f"view/{name}[{k}].png" for name in ("plain", "moving", "array") for k in range(3)}
    labels = {f"segmentation/{name}[{k}].png" for name in ("moving", "array") for k in range(3)}
    assert files_in(out) == views | labels | {"segmentation/plain.tif"}
    assert {path.relative_to(out).as_posix() for path in written} == files_in(out)
    expected = np.stack([model.predict(page) for page in pages])
    with tifffile.TiffFile(out / "segmentation/plain.tif") as file:
        assert file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.asarray(), expected)
    for k in range(3):
        np.testing.assert_array_equal(np.array(Image.open(out / f"segmentation/array[{k}].png")), expected[k])
        np.testing.assert_array_equal(np.array(Image.open(out / f"view/plain[{k}].png")), model.task.paint(expected[k]))
    with pytest.raises(InputError, match="holds 3 images, and one is expected"):
        model.predict(folder / "plain.tif")


@pytest.mark.parametrize("task", TASKS)
def test_a_stack_is_answered_as_one_and_goes_on(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = np.random.default_rng(0).integers(0, 256, (4, 20, 31), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", metadata={"axes": "ZYX"})
    model, put, done = small(task), Parts.put, []

    def stop_after_two(self: Parts, number: int, answers: dict) -> None:
        if len(done) == 2:
            done.clear()
            raise KeyboardInterrupt
        done.append(self.folder.name)
        put(self, number, answers)

    monkeypatch.setattr(Parts, "put", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        predict_files(model, tmp_path / "a.tif", tmp_path / "out")
    (stack, *_) = (path for path in predict_files(model, tmp_path / "a.tif", tmp_path / "out") if path.suffix == ".tif")
    assert done == ["2", "3"]
    assert not (tmp_path / "out" / HOME).exists()
    found, expected = tifffile.imread(stack), np.stack([model.predict(page) for page in pages])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=0 if task == "segmentation" else 1e-3)
    for k, page in enumerate(pages):
        single = model.task.read_prediction(stack, k)
        np.testing.assert_allclose(single, model.predict(page), atol=2e-3)


@pytest.mark.parametrize("size", [None, 40])
def test_a_file_is_answered_by_the_channels_and_the_range_of_the_model(tmp_path: Path, size: int | None) -> None:
    rng, names = np.random.default_rng(0), ("red", "green", "blue", "band 4")
    stored = rng.integers(300, 4000, (37, 53, 4)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["unassalpha"])
    Image.fromarray(picture()).save(tmp_path / "photo.png")
    ranges = [(300, 4000), (0, 5000), (1000, 2000), (300, 4000)]
    model = small(in_channels=4, channels=names, ranges=ranges, image_size=size)
    low, high = np.array(ranges).T
    plain = small(in_channels=4, image_size=size)
    expected = plain.predict(((stored - low) / (high - low)).clip(0, 1).astype(np.float32))
    np.testing.assert_array_equal(model.predict(tmp_path / "a.tif"), expected)
    np.testing.assert_array_equal(model.predict(stored), expected)
    with pytest.raises(Unanswered, match=r"photo\.png has the channels red, green, blue; the model was trained on r"):
        predict_files(model, tmp_path, tmp_path / "out")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/segmentation/a.png")), expected)
    other = small(channels=("blue", "band 4", "red"), in_channels=3, ranges=(ranges[2], ranges[3], ranges[0]))
    unit = ((stored - low) / (high - low)).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(other.predict(tmp_path / "a.tif"), small().predict(unit[..., [2, 3, 0]]))


def test_what_macos_leaves_and_arrays_beside_pictures_are_passed_over(images: Path) -> None:
    for name in ("._a.png", "__MACOSX/._a.png", "__MACOSX/a.png", "volume.zarr/.zarray", "volume.zarr/0.png"):
        (images / name).parent.mkdir(exist_ok=True)
        (images / name).write_bytes(b"Mac OS X")
    for name in "ac":
        np.save(images / f"{name}.npy", np.zeros((20, 20)))
    found = image_files([images])
    assert sorted(path.name for path in found.values()) == ["a.png", "b.JPG", "c.npy", "volume.zarr"]
    assert list(image_files([images / "volume.zarr"])) == [Path("volume")]


@pytest.mark.parametrize(
    ("one", "other"), [("A.png", "a.png"), ("caf\u00e9.png", "cafe\u0301.png"), ("v[1].png", "v.tif")]
)
def test_two_answers_may_not_be_one_file_on_any_system(tmp_path: Path, one: str, other: str) -> None:
    images = [Image.fromarray(picture(8, 8)) for _ in range(2)]
    for name in (one, other):
        images[0].save(tmp_path / name, **({"save_all": True, "append_images": images[1:]} if "tif" in name else {}))
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this system tells no a from A")
    with pytest.raises(InputError, match="would both be written as"):
        predict_files(small(), [tmp_path / one, tmp_path / other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_answer_replaces_a_table_of_points_or_a_file_of_the_model(images: Path, tmp_path: Path) -> None:
    (tmp_path / "points").mkdir()
    table = tmp_path / "points/a.csv"
    table.write_text("3,4\n")
    with pytest.raises(InputError, match=r"points/a\.csv would be written over .*a\.csv; choose another --out"):
        predict_files(small(), images / "a.png", tmp_path, table)
    small().save(tmp_path / "model")
    Image.fromarray(picture()).save(tmp_path / "model/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/view").symlink_to(tmp_path / "model")
    before = (tmp_path / "model/a.png").read_bytes()
    with pytest.raises(InputError, match=r"out/view/a\.png would be written over .*a\.png"):
        predict_files(tmp_path / "model", images / "a.png", tmp_path / "out")
    assert (tmp_path / "model/a.png").read_bytes() == before
    assert table.read_text() == "3,4\n"


@pytest.mark.parametrize("way", ["itself", "around"])
def test_the_images_themselves_are_not_written_over(images: Path, way: str) -> None:
    """Answers may be written beside them, and are no images then when the folder is predicted again."""
    before = {path: path.read_bytes() for path in images.iterdir()}
    out = images if way == "itself" else images / ".." / images.name
    written = predict_files(small(), [images], out)
    assert files_in(images) == {path.name for path in before} | {
        f"{folder}/{name}.png" for folder in ("segmentation", "view") for name in "ab"
    }
    assert predict_files(small(), [images], out) == written
    answers = {path: path.read_bytes() for path in written}
    for named in (images / "view" / "a.png", images / "segmentation"):
        with pytest.raises(InputError, match=r"lies where answers are written, .* choose another --out"):
            predict_files(small(), [named], out)
    assert all(path.read_bytes() == content for path, content in {**before, **answers}.items())


def test_no_answer_goes_through_a_link_within_the_folder_of_answers(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "out/edges").mkdir(parents=True)
    (tmp_path / "elsewhere.png").write_bytes(b"mine")
    (tmp_path / "out/edges/a.png").symlink_to(tmp_path / "elsewhere.png")
    model = PixelNet("edges", backbone="test_resnet", hidden=(4,))
    with pytest.raises(InputError, match="is a link"):
        predict_files(model, tmp_path / "a.png", tmp_path / "out")
    assert (tmp_path / "elsewhere.png").read_bytes() == b"mine"
