"""One cell of flax_tx at a depth, on one core, with what its backward pass computes again.

    python -m benchmarks.rematerialised DEPTH POLICY LENGTH CORE

POLICY is one of model.remat, or the name of another policy of jax.checkpoint_policies.
"""

import sys
from pathlib import Path

from benchmarks import machine
from benchmarks.lane import Cell
from experiments.executors.lane import pin
from flax_tx.schema import REMATS

STEPS = 5  # in a call: one that took a step alone would be measured with the page faults of its memory


def peak() -> int:
    """Bytes of memory that this process has had at most, since it was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def forget_peak() -> None:
    """Starts the peak anew: what compiling took is not to be counted."""
    Path("/proc/self/clear_refs").write_text("5")


def main(depth: int, policy: str, length: int, core: int) -> None:
    """Takes steps in the windows that the input asks for."""
    import jax

    from flax_tx import stack

    pin(core)
    if policy not in REMATS:
        stack.KEEPS["dots"], policy = getattr(jax.checkpoint_policies, policy), "dots"
    cell = Cell(64, depth, core, {"model.remat": policy, "model.unroll": 1, "data.seq_len": length})
    forget_peak()
    cell.train(STEPS)
    temporary = cell.compiled.training.chunk.memory_analysis().temp_size_in_bytes

    def answer(start: float, end: float) -> dict:
        seconds = machine.repeat(lambda: cell.train(STEPS), start, end)
        return {"seconds_per_step": 1 / machine.rate(STEPS, seconds), "temporary": temporary, "peak": peak()}

    machine.serve(cell.about(), answer)


if __name__ == "__main__":
    depth, policy, length, core = sys.argv[1:]
    main(int(depth), policy, int(length), int(core))
