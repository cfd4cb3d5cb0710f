"""A sweep file, read: its question, its base config, its axes and its table. Everything wrong is said in lines."""

import ast
import importlib.util
import re
import traceback
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from experiments import hyper
from experiments.table_spec import Table
from flax_tx.config import flatten, knobs
from flax_tx.errors import UserError, nearest

NEEDED = ("get_config", "get_hyper", "get_table")


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file says: `base` are dotted fields, `cells` the overrides of each cell."""

    path: str
    name: str
    question: str
    base: dict[str, Any]
    cells: hyper.Sweep
    table: Table


def read(path: str) -> SweepFile:
    """Runs a sweep file. Raises: UserError with every problem that can be seen without planning."""
    module = execute(path)
    missing = [name for name in NEEDED if not callable(getattr(module, name, None))]
    if missing:
        names = [name for name in vars(module) if callable(getattr(module, name)) and not name.startswith("_")]
        raise UserError(f"{path}: expected a function {name}(){nearest(name, names)}" for name in missing)
    base = flatten(call(path, module.get_config))
    cells = call(path, lambda: list(module.get_hyper(hyper)))
    question = (module.__doc__ or "").strip()
    return SweepFile(path, Path(path).stem, question, base, cells, call(path, module.get_table))


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
    except UserError:
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(Path(path))]
        line = frames[-1].lineno if frames else getattr(error, "lineno", 0)
        raise UserError(f"{path}:{line}: {explain(error)}") from error


def explain(error: Exception) -> str:
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
