"""The baseline: the loop of most Flax examples, one jitted step per Python iteration, layers in a Python `for`.

    python -m benchmarks.plain_loop

The model is flax_tx's default one, built from what Flax ships: byte LM, pre-LN, GELU, learned positions, an untied
head, no biases in kernels, activations [B, L, D]. It takes every core that the process may use, as XLA does by itself.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

from benchmarks import machine
from flax_tx import data
from flax_tx.config import resolve
from flax_tx.schema import Model

LOG_EVERY = 25  # steps between two looks at the loss, each of which waits for the device


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


def batches(stream: np.ndarray, batch_size: int, seq_len: int, seed: int = 0):
    """Windows of the text, drawn on the host: inputs and targets, int32 (B, L)."""
    rng = np.random.default_rng(seed)
    while True:
        starts = rng.integers(0, len(stream) - seq_len, batch_size)
        windows = stream[starts[:, None] + np.arange(seq_len + 1)].astype(np.int32)
        yield {"inputs": windows[:, :-1], "targets": windows[:, 1:]}


def main() -> None:
    """Trains in the windows that the input asks for."""
    config, _ = resolve({})
    stream = batches(data.load(config.data)["train"], config.train.batch_size, config.data.seq_len)
    model = Transformer(config.model, data.describe(config.data).vocab_size)
    params = model.init(jax.random.key(0), jnp.zeros((1, config.data.seq_len), jnp.int32))["params"]
    optimizer = optax.adamw(config.optim.learning_rate, weight_decay=config.optim.weight_decay)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optimizer)

    def train() -> float:
        nonlocal state
        for _ in range(LOG_EVERY):
            state, loss = train_step(state, next(stream))
        return float(loss)

    def answer(start: float, end: float) -> dict:
        return {"steps_per_second": machine.rate(LOG_EVERY, machine.repeat(train, start, end))}

    train()
    machine.serve({"params": sum(leaf.size for leaf in jax.tree.leaves(params))}, answer)


if __name__ == "__main__":
    main()
