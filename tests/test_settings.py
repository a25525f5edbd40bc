"""What a run's settings come to."""

from pathlib import Path

import pytest

from pixelnet import InputError, PixelNet
from pixelnet.config import TrainConfig, from_dict
from pixelnet.runs.settings import with_network, with_rates


def settled(**options: object) -> TrainConfig:
    return with_network(from_dict(TrainConfig, {"task": "edges", "data": "scenes", "out": "r", **options}, "here"))


def test_a_view_shows_as_much_less_as_it_is_magnified() -> None:
    assert settled().crop == (256, 320)
    assert settled(magnify=2).crop == settled(backbone="vgg16@2").crop == (128, 160)
    assert settled(magnify=0.5).crop == (512, 640)
    assert settled(backbone="vgg16@2+vgg16+filters").crop == (128, 160)  # the largest costs the most
    assert settled(magnify=2, crop=(256, 320)).crop == (256, 320)
    assert settled(magnify=2, crop=None).crop is None
    assert settled(magnify=2) == with_network(settled(magnify=2))


def test_a_magnification_is_said_once() -> None:
    assert settled(backbone="vgg16@2") == settled(backbone="vgg16", magnify=2)
    assert settled(magnify=1) == settled()
    for options, says in (
        ({"backbone": "vgg16@2", "magnify": 2}, "give one"),
        ({"backbone": "vgg16@2", "magnify": 1}, "give one"),
        ({"magnify": 3}, "by 3; give a power of two"),
        ({"backbone": "vgg16+filters", "magnify": 2}, r"as in A@2\+B"),
    ):
        with pytest.raises(InputError, match=says):
            settled(**options)


def rates(config: TrainConfig, backbone: str = "test_resnet", pyramid: int = 0) -> tuple:
    config = with_rates(config, PixelNet("edges", backbone=backbone, pyramid=pyramid))
    return config.lr, config.backbone_lr


def test_rates_are_what_a_network_bears() -> None:
    assert rates(settled()) == (3e-3, 1e-3)
    for pyramid in (0, 4):  # whose own batch norms do not help the network below it
        assert rates(settled(), "test_convnext", pyramid) == (1e-3, 3e-4)
    assert rates(settled(lr=0.1)) == (0.1, 1e-3)
    assert rates(settled(backbone_lr=0.1)) == (3e-3, 0.1)


def test_a_fitted_model_teaches_its_first_network(tmp_path: Path) -> None:
    PixelNet("edges", backbone="test_resnet@2+filters", head="fitted").save(tmp_path)
    found = settled(init_from=str(tmp_path))
    assert (found.backbone, found.head, found.magnify, found.pyramid) == ("test_resnet", "mlp", None, settled().pyramid)
    assert settled(init_from=str(tmp_path), pretrained=True).backbone == settled().backbone
    assert settled(init_from=str(tmp_path), backbone="resnet18").backbone == "resnet18"


def test_a_head_that_is_fitted_is_not_learnt_from_scratch() -> None:
    with pytest.raises(InputError, match="of a model of pixelnet fit; be taught by one: --init-from"):
        settled(head="fitted")
