"""The one exception for bad input, and words for people: how text from outside is shown, and numbers of things."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

# Control characters but the line feed and the tab, halves of letters (PEP 383), and what turns the writing direction.
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class InputError(ValueError):
    """Bad input: the message names the file, what was found, what was expected, and the remedy.

    The command line prints the message alone and exits with code 2; anything else that escapes is a bug of
    ours and keeps its traceback.
    """


def needs(what: str, package: str | None, extra: str) -> InputError:
    """The error of a package that is not there: who needs it, and what brings it (in quotes, as shells want it)."""
    return InputError(f'{what} needs the package {package}; pip install "pixelnet[{extra}]"')


def counted(count: int, what: str) -> str:
    """A number of things, as in "1 image" and "2 images"."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def printable(text: str) -> str:
    """Text from a file, or a file's name, for a terminal or a picture: what would steer it is shown as an escape."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


@contextmanager
def errors_alone(logger: str | None) -> Iterator[None]:
    """Of what a library says through its logger (None: the root's), only errors are heard meanwhile."""
    own = logging.getLogger(logger)
    level = own.level
    own.setLevel(logging.ERROR)
    try:
        yield
    finally:
        own.setLevel(level)
