"""Batches: a function of (seed, step) alone; labels read at their own pixels; padding that counts for nothing."""

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pixelnet import PixelNet
from pixelnet.data.arrays import Arrays
from pixelnet.data.batches import Batch, Batches, collate, stream
from pixelnet.data.dataset import Dataset, Window
from pixelnet.data.transforms import Augmentation, View, move_onto
from pixelnet.points import make_sampler
from pixelnet.tasks import Task, make_task
from pixelnet.training import _labelled, _loss

UNCHANGED = Augmentation(crop=None, scale=(1, 1), flip=False, color_jitter=0)


class Numbers(Dataset):
    """Images of several sizes. The label of each pixel can be told from its color, and from its image's number."""

    def __init__(self, task: str = "regression", count: int = 5, unlabelled: float = 0.2):
        self.task, self.source, self.split, self.unlabelled = task, "numbers", "train", unlabelled
        self.names = [f"{i}" for i in range(count)]
        self.class_names = tuple("abcde") if task == "segmentation" else ()

    def image(self, i: int, window: Window | None = None) -> np.ndarray:
        y, x = np.mgrid[: 24 + 3 * i, : 40 - 2 * i]
        return np.stack([4 * x, 4 * y, np.full_like(x, 40 * i)], axis=-1).astype(np.uint8)[window or ...]

    def labels(self, i: int, window: Window | None = None) -> np.ndarray:
        return self.whole(i)[window or ...]

    def whole(self, i: int) -> np.ndarray:
        y, x = np.mgrid[: 24 + 3 * i, : 40 - 2 * i]
        hidden = np.random.default_rng(i).random(x.shape) < self.unlabelled
        if self.task == "segmentation":
            return np.where(hidden, 255, (x + y) % 5).astype(np.uint8)
        if self.task == "normals":
            normals = np.stack([x - 20, y - 12, np.full_like(x, -30)], axis=-1).astype(np.float32)
            normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
            return np.where(hidden[..., None], 0, normals).astype(np.float32)
        if self.task == "edges":
            return np.where(hidden, np.nan, (x + y) % 5 == 0).astype(np.float32)
        return np.where(hidden, np.nan, 1000 * i + 100 * y + x).astype(np.float32)


def batches(
    data: Dataset | None = None,
    augmentation: Augmentation = UNCHANGED,
    images: int = 2,
    seed: int = 0,
    pixels: int = 30,
    sampler: str = "uniform",
    **place: int,
) -> Batches:
    data = data or Numbers()
    task = make_task(data.task, num_classes=len(data.class_names) or None)
    return Batches(data, task, make_sampler(sampler, pixels), augmentation, images, seed, **place)


def same(one: Batch, other: Batch) -> bool:
    return all(a.shape == b.shape and bool(((a == b) | a.isnan() & b.isnan()).all()) for a, b in zip(one, other))  # noqa: B905


AUGMENTED = Augmentation((16, 20), (0.75, 1.5), True, 0.3)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_batch_depends_on_seed_and_step_alone(workers: int) -> None:
    expected = [batches(augmentation=AUGMENTED)[step] for step in range(7)]
    found = list(stream(batches(augmentation=AUGMENTED), 3, 7, workers))
    assert len(found) == 4
    assert all(same(one, other) for one, other in zip(found, expected[3:], strict=True))
    assert not same(expected[0], batches(augmentation=AUGMENTED, seed=1)[0])
    assert not same(expected[0], expected[1])


def test_nothing_outside_changes_a_batch() -> None:
    expected = batches(augmentation=AUGMENTED)[2]
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert same(batches(augmentation=AUGMENTED)[2], expected)
    assert same(pickle.loads(pickle.dumps(batches(augmentation=AUGMENTED)))[2], expected)


def test_no_steps_are_no_batches() -> None:
    assert list(stream(batches(), 4, 4, 1)) == []


def image_numbers(batch: Batch) -> list[int]:
    return [round(float(image[2, 0, 0]) * 255) // 40 for image in batch.images]


def test_each_epoch_visits_each_image_once_in_an_order_of_its_own() -> None:
    seen = [number for step in range(20) for number in image_numbers(batches()[step])]
    epochs = [seen[first : first + 5] for first in range(0, 40, 5)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 4


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_images_of_a_step(world: int) -> None:
    for step in range(6):
        whole = batches(images=6)[step]
        parts = [batches(images=6, rank=rank, world=world)[step] for rank in range(world)]
        for rank, part in enumerate(parts):
            assert image_numbers(part) == image_numbers(whole)[rank::world]
            counts = (part.weights > 0).sum(dim=1)
            assert torch.equal(counts, (whole.weights > 0).sum(dim=1)[rank::world])
            assert torch.equal(part.points[:, :5], whole.points[rank::world, :5])


def test_no_more_than_the_window_is_read() -> None:
    asked = []

    class Watched(Numbers):
        def image(self, i: int, window: Window | None = None) -> np.ndarray:
            assert asked[-1] == (i, window)
            return super().image(i, window)

        def labels(self, i: int, window: Window | None = None) -> np.ndarray:
            asked.append((i, window))
            return super().labels(i, window)

        def size(self, i: int) -> tuple[int, int]:
            return 40 - 2 * i, 24 + 3 * i

    augmentation = Augmentation((16, 20), (2, 2), True, 0.3)
    watched = batches(Watched(), augmentation)
    assert same(watched[0], batches(augmentation=augmentation)[0])
    assert len(asked) == 2
    assert all(rows.stop - rows.start == 8 and columns.stop - columns.start == 10 for _, (rows, columns) in asked)


def test_labels_are_read_at_their_own_pixels() -> None:
    batch = batches(images=5)[0]
    for number, points, labels in zip(image_numbers(batch), batch.points, batch.labels, strict=True):
        expected = 1000 * number + 100 * points[:, 1] + points[:, 0]
        assert torch.equal(labels, expected)


@pytest.mark.parametrize("flip", [False, True])
def test_labels_go_with_their_pixels_through_any_view(flip: bool) -> None:
    """The label says which pixel it was, and so which color the view must show at the point."""
    augmentation, checked, mirrored = Augmentation((16, 20), (1, 1), flip, 0), 0, set()
    for step in range(6):
        batch = batches(augmentation=augmentation)[step]
        assert batch.images.shape == (2, 3, 16, 20)
        for image, points, labels in zip(batch.images, batch.points, batch.labels, strict=True):
            columns, rows = points.long().T
            red, green, blue = (image[:, rows, columns] * 255).round().long()
            assert torch.equal(labels.long(), 1000 * (blue // 40) + 100 * (green // 4) + red // 4)
            mirrored.add(bool(image[0, 0, 0] > image[0, 0, -1]))
            checked += len(points)
    assert checked == 6 * 2 * 30
    assert mirrored == ({False, True} if flip else {False})


def test_mirrored_normals_point_the_other_way() -> None:
    """x of a normal grows with x of its pixel in the data; in a mirrored view it grows with x of the point, too."""
    for step in range(4):
        batch = batches(Numbers("normals"), Augmentation(None, (1, 1), True, 0), images=2)[step]
        for image, points, labels in zip(batch.images, batch.points, batch.labels, strict=True):
            mirrored = bool(image[0, 0, 0] > image[0, 0, 20])
            # The image's own width: where its view ends, it is padded, and a mirrored view starts with its last column.
            width = round(float(image[0, 0].max()) * 255) // 4 + 1
            column = width - 1 - points[:, 0] if mirrored else points[:, 0]
            tilt = labels[:, 0] / -labels[:, 2] * 30
            torch.testing.assert_close(tilt, (20 - column) if mirrored else (column - 20), atol=1e-3, rtol=0)


@pytest.mark.parametrize("task", ["segmentation", "normals", "edges", "regression"])
def test_what_is_padded_has_no_label_and_no_weight(task: str) -> None:
    data = Numbers(task)
    batch = batches(data, images=5, pixels=2000)[0]  # more than there are
    assert batch.images.dtype == torch.float32
    assert 0 <= batch.images.min() < batch.images.max() <= 1
    known = make_task(task, num_classes=5 if task == "segmentation" else None).labelled(batch.labels)
    assert torch.equal(known, batch.weights > 0)
    assert not known.all()
    labelled = {
        number: int(make_task(task, 5 if task == "segmentation" else None).labelled(data.labels(number)).sum())
        for number in range(5)
    }
    assert [labelled[number] for number in image_numbers(batch)] == known.sum(dim=1).tolist()
    assert batch.labels.dtype == (torch.int64 if task == "segmentation" else torch.float32)


def test_smaller_views_are_padded_by_their_last_row_and_column() -> None:
    batch = batches(images=5)[0]
    assert batch.images.shape == (5, 3, 36, 40)
    for number, image in zip(image_numbers(batch), batch.images, strict=True):
        original = torch.from_numpy(Numbers().image(number)).permute(2, 0, 1) / 255
        height, width = original.shape[1:]
        assert torch.equal(image[:, :height, :width], original)
        padding = np.pad(original.numpy(), ((0, 0), (0, 36 - height), (0, 40 - width)), "edge")
        np.testing.assert_array_equal(image.numpy(), padding)


def test_an_image_without_labels_takes_no_part() -> None:
    batch = batches(Numbers(unlabelled=1.0))[0]
    assert batch.points.shape == (2, 0, 2)
    assert batch.weights.shape == batch.labels.shape == (2, 0)
    examples = [batches(Numbers(unlabelled=share)).example(0) for share in (0.0, 1.0)]
    mixed = collate(examples, make_task("regression"))
    assert (mixed.weights > 0).sum(dim=1).tolist() == [30, 0]


class Patch(Numbers):
    """Labels in a patch of 3 x 2 pixels, or nowhere in image 0."""

    def whole(self, i: int) -> np.ndarray:
        labels = np.full_like(super().whole(i), np.nan)
        if i:
            labels[20:22, 4:7] = Numbers(unlabelled=0).whole(i)[20:22, 4:7]
        return labels


def test_every_view_holds_labels_where_its_image_has_any() -> None:
    augmentation = Augmentation((16, 20), (0.75, 1.5), True, 0)
    drawn = batches(Patch(), augmentation, images=5)
    seen = set()
    for step in range(30):
        batch = drawn[step]
        counts = (batch.weights > 0).sum(1).tolist()
        for number, count, labels in zip(image_numbers(batch), counts, batch.labels, strict=True):
            assert (count > 0) == (number > 0)
            seen |= {(number, float(label) - 1000 * number) for label in labels[:count]}
    assert {place for _, place in seen} == {100.0 * y + x for y in (20, 21) for x in (4, 5, 6)}
    assert same(drawn[7], batches(Patch(), augmentation, images=5)[7])


def test_the_moved_window_is_at_every_place_that_holds_the_pixel() -> None:
    view = View(slice(0, 5), slice(10, 13), (10, 6), False)
    for pixel, rows, columns in (
        ((9, 9), range(5, 10), range(7, 10)),
        ((0, 19), [15], [0]),
        ((1, 2), range(3), [0, 1]),
    ):
        moved = [move_onto(view, pixel, (12, 20), np.random.default_rng(k)) for k in range(200)]
        assert {own.rows.start for own in moved} == set(rows)
        assert {own.columns.start for own in moved} == set(columns)
        assert all((own.rows.stop - own.rows.start, own.columns.stop - own.columns.start) == (5, 3) for own in moved)


def test_where_every_window_has_labels_no_more_is_read() -> None:
    class Watched(Numbers):
        def labels(self, i: int, window: Window | None = None) -> np.ndarray:
            assert window is not None
            return super().labels(i, window)

    watched = batches(Watched(), AUGMENTED)
    assert all(len(watched[step].points[0]) == 30 for step in range(5))


def loss_of(task: Task, model: PixelNet, batch: Batch) -> torch.Tensor:
    alone: Any = SimpleNamespace(num_processes=1)
    return _loss(task, _labelled(model(batch.images, batch.points), batch, True, alone))


def loss_and_gradients(data: Dataset, change: float = 0.0) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Of a step on all labelled points; padding points are moved by `change`."""
    torch.manual_seed(0)
    model = PixelNet(data.task, len(data.class_names) or None, "test_resnet", hidden=(4,)).double()
    batch = batches(data, images=3, sampler="all")[0]
    batch = batch._replace(images=batch.images.double())
    padding = batch.weights == 0
    assert padding.any()
    points = batch.points.clone()
    points[padding] += change
    batch = batch._replace(points=points)
    loss = loss_of(model.task, model, batch)
    loss.backward()
    return loss.detach(), [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("task", ["segmentation", "normals", "edges", "regression"])
def test_an_unlabelled_pixel_changes_neither_loss_nor_gradient(task: str) -> None:
    """Wherever the padding points lie. (The order of the sums may change with them, hence double precision.)"""
    loss, gradients = loss_and_gradients(Numbers(task))
    other, others = loss_and_gradients(Numbers(task), change=7.0)
    assert loss > 0
    assert torch.equal(loss, other)
    top = max(float(gradient.abs().max()) for gradient in gradients)
    assert all(float((a - b).abs().max()) < 1e-12 * top for a, b in zip(gradients, others, strict=True))


def test_the_loss_of_all_points_is_that_of_labelled_pixels_alone() -> None:
    """Segmentation by hand: cross-entropy of the dense logits, unlabelled pixels and padding left out."""
    data = Numbers("segmentation")
    torch.manual_seed(0)
    model = PixelNet("segmentation", 5, "test_resnet", hidden=(4,))
    batch = batches(data, images=3, sampler="all")[0]
    task = make_task("segmentation", 5, loss="cross-entropy")
    found = loss_of(task, model, batch)
    dense = model(batch.images).detach().double().log_softmax(dim=1).numpy()
    losses = []
    for image, number in zip(dense, image_numbers(batch), strict=True):
        labels = data.labels(number)
        losses += [-image[labels[y, x], y, x] for y, x in np.argwhere(labels != 255)]
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)


# ------------------------------------------------------------------------------------------------- two phases


@pytest.mark.parametrize("sampler", ["hard", "gradient"])
def test_the_second_draw_takes_points_of_every_image_and_nothing_of_the_padding(sampler: str) -> None:
    """Images with 1 labelled pixel in 1,000 have fewer candidates than the others, and are padded."""
    drawn = batches(Numbers(unlabelled=0.99), pixels=8, images=5, sampler=sampler)
    batch = drawn[3]
    candidates = (batch.weights > 0).sum(1)
    assert candidates.min() < candidates.max() <= 24
    measure = torch.rand(batch.weights.shape, generator=torch.manual_seed(0))
    narrowed = drawn.narrow(3, batch, measure)
    assert (narrowed.weights > 0).sum(1).tolist() == [min(8, int(count)) for count in candidates]
    torch.testing.assert_close(narrowed.weights.sum(1), batch.weights.sum(1))
    assert (narrowed.weights[batch.weights == 0] == 0).all()
    assert same(narrowed._replace(weights=batch.weights), batch)
    assert torch.equal(drawn.narrow(3, batch, measure).weights, narrowed.weights)
    assert not torch.equal(drawn.narrow(4, batch, measure).weights, narrowed.weights)


def test_processes_share_the_second_draw() -> None:
    whole = batches(images=4, sampler="hard")
    batch = whole[2]
    measure = torch.rand(batch.weights.shape, generator=torch.manual_seed(0))
    narrowed = whole.narrow(2, batch, measure).weights
    for rank in (0, 1):
        part = batches(images=4, sampler="hard", rank=rank, world=2)
        own = part[2]
        rows = slice(rank, None, 2)
        assert torch.equal(part.narrow(2, own, measure[rows, : own.points.shape[1]]).weights, narrowed[rows])


def test_views_are_padded_alike_on_one_process_and_on_several() -> None:
    data = Arrays(
        [
            (np.full((20 + 7 * k, 50 - 5 * k, 3), 9 * k, np.uint8), np.zeros((20 + 7 * k, 50 - 5 * k), np.uint8))
            for k in range(4)
        ],
        "segmentation",
        ("a", "b"),
    )
    given = (data, make_task("segmentation", 2), make_sampler("uniform", 5), Augmentation(crop=None), 4, 0)
    whole = Batches(*given)[1].images
    for rank in range(2):
        torch.testing.assert_close(Batches(*given, rank=rank, world=2)[1].images, whole[rank::2], rtol=0, atol=0)
