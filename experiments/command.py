"""What the commands have in common: what goes wrong is a line on stderr, never a traceback.

Exit status 2: a mistake in what was asked. 1: a record is damaged, or the disk is full, read-only or gone.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from experiments import remote
from experiments.files import trouble
from experiments.visible import lines
from flax_tx.errors import UserError

PICTURES = (".png", ".pdf", ".svg")


class Parser(argparse.ArgumentParser):
    """An argument parser with --workdir, a folder or a URL, that raises UserError where argparse would exit."""

    def __init__(self, module: str, description: str, several: bool = False):
        super().__init__(f"python -m {module}", description=description, allow_abbrev=False)
        if several:
            self.add_argument(
                "--workdir", required=True, action="append", help="the folder of a sweep; may be repeated"
            )
        else:
            self.add_argument("--workdir", required=True, help="the folder of a sweep")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> tuple:
        """As argparse does. Raises: UserError also for texts that no file name and no field can hold."""
        wrong = [f"{text!r:.80}: expected a text without NUL" for text in args or () if "\0" in text]
        wrong += [f"{text}: expected a value" for text in args or () if text.endswith("=--")]  # argparse would lose it
        if wrong:
            raise UserError(f"{self.prog}: {problem}" for problem in wrong)
        flags, rest = super().parse_known_args(args, namespace)
        one = isinstance(flags.workdir, str)
        flags.workdir = remote.local(flags.workdir) if one else [*map(remote.local, flags.workdir)]
        return flags, rest

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        raise UserError(f"{self.prog}: {message} (see --help)")


class Interrupted(KeyboardInterrupt):
    """A signal other than Ctrl-C that asks for an orderly end."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


@contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """What is written within, where the user said. Raises: UserError where that cannot be."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{str(path)!r}: cannot write there ({error.strerror})") from None


def picture_path(out: Path | None) -> None:
    """Raises: UserError for a name that says no format of pictures."""
    if out is not None and out.suffix not in PICTURES:
        raise UserError(f"out {str(out)!r}: expected a name that ends in {', '.join(PICTURES)}")


def run(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """Runs a command with the arguments of this process and exits with the status that it returns, 0 for None."""
    sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold bytes that no encoding knows
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(lines(str(error)), file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt as interruption:
        sys.exit(128 + getattr(interruption, "signum", signal.SIGINT))
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter must not try to flush again
        if isinstance(error, BrokenPipeError):  # `... | head`: nobody reads on
            sys.exit(141)
        print(lines(trouble(error)), file=sys.stderr)
        sys.exit(1)
    sys.exit(status or 0)
