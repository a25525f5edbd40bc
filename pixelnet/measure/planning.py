"""Plan a survey: which pixels somebody is to look at, drawn by chance, and how likely each was to be drawn."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pixelnet.errors import InputError
from pixelnet.files import require_writable
from pixelnet.measure.crops import write_crops
from pixelnet.measure.design import Design, cells_of, for_target, numbers, stratified, stratum_names, told_classes
from pixelnet.measure.drawing import look, smallest
from pixelnet.measure.labelling import alone
from pixelnet.measure.maps import FileMaps, Maps, ModelMaps
from pixelnet.measure.survey import (
    FORMAT,
    UNKNOWN,
    Drawn,
    Sample,
    Survey,
    check_files,
    digest,
    is_survey,
    read_survey,
    write_survey,
)
from pixelnet.metrics.survey.allocation import allocate
from pixelnet.model import PixelNet

LONGEST = 200  # characters of a class's name
PER_IMAGE = 10  # samples, in two stages


def plan(
    images: str | Path | Sequence[str | Path] = (),
    out: str | Path = "survey",
    *,
    model: PixelNet | str | Path | None = None,
    predictions: str | Path | None = None,
    task: str | None = None,
    classes: Sequence[str] = (),
    design: Design | None = None,
    budget: int = 300,
    target: float | None = None,
    target_class: str | None = None,
    add: int | None = None,
    seed: int = 0,
) -> Survey:
    """Draw the pixels of a survey of maps, and write it into a folder, which somebody labels then.

    Args:
        images: an image or a folder of images, or several.
        out: the folder; it must not hold a survey yet, unless `add` is given.
        model: whose answers are measured: a model, its folder or its name; segmentation, edges or regression.
        predictions: in place of a model, a folder of any method's maps, each named as its image: class ids (.png, .npy
            or GeoTIFF, 255 where there is none) or probabilities (.npy, (H, W, K)), edge strength, values.
        task: of predictions, what they are; segmentation if not given. Of a model of several tasks, which.
        classes: of predictions, the names of the classes in the order of their numbers.
        design: confidence: strata by class and by the model's doubt, which takes fewest labels. uniform: all pixels
            alike. By class proportional, equal, neyman (by how unsure the model is) or good-practice (proportional, and
            no class with few). two-stage: images first, then 10 pixels of each, so that fewer images are opened. If not
            given, confidence, and of regression uniform.
        budget: how many pixels.
        target: in place of a budget, the half-width of the interval that is wanted, as .03 for +-.03: of overall
            accuracy, or of the IoU of `target_class`. It rests on the model's own probabilities.
        add: draw so many pixels more for the survey that is in `out`: of the same strata, and as random.
        seed: of the draw.

    Returns:
        The survey. OUT/samples.csv has a line for each pixel, OUT/crops a picture, OUT/plan.json all that was decided.

    Raises:
        InputError: neither or both of model and predictions; images or maps that cannot be read or do not fit; a budget
            too small for the strata, or larger than the pixels; a survey that is there already, or not.
    """
    folder = Path(out)
    if add is not None:
        return _extended(folder, add)
    if is_survey(folder):
        raise InputError(f"{folder} holds a survey already; add to it (--add 200), or choose another --out")
    require_writable(folder, folder=True)
    given = {
        "model": _placed(model) if isinstance(model, str | Path) else None,
        "predictions": None if predictions is None else _placed(predictions),
        "of": [_placed(one) for one in ([images] if isinstance(images, str | Path) else images)],
        "task": task,
        "classes": list(classes),
    }
    maps = _maps(given, model)
    _check_names(maps.class_names)
    chosen = design or ("uniform" if maps.task == "regression" else "confidence")
    if maps.task == "regression" and chosen not in ("uniform", "two-stage"):
        raise InputError(
            f"a survey of values is uniform or two-stage, not {chosen}; there are no classes to tell apart"
        )
    if budget < 2:
        raise InputError(f"the budget is {budget}; at least 2 pixels are needed, and some hundreds for a useful answer")
    about = {"design": chosen, "budget": budget, "seed": seed, "given": given}
    if chosen == "two-stage":
        if target is not None:
            raise InputError("--target is worked out for designs in one stage; give --budget")
        drawn, settled = _in_two_stages(maps, budget, seed)
    else:
        drawn, settled = _in_strata(maps, chosen, budget, seed, target, target_class)
    survey = _survey(folder, maps, about | settled, drawn)
    write_crops(maps, survey, range(len(drawn)))
    write_survey(survey)
    return survey


def _placed(given: str | Path) -> str:
    """A path as it is found from any folder; a model's name as it is."""
    return str(Path(given).absolute()) if Path(given).exists() else str(given)


def _maps(given: dict[str, Any], model: PixelNet | str | Path | None = None) -> Maps:
    model = given["model"] if model is None else model
    if (model is None) == (given["predictions"] is None):
        raise InputError("give a model or a folder of predictions (--predictions DIR), one of the two")
    if model is not None:
        if given["classes"]:
            raise InputError("--classes is of --predictions; a model knows its own")
        return ModelMaps(given["of"], model, given["task"])
    return FileMaps(given["of"], given["predictions"], given["task"], given["classes"])


def _check_names(names: Sequence[str]) -> None:
    """Raise InputError for a class whose name is no answer that samples.csv could keep."""
    for name in names:
        if name != name.strip() or name in ("", UNKNOWN) or len(name) > LONGEST:
            raise InputError(
                f"a class is called {name[:LONGEST]!r}, which cannot be an answer: {UNKNOWN} says cannot tell, spaces "
                f"around a name are lost in a table, and it has up to {LONGEST} characters; give it another name"
            )
    if len(set(names)) < len(names):
        raise InputError(f"two classes are called {max(names, key=list(names).count)!r}; give them names of their own")


def _in_strata(
    maps: Maps, design: str, budget: int, seed: int, target: float | None, target_class: str | None
) -> tuple[Drawn, dict[str, Any]]:
    """The draw of a design in one stage, and what plan.json says of its strata."""
    cell, number = cells_of(design, len(maps.class_names))
    if target is not None:  # which takes a pass more: how many pixels are to be kept is not known before
        budget = for_target(maps.class_names, look(maps, cell, number, 1, seed)[1], target, target_class)
    reservoir, found, foreseen, pixels = look(maps, cell, number, budget, seed)
    if budget > sum(pixels):
        raise InputError(f"the budget is {budget}, and there are {sum(pixels)} pixels with a map; take fewer")
    of_cell, counts, told = stratified(design, found, number, budget, sum(pixels))
    sizes = np.bincount(of_cell[of_cell >= 0], numbers(design, found, sum(pixels))[of_cell >= 0]).astype(int)
    names = stratum_names(design, of_cell, maps.class_names)
    strata = [
        {"name": name, "pixels": int(size), "samples": int(count)}
        for name, size, count in zip(names, sizes, counts, strict=True)
    ]
    settled = {"budget": budget, "strata": strata, "of_cell": of_cell.tolist(), "pixels": pixels, "told": told.tolist()}
    return _drawn(smallest(reservoir, of_cell, counts), foreseen, seed), settled


def _in_two_stages(maps: Maps, budget: int, seed: int) -> tuple[Drawn, dict[str, Any]]:
    """Images, each as likely, then pixels of each; what plan.json says of them."""
    count = min(len(maps), max(2, budget // PER_IMAGE))
    if count < 2:
        raise InputError("a survey in two stages draws images first, and there is one; take another design")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(maps), count, replace=False))
    sub = _Some(maps, chosen)
    each = budget // count
    reservoir, found, _, pixels = look(sub, None, count, each, seed)  # an image is a stratum of the second stage
    if min(pixels) < each:
        raise InputError(
            f"{maps.names[chosen[int(np.argmin(pixels))]]} has {min(pixels)} pixels with a map; take fewer"
        )
    rows = smallest(reservoir, np.arange(count), np.full(count, each))
    rows["image"] = chosen[rows["image"]]
    strata = [
        {"name": maps.names[image], "pixels": own, "samples": each} for image, own in zip(chosen, pixels, strict=True)
    ]
    told = np.zeros(0, bool)
    if found is not None:
        told = told_classes(found, np.full(len(found.number), budget / found.number.sum()))
    return _drawn(rows, np.zeros((0, 0)), seed), {"strata": strata, "told": told.tolist(), "budget": each * count}


class _Some(Maps):
    """Some of the maps."""

    def __init__(self, maps: Maps, chosen: np.ndarray) -> None:
        self.maps, self.chosen, self.class_names = maps, chosen, maps.class_names
        self.items = [maps.items[i] for i in chosen]

    def __call__(self, i: int) -> Any:
        return self.maps(int(self.chosen[i]))


def _drawn(rows: dict[str, np.ndarray], foreseen: np.ndarray, seed: int, after: int = 0) -> Drawn:
    """The draw in random order, so that a part of it that is labelled first is a random sample, too."""
    order = np.random.default_rng((seed, after, 1)).permutation(len(rows["x"]))
    taken = {name: rows[name][order] for name in ("image", "x", "y", "stratum", "mapped", "probabilities", "values")}
    if not len(taken["mapped"]):
        taken["mapped"] = np.zeros(len(order), np.uint8)
    return Drawn(**taken, foreseen=foreseen)


def _survey(folder: Path, maps: Maps, about: dict[str, Any], drawn: Drawn) -> Survey:
    strata = about["strata"]
    stages = len(strata) / len(maps) if about["design"] == "two-stage" else 1.0
    chances = [stages * one["samples"] / one["pixels"] for one in strata]
    samples = [
        Sample(k + 1, maps.names[drawn.image[k]], int(drawn.x[k]), int(drawn.y[k]), "", int(h), chances[h])
        for k, h in enumerate(drawn.stratum)
    ]
    plan = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": maps.task,
        "classes": list(maps.class_names),
        **about,
        "probable": maps.probable,
        "square_meters_a_pixel": maps.ground,
        "images": maps.names,
        "files": {str(path.absolute()): digest(path) for path in maps.files},
    }
    return Survey(folder, plan, samples, drawn)


def _extended(folder: Path, add: int) -> Survey:
    """A survey with so many samples more, of the same strata: the pixels of the next keys."""
    old = read_survey(folder)
    if add < 1:
        raise InputError(f"--add {add} adds nothing; give a number of pixels")
    if old.plan["design"] == "two-stage":
        raise InputError("a survey in two stages cannot be added to: the images of its first stage are drawn already")
    given, seed = old.plan["given"], old.plan["seed"]
    if given["model"] is None and given["predictions"] is None:
        raise InputError("the survey is of a model that was in memory; it cannot be added to")
    check_files(old)
    maps = _maps(given)
    before = np.array([one["samples"] for one in old.plan["strata"]])
    sizes = np.array([one["pixels"] for one in old.plan["strata"]])
    counts = before + allocate(add, sizes - before, before, 0)
    cell, number = cells_of(old.plan["design"], len(maps.class_names))
    reservoir, *_ = look(maps, cell, number, int(counts.max()), seed)
    rows = smallest(reservoir, np.array(old.plan["of_cell"]), counts)
    known = {(int(i), int(x), int(y)) for i, x, y in zip(old.drawn.image, old.drawn.x, old.drawn.y, strict=True)}
    new = [k for k, place in enumerate(zip(rows["image"], rows["x"], rows["y"], strict=True)) if place not in known]
    if len(new) != counts.sum() - before.sum():
        raise InputError("the maps are not those that the survey was drawn from, so it cannot be added to")
    more = _drawn({name: own[new] for name, own in rows.items()}, old.drawn.foreseen, seed, len(old.samples))
    joined = {
        name: np.concatenate([getattr(old.drawn, name), getattr(more, name)])
        for name in ("image", "x", "y", "stratum", "mapped", "probabilities", "values")
    }
    drawn = Drawn(**joined, foreseen=old.drawn.foreseen)
    strata = [one | {"samples": int(count)} for one, count in zip(old.plan["strata"], counts, strict=True)]
    plan = old.plan | {"strata": strata, "budget": int(counts.sum())}
    survey = _survey(folder, maps, plan, drawn)
    write_crops(maps, survey, range(len(old.samples), len(drawn)))
    with alone(folder):
        now = read_survey(folder)  # people go on answering meanwhile
        if len(now.samples) != len(old.samples):
            raise InputError(f"somebody else has added to {folder} meanwhile; add to it again")
        samples = [
            replace(one, answer=was.answer, who=was.who, when=was.when, trained=was.trained)
            for one, was in zip(survey.samples, now.samples, strict=False)
        ]
        survey = Survey(folder, plan, [*samples, *survey.samples[len(samples) :]], drawn)
        write_survey(survey)
    return survey
