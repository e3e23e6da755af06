"""The list of runs on a terminal, and lists as long as the store, in every format."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest

from commands import messages, on_terminal
from commands import runstore_here as runstore
from places import shared_at, store_at, variables_in
from runstore import Store
from runstore.cli.lists.counts import count_text


def drawn(folder, *words, columns=120):
    """Return the lines that `runstore ls` draws, and the cells below each heading."""
    text = on_terminal("ls", *words, cwd=folder, columns=columns, NO_COLOR="1")
    return [line.rstrip() for line in text.replace("\r", "").splitlines()]


def headings(lines):
    return lines[0].split()


@pytest.fixture(scope="module")
def grid(tmp_path_factory, engine):
    """Twelve runs of a grid, one of which failed, and one run of another experiment."""
    folder = tmp_path_factory.mktemp("grid")
    with shared_at(folder / ".runstore", engine) as store:
        store.start("other", params={"depth": 3, "lr": 5}, capture=False).finish()
        for number in range(12):
            params = {
                "a_constant": 1,
                "lr": [0.1, 0.01, 0.001][number % 3],
                "layers": [64, 10] if number % 2 else [10],
                "loss": "mse",
            }
            run = store.start("grid", params=params, capture=False)
            run.log({"loss": number / 7, "val/acc": number / 1e6, "epoch": 3, "lr": params["lr"]})
            run.log({"val/acc": 1234.5678 * number, "system/cpu_percent": number})
            run.finish(
                "error" if number == 3 else "complete", error="bad" if number == 3 else None
            )
        store.edit("grid#2", notes="first line\nsecond line")
        store.tag("grid#2", {"keep": ""})
    return folder


@pytest.mark.parametrize(("columns", "is_whole"), [(160, True), (80, False)])
def test_a_list_of_failed_runs_shows_their_errors_last(tmp_path, columns, is_whole):
    error = "ValueError: the shapes (64, 10) and (32, 10) do not fit; they come from layer 3"
    with store_at(tmp_path / ".runstore") as store:
        for _ in range(2):
            store.start("fit", params={"lr": 1}, capture=False).finish(
                "error", error=f"{error}\nx"
            )
        for _ in range(2):
            store.start("fit", params={"lr": 1}, capture=False).finish()

    failed = drawn(tmp_path, "status = error", columns=columns)

    assert headings(failed)[-1] == "error"
    assert (f"{error} …" in failed[1]) == is_whole
    assert "ValueError: the shapes (64, 10)" in failed[1]
    assert max(map(len, failed)) <= columns
    assert "error" not in headings(drawn(tmp_path, "fit", columns=columns))


def test_a_list_shows_what_differs_and_the_metrics(grid):
    lines = drawn(grid, "grid", "-n", "3", "--sort", "run_number")

    assert headings(lines) == [
        "run", "status", "layers", "lr", "metrics.loss", "val/acc", "started", "took", "tags",
        "notes",
    ] or headings(lines)[:4] == ["run", "status", "layers", "lr"]  # fmt: skip
    assert lines[1].split()[:2] == ["grid#1", "complete"]
    assert "[64, 10]" in lines[2]
    assert "first line …" in lines[2]
    assert "a_constant" not in "".join(lines)
    assert "system/" not in "".join(lines)
    assert "0.1429" in lines[2]
    assert "ago" in lines[1]
    assert "Showing 3 of 12; for more: -n N, --all" in lines[4]


def test_a_narrow_terminal_shows_the_first_parameters_and_metric(grid):
    lines = drawn(grid, "grid", columns=80)

    assert {"run", "status", "layers", "lr", "loss"} <= set(headings(lines))
    assert max(map(len, lines[:13])) <= 80
    assert any("not shown (" in line and "--columns" in line for line in lines[13:])


@pytest.mark.parametrize(
    ("sort", "heading", "first"),
    [
        ("metrics.val/acc.max", "val/acc.max", "grid#1"),
        ("val/acc.max desc", "val/acc.max", "grid#12"),
        ("metrics.val/acc.count", "val/acc.count", "grid#12"),
        ("loss.min", "loss.min", "grid#1"),
        ("a_constant", "a_constant", "grid#12"),
        ("tags.keep", "keep", "grid#2"),
        ("uid desc", "uid", "grid#12"),
        ("ended", "ended", "grid#1"),
        ("exit_code", "exit_code", "grid#12"),
    ],
)
def test_the_sort_key_is_always_a_column(grid, sort, heading, first):
    lines = drawn(grid, "grid", "--sort", sort, columns=70)
    piped = runstore("ls", "grid", "--sort", sort, cwd=grid).stdout.splitlines()

    assert headings(lines)[2].rstrip("…") == heading[: len(headings(lines)[2].rstrip("…"))]
    assert lines[1].split()[0] == first
    assert piped[0].split("\t")[-1].endswith(heading)
    assert len({len(line.split("\t")) for line in piped}) == 1


def test_a_key_of_the_run_needs_no_column_of_its_own(grid):
    for sort in ("status", "duration", "started", "run_number", "notes"):
        lines = drawn(grid, "grid", "--sort", sort, columns=200)

        assert len(headings(lines)) == len(set(headings(lines)))
        assert sort not in headings(lines) or headings(lines).count(sort) == 1


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        (["grid", "-r"], "grid_1", "grid_12"),
        (["grid", "--reverse", "--sort", "metrics.val/acc"], "grid_12", "grid_1"),
        (["grid", "-r", "--sort", "metrics.val/acc desc"], "grid_1", "grid_12"),
        (["grid", "-r", "--sort", "status, run_number"], "grid_4", "grid_1"),
        (["grid", "-r", "order by status, run_number"], "grid_4", "grid_1"),
        (["grid", "-r", "run_number > 2 order by metrics.val/acc"], "grid_12", "grid_3"),
    ],
)
def test_the_order_can_be_reversed(grid, words, first, last):
    rows = runstore("ls", *words, cwd=grid).stdout.splitlines()[1:]

    assert rows[0].rpartition("_")[0].startswith(f"{first}_2")
    assert rows[-1].startswith(f"{last}_2")


def test_errors_of_a_filter_show_the_filter_without_the_options(grid):
    for order in (["-r"], ["--sort", "status"]):
        ended = runstore("ls", "grid", "run_number >", *order, cwd=grid)

        assert "order by s" not in ended.stderr
        assert "\n  run_number >\n" in ended.stderr

    both = runstore("ls", "grid", "order by status", "--sort", "started", "-r", cwd=grid)
    assert both.returncode == 2
    assert "--sort" in both.stderr


def test_a_name_of_a_parameter_and_a_metric_is_ambiguous(grid):
    for words in (["--sort", "lr"], ["--columns", "lr"]):
        ended = runstore("ls", "grid", *words, cwd=grid)

        assert ended.returncode == 2
        assert "params.lr or metrics.lr" in ended.stderr


def test_columns_need_no_namespace(grid):
    rows = runstore("ls", "grid", "-n", "1", "--columns", "run_number,layers[0],val/acc", cwd=grid)

    assert rows.stdout.splitlines() == [
        "run_number\tparams.layers[0]\tmetrics.val/acc",
        "12\t64\t13580.2",
    ]


def test_columns_of_metrics_need_no_namespace_before_their_parts(grid):
    words = ("ls", "grid", "-n", "1", "--columns")
    rows = runstore(*words, "run_number,val/acc.min,loss.first", cwd=grid)
    largest = runstore(*words, "lr.max", cwd=grid)

    assert rows.stdout.splitlines() == [
        "run_number\tmetrics.val/acc.min\tmetrics.loss.first",
        "12\t1.1e-05\t1.57143",
    ]
    assert largest.stdout.splitlines()[0] == "metrics.lr.max"


def test_a_nested_parameter_comes_before_a_part_of_a_metric(tmp_path):
    params = {"loss": {"max": 3}}
    with store_at(tmp_path / ".runstore") as store:
        run = store.start("x", params=params, capture=False)
        run.log(loss=0.5)
        run.finish()

    ended = runstore("ls", "--columns", "loss.max", cwd=tmp_path)

    assert ended.stdout.splitlines() == ["params.loss.max", "3"]


def test_groups_of_columns_leave_constants_and_samples_out_on_a_terminal(grid):
    lines = drawn(grid, "grid", "--columns", "run,params,metrics", "-n", "4")
    named = drawn(grid, "grid", "--columns", "run,a_constant,system/cpu_percent", "-n", "2")
    piped = runstore("ls", "grid", "--columns", "params,metrics", cwd=grid).stdout

    assert "a_constant" not in lines[0]
    assert "system/" not in lines[0]
    assert any("constants and system/" in line for line in lines[5:])
    assert headings(named) == ["run", "a_constant", "system/cpu_percent"]
    assert "params.a_constant" in piped
    assert "metrics.system/cpu_percent" in piped


def test_a_tag_without_a_value_is_marked(tmp_path):
    """In formats for programs it is an empty text, unlike a missing one."""
    with store_at(tmp_path / ".runstore") as store:
        for tags in ({}, {"keep": "", "phase": "pilot"}):
            store.start("fit", params={"text": ""}, tags=tags, capture=False).finish()

    def column(*words):
        lines = runstore("ls", *words, cwd=tmp_path).stdout.splitlines()
        return [line.strip("| ").split("\t")[-1].split(" | ")[-1].strip() for line in lines]

    columns = ("--columns", "run,params.text,tags.keep")
    drawn = on_terminal("ls", *columns, cwd=tmp_path, columns=100, NO_COLOR="1").splitlines()
    rows = json.loads(runstore("ls", *columns, "--format", "json", cwd=tmp_path).stdout)

    assert column(*columns) == ["tags.keep", "✓", ""]
    assert column(*columns, "--format", "markdown")[2] == "✓"
    assert column("--sort", "tags.keep") == ["tags.keep", "✓", ""]
    assert [line.split()[-1] for line in drawn] == ["keep", "✓", "fit#1"]
    assert [one["tags.keep"] for one in rows] == ["", None]
    grouped = runstore("ls", "--group-by", "tags.keep", cwd=tmp_path).stdout.splitlines()
    assert [line.split("\t")[0] for line in grouped] == ["tags.keep", "✓", ""]
    with store_at(tmp_path / ".runstore") as store:
        groups = store.group("tags.keep")
        assert "✓" in repr(groups)
        assert "✓" in groups._repr_html_()
        assert [one.value for one in groups] == ["", None]


def test_values_of_chosen_columns_that_look_alike_have_exact_texts(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for value in (1, "1", 0.3, 0.1 + 0.2, None, "None"):
            store.start("fit", params={"x": value}, capture=False).finish()
        for value in (1, "1"):
            store.start("two", params={"x": value}, capture=False).finish()

    def column(*words):
        return [line.split()[-1] for line in drawn(tmp_path, *words)[:0:-1]]

    exact = ["1", "'1'", "0.3", "0.30000000000000004", "None", "'None'"]
    assert column("fit", "--columns", "run,params.x") == exact
    assert column("two", "--columns", "run,params") == exact[:2]


def test_groups_show_the_metric_before_the_statuses(grid):
    lines = drawn(grid, "--group-by", "params.loss", "--columns", "metrics.loss", columns=60)

    assert headings(lines)[:2] == ["loss", "runs"]
    assert "loss.min" in headings(lines)


def test_several_experiments_show_what_differs_within_one(grid):
    lines = drawn(grid, columns=120)

    assert "depth" not in headings(lines)
    assert "layers" in headings(lines)


def test_a_single_run_shows_all_its_parameters(grid):
    assert {"depth", "lr"} <= set(headings(drawn(grid, "other")))


def test_seeds_come_after_other_parameters(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for number in range(4):
            params = {"a_seed": number % 2, "model": {"seed": number % 2}, "z": number // 2}
            store.start("e", params=params, capture=False).finish()

    assert headings(drawn(tmp_path))[2:5] == ["z", "a_seed", "model.seed"]


def test_parameter_sets_are_named(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        sets = [{"name": name, "lr": 1} for name in ("few", "many")]
        store.start("e", params=sets, capture=False).finish()
        store.start("e", params={"lr": 1}, capture=False).finish()

    lines = drawn(tmp_path)

    assert headings(lines)[2] == "sets"
    assert "few, many" in lines[2]
    assert "default" not in lines[1]


def test_only_a_program_gets_a_cursor(grid):
    piped = runstore("ls", "-n", "2", cwd=grid).stderr

    assert "--after start." in piped
    assert "--after" not in "\n".join(drawn(grid, "-n", "2"))


@pytest.mark.parametrize("words", [["nothing"], ["params.lr > 9"], []])
def test_an_empty_list_says_so(tmp_path, grid, words):
    store_at(tmp_path / ".runstore").close()
    folder = grid if words else tmp_path

    ended = runstore("ls", *words, cwd=folder)

    assert ended.stdout == ""
    assert "no experiment" in ended.stderr or "No run matches" in ended.stderr or not words
    assert words or "There are no runs yet" in ended.stderr


@pytest.mark.parametrize("value", ["wörter 日本語", "e\u0301" * 5, "🧪🧪", "a\tb", "\x1b[31m"])
def test_columns_stand_below_each_other_whatever_the_texts_are(tmp_path, value):
    from rich.cells import cell_len

    with store_at(tmp_path / ".runstore") as store:
        for name in ("x", value):
            store.start("e", params={"model": name, "z": name + "!"}, capture=False).finish()

    lines = on_terminal("ls", cwd=tmp_path, columns=100, NO_COLOR="1").replace("\r", "")

    head, *rows = lines.splitlines()
    place = head.index(" z ")
    for row in rows:
        before = next(row[:at] for at in range(len(row)) if cell_len(row[:at]) >= place)
        assert before.endswith(" ")


def test_the_trash_and_similar_runs_have_the_short_names_of_lists(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for lr in (0.1, 0.2, 0.3):
            store.start("e", params={"lr": lr}, capture=False).finish()
        with Store.open(tmp_path / "other") as other:
            other.start("e", capture=False).finish()
            store.pull(other)
        (first,) = [run for run in store.list() if run.params == {"lr": 0.1}]
        store.delete(first)
        references = {run.run_number: run.reference for run in (*store.list(), first)}

    named = ("trash", f"e#1~{first.uid[-4:]}", 1), ("similar e#2", "e#3", 3)
    for words, name, number in named:
        drawn = on_terminal(*words.split(), cwd=tmp_path, NO_COLOR="1").splitlines()
        piped = runstore(*words.split(), cwd=tmp_path).stdout.splitlines()

        assert name in [line.split()[0] for line in drawn]
        assert references[number] in [line.split()[0] for line in piped]


# Long lists


@pytest.fixture(scope="module")
def long(tmp_path_factory, engine):
    """Sixty runs, more than a table shows."""
    folder = tmp_path_factory.mktemp("long")
    with shared_at(folder / ".runstore", engine) as store:
        for number in range(60):
            with store.start("long", params={"n": number}, capture=False) as run:
                run.log(loss=number)
    return folder


def _from_parquet(data, column):
    import pandas as pd

    return [*pd.read_parquet(io.BytesIO(data))[column]]


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "markdown", "parquet", "--json"])
@pytest.mark.parametrize(
    ("words", "count"), [([], 60), (["metrics.loss >= 5"], 55), (["-n", "7"], 7), (["--all"], 60)]
)
def test_every_format_has_all_runs_unless_fewer_are_asked_for(long, form, words, count):
    options = [form] if form.startswith("--") else ["--format", form]

    ended = runstore("ls", "--sort", "params.n", *words, *options, cwd=long, text=False)

    data = ended.stdout
    found = {
        "json": lambda: [one["params.n"] for one in json.loads(data)],
        "jsonl": lambda: [json.loads(line)["params.n"] for line in data.splitlines()],
        "csv": lambda: [
            float(one["params.n"]) for one in csv.DictReader(io.StringIO(data.decode()))
        ],
        "markdown": lambda: [float(line.split(b"|")[5]) for line in data.splitlines()[2:]],
        "parquet": lambda: _from_parquet(data, "params.n"),
        "--json": lambda: [
            one["parameter_sets"][0]["values"]["n"] for one in json.loads(data)["runs"]
        ],
    }[form]()
    assert found == list(range(60 - count if "metrics" in str(words) else 0, 60))[:count]
    assert (b"--after" in ended.stderr) == (count == 7 and form != "--json")


@pytest.mark.parametrize("words", [["-n", "0"], ["--all"], ["-n", "5000"]])
def test_a_table_has_all_runs_if_it_is_asked_for(long, words):
    piped = runstore("ls", *words, cwd=long)
    lines = drawn(long, *words)

    assert len(piped.stdout.splitlines()) == 61
    assert len(lines) == 61
    assert piped.stderr == ""


def test_a_table_ends_with_the_number_of_runs(long):
    assert messages(runstore("ls", cwd=long))[0].startswith("Showing 20 of 60; for more: -n N,")
    assert "Showing 20 of 55;" in runstore("ls", "metrics.loss >= 5", cwd=long).stderr
    assert "Showing 20 of 60;" in runstore("ls", "long", cwd=long).stderr


def test_counting_stops_early(long, monkeypatch):
    from runstore.cli.lists import counts
    from runstore.reading.find import query_of

    monkeypatch.setattr(counts, "_ALL_AT_MOST", 50)
    monkeypatch.setattr(counts, "_FILTERED_AT_MOST", 40)
    with store_at(long / ".runstore") as store:
        query = query_of(store.backend, "metrics.loss >= 0", None)
        texts = query_of(store.backend, "output is missing", None)

        assert count_text(store, None, None) == " of more than 50"
        assert count_text(store, None, "long") == " of more than 50"
        assert count_text(store, query, None) == " of more than 40"
        assert count_text(store, texts, None) == ""


def test_a_list_in_parts_is_the_json_that_it_was(long):
    ended = runstore("ls", "--json", "-n", "3", cwd=long)

    value = json.loads(ended.stdout)
    assert ended.stdout == json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    nothing = runstore("ls", "--json", "metrics.loss > 99", cwd=long).stdout
    assert nothing == '{\n  "runs": [],\n  "next": null\n}\n'
    assert runstore("ls", "--format", "json", "metrics.loss > 99", cwd=long).stdout == "[]\n"


def test_a_reader_that_goes_away_ends_a_long_list(long):
    ended = subprocess.run(
        f"{sys.executable} -m runstore ls --all | head -n 1",
        shell=True,
        cwd=long,
        env={**os.environ, **variables_in(long), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout.startswith("run\t")
    assert ended.stderr == ""


def test_a_parameter_that_varies_comes_before_one_that_some_lack(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for place, lr in enumerate((0.01, 0.1, 1.0, 10.0)):
            params = {"lr": lr} if place == 3 else {"a_steps": 20, "lr": lr}
            store.start("fit", params=params, capture=False).finish()

    assert headings(drawn(tmp_path))[2:4] == ["lr", "a_steps"]
