"""The picture of curves: panels, lines that differ in colour and dash, a legend without duplicates. No global state."""

import io
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.figures.curves import Curve
from experiments.labels import pairs, say, short_names
from experiments.tables.arms import Report
from experiments.tables.caption import unit
from experiments.tables.faces import face, title

OKABE_ITO = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
DASHES = ("-", (0, (5, 1.2)), (0, (1.2, 1)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 2, 1, 2, 1, 2)))
STYLE = {
    **{"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "legend.fontsize": 7.5},
    **{"xtick.labelsize": 7, "ytick.labelsize": 7, "axes.linewidth": 0.6, "lines.linewidth": 1.3},
    **{"axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42, "svg.hashsalt": "flax_tx"},
}
NAMES = {"train_loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}
REFERENCES = {"unigram_loss": ("unigram entropy", (0, (6, 3))), "floor_loss": ("entropy rate H*", (0, (1, 2)))}
GREY = "#555555"
PANELS_IN_A_ROW = 3
LINE = 0.165  # inches


def draw(report: Report, curves: Sequence[Curve], metric: str, smooth: float) -> Figure:
    """The figure, for a column of a paper when it has one panel, for a page's width when it has more."""
    panels = report.values_of("column")
    columns = min(len(panels), PANELS_IN_A_ROW)
    rows = math.ceil(len(panels) / columns)
    handles, width = _handles(report, curves, metric), 3.5 if columns == 1 else 7.2
    legend_columns = max(1, min(len(handles), int(width / (0.5 + 0.062 * max(len(h.get_label()) for h in handles)))))
    heading = textwrap.wrap(title(report), int(width * 13)) or [""]
    method = textwrap.wrap(_method(report, curves, smooth), int(width * 15.5))
    top = 0.09 + LINE * (len(heading) + len(method))
    bottom = 0.06 + LINE * math.ceil(len(handles) / legend_columns)
    height = top + 2.25 * rows + bottom
    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=200)
        FigureCanvasAgg(figure)
        figure.set_layout_engine("constrained", rect=(0, bottom / height, 1, 1 - (top + bottom) / height))
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, panel in zip(axes.flat, panels, strict=False):
            _panel(ax, panel, [curve for curve in curves if curve.arm.place.column == panel], report, metric)
        for ax in axes.flat[len(panels) :]:
            ax.remove()
        for ax in axes.flat[max(0, len(panels) - columns) : len(panels)]:
            ax.set_xlabel("step")
            ax.tick_params(labelbottom=True)
        _scale(axes[0, 0], curves, report, metric)
        figure.supylabel(_measured(report, metric), fontsize=8)
        _text(figure, heading, 0.07, fontsize=9, fontweight="bold")
        _text(figure, method, 0.08 + LINE * len(heading), color=GREY)
        figure.legend(handles=handles, loc="lower center", ncols=legend_columns, frameon=False, handlelength=2.6)
    return figure


def _text(figure: Figure, lines: list[str], down: float, **style) -> None:
    """Lines of text, `down` inches from the top."""
    width, height = figure.get_size_inches()
    figure.text(0.08 / width, 1 - down / height, plain("\n".join(lines)), va="top", **style)


def encode(figure: Figure, format: str) -> bytes:
    """The bytes of the picture; the same figure gives the same bytes."""
    sink = io.BytesIO()
    with rc_context(STYLE):
        dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
        figure.savefig(sink, format=format, metadata=dated[format])
    return sink.getvalue()


def plain(text: str) -> str:
    """Text without mathematics: a dollar is a dollar."""
    return str(text).replace("$", r"\$")


def _styles(report: Report) -> dict[tuple, dict]:
    """Per row: colour by the first field, dash by the rest; with one field, both by it."""
    rows = report.values_of("row")
    firsts, rests = list(dict.fromkeys(row[:1] for row in rows)), list(dict.fromkeys(row[1:] for row in rows))
    styles = {}
    for row in rows:
        i = firsts.index(row[:1])
        j = rests.index(row[1:]) if len(rests) > 1 else i
        styles[row] = {"color": OKABE_ITO[i % len(OKABE_ITO)], "linestyle": DASHES[j % len(DASHES)]}
    return styles


def _panel(ax: Axes, panel: tuple, curves: Sequence[Curve], report: Report, metric: str) -> None:
    styles = _styles(report)
    for curve in curves:
        style = styles[curve.arm.place.row]
        ax.plot(curve.step, curve.seeds.T, color=style["color"], linewidth=0.5, alpha=0.35, zorder=2)
        ax.fill_between(curve.step, curve.low, curve.high, color=style["color"], alpha=0.13, linewidth=0, zorder=1)
        ax.plot(curve.step, curve.mean, **style, zorder=3)
        for step, value in curve.last:
            ax.plot(step, value, "X", color=style["color"], markeredgecolor="white", markersize=7, zorder=4)
    for value, _, dash in _references(report, metric):
        ax.axhline(value, color=GREY, linewidth=0.9, linestyle=dash, zorder=0)
    lines = max(len(_troubles(other, report)) for other in report.values_of("column"))
    ax.set_title(plain(pairs(dict(zip(report.spec.columns, panel, strict=True)))), pad=4 + 8 * lines)
    ax.text(
        0.5,
        1.02,
        plain("\n".join(_troubles(panel, report))),
        transform=ax.transAxes,
        ha="center",
        fontsize=6.5,
        color=GREY,
    )
    ax.margins(x=0.01)


def _troubles(panel: tuple, report: Report) -> list[str]:
    """`post 3/3 stuck`: the arms of a panel of which not every seed trained, in at most two lines."""
    faces = {place.row: face(arm, report) for place, arm in report.arms.items() if place.column == panel}
    troubles = [f"{_name(row, report)} {shown.trouble}" for row, shown in faces.items() if shown.trouble]
    return textwrap.wrap("; ".join(troubles), 52, max_lines=2, placeholder=" ...")


def _references(report: Report, metric: str) -> list[tuple[float, str, tuple]]:
    """(value, name, dash) of the entropies of the data, where the metric is a loss."""
    if metric != "train_loss":
        return []
    found = []
    for field, (name, dash) in REFERENCES.items():
        values = {data[field] for data in report.manifest["data"].values() if data.get(field) is not None}
        found += [(value, name, dash) for value in sorted(values)]
    return found


def _scale(ax: Axes, curves: Sequence[Curve], report: Report, metric: str) -> None:
    """One range for all panels: what the seeds span after the first tenth, and the entropies; log for gradients."""
    late = np.concatenate([seed[len(seed) // 10 :] for curve in curves for seed in curve.seeds] or [np.zeros(1)])
    late = late[np.isfinite(late)]
    lines = [value for value, *_ in _references(report, metric)]
    if not late.size:
        return
    if metric == "grad_norm" and late.min() > 0:
        ax.set_yscale("log")
        ax.set_ylim(late.min() / 1.2, late.max() * 1.2)
        return
    low, high = min(late.min(), *lines, late.min()), max(np.quantile(late, 0.995), *lines, late.min())
    room = 0.06 * (high - low or 1)
    ax.set_ylim(low - room, high + room)


def _measured(report: Report, metric: str) -> str:
    return f"{NAMES[metric]} ({unit(report.manifest, 'final_train_loss')})" if metric == "train_loss" else NAMES[metric]


def _method(report: Report, curves: Sequence[Curve], smooth: float) -> str:
    """How the lines were made."""
    seeds = sorted({len(curve.seeds) for curve in curves}) or [0]
    span = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    tuned = any(arm.choice.tuned for arm in report.arms.values())
    best = f"each at its best {' and '.join(short_names(report.spec.nuisance).values())}" if tuned else ""
    parts = [_common(report), best, f"mean and 95 % t band over {span} seeds", f"EMA {smooth:g}" if smooth else ""]
    return "; ".join(part for part in parts if part)


def _handles(report: Report, curves: Sequence[Curve], metric: str) -> list[Line2D]:
    """The legend: each arm, each entropy and the cross, once."""
    handles = [Line2D([], [], **style, label=plain(_name(row, report))) for row, style in _styles(report).items()]
    dashes = {name: dash for _, name, dash in _references(report, metric)}
    handles += [Line2D([], [], color=GREY, linewidth=0.9, linestyle=d, label=name) for name, d in dashes.items()]
    cross = Line2D([], [], color=GREY, marker="X", markeredgecolor="white", markersize=7, linestyle="")
    cross.set_label("a seed diverged")
    return [*handles, cross] if any(curve.last for curve in curves) else handles


def _varying(report: Report) -> list[int]:
    """Which of the fields of the rows differ between rows."""
    rows = report.values_of("row")
    return [i for i in range(len(report.spec.rows)) if len({row[i] for row in rows}) > 1]


def _name(row: tuple, report: Report) -> str:
    return " · ".join(say(row[i]) for i in _varying(report)) or _common(report) or "all cells"


def _common(report: Report) -> str:
    """What all lines share: the fields of rows, and of no role in the picture, that have one value."""
    row, split = report.values_of("row")[0], report.values_of("split")[0]
    varying = _varying(report)
    same = {name: row[i] for i, name in enumerate(report.spec.rows) if i not in varying}
    return pairs(same | dict(zip(report.spec.split, split, strict=True)))
