"""What takes its time behind the page: one of a kind at a time, in a thread of its own, telling how far it is."""

import traceback
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from pixelnet.errors import InputError, printable
from pixelnet.studio.learner import Learner
from pixelnet.studio.project import Project


class Work:
    """told: is called with the status whenever it changes. more: what the status says besides."""

    kind = ""
    busy = "this is under way; wait until it is done"

    def __init__(self, project: Project, learner: Learner, told: Callable[[dict[str, Any]], None], **more: Any) -> None:
        self.project, self.learner, self.told = project, learner, told
        self._lock, self._thread, self._ended = Lock(), Thread(), Event()
        self._state: dict[str, Any] = {
            "type": self.kind,
            "running": False,
            "words": "",
            "done": 0.0,
            "failed": False,
            **more,
        }

    def status(self) -> dict[str, Any]:
        """For the page: whether it runs, how far it is (done, 0 to 1), in words, what came of it, or that it failed."""
        return dict(self._state)

    def close(self) -> None:
        """End at the next step, and wait for it."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _begin(self, work: Callable[[], None], words: str, **more: Any) -> dict[str, Any]:
        """Start; returns the status. Raises InputError where it runs already, or nothing can be learnt yet."""
        if sum(count > 0 for count in self.project.counts().values()) < 2:
            raise InputError("there is no model yet; paint a little of two classes or more first")
        with self._lock:
            if self._state["running"]:
                raise InputError(self.busy)
            self._state |= {"running": True, "words": words, "done": 0.0, "failed": False, **more}
            self._fresh()
            self.told(self.status())
        self._thread = Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        return self.status()

    def _fresh(self) -> None:
        """Forget what was said to the last one."""

    def _step(self, **what: Any) -> None:
        """Tell of a step that begins. Raises InputError when no further one shall."""
        if self._ended.is_set():
            raise InputError("the studio has ended meanwhile; what was written of this is not whole")
        self._say(**what)

    def _say(self, **what: Any) -> None:
        if any(self._state[name] != value for name, value in what.items()):
            self._state |= what
            self.told(self.status())

    def _run(self, work: Callable[[], None]) -> None:
        words = ""
        try:
            work()
        except InputError as error:
            words = printable(str(error))
        except Exception:  # the page goes on, and says so
            traceback.print_exc()
            words = "this has failed; its message is where the studio was started"
        self._say(running=False, **({"words": words, "done": 0.0, "failed": True} if words else {}))
