"""Surveys on disk: planned, labelled by several, broken, extended and reported; against what is so of all pixels."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import pixelnet
from pixelnet.cli import main
from pixelnet.data.arrays import Arrays
from pixelnet.errors import InputError
from pixelnet.measure import label, next_sample, plan, report
from pixelnet.measure.crops import crop
from pixelnet.measure.maps import Maps
from pixelnet.measure.page import planned, told
from pixelnet.measure.survey import SAMPLES, read_survey, write_samples

CLASSES = ("sky", "tree", "road")
IMAGES = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, probabilities of a map that is nearly right of itself, its ids, and the truth."""
    root, rng = tmp_path_factory.mktemp("world"), np.random.default_rng(0)
    for folder in ("images", "probable", "ids", "truth", "values", "ground"):
        (root / folder).mkdir()
    for i in range(IMAGES):
        chances = rng.dirichlet([0.3, 0.2, 0.1], (40, 50)).astype(np.float32)
        truth = (chances.cumsum(-1) > rng.random((40, 50, 1))).argmax(-1).astype(np.uint8)
        ids = chances.argmax(-1).astype(np.uint8)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(root / "images" / f"{i}.png")
        np.save(root / "probable" / f"{i}.npy", chances)
        Image.fromarray(ids).save(root / "ids" / f"{i}.png")
        Image.fromarray(truth).save(root / "truth" / f"{i}.png")
        np.save(root / "values" / f"{i}.npy", truth + 0.5)
        # GeoTIFF's pixel scale, and keys: projected, in meters.
        tags = [(33550, "d", 3, (30.0, 30.0, 0.0), True)]
        tags.append((34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 3072, 0, 1, 32632, 3076, 0, 1, 9001), True))
        tifffile.imwrite(root / "ground" / f"{i}.tif", ids, extratags=tags)
    return root


def truths(world: Path) -> Arrays:
    pairs = [(np.asarray(Image.open(world / "images" / f"{i}.png")), truth(world, i)) for i in range(IMAGES)]
    data = Arrays(pairs, "segmentation")
    data.names, data.class_names = [str(i) for i in range(IMAGES)], CLASSES
    return data


def truth(world: Path, i: int) -> np.ndarray:
    return np.asarray(Image.open(world / "truth" / f"{i}.png"))


def of(world: Path, out: Path, maps: str = "probable", **options):
    chosen = {"classes": CLASSES, "budget": 80} | options
    return plan(world / "images", out, predictions=world / maps, **chosen)


def answer_all(world: Path, folder: Path) -> None:
    survey = read_survey(folder)
    own = [replace(one, answer=CLASSES[truth(world, int(one.image))[one.y, one.x]], who="me") for one in survey.samples]
    write_samples(folder, own, "class")


def score(found, name, of_class=None):
    return next(row for row in found["scores"] if (row["name"], row["class"]) == (name, of_class))


@pytest.mark.parametrize(
    "design", ["confidence", "uniform", "proportional", "equal", "neyman", "good-practice", "two-stage"]
)
def test_each_design_finds_what_is_so(design, world, tmp_path):
    survey = of(world, tmp_path / "s", design=design)
    assert len(survey.samples) == survey.plan["budget"]
    weights = sum(1 / one.probability for one in survey.samples)
    assert weights == pytest.approx(IMAGES * 2000, rel=1e-6)
    found = report(tmp_path / "s", truth=truths(world))
    ids = np.stack([np.asarray(Image.open(world / "ids" / f"{i}.png")) for i in range(IMAGES)])
    every = np.stack([truth(world, i) for i in range(IMAGES)])
    own = score(found, "overall")
    assert abs(own["value"] - (ids == every).mean()) < 4 * own["error"]
    assert own["these_maps"][0] < own["value"] < own["these_maps"][1]
    own = score(found, "area", "road")
    assert abs(own["value"] - (every == 2).mean()) < 4 * own["error"] + 0.01
    assert all(row["these_maps"][0] < row["these_maps"][1] for row in found["scores"] if row["samples"] >= 20)
    assert "all" in [row["confidence"] for row in found["calibration"]]


def test_labelling_is_kept_answer_by_answer(world, tmp_path):
    survey = of(world, tmp_path / "s", budget=30)
    asked = next_sample(tmp_path / "s")
    assert (asked.number, asked.choices, asked.done, asked.all) == (1, CLASSES, 0, 30)
    with Image.open(asked.crop) as picture:
        assert picture.size == (388, 388)
    assert label(tmp_path / "s", 1, "2", "ana").answer == "road"
    assert label(tmp_path / "s", 2, "?", "ben").done == 2
    assert next_sample(tmp_path / "s").number == 3
    with (tmp_path / "s" / SAMPLES).open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["class"], rows[0]["who"], rows[1]["class"]) == ("road", "ana", "?")
    assert rows[0]["when"].endswith("+00:00")
    assert label(tmp_path / "s", 1, None).answer == ""  # taken back
    assert next_sample(tmp_path / "s").number == 1
    for wrong in ("river", "3", ""):
        with pytest.raises(InputError, match="is no class; give one of sky, tree, road"):
            label(tmp_path / "s", 1, wrong)
    with pytest.raises(InputError, match="no sample 31"):
        label(tmp_path / "s", 31, "sky")
    assert not any(one.name.startswith(".") for one in (tmp_path / "s").iterdir())
    assert [one.sample for one in survey.samples] == list(range(1, 31))


def test_who_answers_second_is_told(world, tmp_path):
    of(world, tmp_path / "s", budget=30)
    label(tmp_path / "s", 4, "sky", "ana", first=True)
    with pytest.raises(InputError, match="somebody else has answered sample 4 meanwhile; that answer is kept"):
        label(tmp_path / "s", 4, "road", "ben", first=True)
    assert label(tmp_path / "s", 4, "sky", "ana", first=True).answer == "sky"  # sent twice
    assert label(tmp_path / "s", 4, None, first=True).answer == ""
    assert label(tmp_path / "s", 4, "road", "ben", first=True).answer == "road"


def test_a_survey_that_is_extended_keeps_its_samples_and_is_as_random(world, tmp_path):
    first = of(world, tmp_path / "s", budget=60)
    answer_all(world, tmp_path / "s")
    more = plan(out=tmp_path / "s", add=40)
    assert len(more.samples) == 100
    assert [(one.image, one.x, one.y) for one in more.samples[:60]] == [
        (one.image, one.x, one.y) for one in first.samples
    ]
    assert all(one.answer for one in more.samples[:60])
    assert not any(one.answer for one in more.samples[60:])
    assert len({(one.image, one.x, one.y) for one in more.samples}) == 100
    assert sum(1 / one.probability for one in more.samples) == pytest.approx(IMAGES * 2000)
    found = report(tmp_path / "s")
    assert found["open"] == 40
    assert "have no answer yet" in found["notes"][-3] + found["notes"][-2] + found["notes"][0]
    assert found["labelled"] == 60


def test_strata_without_answers_are_merged_by_name(world, tmp_path):
    of(world, tmp_path / "s", budget=40)
    answer_all(world, tmp_path / "s")
    survey = read_survey(tmp_path / "s")
    own = [replace(one, answer="?" if one.stratum == 1 else one.answer) for one in survey.samples]
    write_samples(survey.folder, own, "class")
    found = report(survey.folder)
    names = [one["name"] for one in survey.plan["strata"]]
    assert f"{names[1]} (0 answered) is taken together with {names[0]}" in found["notes"]
    assert found["cannot_tell"] > 0


def test_areas_on_the_ground_of_geotiff(world, tmp_path):
    survey = of(world, tmp_path / "s", "ground")
    assert survey.plan["square_meters_a_pixel"] == 900
    found = report(tmp_path / "s", truth=truths(world))
    assert found["estimator"] == "direct"  # ids have no probabilities
    own = score(found, "area", "sky")
    assert own["hectares"][0] == pytest.approx(own["value"] * IMAGES * 2000 * 900 / 10_000)
    assert " ha (" in told(found)


def test_values(world, tmp_path):
    survey = of(world, tmp_path / "s", "values", task="regression", classes=(), budget=80)
    own = [
        replace(one, answer=str(truth(world, int(one.image))[one.y, one.x] + (one.sample % 2)))
        for one in survey.samples
    ]
    write_samples(survey.folder, own, "value")
    found = report(survey.folder, tolerance=0.6)
    assert score(found, "bias")["value"] == pytest.approx(0)
    assert score(found, "rmse")["value"] == pytest.approx(0.5)
    assert score(found, "within")["value"] == 1
    assert score(found, "within")["these_maps"][0] > 0.9
    with pytest.raises(InputError, match="uniform or two-stage"):
        of(world, tmp_path / "t", "values", task="regression", classes=(), design="equal")
    with pytest.raises(InputError, match="no value; give a number"):
        label(survey.folder, 1, "high")


def test_two_maps_by_the_same_samples(world, tmp_path):
    of(world, tmp_path / "s")
    same = report(tmp_path / "s", truth=truths(world), against=world / "ids")
    assert all(row["difference"] == 0 for row in same["differences"])
    other = tmp_path / "other"
    other.mkdir()
    for i in range(IMAGES):
        Image.fromarray(np.zeros((40, 50), np.uint8)).save(other / f"{i}.png")
    found = report(tmp_path / "s", truth=truths(world), against=other)
    own = next(row for row in found["differences"] if row["name"] == "overall")
    assert own["these_maps"][0] > 0  # the maps are better than all sky


def test_what_is_wrong_is_one_message_and_nothing_is_lost(world, tmp_path):
    folder = tmp_path / "s"
    of(world, folder, budget=30)
    with pytest.raises(InputError, match="0 of 30 samples"):
        report(folder)
    with pytest.raises(InputError, match="holds a survey already"):
        of(world, folder)
    answer_all(world, folder)
    text = (folder / SAMPLES).read_text()
    rows = text.splitlines()
    cells = rows[1].split(",")
    moved, sea, left = cells.copy(), cells.copy(), cells.copy()
    moved[2], sea[4], left[2] = str((int(cells[2]) + 1) % 50), "sea", "left"
    first, *rest = [",".join(own) for own in (cells, moved, sea, left, [*cells[:-1], "yes"], ["99", *cells[1:]])]
    broken = {
        "is there twice": [*rows, first],
        "lacks 1 samples, the first of them 1": [rows[0], *rows[2:]],
        "was drawn; put that back": [rows[0], rest[0], *rows[2:]],
        "is no class": [rows[0], rest[1], *rows[2:]],
        "a number was changed": [rows[0], rest[2], *rows[2:]],
        "was trained on them": [rows[0], rest[3], *rows[2:]],
        "sample 99 was not drawn": [*rows, rest[4]],
        "has no column class": [rows[0].replace("class", "klass"), *rows[1:]],
    }
    for message, lines in broken.items():
        (folder / SAMPLES).write_text("\n".join(lines) + "\n")
        with pytest.raises(InputError, match=message):
            report(folder)
        assert (folder / SAMPLES).read_text() == "\n".join(lines) + "\n"
    (folder / SAMPLES).write_text(text)
    assert report(folder)["labelled"] == 30
    with pytest.raises(InputError, match="is no survey"):
        report(tmp_path)
    with pytest.raises(InputError, match="less than 2 for each of 3 strata"):
        of(world, tmp_path / "u", design="equal", budget=4)
    with pytest.raises(InputError, match="one of the two"):
        plan(world / "images", tmp_path / "u")


def test_a_map_that_has_changed_is_told(world, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    for i in range(IMAGES):
        (maps / f"{i}.png").write_bytes((world / "ids" / f"{i}.png").read_bytes())
    plan(world / "images", tmp_path / "s", predictions=maps, classes=CLASSES, budget=30)
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(maps / "3.png")
    with pytest.raises(InputError, match=r"3.png has changed since"):
        report(tmp_path / "s", truth=truths(world))
    (maps / "3.png").unlink()
    with pytest.raises(InputError, match="no map of that name"):
        plan(world / "images", tmp_path / "t", predictions=maps, classes=CLASSES)


def test_a_target_gives_the_number(world, tmp_path):
    survey = of(world, tmp_path / "s", target=0.08)
    found = report(tmp_path / "s", truth=truths(world))
    low, high = score(found, "overall")["these_maps"]
    assert (high - low) / 2 == pytest.approx(0.08, abs=0.04)
    assert survey.plan["budget"] == len(survey.samples)
    with pytest.raises(InputError, match="none of the classes"):
        of(world, tmp_path / "t", target=0.05, target_class="sea")


def test_the_command_line(world, tmp_path, capsys):
    folder, images, maps = (str(path) for path in (tmp_path / "s", world / "images", world / "probable"))
    assert (
        main(
            [
                "measure",
                "plan",
                images,
                "--predictions",
                maps,
                "--classes",
                "sky,tree,road",
                "--out",
                folder,
                "--budget",
                "60",
            ]
        )
        == 0
    )
    assert "60 of 16,000 pixels of 8 images, confidence design" in capsys.readouterr().out
    assert main(["measure", "label", folder, "--sample", "1", "--answer", "tree", "--who", "ana"]) == 0
    assert "1 of 60 samples have an answer; next: " in capsys.readouterr().out
    answer_all(world, tmp_path / "s")
    page, scores = tmp_path / "page.html", tmp_path / "scores.json"
    assert main(["measure", "report", folder, "--json", str(scores), "--report", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "pixels that are right" in printed
    assert "images like these" in printed
    assert json.loads(scores.read_text())["labelled"] == 60
    assert "Where the maps are wrong" in page.read_text()
    assert main(["measure", "report", folder, "--budget", "3"]) == 2
    assert "measure report has no option --budget" in capsys.readouterr().err
    assert main(["measure", "label"]) == 2
    assert "give the folder of the survey" in capsys.readouterr().err


def test_a_model_is_measured(tmp_path, world):
    model = pixelnet.PixelNet("edges", backbone="test_resnet.r160_in1k")
    survey = pixelnet.measure.plan(world / "images", tmp_path / "s", model=model, budget=40)
    assert survey.class_names == ["none", "edge"]
    assert "40 of 16,000 pixels" in planned(survey)
    foreseen = survey.drawn.foreseen  # of each image
    paths = sorted((world / "images").iterdir())
    assert foreseen[:, -1].tolist() == [np.prod(Image.open(path).size) for path in paths]
    share = np.concatenate([model.predict(path).ravel() for path in paths])
    np.testing.assert_allclose(foreseen.sum(axis=0)[2:4], [(1 - share).sum(), share.sum()], rtol=1e-4)


def test_what_the_table_tells_of_the_map_is_said(world, tmp_path):
    columns = "the columns stratum and probability first: they tell what the map says"
    assert columns in planned(of(world, tmp_path / "s"))
    assert columns not in planned(of(world, tmp_path / "u", design="uniform"))


def test_columns_stand_below_each_other_whatever_classes_are_called():
    name = "a class with quite a long name"
    row = {"class": None, "value": 0.5, "these_maps": [0.25, 0.75], "images_like_these": None}
    rows = [row | {"name": "overall"}, row | {"name": "iou", "class": name}]
    differences = [{"name": "iou", "class": name, "difference": -0.5, "these_maps": [-1, 0]}]
    differences.append({"name": "overall", "class": None, "difference": 0.5, "these_maps": [0, 1]})
    found = {"notes": [], "labelled": 9, "design": "uniform", "estimator": "plain", "scores": rows, "calibration": []}
    lines = told(found | {"differences": differences, "against": "other"}).splitlines()
    table = lines[2:5]
    assert table[0].index("these maps") == table[1].index("0.250") == table[2].index("0.250")
    assert {line.index("takes 5 images with answers") for line in table[1:]} == {table[0].index("images like these")}
    assert lines[7].index("-1.000") == lines[8].index("+0.000")


# ------------------------------------------------------------------------------------------------ crops


DEEP = {"gray": (np.uint16, ()), "bands": (np.uint16, (4,)), "int": (np.int16, ()), "real": (np.float32, (2,))}


def dark(folder: Path, kind: str) -> tuple[list[np.ndarray], np.ndarray]:
    """TIFFs that use a small part of their type: their numbers, and the first as people should see it."""
    dtype, bands = DEEP[kind]
    rng = np.random.default_rng(1)
    numbers = [rng.integers(20, 235, (40, 50, *bands)).astype(dtype) for _ in range(3)]
    for i, own in enumerate(numbers):
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / f"{i}.tif", own, photometric="minisblack", planarconfig="contig" if bands else None)
    flat = np.stack([own.reshape(40, 50, -1) for own in numbers])
    shown = [0, 1, 2] if flat.shape[-1] >= 3 else [0, 0, 0]
    low, high = np.percentile(flat[..., shown], (0.1, 99.9), axis=(0, 1, 2))
    return numbers, np.rint(((flat[0][..., shown] - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)


def first_crops(survey) -> dict[tuple[int, int], np.ndarray]:
    """The crops of the first image, by the places of their pixels."""
    own = [one for one in survey.samples if one.image == "0"]
    assert own
    return {(one.x, one.y): np.asarray(Image.open(survey.crop(one.sample))) for one in own}


@pytest.mark.parametrize("kind", DEEP)
def test_crops_of_dark_pictures_are_stretched(kind, tmp_path):
    _, seen = dark(tmp_path / "images", kind)
    (tmp_path / "maps").mkdir()
    for i in range(3):
        Image.fromarray(np.eye(40, 50, dtype=np.uint8)).save(tmp_path / "maps" / f"{i}.png")
    survey = plan(tmp_path / "images", tmp_path / "s", predictions=tmp_path / "maps", budget=20)
    for (x, y), found in first_crops(survey).items():
        np.testing.assert_array_equal(found, crop(seen, x, y))


def test_pictures_of_bytes_beside_dark_ones_are_shown_as_they_are(tmp_path):
    _, seen = dark(tmp_path, "gray")
    photo = np.random.default_rng(2).integers(0, 90, (40, 50, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    maps = Maps([tmp_path])
    np.testing.assert_array_equal(maps.view(maps.names.index("photo")), photo)
    np.testing.assert_array_equal(maps.view(maps.names.index("0")), seen)


def test_crops_are_as_the_model_sees_the_picture(tmp_path):
    numbers, seen = dark(tmp_path / "images", "bands")
    names, ranges = ("band 4", "band 1", "band 2", "band 3"), ((0, 400), (20, 120), (0, 255), (100, 300))
    options = {"backbone": "test_resnet.r160_in1k", "in_channels": 4, "hidden": (4,), "class_names": ("a", "b")}
    chosen = numbers[0][..., [3, 0, 1]]  # the first three of the model's channels
    low, high = np.array(ranges[:3]).T
    expected = np.rint(((chosen - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    model = pixelnet.PixelNet("segmentation", 2, channels=names, ranges=ranges, **options)
    for (x, y), found in first_crops(plan(tmp_path / "images", tmp_path / "s", model=model, budget=20)).items():
        np.testing.assert_array_equal(found, crop(expected, x, y))
    model = pixelnet.PixelNet("segmentation", 2, channels=sorted(names), **options)  # which knows no range
    for (x, y), found in first_crops(plan(tmp_path / "images", tmp_path / "t", model=model, budget=20)).items():
        np.testing.assert_array_equal(found, crop(seen, x, y))
