"""The claims of a sweep: python -m experiments.verdict --workdir=DIR [--format=rich|md|json] [--claim=ID]

HOLDS, REVERSED, INCONCLUSIVE, or NOT EXERCISED where the regime of the claim was not entered or this size has not its
cells. Below the table, per claim: each condition with its own word, effect, interval and n, why, and what to doubt.
"""

import io
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as RichTable

from experiments import records, results
from experiments.claims import HOLDS, INCONCLUSIVE, NOT_EXERCISED, REVERSED, Claim, Finding, Quantity, Verdict
from experiments.claims.problems import parts
from experiments.command import Parser, run
from experiments.metrics import METRICS
from experiments.screen import Screen, shown, write
from experiments.tables.markdown import escape_markdown
from experiments.typed import as_declared, declared
from experiments.visible import line
from flax_tx.errors import UserError, nearest

STYLES = {HOLDS: "bold green", REVERSED: "bold red", INCONCLUSIVE: "yellow", NOT_EXERCISED: "dim"}
HEADER = ("id", "kind", "verdict", "effect", "of", "n", "claim")


def verdicts(workdir: str | os.PathLike) -> list[Verdict]:
    """The verdict of every claim of a workdir, in the order of the sweep file.

    Raises: UserError for a folder that is no sweep's, or a sweep without claims.
    """
    with declared("a claim"):
        plain = records.sweep(workdir).get("claims") or ()
        claims = [as_declared(Claim.from_json(each), "claim") for each in plain]
    if not claims:
        raise UserError(
            f"{workdir}: expected claims in sweep.json; its file had no get_claims(); write it, then launch again"
        )
    named = {part.metric for claim in claims for part in parts(claim) if isinstance(part, Quantity)}
    loaded = results.load(workdir, named & set(METRICS))
    return [claim.evaluate(loaded) for claim in claims]


def pick(found: list[Verdict], claim: str | None) -> list[Verdict]:
    """The verdict of one claim, or all for None. Raises: UserError for an unknown id."""
    ids = [verdict.claim.id for verdict in found]
    if claim is not None and claim not in ids:
        raise UserError(f"claim {claim!r}: expected one of {', '.join(ids)}{nearest(claim, ids)}")
    return [verdict for verdict in found if claim in (None, verdict.claim.id)]


def headline(found: Sequence[Verdict]) -> str:
    """`12 claims: 9 HOLDS, 1 REVERSED`."""
    counts = Counter(verdict.word for verdict in found)
    said = ", ".join(f"{counts[word]} {word}" for word in STYLES if counts[word])
    return f"{len(found)} claim{'s' * (len(found) != 1)}: {said}"


def numbers(finding: Finding) -> str:
    """`0.12 [0.05, 0.19]`; empty where nothing was measured."""
    if not math.isfinite(finding.effect):
        return ""
    interval = math.isfinite(finding.low) and math.isfinite(finding.high)
    return f"{finding.effect:.3g}" + f" [{finding.low:.3g}, {finding.high:.3g}]" * interval


def cells(verdict: Verdict) -> tuple[str, ...]:
    """One row of the table, as HEADER names it."""
    claim, finding = verdict.claim, verdict.deciding
    n = str(finding.n) if finding.n else ""
    effect, of = numbers(finding), finding.of if numbers(finding) else ""
    return claim.id, claim.kind, verdict.word, effect, of, n, f"{claim.statement} ({claim.source})"


def details(verdict: Verdict) -> Iterator[tuple[str, str, str]]:
    """(label, text, word or nothing) of each line below the table."""
    for label, findings in (("rule", verdict.rule), ("check", verdict.check)):
        for finding in findings:
            measured = f" ({numbers(finding)}, n = {finding.n})" if numbers(finding) else ""
            yield label, f"{finding.word}: {finding.rule}{measured}", finding.word
            yield from (("why", reason, "") for reason in finding.reasons)
            yield from (("best", chosen, "") for chosen in finding.chosen)
    yield from (("doubt", text, "") for text in verdict.lint)
    yield from (("caveat", text, "") for text in (verdict.claim.caveat,) if text)


def draw(found: Sequence[Verdict]) -> RenderableType:
    """The verdicts for a terminal. Every text is a Text, so nothing in a name is taken for markup."""
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in (name for name in HEADER if name != "of"):  # it stands below the effect
        table.add_column(shown(name), overflow="fold", no_wrap=name in ("id", "kind", "verdict"))
    lines = RichTable.grid(padding=(0, 2))
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for verdict in found:
        row = dict(zip(HEADER, map(line, cells(verdict)), strict=True))
        row["effect"] = f"{row['effect']}\n{row.pop('of')}".strip()
        table.add_row(*(shown(text, style=STYLES.get(text, "")) for text in row.values()))
        lines.add_row(shown(line(verdict.claim.id), style="bold"), shown(verdict.word, style=STYLES[verdict.word]))
        for label, text, word in details(verdict):
            lines.add_row(shown(f"  {label}", style="dim"), shown(line(text), style="" if word else "dim"))
    return Group(shown(headline(found), style="bold"), table, lines)


def as_text(found: Sequence[Verdict], width: int = 140) -> str:
    """What `draw` draws, without colours."""
    console = Screen(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    console.print(draw(found))
    return "\n".join(line.rstrip() for line in console.file.getvalue().split("\n"))


def as_markdown(found: Sequence[Verdict]) -> str:
    """A GitHub table, and a list per claim."""
    rows = [HEADER, ["---"] * len(HEADER), *(map(escape_markdown, cells(verdict)) for verdict in found)]
    parts = [headline(found), "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    for verdict in found:
        lines = [f"- {label}: {escape_markdown(text)}" for label, text, _ in details(verdict)]
        parts.append("\n".join([f"**{escape_markdown(verdict.claim.id)}** {verdict.word}", "", *lines]))
    return "\n\n".join(parts) + "\n"


def as_json(found: Sequence[Verdict]) -> str:
    """A list of everything."""
    return json.dumps([verdict.to_json() for verdict in found], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS = {"rich": as_text, "md": as_markdown, "json": as_json}


def render(workdir: str | os.PathLike, format: str = "rich", claim: str | None = None) -> str:
    """The verdicts of a workdir as text. Raises: UserError for an unknown format or claim, or no claims."""
    if format not in FORMATS:
        raise UserError(f"format {format!r}: expected one of {', '.join(FORMATS)}{nearest(format, FORMATS)}")
    return FORMATS[format](pick(verdicts(workdir), claim))


def main(argv: Sequence[str]) -> None:
    """Prints the verdicts of --workdir."""
    parser = Parser("experiments.verdict", __doc__)
    parser.add_argument("--format", default="rich", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("--claim", help="the id of one claim; default: all")
    flags = parser.parse_args(argv)
    console = Screen()
    if flags.format == "rich" and console.is_terminal:
        console.print(draw(pick(verdicts(flags.workdir), flags.claim)))
    else:
        write(render(flags.workdir, flags.format, flags.claim))


if __name__ == "__main__":
    run(main)
