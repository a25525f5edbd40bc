"""`python -m pixelnet.studio.child train ...`: a command of pixelnet that ends with the studio, however that ended.

The studio holds the other end of its standard input, which the system closes even for a process that was killed.
"""

import os
import runpy
import signal
import sys
from threading import Thread


def end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # with no buffer, whose lock would be held when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=end_with_parent, daemon=True).start()
    runpy.run_module("pixelnet", run_name="__main__")
