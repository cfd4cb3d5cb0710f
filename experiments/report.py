"""A sweep as one page: python -m experiments.report --workdir=DIR [--out=REPORT.html]

The question, how it was run, tables, verdicts, the curves of every cell at full resolution (hover, zoom, filter, mean
over seeds), the stability map, layers, what went wrong, configs side by side, provenance. A number of a table shows its
curves when it is clicked. The file opens without a network, on any machine, and asks none.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from experiments import records
from experiments.command import Parser, run, writing
from flax_tx.errors import UserError

NAME = "report.html"


def write(workdir: str | os.PathLike, out: str | os.PathLike | None = None) -> Path:
    """Writes the page of a workdir to `out`, else into the workdir; returns its path.

    Raises: UserError for a folder that is no sweep's, a torn file, or an `out` that cannot be written.
    """
    records.sweep(workdir)
    from experiments.pages.document import document  # slow to import; a mistake above need not wait for it

    path, text = Path(out or Path(workdir) / NAME), document(workdir)
    with writing(path):
        records.write_text(path, text)
    return path


def main(argv: Sequence[str]) -> None:
    """Writes the page of --workdir."""
    parser = Parser("experiments.report", __doc__)
    parser.add_argument("--out", type=Path, help=f"the page, a name that ends in .html; default: {NAME} in the workdir")
    flags = parser.parse_args(argv)
    if flags.out and flags.out.suffix not in (".html", ".htm"):
        raise UserError(f"--out = {str(flags.out)!r}: expected a name that ends in .html")
    print(shlex.quote(str(write(flags.workdir, flags.out))))


if __name__ == "__main__":
    run(main)
