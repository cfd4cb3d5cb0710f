"""One cell of flax_tx, on one core, through the functions that the engine compiles for a sweep.

    python -m benchmarks.lane WIDTH DEPTH CORE [FIELDS]

Such a process is a lane of a sweep, but for its records. FIELDS are other fields of its config, as JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.job import sized
from experiments.executors.lane import pin


class Stopwatch:
    """The seconds that JAX spends on a function, by its name: tracing, lowering and compiling."""

    def __init__(self, names: tuple[str, ...]):
        import jax

        self.seconds = dict.fromkeys(names, 0.0)
        jax.monitoring.register_event_duration_secs_listener(self.listen)

    def listen(self, event: str, seconds: float, fun_name: str = "", **_) -> None:
        name = fun_name.removeprefix("jit(").removesuffix(")")
        if event.startswith("/jax/core/compile/") and name in self.seconds:
            self.seconds[name] += seconds


class Cell:
    """The default cell in some size. Its seeds are its core's, so that no two lanes train the same one."""

    def __init__(self, width: int, depth: int, core: int, fields: dict):
        from experiments import compiled
        from flax_tx.values import values

        self.config = sized(width, depth, **{"seed.init": core, "seed.data": core}, **fields)
        self.compiled, self.numbers = compiled.compile_program(self.config), values(self.config)
        self.state = self.compiled.training.init(self.numbers)

    def about(self) -> dict:
        """How many parameters it has and what a step costs."""
        import jax

        from flax_tx import cost

        params = sum(leaf.size for leaf in jax.tree.leaves(self.state.params))
        return {"params": params, "flops_per_step": cost.flops_per_step(self.config, self.compiled.program.outputs)}

    def train(self, steps: int) -> None:
        """Takes steps and waits for them. Raises RuntimeError at a step whose loss or gradient is not finite."""
        chunk = self.compiled.training.chunk
        self.state, self.rows = chunk(self.numbers, self.compiled.arrays, self.state, np.int32(steps))
        if int(self.state.bad_step) >= 0:
            raise RuntimeError(f"loss or gradient not finite at step {int(self.state.bad_step) + 1}")

    def diagnose(self) -> None:
        """Takes the per-layer statistics and waits for them."""
        for column in self.compiled.training.diagnose(self.numbers, self.compiled.arrays, self.state).values():
            column.block_until_ready()

    def save(self) -> None:
        """Writes a checkpoint."""
        from experiments import checkpoints, runs

        rows = {name: np.asarray(row) for name, row in self.rows.items()}
        with tempfile.TemporaryDirectory() as folder:
            checkpoints.save(Path(folder), runs.Run(self.state, [rows], [], 50), self.compiled.origin)


def main(width: int, depth: int, core: int, fields: str = "{}") -> None:
    """Trains in the windows that the input asks for: chunks of `steps`, each followed by a diagnosis where wanted."""
    pin(core)
    watch = Stopwatch(("init", "chunk", "diagnose"))
    cell = Cell(width, depth, core, json.loads(fields))
    cell.train(1)
    cell.diagnose()

    def answer(start: float, end: float, steps: int = 0, diagnose: bool = False, save: bool = False) -> dict:
        if save:
            return {"saves_per_second": machine.rate(1, machine.repeat(cell.save, start, end))}
        spent = []

        def once() -> None:
            cell.train(steps)
            trained = time.monotonic()
            if diagnose:
                cell.diagnose()
            spent.append(time.monotonic() - trained)

        seconds = machine.repeat(once, start, end)
        share = sum(spent[: len(seconds)]) / sum(seconds)
        return {"steps_per_second": machine.rate(steps, seconds), "diagnose_share": share}

    machine.serve(cell.about() | {"compile_seconds": watch.seconds}, answer)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])
