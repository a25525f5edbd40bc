"""Scenes on the ground as data: layers of vectors, label maps of another grid, blocks; against PROJ and a point in a
polygon asked for each pixel."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyogrio")
rasterio = pytest.importorskip("rasterio")
shapely = pytest.importorskip("shapely")

import tifffile  # noqa: E402
from rasterio.transform import Affine  # noqa: E402
from rasterio.warp import transform  # noqa: E402

from pixelnet.data import open_dataset  # noqa: E402
from pixelnet.data.check import check  # noqa: E402
from pixelnet.data.folder import Folder  # noqa: E402
from pixelnet.data.subset import hold_out  # noqa: E402
from pixelnet.errors import InputError  # noqa: E402
from pixelnet.rasters import tiff  # noqa: E402

UTM, DEGREES, MERCATOR = "EPSG:32633", "EPSG:4326", "EPSG:3857"
PLACE = Affine(10.0, 1.0, 500_000.0, 1.0, -10.0, 5_200_000.0)  # a little turned
CLASSES = ("water", "forest", "water")


def scene(path: Path, size: tuple[int, int] = (90, 120), bands: int = 3, seed: int = 0, **options) -> Path:
    """A GeoTIFF of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (bands, *size), np.uint8)
    profile = {"driver": "GTiff", "dtype": "uint8", "crs": UTM, "transform": PLACE, "tiled": True} | options
    tiles = {"blockxsize": 64, "blockysize": 64, "photometric": "RGB" if bands == 3 else "MINISBLACK"}
    with rasterio.open(path, "w", height=size[0], width=size[1], count=bands, **profile, **tiles) as file:
        file.write(pixels)
    return path


def outlines() -> list[np.ndarray]:
    """In pixels: a slanted quadrilateral, a triangle upon it, one that leaves the image."""
    return [
        np.array([(10.1, 8), (70, 15.3), (64.2, 60), (5, 50)]),
        np.array([(40.2, 20), (90, 40.1), (45, 80.3)]),
        np.array([(100.1, 50), (150, 60.2), (110.3, 120)]),
    ]


def on_ground(outline: np.ndarray, crs: str = UTM) -> np.ndarray:
    return np.array(transform(UTM, crs, *_apply(PLACE, *outline.T))).T


def layer(path: Path, crs: str | None = DEGREES, values: tuple = CLASSES, field: str = "class") -> Path:
    """The outlines as a layer of any of the three kinds."""
    from pyogrio.raw import write

    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = np.array([shapely.to_wkb(shapely.Polygon(on_ground(own, crs or UTM))) for own in outlines()], object)
    column = np.array(values, object if isinstance(values[0], str) else None)
    kind = {".geojson": "GeoJSON", ".gpkg": "GPKG", ".shp": "ESRI Shapefile"}[path.suffix]
    write(path, shapes, [column], np.array([field]), geometry_type="Polygon", crs=crs, driver=kind)
    return path


def expected(names: tuple[str, ...], fill: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """The label map by asking of each pixel's center whether it lies in a polygon; the later ones count."""
    y, x = np.indices(size) + 0.5
    ids = np.full(size, fill, np.uint8)
    for name, outline in zip(CLASSES, outlines(), strict=True):
        ids[shapely.contains_xy(shapely.Polygon(outline), x, y)] = names.index(name)
    return ids


def opened(root: Path, task: str = "segmentation", **changes) -> Folder:
    data = open_dataset(root, task, changes=changes)
    assert isinstance(data, Folder)
    return data


@pytest.mark.parametrize("name", ["labels.geojson", "labels/scene.gpkg", "scene.shp", "vectors/all.gpkg"])
@pytest.mark.parametrize("crs", [DEGREES, MERCATOR, UTM])
def test_a_layer_in_any_crs_is_burnt_in(name: str, crs: str, tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif")
    layer(tmp_path / name, DEGREES if name.endswith("json") else crs)
    data = opened(tmp_path)
    assert data.class_names == ("background", "forest", "water")
    assert data.names == ["scene"]
    found, wanted = data.labels(0), expected(data.class_names, 0)
    assert (found != wanted).sum() <= 1
    assert len(np.unique(found)) == 3
    assert (data.labels(0, (slice(10, 60), slice(20, 90))) == found[10:60, 20:90]).all()
    assert not check(data).problems


def test_without_background_the_rest_is_unlabelled_and_asked_about(tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif")
    layer(tmp_path / "labels.geojson")
    assert "covers is taken for background" in opened(tmp_path).questions[0]
    data = opened(tmp_path, classes=["water", "forest"])
    assert (data.labels(0) != expected(("water", "forest"), 255)).sum() <= 1
    assert not data.questions


def test_a_scene_is_cut_into_blocks_that_make_it_up(tmp_path: Path) -> None:
    path = scene(tmp_path / "scene.tif", (300, 520), 4, dtype="uint8")
    layer(tmp_path / "labels.gpkg", MERCATOR)
    whole, data = opened(tmp_path), opened(tmp_path, block=128)
    assert len(whole) == 1
    assert data.names[0] == "scene[0,0]"
    assert len(data) == 2 * 4
    assert "8 blocks" in " ".join(data.notes)
    image, labels = np.zeros((300, 520, 4), np.uint8), np.zeros((300, 520), np.uint8)
    for i, item in enumerate(data.items):
        assert item.block
        assert data.size(i) == (item.block.width, item.block.height)
        image[item.block.window], labels[item.block.window] = data.image(i), data.labels(i)
        inner = slice(3, 90), slice(5, 77)
        assert (data.image(i, inner) == data.image(i)[inner]).all()
        assert (data.labels(i, inner) == data.labels(i)[inner]).all()
    assert (image == tifffile.imread(path)).all()
    assert (labels == whole.labels(0)).all()


def test_what_was_not_measured_is_unlabelled(tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif", (300, 520), 1, nodata=7)
    layer(tmp_path / "labels.gpkg")
    data = opened(tmp_path, block=128)
    for i in range(len(data)):
        assert ((data.labels(i) == 255) == (data.image(i)[..., 0] == 7)).all()


def test_blocks_without_any_label_are_left_out_unless_they_are_background(tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif", (300, 520))
    layer(tmp_path / "labels.gpkg")
    data = opened(tmp_path, block=64, classes=["water", "forest"])
    assert 0 < len(data) < len(opened(tmp_path, block=64))
    assert all((data.labels(i) != 255).any() for i in range(len(data)))


@pytest.mark.parametrize("size", [(640, 640), (256, 1300)])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_neighbors_are_never_on_both_sides(size: tuple[int, int], share: float, tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif", size)
    layer(tmp_path / "labels.gpkg")
    learnt, held = hold_out(opened(tmp_path, block=64), share)
    sides = [[tuple(map(int, name[6:-1].split(","))) for name in side.names] for side in (learnt, held)]
    assert len(sides[1]) == round(share * (size[0] // 64) * (size[1] // 64))
    assert len(sides[0]) > 0
    nearest = min(max(abs(y - v), abs(x - u)) for y, x in sides[0] for v, u in sides[1])
    assert nearest == 2


def test_a_scene_of_few_blocks_cannot_be_divided(tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif", (128, 128))
    layer(tmp_path / "labels.gpkg")
    with pytest.raises(InputError, match="let blocks be smaller"):
        hold_out(opened(tmp_path, block=64), 0.2)


@pytest.mark.parametrize("block", [None, 64])
@pytest.mark.parametrize("task", ["segmentation", "regression"])
def test_a_label_map_of_another_grid_is_read_at_the_images_pixels(block: int, task: str, tmp_path: Path) -> None:
    """Against the label's own pixels, looked up by PROJ's way from the center of each pixel of the image."""
    scene(tmp_path / "images/scene.tif", (130, 140))
    numbers = np.kron(np.arange(36).reshape(6, 6) % 5, np.ones((8, 8))).astype(
        np.float32 if task != "segmentation" else np.uint8
    )
    left, top = on_ground(np.array([(20, 10)]), MERCATOR)[0]
    grid = Affine(23.0, 0, left, 0, -31.0, top)
    folder = "labels" if task == "segmentation" else "values"
    (tmp_path / folder).mkdir()
    with rasterio.open(
        tmp_path / folder / "scene.tif", "w", driver="GTiff", height=48, width=48, count=1, dtype=numbers.dtype,
        crs=MERCATOR, transform=grid, nodata=4,
    ) as file:  # fmt: skip
        file.write(numbers, 1)
    data = opened(tmp_path, task, **({} if block is None else {"block": block}))
    found = np.full((130, 140), 77, np.float32)
    for i, item in enumerate(data.items):
        found[item.block.window if item.block else ...] = data.labels(i)
        data.size(i)
    assert any("another grid" in note for note in data.notes)
    y, x = np.indices((130, 140)) + 0.5
    ground = transform(UTM, MERCATOR, *(own.ravel() for own in _apply(PLACE, x, y)))
    column, row = _apply(~grid, np.array(ground[0]), np.array(ground[1]))
    inside = ((column > 0) & (column < 48) & (row > 0) & (row < 48)).reshape(130, 140)
    wanted = np.zeros(130 * 140)
    at = np.flatnonzero(inside.ravel())
    wanted[at] = numbers[row[at].astype(int), column[at].astype(int)]
    wanted = wanted.reshape(130, 140)
    known = inside & (wanted != 4)
    assert 3000 < known.sum() < known.size - 3000
    if task == "segmentation":
        assert (found[known] == wanted[known]).mean() > 0.9999
        assert (found[~known] == 255).all()
    else:  # between pixels what lies between their numbers
        assert np.isnan(found[~known]).mean() > 0.8
        assert abs(found[known] - wanted[known])[~np.isnan(found[known])].mean() < 0.5


def _apply(place: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return place.a * x + place.b * y + place.c, place.d * x + place.e * y + place.f


def test_no_more_of_a_scene_is_in_memory_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 MB: opened, its ranges found, each view of training and each block of validation read."""
    scene(tmp_path / "scene.tif", (4096, 4096), 1, compress="deflate", nodata=0)
    layer(tmp_path / "labels.gpkg")
    tracemalloc.start()
    data = opened(tmp_path)
    for i in range(0, len(data), 7):
        assert data.image(i).size == data.labels(i).size * 3 == 512 * 512 * 3  # gray is repeated
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data) == 64
    assert peak < 2**23
    decoded, paste = [], tiff._paste
    monkeypatch.setattr(tiff, "_paste", lambda *given: (decoded.append(given[3]), paste(*given)))
    data.image(9, (slice(0, 64), slice(0, 128)))
    assert decoded == [8 * 64 + 8, 8 * 64 + 9]  # tiles of 64 x 64 pixels


class TestBadInput:
    def refused(self, root: Path, message: str, **changes) -> None:
        with pytest.raises(InputError, match=message) as caught:
            opened(root, **changes)
        assert "\n" not in str(caught.value)

    def test_no_crs(self, tmp_path: Path) -> None:
        scene(tmp_path / "scene.tif")
        layer(tmp_path / "labels.shp", None)
        self.refused(tmp_path, r"labels.shp does not say in which CRS .* lay labels.prj beside it")

    def test_no_such_attribute(self, tmp_path: Path) -> None:
        scene(tmp_path / "scene.tif")
        layer(tmp_path / "labels.geojson")
        self.refused(tmp_path, "has no attribute 'kind'; it has class", attribute="kind")

    def test_no_attribute_is_called_class(self, tmp_path: Path) -> None:
        scene(tmp_path / "scene.tif")
        layer(tmp_path / "labels.geojson", values=(1, 2, 1), field="fclass_n")
        self.refused(tmp_path, '"attribute": "fclass_n" in dataset.json')
        assert opened(tmp_path, attribute="fclass_n").class_names == ("background", "1", "2")

    def test_features_without_a_class(self, tmp_path: Path) -> None:
        scene(tmp_path / "scene.tif")
        layer(tmp_path / "labels.geojson", values=("water", None, "water"))
        self.refused(tmp_path, r"1 of 3 features have no 'class' \(the first is number 2\)")

    def test_features_elsewhere(self, tmp_path: Path) -> None:
        far = Affine(10, 0, 600_000, 0, -10, 5_200_000)
        scene(tmp_path / "scene.tif", transform=far)
        layer(tmp_path / "labels.geojson")
        self.refused(tmp_path, "3 features, none of them on scene.tif; give the layer of this place")
        scene(tmp_path / "other.tif")
        self.refused(tmp_path, "none of them on scene.tif")
        assert opened(tmp_path, missing_labels="skip").names == ["other"]
        assert not opened(tmp_path, missing_labels="background").labels(1).any()

    def test_two_layers(self, tmp_path: Path) -> None:
        scene(tmp_path / "scene.tif")
        layer(tmp_path / "a.geojson")
        layer(tmp_path / "b.gpkg")
        self.refused(tmp_path, "a.geojson and b.gpkg both hold labels of scene.tif")
        assert len(opened(tmp_path, labels="b.gpkg", images="*.tif")) == 1

    def test_an_image_without_a_place(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "scene.tif", np.zeros((20, 20), np.uint8))
        layer(tmp_path / "labels.geojson")
        self.refused(tmp_path, "labels.geojson holds places on the ground, and no image")

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        scene(tmp_path / "scene.tif")
        (tmp_path / "labels.gpkg").write_text('<OGRVRTDataSource><OGRVRTLayer name="a"/></OGRVRTDataSource>')
        self.refused(tmp_path, "no gpkg file by its content")
        (tmp_path / "labels.gpkg").unlink()
        (tmp_path / "labels.geojson").write_text(json.dumps({"type": "FeatureCollection"})[:-4])
        self.refused(tmp_path, "labels.geojson cannot be read")

    def test_several_layers_in_one_file(self, tmp_path: Path) -> None:
        from pyogrio.raw import write

        scene(tmp_path / "scene.tif")
        path = layer(tmp_path / "labels.gpkg")
        shapes = np.array([shapely.to_wkb(shapely.Point(0, 0))], object)
        write(
            path, shapes, [], np.array([]), geometry_type="Point", crs=UTM, layer="points", append=True, driver="GPKG"
        )
        self.refused(tmp_path, r'holds the layers labels, points; say which has the labels: "layer": "labels"')
        assert len(opened(tmp_path, layer="labels").class_names) == 3


def test_a_layer_without_fields_is_one_class_called_as_it_is(tmp_path: Path) -> None:
    scene(tmp_path / "scene.tif")
    feature = {"type": "Polygon", "coordinates": [on_ground(outlines()[0], DEGREES).tolist()]}
    features = [{"type": "Feature", "properties": {}, "geometry": feature}]
    (tmp_path / "buildings.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    data = opened(tmp_path)
    assert data.class_names == ("background", "buildings")
    assert 1000 < data.labels(0).sum() < 4000
