"""The confusion matrix of a labelling, and the scores read from it."""

import numpy as np

from pixelnet.errors import InputError

UNLABELLED = 255  # in every map of class ids; neither right nor wrong, and not background


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Count how often each true class was given each label.

    prediction, truth: integers (H, W), or any one shape; ids 0..classes-1, and 255 in truth for unlabelled.
    Returns int64 (classes, classes): rows are the truth, columns the prediction. Unlabelled pixels are left out,
    whatever was predicted there. Raises InputError where the shapes differ or an id is out of range.
    """
    prediction, truth = np.asarray(prediction), np.asarray(truth)
    if prediction.shape != truth.shape:
        raise InputError(
            f"the prediction's shape is {prediction.shape} but the truth's is {truth.shape}; "
            "give one label a pixel, at the size of the truth"
        )
    labelled = truth != UNLABELLED
    prediction, truth = prediction[labelled], truth[labelled]
    for name, ids in (("prediction", prediction), ("truth", truth)):
        if not np.issubdtype(ids.dtype, np.integer):
            raise InputError(f"the {name} has values of type {ids.dtype}; expected class ids, which are integers")
        if ids.size and not (ids.min() >= 0 and ids.max() < classes):
            raise InputError(
                f"the {name} has class ids from {ids.min()} to {ids.max()}, but there are {classes} classes: "
                f"ids must lie in 0..{classes - 1}"
                + (f" ({UNLABELLED}: unlabelled)" if name == "truth" else " wherever the truth is labelled")
            )
    cells = truth.astype(np.int64) * classes + prediction.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def scores(matrix: np.ndarray) -> dict[str, float | list[float | None] | None]:
    """The scores of a confusion matrix (K, K), rows = truth; all are fractions in 0..1.

    miou: mean intersection over union of the classes found in the truth or in the prediction.
    mean_accuracy: mean share of its pixels found, over the classes in the truth (balanced accuracy).
    pixel_accuracy: share of the pixels that are right.
    iou_per_class: list of K; None for a class found in neither.
    """
    hits = np.diag(matrix).astype(np.float64)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    union = true + predicted - hits
    iou = [float(h / u) if u else None for h, u in zip(hits, union, strict=True)]
    return {
        "miou": _mean([value for value in iou if value is not None]),
        "mean_accuracy": _mean([float(h / t) for h, t in zip(hits, true, strict=True) if t]),
        "pixel_accuracy": float(hits.sum() / matrix.sum()) if matrix.any() else None,
        "iou_per_class": iou,
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
