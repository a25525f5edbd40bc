"""Fixtures for every test: the real data where it is to be had, and tiny data sets on disk where it is not."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from scipy.io import savemat

ROOT = Path(__file__).parents[1]

if "PYTEST_XDIST_WORKER" in os.environ:  # the other cores have tests of their own; before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure, and fixtures here hold no state that an example changes.
settings.register_profile("pixelnet", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("pixelnet")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A file system of S3 with the empty bucket `bucket`, as moto stands in for it."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ACCESS_KEY_ID", "none")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        import s3fs

        # All servers of a process share their buckets, and s3fs keeps systems of servers that are gone.
        urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST"))
        s3fs.S3FileSystem.clear_instance_cache()
        system = s3fs.S3FileSystem(skip_instance_cache=True)
        system.mkdir("bucket")
        yield system
        server.stop()


@pytest.fixture
def striped_folder(tmp_path: Path) -> Path:
    """Images for the studio."""
    from studio_folder import make_folder

    return make_folder(tmp_path / "images")


@pytest.fixture
def served(striped_folder: Path) -> Iterator[Any]:
    """A studio of these, at an address."""
    from studio_folder import Served

    served = Served(striped_folder)
    yield served
    served.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that holds bsds500, camvid and nyudv2: PIXELNET_DATA, or ../shared/data."""
    return existing("PIXELNET_DATA", "../shared/data")


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder of trained backbones: PIXELNET_WEIGHTS, or ../shared/weights."""
    return existing("PIXELNET_WEIGHTS", "../shared/weights")


def existing(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT / default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}; set {variable} to run this test")
    return folder


def save_png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def random_image(rng: np.random.Generator, shape: tuple[int, int] = (12, 16)) -> np.ndarray:
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture
def folder_data(tmp_path: Path) -> Callable[..., Path]:
    """make(task, splits=("train", "val"), items=3, classes=4) -> a `folder:` data set with random content.

    `splits=(".",)` leaves the splits out. Segmentation holds every class and unlabelled pixels in every image.
    """

    def make(task: str, splits: tuple[str, ...] = ("train", "val"), items: int = 3, classes: int = 4) -> Path:
        rng = np.random.default_rng(0)
        root = tmp_path / f"folder-{task}"
        for split in splits:
            for k in range(items):
                shape = (12 + k, 16)
                save_png(root / split / "images" / f"{k:04d}.png", random_image(rng, shape))
                if task == "segmentation":
                    ids = rng.integers(0, classes, shape, dtype=np.uint8)
                    ids[0, : classes + 1] = [*range(classes), 255]
                    save_png(root / split / "labels" / f"{k:04d}.png", ids)
                elif task == "normals":
                    save_png(root / split / "normals" / f"{k:04d}.png", rng.integers(0, 256, (*shape, 3), np.uint8))
                elif task == "edges":
                    save_png(root / split / "edges" / f"{k:04d}.png", rng.integers(0, 256, shape, np.uint8))
                else:
                    (root / split / "values").mkdir(exist_ok=True)
                    values = rng.normal(5, 1, shape).astype(np.float32)
                    values[0, 0] = np.nan
                    np.save(root / split / "values" / f"{k:04d}.npy", values)
        return root

    return make


@pytest.fixture
def camvid_data(tmp_path: Path) -> Path:
    """A CamVid of two train images and one val image, 16x12."""
    rng, root = np.random.default_rng(1), tmp_path / "camvid"
    for split, name in (("train", "a_2"), ("train", "a_1"), ("val", "b_1")):
        save_png(root / split / "images" / f"{name}.png", random_image(rng))
        save_png(root / split / "labels" / f"{name}.png", rng.integers(0, 12, (12, 16), dtype=np.uint8))
    return root


@pytest.fixture
def bsds500_data(tmp_path: Path) -> Path:
    """A BSDS500 of two train images and one val image, 16x12, with 4 to 6 annotators."""
    rng, root = np.random.default_rng(2), tmp_path / "bsds500"
    for annotators, (split, name) in enumerate((("train", "100"), ("train", "20"), ("val", "3")), start=4):
        save_png(root / "images" / split / f"{name}.png", random_image(rng))
        cell = np.empty((1, annotators), dtype=object)
        for k in range(annotators):
            cell[0, k] = {"Boundaries": rng.integers(0, 2, (12, 16), dtype=np.uint8)}
        path = root / "groundTruth" / split / f"{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, {"groundTruth": cell})
    return root


@pytest.fixture
def nyudv2_data(tmp_path: Path) -> Path:
    """An NYUv2 of two train images and one test image, 16x12, with class names "1".."40" and a made-up table to 13."""
    rng, root = np.random.default_rng(3), tmp_path / "nyudv2"
    for part, name in (("train", "0002"), ("train", "0001"), ("test", "0003")):
        save_png(root / part / "images" / f"{name}.png", random_image(rng))
        save_png(root / part / "labels40" / f"{name}.png", rng.integers(0, 41, (12, 16), dtype=np.uint8))
        normals = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        normals[0, 0] = 0
        save_png(root / part / "normals" / f"{name}.png", normals)
        depth = rng.integers(300, 9900, (12, 16)).astype(np.uint16)
        depth[0, 0] = 0
        save_png(root / part / "depth" / f"{name}.png", depth)
    classes = {
        "labels40": ["unlabelled", *map(str, range(1, 41))],
        "labels13": ["unlabelled", *"abcdefghijklm"],
        "map40to13": [0, *(1 + (7 * k) % 13 for k in range(40))],
    }
    (root / "classes.json").write_text(json.dumps(classes))
    return root


@pytest.fixture
def nyudv2_mat(tmp_path: Path) -> Path:
    """The folder of a tiny nyu_depth_v2_labeled.mat of 5 pairs, 64x52, splits.mat and classMapping40.mat.

    As MATLAB writes them: arrays transposed, deflated in chunks of one item, behind a header of 512 bytes, names as
    references to arrays of characters; splits and classes in the older format. Item k is a wall k meters ahead, and
    its labels are the rows' numbers.
    """
    rng, root = np.random.default_rng(4), tmp_path / "nyudv2-mat"
    root.mkdir()
    path, size = root / "nyu_depth_v2_labeled.mat", (64, 52)
    arrays = {
        "images": rng.integers(0, 256, (5, 3, *size), dtype=np.uint8),
        "depths": np.broadcast_to(np.arange(1.0, 6)[:, None, None], (5, *size)).astype(np.float32),
        "labels": np.broadcast_to(np.arange(52), (5, *size)).astype(np.uint16),
    }
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            stored = file.create_dataset(name, data=array, chunks=(1, *array.shape[1:]), compression="gzip")
            stored.attrs["MATLAB_class"] = np.bytes_(
                {"u1": "uint8", "u2": "uint16", "f4": "single"}[array.dtype.str[1:]]
            )
        cells = [file.create_dataset(f"#refs#/{k}", data=np.array([[ord("a") + k]], np.uint16)).ref for k in range(9)]
        names = file.create_dataset("names", data=np.array([cells], dtype=h5py.ref_dtype))
        names.attrs["MATLAB_class"] = np.bytes_("cell")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)
    savemat(root / "splits.mat", {"trainNdxs": np.array([[2], [5], [3]]), "testNdxs": np.array([[1], [4]])})
    savemat(root / "classMapping40.mat", {"mapClass": 1 + (7.0 * np.arange(60)[None] % 40)})
    return root
