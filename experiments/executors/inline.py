"""Runs every program in this process: for tests and debuggers."""

from collections.abc import Iterator


def run(workdir: str, programs: dict[str, list[str]], lanes: int = 1) -> Iterator[dict]:
    """The events of all programs, one after the other, on lane 0."""
    from experiments import compiled, engine  # JAX enters the process only where programs run

    compiled.cache_compilations()
    for program, cells in programs.items():
        yield {"event": "program", "program": program, "cells": len(cells), "lane": 0}
        for event in engine.run_cells(workdir, cells):
            yield event | {"lane": 0}
