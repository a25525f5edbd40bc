"""The project's fuzzers: sound inputs, broken in thousands of ways, through the functions that people call.

    python -m tests.fuzz --cases 20000 --seed 0

A target makes a small sound input, breaks it, and says what is called with it. That may answer, or raise InputError (of
the command line: end with a code); anything else that is raised, a case that takes too long and a process that dies are
failures. Whatever a case does depends on its target, the seed and its number alone.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Target = Callable[[np.random.Generator, Path], Callable[[], object]]  # chance, an empty folder -> what to call
