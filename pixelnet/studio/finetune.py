"""The network itself learns, in a process of its own, while the page goes on.

FOLDER/studio/finetune-N/dataset.json, labels/   what is learnt from: the labels as they were then
FOLDER/studio/finetune-N/fitted/                 the model that teaches, fitted to them
FOLDER/studio/finetune-N/run/                    the run of `pixelnet train --init-from fitted`
FOLDER/studio/finetune-N/kept.json               that it was the better one: the numbers of its classes, what was said

The run holds images back, fits the teacher to the others once more, and keeps the better of the two on what it held
back. Only where that is the network does it answer from then on.
"""

import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from pixelnet.config import read_json
from pixelnet.devices import step_back
from pixelnet.errors import InputError
from pixelnet.files import read_text, write_json
from pixelnet.learning.session import LABELS
from pixelnet.model import PixelNet
from pixelnet.nn.head import FITTED
from pixelnet.report.plots import read_metrics
from pixelnet.runs.hub import load
from pixelnet.runs.record import METRICS
from pixelnet.studio.learner import Refined
from pixelnet.studio.work import Work

KEPT = "kept.json"
COMPARED = "val miou: "  # what the run's line that compares the two begins with
FEWEST = 3  # labelled images, of which one at least is held back
HELD_BACK = 0.25  # of them
EVERY = 0.5  # seconds between looks at how far it is


class Finetuner(Work):
    """Let the network learn. options: further ones of `pixelnet train`."""

    kind = "finetune"
    busy = "the network is learning already; wait until it is done, or stop it"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.options: tuple[str, ...] = ()
        self._cancelled = Event()

    def start(self, minutes: float) -> dict[str, Any]:
        """Begin; returns the status. Raises InputError where one runs already, or there are too few labels."""
        labelled = [number for number in self.project.versions() if len(self.project.labelled(number)[0])]
        if len(labelled) < FEWEST:
            raise InputError(
                f"{len(labelled)} images have labels; label something in {FEWEST} or more, of which some are held back "
                "to see whether the network got better"
            )
        if any(self.project.pictures.is_large(number) for number in labelled):
            raise InputError("a network learns from whole images, and some are too large; cut them into tiles for that")
        return self._begin(lambda: self._finetune(minutes), "fitting the model that teaches")

    def cancel(self) -> dict[str, Any]:
        """Stop; nothing of it stays, and the answers are as they were."""
        self._cancelled.set()
        if self._state["running"]:
            self._say(words="stopping")
        return self.status()

    def _fresh(self) -> None:
        self._cancelled.clear()

    def close(self) -> None:
        self.cancel()
        super().close()

    def resume(self) -> None:
        """Offer the network that was kept last, and remove what a studio that was killed has left of another."""
        folders = self.project.own.glob("finetune-*")
        for folder in sorted(folders, key=lambda own: (len(own.name), own.name), reverse=True):
            if not (folder / KEPT).exists():
                shutil.rmtree(folder, ignore_errors=True)
                continue
            with suppress(InputError, KeyError):  # what people moved away is not offered
                kept = read_json(folder / KEPT)
                if self.learner.refined is None and kept["ids"] == self.project.classes.ids:
                    ids, run = np.array(kept["ids"], np.uint8), folder / "run"
                    self.learner.refine(
                        Refined(self._load(run), ids, run, kept["command"], kept["words"]), by_network=False
                    )

    def _load(self, run: Path) -> PixelNet:
        return load(run, device=self.learner.device)

    def _finetune(self, minutes: float) -> None:
        folder, kept = self.project.fresh("finetune"), False
        try:
            words, kept = self._learn(folder, minutes)
        finally:
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)
        self._say(words=words, done=1.0 if kept else 0.0)

    def _learn(self, folder: Path, minutes: float) -> tuple[str, bool]:
        """What came of it, in words, and whether it is kept."""
        ids = np.array(self.project.classes.ids, np.uint8)
        data = self.project.snapshot(folder)
        session, fitted, run = self.learner.fitted(), folder / "fitted", folder / "run"
        session.save(fitted)
        options = ["--task", "segmentation", "--data", str(data), "--init-from", str(fitted)]
        options += ["--val-share", str(HELD_BACK), *self.options]
        ended = self._train(
            [*options, "--device", self.learner.device, "--minutes", f"{minutes:g}", "--out", str(run)],
            folder / "told.txt",
            run,
        )
        if self._cancelled.is_set():
            return "stopped; all is as it was", False
        lines = read_text(folder / "told.txt").replace("\r", "\n").strip().splitlines() or ["it has ended"]
        if ended:
            return f"the network could not learn: {lines[-1].removeprefix('pixelnet: ')}", False
        words = next((line for line in reversed(lines) if line.startswith(COMPARED)), "nothing was held back")
        model = self._load(run)
        better = model.config.head != FITTED and words.startswith(COMPARED)
        words = words.replace(COMPARED, "mean IoU on images held back: ")
        if not better:
            return f"all stays as it was; {words}", False
        if ids.tolist() != self.project.classes.ids:
            return "the classes have changed meanwhile, so this network is of no use; begin anew", False
        shutil.copyfile(fitted / LABELS, run / LABELS)
        again = ["--max-steps", str(_steps(run)[1]), "--out", f"{run}-again"]
        command = shlex.join(["pixelnet", "train", *options, *again])
        write_json(folder / KEPT, {"ids": ids.tolist(), "command": command, "words": words})
        self.learner.refine(Refined(model, ids, run, command, words))
        return words, True

    def _train(self, options: list[str], told: Path, run: Path) -> int:
        """Train in a process of its own; returns its exit code."""
        with told.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "pixelnet.studio.child", "train", *options],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
            )
        try:
            step_back(process.pid)  # the page goes first
            self._step(words="the model that teaches answers for all images")
            while process.poll() is None and not self._cancelled.wait(EVERY):
                step, total = _steps(run)
                if total:
                    words = f"the network learns, step {step} of {total}" if step < total else "comparing the two"
                    self._say(words=words, done=round(step / total, 2))
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return process.returncode


def _steps(run: Path) -> tuple[int, int]:
    """How many steps a run has taken, and how many it will have; 0 as long as nobody knows."""
    lines = read_metrics(run) if (run / METRICS).exists() else []
    return (lines[-1]["step"], lines[0].get("total", 0)) if lines else (0, 0)
