"""A cluster that runs a sweep, as a model of events: devices, one launcher, one file system, nodes that are taken away.

The launcher and the file system serve one request at a time, so each has a limit of its own; devices wait for both.
What a request costs is measured (benchmarks.scaling); how often a device is taken away is assumed, and said.
"""

import random
from dataclasses import dataclass, replace

import simpy


@dataclass(frozen=True)
class Costs:
    """Seconds, of one machine; rates of a cluster that nobody measured say so in their comment."""

    plan_cell: float  # planning and checking a cell, in the launcher
    write_config: float  # the config of a cell, before the first program starts
    submit: float  # the launcher gives a program to a worker
    event: float  # the launcher takes an event: progress, a result
    start: float  # a worker, from its task to its first step: imports and compilation
    train: float  # a cell on one device
    chunks: int  # of a cell, an event each
    result: float  # the file system writes the result of a cell
    checkpoint: float  # a state in training
    checkpoint_every: float = 60.0
    files: float = 1.0  # how many times as fast the file system of the cluster is as the one measured: assumed
    preempted_every: float = 4 * 3600.0  # of a device, on average: assumed
    noticed_after: float = 15.0  # Ray takes 10 to 15 s to miss a node
    gone_for: float = 300.0  # until there is another node: assumed


@dataclass
class Seen:
    """What a run of the model showed."""

    seconds: float  # from the command to the last result
    ideal: float  # training alone, on all devices at once
    planning: float  # before the first program starts
    launcher: float  # share of the run in which it was busy
    files: float
    preemptions: int
    repeated: float  # seconds of training that were done twice

    @property
    def efficiency(self) -> float:
        """Ideal over real."""
        return self.ideal / self.seconds


class Server:
    """What serves one request at a time."""

    def __init__(self, env: simpy.Environment):
        self.env, self.queue, self.busy = env, simpy.Resource(env, 1), 0.0

    def serve(self, seconds: float):
        """A request, and the wait for its turn."""
        with self.queue.request() as turn:
            yield turn
            yield self.env.timeout(seconds)
            self.busy += seconds


class Cluster:
    """Programs of `cells_per_program` cells on devices, until none is left."""

    def __init__(self, costs: Costs, cells: int, cells_per_program: int, devices: int, seed: int = 0):
        self.costs, self.left, self.rng = costs, cells, random.Random(seed)
        self.env = simpy.Environment()
        self.launcher, self.files = Server(self.env), Server(self.env)
        self.programs, self.finished = simpy.Store(self.env), self.env.event()
        self.preemptions, self.repeated = 0, 0.0
        self.planning = cells * (costs.plan_cell + costs.write_config / costs.files)
        self.shape, self.devices = (cells, cells_per_program), devices

    def run(self) -> Seen:
        """Simulates the whole sweep."""
        cells, size = self.shape
        for first in range(0, cells, size):
            self.programs.put([self.costs.train] * min(size, cells - first))
        for _ in range(self.devices):
            self.env.process(self.preempt(self.env.process(self.device())))
        self.env.run(self.finished)
        seconds = self.planning + self.env.now
        busy = [server.busy / self.env.now for server in (self.launcher, self.files)]
        return Seen(
            seconds, cells * self.costs.train / self.devices, self.planning, *busy, self.preemptions, self.repeated
        )

    def device(self):
        """Takes programs, one after the other; what a preemption leaves of one goes back in the queue."""
        while True:
            program, begun, request = None, None, self.programs.get()
            try:
                program = yield request
                yield from self.launcher.serve(self.costs.submit)
                yield self.env.timeout(self.costs.start)
                while program:
                    begun = self.env.now
                    yield from self.cell(program)
            except simpy.Interrupt:
                self.preemptions += 1
                program = program or (request.value if request.triggered else request.cancel())
                yield self.env.timeout(self.costs.noticed_after)
                if program:
                    self.programs.put(self.rest(program, begun))
                yield self.env.timeout(self.costs.gone_for)

    def cell(self, program: list[float]):
        """Trains the first cell of a program, chunk by chunk, and writes its result."""
        costs, seconds = self.costs, program[0]
        for _ in range(costs.chunks):
            yield self.env.timeout(seconds / costs.chunks)
            self.env.process(self.launcher.serve(costs.event))
        saves = int(seconds / costs.checkpoint_every)
        yield from self.files.serve((costs.result + saves * costs.checkpoint) / costs.files)
        program.pop(0)
        self.left -= 1
        self.env.process(self.launcher.serve(costs.event))
        if not self.left:
            self.finished.succeed()

    def rest(self, program: list[float], begun: float | None) -> list[float]:
        """What is left of a program that ends now: its cell goes on from its last checkpoint."""
        if begun is not None:
            ran = min(self.env.now - self.costs.noticed_after - begun, program[0])
            kept = ran // self.costs.checkpoint_every * self.costs.checkpoint_every
            self.repeated += ran - kept
            program[0] -= kept
        return program

    def preempt(self, device: simpy.Process):
        """Takes a device away now and then."""
        while True:
            yield self.env.timeout(self.rng.expovariate(1 / self.costs.preempted_every))
            device.interrupt()
            yield self.env.timeout(self.costs.noticed_after + self.costs.gone_for)


def limits(costs: Costs, cells_per_program: int) -> dict[str, float]:
    """How many devices launcher and file system can serve, each by itself, if cells take as long as they do."""
    cell = costs.train + costs.start / cells_per_program
    saves = int(costs.train / costs.checkpoint_every)
    launcher = (costs.chunks + 1) * costs.event + costs.submit / cells_per_program
    return {
        "launcher": cell / launcher,
        "file system": cell * costs.files / (costs.result + saves * costs.checkpoint),
    }


def faster(costs: Costs, **changes: float) -> Costs:
    """The same cluster with something else in it."""
    return replace(costs, **changes)
