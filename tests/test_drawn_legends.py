from pathlib import Path

import pytest

from pixelnet.data.drawn import read_class_table, read_labelmap, roboflow_classes
from pixelnet.errors import InputError


def written(folder: Path, text: str) -> Path:
    path = folder / "list"
    path.write_text(text, encoding="utf-8")
    return path


def test_labelmap(tmp_path: Path) -> None:
    text = "\ufeff# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:128,0,255:a:\n\ntree: 1, 2, 3 ::\nsky:9,9,9"
    expected = {(0, 0, 0): "background", (128, 0, 255): "car", (1, 2, 3): "tree", (9, 9, 9): "sky"}
    assert read_labelmap(written(tmp_path, text)) == expected


def test_roboflow_classes(tmp_path: Path) -> None:
    text = 'Pixel Value, Class\r\n0, background\r\n1, car\r\n7, "van, small"\r\n'
    assert roboflow_classes(written(tmp_path, text)) == {0: "background", 1: "car", 7: "van, small"}


@pytest.mark.parametrize("line", ["", ":1,2", ":1,2,256::", ":1,2,-3", ":1,2,3,4::", ":a,b,c", ":1,2,²"])
def test_wrong_lines_of_a_labelmap(line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list: line 2 is 'car.*', expected name:red,green,blue"):
        read_labelmap(written(tmp_path, f"a:0,0,0::\ncar{line}\n"))


@pytest.mark.parametrize("line", ["1", "car, 1", "1, car, van", "256, car", "-1, car", "9" * 5000 + ", car"])
def test_wrong_lines_of_roboflow_classes(line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list: line 2 is .*expected a pixel value of 0 to 255, a comma, a class"):
        roboflow_classes(written(tmp_path, f"Pixel Value, Class\n{line}\n"))


def test_what_is_there_twice_or_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2 gives \(1, 2, 3\) to van, which is car above"):
        read_labelmap(written(tmp_path, "car:1,2,3::\nvan:1,2,3::"))
    with pytest.raises(InputError, match="line 3 gives 1 to van, which is car above"):
        roboflow_classes(written(tmp_path, "Pixel Value, Class\n1, car\n1, van"))
    with pytest.raises(InputError, match="line 1 has no name"):
        read_labelmap(written(tmp_path, ":1,2,3::"))


def test_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    for read in (read_labelmap, roboflow_classes):
        with pytest.raises(InputError, match="list cannot be read as text"):
            read(tmp_path / "list")
        with pytest.raises(InputError, match="none is not there, or is no file"):
            read(tmp_path / "none")


def test_a_table_of_classes(tmp_path: Path) -> None:
    text = 'name, r, g, b\nroad, 128, 64, 128\n"tree, low",0,255,0\n'
    assert read_class_table(written(tmp_path, text)) == {(128, 64, 128): "road", (0, 255, 0): "tree, low"}
    for other in ("", "image,width\na,3\n", "name,x,y,z\na,0,0,0\n"):
        assert read_class_table(written(tmp_path, other)) is None
    for line in ("a", "a,1,2", "a,1,2,256", "a,1,2,3,4"):
        with pytest.raises(InputError, match=r"list: line 2 is 'a.*', expected a class and its color"):
            read_class_table(written(tmp_path, f"name,r,g,b\n{line}\n"))
