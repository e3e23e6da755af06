"""runstore ls with filters, columns and formats, and runstore views, as people type them."""

import csv
import io
import json
import math
import os

import pytest

from commands import messages, on_terminal
from commands import runstore_here as runstore
from places import shared_at, store_at, variables_in
from runstore.model.query.fields import RUN_FIELDS
from runstore.model.query.parse import parse_query
from runstore.reading.shown.listing import list_columns, list_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("listing")
    with shared_at(folder / ".runstore", engine) as store:
        for number in range(6):
            name = "fit" if number % 2 else "eval"
            params = {"lr": number / 10, "model": "a|b\n<c>"}
            with store.start(name, params=params, notes=f"try {number}", capture=False) as run:
                run.log(loss=1 - number / 10)
        sets = [{"name": "x", "lr": 1}, {"name": "y", "lr": 2}]
        store.start("pair", params=sets, capture=False).finish()
    return folder


def names(ended):
    assert ended.returncode == 0, ended.stderr
    return [line.split("\t")[0].rsplit("_", 1)[0] for line in ended.stdout.splitlines()[1:]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["params.lr > 0.25"], ["pair_1", "fit_3", "eval_3", "fit_2"]),
        (["fit", "params.lr > 0.25"], ["fit_3", "fit_2"]),
        (["fit", "--sort", "metrics.loss desc"], ["fit_1", "fit_2", "fit_3"]),
        (["fit and", "order by run_number"], None),
        (["experiment = eval", "order by metrics.loss", "-n", "2"], ["eval_3", "eval_2"]),
        (["fit"], ["fit_3", "fit_2", "fit_1"]),
        (["params.lr", "=", "0.3"], ["fit_2"]),
        (["experiment", "=", "fit", "and", "params.lr", ">=", "0.3"], ["fit_3", "fit_2"]),
        (["fit", "params.lr", ">", "0.25"], ["fit_3", "fit_2"]),
        (["fit and params.lr > 0.25"], ["fit_3", "fit_2"]),
    ],
)
def test_a_filter_chooses_runs(folder, words, found):
    ended = runstore("ls", *words, cwd=folder)

    if found is None:
        assert ended.returncode
        assert "^" in ended.stderr
    else:
        assert names(ended) == found


def test_pages_of_a_filter_go_on(folder):
    first = runstore("ls", "params.lr >= 0", "-n", "4", cwd=folder)
    cursor = first.stderr.split("--after ")[1].strip()
    rest = runstore("ls", "params.lr >= 0", "--after", cursor, cwd=folder)

    assert names(first) + names(rest) == [
        "pair_1", "fit_3", "eval_3", "fit_2", "eval_2", "fit_1", "eval_1",
    ]  # fmt: skip


def test_columns_are_chosen(folder):
    shown = runstore("ls", "fit", "--columns", "run_number,params.lr,metrics", cwd=folder).stdout

    assert shown.splitlines() == [
        "run_number\tparams.lr\tmetrics.loss",
        "3\t0.5\t0.5",
        "2\t0.3\t0.7",
        "1\t0.1\t0.9",
    ]


def test_every_field_can_be_a_column(folder):
    chosen = "metrics.loss.count,params[x].lr,set,full_store,reference,host,facts.none"
    ended = runstore("ls", "--columns", chosen, "-n", "2", "--format", "json", cwd=folder)

    assert "facts.none" in ended.stderr
    chosen = chosen.replace(",facts.none", ",`seen`")
    shown = runstore("ls", "--columns", chosen, "-n", "2", "--format", "json", cwd=folder).stdout

    pair, fit = json.loads(shown)
    assert pair.pop("run").startswith("pair_1_")
    assert fit.pop("run").startswith("fit_3_")
    assert pair.pop("`seen`") > fit.pop("`seen`") > "2026"
    assert pair.pop("hostname") == fit.pop("hostname")
    assert pair == {
        "metrics.loss.count": None, "params[x].lr": 1.0, "set": "x, y", "full_store": False,
    }  # fmt: skip
    assert fit == {
        "metrics.loss.count": 1.0, "params[x].lr": None, "set": "default", "full_store": False,
    }  # fmt: skip
    sets = ("pair", "--sets", "--columns", "params[y].lr,set,metrics.loss.max")
    assert runstore("ls", *sets, cwd=folder).stdout.splitlines() == [
        "params[y].lr\tset\tmetrics.loss.max", "\tx\t", "2\ty\t",
    ]  # fmt: skip
    twice = ("fit", "--columns", "metrics.loss.min,loss.min", "-n", "1")
    assert runstore("ls", *twice, cwd=folder).stdout.split()[0] == "metrics.loss.min"


def test_each_set_may_have_a_line(folder):
    shown = runstore("ls", "pair", "--sets", "--columns", "set,params.lr", cwd=folder).stdout

    assert shown.splitlines() == ["set\tparams.lr", "x\t1", "y\t2"]


def test_formats_are_what_they_say(folder):
    def printed(form, **more):
        chosen = ("--columns", "run_number,params,notes")
        return runstore("ls", "fit", "--format", form, *chosen, cwd=folder).stdout

    rows = [
        {"run_number": n, "params.lr": lr, "params.model": "a|b\n<c>", "notes": f"try {n * 2 - 1}"}
        for n, lr in ((3, 0.5), (2, 0.3), (1, 0.1))
    ]
    assert json.loads(printed("json")) == rows
    assert [json.loads(line) for line in printed("jsonl").splitlines()] == rows
    read = list(csv.DictReader(io.StringIO(printed("csv"))))
    assert read == [{key: str(value) for key, value in row.items()} for row in rows]
    assert printed("markdown").splitlines()[2] == "| 3 | 0.5 | a\\|b &lt;c> | try 5 |"


def test_parquet_is_written_to_a_file(folder):
    import pandas as pd

    with (folder / "runs.parquet").open("wb") as file:
        import subprocess
        import sys

        subprocess.run(
            [sys.executable, "-m", "runstore", "ls", "--format", "parquet"],
            cwd=folder,
            env={**os.environ, **variables_in(folder)},
            stdout=file,
            check=True,
        )

    frame = pd.read_parquet(folder / "runs.parquet")
    assert frame["params.lr"].dropna().tolist() == [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert str(frame["started"].dtype) == "datetime64[us, UTC]"


def test_a_column_that_nobody_has_is_told(folder):
    ended = runstore("ls", "--columns", "run,params.lrr", cwd=folder)

    assert ended.returncode
    assert "Did you mean 'params.lr'?" in messages(ended)


# Filters with a name


def test_a_filter_is_kept_and_used(folder):
    runstore("views", "save", "good", "metrics.loss < 0.65", cwd=folder)
    runstore("views", "save", "@bad", "metrics.loss > 0.95", cwd=folder)

    assert names(runstore("ls", "@good", cwd=folder)) == ["fit_3", "eval_3"]
    assert names(runstore("ls", "fit", "@good", cwd=folder)) == ["fit_3"]
    told = json.loads(runstore("views", "ls", "--json", cwd=folder).stdout)
    assert told == {"bad": "metrics.loss > 0.95", "good": "metrics.loss < 0.65"}
    assert runstore("views", "rm", "bad", cwd=folder).returncode == 0
    assert runstore("views", "ls", cwd=folder).stdout == "@good\tmetrics.loss < 0.65\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ls", "@godd"], "@godd"),
        (["views", "rm", "none"], "@none"),
        (["views", "save", "a b", "params.lr > 1"], "'a b'"),
        (["views", "save", "new", "params.lr >"], "ends too early"),
    ],
)
def test_mistakes_with_names_are_told(folder, words, told):
    ended = runstore(*words, cwd=folder)

    assert ended.returncode
    assert told in "\n".join(messages(ended))


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["ls", "params.lr"], "Put a filter in quotes: 'params.lr > 0.1'"),  # > 0.1 is a file
        (["show", "params.lr"], "Put a filter in quotes: 'params.lr > 0.1'"),
        (["ls", "--sort", "-params.lr"], "For the largest first, write 'params.lr desc'."),
        (["ls", "--sort", "-params.lr,started"], "write 'params.lr desc, started'."),
        (["ls", "--filter", "params.lr > 0.1"], "A filter is an argument"),
        (["plot", "--status", "error"], "A filter is an argument"),
        (["show", "fit", "3"], "such as mnist#3"),
        (["ls", "tags.best"], "in quotes: 'tags.best is not missing'"),
        (["ls", "tag = best"], "phase = pilot or tags.keep is not missing"),
        (["ls", "--failed"], "without an option: 'status = error'"),
        (["ls", "--since", "yesterday"], "without an option: 'started > yesterday'"),
        (["rm", "--before", "2026"], "without an option: \"started < '7 days ago'\""),
        (["ls", "status = failed"], "Did you mean 'error'?"),
        (["ls", "lr > 0.1"], "Did you mean params.lr?"),
        (["ls", "params.lr > 0 and loss.min < 1"], "Did you mean metrics.loss.min?"),
        (["ls", "lrr > 0.1"], "Did you mean params.lr?"),
        (["ls", "zzz > 0.1"], "A parameter is params.zzz"),
        (["ls", "--columns", "zzz"], "Available: run, uid, experiment, "),
        (["ls", "--columns", "run,output"], "Remove it."),
    ],
)
def test_slips_with_filters_and_runs_lead_on(folder, words, hint):
    ended = runstore(*words, cwd=folder)

    assert ended.returncode
    assert hint in messages(ended)[-1]


def test_fixed_columns_are_there_on_every_page(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for number in range(6):
            run = store.start("e", params={"a": 1} if number > 3 else {}, capture=False)
            if number in {0, 5}:
                run.log(loss=number)
                run.tags["phase"] = "x"
            run.finish()
    wanted = "run_number,metrics.loss,params.a,tags.phase"
    rows, after = [], []
    while True:
        ended = runstore(
            "ls", "-n", "2", "--columns", wanted, "--format", "csv", *after, cwd=tmp_path
        )
        assert ended.returncode == 0, ended.stderr
        head, *more = ended.stdout.splitlines()
        assert head == wanted
        rows += more
        if "--after" not in ended.stderr:
            break
        after = ["--after", ended.stderr.split("--after ")[1].strip()]

    none = runstore("ls", "run_number > 99", "--columns", wanted, "--format", "csv", cwd=tmp_path)
    slip = runstore("ls", "--columns", "metrics.los", "--format", "csv", cwd=tmp_path)

    assert rows == ["6,5.0,1.0,x", "5,,1.0,", "4,,,", "3,,,", "2,,,", "1,0.0,,x"]
    assert none.stdout.splitlines() == [wanted]
    assert slip.returncode == 2
    assert "metrics.los" in slip.stderr


def test_a_list_or_an_object_is_a_column_for_each_of_its_parts(tmp_path):
    """A value that is a list in some runs and a number in others is never an empty cell."""
    with store_at(tmp_path / ".runstore") as store:
        for layers in (7, [64, 10], [64, 20], {"wide": 3}):
            store.start("net", params={"layers": layers, "x": 1}, capture=False).finish()

    def listed(*words):
        ended = runstore("ls", "--sort", "run_number", "--format", "csv", *words, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        head, *rows = csv.reader(io.StringIO(ended.stdout))
        return [{k: v for k, v in zip(head, row, strict=True) if v} for row in rows]

    full = listed("--columns", "run_number,params.layers")
    lists = listed("run_number in (2, 3)", "--columns", "layers")
    none = listed("params.layers = 7", "--columns", "run_number,layers")
    drawn = on_terminal("ls", "params.x = 1", "--columns", "layers", cwd=tmp_path, columns=120)

    assert full == [
        {"run_number": "1", "params.layers": "7.0"},
        {"run_number": "2", "params.layers[0]": "64.0", "params.layers[1]": "10.0"},
        {"run_number": "3", "params.layers[0]": "64.0", "params.layers[1]": "20.0"},
        {"run_number": "4", "params.layers.wide": "3.0"},
    ]
    assert lists == [
        {"params.layers[0]": "64.0", "params.layers[1]": "10.0"},
        {"params.layers[0]": "64.0", "params.layers[1]": "20.0"},
    ]
    assert none == [{"run_number": "1", "params.layers": "7.0"}]
    assert "layers[1]" in drawn
    with store_at(tmp_path / ".runstore") as store:
        for _ in range(2):
            store.start("same", params={"layers": [64, 10]}, capture=False).finish()
    constant = on_terminal("ls", "same", "--columns", "run,layers", cwd=tmp_path, columns=120)
    assert "not shown" not in constant
    assert "layers[1]" in constant


def test_names_of_experiments_and_runs_may_look_like_filters(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for name in ("my exp", "lr=0.1", "a<b", "a<b", "~x"):
            run = store.start(name, params={"p": 1}, notes="text", capture=False)
            run.log(loss=1)
            run.finish()

    for name in ("my exp", "lr=0.1", "~x"):
        assert len(names(runstore("ls", name, cwd=tmp_path))) == 1
        found = runstore("grep", "text", name, cwd=tmp_path)
        assert found.returncode == 0
        dry = runstore("rm", "--dry-run", f"{name}#1", cwd=tmp_path)
        assert dry.stdout.startswith(f"{name}_1_")
    assert len(names(runstore("ls", "a<b", "run_number = 2", cwd=tmp_path))) == 1
    assert runstore("compare", "a<b#1", "a<b#2", cwd=tmp_path).returncode == 0
    assert runstore("ls", "my exq", cwd=tmp_path).returncode == 2


def test_a_slip_in_a_name_is_hinted_at(folder):
    for words in (
        ["ls", "metrics.los < 5"],
        ["ls", "--sort", "metrics.los"],
        ["ls", "--group-by", "params.mode"],
        ["ls", "--group-by", "experiment", "metrics.los > 1"],
        ["rm", "--dry-run", "params.lrr > 0"],
        ["grep", "try", "tags.phase = 1"],
    ):
        ended = runstore(*words, cwd=folder)
        told = [line for line in messages(ended) if "No run has the" in line]
        assert len(told) == 1, ended.stderr
        assert "Did you mean" in told[0] or "No run has any" in told[0]
    assert not any(
        "No run has" in one for one in messages(runstore("ls", "params.lr > 9", cwd=folder))
    )


def test_odd_texts_stay_in_their_row_of_csv(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        store.start("e", notes='a\rb,"c"\r\nd\ne', capture=False).finish()
        store.start("e", notes="x" * 3000, capture=False).finish()

    csv_text = runstore("ls", "--columns", "notes", "--format", "csv", cwd=tmp_path)
    table = runstore("ls", "--columns", "notes", "--format", "markdown", cwd=tmp_path)

    assert '"a\rb,""c""\r\nd\ne"' in csv_text.stdout.replace("\n", "\n") or "\r" not in (
        csv_text.stdout
    )
    assert "x" * 3000 in table.stdout


def test_whole_numbers_keep_their_digits_in_tables(tmp_path):
    ids = [2**53 - 1, 2**53, 1732924800123, -1732924800124, 12]
    with store_at(tmp_path / ".runstore") as store:
        for one in ids:
            params = {"id": one, "weight": one * 1e20}
            store.start("e", params=params, capture=False).finish()
    columns = ("--sort", "run_number", "--columns", "id")

    piped = runstore("ls", *columns, cwd=tmp_path).stdout.split()
    drawn = on_terminal("ls", cwd=tmp_path, columns=120, NO_COLOR="1")
    wide = on_terminal("ls", *columns, cwd=tmp_path, columns=120, NO_COLOR="1")

    assert piped == ["params.id", *map(str, ids)]
    assert wide.split() == ["id", *map(str, ids)]
    assert [line.split()[2] for line in drawn.splitlines()[1:6]] == [*map(str, reversed(ids))]
    assert "1.2e21" in drawn


def test_whole_numbers_keep_their_digits_in_every_format(tmp_path):
    import pyarrow.parquet

    ids = [2**53 + 1, 2**63 - 1, -(2**62) - 1]
    with store_at(tmp_path / ".runstore") as store:
        for one in ids:
            store.start("e", params={"id": one, "huge": one * 10**30}, capture=False).finish()

    def printed(form, **more):
        columns = ("--columns", "params.id,params.huge", "--format", form)
        return runstore("ls", "--sort", "run_number", *columns, cwd=tmp_path, **more).stdout

    rows = [{"params.id": one, "params.huge": one * 10**30} for one in ids]
    assert json.loads(printed("json")) == rows
    assert printed("csv").splitlines()[1:] == [f"{one},{one * 10**30}" for one in ids]
    with store_at(tmp_path / ".runstore") as store:
        table = store.find("order by run_number").table()
    kept = pyarrow.parquet.read_table(io.BytesIO(printed("parquet", text=False)))
    assert kept["params.id"].to_pylist() == ids
    assert [int(one) for one in kept["params.huge"].to_pylist()] == [one * 10**30 for one in ids]
    assert [int(one) for one in table.to_polars()["params.huge"]] == [one * 10**30 for one in ids]
    assert table.to_pandas()["params.huge"].tolist() == [one * 10**30 for one in ids]


@pytest.mark.parametrize("name", [*RUN_FIELDS, "artifacts.size", "inputs.size", "params.n"])
def test_runs_are_sorted_by_any_field_in_a_pipe(tmp_path, name):
    with store_at(tmp_path / ".runstore") as store:
        for number in (0, 1):
            with store.start("e", params={"n": number}, capture=False) as run:
                run.save("one.json", 1)

    ended = runstore("ls", "--sort", name, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 3
    if name == "full_store":
        assert ended.stdout.splitlines()[1].endswith("\tfalse")


def test_none_is_no_missing_value(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for params in ({"x": 0.5, "y": "a"}, {"x": None, "y": None}, {}):
            store.start("fit", params=params, capture=False).finish()

    def listed(*words):
        return runstore("ls", "--columns", "run_number,x,y", *words, cwd=tmp_path).stdout

    assert [line.split("\t") for line in listed().splitlines()[1:]] == [
        ["3", "", ""],
        ["2", "None", "None"],
        ["1", "0.5", "a"],
    ]
    assert "| 2 | None | None |" in listed("--format", "markdown")
    assert listed("--format", "csv").splitlines()[1:] == ["3,,", "2,,", "1,0.5,a"]


def test_a_name_with_a_comma_can_be_a_column_and_a_sort_key(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for value in (2, 1):
            store.start("fit", params={"x,y": value}, tags={"a,b": "t"}, capture=False).finish()

    columns = 'run_number,params."x,y",tags."a,b"'
    listed = runstore("ls", "--columns", columns, "--sort", 'params."x,y" desc', cwd=tmp_path)
    turned = runstore("ls", "--columns", columns, "--sort", 'params."x,y"', "-r", cwd=tmp_path)

    assert listed.stdout == "run_number\tparams.x,y\ttags.a,b\n1\t2\tt\n2\t1\tt\n"
    assert turned.stdout == listed.stdout


def test_a_metric_of_parameter_sets_is_a_column(tmp_path):
    """A run that has the metric itself shows that value alone."""
    with store_at(tmp_path / ".runstore") as store:
        for own, *of_sets in ((None, 0.2), (None, 0.1, 0.3), (0.7, 0.9), (0.5,), (math.nan,)):
            sets = [{"name": f"s{place}"} for place in range(len(of_sets))]
            with store.start("fit", params=sets, capture=False) as run:
                for one, acc in zip(sets, of_sets, strict=True):
                    run.of_set(one["name"]).log(acc=acc)
                if own is not None:
                    run.log(acc=own)

    def column(columns, *words):
        words = ("ls", "--columns", columns, *words)
        return runstore(*words, cwd=tmp_path).stdout.splitlines()

    whole = ["metrics.acc", "nan", "0.5", "0.7", "0.1, 0.3", "0.2"]
    assert column("metrics.acc") == column("acc") == whole
    rows = ["metrics.acc\tset", "nan\t", "0.5\t", "0.9\ts0", "0.1\ts0", "0.3\ts1", "0.2\ts0"]
    assert column("acc,set", "--sets") == rows
    for columns in ("metrics.acc,run_number,metrics.acc.max", "metrics.acc.max,set,metrics.acc"):
        assert column(columns, "--sets", "--format", "csv")[0] == columns
    for_programs = json.loads("".join(column("metrics.acc", "--format", "json")))
    assert [one["metrics.acc"] for one in for_programs] == ["NaN", 0.5, 0.7, None, None]


def test_a_sort_key_shows_the_deciding_one_of_several_values(tmp_path):
    """A run with several sets is sorted by its smallest or largest value, numbers first."""
    sets = [{"name": "a", "bs": "auto"}, {"name": "b", "bs": 32}, {"name": "c", "bs": 64}]
    with store_at(tmp_path / ".runstore") as store:
        with store.start("fit", params=sets, capture=False) as run:
            run.log(acc=0.5)
            for name, acc in (("a", 0.7), ("b", 0.3), ("c", math.nan)):
                run.of_set(name).log(acc=acc)
        for bs, acc in ((48, 0.6), ("auto", 0.4)):
            with store.start("fit", params={"bs": bs}, capture=False) as run:
                run.log(acc=acc)

    for key, wanted in {
        "params.bs": ["32", "48", "auto"],
        "params.bs desc": ["64", "48", "auto"],
        "metrics.acc": ["0.3", "0.4", "0.6"],
        "metrics.acc desc": ["0.7", "0.6", "0.4"],
    }.items():
        piped = runstore("ls", "--sort", key, cwd=tmp_path).stdout.splitlines()
        query = parse_query(f"order by {key}")
        with store_at(tmp_path / ".runstore") as store:
            rows = list_rows(store.find(query))
            (column,) = [
                one for one in list_columns(rows, query.order) if key.startswith(one.name)
            ]
            cells = [column.cell(row) for row in rows]

        assert [line.split("\t")[-1] for line in piped] == [column.name, *wanted]
        assert cells == wanted
