"""The machine: processes that measure at the same time, and how fast its cores multiply matrices.

    python -m benchmarks.machine CORE

Every measurement is made in a process of its own, which says what it is and then answers one window after the other.
A window is {"start", "end"} on the clock that all processes share; a call that ends after it does not count, so that
processes with the same window are measured while all of them run.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from experiments.executors.lane import pin

ROOT = Path(__file__).parent.parent
LEAD = 0.1  # seconds between asking for a window and its start
SHAPES = ((1024, 64, 256), (1024, 256, 64), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048))
DROPPED = ("JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS")  # settings that would change what is measured


class Worker:
    """A module of this package in a process that shares nothing with the others. `about`: what it says of itself."""

    def __init__(self, module: str, *arguments: object):
        self.name, self.log = module, tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in stop)
        environment = {name: value for name, value in os.environ.items() if name not in DROPPED}
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=ROOT,
            env=environment | {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"},
            text=True,
        )
        self.about: dict = {}

    def read(self) -> dict:
        """The next answer. Raises RuntimeError with the end of the log when the process has died."""
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"benchmarks.{self.name} ended with {self.process.wait()}\n{self.log.read()[-4000:]}")
        return json.loads(line)

    def ask(self, window: dict) -> None:
        self.process.stdin.write(json.dumps(window) + "\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()


def ready(workers: list[Worker]) -> list[Worker]:
    """The workers, once each of them has said what it is."""
    for worker in workers:
        worker.about = worker.read()
    return workers


def measure(workers: list[Worker], seconds: float, **options) -> list[dict]:
    """What each worker did in one window."""
    start = time.monotonic() + LEAD
    for worker in workers:
        worker.ask({"start": start, "end": start + seconds} | options)
    return [worker.read() for worker in workers]


def serve(about: dict, answer: Callable[..., dict]) -> None:
    """A worker's side: says what it is, then answers windows until its input ends."""
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps({**answer(**json.loads(line)), "peak_mb": peak()}), flush=True)


def peak() -> float:
    """The most memory that this process ever held, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def repeat(call: Callable[[], object], start: float, end: float) -> list[float]:
    """The seconds of every call that ended in the window, and of the first one in any case."""
    time.sleep(max(0.0, start - time.monotonic()))
    seconds, before = [], time.monotonic()
    while before < end:
        call()
        after = time.monotonic()
        if after <= end or not seconds:
            seconds.append(after - before)
        before = after
    return seconds


def rate(amount: float, seconds: list[float]) -> float:
    """Amount per second of calls that each did `amount`."""
    return amount * len(seconds) / sum(seconds)


def multiply(shape: tuple[int, int, int]) -> Callable[[], object]:
    """A float32 product (M, K) (K, N) on one core, ready to be called."""
    import jax

    from flax_tx.compilation import COMPILE, known

    rows, inner, columns = shape
    left, right = (jax.random.normal(jax.random.key(0), size) for size in ((rows, inner), (inner, columns)))
    product = jax.jit(lambda a, b: a @ b, compiler_options=known(COMPILE)).lower(left, right).compile()
    return lambda: product(left, right).block_until_ready()


def main(core: int) -> None:
    """Multiplies matrices on one core, each shape in its share of the window."""
    pin(core)
    products = {shape: multiply(shape) for shape in SHAPES}
    for product in products.values():
        product()

    def answer(start: float, end: float) -> dict:
        share, found = (end - start) / len(SHAPES), {}
        for index, (shape, product) in enumerate(products.items()):
            rows, inner, columns = shape
            seconds = repeat(product, start + index * share, start + (index + 1) * share)
            found["x".join(map(str, shape))] = rate(2 * rows * inner * columns, seconds)
        return {"flops_per_second": found}

    serve({}, answer)


if __name__ == "__main__":
    main(int(sys.argv[1]))
