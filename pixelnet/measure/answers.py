"""What is known at the samples: what people said, or what a data set with labels says in their place."""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from pixelnet.data import as_dataset
from pixelnet.data.dataset import Dataset
from pixelnet.errors import InputError
from pixelnet.measure.labelling import checked
from pixelnet.measure.survey import SAMPLES, UNKNOWN, Survey
from pixelnet.metrics.confusion import UNLABELLED


def read_answers(survey: Survey) -> tuple[np.ndarray, np.ndarray]:
    """(n,) class ids or values, and (n,) bool, where there is one. Raises InputError for an answer that is none.

    And for samples that a model was trained on: a model is better where it was shown the answer.
    """
    trained = [one.sample for one in survey.samples if one.trained]
    if trained:
        raise InputError(
            f"{survey.folder / SAMPLES} says of {len(trained)} samples, the first of them {trained[0]}, that a model "
            "was trained on them, so they cannot score it; plan a new survey, with another --seed"
        )
    values, known = np.zeros(len(survey.samples)), np.zeros(len(survey.samples), bool)
    for k, one in enumerate(survey.samples):
        if one.answer:
            text = checked(survey, one.answer, f"{survey.folder / SAMPLES}, sample {one.sample}")
            known[k] = text != UNKNOWN
            if known[k]:
                values[k] = float(text) if survey.plan["task"] == "regression" else survey.class_names.index(text)
    return values, known


def from_truth(survey: Survey, truth: Any, split: str) -> Survey:
    """The survey as labelled by a data set; "?" where that has no label.

    An edge is what any annotator drew. Raises InputError for an image that it lacks, of another size or other classes.
    """
    dataset = as_dataset(truth, survey.plan["task"], split)
    if survey.plan["task"] == "segmentation" and len(dataset.class_names) != len(survey.class_names):
        raise InputError(
            f"{dataset.source} has {len(dataset.class_names)} classes, the maps of the survey {len(survey.class_names)}"
        )
    places = _places(survey, dataset)
    samples = list(survey.samples)
    for image in np.unique(survey.drawn.image):
        labels = dataset.labels(places[survey.plan["images"][image]])
        for k in np.flatnonzero(survey.drawn.image == image):
            x, y = int(survey.drawn.x[k]), int(survey.drawn.y[k])
            if y >= labels.shape[0] or x >= labels.shape[1]:
                raise InputError(f"{dataset.source}: {samples[k].image} is smaller there than the image of the survey")
            samples[k] = replace(samples[k], answer=_word(survey, labels[y, x]), who=dataset.source)
    return replace(survey, samples=samples)


def _places(survey: Survey, dataset: Dataset) -> dict[str, int]:
    """Where each image of the survey is in a data set: by its name, or by the last part of it."""
    known = {name: k for k, name in enumerate(dataset.names)}
    found = {name: known.get(name, known.get(PurePosixPath(name).name)) for name in survey.plan["images"]}
    missing = [name for name, place in found.items() if place is None]
    if missing:
        raise InputError(f"{dataset.source} has no image {missing[0]} ({len(missing)} of the survey's are not there)")
    return {name: place for name, place in found.items() if place is not None}


def _word(survey: Survey, label: Any) -> str:
    if survey.plan["task"] == "segmentation":
        return UNKNOWN if label == UNLABELLED else survey.class_names[int(label)]
    if np.isnan(label):
        return UNKNOWN
    return survey.class_names[int(label > 0)] if survey.plan["task"] == "edges" else repr(float(label))
