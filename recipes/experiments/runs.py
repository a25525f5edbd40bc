"""Arms times seeds: which runs an experiment is made of, and carrying them out.

A run is known by its settings. One that is in a results file already, of this experiment or of another on the same
machine, is not repeated; one that was killed goes on. Each is a process of its own, so that its peak memory is its own.
On a CPU each has one thread and there are as many side by side as cores: runs are short, and get more done that way.
"""

import json
import os
import platform
import shutil
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import pixelnet
from pixelnet import InputError
from pixelnet.config import TrainConfig, from_dict, read_json, to_dict
from pixelnet.files import write_json
from pixelnet.memory import peak_gib
from pixelnet.report.plots import read_metrics
from pixelnet.runs.publish import without_paths
from pixelnet.runs.settings import with_network
from pixelnet.tasks import TASKS
from recipes.experiments.pictures import draw
from recipes.results import RESULTS

FREE = ("out", "resume", "num_workers", "checkpoint_every")  # settings that a run is not known by


@dataclass(frozen=True)
class Arm:
    """One setting among those that are compared.

    settings: of `pixelnet.train`, where the arm differs from others of its task. control: the arm that it is compared
    with. published: the paper's row, as text.
    """

    task: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    control: str | None = None
    published: str = ""


@dataclass(frozen=True)
class Experiment:
    """Arms that are run with the same seeds.

    common: settings of all arms of each task; an arm's own come on top. compare: at what the arms are to be equal:
    "end" (of each arm's own schedule), "step", "images" or "seconds" (as far as all arms came at their full rate).
    """

    name: str
    what: str
    command: str
    arms: Sequence[Arm]
    common: dict[str, dict[str, Any]]
    compare: Sequence[str] = ("end", "seconds")
    seeds: Sequence[int] = (0, 1, 2)


def plan(experiment: Experiment) -> Iterator[tuple[Arm, dict[str, Any]]]:
    """Each run's arm and its settings: seed by seed, so that all arms have the same seeds wherever it stops."""
    for seed in experiment.seeds:
        for arm in experiment.arms:
            yield arm, {**experiment.common[arm.task], **arm.settings, "task": arm.task, "seed": seed}


def carry_out(experiment: Experiment, out: Path, folder: Path = RESULTS) -> dict[str, Any]:
    """Do what is left to do of an experiment, writing its results file and picture in `folder` after every run.

    out: folder of the runs, each of which is removed once its result is written.

    Raises:
        InputError: the results file was begun on another machine.
    """
    path = folder / f"{experiment.name}.json"
    result: dict[str, Any] = {
        "name": experiment.name,
        "what": experiment.what,
        "command": experiment.command,
        "machine": machine(),
        "compare": list(experiment.compare),
        "arms": [{name: value for name, value in asdict(arm).items() if name != "settings"} for arm in experiment.arms],
        "picture": "means over seeds, and their 95 % intervals",
        "runs": [],
    }
    if path.exists():
        before = read_json(path)
        if before["machine"] != result["machine"]:
            raise InputError(f"{path} was begun on another machine, {before['machine']}; move it away to start afresh")
        result |= {name: value for name, value in before.items() if name not in result}
    found: dict[int, dict[str, Any]] = {}
    with ThreadPoolExecutor(side_by_side()) as pool:
        places = {
            pool.submit(look_up_or_run, arm, settings, out / experiment.name, folder, result["machine"]): place
            for place, (arm, settings) in enumerate(plan(experiment))
        }
        try:
            for done in as_completed(places):
                found[places[done]] = done.result()
                result["runs"] = [found[place] for place in sorted(found)]
                keep(result, path)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    write_json(path, result)  # without arms that are no longer of it
    draw(result, path.with_suffix(".png"))
    return result


def look_up_or_run(
    arm: Arm, settings: dict[str, Any], out: Path, folder: Path, where: dict[str, Any]
) -> dict[str, Any]:
    """An arm's run with some seed, from the results files of `folder` if it is in one, else made in `out`."""
    key = identity(settings)
    run = next((run for run in finished(folder, where) if identity(run["settings"]) == key), None)
    if run is None:
        run = run_apart(settings, out / f"{arm.task}-{slug(arm.name)}-{settings['seed']}")
    return {**run, "task": arm.task, "arm": arm.name}


def keep(result: dict[str, Any], path: Path) -> None:
    """Write a results file, unless the one that is there holds as much and more."""
    before = read_json(path)["runs"] if path.exists() else []
    mine = [(run["task"], run["arm"], run["seed"]) for run in result["runs"]]
    later = [run for run in before if (run["task"], run["arm"], run["seed"]) not in mine]
    write_json(path, result | {"runs": result["runs"] + later})


def finished(folder: Path, where: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs in all results files of a folder that were made on this machine."""
    files = [read_json(path) for path in sorted(folder.glob("*.json"))]
    return [run for file in files if file.get("machine") == where for run in file.get("runs", [])]


def identity(settings: dict[str, Any]) -> dict[str, Any]:
    """All settings of a run that it is known by, as JSON holds them: no paths, and defaults filled in.

    Of what this returned, too, so that a run is still known when there are options that there were not at its time.
    """
    whole = to_dict(with_network(from_dict(TrainConfig, {"out": "", **settings}, "an arm")))
    kept = {name: value for name, value in without_paths(whole).items() if name not in FREE}
    return json.loads(json.dumps(kept))


def run_apart(settings: dict[str, Any], out: Path) -> dict[str, Any]:
    """Train in a process of its own and return the run as results files hold it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        memory = pool.submit(_train, settings, out).result()
    config = read_json(out / "config.json")
    run = {"seed": settings["seed"], "settings": identity(settings), **summary(read_metrics(out), config), **memory}
    shutil.rmtree(out)
    return run


def summary(lines: Sequence[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """Of a run's metrics.jsonl: its steps, the seconds they took, the last scores, and the headline on the way there.

    Seconds are those of training, with the wait for batches, without validation: steps times the run's median step, so
    that what the computer did besides for a while does not count.
    """
    headline = TASKS[config["model"]["task"]].headline[0]
    step = statistics.median(line["seconds"] for line in lines if "loss" in line)
    steps = 0
    curve: list[dict[str, Any]] = []
    scores: dict[str, Any] = {}
    for line in lines:
        if "loss" in line:
            steps = line["step"]
        elif "scores" in line:
            scores = line["scores"]
            images = line["step"] * config["train"]["batch_size"]
            point = {
                "step": line["step"],
                "images": images,
                "seconds": round(line["step"] * step, 2),
                "score": scores[headline],
            }
            curve.append(point)
    if "iou_per_class" in scores:
        by_class = dict(zip(config["model"]["class_names"], scores["iou_per_class"], strict=True))
        scores = {**scores, "iou_per_class": by_class}
        del scores["dice_per_class"]
    return {"steps": steps, "seconds": steps * step, "scores": scores, "curve": curve}


def _train(settings: dict[str, Any], out: Path) -> dict[str, float]:
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    pixelnet.train(**settings, out=out, resume=True)
    memory = {"peak_memory_gib": peak_gib() or 0.0}
    if torch.cuda.is_available():
        memory["accelerator_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
    return memory


def side_by_side() -> int:
    """How many runs go at once."""
    return 1 if torch.cuda.is_available() else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "runs side by side": side_by_side(),
        "processor": platform.machine(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


def slug(name: str) -> str:
    """An arm's name as a folder's."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())
