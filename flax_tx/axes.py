"""What the axes of arrays are called, and over which axes of a mesh they are split. Data; no JAX.

An axis of an array that the mesh does not divide evenly is held whole, and so is every array without a row: norms,
gains, and what a stream learns are small. Moments lie as their parameters do; the layer axis is never split.
"""

import math

AXES = {  # name of an axis -> the axes of the mesh that split it
    "batch": ("data", "fsdp"),  # sequences, and their tokens in a row
    "embed": ("fsdp",),
    "vocab": ("tensor",),
    "heads": ("tensor",),  # also heads times their width, and those of keys and values
    "mlp": ("tensor",),
}

ARRAYS = {  # how the path of a parameter ends -> the names of its last axes, None for one that is held whole
    "embed/embedding": ("vocab", "embed"),
    "embed/positions": (None, "embed"),
    "head/kernel": ("embed", "vocab"),
    "query/kernel": ("embed", "heads"),
    "key/kernel": ("embed", "heads"),
    "value/kernel": ("embed", "heads"),
    "attention/out/kernel": ("heads", "embed"),
    "cross/out/kernel": ("heads", "embed"),
    "in/kernel": ("embed", "mlp"),
    "gate/kernel": ("embed", "mlp"),
    "out/kernel": ("mlp", "embed"),
}


def names_of(path: str) -> tuple[str | None, ...]:
    """The names of the last axes of a parameter, by the first row that its path ends with; () for none."""
    return next((names for end, names in ARRAYS.items() if path.endswith(f"/{end}")), ())


def split(names: tuple[str | None, ...], shape: tuple[int, ...], mesh: dict[str, int]) -> tuple[tuple[str, ...], ...]:
    """For each axis of an array the axes of the mesh {axis: devices} that split it; `names` are of its last axes."""
    padded = (None,) * (len(shape) - len(names)) + names
    wished = [tuple(axis for axis in AXES.get(name, ()) if mesh[axis] > 1) for name in padded]
    return tuple(axes if divides(axes, size, mesh) else () for axes, size in zip(wished, shape, strict=True))


def parts(names: tuple[str | None, ...], shape: tuple[int, ...], mesh: dict[str, int]) -> int:
    """Into how many parts an array is split."""
    return math.prod(mesh[axis] for axes in split(names, shape, mesh) for axis in axes)


def divides(axes: tuple[str, ...], size: int, mesh: dict[str, int]) -> bool:
    """Whether so many devices divide a size."""
    return size % math.prod(mesh[axis] for axis in axes) == 0
