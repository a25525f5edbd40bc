"""Devices by name; and, without an accelerator, that a model's tensors meet on one device."""

from pathlib import Path

import pytest
import torch
from tiny import TINY
from torch._subclasses.fake_tensor import FakeTensorMode

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.devices import find_device
from pixelnet.runs import hub


def test_auto_is_the_processor_where_there_is_no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == torch.device("cpu")


def test_auto_is_an_accelerator_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert find_device("auto") == torch.device("cuda")
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="no cuda:2 here; give auto, or one of cpu, cuda"):
        find_device("cuda:2")
    with pytest.raises(InputError, match="no mps here"):
        find_device("mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="there is no device"):
        find_device(name)


def test_a_device_that_is_not_there_is_refused_wherever_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(InputError, match="no cuda here"):
        pixelnet.load("edges", device="cuda")
    with pytest.raises(InputError, match="no cuda:1 here"):
        pixelnet.train(**TINY, out=tmp_path / "run", device="cuda:1")
    with pytest.raises(InputError, match="no mps here"):
        pixelnet.evaluate("edges", data="scenes", device="mps")
    assert not (tmp_path / "run").exists()


def test_a_model_is_loaded_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_device", lambda name: torch.device("meta" if name == "auto" else name))
    assert {parameter.device.type for parameter in pixelnet.load("edges", device="auto").parameters()} == {"meta"}


@pytest.mark.parametrize("backbone", ["test_resnet", "filters"])
@pytest.mark.parametrize("head", ["mlp", "fitted"])
def test_what_a_prediction_and_a_step_need_is_on_the_models_device(backbone: str, head: str) -> None:
    """Fake tensors keep shapes and devices, and refuse an operation on two devices as a GPU would."""
    model = PixelNet("segmentation,normals", 5, backbone, head=head, pyramid=4)
    with FakeTensorMode():
        for module in model.modules():
            for store in (module._parameters, module._buffers):
                for name, value in store.items():
                    store[name] = value if value is None else torch.empty(value.shape, dtype=value.dtype, device="cuda")
        images, points = torch.rand(2, 3, 37, 50, device="cuda"), torch.rand(2, 9, 2, device="cuda")
        assert model(images, points).device.type == "cuda"
        model.eval()
        maps = model.maps(images)
        assert model.read_head(maps, points).shape == (2, 9, model.task.outputs)
        (dense,) = model.bands(maps, range(37), range(50))
        answers = model.task.answers(dense, False)
        assert {answer.device.type for answer in answers.values()} == {"cuda"}
