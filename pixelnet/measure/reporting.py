"""Report a survey: scores, areas and their intervals, worst classes first, and what more labels would buy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import InputError
from pixelnet.files import require_apart, require_writable, write_atomic, write_json
from pixelnet.measure.answers import from_truth, read_answers
from pixelnet.measure.estimate import Known, calibrated, compared, estimated, few, how, in_the_mean, known, samples_of
from pixelnet.measure.maps import FileMaps, Maps, ModelMaps
from pixelnet.measure.page import survey_page
from pixelnet.measure.survey import PLAN, Survey, check_files, read_survey
from pixelnet.metrics.survey.bounds import LEVEL
from pixelnet.metrics.survey.strata import ENOUGH
from pixelnet.model import PixelNet

HECTARE = 10_000.0  # square meters


def report(
    survey: str | Path,
    *,
    truth: Any = None,
    split: str = "val",
    against: PixelNet | str | Path | None = None,
    tolerance: float | None = None,
    json: str | Path | None = None,
    report: str | Path | None = None,
) -> dict[str, Any]:
    """Estimate what maps are worth from the samples of a survey that have an answer.

    Args:
        survey: the folder.
        truth: a data set whose labels stand in for answers, where there is one: "camvid:PATH" and so on, a `Dataset`,
            or (image, labels) pairs. samples.csv stays as it is.
        split: of it.
        against: a second model, or a folder of other maps of the same images: the difference of the scores by the same
            samples.
        tolerance: of values: how far off counts as within; a tenth of the references' standard deviation if not given.
        json: write what is returned to this file as well.
        report: write a page (.html, complete in itself) to this file.

    Returns:
        survey, task, design, estimator, level. labelled, cannot_tell, open: numbers of samples. scores: a list of
        {name, class, value, error, these_maps, images_like_these, ...}: error is the standard error, the last two are
        95 % intervals, [low, high]: of the maps that were sampled, and of what maps of other images like these would
        score (None for fewer than 5 images). name is overall (the share of pixels that are right), miou, and of each
        class iou, dice, users (precision), producers (recall) and area (the share of pixels that are of it, with
        pixels, and hectares where the maps have a reference system); of regression rmse, bias and within. samples: of a
        class's scores, those of it or called it. few: the classes with fewer than 20. calibration, differences: see
        `estimate.calibrated` and `compared`. notes: sentences that one should read before the scores.

    Raises:
        InputError: no survey; fewer than 2 answers; an answer that is no class; a sample that a model was trained on; a
            map that has changed; truth that does not go with it; a file that could not be written.
    """
    outputs = {"--json": json, "--report": report}
    for path in outputs.values():
        if path is not None:
            require_writable(path)
    own = read_survey(survey)
    require_apart(outputs, [own.folder / PLAN, own.folder / "samples.csv", own.folder / "drawn.npz"])
    check_files(own)
    if truth is not None:
        own = from_truth(own, truth, split)
    values, there = read_answers(own)
    found = known(own, values, there)
    result = _result(own, found, tolerance)
    if against is not None:
        result["differences"] = compared(found, _others(own, found, against))
        result["against"] = str(against)
    page = None if report is None else survey_page(own, found, result)
    if json is not None:
        write_json(json, result)
    if report is not None and page is not None:
        write_atomic(report, page.encode(errors="backslashreplace"))
    return result


def _result(own: Survey, found: Known, tolerance: float | None) -> dict[str, Any]:
    answers = [one.answer for one in own.samples]
    numbers = {"labelled": len(found.rows), "cannot_tell": answers.count("?"), "open": answers.count("")}
    about = {
        "survey": str(own.folder), "task": own.plan["task"], "design": own.plan["design"], "estimator": how(found),
        "level": LEVEL, **numbers,
    }  # fmt: skip
    classes = own.plan["task"] != "regression"
    rows = estimated(found, tolerance)
    if classes:
        samples = dict(zip(own.class_names, samples_of(found).tolist(), strict=True))
        for row in rows:
            row["samples"] = samples.get(row["class"], len(found.rows))
            if row["name"] == "area":
                row |= _area(own, row)
    averaged = [own.class_names[k] for k in np.flatnonzero(in_the_mean(found))] if classes else []
    rare = few(found) if classes else []
    return about | {
        "scores": rows,
        "miou_of": averaged,
        "few": rare,
        "calibration": calibrated(found),
        "notes": [*found.notes, *_notes(numbers, rare, classes), *_averaged(own, averaged)],
    }


def _averaged(own: Survey, names: Sequence[str]) -> list[str]:
    """That the mean is of some classes, if it is."""
    return [f"mean IoU is of {', '.join(names)}"] if 0 < len(names) < len(own.class_names) else []


def _area(own: Survey, row: dict[str, Any]) -> dict[str, Any]:
    """An area in pixels, and in hectares where the maps say how large a pixel is: its value and interval."""
    pixels = float(sum(own.plan["pixels"])) if "pixels" in own.plan else None
    if pixels is None:
        return {}
    ends = [row["value"], *row["these_maps"]]
    found = {"pixels": [share * pixels for share in ends]}
    ground = own.plan["square_meters_a_pixel"]
    return found if ground is None else found | {"hectares": [share * pixels * ground / HECTARE for share in ends]}


def _notes(numbers: dict[str, int], rare: Sequence[str], classes: bool) -> list[str]:
    notes = []
    if numbers["open"]:
        notes.append(
            f"{numbers['open']} samples have no answer yet: those that have are taken as a random part, which they are "
            "if they were labelled in the order of the file"
        )
    if numbers["cannot_tell"]:
        notes.append(
            f"of {numbers['cannot_tell']} samples nobody could tell: they are left out, as if they were like the "
            "others of their stratum"
        )
    if rare:
        notes.append(f"fewer than {ENOUGH} samples, so that scores are hardly known: {', '.join(rare)}")
    if classes:
        notes.append("a label that is wrong counts against the map: what is estimated is agreement with who labelled")
    return notes


def _others(own: Survey, found: Known, against: PixelNet | str | Path) -> np.ndarray:
    """What other maps say at the answered samples: (n,) class ids."""
    if own.plan["task"] == "regression":
        raise InputError("--against compares maps of classes; values are measured one by one")
    maps = _maps_of(own, against)
    if len(maps.class_names) != len(own.class_names):
        raise InputError(f"{against} has {len(maps.class_names)} classes, the survey {len(own.class_names)}")
    said = np.zeros(len(found.rows), np.int64)
    for image in np.unique(found.image):
        answer = maps(maps.names.index(own.plan["images"][image]))
        assert answer.mapped is not None
        at = np.flatnonzero(found.image == image)
        said[at] = answer.mapped[own.drawn.y[found.rows[at]], own.drawn.x[found.rows[at]]]
    return said


def _maps_of(own: Survey, against: PixelNet | str | Path) -> Maps:
    from pixelnet.runs.checkpoint import is_model
    from pixelnet.runs.hub import shipped

    of = own.plan["given"]["of"]
    if isinstance(against, PixelNet) or is_model(Path(against)) or str(against) in shipped():
        return ModelMaps(of, against, own.plan["task"])
    return FileMaps(of, against, own.plan["task"], own.class_names)
