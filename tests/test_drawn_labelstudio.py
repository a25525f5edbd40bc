import json
from pathlib import Path

import numpy as np
import pytest
from test_drawn_runs import packed

from pixelnet.data.drawn import LabelStudio, paint, without_prefix
from pixelnet.errors import InputError

W, H = 40, 20
Y, X = np.mgrid[:H, :W] + 0.5


def region(kind: str, labels: object = ("car",), *, more: dict | None = None, **value) -> dict:
    value = {**value, kind: labels} if labels is not None else value
    record = {"id": "r", "type": kind, "original_width": W, "original_height": H, "image_rotation": 0}
    return record | {"value": value} | (more or {})


def task(*regions: dict, image: object = "/data/upload/1/0a1b2c3d-p%20q.png", **more) -> dict:
    return {"id": 5, "data": {"image": image}, "annotations": [{"id": 1, "result": regions}], "predictions": [], **more}


def export(folder: Path, *tasks: object) -> LabelStudio:
    path = folder / "result.json"
    path.write_text(json.dumps(tasks))
    return LabelStudio(path)


def painted(file: LabelStudio) -> np.ndarray:
    (image,) = file.images
    return paint(file.drawing(image, (W, H)), ("background", "car", "dog"), 0)


RADIANS = np.radians(30)
ALONG = (X - 12) * np.cos(RADIANS) + (Y - 6) * np.sin(RADIANS)
DOWN = (Y - 6) * np.cos(RADIANS) - (X - 12) * np.sin(RADIANS)
BOX = {"x": 10, "y": 10, "width": 40, "height": 80, "rotation": 0}
RING = [[10, 10], [50, 10], [50, 90], [10, 90]]
IN_BOX = (X > 4) & (X < 20) & (Y > 2) & (Y < 18)
TURNED = {"x": 30, "y": 30, "width": 31, "height": 41, "rotation": 30}
IN_TURNED = (ALONG > 0) & (ALONG < 12.4) & (DOWN > 0) & (DOWN < 8.2)
ROUND = {"x": 30, "y": 30, "radiusX": 20, "radiusY": 20}
BRUSH = np.random.default_rng(0).random((H, W)) < 0.3


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (region("polygonlabels", points=RING), IN_BOX),
        (region("rectanglelabels", **BOX), IN_BOX),
        (region("rectanglelabels", **TURNED), IN_TURNED),
        (region("ellipselabels", **ROUND), ((X - 12) / 8) ** 2 + ((Y - 6) / 4) ** 2 < 1),
        (region("ellipselabels", rotation=30, **ROUND), (ALONG / 8) ** 2 + (DOWN / 4) ** 2 < 1),
        (region("keypointlabels", x=30.5, y=30.5, width=0.4), np.hypot(X - 12.2, Y - 6.1) < 1.5),
        (region("brushlabels", format="rle", rle=packed(np.repeat(BRUSH.ravel() * np.uint8(255), 4).tobytes())), BRUSH),
        (region("labels", points=RING), IN_BOX),
    ],
)
def test_regions(drawn: dict, expected: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(painted(export(tmp_path, task(drawn))), expected)


def test_the_last_annotation_counts_that_was_not_cancelled(tmp_path: Path) -> None:
    def by(label: str, **more) -> dict:
        return {"result": [region("rectanglelabels", [label], **BOX)], **more}

    three = [by("car"), by("dog", was_cancelled=False), by("car", was_cancelled=True)]
    for key in ("annotations", "completions"):  # the second is what it was called first
        one = {"data": {"image": "a.png"}, key: three}
        file = export(tmp_path, one, {"data": {"image": "b.png"}, key: [by("cow", was_cancelled=True)]})
        assert (file.categories, file.used, [*file.images], file.unannotated) == (
            ("dog",),
            ("dog",),
            ["a.png"],
            ("b.png",),
        )
        np.testing.assert_array_equal(painted(file), 2 * IN_BOX)


def test_an_image_with_nothing_in_it_is_background(tmp_path: Path) -> None:
    file = export(tmp_path, task())
    assert not painted(file).any()
    with pytest.raises(InputError, match=r"result.json does not say how wide and how high 0a1b2c3d-p q.png is"):
        file.drawing("0a1b2c3d-p q.png")


def test_labels_apart_from_the_shape_are_one_region(tmp_path: Path) -> None:
    apart = region("rectangle", None, **BOX), region("labels", ["dog"], **BOX)
    np.testing.assert_array_equal(painted(export(tmp_path, task(*apart))), 2 * IN_BOX)


def test_what_is_not_drawn_is_passed_over(tmp_path: Path) -> None:
    others = ({"type": "choices", "value": {"choices": ["good"]}}, {"type": "relation", "from_id": "r", "to_id": "s"})
    file = export(tmp_path, task(*others, region("rectanglelabels", ["__ignore__"], **BOX)))
    assert file.categories == ()
    np.testing.assert_array_equal(painted(file), 255 * IN_BOX)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/upload/1/0a1b2c3d-p%20q.png", "0a1b2c3d-p q.png"),
        ("/data/local-files/?d=set%20one/p.png", "p.png"),
        ("s3://bucket/set/p.png", "p.png"),
        ("https://example.com/p.png?X-Amz-Date=1/2", "p.png"),
        ("p.png", "p.png"),
        ("/data/local-files/?d=set\\p+q&r.png", "p+q&r.png"),
        ("/data/upload/1/http:[100%.png", "http:[100%.png"),
    ],
)
def test_names_of_images(address: str, name: str, tmp_path: Path) -> None:
    assert [*export(tmp_path, task(image=address)).images] == [name]
    named = {**task(), "data": {"photo": address, "note": "hello"}}
    assert [*export(tmp_path, named).images] == [name]


def test_uploads_have_a_prefix_that_can_be_taken_off() -> None:
    assert without_prefix("0a1b2c3d-p q.png") == "p q.png"
    for name in ("p.png", "0a1b2c3-p.png", "0A1B2C3D-p.png", "0a1b2c3d-"):
        assert without_prefix(name) == name


def test_images_of_one_name_keep_their_folders(tmp_path: Path) -> None:
    tasks = [task(image=f"/data/local-files/?d={place}") for place in ("a/p.png", "b/p.png", "b/q.png")]
    assert [*export(tmp_path, *tasks).images] == ["a/p.png", "b/p.png", "q.png"]
    with pytest.raises(InputError, match=r"result.json has two tasks of the image a/p.png; delete one"):
        export(tmp_path, tasks[0], tasks[0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (region("rectanglelabels", ["a", "b"], **BOX), "region 0 has 2 labels, expected 1"),
        (region("rectangle", None, **BOX), "region 0 has 0 labels, expected 1"),
        (region("rectanglelabels", [None], **BOX), "region 0 cannot be read .*the label None"),
        (region("vectorlabels", vertices=[]), "region 0 is of type vectorlabels, expected polygon, rectangle"),
        (region("rectanglelabels", more={"image_rotation": 90}, **BOX), "region 0 was drawn on the turned image"),
        (region("rectanglelabels", more={"original_width": 41}, **BOX), "region 0 says that .*p q.png is 41x20, but"),
        (region("rectanglelabels", x=1, y=2, height=3), "region 0 cannot be read .*'width'"),
        (region("rectanglelabels", **(BOX | {"rotation": 1e10})), "region 0 has the coordinate 1"),
        (region("rectanglelabels", **(BOX | {"x": "10"})), "region 0 has the coordinate '10'"),
        (region("polygonlabels", points=[[1, 2], [3, 4]]), "region 0 has 2 points, expected 3 or more"),
        (region("polygonlabels", points=[1, 2, 3]), "region 0 cannot be read"),
        (region("brushlabels", rle=[0, 1, 2]), "region 0 cannot be read .*a brush stroke that ends too soon"),
        (region("brushlabels", rle=packed(bytes(80))), "region 0 cannot be read .*a brush stroke of 80 values"),
        (region("brushlabels", rle=[0, 256] * 9), "region 0 cannot be read"),
        (region("brushlabels", rle=[True]), "region 0 has a brush stroke that is no list of bytes"),
        (region("brushlabels", rle="abc"), "region 0 has a brush stroke that is no list of bytes"),
    ],
)  # fmt: skip
def test_errors_name_file_and_region(wrong: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"result.json: task 0 \(.*p q.png\): {message}"):
        painted(export(tmp_path, task(wrong)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": 1, "image": "a.png", "label": [], "annotation_id": 3}, "is .* JSON-MIN; export it as JSON"),
        ({"id": 1, "data": {"image": "a.png"}}, "task 0 cannot be read .*'completions'"),
        ({"data": {"image": "a.png"}, "annotations": [12]}, "task 0 cannot be read"),
        ({"data": {"image": ["a.png"]}, "annotations": []}, "task 0 cannot be read .*no image, or several"),
        ({"data": {"image": "folder/.."}, "annotations": [{}]}, "task 0 .*cannot be read"),
        ({"data": {"one": "a.png", "two": "b.png"}, "annotations": []}, "task 0 cannot be read .*no image, or several"),
        ({"annotations": []}, "task 0 cannot be read .*'data'"),
        (7, "task 0 cannot be read"),
    ],
)  # fmt: skip
def test_errors_of_a_task(wrong: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"result.json:? {message}"):
        export(tmp_path, wrong)
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(InputError, match=r"result.json holds a dict, not a list"):
        LabelStudio(tmp_path / "result.json")
