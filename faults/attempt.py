"""A command within this process, and what is wrong with how it ends."""

import contextlib
import io
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from experiments import rerun, running, watch
from faults.commands import Captured
from faults.range import Range
from flax_tx.errors import UserError

PATIENCE = 60.0  # seconds of a command


def attempt(main: Callable, argv: list[str], place: Range) -> str:
    """What is wrong with how a command ends, in a line; nothing if it ends as it may."""
    before = place.listing()
    try:
        with quiet(place):
            main(argv)
    except UserError as error:
        if left := place.listing() - before:
            return f"left {sorted(left)[:3]} behind"
        if any("\n" in line or not line.strip() for line in error.problems) or not error.problems:
            return f"lines that are none: {error.problems!r:.200}"
    except (OSError, KeyboardInterrupt, Captured):
        return ""
    except SystemExit as end:
        return "" if "--help" in argv and not end.code else f"SystemExit({end.code!r})"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {str(error)[:120]!r}"
    return ""


@contextlib.contextmanager
def quiet(place: Range) -> Iterator[None]:
    """Within the folder, without output, without training or serving, and not for ever."""

    def late(*_):
        raise KeyboardInterrupt

    before, here = signal.signal(signal.SIGALRM, late), Path.cwd()
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    os.chdir(place.folder)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            mock.patch.multiple(running, train=mock.DEFAULT, follow=mock.DEFAULT, join=mock.DEFAULT),
            mock.patch.object(rerun, "train", return_value=()),
            mock.patch.object(watch, "interruption", side_effect=KeyboardInterrupt),
        ):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.chdir(here)
