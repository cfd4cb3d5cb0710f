"""What the commands have in common: a mistake of the user is one line on stderr and exit status 2."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from experiments.visible import lines
from flax_tx.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser with --workdir that raises UserError where argparse would print its usage and exit."""

    def __init__(self, module: str, description: str):
        super().__init__(f"python -m {module}", description=description, allow_abbrev=False)
        self.add_argument("--workdir", required=True, help="the folder of a sweep")

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        raise UserError(f"{self.prog}: {message} (see --help)")


@contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """What is written within, where the user said. Raises: UserError where that cannot be."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{str(path)!r}: cannot write there ({error.strerror})") from None


def run(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """Runs a command with the arguments of this process and exits with the status that it returns, 0 for None."""
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except UserError as error:
        print(lines(str(error)), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `... | head`: nobody reads on, and the interpreter must not try to flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    sys.exit(status or 0)
