"""runstore ls with filters, columns and formats, and runstore query, as people type them."""

import csv
import io
import json

import pandas as pd
import pytest

from commands import messages, runstore
from runstore import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listing")
    with Store.open(folder / ".runstore") as store:
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


def test_each_set_may_have_a_line(folder):
    shown = runstore("ls", "pair", "--sets", "--columns", "set,params.lr", cwd=folder).stdout

    assert shown.splitlines() == ["set\tparams.lr", "x\t1", "y\t2"]


def test_formats_are_what_they_say(folder):
    def printed(form):
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
    with (folder / "runs.parquet").open("wb") as file:
        import subprocess
        import sys

        subprocess.run(
            [sys.executable, "-m", "runstore", "ls", "--format", "parquet"],
            cwd=folder,
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
    runstore("query", "save", "good", "metrics.loss < 0.65", cwd=folder)
    runstore("query", "save", "bad", "metrics.loss > 0.95", cwd=folder)

    assert names(runstore("ls", "@good", cwd=folder)) == ["fit_3", "eval_3"]
    assert names(runstore("ls", "fit", "@good", cwd=folder)) == ["fit_3"]
    told = json.loads(runstore("query", "ls", "--json", cwd=folder).stdout)
    assert told == {"bad": "metrics.loss > 0.95", "good": "metrics.loss < 0.65"}
    assert runstore("query", "rm", "bad", cwd=folder).returncode == 0
    assert runstore("query", "ls", cwd=folder).stdout == "@good\tmetrics.loss < 0.65\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ls", "@godd"], "@godd"),
        (["query", "rm", "none"], "@none"),
        (["query", "save", "a b", "params.lr > 1"], "'a b'"),
        (["query", "save", "new", "params.lr >"], "ends too early"),
    ],
)
def test_mistakes_with_names_are_told(folder, words, told):
    ended = runstore(*words, cwd=folder)

    assert ended.returncode
    assert told in "\n".join(messages(ended))
