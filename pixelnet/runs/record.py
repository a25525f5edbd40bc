"""The records of a run: metrics, the best weights, checkpoints, curves and panels, and the progress bar."""

import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from accelerate import Accelerator
from tqdm import tqdm

from pixelnet.config import TrainConfig, to_dict
from pixelnet.data.dataset import Dataset, evenly
from pixelnet.files import append, inside, write_atomic
from pixelnet.memory import peak_gib
from pixelnet.model import PixelNet
from pixelnet.report.panels import draw_panel
from pixelnet.report.plots import draw_curves
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import load
from pixelnet.runs.learnt import Images
from pixelnet.signals import Stopped

METRICS, CURVES, PANELS = "metrics.jsonl", "curves.png", "panels"
PANEL_IMAGES = 3


class Record:
    """Keeps a run's folder. In a process that is not the main one it writes nothing.

    Args:
        config: of the run.
        model: whose weights are kept.
        validation: the val split, or None.
        accelerator: knows which process this is, and has the trackers.
        total: the steps of the run.
        state: the checkpoint the run goes on from, or None.
        images: what is noted of the images; see `pixelnet.runs.learnt`.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: PixelNet,
        validation: Dataset | None,
        accelerator: Accelerator,
        total: int,
        state: dict[str, Any] | None,
        images: Images | None = None,
    ):
        self.config, self.model, self.validation, self.accelerator = config, model, validation, accelerator
        self.main, self.total = accelerator.is_main_process, total
        self.best: float | None = None if state is None else state["best"]
        self.stale: int = 0 if state is None else state["stale"]
        first = 0 if state is None else state["step"]
        self.items: list[int] = []
        if validation is not None:
            self.items = evenly(len(validation), config.val_images)
        self.path = config.out / METRICS
        self.smooth_loss: float | None = None
        self.clock = time.perf_counter()
        self.bar = tqdm(total=total, initial=first, unit="step", disable=not self.main)
        if config.log:
            simple = {key: str(value) for key, value in to_dict(config).items()}
            accelerator.init_trackers("pixelnet", config=simple)
        if self.main:
            for name in (checkpoint.CONFIG, checkpoint.WEIGHTS, checkpoint.CHECKPOINT, METRICS, CURVES, PANELS):
                inside(config.out, name)
            checkpoint.save_config(model, config.out, train=to_dict(config))
            if images is not None:
                images.write(config.out)
            self._keep_lines(-1 if state is None else first)
            if config.minutes is not None and state is None:
                self._note({"step": 0, "total": total})

    @property
    def stalled(self) -> bool:
        """Whether so many validations as `patience` says have gone by without a better score."""
        return self.config.patience is not None and self.stale >= self.config.patience

    def _keep_lines(self, last: int) -> None:
        """Drop what a killed run noted after its checkpoint: those steps will be done, and noted, again.

        A line that it was killed in is dropped, too, wherever it is: another may have been written behind it.
        """
        lines = self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []
        kept = [line for line in lines if _step_of(line) <= last]
        write_atomic(self.path, b"".join(kept))

    def step(self, done: int, loss: float, pixels: int) -> None:
        """Note a step: its loss, of how many pixels it is, and how fast they go by."""
        self._track({"loss": loss}, done)
        if not self.main:
            return
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        self._note({"step": done, "loss": round(loss, 6), "pixels": pixels, "seconds": round(seconds, 4)})
        self.smooth_loss = loss if self.smooth_loss is None else 0.95 * self.smooth_loss + 0.05 * loss
        best = "" if self.best is None else f" best {self.model.task.headline[0]} {abs(self.best):.3f}"
        self.bar.set_postfix_str(f"loss {self.smooth_loss:.3f}{best} {pixels / seconds:,.0f} px/s", refresh=False)
        self.bar.update()

    def scores(self, done: int, scores: dict[str, Any]) -> None:
        """Note a validation, draw it, and keep the weights if they are the best so far."""
        goodness = self._goodness(scores)
        better = goodness is not None and (self.best is None or goodness > self.best)
        self.best, self.stale = (goodness, 0) if better else (self.best, self.stale + 1)
        self._track({key: value for key, value in scores.items() if isinstance(value, float)}, done)
        if self.main:
            self._note({"step": done, "scores": scores, "peak_memory_gib": peak_gib()})
            if better:
                checkpoint.save_weights(self.model, self.config.out / checkpoint.WEIGHTS)
            assert self.validation is not None
            chosen = self.items[:: -(-len(self.items) // PANEL_IMAGES)]
            draw_panel(self.model, self.validation, chosen, self.config.out / PANELS / f"{done:06d}.png")
            draw_curves(self.config.out)
        self.clock = time.perf_counter()

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Write what a killed run goes on from. With no validation the last weights are the ones to keep.

        state: all of it but the run's length, the best score, and how many validations ago it was.
        """
        if self.main:
            if self.best is None:
                checkpoint.save_weights(self.model, self.config.out / checkpoint.WEIGHTS)
            state = {"total": self.total, "best": self.best, "stale": self.stale, **state}
            checkpoint.save_checkpoint(self.config.out / checkpoint.CHECKPOINT, state)
        self.clock = time.perf_counter()

    def stop(self, done: int, signals: Sequence[int]) -> NoReturn:
        """End the run for a signal, after its checkpoint is written; another process may have been told of it."""
        self.close()
        raise Stopped(
            signals[0] if signals else signal.SIGTERM,
            f"stopped after step {done} of {self.total}, whose checkpoint is written; "
            f"to go on, give the same command with --resume",
        )

    def keep_better(self, scores: dict[str, Any]) -> None:
        """At the end, keep the model that the run began from if what it taught is worse on val.

        scores: there, of the same model fitted without these images. What is kept has seen them all.
        """
        goodness = self._goodness(scores)
        if not self.main or goodness is None or self.best is None:
            return
        theirs, ours = (f"{abs(own):.3f}" for own in (goodness, self.best))
        pupil = self.best > goodness
        name = self.model.task.headline[0]
        told = f"val {name}: {theirs} of the model fitted without these images, {ours} of the network it taught"
        tqdm.write(f"{told}; the {'network' if pupil else 'fitted model'} is kept", sys.stderr)
        if not pupil:
            checkpoint.save(load(str(self.config.init_from)), self.config.out, train=to_dict(self.config))

    def _goodness(self, scores: dict[str, Any]) -> float | None:
        """The headline's score, the more the better; None where there is none."""
        name, more_is_better = self.model.task.headline
        score = scores[name]
        return None if score is None else float(score if more_is_better else -score)

    def close(self) -> None:
        self.bar.close()
        if self.config.log:
            self.accelerator.end_training()
        if self.main:
            draw_curves(self.config.out)

    def _track(self, values: dict[str, float], step: int) -> None:
        if self.config.log:
            self.accelerator.log(values, step)

    def _note(self, line: dict[str, Any]) -> None:
        append(self.path, json.dumps(line) + "\n")


def _step_of(line: bytes) -> float:
    """The step that a line of metrics is of; infinite for a torn one."""
    try:
        return json.loads(line)["step"] if line.endswith(b"\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf
