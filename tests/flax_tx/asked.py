"""What XLA asks for of memory."""

import functools

import jax
import numpy as np

from flax_tx import data, train
from flax_tx.compilation import COMPILE, known
from flax_tx.config import structure
from flax_tx.values import values


def asked(config, about) -> int:
    """Bytes that XLA allocates for a chunk of training, without the data set."""
    program = train.Program(structure(config), about.task, about.vocab_size, about.num_classes or about.vocab_size)
    arrays, numbers = data.load(config.data), values(config)
    shapes = (numbers, arrays, jax.eval_shape(functools.partial(train.init, program), numbers))
    chunk = jax.jit(functools.partial(train.chunk, program), donate_argnums=2, compiler_options=known(COMPILE))
    found = chunk.lower(*shapes, np.int32(1)).compile().memory_analysis()
    return found.temp_size_in_bytes + found.argument_size_in_bytes - sum(array.nbytes for array in arrays.values())
