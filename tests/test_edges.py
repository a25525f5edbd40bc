"""Edges: consensus and soft losses, which pixels take part, and the scorer's two kinds of truth."""

import json
import pickle

import numpy as np
import pytest
import torch
from contract_task import SIZE, TaskContract
from scipy.ndimage import gaussian_filter

from pixelnet.errors import InputError
from pixelnet.evaluation import evaluate
from pixelnet.metrics.boundaries import boundary_counts, boundary_scores
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
    assert len(by_share.counts) == len(by_map.counts) == 1
    assert by_share.counts[0].keys() == by_map.counts[0].keys() == {"thresholds"}
    assert np.array_equal(by_share.counts[0]["thresholds"], by_map.counts[0]["thresholds"])
    assert np.any(by_share.counts[0]["thresholds"])


def pairs(number):
    rng = np.random.default_rng(number)
    return [
        (gaussian_filter(rng.random(SIZE), 1).astype(np.float32), rng.random((annotators, *SIZE)) < 0.1)
        for annotators in range(1, number + 1)
    ]


OPTIONS = {"thresholds": 7, "max_dist": 0.05, "matching": "exact", "thinned": True}


def test_the_benchmark_in_other_processes_is_that_in_this_one_and_that_of_its_functions():
    alone, shared, images = (make_task("edges").benchmark(workers=n, **OPTIONS) for n in (0, 2, 0))
    for pair in pairs(5):
        alone.update(*pair)
        shared.update(*pair)
    expected = np.array([boundary_counts(*pair, 7, 0.05, "exact", thinned=True) for pair in pairs(5)])
    result = shared.result()
    assert {name for counts in shared.counts for name in counts} == {"thresholds"}
    assert np.array_equal([counts["thresholds"] for counts in shared.counts], expected)
    assert result == alone.result() == shared.result()
    assert {key: value for key, value in result.items() if key != "settings"} == boundary_scores(expected.sum(axis=0))
    assert 0 < result["ods"] <= result["ois"] < 1
    protocol = {"thresholds": 7, "max_dist": 0.05, "matching": "exact"}
    assert result["settings"] == protocol | {"suppression": "before", "thinning": True}
    assert images.result()["ods"] is None
    json.dumps(result, allow_nan=False)


def test_benchmarks_merge_and_travel_while_they_count():
    whole, first, second = (make_task("edges").benchmark(workers=workers, thresholds=5) for workers in (0, 1, 1))
    for index, pair in enumerate(pairs(3)):
        whole.update(*pair)
        (first if index else second).update(*pair)
    first = pickle.loads(pickle.dumps(first))
    first.merge(second)
    first.update(*pairs(1)[0])  # and goes on
    whole.update(*pairs(1)[0])
    assert len(first.counts) == 3
    assert first.result()["settings"]["suppression"] == {"border": 5, "multiplier": 1.01, "smoothing": "triangle 4"}
    assert {**first.result(), "curve": None} == {
        key: value if isinstance(value, dict) or value is None else pytest.approx(value)
        for key, value in {**whole.result(), "curve": None}.items()
    }


def test_the_benchmark_refuses_what_does_not_fit_at_once():
    with pytest.raises(InputError, match="share of the image's diagonal"):
        make_task("edges").benchmark(max_dist=4.3)
    scorer = make_task("edges").benchmark()
    with pytest.raises(InputError, match=r"\(5, 6\)"):
        scorer.update(np.zeros((5, 6)), np.zeros((2, 6, 5), dtype=bool))
    assert scorer.result()["ods"] is None


@pytest.mark.parametrize("name", ["normals", "regression"])
def test_the_benchmarks_options_are_refused_for_other_tasks(name, folder_data, tmp_path):
    assert type(make_task(name).benchmark()) is type(make_task(name).scorer())
    with pytest.raises(InputError, match=rf"--max-dist, --crisp.*{name}"):
        make_task(name).benchmark(max_dist=0.01, crisp=True)


def test_evaluate_scores_files_by_the_protocol(folder_data, bsds500_data, tmp_path):
    strength = np.zeros((12, 16), dtype=np.float32)
    strength[6, 4:12] = 0.7
    np.save(tmp_path / "3.npy", strength)
    common = {"data": f"bsds500:{bsds500_data}", "predictions": tmp_path, "task": "edges"}
    scores = evaluate(**common, max_dist=0.1, crisp=True, matching="exact", json=tmp_path / "scores.json")
    assert set(scores) == {
        "ods",
        "ois",
        "ap",
        "r50",
        "threshold",
        "settings",
        "curve",
        "images",
        "intervals",
        "interval",
    }
    settings = {"thresholds": 99, "max_dist": 0.1, "matching": "exact", "suppression": "none", "thinning": False}
    assert scores["settings"] == settings
    assert json.loads((tmp_path / "scores.json").read_text())["curve"] == scores["curve"]
    assert evaluate(**common)["settings"]["max_dist"] == 0.0075
    normals = folder_data("normals", splits=("val",), items=1)
    with pytest.raises(InputError, match=r"--thinned.*normals"):
        evaluate(data=f"folder:{normals}", predictions=normals / "val/normals", task="normals", thinned=True)


def test_paint_dark_on_white():
    picture = make_task("edges").paint(np.array([[0, 1, 0.5, np.nan]]))
    assert picture[0, :3].tolist() == [[255] * 3, [0] * 3, [128] * 3]
    assert len(set(picture[0, 3].tolist())) > 1  # not a gray
