"""How a process ends: by Ctrl-C and SIGTERM, where it can go on from and with the code of the signal; or at once, where
it is only a helper that would do its parent's work again.
"""

import math
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal has ended the work. code: what a process is to exit with then, 130 or 143; the message is for people."""

    def __init__(self, number: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.code = 128 + number


def ignore_interrupts() -> None:
    """For processes that help another one. Ctrl-C, which a terminal tells all of them, is the other's to answer.

    SIGTERM ends them at once: that is how the other does, when it ends.
    """
    _set({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL})


def leave_to_parent() -> None:
    """End a process that is only being started to help the one whose script it reads, and so runs, once more.

    That is how systems without fork start a helper, unless a script keeps its work under `if __name__ == "__main__":`.
    The parent goes on without it.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.exit()


@contextmanager
def heeded() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise Stopped."""
    before = _set(dict.fromkeys(SIGNALS, _raise))
    try:
        yield
    finally:
        _set(before)


@contextmanager
def noted() -> Iterator[list[int]]:
    """Within, the first signal is only put on the list that it yields, so that a step can end; a later one raises."""
    numbers: list[int] = []
    since = math.inf

    def note(number: int, frame: Any) -> None:
        nonlocal since
        # A launcher passes on what the terminal has told its processes already: that is one wish, not two.
        if numbers and time.monotonic() - since > 1:
            _raise(number, frame)
        if not numbers:
            since = time.monotonic()
            numbers.append(number)

    before = _set(dict.fromkeys(SIGNALS, note))
    try:
        yield numbers
    finally:
        _set(before)


def _raise(number: int, _: Any) -> None:
    raise Stopped(number)


def _set(handlers: Mapping[int, Any]) -> dict[int, Any]:
    """Set signals' handlers; returns those that were there. Python tells the main thread alone of signals."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    # One that was set outside of Python, None here, cannot be put back.
    return {number: signal.signal(number, handler) or signal.SIG_DFL for number, handler in handlers.items()}
