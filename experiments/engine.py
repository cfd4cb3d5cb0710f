"""run_program: trains the cells of one program and writes their records. This module and what it imports need JAX.

The unit of work is idempotent: a cell that has a result is left alone. A program is compiled once. On CPU its cells
run one after the other through the same compiled code, so that a cell's numbers cannot depend on its neighbours; where
there is a GPU, or --group asks for it, several train together (experiments.group), and a cell alone is a group of one.
"""

import collections
import contextlib
import json
import time
from collections.abc import Generator, Iterator

from experiments import leases, records
from experiments.compiled import Compiled, compile_program, provide, smaller
from experiments.desk import Desk, Event, Unwritable, last_line
from experiments.fitting import exhausted, half
from experiments.group import Group
from experiments.member import Member, begin, finish, look
from experiments.settings import USUAL, Settings
from flax_tx.config import Config, freeze

Waiting = collections.deque[Member]


def run_program(workdir: str, program_id: str, settings: Settings = USUAL) -> Iterator[Event]:
    """Trains what is missing of a program, writes every cell's records as it ends, and says what happens as events.

    {"event": "compiled", "seconds"}, {"event": "progress", "cell", "step", "steps", "tokens"},
    {"event": "smaller", "size", "reason"}: from now on so many cells at a time,
    {"event": "cell", "cell", "status", "reason", "val_loss", "seconds"}. An error in one cell is that cell's result;
    an error before any cell starts is the result of them all.
    """
    cells = records.sweep(workdir)["programs"][program_id]
    return run_cells(workdir, [cell for cell in cells if cell not in records.finished(workdir, cells)], settings)


def run_cells(workdir: str, cells: list[str], settings: Settings = USUAL, lease: str | None = None) -> Iterator[Event]:
    """Trains these cells of one program, as long as the file `lease` is there, if one is named.

    Raises: Unwritable, when a result cannot be written.
    """
    provide(settings)
    with contextlib.suppress(leases.Lost):
        yield from train_cells(Desk(workdir, settings, lease), cells)


def train_cells(desk: Desk, cells: list[str]) -> Iterator[Event]:
    """Compiles, then trains the cells. Raises: Lost, Unwritable."""
    started = time.perf_counter()
    try:
        configs = {cell: read_config(desk.workdir, cell) for cell in cells}
        compiled = compile_program(next(iter(configs.values())), len(cells), desk.settings) if configs else None
    except records.RecordError as damage:
        raise Unwritable(str(damage)) from None
    except Exception:
        for cell in cells:
            yield desk.fail(cell, time.perf_counter() - started)
        return
    if compiled:
        yield {"event": "compiled", "seconds": compiled.seconds}
        members = collections.deque(Member(*cell) for cell in configs.items())
        yield from (train if compiled.training else probe)(desk, members, compiled)


def read_config(workdir: str, cell: str) -> Config:
    """The config of a cell as its record has it."""
    return freeze(records.read_config(workdir, cell))


def probe(desk: Desk, waiting: Waiting, compiled: Compiled) -> Iterator[Event]:
    """Measures cells of no step, one after the other."""
    for member in waiting:
        member.started = time.perf_counter()
        try:
            yield look(desk, member, compiled)
        except (leases.Lost, Unwritable):
            raise
        except Exception:
            yield fail(desk, member)


def train(desk: Desk, waiting: Waiting, compiled: Compiled) -> Iterator[Event]:
    """Trains cells, as many at a time as the program was compiled for: a cell that ends makes room for the next one.

    What goes wrong with several is tried again with half as many; what goes wrong with one is its result.
    """
    group = Group(compiled)
    while waiting or group.members:
        try:
            yield from fill(desk, group, waiting)
            yield from report(desk, group, group.advance())
            yield from leave(desk, group)
        except (leases.Lost, Unwritable):
            raise
        except Exception as error:
            group = yield from halve(desk, group, waiting, error)


def fill(desk: Desk, group: Group, waiting: Waiting) -> Iterator[Event]:
    """Cells that wait take the slots that are free."""
    while waiting and not group.full():
        member = waiting[0]
        try:
            if member.run is None:
                begin(desk, member, group.compiled)
            group.enter(member)
        except Exception as error:
            if of_all(group, error):
                raise
            yield fail(desk, member)
        waiting.popleft()


def report(desk: Desk, group: Group, steps: dict[int, int]) -> Iterator[Event]:
    """Saves the members for which it is time, and says how far those are that took steps."""
    leases.check(desk.lease)
    for slot, member in group.members.items():
        if member.keeper.due(member.run, len(group.members)):
            member.keeper.note(group.show(slot))
    for slot, taken in steps.items():
        member, config = group.members[slot], group.members[slot].config
        tokens = taken * config.train.batch_size * config.data.seq_len
        far = {"step": member.run.step, "steps": config.train.steps, "tokens": tokens}
        yield {"event": "progress", "cell": member.cell, **far}


def leave(desk: Desk, group: Group) -> Iterator[Event]:
    """Members that have nothing left to train get their result."""
    slots = group.ended()
    evaluated = group.evaluate() if slots else []
    for slot in slots:
        try:
            ended = finish(desk, group.members[slot], group.show(slot), group.compiled, evaluated[slot])
        except (leases.Lost, Unwritable):
            raise
        except Exception as error:
            if of_all(group, error):
                raise
            ended = fail(desk, group.members[slot])
        del group.members[slot]
        yield ended


def of_all(group: Group, error: Exception) -> bool:
    """Whether an error in the care of one member is the fault of all: they leave too little memory for it."""
    return group.size > 1 and exhausted(error)


def fail(desk: Desk, member: Member) -> Event:
    """The error that is being handled is the result of a cell."""
    return desk.fail(member.cell, time.perf_counter() - member.started)


def halve(desk: Desk, group: Group, waiting: Waiting, error: Exception) -> Generator[Event, None, Group]:
    """A group of half the size, for what could not go on together; a cell that was alone has failed."""
    if group.size == 1:
        for member in group.members.values():
            yield fail(desk, member)
        return Group(group.compiled)
    waiting.extendleft(reversed(group.dissolve()))
    try:
        compiled = smaller(group.compiled, waiting[0].config, len(waiting), half(group.size), error)
    except Exception:
        while waiting:
            yield fail(desk, waiting.popleft())
        return Group(group.compiled)
    yield {"event": "smaller", "size": compiled.training.size, "reason": last_line(str(error))[:200]}
    return Group(compiled)


def to_line(event: Event) -> str:
    """An event as one line of JSON."""
    return json.dumps(event, default=float)
