"""How fast a launch goes and what remains: work in FLOPs, known before anything runs, at the pace of what has run."""

import time
from collections.abc import Iterable

from experiments.plan import Plan

ENDED = ("cell", "found")  # by this launcher, by another one


class Pace:
    """What is left of a launch. On a lane it first compiles a program, then trains its cells chunk by chunk.

        remaining = (FLOPs left * seconds per FLOP + programs to compile * seconds to compile one) / lanes

    Both paces are those of what the lanes did so far, so one timed chunk is enough for a first estimate.
    """

    def __init__(self, plan: Plan, cells: Iterable[str]):
        self.whole = {cell: float(plan.flops(cell)) for cell in cells}
        trains = {cell: (plan.cells[cell].train, plan.cells[cell].data.seq_len) for cell in self.whole}
        self.size = {cell: train.steps * train.batch_size * length for cell, (train, length) in trains.items()}
        self.left, self.work = dict(self.whole), sum(self.whole.values())
        self.cells = {name: [cell for cell in members if cell in self.left] for name, members in plan.programs.items()}
        self.uncompiled = {name for name, members in self.cells.items() if members}
        self.since: dict[int, float] = {}  # lane -> its last event
        self.running: dict[int, str] = {}  # lane -> its program
        self.trained, self.training = 0.0, 0.0  # FLOPs, and the seconds that lanes took for them
        self.compiled, self.compiling = 0, 0.0
        self.tokens, self.first_token = 0, 0.0

    def note(self, event: dict) -> None:
        """Takes an event of an executor into account."""
        kind, now = event["event"], time.monotonic()
        seconds = now - self.since.get(event["lane"], now)
        if event["lane"] is not None:
            self.since[event["lane"]] = now
        if kind == "program":
            self.running[event["lane"]] = event["program"]
        if kind == "compiled":
            self.uncompiled.discard(self.running.get(event["lane"], ""))
            self.compiled, self.compiling = self.compiled + 1, self.compiling + seconds
        if kind == "progress":
            self.first_token = self.first_token or now
            self.tokens += event["tokens"]
            done = event["tokens"] / self.size[event["cell"]]  # less than its steps say, where it was resumed
            self.trained, self.training = self.trained + done * self.whole[event["cell"]], self.training + seconds
            self.leave(event["cell"], 1 - event["step"] / max(1, event["steps"]))
        if kind == "cell":
            untouched = self.left[event["cell"]] == self.whole[event["cell"]]  # a cell of no step, or that failed
            self.trained += untouched * self.whole[event["cell"]]
            self.training += seconds
        if kind in ENDED:
            self.leave(event["cell"], 0.0)

    def leave(self, cell: str, share: float) -> None:
        """A cell has this share of its work left."""
        before, self.left[cell] = self.left[cell], self.whole[cell] * share
        self.work -= before - self.left[cell]

    def remaining(self) -> float | None:
        """Seconds that remain; None before a chunk was timed."""
        if self.trained <= 0:
            return None
        todo = sum(any(self.left[cell] for cell in self.cells[name]) for name in self.uncompiled)
        compiling = todo * self.compiling / max(1, self.compiled)
        return (self.work * self.training / self.trained + compiling) / max(1, len(self.since))

    def eta(self) -> str:
        """Minutes and seconds that remain; empty before that is known."""
        seconds = self.remaining()
        return "" if seconds is None else f"ETA {int(seconds // 60)}:{int(seconds % 60):02d}"

    def speed(self) -> str:
        """Tokens per second over all lanes since the first chunk, compilation included."""
        seconds = time.monotonic() - self.first_token if self.first_token else 0.0
        return f"{self.tokens / seconds:,.0f} tokens/s" if seconds > 1 else ""
