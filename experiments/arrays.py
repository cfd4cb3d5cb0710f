"""Arrays on disk, through Orbax: whole ones packed into one, those that are split over devices in parts. Needs JAX.

    <folder>/whole/     the bytes of all whole arrays; a layout says which lie where
    <folder>/split/     the others, each part written and read by the process that has it

Orbax takes half the time for one array of bytes and keeps no memory, where of a tree of arrays it keeps some 50 kB at
every save. It is imported only when used: a second, which only long cells need.
"""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np


def split(leaf: Any) -> bool:
    """Whether an array lies on several devices."""
    return isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1


def write(folder: Path, arrays: Mapping[str, np.ndarray | jax.Array]) -> list:
    """Writes arrays into a folder that is empty. Gives the layout of the whole ones, which reading them takes."""
    parts = {name: array for name, array in arrays.items() if split(array)}
    packed, layout = pack({name: array for name, array in arrays.items() if name not in parts})
    packer().save(folder / "whole", packed)
    if parts:
        with tree() as writer:
            writer.save(folder / "split", parts)
    return layout


def read(folder: Path, layout: list, lies: Mapping[str, jax.sharding.Sharding]) -> dict[str, np.ndarray | jax.Array]:
    """The arrays of a folder; `lies`: how those lie that are split. Raises: KeyError, TypeError, ValueError."""
    arrays = unpack(packer().restore(folder / "whole"), layout)
    if lies:
        with tree() as reader:
            held = reader.metadata(folder / "split").item_metadata
            wanted = {n: jax.ShapeDtypeStruct(held[n].shape, held[n].dtype, sharding=lies[n]) for n in lies}
            arrays |= reader.restore(folder / "split", wanted)
    return arrays


@functools.cache
def packer():
    """Orbax's checkpointer of one array."""
    from orbax import checkpoint

    return checkpoint.Checkpointer(checkpoint.ArrayCheckpointHandler())


def tree():
    """Orbax's checkpointer of many."""
    from orbax import checkpoint

    return checkpoint.StandardCheckpointer()


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list]:
    """All arrays as one of bytes, and [name, type, shape] of each in turn."""
    layout = [[name, array.dtype.name, array.shape] for name, array in arrays.items()]
    return np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays.values()]), layout


def unpack(packed: np.ndarray, layout: list) -> dict[str, np.ndarray]:
    """The inverse of pack. Raises: TypeError, ValueError for the bytes of others."""
    sizes = [np.dtype(kind).itemsize * math.prod(shape) for _, kind, shape in layout]
    parts = np.split(packed, np.cumsum(sizes))
    if parts.pop().size:
        raise ValueError("more bytes than its layout says")
    return {name: part.view(kind).reshape(shape) for part, (name, kind, shape) in zip(parts, layout, strict=True)}
