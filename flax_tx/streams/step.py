"""The step of one residual stream: the formula of flax_tx.wiring, and what the steps of other streams take from it."""

import flax.linen as nn
import flax.struct
import jax.numpy as jnp

from flax_tx.diagnostics import capture, cosine, observe, rms
from flax_tx.layers import Normalize, stochastic_depth
from flax_tx.layout import kind
from flax_tx.schema import Model
from flax_tx.wiring import WIRINGS, Learned


@flax.struct.dataclass
class Call:
    """What a block hands to a step: its branches as functions, their numbers, and what the block's steps share.

    A function takes (y: (T, D), memory) and gives (branch: (T, D), memory). `numbers` holds, for each branch, scalars
    and the starts of what is learned; `blockwide` the arrays that a block learns once.
    """

    functions: tuple = flax.struct.field(pytree_node=False)
    numbers: tuple
    blockwide: dict
    num_sequences: int = flax.struct.field(pytree_node=False)


class Step(nn.Module):
    """x' = main(skip_gain * x + Σ branch_gain * branch(f(pre_gain * pre(x)))), the sum over the branches of a step.

    (stream, memory, call) -> (stream, memory). `branches` names the sublayers of each branch; `first` and `last` say
    whether it is the first or the last step of its block.
    """

    cfg: Model
    branches: tuple[tuple[str, ...], ...]
    first: bool
    last: bool

    @nn.compact
    def __call__(self, x_TxD, memory, call: Call):
        branch, memory = self.branch(x_TxD, memory, call)
        return self.add(x_TxD, branch, call), memory

    def branch(self, x, memory, call: Call):
        """(Σ branch_gain * branch(f(pre_gain * pre(x))), memory)."""
        found = []
        for i, (function, numbers) in enumerate(zip(call.functions, call.numbers, strict=True)):
            y = self.gain("pre", self.norm("pre", x, i), i, call)
            y, memory = function(y, memory)
            y = self.gain("branch", self.norm("branch", y, i), i, call)
            on = self.cfg.dropout.depth > 0
            found.append(stochastic_depth(self, y, on, numbers["drop"], call.num_sequences))
        return sum(found[1:], found[0]), memory

    def add(self, x, branch, call: Call, more=None):
        """main(skip_gain * x + branch), plus `more` inside the norm."""
        total = self.gain("skip", x, 0, call) + branch
        out = self.norm("main", total if more is None else total + more)
        self.observe(x, branch, out)
        return out

    def observe(self, x, branch, out):
        """The sizes of stream and branch, and the cosine of the stream before and after."""
        observe(self, "stream_rms", lambda: rms(x))
        observe(self, "branch_rms", lambda: rms(branch))
        observe(self, "branch_to_stream", lambda: rms(branch) / jnp.maximum(rms(x), 1e-30))
        observe(self, "cosine", lambda: cosine(x, out))
        for name, array in (("before", x), ("branch", branch), ("after", out)):
            capture(self, name, array)

    def prefix(self, i: int) -> str:
        """What the parameters of the second and later branches of a step are called after."""
        return f"{self.branches[i][0]}_" if i else ""

    def norm(self, slot: str, x, i: int = 0):
        """The norm of a slot, or x where the slot is empty."""
        if not self.cfg.holds(slot, kind(self.branches[i][0])):
            return x
        return Normalize(self.cfg, self.cfg.norm.kind, name=f"{self.prefix(i)}{slot}_norm")(x)

    def gain(self, name: str, x, i: int, call: Call):
        """x times the gain of that name, learned and not, in the dtype of x."""
        fixed, key = call.numbers[i].get(f"{name}_gain"), f"{name}_gain"
        if isinstance(WIRINGS[self.cfg.wiring].gain(name), Learned):
            x = self.array(key, i, call).astype(x.dtype) * x
        return x if fixed is None else fixed.astype(x.dtype) * x

    def array(self, name: str, i: int, call: Call):
        """A learned array of the wiring's row: the block's, or this branch's own from its start."""
        if name in call.blockwide:
            return call.blockwide[name]
        return learned(self, f"{self.prefix(i)}{name}", call.numbers[i]["start"][name])


def learned(module: nn.Module, name: str, start):
    """A parameter from its start, float32."""
    return module.param(name, lambda key: jnp.asarray(start, jnp.float32))


def shared(block: nn.Module, cfg: Model, start: dict) -> dict:
    """The learned arrays that all steps of a block share."""
    rows = WIRINGS[cfg.wiring].trained()
    return {name: learned(block, name, start[name]) for name, row in rows.items() if row.per == "block"}


class Close(nn.Module):
    """What the head reads: the stream after the last block, normalised where the final slot holds a norm."""

    cfg: Model

    @nn.compact
    def __call__(self, stream, start: dict):
        return self.final(stream)

    def final(self, x):
        """x, normalised where the final slot holds a norm."""
        return self.norm("final_norm", x) if self.cfg.holds("final") else x

    def norm(self, name: str, x):
        """A norm of the model's kind."""
        return Normalize(self.cfg, self.cfg.norm.kind, name=name)(x)


def one(cfg: Model, x_TxD, length: int):
    """The stream before the first block: x itself."""
    return x_TxD
