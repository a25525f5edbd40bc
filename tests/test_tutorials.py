"""The tutorials, run as a reader runs them: in an empty folder, from the first line to the last."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixelnet

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def script(name: str, *arguments: str) -> str:
        """What the script prints; it leaves its files in tmp_path."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
        runpy.run_path(str(DOCS / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return script


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50  # there is something to see
        return picture.size


def test_own_data(run, tmp_path: Path) -> None:
    printed = run("own_data", "--picture", "picture.png")
    assert "no problems found" in printed
    assert float(re.search(r"mean IoU (\d\.\d+)", printed)[1]) > 0.8
    files = ("labels.png", "scores.csv", "scores.html", "answers/segmentation/tile-02.png", "answers/view/tile-22.png")
    assert all((tmp_path / file).is_file() for file in files)
    assert size_of(tmp_path / "picture.png") == size_of(DOCS / "tutorials/own_data.png") == (396, 303)


def test_own_loop(run, tmp_path: Path) -> None:
    printed = run("own_loop", "--picture", "picture.png")
    last, averaged = (float(score) for score in re.findall(r"mean IoU (\d\.\d+)", printed))
    assert min(last, averaged) > 0.35
    assert pixelnet.load(tmp_path / "own-loop").task.num_classes == 7
    assert size_of(tmp_path / "picture.png") == size_of(DOCS / "tutorials/own_loop.png") == (640, 384)


def test_hypercolumns(run, tmp_path: Path) -> None:
    printed = run("hypercolumns", "--picture", "picture.png", "--every", "4")
    assert "(32, 560)" in printed
    gland, stroma, lumen = (int(share) for share in re.findall(r"(\d+)% of the picture", printed))
    assert gland > stroma > lumen > 5
    size_of(tmp_path / "picture.png")


@pytest.mark.parametrize("name", ["own_data", "own_loop", "hypercolumns"])
def test_the_page_shows_all_marked_parts_of_its_script(name: str) -> None:
    script, page = (DOCS / f"{name}.py").read_text(), (DOCS / "tutorials" / f"{name}.md").read_text()
    marked = re.findall(r"# --8<-- \[start:(\w+)\]", script)
    assert marked == re.findall(r"# --8<-- \[end:(\w+)\]", script)
    assert sorted(re.findall(rf'--8<-- "{name}\.py:(\w+)"', page)) == sorted(marked)
    assert f"({name}.png)" in page
