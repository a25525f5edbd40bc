"""python -m tests.fuzz [--cases 20000] [--seed 0] [--only NAME ...]: a table, and 1 if anything failed."""

import argparse
import sys
from pathlib import Path

import torch

from tests.fuzz import Target, drawings, models, options, pixels, tables
from tests.fuzz.run import OUTCOMES, cases, counts, keep

# A target and its share of the cases: those that take long have fewer.
TARGETS: dict[str, tuple[Target, int]] = {
    "pictures": (pixels.decode, 30),
    "arrays": (pixels.arrays, 6),
    **{kind: (drawings.of(kind), 8) for kind in drawings.PLACES},
    "matlab": (tables.matlab, 10),
    "nyudv2": (tables.nyudv2, 3),
    "points": (tables.points, 6),
    "labels": (tables.labels, 6),
    "metrics": (tables.metrics, 2),
    "lists": (tables.names, 4),
    "config": (models.config, 6),
    "weights": (models.weights, 6),
    "options": (options.options, 5),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60, help="from which on a case is a hang")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder of what failed")
    given = parser.parse_args()
    torch.set_num_threads(1)
    models.sound()  # which every process then has
    whole = sum(TARGETS[name][1] for name in given.only)
    print(f"{'target':<14}" + "".join(f"{outcome:>11}" for outcome in ("cases", *OUTCOMES)), flush=True)
    failed, total = 0, dict.fromkeys(OUTCOMES, 0)
    for name in given.only:
        target, share = TARGETS[name]
        found = []
        for case in cases(name, target, given.seed, max(1, round(given.cases * share / whole)), given.seconds):
            found.append(case)
            if case.outcome in OUTCOMES[2:]:
                failed += 1
                keep(name, target, given.seed, case, given.keep)
        number = counts(found)
        total = {outcome: total[outcome] + number[outcome] for outcome in OUTCOMES}
        print(f"{name:<14}{len(found):>11}" + "".join(f"{number[outcome]:>11}" for outcome in OUTCOMES), flush=True)
    print(f"{'all':<14}{sum(total.values()):>11}" + "".join(f"{count:>11}" for count in total.values()))
    if failed:
        print(f"{failed} failures, with their files, are in {given.keep}/TARGET-SEED-NUMBER", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
