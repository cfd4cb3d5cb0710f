"""What a lane needs of its machine, known before it starts."""

from experiments import records
from flax_tx import data
from flax_tx.config import freeze
from flax_tx.memory import training_bytes

# Bytes of a lane beside its model: the interpreter, JAX, and XLA while it compiles (780 MB were seen).
PROCESS = 1 << 30


def memory(workdir: str, cell: str) -> int:
    """Bytes that the lane of a cell uses at most, about."""
    config = freeze(records.read_config(workdir, cell))
    about = data.describe(config.data)
    outputs = about.num_classes or about.vocab_size
    return PROCESS + training_bytes(config, about.vocab_size, outputs, about.task)
