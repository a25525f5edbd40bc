"""What a survey found, in words: lines for a terminal, and a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from pixelnet.measure.estimate import IMAGES, MAPS, SIGNED, Known
from pixelnet.measure.labelling import next_sample
from pixelnet.measure.survey import CROPS, SAMPLES, UNKNOWN, Survey, read_survey
from pixelnet.metrics.intervals import FEWEST
from pixelnet.report.page import Picture, Score, figures, page, paragraph, score_table, section

WORDS = {
    "overall": "pixels that are right", "miou": "mean IoU", "iou": "IoU", "dice": "Dice", "area": "area",
    "users": "user's accuracy", "producers": "producer's accuracy", "rmse": "root mean square error",
    "bias": "bias (map less reference)", "within": "within the tolerance",
}  # fmt: skip
SHOWN = 12  # samples where the map is wrong
LISTED = 12  # strata


def told(found: dict[str, Any]) -> str:
    """What `report` returns, as lines for people: what is to be read first, then the scores, worst classes first."""
    lines = list(found["notes"])
    asked = f"{found['labelled']} labelled pixels"
    lines += [f"{asked}, {found['design']} design, {found['estimator']} estimates; intervals are 95 %", ""]
    rows = [_cells(row) for row in ordered(found)]
    lines += _table([("", "value", "these maps", "images like these"), *rows])
    if found.get("calibration"):
        lines += ["", "confidence less accuracy", *_table([_calibration(row) for row in found["calibration"]])]
    if found.get("differences"):
        lines += ["", f"less {found['against']}", *_table([_difference(row) for row in found["differences"]])]
    return "\n".join([*lines, "", more(found)])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines whose columns are as wide as their longest cells, the second to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            f"{cell:{'>' if k == 1 else '<'}{wide}}" for k, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("   ".join(cells).rstrip())
    return lines


def ordered(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The scores in the order of reading: of all pixels, then the IoU of each class, worst first, then the others."""
    rows = found["scores"]
    first = [row for row in rows if row["class"] is None]
    worst = sorted((row for row in rows if row["name"] == "iou"), key=lambda row: (_unseen(row), row["value"]))
    names = [row["class"] for row in worst]
    rest = [row for row in rows if row["class"] is not None and row["name"] in ("area", "users", "producers")]
    order = ["area", "users", "producers"]
    rest.sort(key=lambda row: (order.index(row["name"]), names.index(row["class"]) if row["class"] in names else 999))
    return [*first, *worst, *rest]


def more(found: dict[str, Any]) -> str:
    """What more labels would buy: half-widths fall with the root of their number."""
    row = next(row for row in found["scores"] if row["name"] in ("miou", "overall", "rmse"))
    half = (row[MAPS][1] - row[MAPS][0]) / 2
    number = found["labelled"]
    return (
        f"{WORDS[row['name']]} is known to +-{half:.3g}; twice as many labels would make it about "
        f"+-{half / 2**0.5:.2g}, and half of it takes some {4 * number} (pixelnet measure plan --add {3 * number})"
    )


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    areas = ""
    if row.get("hectares"):
        value, low, high = row["hectares"]
        areas = f"   {value:,.1f} ha ({low:,.1f} .. {high:,.1f})"
    return _called(row), _number(row, row["value"]), _range(row, MAPS), _range(row, IMAGES) + areas


def _called(row: dict[str, Any]) -> str:
    return WORDS[row["name"]] + (f", {row['class']}" if row["class"] else "")


def _number(row: dict[str, Any], value: float) -> str:
    if _unseen(row):
        return "?"
    return f"{value:.4g}" if row["name"] in SIGNED else f"{value:.3f}"


def _unseen(row: dict[str, Any]) -> bool:
    """Whether the row is of a class without a sample, of which its area alone can be told."""
    return row.get("samples") == 0 and row["name"] != "area"


def _range(row: dict[str, Any], who: str) -> str:
    if _unseen(row):
        return "no sample"
    if row[who] is None:
        return f"takes {FEWEST} images with answers"
    return " .. ".join(_number(row, end) for end in row[who])


def _calibration(row: dict[str, Any]) -> tuple[str, str, str]:
    low, high = row[MAPS]
    return row["confidence"], f"{row['overconfidence']:+.3f}", f"{low:+.3f} .. {high:+.3f}"


def _difference(row: dict[str, Any]) -> tuple[str, str, str]:
    low, high = row[MAPS]
    return _called(row), f"{row['difference']:+.3f}", f"{low:+.3f} .. {high:+.3f}"


def survey_page(survey: Survey, found: Known, result: dict[str, Any]) -> str:
    """The page: notes, scores with both intervals, and samples where the map is wrong."""
    table = [
        Score(
            _called(row),
            f"{_number(row, row['value'])} ({_range(row, MAPS)})",
            f"images like these: {_range(row, IMAGES)}"
            + (f"; {row['hectares'][0]:,.1f} ha" if row.get("hectares") else ""),
        )
        for row in ordered(result)
    ]
    parts = [
        section("Before the scores", *map(paragraph, result["notes"])),
        section(
            "Scores of these maps, with 95 % intervals", score_table(table, "Beyond them"), paragraph(more(result))
        ),
    ]
    wrong = _wrong(survey, found)
    if wrong:
        parts.append(section("Where the maps are wrong", figures(wrong)))
    lead = f"{result['labelled']} labelled pixels of {len(survey.plan['images'])} images; {result['design']} design."
    return page("How good is the map?", lead, parts)


def _wrong(survey: Survey, found: Known) -> Sequence[Picture]:
    if survey.plan["task"] == "regression":
        return []
    rows = found.rows[found.mapped != found.values][:SHOWN]
    names, pictures = survey.class_names, []
    for k in rows.tolist():
        path = survey.crop(k + 1)
        if path.is_file():
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            said = f"{survey.samples[k].answer}; the map says {names[survey.drawn.mapped[k]]}"
            pictures.append(Picture(pixels, f"{survey.samples[k].image}: {said}", "photo"))
    return pictures


def planned(survey: Survey) -> str:
    """What a plan came to, and how to go on."""
    plan, lines = survey.plan, []
    pixels = f"{sum(one['pixels'] for one in plan['strata']):,} pixels"
    lines.append(f"{len(survey.samples)} of {pixels} of {len(plan['images'])} images, {plan['design']} design")
    lines += [f"  {one['name']}: {one['samples']} of {one['pixels']:,}" for one in plan["strata"][:LISTED]]
    if len(plan["strata"]) > LISTED:
        lines.append(f"  and {len(plan['strata']) - LISTED} strata more, all in plan.json")
    few = [name for name, enough in zip(plan["classes"], plan["told"], strict=False) if not enough]
    if few:
        lines.append(f"too few of them for scores of their own will be of: {', '.join(few)} (a larger --budget)")
    lines.append(f"go on: pixelnet measure label {survey.folder} (a page that asks for each); or in a table:")
    return "\n".join([*lines, _in_a_table(survey)])


def _in_a_table(survey: Survey) -> str:
    """How a survey is labelled without the page."""
    choices = f"one of {', '.join(survey.class_names)}" if survey.class_names else "the value"
    hide = (
        " Hide the columns stratum and probability first: they tell what the map says."
        if survey.plan["design"] not in ("uniform", "two-stage")  # whose strata are classes of the map
        else ""
    )
    return (
        f"in {survey.folder / SAMPLES} write in the column {survey.column}, in each line, what is in the middle of the "
        f"ring in {survey.folder / CROPS}/NUMBER.png: {choices}, or {UNKNOWN} where nobody could tell. Go from the top "
        f"down, do not look at the map, and leave the other columns as they are; any spreadsheet will do.{hide}"
    )


def following(folder: str) -> str:
    """How far a survey is labelled, and which sample is next."""
    survey, asked = read_survey(folder), next_sample(folder)
    done = f"{sum(bool(one.answer) for one in survey.samples)} of {len(survey.samples)} samples have an answer"
    if asked is None:
        return f"{done}; go on: pixelnet measure report {folder}"
    place = f"{asked.image}, x {asked.x}, y {asked.y}: {asked.crop}"
    return f"{done}; next: pixelnet measure label {folder} --sample {asked.number} --answer CLASS\n{place}"
