"""Batches made by other processes, and what happens where those cannot."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import get_worker_info

from pixelnet import InputError, open_dataset
from pixelnet.data.batches import Batch, Batches, stream
from pixelnet.data.transforms import Augmentation
from pixelnet.points import make_sampler
from pixelnet.tasks import make_task


def no_space(_: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


class Fragile(Batches):
    """Batches that fail in a worker, and in no other process, in one way or another, from step 2 on."""

    def __getitem__(self, step: int) -> Batch:
        if step >= 2 and get_worker_info() is not None:
            if self.ends == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.ends == "full":
                torch.Tensor.share_memory_ = no_space  # type: ignore[method-assign]
            else:
                raise OSError("it cannot be read")
        if step == 3 and self.ends == "data":
            raise InputError("labels/a.png is broken")
        return super().__getitem__(step)


@pytest.mark.parametrize("ends", ["killed", "full", "data"])
def test_what_fails_in_a_worker_is_done_without(ends: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = open_dataset("scenes:4", "edges", "train")
    parts = data, make_task("edges"), make_sampler("uniform", 9), Augmentation((32, 32)), 2, 0
    fragile = Fragile(*parts)
    fragile.ends = ends  # type: ignore[attr-defined]
    handler = signal.getsignal(signal.SIGCHLD)
    made = stream(fragile, 0, 5, 1)
    if ends == "data":
        with pytest.raises(InputError, match=r"^labels/a.png is broken$"):
            list(made)
        assert not multiprocessing.active_children()
        return
    for found, expected in zip(made, (Batches(*parts)[step] for step in range(5)), strict=True):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert not multiprocessing.active_children()  # which the end of this process would wait for
    said = capsys.readouterr().err
    assert said.startswith("pixelnet: goes on without workers (--num-workers 0): ")
    assert said.count("\n") == 1
    assert ("No space left on device" in said) == (ends == "full")
    assert signal.getsignal(signal.SIGCHLD) == handler


SCRIPT = """
import multiprocessing
import sys
import pixelnet
multiprocessing.set_start_method("spawn", force=True)
pixelnet.train("edges", "scenes:3", sys.argv[1], backbone="test_resnet", hidden=(4,), pixels=40, batch_size=2,
               crop=(48, 64), max_steps=2, num_workers=1, val_images=1)
print("trained")
"""


def test_a_script_without_a_guard_trains_where_processes_are_spawned(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert "goes on without workers (--num-workers 0)" in done.stderr
