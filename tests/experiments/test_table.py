"""The table: trouble first, best learning rate per arm, verdicts beside the noise floor; four formats, one report."""

import csv
import dataclasses
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from experiments import records, table
from experiments.metrics import METRICS
from experiments.table_spec import Table, problems
from experiments.tables.arms import Place, assemble
from experiments.tables.caption import HELD, caption
from experiments.tables.tidy import tidy
from flax_tx.config import knobs
from flax_tx.errors import UserError
from tests.experiments import synthetic

TINY = {
    "wirings": ("post", "pre"),
    "norms": ("layernorm",),
    "depths": (6,),
    "rates": (1e-3, 2e-3, 4e-3),
    "seeds": range(5),
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "depth"
    synthetic.write(folder)
    return folder


def with_losses(folder, loss_of, **arguments):
    """A sweep whose done cells have the validation loss `loss_of(wiring, rate, seed)`; statuses are text."""
    synthetic.write(folder, **{**TINY, **arguments}, end_of=lambda overrides: "missing")
    for cell, row in records.load(folder).iterrows():
        loss = loss_of(row["model.wiring"], row["optim.learning_rate"], row["seed.init"])
        status = loss if isinstance(loss, str) else "done"
        summary = (
            None
            if status == "failed"
            else {"val_loss": 9.0 if status != "done" else loss, "test_loss": -row["seed.init"]}
        )
        records.write_result(folder, cell, None, None, summary, {"status": status, "seconds": 1.0})
    return folder


def arm_of(report, wiring, norm="layernorm", depth=6):
    return report.arms[Place((), (wiring, norm), (depth,))]


def noise(seed):
    return float(np.random.default_rng(seed).normal(0, 0.2))


def test_each_arm_is_judged_at_its_own_best_rate_over_all_its_seeds(tmp_path):
    best = {"post": 1e-3, "pre": 2e-3}
    loss = lambda wiring, rate, seed: 2 + abs(np.log(rate / best[wiring])) + noise(seed)  # noqa: E731
    report = assemble(with_losses(tmp_path, loss))
    post, pre = arm_of(report, "post"), arm_of(report, "pre")
    assert post.choice.value == (1e-3,) and post.choice.edge == (True,)
    assert pre.choice.value == (2e-3,) and pre.choice.edge == (False,)
    assert post.estimate.n == 5 and post.estimate.mean == pytest.approx(np.mean([2 + noise(s) for s in range(5)]))
    assert "@1e-3*\n" in table.render(tmp_path) and "@2e-3\n" in table.render(tmp_path)


@pytest.mark.parametrize(("gain", "word"), [(-0.1, "better"), (0.1, "worse"), (0.0, "not separated")])
def test_verdicts_are_paired_by_seed(tmp_path, gain, word):
    own = lambda wiring, seed: (wiring == "pre") * (gain + 0.01 * noise(100 + seed))  # noqa: E731
    report = assemble(with_losses(tmp_path, lambda wiring, rate, seed: 2 + noise(seed) + own(wiring, seed)))
    comparison = arm_of(report, "pre").comparison
    assert comparison.verdict == word and comparison.difference.mean == pytest.approx(gain, abs=0.01)
    assert arm_of(report, "post").comparison is None and arm_of(report, "post").is_baseline
    assert ("**" in table.render(tmp_path, "md").split("\n\n")[1]) == (word == "better")  # bold only where separated
    assert (r"\mathbf" in table.render(tmp_path, "tex")) == (word == "better")


def test_holm_counts_every_comparison_of_the_table(tmp_path):
    wirings = ("post", "pre", "sandwich", "deepnorm", "rezero")
    own = lambda wiring, seed: 0.05 * (wiring != "post") + 0.03 * noise(97 * len(wiring) + seed)  # noqa: E731
    folder = with_losses(tmp_path, lambda wiring, rate, seed: 2 + noise(seed) + own(wiring, seed), wirings=wirings)
    data = tidy(assemble(folder)).dropna(subset="p")
    assert len(data) == 4 and data.p_holm.min() == pytest.approx(min(1, 4 * data.p.min()))


def test_an_arm_with_a_bad_seed_says_so_first_and_is_not_compared(tmp_path):
    bad = {("pre", 0): "stuck", ("pre", 1): "diverged", ("pre", 2): "failed"}
    report = assemble(with_losses(tmp_path, lambda wiring, rate, seed: bad.get((wiring, seed), 1.0 + noise(seed))))
    assert arm_of(report, "pre").comparison is None and arm_of(report, "pre").bad == 3
    (line,) = [line for line in table.render(tmp_path, "md").splitlines() if line.startswith("| pre")]
    assert "| 1/5 stuck, 1/5 diverged, 1/5 failed (survivors " in line
    assert "3/5" not in line and "Wilson intervals: 1/5 is 4 to 62 %" in table.render(tmp_path, "md")


def test_a_rate_that_kills_a_seed_loses_to_a_worse_one_that_does_not(tmp_path):
    loss = lambda wiring, rate, seed: "diverged" if rate > 3e-3 and seed == 0 else 3.0 - 100 * rate  # noqa: E731
    assert arm_of(assemble(with_losses(tmp_path, loss)), "pre").choice.value == (2e-3,)


def test_the_test_set_chooses_nothing_and_is_shown_where_validation_chose(tmp_path):
    folder = with_losses(
        tmp_path,
        lambda wiring, rate, seed: 2 - 100 * rate,
        table=dataclasses.replace(synthetic.TABLE, metric="test_loss"),
    )
    report = assemble(folder)
    assert report.judged_by == "val_loss" and arm_of(report, "pre").choice.value == (4e-3,)
    assert arm_of(report, "pre").estimate.mean == -2  # the mean of minus the seeds
    assert arm_of(assemble(folder, "val_loss"), "pre").estimate.mean == pytest.approx(1.6)


def test_missing_cells_are_counted_and_a_sweep_without_results_has_a_table(tmp_path):
    synthetic.write(tmp_path, **TINY, end_of=lambda overrides: "missing")
    report = assemble(tmp_path)
    assert arm_of(report, "pre").counts == {"missing": 5}
    for format in table.FORMATS:
        assert ("missing 5/5" in table.render(tmp_path, format)) == (format != "csv")


def test_the_noise_floor_is_the_baselines_spread_over_seeds(tmp_path):
    report = assemble(with_losses(tmp_path, lambda wiring, rate, seed: 2 + (wiring == "post") * noise(seed)))
    assert report.noise() == (pytest.approx(np.std([noise(s) for s in range(5)], ddof=1)), 4)


def test_captions_say_what_was_held_fixed_what_to_doubt_and_how_to_make_it_again(workdir):
    lines = caption(assemble(workdir))
    said = dict(lines)
    assert "steps 60" in said["Held fixed"] and "tokens 61.4 k" in said["Held fixed"]
    assert "parameters 300 k to 1.2 M" in said["Held fixed"] and "final norm as the wiring says" in said["Held fixed"]
    assert "unigram 3.040" in said["Data"] and "4f9d2c1ab" in said["Made from"] and str(workdir) in said["Again"]
    assert said["Cells"] == "120 planned: 98 done, 10 stuck, 8 diverged, 2 failed, 2 missing"
    doubts = " ".join(text for label, text in lines if label == "Check")
    for doubt in (
        "at the edge of its grid in 27 of 30 arms",
        "2 seeds per arm",
        "2 of 120 cells are missing",
        "uncommitted",
    ):
        assert doubt in doubts
    assert set(HELD) <= set(knobs())


def test_axes_that_move_together_and_unequal_seeds_are_doubted(tmp_path):
    synthetic.write(tmp_path, **TINY)
    manifest = records.sweep(tmp_path)
    manifest["axes"]["train.steps"] = [60, 61]
    manifest["table"]["columns"].append("train.steps")
    manifest["cells"].pop()
    records.write_json(tmp_path / "sweep.json", manifest)
    for cell in manifest["cells"]:
        config = records.read_json(records.cell_dir(tmp_path, cell) / "config.json")["config"]
        config["train"]["steps"] += config["model"]["wiring"] == "pre"
        records.write_cell_config(tmp_path, cell, config)
    doubts = " ".join(text for label, text in caption(assemble(tmp_path)) if label == "Check")
    assert "model.wiring and train.steps change together" in doubts
    assert "unequal seeds: 4 to 5" in doubts


def test_the_terminal_table_fits_100_columns_and_is_cut_into_blocks_below(workdir):
    def drawn(width):
        console = Console(width=width, file=io.StringIO(), color_system=None)
        table.print_table(workdir, console)
        return console.file.getvalue()

    assert all(len(line) <= 100 for line in drawn(100).splitlines())
    header = next(line for line in drawn(100).splitlines() if "num_layers=6" in line)
    assert "num_layers=24" in header and "…" not in drawn(100)
    narrow = drawn(60)
    assert all(len(line) <= 60 for line in narrow.splitlines())
    for number in re.findall(r"\d\.\d{3} ± \d\.\d{3}", drawn(100)):
        assert number in narrow


def test_markdown_and_latex_show_hostile_names_as_they_are(tmp_path):
    evil = dataclasses.replace(synthetic.TABLE, title='<script>a_b%&#|`x` $y$ \\z é 深 ~^{}\n"q" [red]r[/red]')
    synthetic.write(
        tmp_path, **{**TINY, "wirings": ("post", "p|re_<b>%&$")}, table=evil, end_of=lambda overrides: "missing"
    )
    md, tex = table.render(tmp_path, "md"), table.render(tmp_path, "tex")
    assert "<script" not in md and "<b>" not in md and "&lt;script&gt;" in md and r"\$y\$" in md
    rows = [line for line in md.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {4}
    body = re.sub(r"\\[&%$#_{}]", "", tex.partition("\\begin{table}")[2])
    assert not re.search(r"(?<!\\)[%#_]|深", body) and "[U+6DF1]" in body and "é" in body
    assert body.count("{") == body.count("}") and body.count("$") % 2 == 0 and r"\textbackslash{}z" in body
    assert "[red]r[/red]" in table.render(tmp_path, "rich")


def test_latex_is_a_booktabs_table_with_a_row_per_arm(workdir):
    tex = table.render(workdir, "tex")
    inside = tex.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip()
    rows = re.sub(r"\\begin\{tabular\}\[t\].*?\\end\{tabular\}", "", inside).split("\\\\\n")
    assert len(rows) == 10 and all(row.count(" & ") == 4 for row in rows)
    for command in (r"\toprule", r"\caption{", r"\end{table}"):
        assert tex.count(command) == 1


def test_csv_has_a_line_per_arm_and_its_numbers_are_the_reports(workdir):
    lines = list(csv.DictReader(io.StringIO(table.render(workdir, "csv"))))
    report = assemble(workdir)
    assert len(lines) == len(report.arms) == 30
    for line, arm in zip(lines, report.arms.values(), strict=True):
        place = (line["model.wiring"], line["model.norm.kind"], int(line["model.num_layers"]))
        assert place == (*arm.place.row, *arm.place.column)
        assert line["cells"].split(";") == [trial.cell for trial in arm.trials.values()]
        assert sum(int(line[status]) for status in (*records.STATUSES, "missing")) == int(line["planned"]) == 2
        if arm.estimate.n == 2:
            numbers = [float(line[name]) for name in ("mean", "low", "high")]
            assert numbers == [arm.estimate.mean, arm.estimate.low, arm.estimate.high]


def test_split_fields_make_sub_tables(tmp_path):
    spec = dataclasses.replace(synthetic.TABLE, rows=("model.wiring",), split=("model.norm.kind",))
    synthetic.write(tmp_path, **{**TINY, "norms": ("layernorm", "rmsnorm")}, table=spec)
    for format in ("rich", "md", "tex"):
        text = table.render(tmp_path, format)
        assert text.count("norm.kind=layernorm") == text.count("norm.kind=rmsnorm") == 1
    assert len(assemble(tmp_path).arms) == 4


def test_a_table_spec_survives_json_and_its_problems_come_all_at_once():
    spec = dataclasses.replace(synthetic.TABLE, split=("data.name",), baseline={"model.wiring": "post"})
    assert Table.from_json(spec.to_json()) == spec
    axes = {
        "model.wiring": ["post", "pre"],
        "model.norm.kind": ["layernorm"],
        "optim.beta2": [0.9, 0.99],
        "seed.init": [0, 1],
    }
    wrong = Table(
        rows=("model.wirng", "model.wiring"),
        columns=("model.wiring",),
        metric="val_acuracy",
        seeds=("seed.init",),
        baseline={"model.wiring": "pst", "model.norm": "rms"},
    )
    found = "\n".join(problems(wrong, axes))
    for expected in (
        "table.rows = 'model.wirng': no such field; did you mean model.wiring?",
        "table.columns = 'model.wiring': expected a field in one role",
        "axis 'optim.beta2' has no role",
        "did you mean val_accuracy?",
        "did you mean post?",
        "table.baseline = 'model.norm': expected a field of rows",
    ):
        assert expected in found
    assert len(found.splitlines()) == 6 and not problems(synthetic.TABLE, {})
    assert problems(dataclasses.replace(synthetic.TABLE, metric="val_accuracy"), {})[0].startswith(
        "table.lower_is_better"
    )
    assert {name for name, metric in METRICS.items() if metric.source == "summary"} <= set(records.NUMBERS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"format": "latex"}, "did you mean"),
        ({"metric": "val_los"}, "did you mean val_loss?"),
        ({"metric": "val_accuracy"}, "no cell of"),
    ],
)
def test_mistakes_are_one_line(workdir, arguments, expected):
    with pytest.raises(UserError) as error:
        table.render(workdir, **{"format": "md", **arguments})
    assert len(error.value.problems) == 1 and (expected in str(error.value) or "expected one of" in str(error.value))


def test_the_command_exits_2_with_one_line_and_needs_no_jax(tmp_path):
    code = "import sys, experiments.table, experiments.status, experiments.compare, experiments.figures.drawing\n"
    code += "sys.exit(bool({'jax', 'flax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    command = [sys.executable, "-m", "experiments.table", f"--workdir={tmp_path}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 2 and made.stdout == "" and len(made.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["metrics.parquet", "config.json"])
def test_a_damaged_cell_counts_as_missing_and_says_so(tmp_path, name):
    with_losses(tmp_path, lambda wiring, rate, seed: 1.5 + 1000 * rate + noise(seed))
    before = arm_of(assemble(tmp_path), "pre")
    cell = before.trials[0, 0].cell
    records.write_bytes(records.cell_dir(tmp_path, cell) / name, b"PAR1")
    if name == "metrics.parquet":  # which the result has to name
        status = records.read_json(records.cell_dir(tmp_path, cell) / "status.json")
        records.write_json(records.cell_dir(tmp_path, cell) / "status.json", status | {"files": {name: "0" * 64}})
    report = assemble(tmp_path)
    after = arm_of(report, "pre")
    assert after.trials.keys() == before.trials.keys() and after.counts == {"done": 4, "damaged": 1}
    assert after.values == {seed: value for seed, value in before.values.items() if seed != (0, 0)}
    text = table.render(tmp_path, "md")
    assert "damaged 1/5" in text and f"1 of 30 cells are damaged ({cell})" in text
    (line,) = [line for line in csv.DictReader(io.StringIO(table.render(tmp_path, "csv"))) if cell in line["cells"]]
    assert (line["done"], line["missing"], line["damaged"]) == ("4", "0", "1")
