"""The page of a sweep as one HTML document that asks no network for anything, which its own policy forbids it to do."""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from experiments import figure, records, table, verdict
from experiments.pages import facts, payload, plots, squares, troubles
from experiments.tables import webpage
from experiments.tables.arms import Report, table_of
from experiments.tables.style import STYLE
from flax_tx.errors import UserError

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("data", "state", "theme", "figure", "controls", "curves", "cells", "layers", "configs", "live", "main")
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
)


def document(workdir: str | os.PathLike, live: float = 0, version: str = "") -> str:
    """The whole page.

    Args:
      live: seconds after which the page asks its server whether there is a newer `version`; 0: it never asks.

    Raises: UserError for a folder that is no sweep's, a sweep without a table, or a torn file.
    """
    manifest, frame = records.sweep(workdir), records.load(workdir)
    spec = table_of(manifest)
    data = payload.embedded(payload.payload(workdir, manifest, frame, spec))
    figures, places = plots.plots()
    scripts = [own_script(), plots.library(), figures]  # ours unpacks its numbers while Bokeh starts
    return TEMPLATES.get_template("page.html").render(
        **{"manifest": manifest, "live": live, "version": version, "policy": policy(scripts, live)},
        **{"style": Markup(STYLE + (ASSETS / "page.css").read_text("utf-8")), "data": Markup(data)},
        **{"scripts": list(map(Markup, scripts)), "places": {name: Markup(div) for name, div in places.items()}},
        **content(workdir, manifest, frame),
    )


def content(workdir: str | os.PathLike, manifest: Mapping, frame: Any) -> dict[str, Any]:
    """What is said on the page in words and numbers."""
    title, _, rest = manifest["question"].strip().partition("\n")
    reports = [_headed(report, title) for report in table.with_published(workdir)]
    maps, method = squares.panels(workdir)
    axes = [name for name, values in manifest["axes"].items() if len(values) > 1]
    counts = [(status, int((frame.status == status).sum())) for status in (*records.STATUSES, *records.ABSENT)]
    return {
        "title": title or manifest["name"],
        "question": rest.strip(),
        "curves": bool(frame.final_train_loss.notna().any()),
        "counts": [(status, number) for status, number in counts if number],
        "run": facts.run(manifest, frame),
        "tables": Markup(webpage.sections(*reports, linked=True)),
        "verdicts": verdict.verdicts(workdir) if manifest.get("claims") else [],
        "headline": verdict.headline,
        "numbers": verdict.numbers,
        "details": verdict.details,
        "figure": _figure(workdir, manifest),
        "maps": maps,
        "mapped": method,
        "troubles": list(troubles.troubles(workdir, frame, axes)),
        "provenance": facts.provenance(workdir, manifest, frame),
    }


def _figure(workdir: str | os.PathLike, manifest: Mapping) -> str:
    """The sweep's own figure as base64; nothing where it declares none, or has no cell for it yet."""
    try:
        return base64.b64encode(figure.picture(workdir)).decode() if manifest.get("figure") else ""
    except UserError:
        return ""


def _headed(report: Report, title: str) -> Report:
    """A report whose heading is not once more the title of the page."""
    return replace(report, spec=replace(report.spec, title="Table")) if report.spec.title == title else report


def own_script() -> str:
    """The scripts of the page as one function, in the order in which they need each other."""
    parts = [(ASSETS / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    return "(async () => {\n" + "\n".join(['"use strict";', *parts]) + "\n})();"


def policy(scripts: list[str], live: float) -> str:
    """A content security policy: these scripts and no others, nothing from anywhere, its own server when it is live."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    rules = {
        "default-src": "'none'",
        "script-src": allowed,
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {rule}" for name, rule in rules.items())
