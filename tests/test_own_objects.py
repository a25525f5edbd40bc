"""What is wrong with an object of somebody's own is said before a run begins, in words that help."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.data import serving
from pixelnet.points import Uniform
from pixelnet.tasks import Joint, Task, make_task
from pixelnet.tasks.regression import Regression

OPTIONS: dict[str, Any] = {"backbone": "test_resnet", "max_steps": 1, "batch_size": 2, "num_workers": 0, "crop": None}


class Height(Regression):
    """Depth under another name, so that it is none of the library's."""

    name = "height"


def items(shape: tuple[int, ...] = (40, 48), count: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8), rng.uniform(1, 2, shape)) for _ in range(count)]


class Masks(Uniform):
    def strata(self, available: np.ndarray, number: int, labels: Any, image: Any) -> list[tuple[np.ndarray, int]]:
        return [(np.ones(len(available), bool), number)]


class Greedy(Uniform):
    def strata(self, available: np.ndarray, number: int, labels: Any, image: Any) -> list[tuple[np.ndarray, int]]:
        return [(available[:3], number)]


class Misled(Height):
    headline = ("eppe", False)


class Lossless(Height):
    losses = {}  # noqa: RUF012


class Unmade(Height):
    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": Uniform}, r"sampler is the class Uniform; give an instance: Uniform\(...\)"),
        ({"sampler": lambda *_: None}, "sampler is a function; give a name, or an instance"),
        ({"sampler": Uniform(5), "pixels": 100}, "pixels and quotas are the sampler's own"),
        (
            {"sampler": Masks(20)},
            r"Masks gives a group of 1920 \(bool\) a quota of 20; strata are arrays of flat indices",
        ),
        ({"sampler": Greedy(20)}, "a group of 3 .* a quota of 20"),
        ({"loss": 3}, "loss is a int; give a name, or a function"),
        ({"task": Height}, r"task is the class Height; give an instance"),
        ({"task": Misled()}, "the headline of height is 'eppe', which is none of its scores: abs_rel, rmse, delta1"),
        ({"task": Unmade()}, r"call super\(\).__init__\(\)"),
        ({"data": items((40, 48, 2))}, r"are an array \(40, 48, 2\), expected \(40, 48\) for height"),
    ],
)
def test_objects_are_looked_at_first(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"task": Height(), "data": items(), **OPTIONS, **options}
    with pytest.raises(InputError, match=message):
        pixelnet.train(**given, out=tmp_path / "run")


def test_a_task_without_a_loss_is_refused() -> None:
    with pytest.raises(InputError, match="height has no losses"):
        Lossless()
    with pytest.raises(InputError, match=r"the class Height; give an instance: Height\(\)"):
        make_task(Height)  # type: ignore[arg-type]


def test_labels_that_a_flip_turns_are_turned_back_or_refused() -> None:
    class Turned(Height):
        def mirror(self, labels: Any) -> Any:
            return -labels

    with pytest.raises(InputError, match="height says how a flip mirrors labels, but not logits"):
        PixelNet(Turned(), backbone="test_resnet").predict(items()[0][0], flip=True)
    logits = torch.ones(2, 1)
    assert torch.equal(Height().with_mirror(logits, 3 * logits), 2 * logits)


def test_tasks_are_given_again_in_their_order(tmp_path: Path) -> None:
    Joint([Height(), make_task("edges")])
    model = PixelNet([Height(), "edges"], backbone="test_resnet", hidden=(4,))
    model.save(tmp_path)
    assert pixelnet.load(tmp_path, task=[Height(), "edges"]).config.task == "height,edges"
    with pytest.raises(InputError, match=r"answers height,edges, and edges,height was given; .* in the same order"):
        pixelnet.load(tmp_path, task=["edges", Height()])
    with pytest.raises(InputError, match=r"which is not saved; give it again: pixelnet.load\(.*task=...\)"):
        pixelnet.load(tmp_path)


def test_generated_scenes_serve_those_tasks_that_they_have() -> None:
    assert serving("scenes:4", [Height(), "edges"]) == ["edges"]
    with pytest.raises(InputError, match="scenes:4 has no labels for height"):
        serving("scenes:4", [Height()])


def test_models_by_name_and_one_path_will_do_for_files(tmp_path: Path) -> None:
    model, task = PixelNet(Height(), backbone="test_resnet", hidden=(4,)), Height()
    model.save(tmp_path / "model")
    assert isinstance(task, Task)
    scores = pixelnet.evaluate(tmp_path / "model", data=items(), task=task)
    assert scores["abs_rel"] > 0
    from PIL import Image

    Image.fromarray(items()[0][0]).save(tmp_path / "a.png")
    (written, _) = pixelnet.predict_files("edges", tmp_path / "a.png", tmp_path / "out")
    assert written == tmp_path / "out/edges/a.png"
