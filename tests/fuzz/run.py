"""Cases in processes of their own, so that one that hangs or dies is known by its number and the rest goes on."""

import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from pixelnet import InputError
from tests.fuzz import Target

OUTCOMES = ("answered", "refused", "traceback", "hang", "death")
MEMORY = 6 * 2**30  # bytes that a case may come to, so that a bomb is a MemoryError


class Case(NamedTuple):
    number: int
    outcome: str  # one of OUTCOMES
    detail: str = ""


def chance(name: str, seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([*name.encode(), seed, number])


def cases(name: str, target: Target, seed: int, count: int, seconds: float) -> Iterator[Case]:
    """Each case of a target, in order."""
    first = 0
    while first < count:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("fork").Process(
            target=_work, args=(name, target, seed, range(first, count), theirs), daemon=True
        )
        child.start()
        theirs.close()
        try:
            for first in range(first, count):  # noqa: B020
                if not ours.poll(seconds):
                    child.kill()
                    yield Case(first, "hang", f"over {seconds:g} s")
                    break
                yield ours.recv()
        except EOFError:
            child.join()
            yield Case(first, "death", f"exit code {child.exitcode}")
        first += 1
        child.kill()
        child.join()


def _work(name: str, target: Target, seed: int, numbers: range, answers: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # decoders write there as they like
    for number in numbers:
        with TemporaryDirectory() as folder:
            os.chdir(folder)  # of relative names, too, nothing is written elsewhere
            answers.send(Case(number, *_try(target, chance(name, seed, number), Path(folder))))
            os.chdir("/")


def _try(target: Target, rng: np.random.Generator, folder: Path) -> tuple[str, str]:
    call = target(rng, folder)
    try:
        answer = call()
    except InputError as error:
        return ("refused", str(error)) if str(error).strip() else ("traceback", "an InputError without a message")
    except BaseException:
        return "traceback", f"{getattr(call, 'words', '')}\n{traceback.format_exc()}"
    return ("refused" if hasattr(call, "words") and answer != 0 else "answered"), ""


def keep(name: str, target: Target, seed: int, case: Case, place: Path) -> None:
    """A failing case's files, and what happened."""
    folder = place / f"{name}-{seed}-{case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with contextlib.suppress(Exception):
        target(chance(name, seed, case.number), folder)
    (folder / "what-happened.txt").write_text(case.detail, errors="backslashreplace")


def counts(found: list[Case]) -> Counter[str]:
    return Counter(case.outcome for case in found)
