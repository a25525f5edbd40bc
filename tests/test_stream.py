"""Many images at once: the same answers as one by one, whatever they are seen with; one that fails harms no other."""

import errno
from pathlib import Path, PurePath

import numpy as np
import pytest
import torch
from PIL import Image
from test_predict import TASKS, small

from pixelnet import InputError, PixelNet
from pixelnet.inference import stream as module
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.encoded import encode_batch, encode_views, whole_view
from pixelnet.inference.inputs import Item
from pixelnet.inference.stream import stream


def photographs(folder: Path, count: int) -> list[Item]:
    """Of two sizes, in turns of three."""
    rng, items = np.random.default_rng(0), []
    for k in range(count):
        pixels = rng.integers(0, 256, ((37, 53, 3), (40, 31, 3))[k // 3 % 2], dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
        items.append(Item(PurePath(str(k)), folder / f"{k}.png", 0))
    return items


@pytest.mark.parametrize("backbone", ["test_resnet", "tf_efficientnet_lite0", "resnet18+filters"])
def test_a_batch_has_the_answers_of_its_images(backbone: str) -> None:
    torch.manual_seed(0)
    model = PixelNet("segmentation", 4, backbone, hidden=(8,)).eval()
    rng = np.random.default_rng(0)
    views = [[whole_view(model, rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))] for _ in range(3)]
    with torch.inference_mode():
        for own, encoded in zip(views, encode_batch(model, views), strict=True):
            for one, other in zip(encode_views(model, own).logits(), encoded.logits(), strict=True):
                torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("flip", [False, True])
def test_a_stream_answers_as_one_by_one(tmp_path: Path, task: str, flip: bool) -> None:
    items, asked = photographs(tmp_path, 8), Asked(flip=flip)
    model = small(task)
    found = dict(stream(Answerer(model, tmp_path / "many", None, asked), items, 1))
    assert found.keys() == set(items)
    alone = Answerer(model, tmp_path / "alone", None, asked)
    for item in items:
        files, expected = found[item], alone.answer(item)
        assert isinstance(files, list)
        assert [p.relative_to(tmp_path / "many") for p in files] == [
            p.relative_to(tmp_path / "alone") for p in expected
        ]
        assert [p.read_bytes() for p in files] == [p.read_bytes() for p in expected]


def test_batches_are_of_one_size_and_of_few_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answerer, sizes = Answerer(small(), tmp_path / "out", None, Asked()), []
    see = answerer.see

    def counted(photos: list) -> list:
        assert len({photo.form for photo in photos}) == 1
        sizes.append(len(photos))
        return see(photos)

    monkeypatch.setattr(answerer, "see", counted)
    items = photographs(tmp_path, 12)
    assert len(list(stream(answerer, items, 4))) == 12
    assert sizes == [4, 4, 2, 2]
    sizes.clear()
    monkeypatch.setattr(module, "PIXELS", 2 * 37 * 53)
    assert len(list(stream(answerer, items, 4))) == 12
    assert max(sizes) == 3  # of the smaller ones
    assert sum(sizes) == 12


def test_one_that_fails_harms_no_other(tmp_path: Path) -> None:
    items = photographs(tmp_path, 6)
    items[2].path.write_bytes(b"no image")
    (tmp_path / "out/view").mkdir(parents=True)
    (tmp_path / "out/view/4.png").symlink_to(tmp_path / "0.png")
    found = dict(stream(Answerer(small(), tmp_path / "out", None, Asked()), items, 4))
    failed = {str(item.name): str(own) for item, own in found.items() if isinstance(own, InputError)}
    assert failed.keys() == {"2", "4"}
    assert "cannot be read" in failed["2"]
    assert "is a link" in failed["4"]


def test_a_full_disk_ends_it_and_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items, model = photographs(tmp_path, 8), small()
    answerer = Answerer(model, tmp_path / "out", None, Asked())
    write, done = answerer.write, []

    def full_after_three(photo: object, answers: dict) -> list[Path]:
        if len(done) == 3:
            error = OSError(errno.ENOSPC, "No space left on device")
            raise InputError("cannot be written: No space left on device; free some space") from error
        done.append(write(photo, answers))
        return done[-1]

    monkeypatch.setattr(module, "WRITERS", 1)
    monkeypatch.setattr(answerer, "write", full_after_three)
    with pytest.raises(InputError, match="No space left"):
        list(stream(answerer, items, 2))
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(files) == sorted(path for own in done for path in own)
    for path in files:
        Image.open(path).load()
