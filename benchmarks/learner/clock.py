"""Seconds by the wall, and of the processor, all threads of this process together."""

import time


class Clock:
    """`with clock:` adds what passes within."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __enter__(self) -> "Clock":
        self._began = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._began[0]
        self.processor += time.process_time() - self._began[1]

    def spent(self, units: float = 1.0) -> dict[str, float]:
        """Seconds for each of so many units."""
        return {"wall": round(self.wall / units, 3), "processor": round(self.processor / units, 3)}
