"""The confusion matrix of a labelling, and the scores read from it."""

from collections.abc import Iterator

import numpy as np

from pixelnet.errors import InputError

AT_ONCE = 2**22  # pixels that are counted at once: of a scene of 20,000 x 20,000 as int64 would be many gigabytes
UNLABELLED = 255  # in every map of class ids; neither right nor wrong, and not background

NUMBERS = (
    "miou", "mean_accuracy", "pixel_accuracy", "fwiou", "dice", "miou_voc", "mean_accuracy_camvid", "miou_camvid",
)  # fmt: skip


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Count how often each true class was given each label.

    prediction, truth: integers (H, W), or any one shape; ids 0..classes-1, and 255 in truth for unlabelled.
    Returns int64 (classes, classes): rows are the truth, columns the prediction. Unlabelled pixels are left out,
    whatever was predicted there. Raises InputError where the shapes differ or an id is out of range.
    """
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    check_ids(prediction, truth, classes)
    matrix = np.zeros(classes * classes, np.int64)
    for own, true in _labelled(prediction, truth):
        cells = true.astype(np.int64) * classes + own.astype(np.int64)
        matrix += np.bincount(cells, minlength=classes * classes)
    return matrix.reshape(classes, classes)


def _labelled(prediction: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The labelled pixels of two maps of one shape, some at a time."""
    flat = prediction.reshape(-1), truth.reshape(-1)
    for first in range(0, truth.size, AT_ONCE):
        own, true = (ids[first : first + AT_ONCE] for ids in flat)
        labelled = true != UNLABELLED
        yield own[labelled], true[labelled]


def check_ids(prediction: np.ndarray, truth: np.ndarray, classes: int) -> None:
    """Raise InputError unless the two shapes are one, and ids lie in 0..classes-1 wherever the truth is labelled."""
    if prediction.shape != truth.shape:
        raise InputError(
            f"the prediction's shape is {prediction.shape} but the truth's is {truth.shape}; "
            "give one label a pixel, at the size of the truth"
        )
    for name, ids in (("prediction", prediction), ("truth", truth)):
        if not np.issubdtype(ids.dtype, np.integer):
            raise InputError(f"the {name} has values of type {ids.dtype}; expected class ids, which are integers")
        ends = [(int(own.min()), int(own.max())) for own, _ in _labelled(ids, truth) if own.size]
        least, most = min((low for low, _ in ends), default=0), max((high for _, high in ends), default=0)
        if not (least >= 0 and most < classes):
            raise InputError(
                f"the {name} has class ids from {least} to {most}, but there are {classes} classes: "
                f"ids must lie in 0..{classes - 1}"
                + (f" ({UNLABELLED}: unlabelled)" if name == "truth" else " wherever the truth is labelled")
            )


def scores(matrix: np.ndarray) -> dict[str, float | list[float | None] | None]:
    """The scores of a confusion matrix (K, K), rows = truth; all are fractions in 0..1.

    miou: mean intersection over union of the classes found in the truth or in the prediction. With mean_accuracy,
    pixel_accuracy and fwiou these are the four numbers of the FCN papers (Long et al. 2015; Shelhamer et al. 2017),
    which PASCAL-Context and NYUv2 are reported in.
    mean_accuracy: mean share of its pixels found, over the classes in the truth (balanced accuracy).
    pixel_accuracy: share of the pixels that are right; CamVid's "global".
    fwiou: IoU of the classes in the truth, weighted by their pixels there.
    dice: mean of 2 |P T| / (|P| + |T|) over the classes that miou is of.
    miou_voc: of the VOC development kit (VOCevalseg), which divides by all K classes and guards against none that is
    absent: NaN there, None here, as soon as one class is in neither; else it is miou.
    mean_accuracy_camvid, miou_camvid: of SegNet's evaluation (Badrinarayanan et al. 2017), "class average" and mean
    IoU: sums over the classes in the truth, divided by all K. A class absent from the truth counts as 0.
    iou_per_class, dice_per_class: lists of K; None for a class found in neither.
    """
    hits = np.diag(matrix).astype(np.float64)
    true, predicted = matrix.sum(axis=1).astype(np.float64), matrix.sum(axis=0)
    union, total = true + predicted - hits, matrix.sum()
    found, labelled = union > 0, true > 0
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=found)
    both = np.divide(2 * hits, true + predicted, out=np.zeros_like(hits), where=found)
    accuracy = np.divide(hits, true, out=np.zeros_like(hits), where=labelled)
    if not total:
        numbers = dict.fromkeys(NUMBERS)
    else:
        values = (
            iou[found].mean(),
            accuracy[labelled].mean(),
            hits.sum() / total,
            (true * iou).sum() / total,
            both[found].mean(),
            iou.mean() if found.all() else None,
            accuracy.mean(),
            iou[labelled].sum() / len(iou),
        )
        numbers = {name: None if value is None else float(value) for name, value in zip(NUMBERS, values, strict=True)}
    return numbers | {"iou_per_class": _known(iou, found), "dice_per_class": _known(both, found)}


def _known(values: np.ndarray, found: np.ndarray) -> list[float | None]:
    return [float(value) if there else None for value, there in zip(values, found, strict=True)]
