"""Runs as a user of a peer would start them: python -m benchmarks.one_run plain_loop|torch_loop CELLS [CORE]

CELLS is a JSON list of configs as dotted fields; one process trains them one after the other and evaluates nothing.
"""

import importlib
import json
import sys

from experiments.executors.lane import pin
from flax_tx.config import resolve


def main(module: str, cells: list[dict], core: int | None = None) -> None:
    """Trains each cell to its end."""
    if core is not None:
        pin(core)
    loop_of = importlib.import_module(f"benchmarks.{module}").Loop
    for fields in cells:
        config, _ = resolve(fields)
        print(f"{loop_of(config).train(config.train.steps):.4f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), *map(int, sys.argv[3:]))
