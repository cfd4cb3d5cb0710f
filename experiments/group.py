"""The cells of a program that train together: each in a slot, their states stacked on the device. Needs JAX.

A slot advances by as many steps as its own cell has left in its chunk, so that cells may begin and end at different
times; a cell that met a bad step, and a slot without a cell, stand still while the others go on.
"""

import functools
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from experiments.compiled import Compiled
from experiments.member import Member
from experiments.runs import Run
from flax_tx.values import values


class Group:
    """Up to `size` members, by slot. In a group of one nothing is stacked: state and numbers are those of the cell."""

    def __init__(self, compiled: Compiled):
        self.compiled, self.size = compiled, compiled.training.size
        self.members: dict[int, Member] = {}
        self.numbers = self.state = None

    def full(self) -> bool:
        """Whether every slot has a member."""
        return len(self.members) == self.size

    def enter(self, member: Member) -> None:
        """Gives a cell that has begun a slot, where its state lies from now on."""
        slot = next(slot for slot in range(self.size) if slot not in self.members)
        numbers, state = values(member.config), jax.tree.map(jnp.asarray, member.run.state)
        if self.size == 1:
            self.numbers, self.state = numbers, state
        else:
            self.insert(slot, numbers, state)
        self.members[slot], member.run.state = member, None
        member.trained = time.perf_counter() - member.run.seconds

    def insert(self, slot: int, numbers: dict, state) -> None:
        """Puts a cell in its place in the stacks; all of them begin as copies of the first."""
        if self.state is None:
            self.numbers = jax.tree.map(lambda a: np.stack([a] * self.size), numbers)
            self.state = copies(state, self.size)
        for row, number in zip(*map(jax.tree.leaves, (self.numbers, numbers)), strict=True):
            row[slot] = number
        self.state = put(self.state, slot, state)

    def advance(self) -> dict[int, int]:
        """Trains every member to the end of its chunk, or to its first bad step, and diagnoses its layers there.

        Slot -> the steps that it took. When this raises, no member has changed, but the state may be gone.
        """
        sizes = np.array([self.members[i].left() if i in self.members else 0 for i in range(self.size)], np.int32)
        if not sizes.any():
            return {}
        training, arrays = self.compiled.training, self.compiled.arrays
        state, metrics = training.chunk(self.numbers, arrays, self.state, sizes if self.size > 1 else sizes[0])
        diagnosed = self.compiled.program.config.train.diagnostics
        layers = training.diagnose(self.numbers, arrays, state) if diagnosed else None
        found = self.each((state.step, state.bad_step, metrics, layers))
        self.state, steps = state, {}
        for slot in np.flatnonzero(sizes).tolist():
            before = self.members[slot].run.step
            self.members[slot].record(*found[slot])
            steps[slot] = self.members[slot].run.step - before
        return steps

    def ended(self) -> list[int]:
        """The slots whose members have nothing left to train."""
        return [slot for slot, member in self.members.items() if not member.left()]

    def evaluate(self) -> list[dict]:
        """For every slot, split -> what flax_tx.train.evaluate gives."""
        evaluate, held_out = self.compiled.training.evaluate, self.compiled.training.held_out
        return self.each({name: evaluate(self.numbers, self.state.params, held_out[name][0]) for name in held_out})

    def show(self, slot: int) -> Run:
        """The run of a slot with its state."""
        return replace(self.members[slot].run, state=self.state if self.size == 1 else take(self.state, slot))

    def dissolve(self) -> list[Member]:
        """All members, to go on in another group: as they are, or not begun where a call took their state with it."""
        lost = any(leaf.is_deleted() for leaf in jax.tree.leaves(self.state))
        states = [] if lost else self.each(self.state)
        for slot, member in self.members.items():
            member.run = None if lost else replace(member.run, state=states[slot])
        members, self.members, self.state = [*self.members.values()], {}, None
        return members

    def each(self, tree) -> list:
        """What lies in each slot, on the host."""
        tree = jax.device_get(tree)
        return [tree] if self.size == 1 else [jax.tree.map(lambda a, i=i: a[i], tree) for i in range(self.size)]


@functools.partial(jax.jit, static_argnums=1)
def copies(one, size: int):
    """A stack of that many equal trees."""
    return jax.tree.map(lambda row: jnp.broadcast_to(row, (size, *row.shape)), one)


@functools.partial(jax.jit, donate_argnums=0)
def put(stack, slot, one):
    """The stack with another tree in a slot."""
    return jax.tree.map(lambda rows, row: rows.at[slot].set(row), stack, one)


@jax.jit
def take(stack, slot):
    """The tree in a slot of the stack."""
    return jax.tree.map(lambda rows: rows[slot], stack)
