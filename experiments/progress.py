"""What a launch shows while it runs: bars on a terminal, one plain line per cell elsewhere; failures at once."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.labels import pairs
from experiments.pace import ENDED, Pace
from experiments.plan import Plan
from experiments.records import ARM
from experiments.visible import line

STYLES = {"done": "green", "stuck": "yellow", "diverged": "yellow", "failed": "bold red"}


def cell_label(plan: Plan, cell: str) -> str:
    """The cell by its values on the axes of the sweep."""
    config = plan.cells[cell]
    names = [name for name, values in plan.axes.items() if len(values) > 1]
    arm = {ARM: plan.arms[cell]} if cell in plan.arms else {}
    return pairs(arm | {name: value_of(config, name) for name in names if name != ARM}) or cell


def value_of(config, name: str):
    """The value of a dotted field."""
    for part in name.split("."):
        config = getattr(config, part)
    return config


def outcome_line(plan: Plan, event: dict) -> str:
    """One line for a cell that ended."""
    loss = "" if event["val_loss"] is None else f"val_loss {event['val_loss']:.4f}"
    reason = line(event["reason"] or "") if event["status"] in ("failed", "diverged") else ""
    return "  ".join(filter(None, (f"{event['status']:<8}", cell_label(plan, event["cell"]), loss, reason)))


def follow(plan: Plan, cells: list[str], events: Iterable[dict], console: Console) -> Iterator[dict]:
    """Shows the events as they pass."""
    show = bars if console.is_terminal else lines
    yield from show(plan, cells, events, console)


def lines(plan: Plan, cells: list[str], events: Iterable[dict], console: Console) -> Iterator[dict]:
    """A plain line for each cell that ends, and for each program that is tried again or run elsewhere."""
    pace, ended = Pace(plan, cells), 0
    for event in events:
        pace.note(event)
        if event["event"] in ENDED:
            ended += 1
            text = f"[{ended}/{len(cells)}]  {outcome_line(plan, event)}  {pace.eta()}"
            console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)
        if event["event"] in NEWS:
            console.print(news_line(event), markup=False, highlight=False, soft_wrap=True)
        yield event


NEWS = {
    "retry": "retry     program {program}: {cells} cells again, {reason}",
    "smaller": "smaller   {size} cells at a time: {reason}",
    "left": "left      program {program}: {cells} cells, {reason}",
    "waiting": "waiting   program {program}: {cells} cells are run by {holder}",
}


def news_line(event: dict) -> str:
    """One line for a program that is tried again, or that another launcher runs."""
    return NEWS[event["event"]].format_map(event)


def bars(plan: Plan, cells: list[str], events: Iterable[dict], console: Console) -> Iterator[dict]:
    """A bar over all cells, and below it what each lane does."""
    pace = Pace(plan, cells)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn())
    notes = TextColumn("{task.fields[note]}", markup=False)
    with Progress(*columns, TimeElapsedColumn(), notes, console=console) as progress:
        total = progress.add_task("cells", total=len(cells), note="")
        lanes: dict[int, int] = {}
        for event in events:
            pace.note(event)
            lane = event["lane"]
            if lane is not None and lane not in lanes:
                lanes[lane] = progress.add_task(f"lane {lane}", total=None, note="")
            draw(progress, lanes.get(lane), plan, event, console)
            progress.update(total, advance=event["event"] in ENDED, note=f"{pace.eta()}  {pace.speed()}")
            yield event
        for task in lanes.values():
            progress.update(task, visible=False)


def draw(progress: Progress, task: int | None, plan: Plan, event: dict, console: Console) -> None:
    """One event on the bar of its lane."""
    kind = event["event"]
    if kind == "program":
        first = plan.programs[event["program"]][0]
        progress.reset(task, description=f"lane {event['lane']}  compiling", total=None, note=cell_label(plan, first))
    elif kind == "progress":
        progress.update(
            task,
            description=f"lane {event['lane']}  training ",
            completed=event["step"],
            total=event["steps"] or None,
            note=cell_label(plan, event["cell"]),
        )
    elif kind in ENDED and event["status"] in ("failed", "diverged"):
        console.print(outcome_line(plan, event), style=STYLES[event["status"]], markup=False, highlight=False)
    elif kind in NEWS:
        console.print(news_line(event), style="yellow", markup=False, highlight=False)
