"""Panels: sheets put together pixel by pixel."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pixelnet import PixelNet
from pixelnet.data import open_dataset
from pixelnet.report.panels import GAP, draw_panel, panel


def test_a_panel_is_rows_of_pictures_on_white() -> None:
    red, green, blue = (np.full((h, w, 3), c, np.uint8) for h, w, c in ((4, 6, 10), (3, 5, 20), (2, 9, 30)))
    sheet = panel([[red, green], [blue]])
    assert sheet.shape == (4 + GAP + 2, 6 + GAP + 5, 3)
    assert (sheet[:4, :6] == 10).all()
    assert (sheet[:3, 6 + GAP :] == 20).all()
    assert (sheet[4 + GAP :, :9] == 30).all()
    assert (sheet == 255).sum() == sheet.size - red.size - green.size - blue.size


def test_a_drawn_panel_is_input_truth_and_prediction(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, data = PixelNet("segmentation", 7, "test_resnet", hidden=(4,)), open_dataset("scenes:3", "segmentation")
    draw_panel(model, data, [0, 2], tmp_path / "new" / "panel.png")
    sheet = np.array(Image.open(tmp_path / "new" / "panel.png"))
    assert sheet.shape == (2 * 128 + GAP, 3 * 160 + 2 * GAP, 3)
    for top, item in ((0, 0), (128 + GAP, 2)):
        row = [data.image(item), model.task.paint(data.labels(item)), model.task.paint(model.predict(data.image(item)))]
        for place, picture in enumerate(row):
            left = place * (160 + GAP)
            np.testing.assert_array_equal(sheet[top : top + 128, left : left + 160], picture)


def test_a_panel_of_several_tasks_has_a_row_for_each_that_an_item_is_labelled_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PixelNet("segmentation,edges", 7, "test_resnet", hidden=(4,))
    data = open_dataset("scenes:3,scenes:2", "segmentation,edges")
    del data.items[1]["segmentation"]
    draw_panel(model, data, [0, 1], tmp_path / "panel.png")
    sheet = np.array(Image.open(tmp_path / "panel.png"))
    assert sheet.shape == (3 * 128 + 2 * GAP, 3 * 160 + 2 * GAP, 3)
    for row, (item, name) in enumerate([(0, "segmentation"), (0, "edges"), (1, "edges")]):
        part, truth = model.task.parts[name], data.truth(item)[name]
        expected = data.image(item), part.paint(truth), part.paint(model.predict(data.image(item))[name])
        for place, picture in enumerate(expected):
            left, top = place * (160 + GAP), row * (128 + GAP)
            np.testing.assert_array_equal(sheet[top : top + 128, left : left + 160], picture)
