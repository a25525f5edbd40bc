"""What a run's settings come to."""

from pathlib import Path

import pytest

from pixelnet import InputError, PixelNet
from pixelnet.config import TrainConfig, from_dict
from pixelnet.runs.settings import with_network


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


def test_a_fitted_model_is_learnt_on_gently(tmp_path: Path) -> None:
    PixelNet("edges", backbone="test_resnet", head="fitted").save(tmp_path / "fitted")
    PixelNet("edges", backbone="test_resnet").save(tmp_path / "trained")
    everyday = settled()
    assert (everyday.lr, everyday.backbone_lr) == (1e-3, 3e-4)
    trained = settled(init_from=str(tmp_path / "trained"))
    assert (trained.lr, trained.backbone_lr) == (1e-3, 3e-4)
    fitted = settled(init_from=str(tmp_path / "fitted"))
    assert fitted.head == "fitted"
    assert fitted.lr < everyday.lr
    assert fitted.backbone_lr < everyday.backbone_lr
    assert settled(init_from=str(tmp_path / "fitted"), lr=0.1).lr == 0.1


def test_a_head_that_is_fitted_is_not_learnt_from_scratch() -> None:
    with pytest.raises(InputError, match="of a model of pixelnet fit; start from one: --init-from"):
        settled(head="fitted")
