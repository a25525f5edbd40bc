"""Labels written into an OME-Zarr image: found by other readers, and nothing else of the image touched, ever."""

import json
import shutil
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from test_sinks import four_bands, pixels

from pixelnet import InputError, predict_files
from pixelnet.rasters import omezarr

zarr = pytest.importorskip("zarr")
SIZES = [(301, 520), (150, 260), (76, 130)]  # of the image's own levels


def image(path: Path, version: int, axes: str = "cyx") -> np.ndarray:
    """Write an image with levels of its own, and labels by somebody else; returns its pixels (H, W, 4)."""
    values = pixels(*SIZES[0])
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    kinds = {"c": "channel", "t": "time"}
    said: dict = {"axes": [{"name": k, "type": kinds.get(k, "space")} for k in axes], "datasets": []}
    for level, (height, width) in enumerate(SIZES):
        planes = values[np.ix_(np.arange(height) * 2**level, np.arange(width) * 2**level)] if level else values
        array = planes.transpose(2, 0, 1)
        array = array[None] if axes[0] == "t" else array
        named = {"dimension_names": list(axes)} if version == 3 else {}
        group.create_array(str(level), data=np.ascontiguousarray(array), **named)
        scale = [{"y": 0.5, "x": 0.25}.get(k, 1.0) * (2**level if k in "yx" else 1) for k in axes]
        moves = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": [7.0 * (k == "x") for k in axes]},
        ]
        said["datasets"].append({"path": str(level), "coordinateTransformations": moves})
    theirs = group.create_group("labels").create_group("cells")
    theirs.create_array("0", data=np.ones((4, 4), np.uint8))
    listed = {"labels": ["cells"], "note": "keep"}
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [said]}
        group["labels"].attrs["ome"] = {"version": "0.5", **listed}
    else:
        group.attrs["multiscales"] = [{"version": "0.4", **said}]
        group["labels"].attrs.update(listed)
    return values


def files_of(path: Path, but: str = "-") -> dict[str, str]:
    """The files of a folder and hashes of them, but for the list of labels and a group of them."""
    listed = ("labels/zarr.json", "labels/.zattrs", "labels/.zgroup")
    found = {own.relative_to(path).as_posix(): own for own in path.rglob("*") if own.is_file()}
    return {
        name: blake2b(own.read_bytes()).hexdigest()
        for name, own in found.items()
        if name not in listed and not name.startswith(f"labels/{but}/")
    }


def labels_in(path: Path, version: int) -> list[str]:
    about = zarr.open_group(str(path / "labels"), mode="r").attrs
    return (about["ome"] if version == 3 else about)["labels"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("axes", ["cyx", "tcyx"])
def test_labels_in_an_image_are_as_the_specification_says(version: int, axes: str, tmp_path: Path) -> None:
    path, model = tmp_path / "a.ome.zarr", four_bands()
    values = image(path, version, axes)
    before, stamp = files_of(path), path.stat().st_mtime_ns
    written = predict_files(model, path, tmp_path / "out", memory="12MB", outputs="view", label_group="mine")
    assert [own.name for own in written] == ["a.ome.png", "mine"]
    assert written[1] == path / "labels/mine"
    assert files_of(path, "mine") == before
    assert path.stat().st_mtime_ns == stamp
    assert sorted(own.name for own in tmp_path.iterdir()) == ["a.ome.zarr", "out"]
    assert labels_in(path, version) == ["cells", "mine"]
    group = zarr.open_group(str(path), mode="r")["labels/mine"]
    about = group.attrs["ome"] if version == 3 else group.attrs
    (scales,) = about["multiscales"]
    assert [axis["name"] for axis in scales["axes"]] == list(axes.replace("c", ""))
    levels = [group[one["path"]][:] for one in scales["datasets"]]
    assert [level.shape[-2:] for level in levels] == SIZES  # as many as the image has, and as large
    assert {level.ndim for level in levels} == {len(axes) - 1}
    np.testing.assert_array_equal(levels[0].reshape(SIZES[0]), model.predict(values))
    for fine, coarse in pairwise(levels):
        rows, columns = (np.arange(n) * m // n for m, n in zip(fine.shape[-2:], coarse.shape[-2:], strict=True))
        np.testing.assert_array_equal(coarse, fine[..., rows[:, None], columns])
    scale, move = scales["datasets"][1]["coordinateTransformations"]
    assert (scale["scale"][-2:], move["translation"][-2:]) == ([1.0, 0.5], [0.0, 7.0])
    label = about["image-label"]
    assert label["source"] == {"image": "../../"}
    assert [own["rgba"][:3] for own in label["colors"]] == [list(color) for color in model.task.palette]
    assert [own["class"] for own in label["properties"]] == list(model.task.class_names)


def test_labels_in_an_image_are_valid_by_the_specification(tmp_path: Path) -> None:
    """Of 0.5: the classes of 0.4 cannot be made with newer versions of pydantic."""
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    image(tmp_path / "a.zarr", 3)
    shutil.rmtree(tmp_path / "a.zarr/labels")  # those of somebody else are none
    predict_files(four_bands(), tmp_path / "a.zarr", tmp_path / "out", label_group="mine")
    whole = models.v05.Image.from_zarr(zarr.open_group(str(tmp_path / "a.zarr"), mode="r"))
    assert whole.labels is not None
    assert labels_in(tmp_path / "a.zarr", 3) == ["mine"]
    models.v05.ImageLabel.from_zarr(zarr.open_group(str(tmp_path / "a.zarr/labels/mine"), mode="r"))


def test_called_again_it_replaces_its_own_labels_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    image(path, 3)
    before = files_of(path)
    for seed, name in enumerate(("one", "mine", "mine")):
        model = four_bands()
        model.head[-1].bias.data[seed] += 99
        predict_files(model, path, tmp_path / f"out{seed}", label_group=name)
    first, last = (zarr.open_group(str(path), mode="r")[f"labels/{name}/0"][:] for name in ("one", "mine"))
    assert (np.bincount(first.ravel()).argmax(), np.bincount(last.ravel()).argmax()) == (0, 2)
    assert labels_in(path, 3) == ["cells", "one", "mine"]
    for name in ("one", "mine"):
        shutil.rmtree(path / f"labels/{name}")
    assert files_of(path) == before
    theirs = path / "labels/cells"
    with pytest.raises(InputError, match=r"cells is there, and was not written by pixelnet"):
        predict_files(four_bands(), path, tmp_path / "out", label_group="cells")
    assert theirs.is_dir()
    assert files_of(path) == before


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("step", range(8))
def test_a_kill_at_any_step_leaves_the_image_and_its_labels(
    step: int, swaps: bool, version: int, tmp_path: Path, monkeypatch
) -> None:
    """The process ends at one change of the disk after another; nothing that would be done on the way out is.

    swaps: whether two folders can change places in one step.
    """
    path, model = tmp_path / "a.zarr", four_bands()
    image(path, version)
    predict_files(model, path, tmp_path / "first", label_group="mine")
    before, own = files_of(path, "mine"), files_of(path / "labels/mine")
    new, left = tmp_path / "new.zarr", [step]
    shutil.copytree(path, new)
    omezarr.write_label_group(new, "mine", omezarr_map(model, SIZES[0]))

    class Killed(BaseException):
        pass

    def counted(change):
        def changed(*given, **more):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return change(*given, **more)

        return changed

    with monkeypatch.context() as patch:
        for owner, name in ((Path, "rename"), (Path, "mkdir"), (omezarr, "write_atomic"), (omezarr.os, "utime")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        patch.setattr(omezarr, "exchanged", counted(omezarr.exchanged) if swaps else lambda *_: False)
        patch.setattr(omezarr.shutil, "rmtree", counted(lambda *_, **__: None))
        given = omezarr_map(model, SIZES[0])
        try:
            omezarr.write_label_group(path, "mine", given)
        except Killed:
            assert step < 20
    assert files_of(path, "mine") == before
    assert "cells" in labels_in(path, version)
    assert swaps is False or (path / "labels/mine").is_dir()
    omezarr.require_label_group(path, "mine")  # as the next call does before its work
    assert files_of(path / "labels/mine") in (own, files_of(new / "labels/mine"))
    omezarr.write_label_group(path, "mine", omezarr_map(model, SIZES[0]))
    assert files_of(path, "mine") == before
    assert set(files_of(path / "labels/mine")) == set(own)
    assert labels_in(path, version) == ["cells", "mine"]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def omezarr_map(model, size: tuple[int, int]) -> omezarr.Map:
    def read(rows: range, _: int) -> np.ndarray:
        return np.full((len(rows), size[1]), 1, np.uint8)

    return omezarr.Map(*size, 1, np.dtype(np.uint8), read, 255, model.task.class_names, model.task.palette)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("../x", "zarr", "the label group is '../x'"),
        ("x", "tif", r"a\.tif is no OME-Zarr image"),
        ("x", "level", "is no OME-Zarr image"),
        ("x", "old", "does not say its axes"),
    ],
)
def test_what_cannot_have_labels_is_refused(name: str, kind: str, message: str, tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "a.zarr"
    image(path, 2)
    if kind == "tif":
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels(30, 40), photometric="minisblack", planarconfig="contig")
    if kind == "old":
        about = json.loads((path / ".zattrs").read_text())
        about["multiscales"][0]["axes"] = ["c", "y", "x"]
        (path / ".zattrs").write_text(json.dumps(about))
    path = path / "0" if kind == "level" else path
    with pytest.raises(InputError, match=message):
        predict_files(four_bands(), path, tmp_path / "out", label_group=name)
