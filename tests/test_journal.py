"""A folder of answers goes on where it was left: killed, broken, changed, of another model, shared."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_inputs import archive, encoded
from test_predict import small

from pixelnet import InputError
from pixelnet.cli import main
from pixelnet.inference.answerer import Answerer
from pixelnet.inference.bulk import Unanswered, predict_files
from pixelnet.inference.journal import FAILURES, JOURNALS, NOTE

ROOT = Path(__file__).parents[1]
KILLED = """
import os, signal, sys
from pixelnet.inference.answerer import Answerer
from pixelnet.cli import main

write, left = Answerer.write, [int(sys.argv[1])]

def killed(self, photo, answers):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return write(self, photo, answers)

Answerer.write = killed
main(sys.argv[2:])
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven photos in two folders, and two that are broken."""
    rng, folder = np.random.default_rng(0), tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for k in range(7):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("deep" if k % 2 else ".") / f"{k}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:100])
    (folder / "deep/broken.tif").write_bytes(b"II*\0 no more")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files, but for the notes of the folder itself."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: own for name, own in names.items() if not name.startswith((JOURNALS, NOTE, FAILURES))}


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are written from here on."""
    write, names = Answerer.write, []

    def noted(self: Answerer, photo: object, answers: dict) -> list[Path]:
        names.append(str(photo.item.name))  # type: ignore[attr-defined]
        return write(self, photo, answers)  # type: ignore[arg-type]

    monkeypatch.setattr(Answerer, "write", noted)
    return names


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_and_called_again_nothing_is_missing_and_nothing_twice(
    images: Path, tmp_path: Path, answered: list[str]
) -> None:
    small().save(tmp_path / "model")
    out = tmp_path / "out"
    command = ["predict", str(tmp_path / "model"), str(images), "--out", str(out), "--batch-size", "2"]
    script = [sys.executable, "-c", KILLED, "3", *command]
    assert subprocess.run(script, cwd=ROOT, capture_output=True).returncode == -signal.SIGKILL
    left = {name: own for name, own in contents(out).items() if not name.endswith(".tmp")}
    assert 0 < len(left) < 14  # three images, and what else was on its way
    assert main(command) == 3
    again = list(answered)
    assert len(again) == len(set(again)) < 7
    with pytest.raises(Unanswered):
        predict_files(small(), images, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")
    assert len(contents(out)) == 14
    assert left.items() <= contents(out).items()
    rows = list(csv.DictReader((out / FAILURES).open()))
    assert sorted(row["name"] for row in rows) == ["broken", "deep/broken"]
    answered.clear()
    assert main(command) == 3
    assert not answered


def test_half_a_line_counts_for_nothing(images: Path, tmp_path: Path, answered: list[str]) -> None:
    model, out = small(), tmp_path / "out"
    with pytest.raises(Unanswered):
        predict_files(model, images, out)
    journal = out / JOURNALS / "0.jsonl"
    whole = journal.read_text()
    journal.write_text(whole[:-20])
    for expected in (1, 0):
        answered.clear()
        with pytest.raises(Unanswered) as error:
            predict_files(model, images, out)
        assert len(answered) == expected
        assert len(error.value.written) == 14


def test_what_has_changed_or_gone_is_answered_again(images: Path, tmp_path: Path, answered: list[str]) -> None:
    model, out = small(), tmp_path / "out"
    (images / "broken.png").unlink()
    (images / "deep/broken.tif").unlink()
    written = predict_files(model, images, out)
    answered.clear()
    (out / "view/2.png").unlink()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(images / "4.png")
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(images / "new.png")
    assert sorted(predict_files(model, images, out)) == sorted(
        [*written, out / "segmentation/new.png", out / "view/new.png"]
    )
    assert sorted(answered) == ["2", "4", "new"]


def test_another_model_or_other_options_are_refused(images: Path, tmp_path: Path) -> None:
    model, out = small(), tmp_path / "out"
    (images / "broken.png").unlink()
    (images / "deep/broken.tif").unlink()
    predict_files(model, images, out, memory="2GB")
    before = contents(out)
    noted = json.loads((out / NOTE).read_text())
    assert noted["options"]["flip"] is False
    predict_files(model, images, out, memory="1GB")  # which answers do not hang on
    with pytest.raises(InputError, match=r"other options: flip False there and True now; .* --overwrite"):
        predict_files(model, images, out, flip=True)
    with pytest.raises(InputError, match=r"other options: outputs \['labels', 'view'\] there and \['labels'\] now"):
        predict_files(model, images / "0.png", out, outputs="labels")
    other = small(hidden=(6,))
    with pytest.raises(InputError, match="holds the answers of another model"):
        predict_files(other, images, out)
    assert contents(out) == before
    (out / "segmentation/mine.png").write_bytes(b"mine")
    predict_files(other, images / "deep", out, overwrite=True)
    assert {name for name in contents(out) if name.startswith("segmentation")} == {
        *(f"segmentation/{k}.png" for k in (1, 3, 5)), "segmentation/mine.png"
    }  # fmt: skip
    assert json.loads((out / NOTE).read_text())["model"] != noted["model"]
    (out / NOTE).write_text("{}")
    with pytest.raises(InputError, match="is no note of `predict`"):
        predict_files(other, images, out)


def test_a_journal_leads_nowhere_else(images: Path, tmp_path: Path) -> None:
    model, out = small(), tmp_path / "out"
    predict_files(model, images / "deep/1.png", out)
    (out / JOURNALS).mkdir()
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"mine")
    for name in ("../kept.png", str(kept)):
        (out / JOURNALS / "0.jsonl").write_text(json.dumps({"name": "a", "image": [], "files": [name]}))
        with pytest.raises(Unanswered):
            predict_files(model, images, out, overwrite=True)
        assert kept.read_bytes() == b"mine"


def test_two_processes_do_not_write_one_folder(images: Path, tmp_path: Path) -> None:
    code = "import fcntl, sys, time; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True);"
    (tmp_path / "out" / JOURNALS).mkdir(parents=True)
    lock = tmp_path / "out" / JOURNALS / "0.lock"
    with subprocess.Popen([sys.executable, "-c", f"{code} time.sleep(60)", lock], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            other.stdout.readline()
            with pytest.raises(InputError, match="another process is at work in"):
                predict_files(small(), images, tmp_path / "out")
        finally:
            other.kill()


@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_an_archive_is_answered_and_goes_on(tmp_path: Path, ending: str, answered: list[str]) -> None:
    rng = np.random.default_rng(0)
    pictures = {f"{k}.png": rng.integers(0, 256, (24, 32, 3), dtype=np.uint8) for k in range(3)}
    files = {f"../up/{name}": encoded(own) for name, own in pictures.items()} | {"broken.png": b"no image"}
    path, model, out = archive(tmp_path / f"a.{ending}", files), small(), tmp_path / "out"
    for expected in (3, 0):
        answered.clear()
        with pytest.raises(Unanswered, match=rf"1 of 4 images .*a\.{ending}/broken\.png cannot be read"):
            predict_files(model, path, out)
        assert len(answered) == expected
    for name, own in pictures.items():
        np.testing.assert_array_equal(np.array(Image.open(out / "segmentation/up" / name)), model.predict(own))
    assert sorted(own.name for own in tmp_path.iterdir()) == [f"a.{ending}", "out"]


def test_outputs_are_chosen(images: Path, tmp_path: Path) -> None:
    model, image = small(), images / "0.png"
    labels = np.array(Image.open(predict_files(model, image, tmp_path / "labels", outputs=["labels"])[0]))
    (only,) = predict_files(model, image, tmp_path / "shares", outputs="probabilities")
    assert only == tmp_path / "shares/probabilities/0.npy"
    shares = model.predict(image, probabilities=True)
    np.testing.assert_array_equal(np.load(only), shares.astype(np.float16))
    every = predict_files(model, image, tmp_path / "every", outputs="view,probabilities,labels")
    assert [path.parent.name for path in every] == ["probabilities", "segmentation", "view"]
    np.testing.assert_array_equal(np.array(Image.open(every[1])), labels)
    np.testing.assert_array_equal(np.array(Image.open(every[2])), model.task.paint(labels))
    with pytest.raises(InputError, match="the outputs are labels, pictures; give some of labels, view, probabilities"):
        predict_files(model, image, tmp_path / "out", outputs="labels,pictures")
    with pytest.raises(InputError, match="probabilities are of one task of classes"):
        predict_files(small("edges"), image, tmp_path / "out", outputs="probabilities")
    with pytest.raises(InputError, match="polygons and objects are of maps of classes"):
        predict_files(model, image, tmp_path / "out", outputs="view", objects=True)
