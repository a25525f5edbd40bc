import base64
import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixelnet.data.drawn import labelme_image, labelme_labels, paint, read_labelme
from pixelnet.errors import InputError

W, H = 32, 24
Y, X = np.mgrid[:H, :W] + 0.5


def shape(points: list, kind: str | None = "polygon", label: object = "car", **more) -> dict:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def labelme(folder: Path, *shapes: dict, **more) -> Path:
    path = folder / "a.json"
    content = {"version": "5.5.0", "imagePath": "..\\images\\a b.png", "imageWidth": W, "imageHeight": H, **more}
    path.write_text(json.dumps({**content, "shapes": shapes}))
    return path


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def painted(path: Path, classes: tuple[str, ...] = ("background", "car"), **more) -> np.ndarray:
    return paint(read_labelme(path, (W, H), **more), classes, 0)


def disc(x: float, y: float, radius: float = 1.5) -> np.ndarray:
    return np.hypot(X - x, Y - y) < radius


SQUARE = [[2, 3], [10, 3], [10, 9], [2, 9]]
IN_LINE = (X > 2) & (X < 12) & (abs(Y - 5.2) < 1.5)
IN_SQUARE = (X > 2) & (X < 10) & (Y > 3) & (Y < 9)


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (shape(SQUARE), IN_SQUARE),
        (shape(SQUARE, None), IN_SQUARE),  # as LabelMe wrote before it knew other types
        (shape([[10, 9], [2, 3]], "rectangle"), IN_SQUARE),
        (shape(SQUARE, "rectangle"), IN_SQUARE),  # its corners, as X-AnyLabeling writes it
        (shape([[12, 11], [12, 16.3]], "circle"), disc(12, 11, 5.3)),
        (shape([[12.3, 11.2]], "point"), disc(12.3, 11.2)),
        (shape([[3.1, 3.2], [20.3, 9.1]], "points"), disc(3.1, 3.2) | disc(20.3, 9.1)),
        (
            shape([[2, 5.2], [12, 5.2]], "line"),
            IN_LINE | disc(2, 5.2) | disc(12, 5.2),
        ),
        (shape([[5.1, 2], [5.1, 8], [5.1, 40]], "linestrip"), (abs(X - 5.1) < 1.5) & (Y > 2) | disc(5.1, 2)),
    ],
)
def test_shape_types(drawn: dict, expected: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(painted(labelme(tmp_path, drawn)), expected)


def test_lines_are_as_wide_as_asked(tmp_path: Path) -> None:
    path = labelme(tmp_path, shape([[-9, 8], [50, 8]], "line"), shape([[20, 20]], "point"))
    for width in (1, 2, 6):
        ids = painted(path, line_width=width)
        assert ids[:14, 5].sum() == width
        assert abs(ids[14:].sum() - np.pi * (width / 2) ** 2) < 4


@pytest.mark.parametrize(("left", "top"), [(4, 5), (-3, -2), (25, 20), (-40, 3), (3, 90)])
@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_a_mask_is_its_boxes_pixels(left: int, top: int, kind: type, tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((9, 11)) < 0.5
    box = [[left, top], [left + 10, top + 8]]
    expected = np.zeros((H, W), bool)
    for y in range(9):
        for x in range(11):
            if 0 <= top + y < H and 0 <= left + x < W:
                expected[top + y, left + x] = mask[y, x]
    path = labelme(tmp_path, shape(box, "mask", mask=png(mask.astype(kind))))
    np.testing.assert_array_equal(painted(path), expected)


def test_labels_that_mean_no_class_of_their_own(tmp_path: Path) -> None:
    everywhere, other = [[0, 0], [W, 0], [W, H], [0, H]], [[12, 3], [20, 3], [20, 9], [12, 9]]
    shapes = shape(everywhere, label="_background_"), shape(SQUARE, label=5), shape(other, label="__ignore__")
    path = labelme(tmp_path, *shapes)
    assert labelme_labels(path) == {"background", "5"}
    expected = np.zeros((H, W), np.uint8)
    expected[3:9, 2:10], expected[3:9, 12:20] = 1, 255
    np.testing.assert_array_equal(painted(path, ("background", "5")), expected)
    expected[expected == 0] = 2
    np.testing.assert_array_equal(paint(read_labelme(path), ("a", "5", "background"), 2), expected)
    expected[expected == 2] = 255  # no class is background: what is nothing else is unlabelled, drawn or not
    np.testing.assert_array_equal(paint(read_labelme(path), ("a", "5"), 255), expected)


def test_later_shapes_cover_earlier_ones(tmp_path: Path) -> None:
    path = labelme(tmp_path, shape(SQUARE, label="a"), shape([[4, 4], [6, 6]], "rectangle", "b"))
    expected = np.where(IN_SQUARE, 1, 0)
    expected[4:6, 4:6] = 2
    np.testing.assert_array_equal(painted(path, ("background", "a", "b")), expected)


def test_what_image_it_is_and_how_large(tmp_path: Path) -> None:
    path = labelme(tmp_path, shape(SQUARE))
    assert labelme_image(path) == "a b.png"
    with pytest.raises(InputError, match=r"a.json says that a b.png is 32x24, but it is 24x32; draw on the image as"):
        read_labelme(path, (H, W))
    for more in ({"imageWidth": None, "imageHeight": None}, {"imageWidth": W, "imageHeight": None}):
        path = labelme(tmp_path, shape(SQUARE), **more, imagePath=None)
        assert labelme_image(path) is None
        np.testing.assert_array_equal(painted(path), IN_SQUARE)
        with pytest.raises(InputError, match=r"a.json does not say how wide and how high its image is"):
            read_labelme(path)
    for size in (0, -32, 31.5, 1e300, 10**400, True, "32", [32]):
        with pytest.raises(InputError, match=r"a.json has the size .* for a b.png, expected a whole number of pixels"):
            read_labelme(labelme(tmp_path, shape(SQUARE), imageWidth=size), (W, H))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (shape(SQUARE[:2]), "shape 1, a polygon, has 2 points, expected 3 or more; draw it, or delete it"),
        (shape([], "linestrip"), "shape 1, a linestrip, has 0 points, expected 2 or more"),
        (shape(SQUARE, "circle"), "shape 1, a circle, has 4 points, expected 2;"),
        (shape(SQUARE, "point"), "shape 1, a point, has 4 points, expected 1;"),
        (shape(SQUARE, "spline"), "shape 1 is a 'spline', expected one of polygon, rectangle, circle, mask, line, "),
        ({"label": "a"}, "shape 1 cannot be read .*; expected a label, a shape_type and points"),
        ("a", "shape 1 cannot be read"),
        (shape(SQUARE, ["polygon"]), "shape 1 cannot be read"),
        (shape([[2, 3, 4], [5, 6, 7], [8, 9, 0]]), r"shape 1 has points that are not \[x, y\]"),
        (shape(["ab", "cd", "ef"]), "shape 1 has the coordinate 'a', expected finite numbers"),
        (shape([[1, 2], [3, 1e300], [5, 6]]), r"shape 1 has the coordinate 1e\+300"),
        (shape([[1, 2], [3, 10**400], [5, 6]]), "shape 1 has the coordinate 1000.*000, expected finite"),
        (shape([[1, 2], [3, True], [5, 6]]), "shape 1 has the coordinate True"),
        (shape(SQUARE, label=None), "shape 1 cannot be read .*the label None"),
        (shape(SQUARE, label=True), "shape 1 cannot be read .*the label True"),
        (shape(SQUARE, label=""), "shape 1 cannot be read .*the label ''"),
        (shape([[2, 3], [5, 6]], "mask"), "shape 1 cannot be read .*'mask'"),
        (shape([[2, 3], [5, 6]], "mask", mask=7), "shape 1 cannot be read"),
        (shape([[2, 3], [5, 6]], "mask", mask="????"), "shape 1 cannot be read"),
        (shape([[2, 3], [5, 6]], "mask", mask=png(np.ones((4, 4), bool))[:-40]), "shape 1 cannot be read"),
        (shape([[2, 3], [5, 6]], "mask", mask=png(np.ones((3, 4), bool))), "shape 1 has a mask of 4x3 pixels, mode 1"),
        (shape([[2, 3], [5, 6]], "mask", mask=png(np.ones((4, 4, 3), np.uint8))), "shape 1 has a mask of 4x4 .*RGB"),
        (shape([[5, 6], [2, 3]], "mask", mask=png(np.ones((4, 4), bool))), "shape 1 has a mask of -2x-2 pixels"),
        (shape([[0, 0], [1e8, 1e8]], "mask", mask=""), "shape 1 has a mask of 100000001x100000001 pixels"),
    ],
)  # fmt: skip
def test_errors_name_file_and_shape(wrong: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"a.json: {message}"):
        painted(labelme(tmp_path, shape(SQUARE), wrong))  # type: ignore[arg-type]


def test_masks_that_unpack_without_end(tmp_path: Path) -> None:
    file, comment = io.BytesIO(), PngInfo()
    comment.add_text("comment", "0" * 50_000_000, zip=True)
    Image.new("1", (4, 4)).save(file, "PNG", pnginfo=comment)
    for packed in (base64.b64encode(file.getvalue()).decode(), png(np.zeros((9000, 9000), bool))):
        drawing = read_labelme(labelme(tmp_path, shape([[2, 3], [5, 6]], "mask", mask=packed)))
        tracemalloc.start()
        with pytest.raises(InputError, match=r"a.json: shape 0"):
            paint(drawing, ("background", "car"), 0)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none(number: float, tmp_path: Path) -> None:
    for change in ({"imageWidth": number}, {"shapes": [shape([[1, 2], [3, number], [5, 6]])]}):
        path = labelme(tmp_path)
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(InputError, match=r"a.json(: shape 0 has the| has the size| cannot be read as JSON)"):
            read_labelme(path, (W, H))


@pytest.mark.parametrize("content", ["{}", '{"shapes": {}}', '{"shapes": null}', "[]", "3", "{"])
def test_what_is_no_labelme_file(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    for read in (read_labelme, labelme_labels):
        with pytest.raises(InputError, match=r"a.json (has no list of shapes|holds a|cannot be read as JSON)"):
            read(path)
