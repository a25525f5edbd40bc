"""Several tasks at once: losses that add up, labels side by side, data of several sources, and what is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TINY, assert_same_outcome, train_and_stop

import pixelnet
from pixelnet import InputError, PixelNet
from pixelnet.data import has_split, open_dataset
from pixelnet.inference.answers import overview
from pixelnet.inference.bulk import predict_files
from pixelnet.tasks import Joint, make_task
from pixelnet.tasks.joint import JointSampler

THREE = "segmentation,normals,edges"


def joint(loss: str | None = None) -> Joint:
    task = make_task(THREE, num_classes=4, loss=loss)
    assert isinstance(task, Joint)
    return task


def random_labels(rng: np.random.Generator, size: tuple[int, int] = (6, 7)) -> dict[str, np.ndarray]:
    normals = rng.normal(size=(*size, 3)).astype(np.float32)
    return {
        "segmentation": rng.choice([0, 1, 2, 3, 255], size).astype(np.uint8),
        "normals": normals / np.linalg.norm(normals, axis=2, keepdims=True),
        "edges": rng.choice(np.array([0, 0.6, 1, np.nan], np.float32), size),
    }


def test_labels_go_side_by_side_and_back() -> None:
    labels = random_labels(np.random.default_rng(0))
    packed = joint().pack(labels, (6, 7))
    assert packed.shape == (6, 7, 5)
    assert packed.dtype == np.float32
    for values in (packed, torch.from_numpy(packed)):
        for name, own in joint().unpack(values).items():
            np.testing.assert_array_equal(np.asarray(own), labels[name])
    assert joint().unpack(packed)["segmentation"].dtype == np.uint8
    alone = joint().pack({"edges": labels["edges"]}, (6, 7))
    np.testing.assert_array_equal(joint().labelled(alone), ~np.isnan(labels["edges"]))
    assert not joint().labelled(joint().pack({}, (6, 7))).any()


def test_the_loss_is_the_sum_of_the_parts_over_their_own_points() -> None:
    rng = np.random.default_rng(1)
    labels = random_labels(rng)
    for loss, factors in ((None, ""), ("dice,angular,soft", ""), ("dice,angular,soft", "0.5* 3* 1*")):
        counted = zip(factors.split(), loss.split(","), strict=True) if loss and factors else ()
        task = joint(",".join(factor + own for factor, own in counted) or loss)
        packed = torch.from_numpy(task.pack(labels, (6, 7))).flatten(0, 1)
        logits = torch.from_numpy(rng.normal(size=(42, 8)))
        weights = torch.from_numpy(rng.uniform(0.5, 2, 42))
        expected, first = 0.0, 0
        for name, width, own in (("segmentation", 4, 0), ("normals", 3, 1), ("edges", 1, 2)):
            part = make_task(name, 4 if name == "segmentation" else None, loss=loss and loss.split(",")[own])
            values = torch.from_numpy(labels[name]).flatten(0, 1)
            known = part.labelled(values)
            factor = float(factors.split()[own][:-1]) if factors else 1
            expected += factor * part.loss(logits[known, first : first + width], values[known], weights[known]).item()
            first += width
        assert task.outputs == first
        assert task.loss(logits, packed, weights).item() == pytest.approx(expected, rel=1e-6)


def test_losses_that_weigh_themselves_are_uncertainty_weighting_at_its_best() -> None:
    rng = np.random.default_rng(4)
    task, plain = joint("log*cross-entropy,log*angular,log*soft"), joint("cross-entropy,angular,soft")
    labels = torch.from_numpy(plain.pack(random_labels(rng), (6, 7))).flatten(0, 1)
    logits, weights = torch.from_numpy(rng.normal(size=(42, 8))).requires_grad_(), torch.ones(42, dtype=torch.float64)
    loss = task.loss(logits, labels, weights)
    (ours,), (theirs,) = (torch.autograd.grad(own.loss(logits, labels, weights), logits) for own in (task, plain))
    s, best = torch.linspace(-8, 8, 160_001, dtype=torch.float64), 0.0
    for name, values in plain.unpack(labels).items():
        own, known = plain.logit_slices[name], plain.parts[name].labelled(values)
        value = plain.parts[name].loss(logits[known][:, own], values[known], weights[known]).item()
        objective = torch.exp(-s) * value + s
        best += objective.min().item() - 1
        at = torch.exp(-s[objective.argmin()])
        torch.testing.assert_close(ours[:, own], at * theirs[:, own], rtol=1e-3, atol=1e-9)
    assert loss.item() == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("loss", [None, "log*cross-entropy,log*angular,log*soft"])
def test_what_an_image_is_not_labelled_for_changes_nothing(loss: str | None) -> None:
    task, rng = joint(loss), np.random.default_rng(2)
    packed = torch.from_numpy(task.pack({"edges": rng.choice([0.0, 1.0], (6, 7))}, (6, 7))).flatten(0, 1)
    logits = torch.randn(42, 8, requires_grad=True)
    task.loss(logits, packed, torch.ones(42)).backward()
    assert logits.grad is not None
    assert not logits.grad[:, :7].any()
    assert logits.grad[:, 7].all()


def test_a_mirrored_label_negates_the_normals_x_alone() -> None:
    packed = joint().pack(random_labels(np.random.default_rng(3)), (6, 7))
    for values in (packed, torch.from_numpy(packed)):
        mirrored = np.asarray(joint().mirror(values))
        np.testing.assert_array_equal(mirrored, packed * (1, -1, 1, 1, 1))
    np.testing.assert_array_equal(joint().mirror(joint().mirror(packed)), packed)


def test_each_part_decodes_its_own_outputs_and_doubts_add_no_certainty() -> None:
    task, logits = joint(), torch.randn(5, 6, 8)
    found = task.decode(logits)
    assert list(found) == THREE.split(",")
    torch.testing.assert_close(found["segmentation"], logits[..., :4].argmax(-1))
    torch.testing.assert_close(found["normals"], torch.nn.functional.normalize(logits[..., 4:7], dim=-1))
    torch.testing.assert_close(found["edges"], logits[..., 7].sigmoid())
    signs = task.digest(logits)
    expected = torch.stack(
        [
            part.disagreement(part.digest(logits[0][:, own]), part.digest(logits[1][:, own]))
            for part, own in zip(task.parts.values(), task.logit_slices.values(), strict=True)
        ]
    )
    torch.testing.assert_close(task.disagreement(signs[0], signs[1]), expected.amax(0))


def test_scores_are_the_parts_and_the_headline_their_mean() -> None:
    task, rng = joint(), np.random.default_rng(4)
    truth = random_labels(rng, (20, 30))
    truth["edges"] = np.zeros((20, 30), np.float32)
    truth["edges"][9, 4:26] = 1
    perfect = {**truth, "segmentation": truth["segmentation"] % 4}
    scorer, other = task.scorer(), task.scorer()
    assert scorer.result()["joint"] is None
    scorer.update(perfect, truth)
    assert scorer.result()["joint"] == pytest.approx(1, abs=1e-4)
    flipped = {"normals": -truth["normals"]}
    other.update(flipped, {"normals": truth["normals"]})
    assert other.result()["joint"] == pytest.approx(1 - 180 / 90, abs=1e-3)
    scorer.merge(other)
    assert scorer.result()["normals"]["mean"] == pytest.approx(90, abs=1)


def test_tasks_and_losses_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="each task once"):
        make_task("edges,edges")
    with pytest.raises(InputError, match="2 losses are given"):
        make_task(THREE, num_classes=4, loss="dice,angular")
    with pytest.raises(InputError, match="has no num_classes"):
        make_task("normals,edges", num_classes=4)
    for factor in ("0", "-1", "nan", "inf", "x", ""):
        with pytest.raises(InputError, match=r"counts .* times; write a number above 0"):
            make_task("normals,edges", loss=f"{factor}*angular,soft")
    with pytest.raises(InputError, match="has no loss"):
        make_task("normals", loss="3*angular")
    with pytest.raises(InputError, match="one at a time"):
        joint().benchmark()


# -------------------------------------------------------------------------------------------------------- data


@pytest.fixture
def sources(tmp_path: Path) -> str:
    """Two folders: one with classes for both of its images and normals for one, and one with edges."""
    rng = np.random.default_rng(5)
    for folder, names in (("rooms", ("a", "b")), ("photos", ("b",))):
        (tmp_path / folder / "images").mkdir(parents=True)
        for name in names:
            pixels = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / "images" / f"{name}.png")
    for name in "ab":
        (tmp_path / "rooms/labels").mkdir(exist_ok=True)
        ids = rng.integers(0, 3, (60, 80), dtype=np.uint8)
        ids[0, :3] = 0, 1, 2
        Image.fromarray(ids).save(tmp_path / f"rooms/labels/{name}.png")
    (tmp_path / "photos/edges").mkdir()
    Image.fromarray(rng.choice([0, 255], (60, 80)).astype(np.uint8)).save(tmp_path / "photos/edges/b.png")
    return f"folder:{tmp_path / 'rooms'},folder:{tmp_path / 'photos'}"


def test_each_image_has_the_labels_that_its_source_has(sources: str) -> None:
    data = open_dataset(sources, "segmentation,edges")
    assert data.names == ["0-a", "0-b", "1-b"]
    assert [list(data.truth(i)) for i in range(3)] == [["segmentation"], ["segmentation"], ["edges"]]
    assert data.image(2).shape == (60, 80, 3)
    assert np.isnan(data.labels(0)[..., 1]).all()
    assert (data.labels(2)[..., 0] == 255).all()
    assert len(data.class_names) == 3
    assert [file.parent.name for file in data.files(2)] == ["images", "edges"]
    assert [member.task_name for member in data.members] == ["segmentation", "edges"]
    assert not has_split(sources, "segmentation,edges", "val")
    twice = open_dataset(f"{sources},{sources.split(',')[1]}", "segmentation,edges")
    assert len(twice) == 4
    assert len(set(twice.names)) == 4


def test_generated_scenes_are_labelled_for_all() -> None:
    data = open_dataset("scenes:2", THREE)
    labels = data.truth(0)
    assert list(labels) == THREE.split(",")
    for name, own in make_task(THREE, len(data.class_names)).unpack(data.labels(0)).items():  # type: ignore[attr-defined]
        np.testing.assert_array_equal(own, open_dataset("scenes:2", name).labels(0))


def test_sources_that_serve_nothing_and_tasks_that_nothing_serves_are_refused(sources: str) -> None:
    rooms, photos = sources.split(",")
    with pytest.raises(InputError, match="no labels for edges"):
        open_dataset(rooms, "segmentation,edges")
    with pytest.raises(InputError, match="photos has no labels for segmentation, regression"):
        open_dataset(f"{rooms},{photos}", "segmentation,regression")
    with pytest.raises(InputError, match="there is no task 'depth'"):
        open_dataset(rooms, "segmentation,depth")


def test_points_are_drawn_for_each_task_by_its_own_sampler() -> None:
    task = joint()
    labels = {name: own for name, own in random_labels(np.random.default_rng(6), (40, 50)).items() if name != "normals"}
    labels["edges"] = np.zeros((40, 50), np.float32)
    labels["edges"][20, :20] = 1
    packed = task.pack(labels, (40, 50))
    draw = JointSampler(task, 40)(task.labelled(packed), np.random.default_rng(0), packed, None)
    assert len(draw.points) == 80
    columns, rows = draw.points.astype(int).T
    assert (labels["segmentation"][rows, columns][:40] != 255).all()  # uniform, for segmentation and normals
    assert labels["edges"][rows, columns][40:].sum() == 20  # balanced, for edges
    alone = task.pack({"edges": labels["edges"]}, (40, 50))
    assert len(JointSampler(task, 40)(task.labelled(alone), np.random.default_rng(0), alone, None).points) == 40


def test_quotas_are_refused_as_they_are_of_one_task(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are of the sampler stratified"):
        pixelnet.train(**{**TINY, "task": THREE, "quotas": "proportional"}, out=tmp_path / "run")


# ------------------------------------------------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joint") / "run"
    pixelnet.train(**{**TINY, "task": THREE, "data": "scenes:4,scenes:6"}, out=out)
    return out


def test_a_run_of_three_tasks_goes_on_as_any_other(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {**TINY, "task": THREE, "data": "scenes:4,scenes:6", "out": tmp_path / "run"}
    train_and_stop(monkeypatch, 5, **settings)
    pixelnet.train(**settings, resume=True)
    assert_same_outcome(tmp_path / "run", run)
    assert (run / "curves.png").exists()
    assert list((run / "panels").glob("*.png"))


def test_one_of_the_tasks_alone_answers_as_all_of_them_do(run: Path) -> None:
    model = pixelnet.load(run)
    image = open_dataset("scenes:2", "edges", "val").image(0)
    points = [(3, 4), (100, 50.5)]
    whole, at_points = model.predict(image), model.predict(image, points=points)
    for name in THREE.split(","):
        one = model.only(name)
        assert one.config.task == name
        np.testing.assert_allclose(one.predict(image), whole[name], atol=1e-6)
        np.testing.assert_allclose(one.predict(image, points=points), at_points[name], atol=1e-6)
    assert whole["segmentation"].dtype == np.uint8
    assert model.config.task == THREE
    with pytest.raises(InputError, match="not regression"):
        model.only("regression")


def test_one_alone_can_be_saved(run: Path, tmp_path: Path) -> None:
    image = open_dataset("scenes:2", "edges", "val").image(0)
    one = pixelnet.load(run).only("normals")
    one.save(tmp_path / "normals")
    np.testing.assert_array_equal(pixelnet.load(tmp_path / "normals").predict(image), one.predict(image))


def test_adaptive_at_one_is_exact(run: Path) -> None:
    model, image = pixelnet.load(run), open_dataset("scenes:2", "edges", "val").image(0)
    exact, soon = model.predict(image), model.predict(image, adaptive=1.0)
    np.testing.assert_array_equal(soon["segmentation"], exact["segmentation"])
    np.testing.assert_allclose(soon["normals"], exact["normals"], atol=1e-5)


def test_a_model_of_several_tasks_is_scored_one_at_a_time(run: Path) -> None:
    with pytest.raises(InputError, match="add --task"):
        pixelnet.evaluate(run, data="scenes:2")
    scores = pixelnet.evaluate(run, data="scenes:2", task="normals")
    expected = pixelnet.evaluate(pixelnet.load(run).only("normals"), data="scenes:2")
    assert scores == expected


def test_files_and_tables_hold_every_answer(run: Path, tmp_path: Path) -> None:
    model, image = pixelnet.load(run), open_dataset("scenes:2", "edges", "val").image(0)
    Image.fromarray(image).save(tmp_path / "a.png")
    written = predict_files(model, [tmp_path / "a.png"], tmp_path / "out")
    names = ["segmentation/a.png", "normals/a.npy", "edges/a.png", "view/a.png"]
    assert written == [tmp_path / "out" / name for name in names]
    found = model.predict(image)
    np.testing.assert_array_equal(np.asarray(Image.open(written[0])), found["segmentation"])
    np.testing.assert_allclose(np.load(written[1]), found["normals"], atol=1e-3)
    np.testing.assert_allclose(np.asarray(Image.open(written[2])) / 65535, found["edges"], atol=1e-5)
    (tmp_path / "points.csv").write_text("x,y\n3,4\n")
    (table,) = predict_files(model, [tmp_path / "a.png"], tmp_path / "out", tmp_path / "points.csv")
    assert table == tmp_path / "out" / "points" / "a.csv"
    titles, row = table.read_text().splitlines()
    assert titles == "x,y,segmentation,x_normal,y_normal,z_normal,edges"
    values = [found["segmentation"][4, 3], *found["normals"][4, 3], found["edges"][4, 3]]
    np.testing.assert_allclose([float(value) for value in row.split(",")[2:]], values, atol=1e-5)


@pytest.mark.parametrize("size", [(30, 40), (900, 700), (3, 2000)])
def test_an_overview_shows_all_answers_at_a_size_for_people(size: tuple[int, int]) -> None:
    rng, task = np.random.default_rng(7), joint()
    answers = random_labels(rng, size) | {"segmentation": rng.integers(0, 2, size, dtype=np.uint8)}
    picture = overview(rng.integers(0, 256, (*size, 3), dtype=np.uint8), answers, task)
    assert picture.dtype == np.uint8
    assert picture.shape[1] <= 4 * 648
    factor = min(1, 640 / max(size))
    assert picture.shape[0] >= round(size[0] * factor) + 2 * 28


def test_a_legend_names_the_classes_that_are_there_largest_first() -> None:
    labels = np.full((10, 30), 2, np.uint8)
    labels[:, :10] = 0
    labels[0, 0] = 1  # a third of a percent
    task = make_task("segmentation", num_classes=4, class_names=("a", "b", "c", "d"))
    assert [name for name, _ in task.legend(labels)] == ["c", "a"]


def test_a_model_without_names_says_its_classes_numbers() -> None:
    labels = np.ones((4, 4), np.uint8)
    assert [name for name, _ in make_task("segmentation", num_classes=3).legend(labels)] == ["1"]


def test_a_plain_model_has_no_parts() -> None:
    with pytest.raises(InputError, match="answers edges, not normals"):
        PixelNet("edges", backbone="test_resnet").only("normals")
