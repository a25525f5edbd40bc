"""Devices by name; and, without an accelerator, that a model's tensors meet on one device."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_native_id

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, assert_same_outcome
from torch._subclasses.fake_tensor import FakeTensorMode

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.cli import main
from pixelnet.devices import NICENESS, find_device, step_back
from pixelnet.learning import parts
from pixelnet.learning.tiles import tiles_of
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.networks import make_backbone
from pixelnet.runs import hub
from pixelnet.tasks.segmentation import Segmentation


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


def test_repeatable_is_what_torch_is_within_alone(tmp_path: Path) -> None:
    seen = []

    class Watched(Segmentation):
        def loss(self, *given: torch.Tensor) -> torch.Tensor:
            seen.append(torch.are_deterministic_algorithms_enabled())
            return super().loss(*given)

    for name, asked in (("a", True), ("b", True), ("c", False)):
        options = {**TINY, "task": Watched(7), "max_steps": 2, "deterministic": asked}
        pixelnet.train(**options, out=tmp_path / name)
    assert seen == [True] * 4 + [False] * 2
    assert not torch.are_deterministic_algorithms_enabled()
    assert_same_outcome(tmp_path / "a", tmp_path / "b")
    assert_same_outcome(tmp_path / "a", tmp_path / "c")  # on a CPU


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_mixed_precision_answers_are_nearly_the_same(precision: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    PixelNet("normals", backbone="test_resnet", hidden=(16,)).save(tmp_path / "model")
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    whole, mixed = (pixelnet.load(tmp_path / "model", precision=own).predict(image) for own in ("no", precision))
    assert mixed.dtype == np.float32
    assert 0 < np.abs(mixed - whole).max() < 0.1
    (tmp_path / "photos").mkdir()
    Image.fromarray(image).save(tmp_path / "photos" / "photo.png")
    out = tmp_path / "out"
    command = ["predict", str(tmp_path / "model"), str(tmp_path / "photos"), "--out", str(out)]
    assert main([*command, "--precision", precision]) == 0
    np.testing.assert_allclose(np.load(out / "normals" / "photo.npy"), mixed, atol=1e-3)  # which are stored in half
    assert main(command) == 2  # a folder of other answers


def test_a_precision_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one of no, bf16, fp16"):
        pixelnet.load("edges", precision="int8")


def test_maps_are_made_on_the_device_and_kept_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, asked = torch.device("cuda:0"), []
    with FakeTensorMode(allow_non_fake_inputs=True):
        with cuda:
            network = make_backbone("test_resnet").eval()

        def opened(part: str, channels: int, device: torch.device) -> Backbone:
            asked.append((part, device))
            return network

        monkeypatch.setattr(parts, "open_part", opened)
        monkeypatch.setattr(parts, "fused", lambda backbone, _: backbone)
        maps = parts.Maps(lambda *_: np.zeros((40, 50, 3), np.uint8), lambda _: (50, 40), 3, device=cuda)
        (tile,) = tiles_of((50, 40))
        made = maps.of(0, "edges", tile).maps
    assert asked == [("edges", cuda)]
    assert {own.device.type for own in made} == {"cpu"}


def test_a_session_and_the_studio_name_a_device_that_is_not_there(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(InputError, match="no cuda here"):
        pixelnet.Session([np.zeros((20, 20, 3), np.uint8)], ("a", "b"), device="cuda")
    assert main(["studio", str(tmp_path), "--device", "cuda:1"]) == 2
    assert "no cuda:1 here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux alone")
def test_a_thread_steps_back_alone() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, get_native_id())

    before = priority()
    with ThreadPoolExecutor(1, initializer=step_back) as pool:
        assert pool.submit(priority).result() == NICENESS > before
    assert priority() == before
