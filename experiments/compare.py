"""Loss curves side by side: python -m experiments.compare --workdir=DIR --out=FIGURE.(png|pdf|svg)
[--metric=train_loss] [--where='model.wiring=pre|deepnorm,model.num_layers=24'] [--group_by=model.wiring]
[--facet=model.num_layers] [--smooth=0.9]

Every arm at its best learning rate (or whatever the sweep retunes): the mean over seeds with a 95 % t band, every seed
as a thin line, a cross where a seed diverged. The mean stops there: what goes on is only the survivors.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments import records
from experiments.command import Parser, run, writing
from experiments.figures.curves import CURVES, curves
from experiments.labels import key, say
from experiments.table_spec import Table
from experiments.tables.arms import Report, assemble, table_of
from flax_tx.errors import UserError, nearest

SUFFIXES = (".png", ".pdf", ".svg")


def arrange(spec: Table, group_by: Sequence[str], facet: Sequence[str]) -> Table:
    """The sweep's table with the fields of lines as rows and those of panels as columns; the others become split."""
    chosen = {*group_by, *facet}
    rest = [name for name in (*spec.rows, *spec.columns, *spec.split, *spec.along) if name not in chosen]
    nuisance, seeds = (tuple(name for name in role if name not in chosen) for role in (spec.nuisance, spec.seeds))
    roles = {
        "rows": tuple(group_by),
        "columns": tuple(facet),
        "split": tuple(rest),
        "nuisance": nuisance,
        "seeds": seeds,
    }
    return dataclasses.replace(spec, baseline=None, columns_of=(), **roles)


def select(workdir: str | Path, where: str = "", group_by: str | None = None, facet: str | None = None) -> Report:
    """The arms that the picture shows.

    Raises: UserError for an unknown field or value, or a field that varies and would be averaged over.
    """
    manifest = records.sweep(workdir)
    axes, spec = manifest["axes"], table_of(manifest)
    lines = spec.rows if group_by is None else _fields(group_by, "group_by", axes)
    panels = tuple(f for f in spec.columns if f not in lines) if facet is None else _fields(facet, "facet", axes)
    report = assemble(workdir, spec=arrange(spec, lines, panels), where=_where(where, axes))
    if not report.arms:
        raise UserError(f"where {where!r}: no cell of {workdir} is all of this")
    for i, name in enumerate(report.spec.split):
        values = list(dict.fromkeys(say(split[i]) for split in report.values_of("split")))
        if len(values) > 1:
            choose = f"add it to --group_by or --facet, or choose one: --where={name}={values[0]}"
            raise UserError(f"{name} varies ({', '.join(values)}) and would be mixed: {choose}")
    return report


def _fields(text: str, flag: str, axes: Mapping[str, list]) -> tuple[str, ...]:
    return tuple(_field(name.strip(), flag, axes) for name in text.split(",") if name.strip())


def _field(name: str, flag: str, axes: Mapping[str, list]) -> str:
    """The axis of this name, or the only one that ends so."""
    ending = [axis for axis in axes if axis == name or axis.endswith(f".{name}")]
    if len(ending) != 1:
        raise UserError(f"{flag} {name!r}: expected an axis of the sweep: {', '.join(axes)}{nearest(name, axes)}")
    return ending[0]


def _where(text: str, axes: Mapping[str, list]) -> dict[str, set[str]]:
    kept = {}
    for condition in filter(None, (part.strip() for part in text.split(","))):
        name, equals, values = condition.partition("=")
        if not equals:
            raise UserError(f"where {condition!r}: expected field=value or field=value|value")
        field = _field(name.strip(), "where", axes)
        if field in kept:
            raise UserError(f"where {field}: it is there twice; write {field}=value|value")
        known = {form: say(key(v)) for v in axes[field] for form in (str(v), say(key(v)))}
        for value in (wanted := [value.strip() for value in values.split("|")]):
            if value not in known:
                there = ", ".join(dict.fromkeys(known.values()))
                raise UserError(f"where {field} = {value!r}: expected one of {there}{nearest(value, known)}")
        kept[field] = {known[value] for value in wanted}
    return kept


def main(argv: Sequence[str]) -> None:
    """Writes the picture of --workdir."""
    parser = Parser("experiments.compare", __doc__)
    parser.add_argument("--out", required=True, type=Path, help=f"the picture, {', '.join(SUFFIXES)}")
    parser.add_argument("--metric", default="train_loss", help=f"one of {', '.join(CURVES)}")
    parser.add_argument("--where", default="", help="field=value|value,... : which cells")
    parser.add_argument("--group_by", help="fields that lines differ in; default: the rows of the sweep's table")
    parser.add_argument("--facet", help="fields that panels differ in; default: the columns of the sweep's table")
    parser.add_argument("--smooth", default=0.9, type=float, help="decay of the moving average; 0: none")
    flags = parser.parse_args(argv)
    if flags.out.suffix not in SUFFIXES:
        raise UserError(f"out {str(flags.out)!r}: expected a name that ends in {', '.join(SUFFIXES)}")
    report = select(flags.workdir, flags.where, flags.group_by, flags.facet)
    from experiments.figures import drawing  # matplotlib is slow to import, and a mistake above need not wait for it

    drawn = drawing.draw(report, curves(report, flags.metric, flags.smooth), flags.metric, flags.smooth)
    with writing(flags.out):
        records.write_bytes(flags.out, drawing.encode(drawn, flags.out.suffix[1:]))
    print(flags.out)


if __name__ == "__main__":
    run(main)
