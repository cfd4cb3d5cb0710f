"""One page over all published sweeps: every claim with its verdict, what did not reproduce and why, what ran."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from experiments import records
from experiments.tables.markdown import escape_markdown

ORDER = (
    *(
        "deepnet_depth",
        "init_atlas",
        "update_atlas",
        "rank_collapse",
        "identities",
        "warmup",
        "lr_sensitivity",
        "heads",
    ),
    *("norm_types", "residual_scaling", "deep_layers", "depth_transfer", "multi_stream"),
)
WORDS = ("HOLDS", "REVERSED", "INCONCLUSIVE", "NOT EXERCISED")
MISSED = {"What did not reproduce": ("REVERSED", "INCONCLUSIVE"), "What was not exercised": ("NOT EXERCISED",)}
KINDS = {"exact": "identities", "init": "before training", "training": "of training"}
CLAIMS = ("claim", "statement", "source", "kind", "verdict", "effect [interval]", "of", "n", "sweep")
RUNS = ("sweep", "size", "cells", "wall time", "machine", "commit", "command")
FILES = {"table.md": "tables", "table.tex": "LaTeX", "verdicts.md": "verdicts", "figure.png": "figure"}
INTRODUCTION = """# Results

Written by `python -m experiments.publish` from the records of the sweeps below, and from nothing else. A verdict is of
this code, at this scale, by the rule beside it: HOLDS, REVERSED, INCONCLUSIVE (neither is shown), or NOT EXERCISED (the
regime of the claim was not entered, or this size has not its cells).

The effect is that of one condition of the claim: the first that has the verdict's word. Losses are in nats per token.
Its interval is the one that the rule asks for: 95 % over seeds for a range, 90 % for a bound, a difference or a ratio
(each end is a one-sided 95 % bound), Wilson's 95 % for a share, the range of the seeds for an identity; n counts seeds,
or pairs of cells."""


@dataclass(frozen=True)
class Published:
    """One sweep's folder, read."""

    folder: Path
    run: dict
    claims: list[dict]

    def link(self, file: str) -> str:
        """The sweep, linked to one of its files."""
        return f"[{escape_markdown(self.run['sweep'])}]({quote(self.folder.name)}/{file})"

    @property
    def notes(self) -> str:
        """What somebody wrote beside it."""
        path = self.folder / "notes.md"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def read(folder: str | os.PathLike) -> list[Published]:
    """Every published sweep: those of ORDER first, then by name."""
    rank = {name: number for number, name in enumerate(ORDER)}
    found = sorted(Path(folder).glob("*/run.json"), key=lambda p: (rank.get(p.parent.name, len(rank)), p.parent.name))
    sweeps = ((path.parent, records.read_json(path), path.with_name("verdicts.json")) for path in found)
    return [Published(where, run, records.read_json(claims)["claims"]) for where, run, claims in sweeps]


def markdown(folder: str | os.PathLike) -> str:
    """The page for a folder of published sweeps."""
    sweeps = read(folder)
    claims = [(sweep, claim) for sweep in sweeps for claim in sweep.claims]
    parts = [INTRODUCTION]
    if claims:
        rows = (claim_row(*pair) for pair in claims)
        parts += ["## Claims", counted([claim for _, claim in claims]), table(CLAIMS, rows)]
    for title, words in MISSED.items():
        ranked = sorted(
            (pair for pair in claims if pair[1]["verdict"] in words), key=lambda p: words.index(p[1]["verdict"])
        )
        parts += [f"## {title}", *(missing(*pair) for pair in ranked)] if ranked else []
    parts += ["## Runs", table(RUNS, map(run_row, sweeps)), "## Tables and pictures", *map(section, sweeps)]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A GitHub table; the cells are Markdown already."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def counted(claims: Sequence[Mapping]) -> str:
    """How many claims of each kind have each verdict."""
    kinds = [kind for kind in KINDS if any(claim["kind"] == kind for claim in claims)]
    counts = Counter((claim["kind"], claim["verdict"]) for claim in claims)
    rows = [[KINDS[kind], *(str(counts[kind, word]) for word in WORDS)] for kind in kinds]
    total = ["all", *(str(sum(counts[kind, word] for kind in kinds)) for word in WORDS)]
    return table(("claims", *WORDS), iter([*rows, total]))


def numbers(found: Mapping) -> str:
    """`0.12 [0.05, 0.19]` of a verdict or a finding; empty where nothing was measured."""
    if found["effect"] is None:
        return ""
    ends = (found["low"], found["high"])
    return f"{found['effect']:.3g}" + ("" if None in ends else " [{:.3g}, {:.3g}]".format(*ends))


def claim_row(sweep: Published, claim: Mapping) -> list[str]:
    """The row of a claim, as CLAIMS names it."""
    texts = (claim[name] for name in ("id", "statement", "source", "kind"))
    word = claim["verdict"] if claim["verdict"] == "HOLDS" else f"**{claim['verdict']}**"
    n = str(claim["n"]) if claim["n"] else ""
    effect = numbers(claim), claim.get("of", "") * bool(numbers(claim))
    return [*map(escape_markdown, texts), word, *map(escape_markdown, effect), n, sweep.link("verdicts.md")]


def missing(sweep: Published, claim: Mapping) -> str:
    """A claim that does not hold: what was found, why, and what the verdict does not say."""
    name, statement = (escape_markdown(claim[field]) for field in ("id", "statement"))
    head = f"**{name}** {claim['verdict']} ({sweep.link('verdicts.md')}): {statement}"
    return "\n".join([head, "", *(f"- {escape_markdown(line)}" for line in reasons(claim))])


def reasons(claim: Mapping) -> Iterator[str]:
    """Lines on the conditions that decided against a claim, then its caveat."""
    for label in ("check", "rule"):
        for found in claim[label]:
            if found["word"] != "HOLDS":
                measured = f" ({numbers(found)}, n = {found['n']})" if numbers(found) else ""
                why = "".join(f"; {reason}" for reason in found["reasons"])
                yield f"{label}: {found['word']}: {found['rule']}{measured}{why}"
    if claim["caveat"]:
        yield f"caveat: {claim['caveat']}"


def run_row(sweep: Published) -> list[str]:
    """The row of a run, as RUNS names it."""
    run, machine = sweep.run, sweep.run["machine"]
    cells = f"{sum(run['cells'].values())}: {', '.join(f'{count} {status}' for status, count in run['cells'].items())}"
    parts = (
        machine["cpu"],
        machine["cores"] and f"{machine['cores']} cores",
        machine["memory_gb"] and f"{machine['memory_gb']:.0f} GB",
    )
    commits = ", ".join(commit[:9] for commit in run["commits"]) + " with changes" * run["dirty"]
    texts = (run["size"] or "", cells, duration(run["wall_seconds"]), ", ".join(filter(None, parts)), commits.strip())
    return [sweep.link("table.md"), *map(escape_markdown, texts), f"<code>{escape_markdown(run['command'])}</code>"]


def duration(seconds: float | None) -> str:
    """45 s, 12 min, 1 h 05 min; a dash where nobody measured."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def section(sweep: Published) -> str:
    """A sweep's question, its files and what was noted of it."""
    where = quote(sweep.folder.name)
    links = [f"[{text}]({where}/{name})" for name, text in FILES.items() if (sweep.folder / name).is_file()]
    head = (
        f"### {escape_markdown(sweep.run['sweep'])}\n\n{escape_markdown(sweep.run['question'])}\n\n{' · '.join(links)}"
    )
    return "\n\n".join(filter(None, (head, sweep.notes)))
