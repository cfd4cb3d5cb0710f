"""What nobody should write: texts, JSON values, and what functions of a sweep file may give."""
# ruff: noqa: E501

from hypothesis import strategies as st

ODD = (
    "",
    " ",
    "-",
    "--",
    ".",
    "..",
    "=",
    ",",
    "|",
    "0",
    "-1",
    "1e999",
    "nan",
    "None",
    "True",
    "[",
    "(" * 300,
    "1" * 5000,
)
ODD += (
    "é ü 深",
    "%s",
    "{}",
    "[red]",
    "<b>",
    "\\",
    "'",
    '"',
    "a\0b",
    "\udcff",
    "a\nb",
    "x" * 300,
    "null",
    "*",
    "$HOME",
    "💥",
)

READERS = {  # command lines that read a workdir
    "status": [], "check": [], "table": [], "verdict": [], "figure": ["--out=a.png"], "compare": ["--out=b.png"],
    "publish": ["--to=out"],
}  # fmt: skip
SWEEPS = {  # what a function of a sweep file may give
    "get_config": ("None", "3", "{}", "{'model': 3}", "c", "config.default().to_dict()", "c.unlock() or c", "[1]", "c.model"),
    "get_hyper": (
        *("None", "[]", "[None]", "[{}]", "[{1: 2}]", "[{'model.width': object()}]", "hyper.sweep('x', [1])", "iter([{}, 3])"),
        *("hyper.product([hyper.sweep('seed.init', [0]), 3])", "hyper.zipit([3])", "[{'arm': 3}]", "[{'arm': []}]", "{}"),
        *("[{'model.wiring': w} for w in ('pre', [], None, {})]", "[{'seed.init': float('nan')}]", "[{'model': {}}]"),
        *("hyper.sweep('model.segments', [[{}], [{'wiring': 3}], 3])", "[{'arm': 'a'}, {'arm': 'b'}]", "hyper.seeds(-1)"),
        *("[{'': 1}]", "[{None: 1}]", "['seed.init']", "hyper.seeds('x')", "[{'arm': '../x', 'seed.init': 2}]"),
    ),
    "get_table": (
        *("None", "[]", "[Table()]", "Table(rows=3)", "Table(('model.wiring',), seeds=('seed.init',), baseline={3: 4})", "3"),
        *("Table(('model.wiring',), columns=('seed.init',), metric=[])", "Table((None,))", "Table(([],))", "Table(rows=())"),
        *("Table(('model.wiring',), labels={(): 3})", "Table(('model.wiring',), theory={'a': {'b': object()}})", "Table"),
        *("Table(('model.wiring',), groups={3: 4}, seeds=('seed.init',))", "Table(('seed.init',), columns_of=(3,))"),
    ),
    "get_claims": ("None", "3", "[3]", "[Claim('a', 'b', 'c', 'd', [])]", "[Claim(1, 2, 3, 4, 5)]",
                   "[Claim('a', 'b', 'c', 'training', [Greater(3, 4)])]", "[Claim('a', 'b', 'c', 'training', [Trains([])])]",
                   "[Claim('a', 'b', 'c', 'training', [Trains({'x': []}, share='x')])]", "Claim",
                   "[Claim('a', 'b', 'c', 'training', [Greater(Quantity(3), Quantity('val_loss', 3))])]"),
    "get_figure": ("None", "3", "Figure(())", "Figure(3)", "Figure((Panel(3),))", "Figure((Panel('val_loss', []),))", "Panel('x')",
                   "Figure((Panel('val_loss', at={'x': object()}),))", "Figure((Panel('val_loss', kind='heat', y_field=[]),))"),
}  # fmt: skip
STATEMENTS = ("1 / 0", "raise SystemExit(3)", "raise KeyboardInterrupt", "raise Exception", "import nothing", "return (", "x",
              "raise BaseException('b')", "raise ValueError('a\\nb')", "def f(): f()\n    f()", "assert False", "del get_config")  # fmt: skip

JSON = st.one_of(
    st.sampled_from([None, True, 0, -1, 1e308, 2**70, "", "x", "../x", [], {}, [[]], [None], {"type": "Table"}, {"type": "x"}]),
    st.recursive(st.one_of(st.none(), st.integers(), st.text(max_size=4)), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2), max_leaves=4),
)  # fmt: skip
