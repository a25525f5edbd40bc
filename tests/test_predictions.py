"""Any method's files: the contract of every task's benchmark, and what is read, resized and refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from contract_benchmark import BenchmarkContract, save
from test_scorer import save as save_pixels

import pixelnet
from pixelnet import InputError
from pixelnet.data import open_dataset, task_of
from pixelnet.geometry import CONVENTIONS, convert_normals
from pixelnet.inference.predictions import Predictions
from pixelnet.tasks import make_task


class TestSegmentation(BenchmarkContract):
    task = "segmentation"

    def disturbed(self, labels, amount, rng):
        wrong = (rng.random(labels.shape) < amount) | (labels == 255)
        return np.where(wrong, rng.integers(0, 4, labels.shape), labels).astype(np.uint8)

    def write(self, path: Path, prediction: np.ndarray) -> None:
        save(path, prediction)

    def test_probabilities_score_as_their_largest(self, out: Path, data: str) -> None:
        ids = self.evaluate(out, data)
        truth = open_dataset(data, self.task, "val")
        single = Predictions(out, truth, task_of(truth))
        for i, name in enumerate(truth.names):
            np.save(out / f"{name}.npy", (np.eye(4)[single(i)] * 0.6 + 0.1).astype(np.float16))
            (out / f"{name}.png").unlink()
        scores = self.evaluate(out, data)
        assert "ece" not in ids
        accuracy = scores["pixel_accuracy"]
        assert scores.pop("ece") == pytest.approx(abs(accuracy - 0.7), abs=1e-3)  # all are sure to 0.7
        low, high = scores["intervals"].pop("ece")
        assert 0 <= low < high <= 1
        assert scores == ids

    def test_tiff_is_read_as_png_and_npy_are(self, out: Path, data: str) -> None:
        truth = open_dataset(data, self.task, "val")
        single, expected = Predictions(out, truth, task_of(truth)), self.evaluate(out, data)
        for i, name in enumerate(truth.names):
            tifffile.imwrite(out / f"{name}.tif", single(i), compression="zlib")
            (out / f"{name}.png").unlink()
        assert self.evaluate(out, data) == expected
        shares = np.eye(4, dtype=np.float16)[Predictions(out, truth, task_of(truth))(0)]
        tifffile.imwrite(
            out / f"{truth.names[0]}.tif",
            shares.transpose(2, 0, 1),
            photometric="minisblack",
            planarconfig="separate",
            metadata=None,
        )
        np.testing.assert_array_equal(Predictions(out, truth, task_of(truth))(0), shares)

    def test_a_stack_of_maps_is_of_a_stack_of_images(self, tmp_path: Path) -> None:
        maps = np.random.default_rng(0).integers(0, 2, (4, 12, 16), np.uint8)
        for name in ("data/images/a.tif", "data/labels/a.tif", "out/a.tif"):
            (tmp_path / name).parent.mkdir(parents=True)
            tifffile.imwrite(tmp_path / name, maps, photometric="minisblack", metadata={"axes": "ZYX"})
        truth = open_dataset(tmp_path / "data", self.task)
        assert sorted(truth.names) == [f"a[{k}]" for k in range(4)]
        read = Predictions(tmp_path / "out", truth, task_of(truth))
        for i, name in enumerate(truth.names):
            np.testing.assert_array_equal(read(i), maps[int(name[-2])])
        tifffile.imwrite(tmp_path / "out/a.tif", maps[:3], photometric="minisblack", metadata={"axes": "ZYX"})
        with pytest.raises(InputError, match=r"lacks 1 of 4 predictions: a\[3\]"):
            Predictions(tmp_path / "out", truth, task_of(truth))
        tifffile.imwrite(
            tmp_path / "out/a.tif",
            np.concatenate([maps, maps]),
            photometric="minisblack",
            metadata={"axes": "ZYX"},
        )
        with pytest.raises(InputError, match=r"lacks 4 of 4 predictions: .* has 1 files that are of no image"):
            Predictions(tmp_path / "out", truth, task_of(truth))

    def test_the_calibration_is_of_the_images_with_probabilities(self, out: Path, data: str, tmp_path: Path) -> None:
        truth = open_dataset(data, self.task, "val")
        last = truth.names[-1]
        np.save(
            out / f"{last}.npy", np.eye(4, dtype=np.float32)[Predictions(out, truth, task_of(truth))(len(truth) - 1)]
        )
        (out / f"{last}.png").unlink()
        scores = self.evaluate(out, data, csv=tmp_path / "rows.csv", report=tmp_path / "page.html")
        rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
        (row,) = (row for row in rows if row["ece"])
        assert row["name"] == last
        assert float(row["ece"]) == pytest.approx(scores["ece"])
        assert scores["ece"] == pytest.approx(1 - float(row["pixel_accuracy"]))  # sure of all

    @pytest.mark.parametrize("content", [np.full((12, 16, 4), 0.5), np.full((12, 16, 3), 1 / 3)])
    def test_what_is_no_distribution_is_refused(self, content, out: Path, data: str) -> None:
        (out / "0000.png").unlink()
        np.save(out / "0000.npy", content)
        with pytest.raises(InputError, match=r"0000\.npy .*(probabilities)"):
            self.evaluate(out, data)


class TestNormals(BenchmarkContract):
    task = "normals"

    def disturbed(self, labels, amount, rng):
        return (labels + rng.normal(0, 0.1 + amount, labels.shape)).astype(np.float32)

    def test_other_axes_are_read_by_name(self, out: Path, data: str) -> None:
        expected = self.evaluate(out, data)
        name = next(name for name, signs in CONVENTIONS.items() if signs != (1, 1, 1))
        for path in out.iterdir():
            np.save(path, convert_normals(np.load(path), name))
        assert self.evaluate(out, data, normals=name)["mean"] == pytest.approx(expected["mean"], abs=1e-4)
        assert self.evaluate(out, data)["mean"] > expected["mean"] + 1

    def test_other_tasks_have_no_axes(self, folder_data, tmp_path: Path) -> None:
        truth = open_dataset(f"folder:{folder_data('edges')}", "edges", "val")
        with pytest.raises(InputError, match="--normals"):
            Predictions(tmp_path, truth, make_task("edges"), normals="nosuch")


class TestEdges(BenchmarkContract):
    task = "edges"

    def disturbed(self, labels, amount, rng):
        return (labels * (1 - amount) + amount * rng.random(labels.shape)).astype(np.float32)


class TestRegression(BenchmarkContract):
    task = "regression"

    def disturbed(self, labels, amount, rng):
        return (np.nan_to_num(labels, nan=5) + rng.normal(0, 0.1 + amount, labels.shape)).astype(np.float32)


def test_ids_are_resized_to_the_nearest_center() -> None:
    ids, task = np.array([[0, 1, 2, 3]], np.uint8), make_task("segmentation", 4)
    assert task.resize(ids, (2, 2)).tolist() == [[1, 3], [1, 3]]
    assert task.resize(ids, (1, 8)).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]
    assert task.resize(ids, (1, 8)).dtype == np.uint8


def test_strengths_are_resized_between_centers() -> None:
    np.testing.assert_allclose(make_task("edges").resize(np.array([[0.0, 1.0]]), (1, 4)), [[0, 0.25, 0.75, 1]])


def test_probabilities_are_resized_between_centers() -> None:
    new = make_task("segmentation", 2).resize(np.eye(2)[[[0, 1]]], (1, 4))
    np.testing.assert_allclose(new[0], [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


def test_resized_normals_are_unit_vectors() -> None:
    normals = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    new = make_task("normals").resize(normals, (1, 4))
    np.testing.assert_allclose(np.linalg.norm(new, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(new[0, 1], np.array([3, 1, 0]) / 10**0.5, rtol=1e-6)


@pytest.mark.parametrize("ending", [".tif", ".npy", ".ome.zarr"])
def test_a_map_of_a_scene_is_scored_as_a_map_of_each_block(ending: str, tmp_path: Path) -> None:
    rng, size = np.random.default_rng(0), (140, 200)
    truth, drawn = (rng.integers(0, 3, (7, 10), np.uint8).repeat(20, axis=0).repeat(20, axis=1) for _ in range(2))
    save_pixels(tmp_path / "data/images/a.tif", np.zeros(size, np.uint8))
    save_pixels(tmp_path / "data/labels/a.tif", truth)
    (tmp_path / "data/dataset.json").write_text(json.dumps({"classes": ["x", "y", "z"], "block": 64}))
    data = open_dataset(tmp_path / "data", "segmentation")
    assert data.names == [f"a[{y},{x}]" for y in range(2) for x in range(3)]
    save_pixels(tmp_path / f"whole/a{ending}", drawn)
    read = Predictions(tmp_path / "whole", data, task_of(data))
    for i, name in enumerate(data.names):
        save_pixels(tmp_path / f"cut/{name}.npy", read(i))
    np.testing.assert_array_equal(np.block([[read(3 * y + x) for x in range(3)] for y in range(2)]), drawn)
    both = [
        pixelnet.evaluate(predictions=tmp_path / out, data=data, task="segmentation", csv=tmp_path / f"{out}.csv")
        for out in ("whole", "cut")
    ]
    assert both[0] == both[1]
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "cut.csv").read_text()
    save_pixels(tmp_path / "other/a.tif", drawn[:60])
    with pytest.raises(InputError, match=r"a\.tif is 200x60, its scene 200x140"):
        Predictions(tmp_path / "other", data, task_of(data), resize=True)
