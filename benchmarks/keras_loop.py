"""A peer: Keras 3 on its JAX backend, trained by `fit`.

    python -m benchmarks.keras_loop WIDTH DEPTH

The model is flax_tx's default one in that size, of Keras's own layers: pre-LN, GELU, learned positions, no biases. It
takes every core that the process may use, as XLA does by itself.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
from keras import layers, ops

from benchmarks.job import LOG_EVERY, batches, serve_loop, sized
from flax_tx import data
from flax_tx.schema import Config


class Positions(layers.Layer):
    """x: (B, L, D) plus a learned row per position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer=keras.initializers.RandomNormal(stddev=0.02))

    def call(self, x):
        return x + self.table


def build(config: Config, vocab_size: int) -> keras.Model:
    """The model of a config."""
    model, length = config.model, config.data.seq_len
    tokens = layers.Input((length,), dtype="int32")
    x = Positions()(layers.Embedding(vocab_size, model.width)(tokens))
    for _ in range(model.num_layers):
        y = layers.LayerNormalization()(x)
        heads = layers.MultiHeadAttention(model.num_heads, model.per_head(), use_bias=False)
        x = x + heads(y, y, use_causal_mask=True)
        y = layers.Dense(model.hidden_dim(), use_bias=False)(layers.LayerNormalization()(x))
        x = x + layers.Dense(model.width, use_bias=False)(ops.gelu(y, approximate=True))
    return keras.Model(tokens, layers.Dense(vocab_size, use_bias=False)(layers.LayerNormalization()(x)))


class Loop:
    """One run: a model, its optimiser and its batches."""

    def __init__(self, config: Config):
        stream = data.load(config.data)["train"]
        drawn = batches(stream, config.train.batch_size, config.data.seq_len, config.seed.data)
        self.pairs = ((batch["inputs"], batch["targets"]) for batch in drawn)
        self.model = build(config, data.describe(config.data).vocab_size)
        self.params = self.model.count_params()
        self.model.compile(
            keras.optimizers.AdamW(config.optim.learning_rate, weight_decay=config.optim.weight_decay),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def train(self, steps: int = LOG_EVERY) -> float:
        """Takes steps; their mean loss."""
        return self.model.fit(self.pairs, steps_per_epoch=steps, verbose=0).history["loss"][-1]


if __name__ == "__main__":
    serve_loop(Loop, sized(int(sys.argv[1]), int(sys.argv[2])))
