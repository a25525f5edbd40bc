"""Arms times seeds: which runs an experiment is made of, and carrying them out.

A run is known by its settings. One that is in a results file already, of this experiment or of another on the same
machine, is not repeated; one that was killed goes on. Each is a process of its own, so that its peak memory is its own.
On a CPU each has one thread and there are as many side by side as this process may use cores (`taskset` bounds them):
runs are short, and get more done that way. Each run notes how many that were, since their seconds depend on it.
"""

import json
import os
import platform
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
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
from recipes.experiments.tables import BESIDE
from recipes.results import RESULTS

FREE = ("out", "resume", "num_workers", "checkpoint_every")  # settings that a run is not known by


@dataclass(frozen=True)
class Arm:
    """One setting among those that are compared.

    task: several with commas between them are one network for all of them. settings: of `pixelnet.train`, where the arm
    differs from others of its task; of those that are paths, "{seed}" stands for the run's. control: the arm that it is
    compared with. published: the paper's row, as text. prepare: called with a run's settings before it is made: it
    writes what they name, where it is not there. splits: of the data, on which the model is scored in the end as well.
    """

    task: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    control: str | None = None
    published: str = ""
    prepare: Callable[[dict[str, Any]], None] | None = None
    splits: tuple[str, ...] = ()


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
            yield arm, settings_of(experiment, arm, seed)


def settings_of(experiment: Experiment, arm: Arm, seed: int) -> dict[str, Any]:
    settings = {**experiment.common[arm.task], **arm.settings, "task": arm.task, "seed": seed}
    for name in ("data", "init_from"):
        if settings.get(name):
            settings[name] = str(settings[name]).replace("{seed}", str(seed))
    return settings


def carry_out(experiment: Experiment, out: Path, folder: Path = RESULTS) -> dict[str, Any]:
    """Do what is left to do of an experiment, writing its results file and picture in `folder` after every run.

    Seeds that the file has beyond the experiment's stay in it: one may run a few now and more later.
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
        "arms": [
            {name: getattr(arm, name) for name in ("task", "name", "control", "published")} for arm in experiment.arms
        ],
        "picture": "means over seeds, and their 95 % intervals",
        "runs": [],
    }
    if path.exists():
        before = read_result(path)
        if before["machine"] != result["machine"]:
            raise InputError(f"{path} was begun on another machine, {before['machine']}; move it away to start afresh")
        result |= {name: value for name, value in before.items() if name not in result}
    found: dict[int, dict[str, Any]] = {}
    with ThreadPoolExecutor(side_by_side()) as pool:
        places = {
            pool.submit(look_up_or_run, arm, settings, out / experiment.name, path, result["machine"]): place
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
    result["runs"] += of_other_seeds(experiment, path)
    write_json(path, result)  # without arms that are no longer of it
    draw(result, path.with_suffix(".png"))
    return result


def look_up_or_run(arm: Arm, settings: dict[str, Any], out: Path, path: Path, where: dict[str, Any]) -> dict[str, Any]:
    """An arm's run with some seed, from the results file or another one beside it if it is in one, else made in `out`.

    Another experiment's is taken only if as many runs went side by side as do now: arms are compared by seconds, too.
    """
    key = identity(settings)
    run = next((run for run in finished(path, where) if fits(run, arm, key)), None)
    if run is None:
        if arm.prepare is not None:
            with _lock(str(settings.get("init_from") or settings["data"])):
                arm.prepare(settings)
        run = run_apart(settings, out / f"{slug(arm.task)}-{slug(arm.name)}-{settings['seed']}", arm.splits)
        run[BESIDE] = side_by_side()
    return {**run, "task": arm.task, "arm": arm.name}


@cache
def _lock(what: str) -> Lock:
    """Held while this is prepared, so that it is prepared once."""
    return Lock()


def fits(run: dict[str, Any], arm: Arm, key: dict[str, Any]) -> bool:
    """Whether a finished run is the arm's with the settings of this identity."""
    own = run["settings"]
    alike = (own["task"], own["seed"]) == (key["task"], key["seed"])  # which is known sooner than the rest
    return alike and set(arm.splits) <= run.get("splits", {}).keys() and identity(own) == key


def keep(result: dict[str, Any], path: Path) -> None:
    """Write a results file, unless the one that is there holds as much and more."""
    before = read_result(path)["runs"] if path.exists() else []
    mine = [(run["task"], run["arm"], run["seed"]) for run in result["runs"]]
    later = [run for run in before if (run["task"], run["arm"], run["seed"]) not in mine]
    write_json(path, result | {"runs": result["runs"] + later})


def of_other_seeds(experiment: Experiment, path: Path) -> list[dict[str, Any]]:
    """The runs in a results file of the experiment's arms as they are now, with seeds that it has not."""
    arms = {(arm.task, arm.name): arm for arm in experiment.arms}
    return [
        run
        for run in read_result(path)["runs"]
        if run["seed"] not in experiment.seeds
        and (arm := arms.get((run["task"], run["arm"]))) is not None
        and fits(run, arm, identity(settings_of(experiment, arm, run["seed"])))
    ]


def read_result(path: Path) -> dict[str, Any]:
    """A results file. In older ones the machine knows how many runs went side by side; then each run knows it here."""
    result: dict[str, Any] = read_json(path)
    beside = result.get("machine", {}).pop(BESIDE, None)
    if beside is not None:
        result["runs"] = [{**run, BESIDE: beside} for run in result["runs"]]
    return result


def finished(path: Path, where: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs made on this machine: all of this results file, and of those beside it the ones with as many at once."""
    files = {other: read_result(other) for other in sorted(path.parent.glob("*.json"))}
    return [
        run
        for other, file in files.items()
        if file.get("machine") == where
        for run in file.get("runs", [])
        if other == path or run.get(BESIDE) == side_by_side()
    ]


def identity(settings: dict[str, Any]) -> dict[str, Any]:
    """All settings of a run that it is known by, as JSON holds them: no paths, and defaults filled in.

    Of what this returned, too, so that a run is still known when there are options that there were not at its time.
    A model that it starts from is known by the name of its folder, and need not be there.
    """
    start = {"init_from": settings.get("init_from")}
    whole = to_dict(with_network(from_dict(TrainConfig, {"out": "", **settings, "init_from": None}, "an arm")))
    kept = {name: value for name, value in without_paths(whole | start).items() if name not in FREE}
    return json.loads(json.dumps(kept))


def run_apart(settings: dict[str, Any], out: Path, splits: Sequence[str] = ()) -> dict[str, Any]:
    """Train in a process of its own and return the run as results files hold it."""
    more = train_apart(settings, out, splits)
    config = read_json(out / "config.json")
    run = {"seed": settings["seed"], "settings": identity(settings), **summary(read_metrics(out), config), **more}
    shutil.rmtree(out)
    return run


def train_apart(settings: dict[str, Any], out: Path, splits: Sequence[str] = ()) -> dict[str, Any]:
    """Train in a process of its own, or go on with it: its peak memory, and its scores on some splits of its data."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_train, settings, out, splits).result()


def summary(lines: Sequence[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """Of a run's metrics.jsonl: its steps, the seconds they took, the last scores, and the headline on the way there.

    Seconds are those of training, with the wait for batches, without validation: steps times the run's median step, so
    that what the computer did besides for a while does not count. Of several tasks scores and curve are dicts by task.
    """
    tasks = config["model"]["task"].split(",")
    step = statistics.median(line["seconds"] for line in lines if "loss" in line)
    steps = max(line["step"] for line in lines if "loss" in line)
    found = [line for line in lines if "scores" in line]
    curves, last = {}, {}
    for task in tasks:
        scores = [line["scores"] if len(tasks) == 1 else line["scores"][task] for line in found]
        curves[task] = [
            {
                "step": line["step"],
                "images": line["step"] * config["train"]["batch_size"],
                "seconds": round(line["step"] * step, 2),
                "score": own[TASKS[task].headline[0]],
            }
            for line, own in zip(found, scores, strict=True)
        ]
        last[task] = _named(scores[-1], config["model"]["class_names"]) if scores else {}
    if len(tasks) == 1:
        return {"steps": steps, "seconds": steps * step, "scores": last[tasks[0]], "curve": curves[tasks[0]]}
    return {"steps": steps, "seconds": steps * step, "scores": last, "curve": curves}


def _named(scores: dict[str, Any], class_names: Sequence[str]) -> dict[str, Any]:
    """Scores in which those of classes have their names."""
    if "iou_per_class" not in scores:
        return scores
    by_class = dict(zip(class_names, scores["iou_per_class"], strict=True))
    return {name: value for name, value in scores.items() if name != "dice_per_class"} | {"iou_per_class": by_class}


def _train(settings: dict[str, Any], out: Path, splits: Sequence[str]) -> dict[str, Any]:
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    model = pixelnet.train(**settings, out=out, resume=True)
    more: dict[str, Any] = {"peak_memory_gib": peak_gib() or 0.0}
    if torch.cuda.is_available():
        more["accelerator_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
    if splits:
        scores = {split: pixelnet.evaluate(model, data=settings["data"], split=split) for split in splits}
        more["splits"] = {
            split: {name: value for name, value in own.items() if isinstance(value, float)}
            for split, own in scores.items()
        }
    return more


def side_by_side() -> int:
    """How many runs go at once: one on an accelerator, else as many as this process may use cores."""
    if torch.cuda.is_available():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    found: dict[str, Any] = {"cores": os.cpu_count(), "processor": platform.machine(), "torch": torch.__version__}
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


def slug(name: str) -> str:
    """An arm's name as a folder's."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())
