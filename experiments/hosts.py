"""The processes that train one cell together: what all of them agree on, and that the first alone writes records.

With one process, as everywhere but under --executor=distributed, it is the first one and agrees with itself.
"""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments.files import RecordError
from experiments.settings import Settings
from flax_tx.errors import UserError

PATIENCE = 300  # seconds until all processes must have come together
PARTING = 30  # seconds that a process waits at its end for the others


def join(settings: Settings) -> None:
    """Waits for the other processes; what the settings leave open, JAX asks the cluster. Raises: UserError."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            settings.coordinator or None,
            settings.num_processes or None,
            settings.process_id if settings.num_processes else None,
            initialization_timeout=PATIENCE,
            shutdown_timeout_seconds=PARTING,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--coordinator = {settings.coordinator!r}: the processes did not meet ({reason})") from None


def first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def agreed(message: Any) -> Any:
    """What the first process says, in every one of them; anything that JSON holds."""
    if jax.process_count() == 1:
        return message
    text = np.frombuffer(json.dumps(message).encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(text.size)))
    padded = np.zeros(size, np.uint8)
    if first():
        padded[:] = text
    return json.loads(multihost_utils.broadcast_one_to_all(padded).tobytes())


def meet() -> None:
    """Waits until all processes are here. Raises: RecordError where one of them has ended."""
    try:
        agreed(None)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RecordError(f"another process of this launch has ended; the same command continues ({reason})") from None


def decided(function: Callable, *arguments: Any) -> Any:
    """What a function gives in the first process, or the ValueError that it raises there, in every one of them."""
    if jax.process_count() == 1:
        return function(*arguments)
    found = {}
    if first():
        try:
            found = {"value": function(*arguments)}
        except (UserError, ValueError, KeyError, TypeError, OSError) as error:
            found = {"problem": str(error)}
    found = agreed(found)
    if "problem" in found:
        raise ValueError(found["problem"])
    return found["value"]
