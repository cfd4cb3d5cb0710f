"""How many cells train together: as many as were asked for, as the program has, and as the device holds. Needs JAX.

The functions of a group are compiled once for the size that is tried; what they need is read from the compiled code
and compared with what the device has. Where that does not show it, an error shows it: the group is halved, and a file
in the cache of compiled programs remembers it for the next time.
"""

import contextlib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import jax

from experiments import records
from experiments.settings import Settings
from flax_tx.schema import Mesh

if TYPE_CHECKING:
    from experiments.compiled import Training

MOST = 256  # cells at a time, where nothing was asked for
SHARE = 0.9  # of the device's free memory; probes and evaluations take theirs beside the states


def most(settings: Settings, mesh: Mesh) -> int:
    """The largest group that may be tried; a cell on several devices trains alone."""
    return 1 if mesh.size() > 1 else settings.group or (1 if jax.default_backend() == "cpu" else MOST)


def even(cells: int, limit: int) -> int:
    """The size of groups as even as can be, of at most `limit`: 5 cells, 4 at a time, are 3 and 2."""
    rounds = -(-cells // max(1, limit))
    return -(-cells // max(1, rounds)) or 1


def fit(compile_for: Callable[[int], "Training"], cells: int, limit: int, path: Path) -> "Training":
    """The compiled functions of the largest group of at most `limit` cells that compiles and fits the device.

    Raises: what compiling for one cell raises.
    """
    limit, room = min(limit, recall(path) or limit), free()
    while True:
        size = even(cells, limit)
        try:
            training = compile_for(size)
        except Exception as error:
            if size == 1:
                raise
            print(f"{size} cells do not compile together: {' '.join(str(error).split())[:300]}", file=sys.stderr)
            limit = half(size)
            remember(path, limit, error)
            continue
        taken = training.bytes() if size > 1 and room else 0
        if not taken or taken <= room:
            return training
        limit = max(1, min(size - 1, size * room // taken))


def half(size: int) -> int:
    """What is tried after a group of that size was too large."""
    return -(-size // 2)


def free() -> int | None:
    """Bytes that a program may take on the first device; None where the device does not say."""
    said = jax.local_devices()[0].memory_stats() or {}
    return int(SHARE * (said["bytes_limit"] - said["bytes_in_use"])) if "bytes_limit" in said else None


def needed(compiled) -> int:
    """Bytes of the device that a compiled function takes, with its arguments and what it gives; 0 if unknown."""
    said = compiled.memory_analysis()
    if said is None:
        return 0
    given = said.output_size_in_bytes - said.alias_size_in_bytes
    return said.argument_size_in_bytes + given + said.temp_size_in_bytes + said.generated_code_size_in_bytes


def exhausted(error: BaseException) -> bool:
    """Whether an error says that the memory of the device did not suffice."""
    return "RESOURCE_EXHAUSTED" in str(error)


def key(program: str, folder: Path) -> Path:
    """The file that remembers the largest group of a program on this kind of device."""
    name = f"{program} {jax.devices()[0].device_kind}"
    return folder / "groups" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def recall(path: Path) -> int | None:
    """The largest group that may still be tried, where one was too large before."""
    with contextlib.suppress(records.RecordError, KeyError, TypeError, ValueError):
        return max(1, int(records.read_json(path)["most"]))
    return None


def remember(path: Path, limit: int, error: BaseException) -> None:
    """Keeps the next launch from trying a group that the device could not hold."""
    if exhausted(error):
        with contextlib.suppress(OSError):  # then it tries again
            records.write_json(path, {"most": limit, "device": jax.devices()[0].device_kind})
