"""The baseline: the loop of most Flax examples, one jitted step per Python iteration, layers in a Python `for`.

    python -m benchmarks.plain_loop WIDTH DEPTH

The model is flax_tx's default one in that size, built from what Flax ships: byte LM, pre-LN, GELU, learned positions,
an untied head, no biases in kernels, activations [B, L, D]. It takes every core that the process may use, as XLA does
by itself.
"""

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

from benchmarks.job import LOG_EVERY, batches, serve_loop, sized
from flax_tx import data
from flax_tx.schema import Config, Model


class Block(nn.Module):
    """x: (B, L, D) -> (B, L, D), attention and MLP, each normalised before and added after."""

    cfg: Model

    @nn.compact
    def __call__(self, x, mask):
        cfg = self.cfg
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(cfg.num_heads, use_bias=False)(y, mask=mask)
        y = nn.Dense(cfg.hidden_dim(), use_bias=False)(nn.LayerNorm()(x))
        return x + nn.Dense(cfg.width, use_bias=False)(nn.gelu(y))


class Transformer(nn.Module):
    """Logits (B, L, V) of tokens (B, L)."""

    cfg: Model
    vocab_size: int

    @nn.compact
    def __call__(self, tokens):
        positions = self.param("positions", nn.initializers.normal(0.02), (tokens.shape[1], self.cfg.width))
        x = nn.Embed(self.vocab_size, self.cfg.width)(tokens) + positions
        mask = nn.make_causal_mask(tokens)
        for _ in range(self.cfg.num_layers):
            x = Block(self.cfg)(x, mask)
        return nn.Dense(self.vocab_size, use_bias=False)(nn.LayerNorm()(x))


@jax.jit
def train_step(state: TrainState, batch: dict):
    """One step of AdamW on the mean cross-entropy: (state, loss)."""

    def loss_of(params):
        logits = state.apply_fn({"params": params}, batch["inputs"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["targets"]).mean()

    loss, grads = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=grads), loss


class Loop:
    """One run: a model, its optimiser and its batches."""

    def __init__(self, config: Config):
        stream = data.load(config.data)["train"]
        self.stream = batches(stream, config.train.batch_size, config.data.seq_len, config.seed.data)
        model = Transformer(config.model, data.describe(config.data).vocab_size)
        params = model.init(jax.random.key(config.seed.init), jnp.zeros((1, config.data.seq_len), jnp.int32))["params"]
        optimizer = optax.adamw(config.optim.learning_rate, weight_decay=config.optim.weight_decay)
        self.state = TrainState.create(apply_fn=model.apply, params=params, tx=optimizer)
        self.params = sum(leaf.size for leaf in jax.tree.leaves(params))

    def train(self, steps: int = LOG_EVERY) -> float:
        """Takes steps; the loss of the last one."""
        for _ in range(steps):
            self.state, loss = train_step(self.state, next(self.stream))
        return float(loss)


if __name__ == "__main__":
    serve_loop(Loop, sized(int(sys.argv[1]), int(sys.argv[2])))
