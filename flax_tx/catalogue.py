"""Everything that has a name here, as Markdown made from the tables of the code: python -m flax_tx.catalogue

Without a flag the catalogue is printed. --write writes docs/catalogue.md; --check exits with status 1 when that file
differs from what the code makes.
"""

import argparse
import functools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

from flax_tx.axes import ARRAYS, AXES
from flax_tx.config import knobs
from flax_tx.data import NAMES, Source
from flax_tx.initializers import SCHEMES, Scheme
from flax_tx.layout import LAYOUTS
from flax_tx.methods import REPARAMS, VALUE_RESIDUALS
from flax_tx.norms import NORMS, QK_NORMS, Norm
from flax_tx.wiring import SLOTS, WIRINGS, Wiring

DOCUMENT = Path(__file__).parents[1] / "docs" / "catalogue.md"
COMMAND = "python -m flax_tx.catalogue"
FEW = 8  # so many names are listed beside their knob; more have a table
OPENING = f"""# Catalogue

Made from the tables of the code by `{COMMAND} --write`: edit those, not this file.
How to add a row is in [extending.md](extending.md).

x is the residual stream, f a sublayer (attention or feed-forward), N the norm of the model, W a kernel. D is the
width, K the width of a head. Layers are counted from 1 by l up to L; S counts sublayers, 2L for L plain blocks.
Knobs are written below with their full names, `--config.NAME=VALUE` on the command line; one whose default is None
takes what its text says.
"""

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The heads of the columns, rows by name, and the columns of one row. Cells are Markdown."""

    heads: Row
    rows: Mapping[str, Any]
    columns: Callable[[Any], Row]


@dataclass(frozen=True)
class Section:
    """A heading, a line of text, tables, and the knobs that belong there: names, or groups that end in a dot."""

    title: str
    text: str
    knobs: Row
    tables: tuple[Table, ...] = ()


def code(text: str) -> str:
    """Text as code within a table; nothing for nothing."""
    return "`{}`".format(text.replace("|", r"\|")) if text else ""


def prose(text: str) -> str:
    """Text that Markdown shows as it is, within a table."""
    return re.sub(r"([\\*|<])", r"\\\1", text)


def wiring(row: Wiring) -> Row:
    """The columns of a wiring; a slot that holds a norm on some kinds of sublayer names them."""
    slots = {slot: getattr(row, slot) for slot in SLOTS[:4] if getattr(row, slot)}
    where = ", ".join(slot if kinds is True else f"{slot} of {' and '.join(kinds)}" for slot, kinds in slots.items())
    implied = ", ".join(f"{name}={value}" for name, value in row.implies.items())
    return code(row.equation), prose(row.source), where, "yes" if row.final else "no", code(implied), prose(row.notes)


def norm(row: Norm) -> Row:
    """The columns of a norm."""
    scale = {None: [], "channel": ["a scale per channel"], "scalar": ["one scale"]}[row.scale]
    learned = [*scale, *["a bias"] * row.bias, *(name for name, _ in row.learned)]
    return code(row.equation), ", ".join(learned), prose(row.source)


def plain(row: Any) -> Row:
    """The columns of a row that is an equation and its source."""
    return code(row.equation), prose(row.source)


def scheme(row: Scheme) -> Row:
    """The columns of an initialiser."""
    return code(row.formula), prose(row.source)


def source(row: Source) -> Row:
    """The columns of a data set."""
    return ", ".join(map(code, row.tasks)), prose(row.description), prose(row.licence)


def axes(names: Sequence[str | None]) -> Row:
    """The column of the names of axes."""
    return (", ".join(code(name) if name else "whole" for name in names),)


def knob(field: Field, tables: tuple[Table, ...]) -> Row:
    """The columns of a knob, with the names that it may have where they are few and no table holds them."""
    names = field.metadata.get("among", ())
    few = 0 < len(names) <= FEW and names not in [table.rows for table in tables]
    return code(repr(field.default)), prose(field.metadata["doc"]) + f" ({', '.join(map(code, names))})" * few


def sections() -> tuple[Section, ...]:
    """The document, section by section. A knob belongs to the first section that asks for it."""
    equation, heads = ("equation", "source"), ("norms", "final norm", "implies", "notes")
    one = {name: row for name, row in WIRINGS.items() if row.stream == "single"}
    many = {name: row for name, row in WIRINGS.items() if name not in one}
    return (
        Section(
            "Wirings",
            "How a sublayer is added to the stream: rows of one formula, in which four slots may hold a norm.",
            ("model.wiring", "model.slots.", "model.gains.", "model.base_layers"),
            (Table((*equation, *heads), one, wiring),),
        ),
        Section(
            "Streams",
            "Wirings whose layers carry more than x, or move it in another way.",
            ("model.num_streams", "model.history_blocks"),
            (Table((*equation, *heads, "stream"), many, lambda row: (*wiring(row), code(row.stream))),),
        ),
        Section(
            "Layouts",
            "The order of the sublayers in a block.",
            ("model.layout", "model.num_ffn"),
            (Table(equation, LAYOUTS, plain),),
        ),
        Section(
            "Norms",
            "One norm reaches every slot.",
            ("model.norm.", "model.embed_norm", "model.fixnorm"),
            (Table(("equation", "learned by custom", "source"), NORMS, norm),),
        ),
        Section(
            "Norms of queries, keys and values",
            "The logits of attention; q and k are a query and a key of one head. Values take any norm.",
            ("model.qk_norm", "model.qk_norm_over", "model.v_norm"),
            (Table(("logits", "source"), QK_NORMS, plain),),
        ),
        Section(
            "Initialisers",
            "The variance with which kernels start. Writers are the kernels whose output is added to the stream.",
            ("model.init", "model.init_sd", "model.embed_scale"),
            (Table(("variance, and factors on the kernel", "source"), SCHEMES, scheme),),
        ),
        Section(
            "Reparametrisations",
            "What is used in place of a kernel W.",
            ("model.reparam", "model.input_bias"),
            (Table(equation, REPARAMS, plain),),
        ),
        Section(
            "Value residuals",
            "The values of layer l, V₁ being those of the first.",
            ("model.value_residual",),
            (Table(equation, VALUE_RESIDUALS, plain),),
        ),
        Section("Heads", "What can be asked of attention.", HEADS),
        Section("Depth", "How layers are counted, shared, skipped and compiled.", DEPTH),
        Section("The rest of the model", "Sizes, feed-forward, positions, dropout, precision.", ("model.",)),
        Section("Optimiser", "", ("optim.",)),
        Section("Training and seeds", "", ("train.", "seed.")),
        Section(
            "Mesh",
            "The devices of one cell. Of each array the axes that are named here are split between them.",
            ("mesh.",),
            (Table(("axes of the mesh",), AXES, axes), Table(("axes of the array, the last ones",), ARRAYS, axes)),
        ),
        Section("Probes", "What is measured of a model itself, before its first step and after its last.", ("probe.",)),
        Section(
            "Data and tasks",
            "Our own data sets, the default task first; any text set of the TFDS catalogue can be named too.",
            ("data.",),
            (Table(("tasks", "what it is", "licence"), NAMES, source),),
        ),
    )


HEADS = (
    "model.num_heads",
    "model.num_kv_heads",
    "model.head_dim",
    "model.head_scale",
    "model.pruned_heads",
    "model.attention_cap",
)
DEPTH = (
    "model.num_layers",
    "model.encoder_layers",
    "model.segments",
    "model.tie",
    "model.pruned_layers",
    "model.dropout.depth",
    "model.unroll",
    "model.remat",
)


def document() -> str:
    """The whole catalogue."""
    left, parts = knobs().copy(), [OPENING]
    for section in sections():
        mine = {name: left.pop(name) for name in list(left) if belongs(name, section)}
        found = Table(("default", "what it is"), mine, functools.partial(knob, tables=section.tables))
        parts += [f"## {section.title}\n", *([f"{section.text}\n"] if section.text else [])]
        parts += ["\n".join(lines(table)) + "\n" for table in (*section.tables, found)]
    return "\n".join(parts)


def belongs(name: str, section: Section) -> bool:
    """Whether a section asks for a knob, by its name or its group."""
    return name in section.knobs or name.startswith(tuple(wish for wish in section.knobs if wish[-1] == "."))


def lines(table: Table) -> Iterator[str]:
    """A table of GitHub's Markdown, a line per row."""
    heads = ("name", *table.heads)
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for name, row in table.rows.items():
        yield f"| {' | '.join((code(name), *table.columns(row)))} |"


def write(path: Path, text: str) -> None:
    """Writes a text, whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def main(argv: Sequence[str]) -> int:
    """Prints, writes or checks. Returns the exit status."""
    parser = argparse.ArgumentParser(f"{COMMAND}", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write docs/catalogue.md")
    mode.add_argument("--check", action="store_true", help="exit with status 1 when docs/catalogue.md is out of date")
    flags, made = parser.parse_args(argv), document()
    if flags.write:
        write(DOCUMENT, made)
    elif not flags.check:
        sys.stdout.write(made)
    elif not DOCUMENT.is_file() or DOCUMENT.read_text(encoding="utf-8") != made:
        print(f"{DOCUMENT}: out of date; run: {COMMAND} --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
