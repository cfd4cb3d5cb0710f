"""The figure that a sweep declares: python -m experiments.figure --workdir=DIR --out=FIGURE.(png|pdf|svg)

Panels of lines (mean and 95 % t band over seeds, every arm at its best learning rate or whatever the sweep retunes) or
heat maps. Where a seed stuck or diverged there is a cross or a grey square, never a mean of the survivors.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from experiments import records
from experiments.command import Parser, picture_path, run, writing
from experiments.figure_spec import Figure, problems
from experiments.tables.arms import table_of
from experiments.typed import as_declared, declared
from flax_tx.errors import UserError


def figure_of(manifest: dict) -> Figure:
    """The checked figure of a sweep.json, with the labels of its table too.

    Raises: UserError where the sweep declares none, or with every problem.
    """
    if not manifest.get("figure"):
        raise UserError(f"{manifest['name']}: the sweep declares no figure; experiments.compare draws its loss curves")
    with declared("the figure"):
        figure = as_declared(Figure.from_json(manifest["figure"]), "figure")
    if found := problems(figure, manifest["axes"]):
        raise UserError(found)
    return dataclasses.replace(figure, labels=table_of(manifest).labels | figure.labels)


def picture(workdir: str | os.PathLike, format: str = "png") -> bytes:
    """The figure of a workdir as a file of that format; the same records give the same bytes. Raises: UserError."""
    figure = figure_of(records.sweep(workdir))
    from experiments.figures import page, panels, series  # slow to import; a mistake above need not wait for it

    return page.encode(panels.draw(figure, series.read(workdir, figure)), format)


def main(argv: Sequence[str]) -> None:
    """Writes the figure of --workdir."""
    parser = Parser("experiments.figure", __doc__)
    parser.add_argument("--out", required=True, type=Path, help="the picture")
    flags = parser.parse_args(argv)
    picture_path(flags.out)
    drawn = picture(flags.workdir, flags.out.suffix[1:])
    with writing(flags.out):
        records.write_bytes(flags.out, drawn)
    print(flags.out)


if __name__ == "__main__":
    run(main)
