"""Plots: curves that survive what metrics may hold, and what tasks describe as pictures of a page."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelnet.errors import InputError
from pixelnet.report.plots import draw_curves, draw_plot, read_metrics
from pixelnet.tasks import Plot


def write(run: Path, lines: list[dict]) -> Path:
    run.mkdir(exist_ok=True)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_curves_show_the_losses_and_the_scores(tmp_path: Path) -> None:
    lines: list[dict] = [{"step": k, "loss": 1 / k, "pixels": 5, "seconds": 0.1} for k in range(1, 201)]
    lines += [{"step": k, "scores": {"miou": k / 400, "iou_per_class": [0.1, None]}} for k in (100, 200)]
    left, right = draw_curves(write(tmp_path / "run", lines)).axes
    raw, smooth = (line.get_xydata() for line in left.lines)
    np.testing.assert_allclose(raw, [(k, 1 / k) for k in range(1, 201)])
    np.testing.assert_allclose(smooth[0], [4, (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4])
    assert len(smooth) == 197
    (score,) = right.lines
    assert score.get_label() == "miou"
    np.testing.assert_allclose(score.get_xydata(), [(100, 0.25), (200, 0.5)])
    assert Image.open(tmp_path / "run" / "curves.png").size[0] > 500
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["curves.png", "metrics.jsonl"]


def test_curves_of_little(tmp_path: Path) -> None:
    step = {"step": 1, "loss": 0.5, "pixels": 5, "seconds": 0.1}
    for lines in ([], [step], [step, {"step": 1, "scores": {"miou": None}}]):
        draw_curves(write(tmp_path / "run", lines))
    scores = [{"step": 1, "scores": {"miou": None}}, {"step": 2, "scores": {"miou": 0.5}}]
    _, right = draw_curves(write(tmp_path / "run", [step, *scores])).axes
    assert np.isfinite(right.lines[0].get_ydata().astype(float)).tolist() == [False, True]


def test_metrics_are_read_in_order(tmp_path: Path) -> None:
    lines = [{"step": 1, "loss": 0.5}, {"step": 1, "scores": {"miou": None}}, {"step": 2, "loss": 0.25}]
    assert read_metrics(write(tmp_path / "run", lines)) == lines


def test_a_plot_of_a_task_is_a_picture_with_its_caption() -> None:
    seen = []
    picture = draw_plot(Plot("How it went", lambda axes: seen.append(axes.plot([0, 1])), (4, 3)))
    assert len(seen) == 1
    assert picture.caption == "How it went"
    assert Image.open(io.BytesIO(picture.pixels)).size == (440, 330)  # 110 dots an inch


def test_names_are_no_formulas() -> None:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], label="a$_b^{")
        axes.set_xticks([0, 1], ["$x_1", "no$_{"])
        axes.set_title("$\\frac")
        axes.legend()

    assert draw_plot(Plot("$", draw, (3, 2))).pixels[:4] == b"\x89PNG"


def test_a_metrics_line_of_something_else_is_named(tmp_path: Path) -> None:
    good = '{"step": 1, "loss": 0.5}\n'
    (tmp_path / "metrics.jsonl").write_text(good + '{"step": 2, "lo')  # which a killed run may leave
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}]
    for line in (
        "{",
        "[1]",
        "7",
        '{"loss": 1}',
        '{"step": "a"}',
        '{"step": 1, "scores": 3}',
        '{"step": 1, "loss": "x"}',
    ):
        (tmp_path / "metrics.jsonl").write_text(f"{good}{line}\n")
        with pytest.raises(InputError, match=r"metrics\.jsonl, line 2, is none that training writes"):
            read_metrics(tmp_path)
