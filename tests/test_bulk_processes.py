"""Images that several processes share: the files are those of one, bit for bit, of photos and of scenes in windows."""

import os
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import pytest
from test_ground import geotiff
from test_predict import picture, small

from pixelnet.files import write_png

ROOT = Path(__file__).parents[1]
PHOTOS = 5  # which neither two nor three share evenly, with the scene
# Blocks as small as they can be, so that the scene is cut.
CUT = """
import sys
from pixelnet.cli import main
from pixelnet.inference import scene

scene.AT_ONCE, scene.LARGEST = 2**14, 128
scene.Cost.of = lambda self, pixels: 2**60 * (pixels > 2**18)
sys.exit(main())
"""


def answered(folder: Path, processes: int) -> dict[str, str]:
    """The hash of each file that so many processes wrote, apart from their notes."""
    out = folder / f"by-{processes}"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(folder / "cut.py"), "predict"]
    command += [str(folder / "model"), str(folder / "images"), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    kept = [path for path in files if ".predict" not in path.relative_to(out).parts]
    return {path.relative_to(out).as_posix(): blake2b(path.read_bytes()).hexdigest() for path in kept}


def test_one_two_and_three_processes_leave_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    small().save(tmp_path / "model")
    (tmp_path / "images").mkdir()
    (tmp_path / "cut.py").write_text(CUT)
    for k in range(PHOTOS):
        write_png(tmp_path / f"images/photo-{k}.png", picture(40 + k, 60))
    geotiff(tmp_path / "images/scene.tif", 1.0, size=(520, 600))
    one = answered(tmp_path, 1)
    assert {"segmentation/scene.tif", "view/scene.png", *(f"segmentation/photo-{k}.png" for k in range(PHOTOS))} < {
        *one
    }
    for processes in (2, 3):
        assert answered(tmp_path, processes) == one
