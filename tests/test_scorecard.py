"""What the page about scores draws; that it is written, and of what, is tested with each data set's predictions."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pixelnet.data import open_dataset
from pixelnet.report import scorecard
from pixelnet.report.page import Picture
from pixelnet.tasks import Plot, make_task


@pytest.mark.parametrize(
    ("source", "split", "labels"),
    [
        ("bsds500", "val", ["human, F 0.79 (published)"]),
        ("bsds500", "test", ["human, F 0.80 (published)"]),
        ("bsds500", "train", []),
        ("folder", "val", []),
    ],
)
def test_people_are_marked_where_it_is_published_what_they_reach(
    monkeypatch: pytest.MonkeyPatch, bsds500_data: Path, folder_data, source: str, split: str, labels: list[str]
) -> None:
    for part in ("images", "groundTruth"):
        shutil.copytree(bsds500_data / part / "val", bsds500_data / part / "test")
    root = bsds500_data if source == "bsds500" else folder_data("edges")
    dataset, task, texts = open_dataset(f"{source}:{root}", "edges", split), make_task("edges"), []

    def draw(plot: Plot) -> Picture:
        axes = Figure().subplots()
        plot.draw(axes)
        texts.extend(text.get_text() for text in axes.get_legend().get_texts())
        return Picture(b"", plot.caption, "plot")

    def answer(i: int) -> np.ndarray:
        return np.random.default_rng(i).random(dataset.labels(i).shape)

    scorer = task.benchmark(thresholds=5, workers=0)
    for i in range(len(dataset)):
        scorer.update(answer(i), dataset.truth(i))
    about = {"data": dataset.source, "split": split, "images": len(dataset), "predictions": "somewhere"}
    curve = {"recall": [0.2, 0.9], "precision": [0.9, 0.3]}
    scores = {
        "curve": curve,
        "ods": 0.5,
        "images": 1,
        "intervals": {"ods": (0.4, 0.6)},
        "interval": {"method": "by hand"},
    }
    monkeypatch.setattr(scorecard, "draw_plot", draw)
    scorecard.scorecard(about, task, dataset, answer, scorer, scores, range(len(dataset)))
    assert texts == ["ODS 0.500", *labels]
