"""Seconds of a 480x360 picture by each model that ships: all of its answers, and each alone. Start-up is aside.

    python -m benchmarks.shipped

Arms alternate, so that what the machine does besides falls on all of them; medians of so many rounds.
"""

import time
from pathlib import Path

import numpy as np
import torch

import pixelnet
from pixelnet.files import write_json
from pixelnet.hub import shipped
from pixelnet.memory import keep_freed_memory

RESULT = Path(__file__).parents[1] / "docs" / "results" / "shipped.json"
ROUNDS = 15


def main() -> None:
    keep_freed_memory()
    picture = np.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=np.uint8)  # its content costs nothing
    arms = {}
    for name in shipped():
        model = pixelnet.load(name)
        arms[name] = model
        if "," in model.config.task:
            arms |= {f"{name}, {task} only": model.only(task) for task in model.config.task.split(",")}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(ROUNDS + 1):
        for name, model in arms.items():
            start = time.perf_counter()
            model.predict(picture)
            seconds[name].append(time.perf_counter() - start)
    rows = []
    for name, found in seconds.items():
        low, median, high = np.quantile(found[1:], [0.25, 0.5, 0.75]).tolist()  # the first fuses and warms up
        row = {"model": name, "seconds": round(median, 4), "quartiles": [round(low, 4), round(high, 4)]}
        rows.append(row)
        print(f"{name:32} {median:.4f} s ({low:.4f} .. {high:.4f})", flush=True)
    what = f"Seconds of a 480x360 picture, start-up aside, on {torch.get_num_threads()} threads; {ROUNDS} rounds."
    write_json(RESULT, {"name": "shipped", "what": what, "command": "python -m benchmarks.shipped", "rows": rows})


if __name__ == "__main__":
    main()
