"""A slice of the project's fuzzers; `python -m tests.fuzz` runs as many cases as are asked for."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixelnet import InputError

ROOT = Path(__file__).parents[1]


def test_a_slice_of_broken_inputs_ends_in_no_traceback_hang_or_death(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--cases", "300", "--seed", "7", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    kept = [path.read_text() for path in sorted((tmp_path / "kept").glob("*/what-happened.txt"))]
    assert done.returncode == 0, done.stdout + done.stderr + "\n".join(kept[:3])


def test_the_fuzzers_tell_what_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from tests.fuzz.run import cases

    def target(rng: np.random.Generator, _: Path) -> Callable[[], object]:
        def fail() -> object:
            faulthandler.disable()
            match int(rng.integers(5)):
                case 0:
                    raise InputError("said")
                case 1:
                    raise KeyError("unsaid")
                case 2:
                    os.kill(os.getpid(), signal.SIGSEGV)
                case 3:
                    time.sleep(60)
            return None

        return fail

    found = list(cases("none", target, 0, 12, 2.0))
    assert [case.number for case in found] == list(range(12))
    assert {case.outcome for case in found} == {"answered", "refused", "traceback", "hang", "death"}
