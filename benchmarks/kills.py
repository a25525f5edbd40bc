"""Many photos, some of them broken, and the process that answers them killed: is anything missing, or done twice?

    python -m benchmarks.kills --out docs/results/kills.json
    python -m benchmarks.kills --engine ray --workers 2 --out docs/results/kills.json    # a row beside the other

`pixelnet predict` runs in a process of its own and is killed with -9, all of its workers with it, each time when it has
answered its share of the images; then it is called once more and left alone. With an engine one of its workers is
killed, too, in that last call. Beside it stand the answers of one process that nobody killed, and every byte is
compared.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import tyro
from PIL import Image

from benchmarks.networks import ours
from benchmarks.timing import keep_in
from pixelnet.inference.journal import FAILURES, JOURNALS, NOTE

SIZE = (64, 48)
ROOT = Path(__file__).parents[1]
WHAT = (
    "Photos, some of them broken, answered by a process that was killed with -9 and called again, beside one that "
    "nobody killed: `missing`, `extra` and `other bytes` are files of its answers. `noted` are images in the journal. "
    "With an engine a worker was killed as well. Exit code 3 says that some images, the broken ones, have no answer."
)


@dataclass(frozen=True)
class Arguments:
    """Answer so many photos, in spite of so many kills."""

    images: int = 2000
    broken: int = 20
    kills: int = 3
    network: str = "tf_efficientnet_lite0"
    engine: Literal["ray"] | None = None
    workers: int | None = None
    out: Path | None = None
    """Write the row to this file as well."""


def write_photos(folder: Path, images: int, broken: int) -> set[str]:
    """Photos in ten folders; every so many of them is cut short. Returns the names of those."""
    rng, short = np.random.default_rng(0), set()
    for k in range(images):
        name = f"{k % 10}/{k:05d}"
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)).save(path)
        if k * broken // images != (k + 1) * broken // images:
            path.write_bytes(path.read_bytes()[:2000])
            short.add(name)
    return short


def answers(folder: Path) -> dict[str, bytes]:
    """A hash of each file, but for the notes of the folder itself and what a killed process has left unfinished."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    named = ((path.relative_to(folder).as_posix(), path) for path in files)
    notes = (FAILURES, NOTE, f"{JOURNALS}/")
    return {name: blake2b(path.read_bytes()).digest() for name, path in named if not name.startswith(notes)}


def noted(out: Path) -> list[str]:
    """The images in the journal, as often as they are there."""
    lines = [line for path in (out / JOURNALS).glob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line)["name"] for line in lines if line.startswith("{") and line.endswith("}")]


def killed(command: list[str], out: Path, most: int) -> int:
    """Kill the command, and all that it started, once so many images are answered; returns how many were."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(noted(out)) < most:
            if process.poll() is not None:
                raise SystemExit(f"it ended after {len(noted(out))} images, before it was killed; give more images")
            time.sleep(0.05)
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for one in family[::-1]:  # the process itself first, so that nobody can tell it of the others
            one.kill()
        psutil.wait_procs(family)
    return len(noted(out))


def finished(command: list[str], out: Path, engine: str | None, most: int) -> tuple[int, int]:
    """Let the command end, but for one worker of an engine's; returns its exit code, and how many were killed."""
    workers = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while engine and not workers and process.poll() is None:
            actors = [own for own in psutil.Process(process.pid).children(recursive=True) if _is_actor(own)]
            if actors and len(noted(out)) >= most:
                actors[0].kill()
                workers += 1
            time.sleep(0.05)
        return process.wait(), workers


def _is_actor(process: psutil.Process) -> bool:
    try:
        return "MapWorker" in " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return False


def measure(folder: Path, arguments: Arguments) -> dict[str, Any]:
    broken = write_photos(folder / "photos", arguments.images, arguments.broken)
    ours(arguments.network).eval().save(folder / "model")
    command = [sys.executable, "-m", "pixelnet", "predict", str(folder / "model"), str(folder / "photos"), "--out"]
    engine = ["--engine", arguments.engine] if arguments.engine else []
    engine += ["--workers", str(arguments.workers)] if arguments.workers else []
    out, whole = folder / "out", folder / "whole"
    shares = [arguments.images * (k + 1) // (arguments.kills + 2) for k in range(arguments.kills + 1)]
    at = [killed([*command, str(out), *engine], out, most) for most in shares[:-1]]
    code, workers = finished([*command, str(out), *engine], out, arguments.engine, shares[-1])
    alone = subprocess.run([*command, str(whole)], cwd=ROOT, capture_output=True).returncode
    left, expected, names = answers(out), answers(whole), noted(out)
    with (out / FAILURES).open() as file:
        failed = [row["name"] for row in csv.DictReader(file)]
    return {
        "images": arguments.images, "broken": arguments.broken, "engine": arguments.engine or "one process",
        "killed at": at, "workers killed": workers, "exit codes": [code, alone],
        "files": len(left), "missing": len(expected.keys() - left.keys()), "extra": len(left.keys() - expected.keys()),
        "other bytes": sum(left[name] != expected[name] for name in left.keys() & expected.keys()),
        "images noted": len(set(names)), "noted twice": len(names) - len(set(names)),
        "failures": len(failed), "failures right": sorted(failed) == sorted(broken),
        "failures.csv alike": (out / FAILURES).read_bytes() == (whole / FAILURES).read_bytes(),
    }  # fmt: skip


def main(arguments: Arguments) -> None:
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), arguments)
    print(row)
    if arguments.out is not None:
        keep_in(arguments.out, "kills", [row], WHAT, "python -m benchmarks.kills", ("engine",))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
