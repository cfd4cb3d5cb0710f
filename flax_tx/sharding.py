"""One cell on several devices: the program is that of one device, and XLA splits it as flax_tx.axes says.

Without a mesh (all of its axes 1) every function here gives back what it was given, so that nothing is compiled
differently.
"""

import contextlib
import functools
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from flax_tx import axes, schema
from flax_tx.errors import UserError

CURRENT: ContextVar[jax.sharding.Mesh | None] = ContextVar("mesh", default=None)


@functools.cache
def mesh_of(asked: schema.Mesh) -> jax.sharding.Mesh | None:
    """A mesh over equally many devices of every process; None for one device. Raises: UserError for too few."""
    if asked.size() == 1:
        return None
    sizes, processes = asdict(asked), jax.process_count()
    devices = [d for i in range(processes) for d in jax.local_devices(i)[: asked.size() // processes]]
    if len(devices) != asked.size():
        said = " * ".join(f"mesh.{name}" for name in sizes)
        raise UserError(f"{said} = {asked.size()}: expected at most the {jax.device_count()} devices that there are")
    grid = np.array(devices).reshape(*sizes.values())
    return jax.sharding.Mesh(grid, tuple(sizes), axis_types=(AxisType.Auto,) * len(sizes))


def sharding(mesh: jax.sharding.Mesh, names: tuple[str | None, ...], shape: tuple[int, ...]) -> NamedSharding:
    """How an array lies on a mesh, by the names of its last axes."""
    return NamedSharding(mesh, PartitionSpec(*(split or None for split in axes.split(names, shape, dict(mesh.shape)))))


@contextlib.contextmanager
def over(asked: schema.Mesh) -> Iterator[None]:
    """What is traced within is split over the mesh."""
    token = CURRENT.set(mesh_of(asked))
    try:
        yield
    finally:
        CURRENT.reset(token)


def constrain(x: jax.Array, *names: str | None) -> jax.Array:
    """An activation, split by the names of its axes."""
    mesh = CURRENT.get()
    return x if mesh is None else jax.lax.with_sharding_constraint(x, sharding(mesh, names, x.shape))


def layout(asked: schema.Mesh, tree: Any) -> Any:
    """How parameters, moments and everything else of a state lie: a tree of shardings, by the names of parameters."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: sharding(mesh_of(asked), axes.names_of(path_of(path)), leaf.shape), tree
    )


def path_of(path) -> str:
    """`/stack/segment_0/attention/query/kernel` of a leaf of the parameters, or of moments that lie like them."""
    return "".join(f"/{key.key}" for key in path if isinstance(key, jax.tree_util.DictKey))


def shapes(asked: schema.Mesh, tree: Any) -> Any:
    """The shapes of a state with how they lie, for a function to be compiled for."""
    if mesh_of(asked) is None:
        return tree
    return jax.tree.map(
        lambda leaf, lies: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=lies), tree, layout(asked, tree)
    )


def place(asked: schema.Mesh, tree: Any) -> Any:
    """A state within a compiled function, its arrays split as they lie."""
    return tree if mesh_of(asked) is None else jax.lax.with_sharding_constraint(tree, layout(asked, tree))


def everywhere(asked: schema.Mesh) -> NamedSharding | None:
    """How an array lies of which every device holds all; None without a mesh."""
    mesh = mesh_of(asked)
    return None if mesh is None else NamedSharding(mesh, PartitionSpec())


def whole(asked: schema.Mesh, tree: Any) -> Any:
    """Results within a compiled function, of which every device, and so every process, holds all."""
    lies = everywhere(asked)
    return tree if lies is None else jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, lies), tree)
