"""Many items in threads, some at a time: what waits for its turn takes more memory than what comes of it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

S = TypeVar("S")
T = TypeVar("T")
WAITING = 1024  # items that are given to threads at once


def in_threads(
    function: Callable[[S], T], items: Iterable[S], count: int, what: str, threads: int | None = None
) -> Iterator[T]:
    """function of each item, in order, in threads (decoders release the interpreter), with a bar if it takes a while.

    count: how many items there are.
    """
    left = iter(items)
    with ThreadPoolExecutor(threads) as pool, tqdm(desc=what, total=count, delay=2, leave=False) as bar:
        try:
            while part := list(islice(left, WAITING)):
                for done in pool.map(function, part):
                    bar.update()
                    yield done
        except BaseException:  # Ctrl-C, say: what has not begun is not waited for
            pool.shutdown(cancel_futures=True)
            raise
