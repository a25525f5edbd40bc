import base64
import copy
import io
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_drawn_runs import naive_text, packed

from pixelnet.data.drawn import Coco, LabelStudio, kind_of, labelme_labels, paint, read_labelme
from pixelnet.errors import InputError

W, H = 16, 12


def png(mask: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


RING = [[2, 3], [10, 3], [10, 9.5]]
POINTS = {"polygon": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 3, "point": 1}
LABELME = {
    "version": "5.5.0",
    "flags": {},
    "shapes": [
        *({"label": "car", "points": RING[:number], "shape_type": kind} for kind, number in POINTS.items()),
        {"label": 5, "points": [[2, 3], [5, 6]], "shape_type": "mask", "mask": png(np.ones((4, 4), bool))},
    ],
    "imagePath": "a.png",
    "imageData": None,
    "imageHeight": H,
    "imageWidth": W,
}
RUNS = {"size": [H, W], "counts": [90, 12, 90]}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": W, "height": H}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 3, 10, 3, 10, 9.5], [1, 1, 2, 1, 2, 2]]},
        {
            "id": 2,
            "image_id": 1,
            "category_id": 2,
            "segmentation": RUNS,
            "iscrowd": 1,
        },
        {"id": 3, "image_id": 1, "category_id": 2, "segmentation": RUNS | {"counts": naive_text([90, 12, 90])}},
    ],
    "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "5", "supercategory": "car"}],
}
BOX = {"x": 10, "y": 20, "width": 30.5, "height": 40, "rotation": 30}
VALUES = {
    "polygon": {"points": RING},
    "rectangle": BOX,
    "ellipse": {"x": 10, "y": 20, "radiusX": 30.5, "radiusY": 40, "rotation": 30},
    "brush": {"format": "rle", "rle": packed(bytes(4 * W * H - 8) + b"abcdefgh")},
    "keypoint": {"x": 10, "y": 20, "width": 0.5},
}
REGIONS = [
    {"id": f"r{k}", "type": f"{kind}labels", "original_width": W, "original_height": H, "image_rotation": 0,
     "value": {**value, f"{kind}labels": ["car"]}}
    for k, (kind, value) in enumerate(VALUES.items())
]  # fmt: skip
LABEL_STUDIO = [
    {"id": 1, "data": {"image": "/data/upload/1/a.png"}, "annotations": [{"id": 1, "result": REGIONS}]},
    {"id": 2, "data": {"image": "/data/upload/1/b.png"}, "annotations": []},
]  # fmt: skip


def painted(path: Path, kind: str) -> np.ndarray:
    """The label map of the first image of a file, each of its classes read from it."""
    if kind == "labelme":
        return paint(read_labelme(path, (W, H)), ("background", *labelme_labels(path)), 0)
    file = Coco(path) if kind == "coco" else LabelStudio(path)
    for image in file.images:
        return paint(file.drawing(image, (W, H)), ("background", *file.categories), 0)
    return np.zeros((H, W), np.uint8)


# ---------------------------------------------------------------------------------------------- which kind


def test_kinds_are_known_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for content, kind in (
        (LABELME, "labelme"),
        (COCO, "coco"),
        (dict(reversed(COCO.items())), "coco"),
        (LABEL_STUDIO, "label-studio"),
        ([{"id": 1, "image": "a.png", "label": [], "annotation_id": 3}], "label-studio"),  # JSON-MIN, refused by name
        ([{"data": {}, "completions": []}], "label-studio"),
        ({"images": []}, None),
        ({"version": {"shapes": 1}}, None),
        ([{"shapes": 1}], None),
        ([[]], None),
        ([], None),
        ({}, None),
        (3, None),
        ("shapes", None),
    ):
        for indent in (None, 2):
            path.write_text(json.dumps(content, indent=indent))
            assert kind_of(path) == kind, content


def test_what_is_broken_shows_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    whole = json.dumps(LABELME)
    for text, kind in ((whole[:-20], "labelme"), (whole[:20], None), ("[" * 100_000, None), ("\xff", None), ("", None)):
        path.write_bytes(text.encode("latin-1"))
        assert kind_of(path) == kind
    os.mkfifo(tmp_path / "pipe.json")
    assert kind_of(tmp_path / "pipe.json") is None
    assert kind_of(tmp_path / "none.json") is None
    assert kind_of(tmp_path) is None


# ---------------------------------------------------------------------------------------------- painting


def test_many_polygons_take_no_more_than_the_map(tmp_path: Path) -> None:
    rng, width, height = np.random.default_rng(0), 1500, 1000
    corners = [(x, y) for x, y in rng.integers(0, 900, (400, 2)).tolist()]
    shapes = [{"label": "car", "points": [[x, y], [x + 20, y], [x + 20, y + 20], [x, y + 15]]} for x, y in corners]
    large = {"label": "car", "points": [[0, 0], [width, 0], [width, 0.7 * height]]}
    path = tmp_path / "a.json"
    most = {}
    for name, drawn in (("small", shapes), ("large", [large]), ("all", [*shapes, *[large] * 20])):
        path.write_text(json.dumps({"shapes": drawn}))
        tracemalloc.start()
        ids = paint(read_labelme(path, (width, height)), ("background", "car"), 0)
        most[name] = tracemalloc.get_traced_memory()[1] / ids.size
        tracemalloc.stop()
        assert ids.any()
    assert most["small"] < 1.8  # the map, and what was read
    assert most["all"] < most["large"] + most["small"] < 5  # one shape at a time


def test_a_label_that_is_no_class_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(LABELME))
    with pytest.raises(InputError, match=r"a.json: shape 0 has the label 'car', not among the classes cat, dog;"):
        paint(read_labelme(path), ("cat", "dog"), 255)


def test_a_scribble_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    zigzag = [[k % 50, k % 2 * 4000] for k in range(20_000)]
    path.write_text(json.dumps({"shapes": [{"label": "car", "points": zigzag}]}))
    with pytest.raises(InputError, match=r"a.json: shape 0 cannot be read \(ValueError: its edges cross 80000000 rows"):
        paint(read_labelme(path, (50, 4000)), ("background", "car"), 0)


# ---------------------------------------------------------------------------------------------- hostile files

JUNK = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**63 - 1, -(2**63), 10**30, 10**400, 0.5, 1e300, -1e300, float("nan"),
    float("inf"), float("-inf"), "", "x", "1", "\ud800", "\x1b[2J", "é" * 99, [], [None], [[]], [[[1]]],
    [1, 2, 3, 4, 5, 6], [True] * 6, {}, {"size": [H, W], "counts": []}, {"id": 1}, {"rle": [1]}, "o05P5" * 9,
    png(np.ones((3, 3), np.uint8)),
]  # fmt: skip


def places(content, place: tuple = ()) -> list[tuple]:
    """Where anything is within JSON: the keys and indices that lead there."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [place, *(found for key, value in inner for found in places(value, (*place, key)))]


def changed(content, place: tuple, change: object):
    """JSON with what is at a place replaced, or deleted or doubled."""
    if not place:
        return change
    content = copy.deepcopy(content)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if change == "delete":
        del parent[place[-1]]
    elif change == "double" and isinstance(parent, list):
        parent.append(parent[place[-1]])
    else:
        parent[place[-1]] = change
    return content


FILES = {"labelme": LABELME, "coco": COCO, "label-studio": LABEL_STUDIO}


def assert_read_or_refused(path: Path, kind: str) -> None:
    message = str(path)
    kind_of(path)
    try:
        painted(path, kind)
    except InputError as error:
        message = str(error)
    assert str(path) in message
    assert len(message) < len(str(path)) + 700


@pytest.mark.parametrize("kind", FILES)
def test_the_files_are_good_before_they_are_changed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(FILES[kind]))
    assert kind_of(path) == kind
    assert painted(path, kind).any()


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_changed_files_are_read_or_refused(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    content = FILES[kind]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(content)))
        content = changed(content, place, data.draw(st.sampled_from(["delete", "double", *JUNK])))
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    assert_read_or_refused(path, kind)


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    text = bytearray(json.dumps(FILES[kind]).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9) | st.just(b"9"))
    path = tmp_path / "file.json"
    path.write_bytes(bytes(text[: data.draw(st.integers(len(text) // 2, len(text)))]))
    assert_read_or_refused(path, kind)
