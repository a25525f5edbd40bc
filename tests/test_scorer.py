"""Large images are scored part by part: to the bit as whole ones, from files of which no more is read."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

import pixelnet
from pixelnet import InputError
from pixelnet.data import open_dataset, task_of
from pixelnet.inference.predictions import Predictions
from pixelnet.metrics import parts
from pixelnet.metrics.contours import margin_of
from pixelnet.tasks import Task, make_task
from pixelnet.tasks.scorer import Scorer

SIDE, SIZE = 16, (50, 70)
FORMS = ("ids", "probabilities", "regression", "normals")
KINDS = (".tif", ".zarr", ".npy")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SIDE", SIDE)


def maps_of(form: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a truth, of blocks larger and smaller than a part."""
    if form in ("ids", "probabilities"):
        blocks = (rng.integers(0, 3, (10, 14)).repeat(5, axis=0).repeat(5, axis=1) for _ in range(2))
        ids, truth = (own.astype(np.uint8) for own in blocks)
        truth[rng.random(SIZE) < 0.1] = 255
        if form == "ids":
            return ids, truth
        shares = rng.random((*SIZE, 3)) + 2 * np.eye(3)[ids]
        return (shares / shares.sum(axis=2, keepdims=True)).astype(np.float32), truth
    if form == "regression":
        truth = (rng.random(SIZE) * 9).astype(np.float32)
        truth[rng.random(SIZE) < 0.1] = np.nan
        return (np.nan_to_num(truth, nan=4) + rng.normal(0, 1, SIZE)).astype(np.float32), truth
    both = [rng.normal(size=(*SIZE, 3)) for _ in range(2)]
    prediction, truth = ((own / np.linalg.norm(own, axis=2, keepdims=True)).astype(np.float32) for own in both)
    truth[rng.random(SIZE) < 0.1] = 0
    return prediction, truth


def made(form: str) -> Task:
    return make_task("segmentation" if form in ("ids", "probabilities") else form, 3 if form[0] in "ip" else None)


def counted(scorer: Scorer) -> dict[str, np.ndarray]:
    return {name: np.asarray(own, np.float64) for name, own in scorer.total().items()}


def save(path: Path, values: np.ndarray) -> None:
    """A map in any of the kinds that are read by window; bands first, as programs write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
        return
    planes = np.moveaxis(values, 2, 0) if values.ndim == 3 else values
    if path.suffix == ".tif":
        more = {"planarconfig": "separate"} if values.ndim == 3 else {}
        tifffile.imwrite(path, planes, photometric="minisblack", tile=(16, 16), metadata=None, **more)
        return
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array("0", shape=planes.shape, dtype=planes.dtype, chunks=(*planes.shape[:-2], 16, 16))
    array[:] = planes
    axes = [{"name": letter} for letter in ("cyx" if values.ndim == 3 else "yx")]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]


@pytest.mark.parametrize("form", FORMS)
def test_the_parts_of_an_image_come_to_what_all_of_it_does(form: str) -> None:
    prediction, truth = maps_of(form, np.random.default_rng(0))
    whole, divided, read = (made(form).benchmark() for _ in range(3))
    whole.counts.append(whole.count(prediction, truth))  # all at once
    divided.update(prediction, truth)
    assert divided.divides(SIZE)
    read.update_by_part(SIZE, lambda window: (prediction[window].copy(), truth[window].copy()))
    expected, ours, theirs = counted(whole), counted(divided), counted(read)
    for name, own in expected.items():
        np.testing.assert_array_equal(ours[name], theirs[name])
        exact = name in ("confusion", "contours", "histogram", "pixels", "within")
        np.testing.assert_allclose(ours[name], own, rtol=0 if exact else 1e-13)  # sums of reals in another order


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_files_are_scored_by_window_as_they_are_whole(form: str, kind: str, tmp_path: Path, monkeypatch) -> None:
    prediction, truth = maps_of(form, np.random.default_rng(1))
    task = made(form)
    if form == "ids" and kind == ".npy":
        prediction = prediction.astype(np.int64)
    save(tmp_path / "data/images/a.tif", np.zeros(SIZE, np.uint8))
    save(tmp_path / f"data/{task.folder}/a{kind}", truth)
    save(tmp_path / f"out/a{kind}", prediction)
    data = open_dataset(f"folder:{tmp_path / 'data'}", task.name)
    single = Predictions(tmp_path / "out", data, task_of(data))
    assert data.in_parts(0)
    assert single.in_parts(0)
    np.testing.assert_allclose(single(0), prediction, atol=1e-6)  # normals are made unit vectors
    np.testing.assert_array_equal(data.truth(0, (slice(3, 40), slice(5, 9))), data.truth(0)[3:40, 5:9])
    scorer = task.benchmark()
    scorer.update(single(0), data.truth(0))
    seen = []
    for kinds, reads in ((Predictions, "_read"), (type(data), "labels")):
        monkeypatch.setattr(kinds, reads, _seen(seen, getattr(kinds, reads)))
    scores = pixelnet.evaluate(predictions=tmp_path / "out", data=data, task=task.name)
    assert {name: scores[name] for name in scorer.result()} == scorer.result()
    most = SIDE + 2 * (margin_of(SIZE) if form in ("ids", "probabilities") else 0)
    assert len(seen) == 2 * 4 * 5
    assert max(max(shape[:2]) for shape in seen) <= most


def _seen(shapes: list, reads):
    def read(*given):
        found = reads(*given)
        shapes.append(found.shape)
        return found

    return read


def test_edges_are_matched_in_the_whole_image() -> None:
    assert not make_task("edges").benchmark(workers=0).divides(SIZE)


def test_what_does_not_fit_is_named_with_its_part() -> None:
    prediction, truth = maps_of("ids", np.random.default_rng(2))
    scorer, prediction[40, 60], truth[40, 60] = make_task("segmentation", 3).scorer(), 7, 0
    with pytest.raises(InputError, match=r"ids from 0 to 7.*\(rows 32 to 47, columns 48 to 63\)"):
        scorer.update_by_part(SIZE, lambda window: (prediction[window], truth[window]))
    assert not len(scorer.counts)
    with pytest.raises(InputError, match=r"truth is labelled$"):  # of what is whole, the whole
        scorer.update(prediction, truth)


@pytest.mark.parametrize("kind", ["ids", "colors", "palette"])
def test_a_large_label_map_says_its_classes_as_a_small_one(kind: str, tmp_path: Path, monkeypatch) -> None:
    """Some parts of the map in colors are black and gray."""
    ids = maps_of("ids", np.random.default_rng(3))[0].repeat(2, axis=1)
    ids[:32, :64] = 0
    colors = np.array([(0, 0, 0), (9, 9, 9), (250, 10, 3)], np.uint8)
    save(tmp_path / "images/a.tif", np.zeros(ids.shape, np.uint8))
    (tmp_path / "labels").mkdir()
    if kind == "palette":
        palette = np.zeros((3, 256), np.uint16)
        palette[:, :3] = colors.T.astype(np.uint16) * 257
        tifffile.imwrite(tmp_path / "labels/a.tif", ids, photometric="palette", colormap=palette)
    else:
        tifffile.imwrite(tmp_path / "labels/a.tif", colors[ids] if kind == "colors" else ids)
    by_part = open_dataset(f"folder:{tmp_path}", "segmentation")
    monkeypatch.setattr(parts, "SIDE", 1024)
    (tmp_path / "labels/a.tif").touch()  # it is scanned anew
    whole = open_dataset(f"folder:{tmp_path}", "segmentation")
    assert by_part.coding == whole.coding
    np.testing.assert_array_equal(by_part.labels(0), whole.labels(0))
