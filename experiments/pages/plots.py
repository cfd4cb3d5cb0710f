"""The Bokeh figures of a page, still empty: its scripts fill their sources, so that the page holds each number once."""

from bokeh.embed import components
from bokeh.model import Model
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LinearScale,
    LogColorMapper,
    LogScale,
    Range1d,
    Span,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from bokeh.resources import Resources

TOOLS = "box_zoom,pan,xwheel_zoom,reset,save,tap"
REFERENCES = ("dashed", "dotted", "dashdot", "dotdash")
CELL = [("cell", "@cell"), ("", "@text"), ("status", "@status")]


def library() -> str:
    """The script of Bokeh itself."""
    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


def plots() -> tuple[str, dict[str, str]]:
    """(script, {"curves", "map", "profile": the element of the figure})."""
    script, divs = components({"curves": curves(), "map": layer_map(), "profile": profile()}, wrap_script=False)
    return script, divs


def empty(name: str, height: int, x: str, y: str, **options) -> figure:
    """A figure without data, as wide as its place."""
    plot = figure(
        **{"name": name, "height": height, "sizing_mode": "stretch_width", "tools": TOOLS, "toolbar_location": "above"},
        **{"x_axis_label": x, "y_axis_label": y, "x_range": Range1d(0, 1), "y_range": Range1d(0, 1)},
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.active_drag = plot.toolbar.tools[0]
    plot.toolbar.active_scroll = None  # the wheel scrolls the page, unless its tool is chosen
    plot.yaxis.formatter = BasicTickFormatter(use_scientific=True, power_limit_high=5, power_limit_low=-4)
    ways = {"linear": (LinearScale(), BasicTicker()), "log": (LogScale(), FixedTicker())}
    plot.tags = [keep(f"{name}_{way}_scale", scale) for way, (scale, _) in ways.items()]
    plot.tags += [keep(f"{name}_{way}_ticker", ticker) for way, (_, ticker) in ways.items()]
    return plot


def keep(name: str, model: Model) -> Model:
    """A model under the name by which the scripts find it."""
    model.name = name
    return model


def source(name: str, *columns: str) -> ColumnDataSource:
    """A source that the scripts find by its name."""
    return ColumnDataSource({column: [] for column in columns}, name=name)


def curves() -> figure:
    """Lines of cells or means, bands, marks where a cell ended badly, and the entropies of the data."""
    plot = empty("curves", 440, "step", "")
    lines = source("lines", "xs", "ys", "colour", "dash", "width", "alpha", "cell", "text", "status")
    plot.patches("xs", "ys", source=source("bands", "xs", "ys", "colour"), color="colour", alpha=0.16, line_width=0)
    drawn = plot.multi_line(
        **{"xs": "xs", "ys": "ys", "source": lines, "line_color": "colour", "line_dash": "dash"},
        **{"line_width": "width", "line_alpha": "alpha", "hover_line_width": 3.5, "hover_line_alpha": 1.0},
        **{"nonselection_line_alpha": "alpha", "selection_line_width": 3.5},
    )
    marks = source("marks", "x", "y", "marker", "colour", "cell", "text", "status")
    plot.scatter("x", "y", source=marks, marker="marker", size=7, line_color="colour", fill_color="colour")
    numbers = [("x", "$snap_x{0,0.[0000]}"), ("y", "$snap_y{0.0000}")]
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=CELL + numbers, line_policy="nearest", limit=2))
    for i, dash in enumerate(REFERENCES):
        plot.add_layout(Span(location=0, dimension="width", line_dash=dash, name=f"reference_{i}", visible=False))
    return plot


def layer_map() -> figure:
    """One square per chunk and layer of a cell."""
    plot = empty("map", 320, "step", "layer")
    squares = source("squares", "left", "right", "bottom", "top", "value", "layer", "step")
    kinds = {"linear": LinearColorMapper, "log": LogColorMapper}
    mappers = [keep(f"colours_{way}", kind(palette=Viridis256, low=1, high=2)) for way, kind in kinds.items()]
    plot.tags += mappers
    drawn = plot.quad(
        **{"left": "left", "right": "right", "bottom": "bottom", "top": "top", "source": squares},
        **{"fill_color": {"field": "value", "transform": mappers[0]}, "line_color": None},
    )
    drawn.glyph.name = "square"
    plot.add_layout(ColorBar(color_mapper=mappers[0], name="bar", width=10, label_standoff=6), "right")
    tips = [("layer", "@layer"), ("step", "@step{0,0}"), ("value", "@value{0.[000000]}")]
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    plot.yaxis.ticker = BasicTicker(min_interval=1)
    return plot


def profile() -> figure:
    """The layers at the end of training, a line per cell."""
    plot = empty("profile", 320, "layer", "")
    lines = source("profiles", "xs", "ys", "colour", "dash", "width", "alpha", "cell", "text", "status")
    drawn = plot.multi_line(
        **{"xs": "xs", "ys": "ys", "source": lines, "line_color": "colour", "line_dash": "dash"},
        **{"line_width": "width", "line_alpha": "alpha", "hover_line_width": 3.5, "hover_line_alpha": 1.0},
        **{"nonselection_line_alpha": "alpha"},
    )
    numbers = [("layer", "$snap_x{0}"), ("value", "$snap_y{0.[000000]}")]
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=CELL + numbers, line_policy="nearest", limit=2))
    plot.xaxis.ticker = BasicTicker(min_interval=1)
    return plot
