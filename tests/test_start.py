"""Training that starts from another model."""

from pathlib import Path

import pytest
import torch
from tiny import TINY, assert_same_outcome

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.runs.record import Record

NETWORK = ("backbone", "head", "hidden", "dropout")
OWN = {name: value for name, value in TINY.items() if name not in NETWORK}


def tiny(task: str, seed: int, **options: object) -> PixelNet:
    torch.manual_seed(seed)
    if "segmentation" in task and "class_names" not in options:
        options = {"class_names": ("ground", "box", "ball"), **options}
    return PixelNet(task, backbone="test_resnet", hidden=(8,), **options)


def last(model: PixelNet, task: str) -> torch.Tensor:
    return model.head.last.weight[model.task.logit_slices[task]]


def same_below(one: PixelNet, other: PixelNet) -> bool:
    top = f"head.{len(one.head) - 1}."
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items() if not name.startswith(top))


@pytest.mark.parametrize("one", ["edges", "segmentation,edges", "normals"])
def test_what_both_answer_is_taken_and_what_is_new_is_not(one: str) -> None:
    model, other = tiny(one, 0), tiny("segmentation,normals,edges", 1)
    assert not same_below(model, other)
    model.start_from(other)
    assert same_below(model, other)
    for task in one.split(","):
        assert torch.equal(last(model, task), last(other, task))


def test_from_one_task_to_several() -> None:
    model, other = tiny("segmentation,edges", 0), tiny("edges", 1)
    before = last(model, "segmentation").clone()
    model.start_from(other)
    assert torch.equal(last(model, "edges"), last(other, "edges"))
    assert torch.equal(last(model, "segmentation"), before)


def test_other_classes_begin_anew() -> None:
    model, other = tiny("segmentation", 0, class_names=("sky", "road", "tree")), tiny("segmentation", 1)
    before = model.head.last.weight.clone()
    model.start_from(other)
    assert same_below(model, other)
    assert torch.equal(model.head.last.weight, before)


@pytest.mark.parametrize("options", [{"in_channels": 1}, {"taps": (0, 1)}])
def test_another_shape_is_refused_with_nothing_taken(options: dict) -> None:
    model, other = tiny("edges", 0), tiny("edges", 1, **options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match="the same"):
        model.start_from(other)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    pixelnet.train(**TINY, out=out)
    return out


def test_a_run_has_the_network_it_starts_from_and_goes_on_from_there(first: Path, tmp_path: Path) -> None:
    frozen = {**OWN, "lr": 1e-9, "freeze": True, "max_steps": 1}
    model, began = pixelnet.train(**frozen, out=tmp_path / "run", init_from=str(first)), pixelnet.load(first)
    assert (model.config.backbone, model.config.hidden, model.config.dropout) == ("test_resnet", (8, 8), 0.5)
    for name, value in began.head.state_dict().items():
        assert torch.allclose(model.head.state_dict()[name], value, atol=1e-6), name
    for name, value in began.backbone.named_parameters():
        assert torch.equal(dict(model.backbone.named_parameters())[name], value), name


def test_it_resumes_as_if_it_had_not_stopped(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**OWN, "init_from": str(first)}
    pixelnet.train(**options, out=tmp_path / "whole")
    step = Record.step

    def killed(record: object, done: int, *arguments: object) -> None:
        if done == 5:
            raise KeyboardInterrupt
        step(record, done, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Record, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            pixelnet.train(**options, out=tmp_path / "stopped")
    pixelnet.train(**options, out=tmp_path / "stopped", resume=True)
    assert_same_outcome(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"backbone": "resnet18"}, "has backbone test_resnet, not resnet18; leave out --backbone"),
        ({"hidden": (16,)}, "has hidden"),
        ({"pretrained": True}, "leave out --backbone-weights and --pretrained"),
        ({"init_from": "nobody-knows-it"}, "nobody-knows-it"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_written(
    first: Path, tmp_path: Path, options: dict, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        pixelnet.train(**{**OWN, "init_from": str(first), **options}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
