"""Models to folders and back; files that are damaged, missing or another model's."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import pixelnet.files
from pixelnet import InputError, PixelNet, load
from pixelnet.runs import checkpoint
from pixelnet.runs.checkpoint import is_model, load_checkpoint, save, save_checkpoint


def small(task: str = "edges", classes: int | None = None, **options: object) -> PixelNet:
    return PixelNet(task, classes, "test_resnet", **{"hidden": (4,), **options})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small().save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("task", "classes", "options"),
    [
        ("segmentation", 2, {"class_names": ("sky", "road"), "class_colors": ((1, 2, 3), (4, 5, 6))}),
        ("normals", None, {"head": "linear", "hidden": None, "taps": (0, 2)}),
        ("edges", None, {"head": "paper", "hidden": (5, 6), "dropout": 0.1, "in_channels": 1}),
        ("regression", None, {"head": "linear-bn", "hidden": None, "image_size": 64}),
    ],
)
def test_a_model_comes_back_bit_for_bit(task: str, classes: int | None, options: dict, tmp_path: Path) -> None:
    model = small(task, classes, **options)
    model.train()(torch.rand(2, model.config.in_channels, 40, 40))  # running statistics other than the first
    model.save(tmp_path / "new" / "model")
    again = load(tmp_path / "new" / "model")
    assert again.config == model.config
    assert not again.training
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    images = torch.rand(1, model.config.in_channels, 37, 41)
    assert torch.equal(again(images), model.eval()(images))
    assert again.task.palette == model.task.palette if task == "segmentation" else True


def test_the_folder_is_two_files_that_others_can_read(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["format"] == 1
    assert config["model"]["task"] == "edges"
    assert load_file(folder / "model.safetensors")["head.0.weight"].shape == (4, 400)
    assert is_model(folder)
    assert not is_model(folder.parent)


def test_further_settings_ride_along(tmp_path: Path) -> None:
    save(small(), tmp_path, train={"max_steps": 3})
    assert json.loads((tmp_path / "config.json").read_text())["train"] == {"max_steps": 3}
    load(tmp_path)


def test_loading_asks_neither_hub_nor_the_first_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pixelnet.model

    asked = []
    make = pixelnet.model.make_backbone
    monkeypatch.setattr(pixelnet.model, "make_backbone", lambda name, **o: asked.append(o) or make(name, **o))
    load(folder)
    assert not asked[0]["pretrained"]
    assert asked[0]["weights"] is None


def test_a_crash_while_saving_leaves_the_model_that_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_file(folder / "model.safetensors")

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pixelnet.files.os, "fsync", crash)
    with pytest.raises(InputError, match="cannot be written: disk full"):
        small().save(folder)
    monkeypatch.undo()
    after = load(folder).state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


# --------------------------------------------------------------------------------------------------- bad input


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent is no folder"):
        load(tmp_path / "absent")
    with pytest.raises(InputError, match=r"config\.json is not there"):
        load(tmp_path)


def change(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"] |= values
    (folder / "config.json").write_text(json.dumps(config))


def test_a_misspelt_key_is_named_with_its_file(folder: Path) -> None:
    change(folder, bakcbone="resnet18")
    with pytest.raises(InputError, match=r"config\.json, model: unknown key 'bakcbone'; did you mean 'backbone'"):
        load(folder)


@pytest.mark.parametrize("content", [{}, {"modle": {"task": "edges"}}, {"model": "edges"}, {"model": None}])
def test_a_config_without_a_model_is_named(content: dict, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"config\.json"):
        load(folder)


@pytest.mark.parametrize("values", [{"task": "normals"}, {"hidden": [5]}, {"taps": [0, 1]}, {"backbone": "test_vit"}])
def test_weights_of_another_model_are_refused(values: dict, folder: Path) -> None:
    change(folder, **values)
    with pytest.raises(InputError, match=r"model\.safetensors does not fit its config\.json"):
        load(folder)


@pytest.mark.parametrize("keep", [0, 5, 5000, -10])
def test_damaged_weights_are_refused(keep: int, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        load(folder)


def test_missing_weights_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is not there"):
        load(folder)


def test_a_checkpoint_comes_back_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.pt"
    assert load_checkpoint(path) is None
    state = {"step": 3, "best": None, "model": {"a": torch.rand(3, 4)}, "optimizer": {"groups": [{"lr": 0.1}]}}
    save_checkpoint(path, state)
    again = load_checkpoint(path)
    assert again is not None
    assert torch.equal(again["model"]["a"], state["model"]["a"])
    assert (again["step"], again["best"], again["optimizer"]) == (3, None, state["optimizer"])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged.*remove it"):
        load_checkpoint(path)


# ------------------------------------------------------------------------------------------------ strangers


def test_nothing_is_given_memory_before_shapes_are_compared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(folder, hidden=[60000, 60000])  # 14 GB, and the file has none of it
    monkeypatch.setattr(checkpoint, "load_weights", lambda *_: pytest.fail("too late"))
    with pytest.raises(InputError, match=r"has head\.0\.weight of shape \[4, 400\], expected shape \[60000, 400\]"):
        load(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": [10**9]}, "asks for layers, channels or images that no model has"),
        ({"hidden": [1] * 1000}, "asks for layers, channels or images that no model has"),
        ({"in_channels": 10**12}, "asks for layers, channels or images that no model has"),
        ({"image_size": 10**9}, "the image size is 1000000000"),
        ({"backbone": "\x1b[2Jresnet18"}, r"a name that cannot be shown: '\\x1b\[2Jresnet18'"),
        ({"class_names": ["a", "b" * 1000]}, "a name that cannot be shown"),
        ({"class_names": ["a", "\u202eb"]}, "a name that cannot be shown"),
    ],
)
def test_what_a_strangers_config_asks_for_has_bounds(values: dict, message: str, folder: Path) -> None:
    change(folder, **values)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_weights_that_are_no_numbers_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    state["head.0.weight"][0, :3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    save_file(state, path)
    with pytest.raises(InputError, match=r"holds NaN or infinity in 3 of the 1600 numbers of head\.0\.weight"):
        load(folder)


def test_only_files_of_the_models_size_are_read(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for header in ((10**9).to_bytes(8, "little"), (10**7).to_bytes(8, "little") + 10**7 * b"["):
        path.write_bytes(header)
        with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
            load(folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"model\.safetensors is a device, a pipe or a socket"):
        load(folder)
    path.unlink()
    (folder / "elsewhere").write_bytes(content)
    path.symlink_to("elsewhere")  # as in Hugging Face's cache
    load(folder)


# ------------------------------------------------------------------------------------------------ half precision


def test_kernels_and_matrices_at_half_precision_load_into_whole(folder: Path, tmp_path: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        model.head[0].bias[0] = 1e6  # beyond half precision, and no matrix
    model.save(tmp_path / "half", half=True)
    stored, again = load_file(tmp_path / "half" / "model.safetensors"), load(tmp_path / "half").state_dict()
    assert {str(tensor.dtype) for tensor in stored.values()} == {"torch.float16", "torch.float32", "torch.int64"}
    for name, tensor in model.state_dict().items():
        kept = torch.from_numpy(tensor.numpy().astype("float16").astype("float32")) if tensor.ndim > 1 else tensor
        assert (stored[name].dtype == torch.float16) == (tensor.ndim > 1), name
        assert again[name].dtype == tensor.dtype, name
        assert torch.equal(again[name], kept), name
    whole, half = ((path / "model.safetensors").stat().st_size for path in (folder, tmp_path / "half"))
    assert half < 0.6 * whole
    assert load(tmp_path / "half").config == model.config


@pytest.mark.parametrize("value", [7e4, -7e4])
def test_a_weight_beyond_half_precision_is_refused(value: float, folder: Path, tmp_path: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        model.head[0].weight[1, 2] = value
    with pytest.raises(InputError, match=r"head\.0\.weight has values up to 70000, .*ends at 65504"):
        model.save(tmp_path / "half", half=True)
    assert not (tmp_path / "half").exists()
    model.save(tmp_path / "whole")
    assert load(tmp_path / "whole").head[0].weight[1, 2] == value
