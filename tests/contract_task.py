"""What every task must keep. A task's test inherits this class and says how its data look; nothing here runs alone."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixelnet.errors import InputError
from pixelnet.tasks import make_task
from pixelnet.tasks.task import Loss, Task

SIZE = (24, 30)


class TaskContract:
    name: str
    options: dict = {}  # noqa: RUF012
    perfect: dict  # the score of a perfect prediction
    unweighted: tuple[str, ...] = ()  # losses that do not use the weights
    distribution: bool  # whether predictions have probabilities

    def labels(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Labels of that shape, all of them labelled whatever the loss."""
        raise NotImplementedError

    def prediction(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Some decoded prediction; the same kind of values as labels unless said otherwise."""
        return self.labels(rng, shape)

    def perfect_pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        labels = self.labels(rng, SIZE)
        return labels, labels

    def task(self, loss: str | Loss | None = None) -> Task:
        return make_task(self.name, loss=loss, **self.options)

    def each_loss(self) -> list[Task]:
        return [self.task(loss) for loss in self.task().losses]

    def points(self, task: Task, seed: int = 0, number: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng(seed)
        logits = torch.from_numpy(rng.normal(size=(number, task.outputs)))
        return logits, torch.from_numpy(self.labels(rng, (number,))), torch.from_numpy(rng.uniform(0.5, 3, number))

    def test_the_losses_are_finite_and_their_gradients_right(self) -> None:
        for task in self.each_loss():
            logits, labels, weights = self.points(task)
            logits.requires_grad_()
            assert task.loss(logits, labels, weights).isfinite(), task.loss_name
            assert torch.autograd.gradcheck(lambda x: task.loss(x, labels, weights), logits), task.loss_name  # noqa: B023

    def test_half_precision_logits_are_summed_in_float32(self) -> None:
        for task in self.each_loss():
            logits, labels, weights = self.points(task)
            loss = task.loss(logits.bfloat16(), labels, weights.float())
            assert loss.dtype == torch.float32
            assert loss.item() == pytest.approx(task.loss(logits.bfloat16().double(), labels, weights).item(), rel=1e-4)

    def test_a_task_can_be_sent_to_another_process(self) -> None:
        """As to those that make views, where the system starts them anew (macOS, Windows)."""
        for task in self.each_loss():
            logits, labels, weights = self.points(task)
            sent = pickle.loads(pickle.dumps(task))
            assert sent.loss(logits, labels, weights) == task.loss(logits, labels, weights), task.loss_name

    def test_no_points_no_loss(self) -> None:
        for task in self.each_loss():
            logits, labels, weights = self.points(task, number=0)
            logits.requires_grad_()
            loss = task.loss(logits, labels, weights)
            loss.backward()
            assert loss.item() == 0, task.loss_name
            assert logits.grad is not None

    def test_doubling_a_weight_is_doubling_the_point(self) -> None:
        for task in self.each_loss():
            logits, labels, weights = self.points(task)
            twice = [torch.cat([values, values[:3]]) for values in (logits, labels, weights)]
            heavier = weights.clone()
            heavier[:3] *= 2
            doubled = task.loss(logits, labels, heavier)
            if task.loss_name in self.unweighted:
                assert torch.equal(doubled, task.loss(logits, labels, weights)) == ("+" not in task.loss_name)
            else:
                torch.testing.assert_close(doubled, task.loss(*twice), msg=task.loss_name)
                assert not torch.isclose(doubled, task.loss(logits, labels, weights))

    def test_an_unlabelled_pixel_changes_no_loss_and_no_gradient(self) -> None:
        for task in self.each_loss():
            rng = np.random.default_rng(3)
            labels = self.labels(rng, SIZE)
            labels[4:9] = task.unlabelled
            labels = torch.from_numpy(labels)
            known = task.labelled(labels)
            assert known.shape == SIZE
            assert not known[4:9].any()
            assert known.sum() == (SIZE[0] - 5) * SIZE[1]
            results = []
            for noise in (0.0, 7.0):
                logits = torch.from_numpy(np.random.default_rng(4).normal(size=(*SIZE, task.outputs)))
                logits[4:9] += noise
                logits.requires_grad_()
                loss = task.loss(logits[known], labels[known], torch.ones(int(known.sum())))
                loss.backward()
                results.append((loss.detach(), logits.grad))
            (loss, gradient), (other_loss, other_gradient) = results
            assert torch.equal(loss, other_loss)
            assert torch.equal(gradient, other_gradient)
            assert not gradient[4:9].any()
            assert gradient.any()

    def test_an_unlabelled_pixel_changes_no_score(self) -> None:
        task, rng = self.task(), np.random.default_rng(5)
        truth, prediction = self.labels(rng, SIZE), self.prediction(rng, SIZE)
        truth[6:11, 3:20] = task.unlabelled
        other = prediction.copy()
        other[6:11, 3:20] = self.prediction(rng, (5, 17))
        first, second = task.scorer(), task.scorer()
        first.update(prediction, truth)
        second.update(other, truth)
        assert (prediction != other).any()
        assert first.result() == second.result()
        assert None not in first.result().values()
        nothing = task.scorer()
        nothing.update(prediction, np.full_like(truth, task.unlabelled))
        assert nothing.result() == task.scorer().result()

    def test_labelled_reads_numpy_and_torch_alike(self) -> None:
        for task in self.each_loss():
            labels = self.labels(np.random.default_rng(0), SIZE)
            labels[::3] = task.unlabelled
            known = task.labelled(labels)
            assert known.dtype == bool
            assert known.sum() == SIZE[0] * SIZE[1] * 2 // 3
            assert np.array_equal(known, task.labelled(torch.from_numpy(labels)).numpy())

    def test_mirrored_twice_is_as_before(self) -> None:
        task, labels = self.task(), self.labels(np.random.default_rng(0), SIZE)
        before = labels.copy()
        mirrored = task.mirror(labels)
        assert np.array_equal(task.mirror(mirrored), before)
        assert np.array_equal(labels, before)
        assert np.array_equal(task.mirror(torch.from_numpy(labels)).numpy(), mirrored)

    def test_decode_is_pixel_by_pixel(self) -> None:
        task = self.task()
        shape = self.labels(np.random.default_rng(0), (7,)).shape[1:]
        logits = torch.randn(2, 3, 7, task.outputs, generator=torch.Generator().manual_seed(0))
        decoded = task.decode(logits)
        assert decoded.shape == (2, 3, 7, *shape)
        assert torch.equal(task.decode(logits[0]), decoded[0])
        assert torch.equal(task.decode(logits[0, 0]), decoded[0, 0])
        if self.distribution:
            assert task.decode(logits, probabilities=True).shape[:3] == (2, 3, 7)
        else:
            with pytest.raises(InputError, match="not a distribution"):
                task.decode(logits, probabilities=True)

    def test_a_perfect_prediction_has_the_perfect_score(self) -> None:
        task = self.task()
        scorer = task.scorer()
        for seed in range(2):
            scorer.update(*self.perfect_pair(np.random.default_rng(seed)))
        result = scorer.result()
        for key, value in self.perfect.items():
            assert result[key] == pytest.approx(value, abs=2e-5), key
        assert task.headline[0] in result

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(images=st.lists(st.integers(0, 2), min_size=1, max_size=4), seed=st.integers(0, 2**16))
    def test_merged_scorers_score_as_one(self, images: list[int], seed: int) -> None:
        task, rng = self.task(), np.random.default_rng(seed)
        joint, parts = task.scorer(), [task.scorer() for _ in range(3)]
        for part in images:
            pair = self.prediction(rng, SIZE), self.labels(rng, SIZE)
            joint.update(*pair)
            parts[part].update(*pair)
        merged = task.scorer()
        for scorer in parts:
            merged.merge(scorer)
        expected = json.loads(json.dumps(joint.result(), allow_nan=False))
        assert merged.result().keys() == expected.keys()
        for key, value in expected.items():
            assert merged.result()[key] == (value if isinstance(value, list) else pytest.approx(value)), key

    def test_no_image_has_no_score(self) -> None:
        for value in self.task().scorer().result().values():
            assert value is None or set(value) == {None}

    def test_a_prediction_of_another_size_is_refused(self) -> None:
        rng = np.random.default_rng(0)
        with pytest.raises(InputError):
            self.task().scorer().update(self.prediction(rng, (6, 5)), self.labels(rng, (5, 6)))

    def test_paint_gives_a_picture(self) -> None:
        task, labels = self.task(), self.labels(np.random.default_rng(0), SIZE)
        labels[2:4] = task.unlabelled
        picture = task.paint(labels)
        assert picture.shape == (*SIZE, 3)
        assert picture.dtype == np.uint8
        assert len(np.unique(picture[2:4].reshape(-1, 3), axis=0)) == 1
        known = {tuple(color) for color in picture[4:].reshape(-1, 3).tolist()}
        assert len(known) > 1
        assert tuple(picture[2, 0].tolist()) not in known

    def test_one_task_is_its_own_only_part(self) -> None:
        task, rng = self.task(), np.random.default_rng(0)
        labels, prediction = self.labels(rng, SIZE), self.prediction(rng, SIZE)
        logits = torch.from_numpy(rng.normal(size=(5, task.outputs)))
        assert str(task) == task.name == self.name
        assert task.parts == {self.name: task}
        assert task.logit_slices == {self.name: slice(0, task.outputs)}
        assert task.unpack(labels)[self.name] is labels
        assert task.split(prediction)[self.name] is prediction
        assert torch.equal(task.answers(logits)[self.name], task.decode(logits))
        assert [*task.unpack(labels), *task.split(prediction), *task.answers(logits)] == [self.name] * 3
        assert task.like(self.task())

    def test_a_loss_may_be_a_function(self) -> None:
        def mine(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            return logits.sum() + weights.sum()

        task = self.task()
        logits, labels, weights = self.points(task)
        for other in (self.task(mine), task.with_loss(mine)):
            assert other.loss_name == "mine"
            torch.testing.assert_close(other.loss(logits, labels, weights), logits.sum() + weights.sum())
        assert task.with_loss(None) is task
        assert task.loss_name in task.losses

    def test_a_prediction_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        task, prediction = self.task(), self.prediction(np.random.default_rng(0), SIZE)
        path = tmp_path / f"prediction{task.suffix}"
        task.write(path, prediction)
        assert list(tmp_path.iterdir()) == [path]
        np.testing.assert_allclose(task.read_prediction(path), prediction, atol=1e-3)
        assert len(task.columns()) == int(np.prod(prediction.shape[2:]))

    def test_the_counts_of_images_add_up(self) -> None:
        scorer, rng = self.task().scorer(), np.random.default_rng(0)
        pairs = [(self.prediction(rng, SIZE), self.labels(rng, SIZE)) for _ in range(5)]
        for pair in pairs:
            scorer.update(*pair)
        assert len(scorer.counts) == len(scorer.each()) == 5
        total = scorer.total()
        for name, nothing in scorer.nothing.items():
            assert np.shape(total[name]) == np.shape(nothing)
            np.testing.assert_allclose(total[name], sum(counts[name] for counts in scorer.counts))
        for pair, scores in zip(pairs, scorer.each(), strict=True):
            alone = self.task().scorer()
            alone.update(*pair)
            numbers = {name: own for name, own in alone.result().items() if not isinstance(own, list | dict)}
            assert numbers == scores
        low, high = scorer.intervals()[scorer.headline[0]]
        assert low <= scorer.result()[scorer.headline[0]] <= high

    def test_a_prediction_of_three_equal_pixels_each_is_brought_back(self) -> None:
        """Half-pixel centers: of three equal pixels the middle one is read."""
        task, prediction = self.task(), self.prediction(np.random.default_rng(0), SIZE)
        larger = prediction.repeat(3, axis=0).repeat(3, axis=1)
        np.testing.assert_allclose(task.resize(larger, SIZE), prediction, atol=1e-6)

    def test_the_share_of_unlabelled_pixels_is_summarized(self) -> None:
        task, labels = self.task(), self.labels(np.random.default_rng(0), SIZE)
        labels[:6] = task.unlabelled
        known = task.known(labels)
        counts = {name: np.stack([count, count]) for name, count in task.count_labels(labels[known]).items()}
        pixels, labelled = np.array([labels[..., 0].size if labels.ndim == 3 else labels.size] * 2), [known.sum()] * 2
        counts |= {"pixels": pixels, "labelled": np.array(labelled)}
        found = task.summarize(counts)
        assert task.summarize(task.pool(counts)) == pytest.approx(found)
        assert found["unlabelled"] == pytest.approx(6 / SIZE[0])
        assert all(np.isfinite(value) for value in found.values())

    def test_an_unknown_loss_is_refused(self) -> None:
        with pytest.raises(InputError, match=re.escape(self.task().loss_name)):
            self.task("hinge")
