"""Results that can be read without the records: python -m experiments.publish --workdir=DIR [--to=results]

Writes results/<sweep>/: table.md, table.tex, verdicts.md, verdicts.json, figure.png, run.json; then results/README.md
anew from every run.json and verdicts.json there. All of it comes from the records, and the same records give the same
bytes; results/<sweep>/notes.md, if somebody wrote one, is taken over as it is.
"""

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments import figure, launches, overview, records, table, verdict
from experiments.command import Parser, run, writing
from experiments.shapes import is_name
from flax_tx.errors import UserError

VERSIONS = ("jax", "jaxlib", "flax", "optax", "numpy")


def publish(workdir: str | os.PathLike, to: str | os.PathLike = "results") -> Path:
    """Writes the folder of a sweep under `to`, then the README there; returns the folder.

    Raises: UserError for a folder that is no sweep's, before anything is written.
    """
    manifest = records.sweep(workdir)
    if not is_name(manifest["name"]):
        raise UserError(f"{workdir}: sweep {manifest['name']!r}: expected a name that a folder can have")
    folder, files = Path(to) / manifest["name"], contents(workdir, manifest)
    found, ran = claims(workdir, manifest), about(workdir, manifest)
    with writing(folder):
        for name, content in files.items():
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                records.write_bytes(folder / name, content if isinstance(content, bytes) else content.encode())
        records.write_json(folder / "verdicts.json", {"claims": found})
        records.write_json(folder / "run.json", ran)
    page = overview.markdown(to)
    with writing(to):
        records.write_text(Path(to) / "README.md", page)
    return folder


def contents(workdir: str | os.PathLike, manifest: dict) -> dict[str, str | bytes | None]:
    """File name -> content; None for what this sweep does not have."""
    return {
        "table.md": headed(manifest, tables(workdir, "md")),
        "table.tex": tables(workdir, "tex"),
        "verdicts.md": headed(manifest, verdict.render(workdir, "md")) if manifest.get("claims") else None,
        "figure.png": figure.picture(workdir, "png") if manifest.get("figure") else None,
    }


def tables(workdir: str | os.PathLike, format: str) -> str:
    """All tables of a sweep, published numbers beside ours where it has them."""
    return table.FORMATS[format](*table.with_published(workdir))


def headed(manifest: dict, text: str) -> str:
    """Markdown under the name and the size of its sweep."""
    size = f", size {manifest['size']}" if manifest.get("size") else ""
    return f"# {manifest['name']}{size}\n\n[All results](../README.md)\n\n{text}"


def claims(workdir: str | os.PathLike, manifest: dict) -> list[dict]:
    """The verdicts as JSON."""
    return [one.to_json() for one in verdict.verdicts(workdir)] if manifest.get("claims") else []


def about(workdir: str | os.PathLike, manifest: dict) -> dict:
    """What ran: how, where, of which code, how it ended, how long it took."""
    frame, ran, source = records.load(workdir), launches.load(workdir), manifest["provenance"]
    sources = [launch["git"] for launch in ran if launch["git"]] or [source["git"]]
    return {
        "sweep": manifest["name"],
        "question": next((line for line in manifest["question"].splitlines() if line.strip()), ""),
        "size": manifest.get("size"),
        "command": manifest["command"],
        "machine": {name: source.get(name) for name in ("cpu", "cores", "memory_gb")},
        "python": source["python"],
        "versions": {name: source["versions"].get(name) for name in VERSIONS},
        "commits": sorted({git["commit"] for git in sources if git}),
        "dirty": any(git.get("dirty") for git in sources),
        "cells": dict(sorted(Counter(frame.status).items())),
        "wall_seconds": round(sum(launch["seconds"] for launch in ran), 1) if ran else None,
        "cell_seconds": round(float(frame.seconds.sum()), 1) if "seconds" in frame else None,
        "launches": len(ran),
    }


def main(argv: Sequence[str]) -> None:
    """Publishes --workdir."""
    parser = Parser("experiments.publish", __doc__)
    parser.add_argument("--to", default="results", help="the folder of all results")
    flags = parser.parse_args(argv)
    if Path(flags.to).exists() and not Path(flags.to).is_dir():
        raise UserError(f"--to = {flags.to!r}: expected a folder")
    print(shlex.quote(str(publish(flags.workdir, flags.to))))


if __name__ == "__main__":
    run(main)
