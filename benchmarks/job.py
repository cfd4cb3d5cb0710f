"""The job that all arms do: flax_tx's default cell in some size, and its batches, drawn on the host."""

import math
import time

import numpy as np

from benchmarks import machine
from flax_tx.config import Config, resolve

LOG_EVERY = 25  # steps between two looks at the loss, each of which waits for the device


def sized(width: int, depth: int, **fields) -> Config:
    """The default config at a width and a depth. Raises ValueError for other fields that are none."""
    config, problems = resolve({"model.width": width, "model.num_layers": depth} | fields)
    if problems:
        raise ValueError("; ".join(problems))
    return config


def tokens_per_step(config: Config) -> int:
    """Tokens in a batch."""
    return config.train.batch_size * config.data.seq_len


def batches(stream: np.ndarray, batch_size: int, seq_len: int, seed: int = 0):
    """Windows of the text, drawn on the host: inputs and targets, int32 (B, L)."""
    rng = np.random.default_rng(seed)
    while True:
        starts = rng.integers(0, len(stream) - seq_len, batch_size)
        windows = stream[starts[:, None] + np.arange(seq_len + 1)].astype(np.int32)
        yield {"inputs": windows[:, :-1], "targets": windows[:, 1:]}


def serve_loop(loop_of, config: Config) -> None:
    """A peer's side of the measurement: builds its loop, takes its first step, trains in the windows asked for.

    Raises: ValueError for a loss that is not finite.
    """
    begun = time.monotonic()
    loop = loop_of(config)
    if not math.isfinite(loop.train(1)):
        raise ValueError("the first loss is not finite")
    first = time.monotonic() - begun
    loop.train()

    def answer(start: float, end: float) -> dict:
        return {"steps_per_second": machine.rate(LOG_EVERY, machine.repeat(loop.train, start, end))}

    machine.serve({"params": loop.params, "first_step_seconds": first}, answer)
