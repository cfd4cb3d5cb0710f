"""A peer: x-transformers in PyTorch, eager or through torch.compile, with the loop of most PyTorch examples.

    python -m benchmarks.torch_loop WIDTH DEPTH eager|compiled

The model is flax_tx's default one in that size: a pre-LN decoder with GELU, learned positions, no biases. It takes
every core that the process may use, as PyTorch does by itself.
"""

import sys

import torch
from x_transformers import Decoder, TransformerWrapper

from benchmarks.job import LOG_EVERY, batches, serve_loop, sized
from flax_tx import data
from flax_tx.schema import Config


def build(config: Config, vocab_size: int) -> torch.nn.Module:
    """The model of a config."""
    model = config.model
    layers = Decoder(
        dim=model.width,
        depth=model.num_layers,
        heads=model.num_heads,
        attn_dim_head=model.per_head(),
        ff_mult=model.hidden_dim() / model.width,
        ff_no_bias=True,
        ff_custom_activation=torch.nn.GELU(approximate="tanh"),
        attn_flash=True,
        verbose=False,
    )
    return TransformerWrapper(num_tokens=vocab_size, max_seq_len=config.data.seq_len, attn_layers=layers)


class Loop:
    """One run: a model, its optimiser and its batches."""

    def __init__(self, config: Config, mode: str = "eager"):
        stream = data.load(config.data)["train"]
        self.stream = batches(stream, config.train.batch_size, config.data.seq_len, config.seed.data)
        torch.manual_seed(config.seed.init)
        self.model = build(config, data.describe(config.data).vocab_size)
        self.forward = torch.compile(self.model) if mode == "compiled" else self.model
        self.params = sum(leaf.numel() for leaf in self.model.parameters())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.optim.learning_rate,
            weight_decay=config.optim.weight_decay,
            fused=True,
        )

    def train(self, steps: int = LOG_EVERY) -> float:
        """Takes steps; the loss of the last one."""
        for _ in range(steps):
            batch = {name: torch.from_numpy(array).long() for name, array in next(self.stream).items()}
            logits = self.forward(batch["inputs"])
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten())
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        return float(loss.detach())


if __name__ == "__main__":
    serve_loop(lambda config: Loop(config, sys.argv[3]), sized(int(sys.argv[1]), int(sys.argv[2])))
