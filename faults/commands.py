"""The commands of the laboratory, and the options that each of them has."""

import argparse
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import experiments
from experiments import command


def commands() -> dict[str, Callable]:
    """Name -> main of every module of experiments that is a command."""
    found = {}
    for module in pkgutil.iter_modules(experiments.__path__):
        path = Path(experiments.__path__[0]) / f"{module.name}.py"
        if path.is_file() and "run(main)" in path.read_text():
            found[module.name] = importlib.import_module(f"experiments.{module.name}").main
    return found


class Captured(Exception):
    """The parser of a command."""


def actions_of(main: Callable) -> list[argparse.Action]:
    """The options and arguments of a command."""

    def capture(self, *_):
        raise Captured(self)

    with mock.patch.object(command.Parser, "parse_known_args", capture):
        try:
            main([])
        except Captured as captured:
            return [action for action in captured.args[0]._actions if action.dest != "help"]
    raise AssertionError("a command without a Parser")
