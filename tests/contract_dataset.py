"""What every data set keeps, inherited by each one's test: `class TestCamVid(DatasetContract)`."""

import pickle

import numpy as np
import pytest

from pixelnet.data import Dataset


class DatasetContract:
    """Inherit and give a fixture `dataset`, a Dataset or several by parametrization; `limit` items are read."""

    limit = 3

    @pytest.fixture
    def dataset(self) -> Dataset:
        raise NotImplementedError

    def test_names_are_unique_sorted_and_as_many_as_items(self, dataset: Dataset) -> None:
        assert len(dataset) == len(dataset.names) > 0
        assert dataset.names == sorted(set(dataset.names))
        assert all(isinstance(name, str) and name for name in dataset.names)

    def test_says_what_it_is(self, dataset: Dataset) -> None:
        assert dataset.task_name in ("segmentation", "normals", "edges", "regression")
        assert dataset.source
        assert dataset.split
        if dataset.task_name == "segmentation":
            assert 2 <= len(dataset.class_names) == len(set(dataset.class_names)) <= 255
            assert len(dataset.class_colors) in (0, len(dataset.class_names))
            assert all(0 <= value <= 255 for color in dataset.class_colors for value in color)
        else:
            assert dataset.class_names == dataset.class_colors == ()

    def test_images_and_labels_have_the_promised_form(self, dataset: Dataset) -> None:
        for i in range(min(len(dataset), self.limit)):
            image, labels = dataset.image(i), dataset.labels(i)
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == len(dataset.channels) == 3
            assert image.shape[:2] == labels.shape[:2]
            self.check_labels(dataset, labels)

    def test_says_what_its_channels_are_and_how_large_an_image_is(self, dataset: Dataset) -> None:
        assert len(set(dataset.channels)) == len(dataset.channels)
        assert all(isinstance(name, str) and name for name in dataset.channels)
        for i in range(min(len(dataset), self.limit)):
            height, width, channels = dataset.image(i).shape
            assert dataset.size(i) == (width, height)
            assert channels == len(dataset.channels)

    def test_a_window_is_cut_out_of_the_whole(self, dataset: Dataset) -> None:
        for i in range(min(len(dataset), self.limit)):
            image, labels = dataset.image(i), dataset.labels(i)
            height, width = image.shape[:2]
            for window in (
                (slice(0, height), slice(0, width)),
                (slice(0, 1), slice(width - 1, width)),
                (slice(height // 3, height - 1), slice(1, width // 2 + 1)),
            ):
                for whole, part in (
                    (image, dataset.image(i, window)),
                    (labels, dataset.labels(i, window)),
                ):
                    assert part.dtype == whole.dtype
                    np.testing.assert_array_equal(part, whole[window])

    def check_labels(self, dataset: Dataset, labels: np.ndarray) -> None:
        if dataset.task_name == "segmentation":
            assert labels.dtype == np.uint8
            assert labels.ndim == 2
            assert set(np.unique(labels)) <= {*range(len(dataset.class_names)), 255}
            return
        assert labels.dtype == np.float32
        if dataset.task_name == "normals":
            assert labels.shape[2:] == (3,)
            length = np.sqrt((labels.astype(np.float64) ** 2).sum(axis=2))
            assert np.all((length == 0) | (abs(length - 1) < 1e-5))
        else:
            assert labels.ndim == 2
            assert not np.isinf(labels).any()
        if dataset.task_name == "edges":
            known = labels[~np.isnan(labels)]
            assert 0 <= known.min() <= known.max() <= 1

    def test_truth_is_the_labels_or_the_annotators(self, dataset: Dataset) -> None:
        labels, truth = dataset.labels(0), dataset.truth(0)
        if truth.dtype == bool:
            assert truth.shape[1:] == labels.shape
            np.testing.assert_allclose(truth.mean(axis=0), labels, atol=1e-6)
        else:
            np.testing.assert_array_equal(truth, labels)

    def test_files_exist(self, dataset: Dataset) -> None:
        for i in range(min(len(dataset), self.limit)):
            assert all(path.is_file() for path in dataset.files(i))

    def test_reads_the_same_twice_in_an_array_of_its_own(self, dataset: Dataset) -> None:
        image, labels = dataset.image(0), dataset.labels(0)
        kept, known = image.copy(), labels.copy()
        image[...] = 7  # what a caller does to its copy is its own affair
        labels[...] = 1
        np.testing.assert_array_equal(dataset.image(0), kept)
        np.testing.assert_array_equal(dataset.labels(0), known)

    def test_pickles_for_loader_workers(self, dataset: Dataset) -> None:
        copy = pickle.loads(pickle.dumps(dataset))
        assert copy.names == dataset.names
        assert (copy.task, copy.source, copy.split) == (dataset.task, dataset.source, dataset.split)
        np.testing.assert_array_equal(copy.image(0), dataset.image(0))
        np.testing.assert_array_equal(copy.labels(0), dataset.labels(0))
