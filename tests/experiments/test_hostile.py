"""Names that would be markup, escape sequences or formulas come out as text, in every format and from every command."""

import contextlib
import dataclasses
import html.parser
import io
import json
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len

from experiments import (
    command,
    launch,
    plan,
    progress,
    publish,
    records,
    running,
    status,
    sweep_file,
    table,
    verdict,
    why,
)
from experiments.claims import Claim, Fails
from experiments.exports.frames import frames
from experiments.labels import say
from experiments.screen import Screen
from experiments.tables.markdown import code, escape_markdown
from experiments.visible import line, lines, visible
from flax_tx.errors import UserError
from tests.experiments import hostile, published, synthetic, tiny

NAMES = hostile.NAMES
VALUES = list(NAMES.values())
SAFE = {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "sub", "h1", "h2", "h3", "em"}
EVIL = "".join(
    NAMES[kind] for kind in ("escapes", "direction", "invisible", "html", "rich markup", "lines", "surrogate")
)
STYLES = re.compile(r"\x1b\[[\d;]*m")


class Terminal(io.StringIO):
    """What is written to a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal of 80 columns gets; it knows no style, so that an escape sequence would be somebody's name."""
    monkeypatch.setenv("TERM", "dumb")

    def written(function, *arguments):
        screen = Terminal()
        with contextlib.redirect_stdout(screen):
            function(*arguments)
        return screen.getvalue()

    return written


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A sweep in which every name is hostile: values, labels, families, titles, arms, reasons, claims, the command."""
    folder = tmp_path_factory.mktemp("runs") / "evil"
    spec = dataclasses.replace(
        synthetic.TABLE,
        **{"rows": ("model.wiring",), "title": EVIL, "nuisance": (), "baseline": {"model.wiring": VALUES[0]}},
        labels={6: NAMES["html"], 12: NAMES["escapes"]},
        groups={value: VALUES[-1 - i % 3] for i, value in enumerate(VALUES)},
        theory={"6": {VALUES[1]: EVIL}},
        paper=dataclasses.replace(
            published.PAPER, title=EVIL, spanners=((EVIL, (NAMES["latex"], "b")), ("c", (EVIL,))), extra_rows=()
        ),
    )
    spec = dataclasses.replace(spec, paper=dataclasses.replace(spec.paper, rows={VALUES[2]: (EVIL, "1", "2")}))
    kinds = iter(["failed", "missing", "stuck", "diverged"])
    ends = lambda overrides: next(kinds, "done") if overrides["seed.init"] == 0 else "done"  # noqa: E731
    arguments = {"norms": ("layernorm",), "depths": (6, 12), "rates": (1e-3,), "steps": 4}
    manifest = synthetic.write(folder, wirings=VALUES, table=spec, name=EVIL, end_of=ends, **arguments)
    claims = [Claim(EVIL, EVIL, EVIL, "training", (Fails({"model.wiring": VALUES[0]}),), caveat=EVIL)]
    manifest |= {"question": EVIL, "command": f"python {EVIL}", "claims": [claim.to_json() for claim in claims]}
    manifest["arms"] = dict(zip(manifest["cells"], VALUES * 9, strict=False))
    manifest["provenance"]["git"]["commit"] = EVIL
    records.write_json(folder / "sweep.json", manifest)
    for cell in records.finished(folder, manifest["cells"]):
        if (ended := records.status_of(folder, cell))["status"] != "done":
            records.write_json(records.cell_dir(folder, cell) / "status.json", ended | {"reason": EVIL})
    return folder


def no_spaces(text):
    return re.sub(r"\s", "", text)


def assert_only_text(text):
    """Nothing in a text is obeyed by a terminal, or hidden."""
    assert not hostile.hidden_in(text), {hex(ord(character)) for character in hostile.hidden_in(text)}


def assert_all_named(text, names=VALUES):
    """Every name is there to read."""
    found = no_spaces(text)
    assert [name for name in names if no_spaces(line(name)) not in found] == []


@pytest.mark.parametrize("name", VALUES, ids=NAMES)
def test_what_is_visible_stays_and_what_is_hidden_is_written_out(name):
    for shown in (visible(name), line(name), say(name), *lines(name).split("\n")):
        assert_only_text(shown)
        shown.encode()
    assert line(name) == line(line(name)) and "\n" not in visible(name) + line(name)
    letters = iter(line(name))
    assert all(character in letters for character in name if character.isalnum())


def test_letters_of_all_scripts_stay():
    for kind in ("scripts", "combining", "html", "latex", "formula", "long"):
        assert line(NAMES[kind]) == NAMES[kind]
    assert visible("\x1b[2J\x9b\u202e\ufeff\n\x7f") == r"\x1b[2J\x9b\u202e\ufeff\n\x7f"


COMMANDS = {
    "status": lambda workdir: status.main([f"--workdir={workdir}"]),
    "table": lambda workdir: table.main([f"--workdir={workdir}", "--paper"]),
    "verdict": lambda workdir: verdict.main([f"--workdir={workdir}"]),
    **{
        f"table {name}": lambda workdir, name=name: table.main([f"--workdir={workdir}", f"--format={name}"])
        for name in table.FORMATS
    },
    **{
        f"verdict {name}": lambda workdir, name=name: verdict.main([f"--workdir={workdir}", f"--format={name}"])
        for name in verdict.FORMATS
    },
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_obeys_nothing_that_a_command_prints(workdir, terminal, name):
    text = terminal(COMMANDS[name], workdir)
    assert len(text) > 100
    assert_only_text(text)


@pytest.mark.parametrize("name", ["status", "table", "verdict"])
def test_a_terminal_shows_every_name_as_text(workdir, terminal, name, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "9000")
    text = STYLES.sub("", terminal(COMMANDS[name], workdir))
    assert_all_named(text, VALUES if name == "table" else [EVIL])


def test_a_narrow_terminal_breaks_long_names(workdir, terminal):
    text = terminal(COMMANDS["table"], workdir)
    assert_only_text(text)
    assert max(map(cell_len, text.splitlines())) <= 80


@pytest.fixture
def evil_plan(tmp_path):
    """(sweep file, plan) of a sweep whose question, arms and title are hostile."""
    arms = [{"arm": name or "blank", "model.width": 8 * (i + 1)} for i, name in enumerate(VALUES)]
    text = tiny.SWEEP.replace(
        '"""Does a tiny sweep run? Its question has <b>markup</b> and a % sign."""', repr(EVIL.replace("\ud83d", ""))
    )
    text = text.replace('hyper.sweep("model.wiring", ["post", "pre"])', repr(arms))
    text = text.replace('rows=("model.wiring",)', 'rows=("arm",)').replace('{"model.wiring": "post"}', "None")
    path = tiny.write(tmp_path, text)
    return path, plan.make(sweep_file.read(path), {})


def test_a_dry_run_and_why_show_the_question_and_the_arms_as_text(evil_plan, tmp_path, terminal):
    path, made = evil_plan
    workdir = str(tmp_path / "run")
    text = terminal(launch.main, [f"--config={path}", f"--workdir={workdir}", "--dry_run"])
    running.prepare(made, workdir, "launch", set())
    cell = next(iter(made.cells))
    outcome = {"status": "failed", "reason": EVIL, "finished": "2026-11-22T12:00:00+00:00", "seconds": 1.0}
    records.write_result(workdir, cell, None, None, None, outcome)
    for arguments in ([], [cell], ["--config.model.num_layers=1"]):
        text += terminal(why.main, [f"--config={path}", f"--workdir={workdir}", *arguments])
    assert_only_text(text)
    assert_all_named(text, [EVIL.replace("\ud83d", ""), *VALUES[:-2]])


@pytest.mark.parametrize("show", ["lines", "bars"])
def test_the_progress_of_a_launch_shows_names_and_errors_as_text(evil_plan, show):
    _, made = evil_plan
    markup = NAMES["rich markup"]
    program, cells = next(item for item in made.programs.items() if made.arms[item[1][0]] == markup)
    about = {"lane": 0, "cell": cells[0], "seconds": 1.0, "val_loss": None}
    events = [
        {"event": "program", "program": program, "cells": 1, "lane": 0},
        {"event": "progress", "step": 1, "steps": 2, "tokens": 8, **about},
        {"event": "cell", "status": "failed", "reason": EVIL, **about},
        {"event": "retry", "program": program, "cells": 1, "reason": EVIL, "lane": 0},
    ]
    console = Screen(file=Terminal(), width=9000, force_terminal=True, color_system=None, highlight=False)
    assert list(getattr(progress, show)(made, cells, events, console)) == events
    own = r"\x1b\[\?25[lh]|\x1b\[\d*[AK]|\x1b\[2K|\r"  # cursor and line of the bars
    written = re.sub(own, "", console.file.getvalue())
    assert_only_text(written)
    assert_all_named(written, [EVIL, markup])


def test_a_screen_takes_no_text_for_markup_or_emoji(capsys):
    Screen(width=80).print("[red]r[/red] :boom: [/]")
    assert capsys.readouterr().out == "[red]r[/red] :boom: [/]\n"


def test_mistakes_are_printed_as_text(monkeypatch, capsys):
    def main(argv):
        raise UserError([f"--config = {EVIL}: expected a file", "second"])

    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        command.run(main)
    printed = capsys.readouterr().err
    assert ended.value.code == 2 and printed.endswith("\nsecond\n")
    assert_only_text(printed)


def test_a_mistake_of_the_command_line_is_printed_as_text(tmp_path):
    arguments = [
        f"--workdir={tmp_path}/\x1b[31m",
        f"--config={tiny.write(tmp_path)}",
        "--config.model.wiring=\x1b]0;x\x07\u202e",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "experiments.launch", *arguments, "--dry_run", "--\x1bflag"],
        **{
            "cwd": tiny.ROOT,
            "capture_output": True,
            "text": True,
            "check": False,
            "env": os.environ | {"LC_ALL": "C.UTF-8"},
        },
    )
    assert done.returncode == 2 and done.stderr
    assert_only_text(done.stdout + done.stderr)


class Page(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text, self.skip = set(), [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") or name.startswith("on")]
        self.skip += tag == "style"

    def handle_endtag(self, tag):
        self.skip -= tag == "style"

    def handle_data(self, data):
        self.text += [data] * (not self.skip)


def test_a_page_has_no_tag_of_theirs_and_all_of_the_text(workdir):
    page = Page(table.render(workdir, "html", published=True))
    assert not page.tags & {"script", "i", "img", "a", "link"} and not page.links
    assert_only_text("".join(page.text))
    assert_all_named("".join(page.text))


def rendered(markdown):
    return Page(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


def test_markdown_has_no_markup_of_theirs_and_all_of_the_text(workdir):
    page = rendered(table.render(workdir, "md", published=True))
    assert page.tags <= SAFE and not page.links
    assert_only_text("".join(page.text))
    assert_all_named("".join(page.text))
    page = rendered(verdict.render(workdir, "md"))
    assert page.tags <= SAFE and not page.links
    assert_all_named("".join(page.text), [EVIL])


@pytest.mark.parametrize("name", VALUES, ids=NAMES)
def test_a_name_in_markdown_is_itself_wherever_it_stands(name):
    shown, wanted = escape_markdown(name), no_spaces(line(name))
    places = {
        "": shown,
        "#": f"# {shown}",
        "-": f"- {shown}",
        "a": f"| a |\n| --- |\n| {shown} |",
        "x": f"x **{shown}**",
    }
    for before, text in places.items() if wanted else ():
        page = rendered(text)
        assert page.tags <= SAFE and not page.links
        assert no_spaces("".join(page.text)).removeprefix(before.strip("#-")) == wanted
    assert not re.search(r"(?i)://|\bwww\.|@|:[+\w-]*[a-z+][\w-]*:", shown)  # GitHub makes links and emoji of these
    assert no_spaces("".join(rendered(f"x {code(name)}").text)) == "x" + no_spaces(visible(name))


def test_published_pages_have_no_markup_of_theirs(workdir, tmp_path):
    named = records.sweep(workdir) | {"name": "evil"}
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "cells").symlink_to(workdir / "cells")
    records.write_json(folder / "sweep.json", named)
    publish.publish(folder, tmp_path / "results")
    for path in (tmp_path / "results").rglob("*.md"):
        page = rendered(path.read_text(encoding="utf-8"))
        assert page.tags <= SAFE | {"hr", "a", "img"}
        assert all(re.fullmatch(r"[\w./#-]+", link) for link in page.links), page.links
        assert_only_text("".join(page.text))


def test_csv_and_json_hold_the_very_values(workdir):
    read = pd.read_csv(io.StringIO(table.render(workdir, "csv")), keep_default_na=False)
    stored = [name.encode("utf-8", "backslashreplace").decode() for name in VALUES]
    assert list(dict.fromkeys(read["model.wiring"])) == sorted(
        stored, key=lambda name: list(read["model.wiring"]).index(name)
    )
    assert set(read["model.wiring"]) == set(stored)
    assert set(frames(workdir)["cells"]["model.wiring"]) == set(stored)
    assert json.loads(verdict.render(workdir, "json"))[0]["id"] == EVIL.encode("utf-8", "backslashreplace").decode()


def test_half_a_character_in_an_error_breaks_no_command(tmp_path, terminal):
    synthetic.write(
        tmp_path, norms=("layernorm",), depths=(6,), rates=(1e-3,), seeds=(0,), end_of=lambda overrides: "missing"
    )
    cell = records.sweep(tmp_path)["cells"][0]
    outcome = {
        "status": "failed",
        "reason": "No such file: '\udcff'",
        "finished": "2026-11-22T12:00:00+00:00",
        "seconds": 1.0,
    }
    records.write_result(tmp_path, cell, None, None, None, outcome, error="'\udcff'")
    assert r"No such file: '\udcff'" in terminal(status.main, [f"--workdir={tmp_path}"])
    assert "1/1 failed" in terminal(table.main, [f"--workdir={tmp_path}"])
