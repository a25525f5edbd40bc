"""Scores of models and of files: the same numbers either way, against metrics called by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.data import open_dataset
from pixelnet.evaluation import score_model, table
from pixelnet.geometry import convert_normals
from pixelnet.inference.bulk import predict_files

TASKS = ["segmentation", "normals", "edges", "regression"]


def model_for(task: str, classes: int = 4) -> PixelNet:
    torch.manual_seed(0)
    model = PixelNet(task, classes if task == "segmentation" else None, "test_resnet", hidden=(8,)).eval()
    if task == "regression":
        torch.nn.init.constant_(model.head[-1].bias, 5.0)
    return model


@pytest.mark.parametrize("task", TASKS)
def test_files_score_as_the_model_that_wrote_them(task: str, folder_data, tmp_path: Path) -> None:
    data, model = folder_data(task), model_for(task)
    spec = f"folder:{data}"
    scores = pixelnet.evaluate(model, data=spec)
    predict_files(model, [data / "val" / "images"], tmp_path / "out")
    from_files = pixelnet.evaluate(predictions=tmp_path / "out" / task, task=task, data=spec)
    assert scores.keys() - {"ece"} == from_files.keys()  # files of ids have no confidence
    assert ("ece" in scores) == (task == "segmentation")
    # Rounded to 16 bits a strength may cross a threshold, and where the map is flat the suppression turn.
    tolerance = 2e-2 if task == "edges" else 2e-3
    for name in from_files.keys() - {"curve", "settings", "intervals", "interval"}:
        near = 0.2 if name in ("11.25", "22.5", "30") else tolerance
        assert from_files[name] == pytest.approx(scores[name], rel=2e-3, abs=near)


def test_the_numbers_are_those_of_a_loop(folder_data) -> None:
    data = f"folder:{folder_data('segmentation')}"
    model, truth = model_for("segmentation"), open_dataset(data, "segmentation", "val")
    hits = labelled = 0
    for i in range(len(truth)):
        known = truth.labels(i) != 255
        hits += (model.predict(truth.image(i)) == truth.labels(i))[known].sum()
        labelled += known.sum()
    scores = pixelnet.evaluate(model, data=data)
    assert scores["pixel_accuracy"] == pytest.approx(hits / labelled)
    assert len(scores["iou_per_class"]) == 4
    assert scores["miou"] == pytest.approx(np.mean([iou for iou in scores["iou_per_class"] if iou is not None]))


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("segmentation", {"miou", "mean_accuracy", "pixel_accuracy", "iou_per_class"}),
        ("normals", {"mean", "median", "rmse", "11.25", "22.5", "30"}),
        ("edges", {"ods", "ois", "ap", "r50"}),
        ("regression", {"abs_rel", "rmse", "delta1"}),
    ],
)
def test_the_json_file_has_the_promised_names(task: str, names: set[str], folder_data, tmp_path: Path) -> None:
    model_for(task).save(tmp_path / "model")
    scores = pixelnet.evaluate(
        tmp_path / "model", data=f"folder:{folder_data(task)}", split="train", json=tmp_path / "new" / "scores.json"
    )
    assert names <= scores.keys()
    stored = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert {key: stored[key] for key in scores} == scores
    assert (stored["split"], stored["images"]) == ("train", 3)


def test_some_items_are_scored_alone(folder_data) -> None:
    data, model = open_dataset(f"folder:{folder_data('edges')}", "edges", "val"), model_for("edges")
    scorer = model.task.scorer()
    for i in (0, 2):
        scorer.update(model.predict(data.image(i)), data.truth(i))
    assert score_model(model, data, [0, 2]) == scorer.result()


def test_several_processes_share_the_items(folder_data, monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = open_dataset(f"folder:{folder_data('edges')}", "edges", "val"), model_for("edges")
    expected, counts = score_model(model, data), []

    class Rank:
        num_processes = 2

        def __init__(self, process_index: int):
            self.process_index = process_index

    def gather(own: list) -> list:
        counts.extend(own)
        return list(counts)

    monkeypatch.setattr(sys.modules["pixelnet.evaluation"], "gather_object", gather)
    score_model(model, data, accelerator=Rank(0))  # type: ignore[arg-type]
    assert score_model(model, data, accelerator=Rank(1)) == expected  # type: ignore[arg-type]


def test_unlabelled_pixels_do_not_count(folder_data, tmp_path: Path) -> None:
    data = folder_data("segmentation")
    model_for("segmentation")
    for path in (data / "val" / "labels").iterdir():
        ids = np.array(Image.open(path))
        (tmp_path / "out").mkdir(exist_ok=True)
        Image.fromarray(np.where(ids == 255, 1, ids).astype(np.uint8)).save(tmp_path / "out" / path.name)
    scores = pixelnet.evaluate(predictions=tmp_path / "out", task="segmentation", data=f"folder:{data}")
    assert scores["miou"] == scores["pixel_accuracy"] == 1


def test_two_models_are_compared_by_pairs_of_images(folder_data, tmp_path: Path) -> None:
    data = folder_data("segmentation", splits=("val",), items=6)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        model = PixelNet("segmentation", 4, "test_resnet", hidden=(8,)).eval()
        predict_files(model, [data / "val" / "images"], tmp_path / name)
    folders = [tmp_path / name / "segmentation" for name in "ab"]
    common = {"data": f"folder:{data}", "task": "segmentation"}
    both = pixelnet.evaluate(predictions=folders[0], against=folders[1], report=tmp_path / "page.html", **common)
    alone = [pixelnet.evaluate(predictions=folder, **common) for folder in folders]
    for name in ("miou", "pixel_accuracy"):
        assert both[name] == alone[0][name]
        assert both["against"][name] == alone[1][name]
        assert both["differences"][name] == pytest.approx(alone[0][name] - alone[1][name])
        low, high = both["difference_intervals"][name]
        assert low <= both["differences"][name] <= high
    assert both["difference_intervals"]["miou"] != both["intervals"]["miou"]
    lines = table(both).splitlines()
    assert lines[0].endswith("value   against difference   95 % interval of the difference")
    assert f"{both['differences']['miou']:+.4f}" in next(line for line in lines if line.startswith("miou"))
    assert "Less those of" in (tmp_path / "page.html").read_text()
    same = pixelnet.evaluate(predictions=folders[0], against=folders[0], **common)
    assert set(same["differences"].values()) == {0.0}
    assert all(ends == [0.0, 0.0] for ends in same["difference_intervals"].values())
    with pytest.raises(InputError, match="compared with predictions"):
        pixelnet.evaluate(predictions=folders[0], against=model, **common)


@pytest.mark.parametrize("convention", ["opengl", "dsine"])
def test_normals_in_other_axes_get_a_hint(convention: str, folder_data, tmp_path: Path) -> None:
    data = folder_data("normals", splits=("val",))
    truth = open_dataset(f"folder:{data}", "normals", "val")
    for i, name in enumerate(truth.names):
        np.save(tmp_path / f"{name}.npy", convert_normals(truth.labels(i), convention))
    common = {"predictions": tmp_path, "task": "normals", "data": f"folder:{data}"}
    scores = pixelnet.evaluate(**common)
    if convention == "dsine":  # all three axes, so that nothing is right
        assert f"--normals {convention}" in scores["notes"][0]
    assert "notes" not in pixelnet.evaluate(**common, normals=convention)


def test_predictions_of_names_with_folders_lie_in_folders(folder_data, tmp_path: Path) -> None:
    truth = open_dataset(f"folder:{folder_data('edges', splits=('val',))}", "edges", "val")
    truth.names, out = ["site/a", "site/b", "c"], tmp_path / "out"
    for i, name in enumerate(truth.names):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(out / f"{name}.npy", truth.labels(i))
    assert pixelnet.evaluate(predictions=out, data=truth, task="edges")["images"] == 3
    (out / "site/d.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"of no image.*site/d\.npy"):
        pixelnet.evaluate(predictions=out, data=truth, task="edges")


# --------------------------------------------------------------------------------------------------- bad input


def test_one_of_model_and_predictions(folder_data, tmp_path: Path) -> None:
    data = f"folder:{folder_data('edges')}"
    for given in ({}, {"model": model_for("edges"), "predictions": tmp_path}):
        with pytest.raises(InputError, match="one of the two"):
            pixelnet.evaluate(**given, data=data)
    with pytest.raises(InputError, match="--task"):
        pixelnet.evaluate(predictions=tmp_path, data=data)
    with pytest.raises(InputError, match="model is of edges, not of normals"):
        pixelnet.evaluate(model_for("edges"), task="normals", data=data)


def test_other_classes_are_refused(folder_data) -> None:
    data = f"folder:{folder_data('segmentation')}"
    with pytest.raises(InputError, match=r"the model has 3 classes, .* has 4"):
        pixelnet.evaluate(model_for("segmentation", 3), data=data)


def test_other_names_of_classes_are_refused(folder_data) -> None:
    data = folder_data("segmentation")
    (data / "dataset.json").write_text(json.dumps({"classes": ["sky", "road", "tree", "car"]}))
    model = PixelNet("segmentation", backbone="test_resnet", hidden=(4,), class_names=("road", "sky", "tree", "car"))
    with pytest.raises(InputError, match="class"):
        pixelnet.evaluate(model, data=f"folder:{data}")


def test_missing_predictions_are_named(folder_data, tmp_path: Path) -> None:
    data = folder_data("edges", items=8)
    (tmp_path / "out").mkdir()
    Image.fromarray(np.zeros((9, 16), np.uint8)).save(tmp_path / "out" / "0001.png")
    with pytest.raises(
        InputError, match=r"lacks 7 of 8 predictions: 0000, 0002, 0003, 0004, 0005, \.\.\..*1 of another size: 0001"
    ):
        pixelnet.evaluate(predictions=tmp_path / "out", task="edges", data=f"folder:{data}")
    with pytest.raises(InputError, match="nowhere"):
        pixelnet.evaluate(predictions=tmp_path / "nowhere", task="edges", data=f"folder:{data}")


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        ("segmentation", np.zeros((12, 15), np.uint8), r"0000\.png is 15x12 but its truth is 16x12"),
        ("segmentation", np.full((12, 16), 4, np.uint8), r"0000\.png.*0\.\.3"),
        ("segmentation", np.zeros((12, 16, 3), np.uint8), r"0000\.png"),
        ("edges", np.zeros((16, 12), np.uint8), r"0000\.png is 12x16"),
        ("normals", np.zeros((12, 16), np.uint8), r"0000\.png"),
    ],
)
def test_a_wrong_prediction_is_named(task, content, message, folder_data, tmp_path: Path) -> None:
    data = folder_data(task, splits=("val",), items=1)
    Image.fromarray(content).save(tmp_path / "0000.png")
    with pytest.raises(InputError, match=message):
        pixelnet.evaluate(predictions=tmp_path, task=task, data=f"folder:{data}")


def test_a_truncated_prediction_is_named(folder_data, tmp_path: Path) -> None:
    data = folder_data("segmentation", splits=("val",), items=1)
    (tmp_path / "0000.png").write_bytes((data / "val" / "labels" / "0000.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"0000\.png"):
        pixelnet.evaluate(predictions=tmp_path, task="segmentation", data=f"folder:{data}")
