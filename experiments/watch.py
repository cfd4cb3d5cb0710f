"""The page of a sweep while it runs: python -m experiments.watch --workdir=DIR [--port=8765] [--host=127.0.0.1]

Serves what experiments.report writes, made anew when a cell has ended; the open page notices and loads itself again
with what the reader had chosen. It reads finished records alone, so that it may be opened while lanes write. It listens
on this machine only unless --host says otherwise, and whoever reaches that address can read the results.
"""

import asyncio
import hashlib
import html
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from experiments import records
from experiments.command import Parser, run
from flax_tx.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ASK = 2.0  # seconds between two questions of an open page


def version(workdir: str | os.PathLike) -> dict:
    """{"version": changes when the page would, "done": cells with a result, "total"}; without reading the records."""
    cells = records.sweep(workdir)["cells"]
    done = records.finished(workdir, cells)
    stamps = [(Path(workdir) / "sweep.json").stat().st_mtime_ns]
    stamps += [(records.cell_dir(workdir, cell) / "status.json").stat().st_mtime_ns for cell in cells if cell in done]
    return {"version": hashlib.sha256(repr(stamps).encode()).hexdigest()[:16], "done": len(done), "total": len(cells)}


class Pages:
    """The page of a workdir, made once per version, by one maker at a time."""

    def __init__(self, workdir: str | os.PathLike):
        self.workdir, self.lock = workdir, asyncio.Lock()
        self.made: tuple[str, str] = ("", "")

    async def page(self) -> str:
        """The page as it is now."""
        async with self.lock:
            now = version(self.workdir)["version"]
            if self.made[0] != now:
                self.made = now, await asyncio.to_thread(self.make, now)
            return self.made[1]

    def make(self, now: str) -> str:
        """The page of a version."""
        from experiments.pages.document import document  # slow to import; the server is up before it

        return document(self.workdir, live=ASK, version=now)


class Handler(tornado.web.RequestHandler):
    """Answers a GET from a page of this server, never one that another site's name was pointed at."""

    def initialize(self, pages: Pages, hosts: Sequence[str]) -> None:
        self.pages, self.hosts = pages, hosts

    def prepare(self) -> None:
        """Refuses a request under a name that this server was not started with."""
        if self.hosts and self.request.host_name.strip("[]") not in self.hosts:
            raise tornado.web.HTTPError(403)

    def set_default_headers(self) -> None:
        """Nothing is kept by a browser, nothing is guessed by it."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.clear_header("Server")


class Page(Handler):
    """The page; where records cannot be read, the line that says so, which asks again."""

    async def get(self) -> None:
        try:
            self.write(await self.pages.page())
        except UserError as error:
            self.set_status(503)
            self.set_header("Refresh", str(int(ASK)))
            self.write(f"<!doctype html><title>{503}</title><pre>{html.escape(str(error))}</pre>")


class Version(Handler):
    """What the open page asks."""

    async def get(self) -> None:
        try:
            self.write(version(self.pages.workdir))
        except (UserError, OSError):
            raise tornado.web.HTTPError(503) from None


def application(workdir: str | os.PathLike, host: str = LOOPBACK[0]) -> tornado.web.Application:
    """The server of a workdir, to be listened to at `host`."""
    bound = {"pages": Pages(workdir), "hosts": LOOPBACK if host in LOOPBACK else ()}
    return tornado.web.Application([("/", Page, bound), ("/version", Version, bound)], log_function=lambda _: None)


async def serve(workdir: str, host: str, port: int) -> None:
    """Serves until it is interrupted. Raises: UserError for an address that cannot be had."""
    try:
        sockets = bind_sockets(port, host)
    except (OSError, UnicodeError) as error:  # the second for what no name of a host may hold
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--host = {host!r}, --port = {port}: cannot listen there ({reason})") from None
    HTTPServer(application(workdir, host)).add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    print(
        f"http://{f'[{host}]' if ':' in host else host}:{port}/ shows {shlex.quote(workdir)}; Ctrl-C ends it",
        flush=True,
    )
    if host not in LOOPBACK:
        print("whoever reaches this address can read the results", flush=True)
    await interruption()


async def interruption() -> None:
    """Ends by one alone."""
    await asyncio.Event().wait()


def main(argv: Sequence[str]) -> None:
    """Serves the page of --workdir."""
    parser = Parser("experiments.watch", __doc__)
    parser.add_argument("--port", type=int, default=8765, help="0: any that is free")
    parser.add_argument("--host", default=LOOPBACK[0], help="the address to listen at; default: this machine only")
    flags = parser.parse_args(argv)
    if not 0 <= flags.port < 2**16:
        raise UserError(f"--port = {flags.port}: expected 0 to {2**16 - 1}")
    records.sweep(flags.workdir)
    asyncio.run(serve(flags.workdir, flags.host, flags.port))


if __name__ == "__main__":
    run(main)
