"""What the cells of one program share: its functions, compiled before the first cell starts, and its data set."""

import contextlib
import functools
import importlib.metadata
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import probing, provenance
from experiments.settings import Settings
from flax_tx import cost, data, sharding, train
from flax_tx.compilation import COMPILE, COMPILE_QUICKLY, known
from flax_tx.config import Config, split
from flax_tx.data import Description, batches
from flax_tx.values import values


def cache_compilations() -> None:
    """Keeps every compiled program on disk, whatever its size and its time."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or Path("~/.cache/flax_tx/xla").expanduser()
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def provide(settings: Settings) -> None:
    """The devices of the largest cell, of CPUs: in each process its share. GPUs are as many as there are."""
    if settings.devices > 1:
        with contextlib.suppress(RuntimeError):  # one was used before: a mesh that lacks devices says so
            jax.config.update("jax_num_cpu_devices", settings.devices // max(1, settings.num_processes))


@dataclass(frozen=True)
class Training:
    """What trains and evaluates: functions of a program, and its held-out sequences."""

    init: Any
    chunk: Any
    diagnose: Any
    evaluate: Any
    held_out: dict  # split -> (arrays of whole batches, how many sequences are real)


@dataclass(frozen=True)
class Compiled:
    """The functions of a program, ready to be called with any of its cells, and what they took to compile.

    `training` is None for cells of no step, `start` and `end` where nothing is probed then.
    """

    program: train.Program
    params: int
    about: Description
    arrays: dict
    training: Training | None
    start: probing.Start | None
    end: probing.End | None
    commit: str | None  # of the code that trains
    origin: dict  # what made these numbers, and alone may go on from their checkpoints
    seconds: float


def compile_program(config: Config) -> Compiled:
    """Everything that the cells of a program share, compiled before the first of them starts."""
    started = time.perf_counter()
    structure, about = split(config)[0], data.describe(config.data)
    program = train.Program(structure, about.task, about.vocab_size, about.num_classes or about.vocab_size)
    loaded, numbers = data.load(config.data), values(config)
    arrays = jax.device_put(loaded, sharding.everywhere(config.mesh))
    return Compiled(
        program,
        cost.params(config.model, about.vocab_size, program.outputs, config.data.seq_len, about.task),
        about,
        arrays,
        compile_training(program, config, numbers, arrays, loaded) if config.train.steps else None,
        probing.Start.compile(program, numbers, arrays) if config.probe.any_start() else None,
        probing.End.compile(config, program) if config.probe.any_end() else None,
        provenance.git().get("commit"),
        origin(about),
        time.perf_counter() - started,
    )


def origin(about: Description) -> dict[str, str]:
    """Everything outside a config on which the bits of a cell depend."""
    return {
        "code": provenance.code(),
        **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax")},
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "device": jax.devices()[0].device_kind,
        "processor": provenance.cpu(),
        "processes": str(jax.process_count()),
        "data": about.fingerprint,
    }


def compile_training(program: train.Program, config: Config, numbers: dict, arrays: dict, loaded: dict) -> Training:
    """The functions that train a cell. `loaded`: the arrays as every process has read them."""
    init = compiled(train.init, program, COMPILE_QUICKLY)
    state = jax.eval_shape(functools.partial(train.init, program), numbers)
    shapes = (numbers, arrays, sharding.shapes(config.mesh, state))
    return Training(
        init.lower(numbers).compile(),
        compiled(train.chunk, program, COMPILE, donate_argnums=2).lower(*shapes, np.int32(1)).compile(),
        compiled(train.diagnose, program, COMPILE_QUICKLY).lower(*shapes).compile(),
        compiled(train.evaluate, program, COMPILE),
        {name: hold_out(config, loaded, name) for name in ("validation", "test")},
    )


def compiled(function, program: train.Program, options: dict, **kwargs):
    """A training function of a program under jit."""
    return jax.jit(functools.partial(function, program), compiler_options=known(options), **kwargs)


def hold_out(config: Config, arrays: dict, name: str) -> tuple[dict, int]:
    """The held-out sequences of a split as whole batches, the last one filled up, and how many there are."""
    found = jax.device_get(batches.held_out(config.data, arrays, name, config.train.eval_windows))
    count, size = len(found["inputs"]), min(config.train.batch_size, len(found["inputs"]))
    rows = np.arange(-(-count // size) * size) % count
    return {key: array[rows].reshape(-1, size, *array.shape[1:]) for key, array in found.items()}, count
