"""What the evaluation of every task must keep. A task's test inherits this class; nothing here runs alone."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixelnet
from pixelnet import InputError
from pixelnet.data import Dataset, open_dataset
from pixelnet.inference.predictions import Predictions
from pixelnet.tasks import Task, make_task

ITEMS = 7


class BenchmarkContract:
    task: str

    @pytest.fixture
    def data(self, folder_data) -> str:
        return f"folder:{folder_data(self.task, splits=('val',), items=ITEMS)}"

    @pytest.fixture
    def out(self, data: str, tmp_path: Path) -> Path:
        """Predictions: the truth with noise, more of it from image to image."""
        (tmp_path / "out").mkdir()
        rng, truth = np.random.default_rng(0), open_dataset(data, self.task, "val")
        for i, name in enumerate(truth.names):
            self.write(tmp_path / "out" / name, self.disturbed(truth.labels(i), i / ITEMS, rng))
        return tmp_path / "out"

    def disturbed(self, labels: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
        """A prediction from labels, with more errors the larger the amount, 0..1."""
        raise NotImplementedError

    def write(self, path: Path, prediction: np.ndarray) -> None:
        np.save(path.with_suffix(".npy"), prediction)

    def made(self, truth: Dataset) -> Task:
        return make_task(self.task, num_classes=4 if truth.class_names else None)

    def evaluate(self, out: Path, data: str, **options) -> dict:
        return pixelnet.evaluate(predictions=out, task=self.task, data=data, **options)

    def test_every_number_has_an_interval_around_it(self, out: Path, data: str, tmp_path: Path) -> None:
        scores = self.evaluate(out, data, json=tmp_path / "scores.json")
        numbers = {name: value for name, value in scores.items() if isinstance(value, float)}
        assert numbers.keys() == scores["intervals"].keys()
        for name, value in numbers.items():
            low, high = scores["intervals"][name]
            assert low <= high
            assert low - 0.1 * abs(value) <= value <= high + 0.1 * abs(value), name  # a percentile may lie beside it
        assert scores["interval"]["level"] == 0.95
        stored = json.loads((tmp_path / "scores.json").read_text())
        assert stored == scores | {"data": data, "split": "val", "images": ITEMS, "predictions": str(out)}

    def test_the_rows_are_the_images_scored_alone_worst_first(self, out: Path, data: str, tmp_path: Path) -> None:
        self.evaluate(out, data, csv=tmp_path / "rows.csv")
        rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
        truth = open_dataset(data, self.task, "val")
        task = self.made(truth)
        benchmark = task.benchmark()
        assert sorted(row["name"] for row in rows) == truth.names
        name, more_is_better = benchmark.headline
        values = [float(row[name]) for row in rows if row[name]]
        assert values == sorted(values, reverse=not more_is_better)
        single = Predictions(out, truth, task)
        first = truth.names.index(rows[0]["name"])
        benchmark.update(single(first), truth.truth(first))
        assert benchmark.result()[name] == pytest.approx(values[0])

    def test_the_page_is_complete_in_itself(self, out: Path, data: str, tmp_path: Path) -> None:
        scores = self.evaluate(out, data, report=tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert "http" not in page
        assert "<script" not in page
        assert page.count("data:image/png;base64,") >= 1 + 3 * ITEMS  # a plot, and every image: there are few
        for name, value in scores.items():
            if isinstance(value, float):
                shown = f"<td>within {name}°</td>" if name[0].isdigit() else f"<td>{name}</td>"
                assert f'{shown}<td class="value">{value:.4f}' in page

    def test_nothing_is_scored_by_halves(self, out: Path, data: str, tmp_path: Path) -> None:
        first, second, third, *_ = sorted(out.iterdir())
        second.rename(second.with_stem("stranger"))
        first.unlink()
        small = open_dataset(data, self.task, "val").labels(2)[:-1]
        self.write(third, small)
        with pytest.raises(InputError) as raised:
            self.evaluate(out, data, csv=tmp_path / "rows.csv")
        message = str(raised.value)
        assert "lacks 2 of 7 predictions: 0000, 0001" in message
        assert "has 1 files that are of no image" in message
        assert "stranger" in message
        assert "0002" in message
        assert "--resize" in message
        assert not (tmp_path / "rows.csv").exists()

    def test_all_that_cannot_be_scored_is_named_and_nothing_written(self, out: Path, data: str, tmp_path: Path) -> None:
        first, second, *_, last = sorted(out.iterdir())
        for path in (second, last):  # the headers are whole
            path.write_bytes(path.read_bytes()[:-30])
        files = {name: tmp_path / "scores" / name for name in ("json", "csv", "report")}
        with pytest.raises(InputError, match="nothing is scored") as raised:
            self.evaluate(out, data, **files)
        assert second.name in str(raised.value)
        assert last.name in str(raised.value)
        assert first.name not in str(raised.value)
        assert not (tmp_path / "scores").exists()

    def test_a_file_that_cannot_be_written_is_named_first(self, out: Path, data: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for taken, message in ((tmp_path, "is a folder"), (tmp_path / "file" / "new" / "x.csv", "cannot be written")):
            with pytest.raises(InputError, match=message):
                self.evaluate(out, data, json=tmp_path / "scores.json", csv=taken)
        assert not (tmp_path / "scores.json").exists()

    def test_a_truth_without_labels_has_no_score(self, out: Path, data: str, tmp_path: Path) -> None:
        truth = open_dataset(data, self.task, "val")
        for i in range(ITEMS):
            path = truth.files(i)[1]
            nothing = np.full_like(truth.labels(i), self.made(truth).unlabelled)
            path.unlink()
            np.save(path.with_suffix(".npy"), nothing)
        if truth.class_names:
            (path.parents[2] / "dataset.json").write_text('{"classes": ["a", "b", "c", "d"], "unlabelled": [255]}')
        with pytest.raises(InputError, match="has no labelled pixel"):
            self.evaluate(out, data, json=tmp_path / "scores.json")
        assert not (tmp_path / "scores.json").exists()

    def test_a_prediction_of_another_size_is_resized_if_asked(self, out: Path, data: str) -> None:
        exact = self.evaluate(out, data)
        truth = open_dataset(data, self.task, "val")
        single = Predictions(out, truth, self.made(truth))
        for i, name in enumerate(truth.names):
            self.write(out / name, np.repeat(np.repeat(single(i), 3, axis=0), 3, axis=1))
        # Half-pixel centers: of three equal pixels the middle one is read, so nothing changes.
        again = self.evaluate(out, data, resize=True)
        for name, value in exact.items():
            if isinstance(value, float):
                assert again[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name


def save(path: Path, prediction: np.ndarray) -> None:
    Image.fromarray(prediction).save(path.with_suffix(".png"))
