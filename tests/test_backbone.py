"""Backbones: the contract for seven families, VGG-16 layer by layer, and weights from files."""

from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from contract_backbone import BackboneContract
from safetensors.torch import load_file, save_file
from torchvision.models.vgg import cfgs, make_layers

import pixelnet.nn.backbone
import pixelnet.nn.vgg
from pixelnet import InputError, PixelNet
from pixelnet.nn.backbone import Backbone
from pixelnet.nn.networks import make_backbone
from pixelnet.nn.vgg import CAFFE_MEAN, VGG16

CAFFE_FILE, LITE0_FILE = "vgg16_imagenet_features_fp16.safetensors", "tf_efficientnet_lite0_imagenet.safetensors"
CONVOLUTIONS_BEFORE_POOLS = (2, 7, 14, 21, 28)  # in torchvision's vgg16().features


class TestVGG(BackboneContract):
    name = "vgg16"
    channels = (64, 128, 256, 512, 512)
    strides = (1, 2, 4, 8, 16)
    largest_side = 40
    examples = 2


class TestResNet(BackboneContract):
    name = "test_resnet"
    channels = (32, 32, 48, 192, 96)
    strides = (2, 4, 8, 16, 32)


class TestEfficientNetLite(BackboneContract):
    name = "tf_efficientnet_lite0"
    channels = (16, 24, 40, 112, 320)
    strides = (2, 4, 8, 16, 32)
    examples = 2


class TestConvNeXt(BackboneContract):
    name = "test_convnext"
    channels = (24, 32, 48, 64)
    strides = (4, 8, 16, 32)


class TestMobileNet(BackboneContract):
    name = "mobilenetv3_small_050"
    channels = (16, 8, 16, 24, 288)
    strides = (2, 4, 8, 16, 32)


class TestHierarchicalTransformer(BackboneContract):
    """A Swin made narrow and shallow: its maps are channels last."""

    name = "swin_tiny_patch4_window7_224"
    channels = (16, 32, 64, 128)
    strides = (4, 8, 16, 32)

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        smaller = partial(timm.create_model, embed_dim=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 2, 4))
        monkeypatch.setattr(pixelnet.nn.backbone.timm, "create_model", smaller)


class TestPlainTransformer(BackboneContract):
    """One stride, and no map shallower than it."""

    name = "test_vit"
    channels = (64, 64, 64)
    strides = (16, 16, 16)
    some_taps = (0, 2)

    def indices(self, taps: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(tap + 3 for tap in taps)  # of six blocks, timm taps the last three


class Pyramid(torch.nn.Module):
    """Three maps, of which it says nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 6, 8, 10)
        self.steps = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.Conv2d(widths[k], widths[k + 1], 3, stride=stride, padding=1),
                torch.nn.BatchNorm2d(widths[k + 1]),
                torch.nn.ReLU(),
            )
            for k, stride in enumerate((2, 2, 4))
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = [images]
        for step in self.steps:
            maps.append(step(maps[-1]))
        return maps[1:]


class TestModule(BackboneContract):
    channels = (6, 8, 10)
    strides = (2, 4, 16)
    some_taps = (0, 2)

    def backbone(self, **options: object) -> Backbone:
        torch.manual_seed(0)
        return make_backbone(Pyramid(options.get("channels", 3)), **options)  # type: ignore[arg-type]

    def model(self) -> PixelNet:
        torch.manual_seed(0)
        return PixelNet("segmentation", 5, Pyramid(3), hidden=(8,))


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "convnext_atto"])
def test_other_networks_of_timm_keep_to_their_strides_too(name: str) -> None:
    with torch.device("meta"):
        backbone = make_backbone(name).eval()
        maps = backbone(torch.rand(1, 3, 64, 32))
    assert [features.shape[2] for features in maps] == [64 // stride for stride in backbone.strides]


# ------------------------------------------------------------------------------------------------------ VGG-16


def torchvision_features(state: dict[str, torch.Tensor]) -> torch.nn.Sequential:
    network = make_layers(cfgs["D"])
    network.load_state_dict({key.removeprefix("features."): value.float() for key, value in state.items()})
    for layer in network:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    return network.eval()


@pytest.fixture(scope="module")
def random_vgg() -> VGG16:
    torch.manual_seed(0)
    backbone = make_backbone("vgg16")
    assert isinstance(backbone, VGG16)
    return backbone.eval()


@pytest.mark.parametrize("before_relu", [False, True])
@pytest.mark.parametrize("source", ["random", "file"])
def test_vgg16_gives_torchvisions_activations(before_relu, source, random_vgg, request) -> None:
    options: dict = {"before_relu": before_relu}
    if source == "file":
        options["weights"] = request.getfixturevalue("weights") / CAFFE_FILE
    ours = make_backbone("vgg16", **options).eval()
    if source == "random":
        ours.load_state_dict(random_vgg.state_dict())
    given = load_file(options["weights"]) if source == "file" else ours.features.state_dict()
    theirs = torchvision_features(given)
    images = torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(CAFFE_MEAN), 1 / 255) if source == "file" else (
        torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    )  # fmt: skip
    x, expected = (images - mean[:, None, None]) / std, []
    with torch.no_grad():
        found = ours(images)
        for index, layer in enumerate(theirs):
            x = layer(x)
            if index in [place + (not before_relu) for place in CONVOLUTIONS_BEFORE_POOLS]:
                expected.append(x.clone())
    assert len(found) == len(expected) == 5
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))
        assert (one.min() < 0) == before_relu


def test_vgg16_in_torchvisions_scale_is_found_out(weights: Path, tmp_path: Path) -> None:
    """Caffe's file, rewritten to take torchvision's range of pixels, is the same network on the same images."""
    given = {key: value.float() for key, value in load_file(weights / CAFFE_FILE).items()}
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    first = given["features.0.weight"]
    shift = (255 * (mean - torch.tensor(CAFFE_MEAN)))[:, None, None]
    given["features.0.bias"] = given["features.0.bias"] + (first * shift).sum((1, 2, 3))
    given["features.0.weight"] = first * (255 * std)[:, None, None]
    save_file(given, tmp_path / "torchvision.safetensors")
    caffe, other = (
        make_backbone("vgg16", weights=path).eval()
        for path in (weights / CAFFE_FILE, tmp_path / "torchvision.safetensors")
    )
    torch.testing.assert_close(caffe.mean.flatten(), torch.tensor(CAFFE_MEAN))
    torch.testing.assert_close(other.mean.flatten(), mean)
    torch.testing.assert_close(other.std.flatten(), std)
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, two = caffe(images)[2], other(images)[2]
    inside = slice(8, -8)  # zeros beyond the border are another gray in either scale
    torch.testing.assert_close(two[..., inside, inside], one[..., inside, inside], atol=1e-4 * float(one.max()), rtol=0)


def test_vgg16_has_the_papers_widths() -> None:
    assert sum(make_backbone("vgg16").channels) == 1472
    with torch.device("meta"):  # fc6 alone is 400 MB
        backbone = make_backbone("vgg16", conv7=True)
    assert sum(backbone.channels) == 5568
    assert backbone.strides == (1, 2, 4, 8, 16, 32)
    assert [tuple(p.shape) for p in backbone.conv7.parameters()][::2] == [(4096, 512, 7, 7), (4096, 4096, 1, 1)]


def test_conv7_is_fc6_and_fc7_at_stride_32() -> None:
    """With its layers replaced by narrow ones: 4096 wide they would fill a gigabyte."""
    with torch.device("meta"):
        backbone = make_backbone("vgg16", conv7=True, taps=(5,))
    assert (backbone.channels, backbone.strides) == ((4096,), (32,))
    pool, fc6, first, fc7, second = backbone.conv7
    assert (pool.kernel_size, pool.stride) == (2, 2)
    assert (fc6.kernel_size, fc6.padding, fc7.kernel_size) == ((7, 7), (3, 3), (1, 1))
    assert isinstance(first, torch.nn.ReLU)
    assert isinstance(second, torch.nn.ReLU)
    backbone.conv7[1], backbone.conv7[3] = torch.nn.Conv2d(512, 6, 7, padding=3), torch.nn.Conv2d(6, 4096, 1)
    backbone.features.to_empty(device="cpu")
    for parameter in backbone.features.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    backbone.set_normalization((0.5,), (0.5,), 3)
    assert [tuple(features.shape) for features in backbone(torch.rand(1, 3, 64, 96))] == [(1, 4096, 2, 3)]


def test_vgg16_taps_come_in_the_order_asked_for(random_vgg: VGG16) -> None:
    some = make_backbone("vgg16", taps=(3, 0)).eval()
    assert (some.channels, some.strides) == ((512, 64), (8, 1))
    some.load_state_dict(random_vgg.state_dict(), strict=False)
    images = torch.rand(1, 3, 32, 32)
    expected = random_vgg(images)
    for one, other in zip(some(images), (expected[3], expected[0]), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(InputError, match="conv7"):
        make_backbone("vgg16", taps=(5,))


def test_conv7_and_before_relu_are_vgg16s() -> None:
    with pytest.raises(InputError, match="vgg16"):
        make_backbone("test_resnet", conv7=True)
    with pytest.raises(InputError, match="vgg16"):
        make_backbone("test_resnet", before_relu=True)


def test_vgg16_of_one_channel_sees_gray_as_color_saw_gray(weights: Path) -> None:
    gray = torch.rand(1, 1, 32, 32)
    one = make_backbone("vgg16", channels=1, weights=weights / CAFFE_FILE, taps=(0,)).eval()
    three = make_backbone("vgg16", weights=weights / CAFFE_FILE, taps=(0,)).eval()
    # Caffe's means differ a little between the channels, by at most 11 of 255; one channel has their average.
    three.mean[:] = three.mean.mean()
    expected = three(gray.expand(-1, 3, -1, -1))[0]
    torch.testing.assert_close(one(gray)[0], expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


# ------------------------------------------------------------------------------------------------ weight files


def test_a_timm_file_gives_timms_activations(weights: Path) -> None:
    backbone = make_backbone("tf_efficientnet_lite0", weights=weights / LITE0_FILE).eval()
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    whole.load_state_dict(load_file(weights / LITE0_FILE))
    images = torch.rand(1, 3, 64, 96)
    assert backbone.mean.flatten().tolist() == backbone.std.flatten().tolist() == [0.5, 0.5, 0.5]
    expected = whole.forward_intermediates((images - 0.5) / 0.5, intermediates_only=True)
    for one, other in zip(backbone(images), expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture(scope="module")
def whole_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of a test_resnet, its classifier too, saved as timm saves it."""
    torch.manual_seed(1)
    network = timm.create_model("test_resnet")
    path = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    save_file(network.state_dict(), path)
    torch.save(network.state_dict(), path.with_suffix(".pt"))
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_is_read_whole(whole_resnet: Path, suffix: str) -> None:
    path = whole_resnet.with_suffix(suffix)
    backbone, given = make_backbone("test_resnet", weights=path), load_file(whole_resnet)
    own = {key.removeprefix("network."): value for key, value in backbone.state_dict().items()}
    shared = own.keys() & given.keys()
    assert len(shared) > 50
    assert all(torch.equal(own[key], given[key]) for key in shared)
    assert own.keys() - shared == {"mean", "std"}


def test_a_file_serves_other_channels_and_fewer_taps(whole_resnet: Path) -> None:
    backbone = make_backbone("test_resnet", weights=whole_resnet, channels=1, taps=(0, 1))
    first = load_file(whole_resnet)["conv1.0.weight"]
    torch.testing.assert_close(backbone.state_dict()["network.conv1.0.weight"], first.sum(dim=1, keepdim=True))


def test_pretrained_vgg16_is_timms_with_conv7(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def create(name: str, **options: object) -> torch.nn.Module:
        asked.append((name, options))
        network = torch.nn.Module()
        torch.manual_seed(2)
        network.features = make_layers(cfgs["D"])
        network.pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
        return network

    monkeypatch.setattr(pixelnet.nn.vgg.timm, "create_model", create)
    monkeypatch.setattr(pixelnet.nn.pretrained, "_unreachable", lambda name: None)
    backbone = make_backbone("vgg16", pretrained=True)
    assert asked == [("vgg16", {"pretrained": True})]
    assert backbone.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    torch.manual_seed(2)
    assert torch.equal(backbone.features[28].weight, make_layers(cfgs["D"])[28].weight)


# --------------------------------------------------------------------------------------------------- bad input


def test_an_unknown_network_is_refused_with_its_neighbors() -> None:
    with pytest.raises(InputError, match=r"resnet_50.*near it: .*resnet"):
        make_backbone("resnet_50")
    with pytest.raises(InputError, match="list_models"):
        make_backbone("nosuchthing")


def test_no_channels_and_two_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 channels"):
        make_backbone("test_resnet", channels=0)
    with pytest.raises(InputError, match="give one"):
        make_backbone("test_resnet", pretrained=True, weights=tmp_path / "x")


@pytest.mark.parametrize("name", ["vgg16", "test_resnet"])
def test_a_file_that_is_no_file_of_weights_is_named(name: str, tmp_path: Path, whole_resnet: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.safetensors is not there"):
        make_backbone(name, weights=tmp_path / "absent.safetensors")
    content = whole_resnet.read_bytes()
    for broken in ("short.safetensors", "short.pt"):
        source = whole_resnet.with_suffix(Path(broken).suffix)
        (tmp_path / broken).write_bytes(source.read_bytes()[: len(content) // 2])
        with pytest.raises(InputError, match=rf"{broken}.*cannot be read"):
            make_backbone(name, weights=tmp_path / broken)
    (tmp_path / "picture.pth").write_bytes(b"no weights at all")
    with pytest.raises(InputError, match=r"picture\.pth"):
        make_backbone(name, weights=tmp_path / "picture.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"module\.pt"):
        make_backbone("test_resnet", weights=tmp_path / "module.pt")


@pytest.mark.parametrize("name", ["vgg16", "test_efficientnet", "test_vit"])
def test_a_file_of_another_network_is_refused_by_name(name: str, whole_resnet: Path) -> None:
    with pytest.raises(InputError, match=r"resnet\.safetensors"):
        make_backbone(name, weights=whole_resnet)


@pytest.mark.parametrize("name", ["vgg16", "test_resnet"])
def test_a_file_of_other_widths_is_refused_by_name(name: str, tmp_path: Path, whole_resnet: Path) -> None:
    state = load_file(whole_resnet) if name == "test_resnet" else dict(make_backbone(name).state_dict())
    first = "conv1.0.weight" if name == "test_resnet" else "features.0.weight"
    save_file({**state, first: state[first][:8].contiguous()}, tmp_path / "narrow.safetensors")
    with pytest.raises(InputError, match=r"narrow\.safetensors"):
        make_backbone(name, weights=tmp_path / "narrow.safetensors")


@pytest.mark.parametrize("name", ["vgg16", "test_resnet"])
@pytest.mark.parametrize("content", [{"state_dict": {"a": torch.zeros(1)}}, [torch.zeros(2)], torch.zeros(2)])
def test_a_file_of_anything_but_tensors_by_name_is_refused(name: str, content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt"):
        make_backbone(name, weights=tmp_path / "other.pt")


@pytest.mark.parametrize("taps", [(3, 1), (1, 1), ()])
def test_taps_that_timm_would_misread_are_refused_or_obeyed(taps: tuple[int, ...]) -> None:
    """timm gives maps from shallow to deep, once each, whatever the order asked for."""
    every = make_backbone("test_resnet")
    try:
        backbone = make_backbone("test_resnet", taps=taps)
    except InputError:
        return
    maps = backbone(torch.rand(1, 3, 64, 64))
    assert [features.shape[1] for features in maps] == [every.channels[tap] for tap in taps]
    assert maps
