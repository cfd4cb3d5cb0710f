"""A sweep file, read: its question, base config, axes, tables, claims and figure. Everything wrong is said in lines.

get_config()       the base config                     get_table()    a Table, or a list of them, the main one first
get_hyper(hyper)   the cells, as overrides of the base  get_claims()   a list of Claim; may be absent
SIZES              {name: any value}; may be absent     get_figure()   a Figure; may be absent

With SIZES each of these functions may take a parameter `size` and gets the value of the chosen size.
"""

import ast
import importlib.util
import inspect
import re
import traceback
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ml_collections import ConfigDict

from experiments import hyper
from experiments.claims import Claim
from experiments.figure_spec import Figure
from experiments.table_spec import Table
from experiments.typed import mistyped, shown
from flax_tx.config import flatten, knobs
from flax_tx.errors import UserError, nearest

NEEDED = ("get_config", "get_hyper", "get_table")
USUAL = "quick"  # the size of a launch that names none


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file says: `base` are dotted fields, `cells` the overrides of each cell, `size` one of `sizes`."""

    path: str
    name: str
    question: str
    base: dict[str, Any]
    cells: hyper.Sweep
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...] = ()
    figure: Figure | None = None
    size: str | None = None
    sizes: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """The main table."""
        return self.tables[0]


def read(path: str, size: str | None = None) -> SweepFile:
    """Runs a sweep file in one of its sizes; None: "quick" where it has that, else its first.

    Raises: UserError with every problem that can be seen without planning.
    """
    module = execute(path)
    missing = [name for name in NEEDED if not callable(getattr(module, name, None))]
    if missing:
        names = [name for name in vars(module) if callable(getattr(module, name)) and not name.startswith("_")]
        raise UserError(f"{path}: expected a function {name}(){nearest(name, names)}" for name in missing)
    sizes = sizes_of(module, path)
    size = choose(size, sizes, path)

    def get(name: str, *arguments: Any) -> Any:
        function = getattr(module, name, None)
        return call(path, lambda: function(*arguments, **sized(function, path, size, sizes))) if function else None

    figure = get("get_figure")
    if figure is not None and not isinstance(figure, Figure):
        raise UserError(f"{path}: get_figure() gives {shown(figure)}: expected a Figure")
    tables = several(path, "get_table", get("get_table"), Table)
    declared = [*(("table", one) for one in tables), *(("figure", one) for one in (figure,) if one)]
    if wrong := [line for where, one in declared for line in mistyped(one, where)]:
        raise UserError(dict.fromkeys(wrong))
    return SweepFile(
        path=path,
        name=Path(path).stem,
        question=(module.__doc__ or "").strip(),
        base=flatten(mapping(path, "get_config", get("get_config"))),
        cells=[mapping(path, "get_hyper", cell) for cell in several(path, "get_hyper", get("get_hyper", hyper))],
        tables=tables,
        claims=several(path, "get_claims", get("get_claims") or (), Claim),
        figure=figure,
        size=size,
        sizes=tuple(sizes),
    )


def several(path: str, name: str, value: Any, kind: type | None = None) -> tuple:
    """What a function gives, as a tuple; one of `kind` stands for a list of it. Raises: UserError for anything else."""
    if kind and isinstance(value, kind):
        return (value,)
    what = f"a list of {kind.__name__}" if kind else "a list of dicts, as hyper makes it"
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise UserError(f"{path}: {name}() gives {shown(value)}: expected {what}")
    items = call(path, lambda: tuple(value))
    wrong = [item for item in items if kind and not isinstance(item, kind)]
    if wrong:
        raise UserError(f"{path}: {name}() gives {shown(item)} in its list: expected {what}" for item in wrong)
    return items


def mapping(path: str, name: str, value: Any) -> Any:
    """A config or the overrides of a cell. Raises: UserError for what is no mapping."""
    if not isinstance(value, Mapping | ConfigDict):
        what = "config.default(), changed" if name == "get_config" else "a list of dicts, as hyper makes it"
        raise UserError(f"{path}: {name}() gives {shown(value)}: expected {what}")
    return value


def sizes_of(module: types.ModuleType, path: str) -> Mapping[str, Any]:
    """SIZES of a sweep file, empty where it has none. Raises: UserError where it is no dict of names."""
    sizes = getattr(module, "SIZES", {})
    named = isinstance(sizes, Mapping) and all(isinstance(name, str) for name in sizes)
    if not named or ("SIZES" in vars(module) and not sizes):
        raise UserError(f"{path}: SIZES = {sizes!r}: expected a dict of at least one name")
    return sizes


def choose(size: str | None, sizes: Mapping[str, Any], path: str) -> str | None:
    """The name of the size that is asked for, or the usual one. Raises: UserError for one that is not there."""
    if size is None:
        return USUAL if USUAL in sizes else next(iter(sizes), None)
    if not sizes:
        raise UserError(f"--size = {size!r}: {path} has no SIZES; leave --size out")
    if size not in sizes:
        raise UserError(f"--size = {size!r}: expected one of {', '.join(sizes)}{nearest(size, sizes)}")
    return size


def sized(function: Callable, path: str, size: str | None, sizes: Mapping[str, Any]) -> dict[str, Any]:
    """{"size": the chosen entry} for a function that takes it, else nothing."""
    if "size" not in inspect.signature(function).parameters:
        return {}
    if size is None:
        raise UserError(f"{path}: {function.__name__}(size) expected SIZES, a dict of names, in the file")
    return {"size": sizes[size]}


def execute(path: str) -> types.ModuleType:
    """The module of a Python file, wherever it lies."""
    file = Path(path)
    if not file.is_file():
        beside = [str(p) for p in (*Path("sweeps").glob("[!_]*.py"), *file.parent.glob("[!_]*.py"))]
        raise UserError(f"--config = {path!r}: no such file{nearest(path, beside)}")
    spec = importlib.util.spec_from_file_location(f"sweep_{file.stem}", file)
    if spec is None:
        raise UserError(f"--config = {path!r}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    call(path, lambda: spec.loader.exec_module(module))
    return module


def call(path: str, function: Callable[[], Any]) -> Any:
    """function(), with a mistake in the sweep file turned into a line that says where it is."""
    try:
        return function()
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also what the file does with sys.exit
        here = Path(path).resolve()
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == here]
        line = frames[-1].lineno if frames else getattr(error, "lineno", 0)
        where = f"{path}:{line}" if line else path
        raise UserError(f"{where}: {explain(error)}") from error


def explain(error: BaseException) -> str:
    """An exception in a line; of a locked ConfigDict's only the name and the one that was meant."""
    text = " ".join(str(error).split())
    unknown, meant = re.search(r'Key "(\w+)" does not exist', text), re.search(r'Did you mean "(\w+)"', text)
    if unknown:
        return f"{unknown[1]}: no such field" + (f"; did you mean {meant[1]}?" if meant else "")
    return f"{type(error).__name__}: {text}"


def parse(overrides: list[str], flags: Iterable[str] = ()) -> dict[str, Any]:
    """`--config.model.width=64` texts as fields and values, typed by the schema.

    Raises: UserError for those that are not of that form, with the nearest of `flags`; unknown fields are left to the
    plan, which knows them all.
    """
    values, wrong = {}, []
    for text in overrides:
        name, equals, value = text.removeprefix("--config.").partition("=")
        if not (text.startswith("--config.") and equals):
            meant = nearest(text.partition("=")[0], flags)
            wrong.append(f"{text}: expected a flag of this command, or --config.FIELD=VALUE{meant}")
        else:
            values[name] = literal(value, knobs()[name].type if name in knobs() else str)
    if wrong:
        raise UserError(wrong)
    return values


def literal(text: str, annotation: Any) -> Any:
    """The value that a text means for a field of that type; the text itself when it means nothing."""
    kinds = get_args(annotation) or (annotation,)
    if str in kinds and not (text == "None" and types.NoneType in kinds):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
