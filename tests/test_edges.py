"""Edges: consensus and soft losses, which pixels take part, and the scorer's two kinds of truth."""

import numpy as np
import pytest
import torch
from contract_task import SIZE, TaskContract

from pixelnet.tasks import make_task


class TestEdges(TaskContract):
    name = "edges"
    perfect = {"quick_f": 1}  # noqa: RUF012
    distribution = True

    def labels(self, rng, shape):
        return rng.choice([0, 0, 0, 0.6, 1.0], shape).astype(np.float32)

    def prediction(self, rng, shape):
        return rng.random(shape)

    def perfect_pair(self, rng):
        strength = np.zeros(SIZE, dtype=np.float32)
        strength[8, 8:20] = 1  # inside: thinning mistrusts the image's border
        strength[15, 10:25] = 1
        return strength, strength[None] > 0


LABELS = torch.tensor([0.0, 0.2, 0.5, 1.0, float("nan")], dtype=torch.float64)
LOGITS = torch.tensor([-1.0, 0.5, 2.0, -3.0, 9.0], dtype=torch.float64)


def entropy(logit, target):
    p = 1 / (1 + np.exp(-logit))
    return -target * np.log(p) - (1 - target) * np.log(1 - p)


def test_consensus_leaves_out_what_fewer_than_half_drew():
    task = make_task("edges")
    known = task.labelled(LABELS)
    assert known.tolist() == [True, False, True, True, False]
    loss = task.loss(LOGITS[known][:, None], LABELS[known], torch.tensor([1.0, 2.0, 1.0]))
    assert loss.item() == pytest.approx((entropy(-1, 0) + 2 * entropy(2, 1) + entropy(-3, 1)) / 4)


def test_soft_takes_the_share_itself():
    task = make_task("edges", loss="soft")
    known = task.labelled(LABELS)
    assert known.tolist() == [True, True, True, True, False]
    loss = task.loss(LOGITS[known][:, None], LABELS[known], torch.ones(4))
    expected = [entropy(x, t) for x, t in zip([-1, 0.5, 2, -3], [0, 0.2, 0.5, 1], strict=True)]
    assert loss.item() == pytest.approx(np.mean(expected))


def test_decode_is_the_probability():
    task = make_task("edges")
    decoded = task.decode(torch.tensor([[0.0], [np.log(3.0)]]))
    assert decoded.tolist() == pytest.approx([0.5, 0.75])
    assert torch.equal(decoded, task.decode(torch.tensor([[0.0], [np.log(3.0)]]), probabilities=True))


def test_a_share_is_scored_as_one_annotator():
    rng = np.random.default_rng(0)
    share, strength = rng.choice([0, 0.4, 0.5, 1], SIZE, p=[0.7, 0.1, 0.1, 0.1]), rng.random(SIZE)
    by_share, by_map = make_task("edges").scorer(), make_task("edges").scorer()
    by_share.update(strength, share)
    by_map.update(strength, (share >= 0.5)[None])
    assert np.array_equal(by_share.counts, by_map.counts)
    assert by_share.counts.any()


def test_paint_dark_on_white():
    picture = make_task("edges").paint(np.array([[0, 1, 0.5, np.nan]]))
    assert picture[0, :3].tolist() == [[255] * 3, [0] * 3, [128] * 3]
    assert len(set(picture[0, 3].tolist())) > 1  # not a grey
