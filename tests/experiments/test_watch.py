"""The page of a sweep that runs: it follows what lanes write, keeps what was chosen, and listens to nobody else."""

import asyncio
import concurrent.futures
import contextlib
import functools
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psutil
import pytest

from experiments import records, watch
from flax_tx.errors import UserError
from tests.browser import browser, visit  # noqa: F401
from tests.experiments import synthetic, tiny

CELLS = {"wirings": ("post", "pre"), "norms": ("layernorm",), "depths": (6,)}


@pytest.fixture
def workdir(tmp_path):
    """Eight cells of which the first of each wiring is missing."""
    first = {"model.wiring": set()}

    def end_of(overrides):
        name = overrides["model.wiring"]
        missing = name not in first["model.wiring"]
        first["model.wiring"].add(name)
        return "missing" if missing else "done"

    synthetic.write(tmp_path / "a run", end_of=end_of, **CELLS)
    return tmp_path / "a run"


@contextlib.contextmanager
def served(workdir, *flags):
    """(process, address) of a server of its own."""
    command = [sys.executable, "-m", "experiments.watch", f"--workdir={workdir}", "--port=0", *flags]
    # a shell has its background jobs, such as a nightly run of these tests, ignore Ctrl-C
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tiny.ROOT, text=True, preexec_fn=listen, **pipes)
    try:
        yield process, re.search(r"http://\S+", process.stdout.readline())[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return answer.read().decode()


def apart(function, *arguments):
    """function(*arguments) in a thread of its own: the browser's has an event loop already."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def missing_cell(workdir):
    frame = records.load(workdir)
    return frame.index[frame.status == "missing"][0]


def finish(workdir, cell):
    config = records.flatten(records.read_json(records.cell_dir(workdir, cell) / "config.json")["config"])
    synthetic.write_cell(workdir, cell, config, "done", config["train.steps"])


def test_the_open_page_takes_a_new_cell_in_and_keeps_what_was_chosen(workdir, visit):  # noqa: F811
    with served(workdir) as (_, url):
        seen = visit(url)
        assert "2 missing" in seen.page.locator(".counts").inner_text()
        seen.page.locator('button[data-field="model.wiring"]').get_by_text("post", exact=True).click()
        new = [cell for cell in records.sweep(workdir)["cells"] if cell == missing_cell(workdir)]
        finish(workdir, *new)
        seen.page.locator(".counts").get_by_text("1 missing").wait_for(timeout=60_000)
        seen.page.wait_for_selector("html[data-ready]")
        pressed = seen.page.locator('button[data-field="model.wiring"]').get_by_text("post", exact=True)
        assert pressed.get_attribute("aria-pressed") == "false"
        assert seen.errors == [] and {request.split("/")[2] for request in seen.requests} == {url.split("/")[2]}


def test_it_listens_on_loopback_alone_and_knows_no_other_name(workdir):
    with served(workdir) as (process, url):
        listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(url, Host="evil.example")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(url + "cells/../sweep.json")


def test_it_can_be_asked_while_records_are_written(workdir):
    """Cells end one after the other while somebody asks without a pause: every answer is a whole page."""
    cells = [cell for cell in records.sweep(workdir)["cells"] if cell not in records.finished(workdir, [cell])]
    with served(workdir) as (_, url):
        writer = threading.Thread(target=lambda: [finish(workdir, cell) or time.sleep(0.2) for cell in cells * 5])
        writer.start()
        while writer.is_alive():
            assert get(url).rstrip().endswith("</html>")
        writer.join()
        done = json.loads(get(url + "version"))
        assert done["done"] == done["total"] == 8


def test_the_version_changes_when_a_cell_ends_and_not_else(workdir):
    before = watch.version(workdir)
    assert watch.version(workdir) == before
    finish(workdir, missing_cell(workdir))
    after = watch.version(workdir)
    assert after["version"] != before["version"] and after["done"] == before["done"] + 1


def test_a_page_is_made_once_for_many_readers(workdir, monkeypatch):
    made, pages = [], watch.Pages(workdir)
    monkeypatch.setattr(pages, "make", lambda now: made.append(now) or "page")

    async def ask():
        return await asyncio.gather(*(pages.page() for _ in range(5)))

    assert apart(asyncio.run, ask()) == ["page"] * 5 and len(made) == 1


def test_a_torn_record_is_a_line_on_the_page_and_the_server_goes_on(workdir):
    with served(workdir) as (_, url):
        (workdir / "sweep.json").write_text("{")
        with pytest.raises(urllib.error.HTTPError) as error:
            get(url)
        assert error.value.code == 503 and "sweep.json" in error.value.read().decode()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--port=70000"], "0 to 65535"),
        (["--port=x"], "--port"),
        (["--host=300.1.1.1"], "--host"),
        (["--host=\x9d"], "--host"),
    ],
)
def test_a_mistake_is_a_line(workdir, flags, expected):
    with pytest.raises(UserError, match=expected):
        apart(watch.main, [f"--workdir={workdir}", *flags])


def test_ctrl_c_ends_it_quietly(workdir):
    with served(workdir) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130 and process.stderr.read() == ""
