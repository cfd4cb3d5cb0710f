"""One block: attention, then feed-forward sublayers, each added to the stream by the wiring."""

import flax.linen as nn

from flax_tx import streams
from flax_tx.attention import Attention, Tokens
from flax_tx.feedforward import FeedForward
from flax_tx.layers import dropout
from flax_tx.schema import Model


class Block(nn.Module):
    """stream -> stream. `layer` holds this layer's numbers, (sublayers,) each; `rates` the dropout rates."""

    cfg: Model

    @nn.compact
    def __call__(self, stream, layer: dict, rates: dict, tokens: Tokens):
        cfg = self.cfg
        blockwide = streams.shared(self, cfg, {name: column[0] for name, column in layer.items()})
        for index in range(1 + cfg.num_ffn):
            numbers = {name: column[index] for name, column in layer.items()}
            name, sublayer = self.sublayer(index, numbers, rates, tokens)
            stream = streams.Step(cfg, name=f"{name}_add")(stream, sublayer, numbers, blockwide)
        return stream, None

    def sublayer(self, index: int, numbers: dict, rates: dict, tokens: Tokens):
        """The name of a sublayer and its function (T, D) -> (T, D), dropout included."""
        cfg, gains = self.cfg, (numbers["init_gain"], numbers["out_init"])
        if index == 0:
            name, module = "attention", Attention(cfg, name="attention")
            arguments = (tokens, *gains, rates["attention"])
        else:
            name, module = f"ffn_{index - 1}", FeedForward(cfg, name=f"ffn_{index - 1}")
            arguments = gains

        def apply(x_TxD):
            return dropout(self, module(x_TxD, *arguments), cfg.dropout.branch > 0, rates["branch"])

        return name, apply
