"""Seconds of a 480x360 picture by each model that ships: all of its answers, and each alone. Start-up is aside.

python -m benchmarks.shipped
"""

import sys
from functools import partial

import numpy as np

import pixelnet
from benchmarks import timing
from benchmarks.dense import random_image
from benchmarks.networks import IMAGE
from pixelnet.files import write_json
from pixelnet.runs.hub import shipped

RESULT = timing.RESULT.with_name("shipped.json")
ROUNDS = 15


def measure() -> None:
    picture, models = random_image(*IMAGE), {}  # its content costs nothing
    for name in shipped():
        models[name] = model = pixelnet.load(name)
        if len(model.task.parts) > 1:
            models |= {f"{name}, {task} only": model.only(task) for task in model.task.parts}
    works = {name: partial(model.predict, picture) for name, model in models.items()}
    rows = []
    for name, seconds in timing.alternate(works, ROUNDS).items():
        low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75]).round(4).tolist()
        rows.append({"model": name, "seconds": median, "quartiles": [low, high]})
        print(f"{name:32} {median:.4f} s ({low:.4f} .. {high:.4f})", flush=True)
    what = f"Seconds of a 480x360 picture, start-up aside: medians of {ROUNDS} rounds, in which every arm ran once."
    head = {"name": "shipped", "what": what, "command": "python -m benchmarks.shipped", "machine": timing.machine()}
    write_json(RESULT, head | {"rows": rows})


if __name__ == "__main__":
    sys.exit(timing.as_command(measure))
