"""What the cells of one program share: its functions, compiled before the first cell starts, and its data set.

Cells that train together are one call: their values and states are stacked along a leading axis, and the functions of
one cell are mapped over it (`jax.vmap`); the data set they share. A cell alone has no such axis.
"""

import contextlib
import functools
import importlib.metadata
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments import fitting, probing, provenance
from experiments.settings import USUAL, Settings
from flax_tx import cost, data, sharding, train
from flax_tx.compilation import COMPILE, COMPILE_AT_ONCE, COMPILE_QUICKLY, exact_products, known
from flax_tx.config import Config, identity, structure
from flax_tx.data import Description, batches
from flax_tx.values import values

MAPPED = {train.chunk: (0, None, 0, 0), train.diagnose: (0, None, 0), train.evaluate: (0, 0, None)}


def cache_compilations() -> None:
    """Keeps every compiled program on disk, whatever its size and its time."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cache_folder() -> Path:
    """Where compiled programs are kept."""
    return Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or "~/.cache/flax_tx/xla").expanduser()


def provide(settings: Settings) -> None:
    """The devices of the largest cell, of CPUs: in each process its share. GPUs are as many as there are."""
    if settings.lane_devices > 1:
        with contextlib.suppress(RuntimeError):  # one was used before: a mesh that lacks devices says so
            jax.config.update("jax_num_cpu_devices", settings.lane_devices // max(1, settings.num_processes))


@dataclass(frozen=True)
class Training:
    """What trains and evaluates `size` cells of a program at a time, and its held-out sequences. `init` is of one."""

    size: int
    init: Any
    chunk: Any
    diagnose: Any
    evaluate: Any
    held_out: dict  # split -> (arrays of whole batches, how many sequences are real)

    def bytes(self) -> int:
        """Memory of the device that the greedier of training and diagnosing takes, states and data included."""
        return max(fitting.needed(function) for function in (self.chunk, self.diagnose))


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


def compile_program(config: Config, cells: int = 1, settings: Settings = USUAL) -> Compiled:
    """Everything that the cells of a program share, compiled before the first of them starts, for as many of the
    `cells` at a time as the settings allow and the device holds."""
    started, precision = time.perf_counter(), exact_products()
    about = data.describe(config.data)
    program = train.Program(structure(config), about.task, about.vocab_size, about.num_classes or about.vocab_size)
    loaded, numbers = data.load(config.data), values(config)
    arrays = jax.device_put(loaded, sharding.everywhere(config.mesh))
    held_out = {name: hold_out(config, loaded, name) for name in ("validation", "test")} if config.train.steps else {}
    return Compiled(
        program,
        cost.params(config.model, about.vocab_size, program.outputs, config.data.seq_len, about.task),
        about,
        arrays,
        fit_training(program, config, arrays, held_out, cells, settings) if config.train.steps else None,
        probing.Start.compile(program, numbers, arrays) if config.probe.any_start() else None,
        probing.End.compile(config, program) if config.probe.any_end() else None,
        provenance.git().get("commit"),
        origin(about) | {"precision": precision},
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


def fit_training(
    program: train.Program, config: Config, arrays: dict, held_out: dict, cells: int, settings: Settings
) -> Training:
    """The functions that train `cells` cells, as many at a time as the settings allow and the device holds."""
    key = fitting.key(identity(program.config), cache_folder())
    compile_for = functools.partial(compile_training, program, config, arrays, held_out)
    return fitting.fit(compile_for, cells, fitting.most(settings, config.mesh), key)


def smaller(compiled: Compiled, config: Config, cells: int, limit: int, error: Exception) -> Compiled:
    """The same for at most `limit` cells at a time, since that error came of more; a lack of memory is remembered."""
    fitting.remember(fitting.key(identity(compiled.program.config), cache_folder()), limit, error)
    held_out, settings = compiled.training.held_out, Settings(group=limit)
    training = fit_training(compiled.program, config, compiled.arrays, held_out, cells, settings)
    return replace(compiled, training=training)


def compile_training(program: train.Program, config: Config, arrays: dict, held_out: dict, size: int = 1) -> Training:
    """The functions that train `size` cells at a time."""
    init, numbers = compiled(train.init, program, COMPILE_AT_ONCE), values(config)
    state = sharding.shapes(config.mesh, jax.eval_shape(functools.partial(train.init, program), numbers))
    steps = np.int32(1) if size == 1 else np.ones(size, np.int32)
    shapes = (stacked(numbers, size), arrays, stacked(state, size))
    return Training(
        size,
        init.lower(numbers).compile(),
        compiled(train.chunk, program, COMPILE, size, donate_argnums=2).lower(*shapes, steps).compile(),
        compiled(train.diagnose, program.rolled(), COMPILE_QUICKLY, size).lower(*shapes).compile(),
        compiled(train.evaluate, program.rolled(), COMPILE, size),
        held_out,
    )


def stacked(tree, size: int):
    """The shapes of `size` such trees along a leading axis; the tree itself for one."""
    if size == 1:
        return tree
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((size, *a.shape), a.dtype), tree)


def compiled(function, program: train.Program, options: dict, size: int = 1, **kwargs):
    """A training function of a program under jit, for `size` cells side by side."""
    one = functools.partial(function, program)
    several = one if size == 1 else jax.vmap(one, MAPPED[function])
    return jax.jit(several, compiler_options=known(options), **kwargs)


def hold_out(config: Config, arrays: dict, name: str) -> tuple[dict, int]:
    """The held-out sequences of a split as whole batches, the last one filled up, and how many there are."""
    found = jax.device_get(batches.held_out(config.data, arrays, name, config.train.eval_windows))
    count, size = len(found["inputs"]), min(config.train.batch_size, len(found["inputs"]))
    rows = np.arange(-(-count // size) * size) % count
    return {key: array[rows].reshape(-1, size, *array.shape[1:]) for key, array in found.items()}, count
