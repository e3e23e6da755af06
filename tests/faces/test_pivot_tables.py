"""Pivot tables: which run belongs in which cell, what is marked, and the texts read back."""

import csv
import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from places import store_at
from runstore.errors import FilterError, NotFoundError, UsageError
from runstore.model.facts import Facts
from runstore.repeats.pivot_texts import latex_text, markdown_text, plus_minus
from runstore.repeats.statistics import mean_of

DASH = "\u2013"
HOSTILE = '50% of_a|b & {c} $d$ #1 \\e ~ ^ <i> "q" \'`*'


@pytest.fixture
def store(tmp_path, unsynced):
    with store_at(tmp_path / "store") as opened:
        yield opened


def record(store, acc, *, experiment="fit", ending="complete", **params):
    store.record(
        experiment,
        started_at="2026-03-01T10:00:00Z",
        status=ending,
        params=params,
        metrics={"acc": [acc]},
    )


def shown(table):
    """Return the means by the labels of row and column."""
    return {
        (table.rows[one.row].labels, table.columns[one.column].labels): round(one.mean.mean, 6)
        for one in table.cells
    }


# Cells


def test_repeats_share_a_cell_and_other_settings_do_not(store):
    for seed, acc in enumerate((0.8, 0.9)):
        record(store, acc, lr=0.1, model="cnn", seed=seed)
    record(store, 0.5, lr=0.2, model="cnn", seed=0)
    record(store, 0.99, lr=0.2, model="mlp", seed=0, ending="error")

    table = store.pivot("acc", "params.lr", "params.model")

    assert shown(table) == {(("0.1",), ("cnn",)): 0.85, (("0.2",), ("cnn",)): 0.5}
    assert [one.mean.n for one in table.cells] == [2, 1]
    assert table.over == ("seed",)
    assert "not complete (error)" in " ".join(table.remarks)


def test_a_cell_of_several_settings_shows_the_best_or_all(store):
    for layers, level in ((2, 0.7), (4, 0.8)):
        for seed in range(2):
            record(store, level + seed / 100, lr=0.1, layers=layers, seed=seed)

    best = store.pivot("acc", "params.lr")
    every = store.pivot("acc", "params.lr", several="all")
    worst = store.pivot("acc", "params.lr", direction="min")

    assert [one.mean.mean for one in (best.cells[0], every.cells[0], worst.cells[0])] == [
        pytest.approx(value) for value in (0.805, 0.755, 0.705)
    ]
    assert [one.mean.n for one in (best.cells[0], every.cells[0])] == [2, 4]
    assert [one.label for one in best.cells[0].settings] == ["layers=4", "layers=2"]
    assert "best" in best.remarks[0]


def test_one_lucky_run_is_not_the_best_setting_of_a_cell(store):
    for seed in range(3):
        record(store, 0.8 + seed / 100, lr=0.1, layers=2, seed=seed)
    record(store, 0.95, lr=0.1, layers=4, seed=0)

    cell = store.pivot("acc", "params.lr").cells[0]

    assert cell.mean.mean == pytest.approx(0.81)


def test_a_seed_may_be_a_row(store):
    for seed in (3, 1):
        record(store, seed / 10, lr=0.1, seed=seed)

    assert shown(store.pivot("acc", "params.seed")) == {(("1",), ()): 0.1, (("3",), ()): 0.3}


def test_keys_keep_their_types_and_stand_in_order(store):
    values = ["b", 10, None, True, 1, "a", 2.5, float("nan")]
    for value in values:
        record(store, 0.5, x=value)
    record(store, 0.5, other=1)

    labels = [one.labels[0] for one in store.pivot("acc", "params.x").rows]

    assert labels == ["1", "2.5", "10", "true", "None", "a", "b", "nan", "(none)"]


def test_values_that_look_alike_have_exact_texts(store):
    values = (1, "1", True, "true", None, "None", 0.3, 0.1 + 0.2, "(none)", "x", "")
    for value in values:
        with store.start("alike", params={"x": value}, capture=False) as run:
            run.log(acc=1.0)
    with store.start("alike", params={"y": 1}, capture=False) as run:
        run.log(acc=1.0)

    labels = [one.labels[0] for one in store.pivot("acc", "params.x", experiment="alike").rows]

    assert sorted(labels) == sorted(
        [
            *("1", "'1'", "true", "'true'", "None", "'None'"),
            *("0.3", "0.30000000000000004", "'(none)'", "x", "(none)", ""),
        ]
    )


def test_several_values_are_not_a_text_with_commas(store):
    for x in ({"x.y": True, "x": {"y": 1}}, {"x": {"y": "1, true"}}, {"x.y": "b"}):
        record(store, 0.5, **x)

    rows = store.pivot("acc", "params.x.y").rows

    assert [one.labels[0] for one in rows] == ["1, true", "'1, true'", "b"]


def test_versions_are_rows_in_the_order_of_versions(store):
    for version in ("1.9", "1.10", "1.10rc1", "local"):
        with store.start("fit", capture=False) as run:
            run.log(acc=0.5)
        packages = {"packages": f"torch=={version}\n"}
        facts = Facts(values={"python.version": version}, documents=packages)
        store.backend.database.attach_facts(run.uid, facts)
    record(store, 0.5)

    for field in ("packages.torch", "python.version"):
        rows = store.pivot("acc", field).rows
        assert [one.values[0] for one in rows] == ["1.9", "1.10rc1", "1.10", "local", None]


def test_long_integers_are_rows_in_the_order_of_their_values(store):
    """They are exact, beyond the largest double too; 1e20 is one of them."""
    values = [
        -(10**400),
        -math.inf,
        99_999_999_999_999_999_999,
        10**20,
        1e20,
        2 * 10**399,
        10**400,
    ]
    for value in values:
        record(store, 0.5, id=value)

    rows = store.pivot("acc", "params.id").rows

    assert [one.values[0] for one in rows] == sorted(set(values))


def test_several_fields_and_fields_of_the_run(store):
    record(store, 0.5, experiment="one", lr=1, model={"layers": 2})
    record(store, 0.6, experiment="two", lr=1, model={"layers": 2})

    table = store.pivot("acc", ["experiment", "params.lr"], "params.model.layers, status")

    assert table.row_fields == ("experiment", "params.lr")
    assert table.column_fields == ("params.model.layers", "status")
    assert shown(table) == {
        (("one", "1"), ("2", "complete")): 0.5,
        (("two", "1"), ("2", "complete")): 0.6,
    }


def test_the_best_cell_and_its_equals_are_marked(store):
    noise = {0.1: (-2, 2, 0, 1, -1), 0.2: (0, -1, 3, -2, 1), 0.3: (1, 0, 2, -1, -2)}
    for lr, level in ((0.1, 0.80), (0.2, 0.801), (0.3, 0.5)):
        for seed, chance in enumerate(noise[lr]):
            record(store, level + chance / 100, lr=lr, seed=seed)

    marks = [one.mark for one in store.pivot("acc", "params.lr").cells]

    assert marks == ["statistically tied", "best", ""]


def test_single_values_have_the_digits_of_other_tables(store):
    record(store, 0.97312, lr=1)
    record(store, 0.97314, lr=2)

    rows = store.pivot("acc", "params.lr").to_markdown().splitlines()[2:4]

    assert rows == ["| 1 | 0.97312 |", "| 2 | **0.97314** |"]


def test_without_a_direction_nothing_is_best(store):
    for lr in (1, 2):
        store.record(
            "fit",
            started_at="2026-03-01T10:00:00Z",
            params={"lr": lr},
            metrics={"wobble": [lr]},
        )

    unknown = store.pivot("wobble", "params.lr")
    chosen = store.pivot("wobble", "params.lr", direction="min")

    assert [one.mark for one in unknown.cells] == ["", ""]
    assert "not known" in " ".join(unknown.remarks)
    assert [one.mark for one in chosen.cells] == ["best", ""]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ({"rows": ""}, UsageError),
        ({"rows": "started"}, UsageError),
        ({"rows": "metrics.acc"}, UsageError),
        ({"rows": "parms.lr"}, FilterError),
        ({"rows": "params.lr", "several": "most"}, UsageError),
        ({"rows": "params.lr", "direction": "up"}, UsageError),
        ({"rows": "params.lr", "level": 2}, UsageError),
        ({"rows": ["params.a", "params.b", "params.c", "params.d", "params.e"]}, UsageError),
        ({"rows": "params.lr", "metric": "accuracy"}, NotFoundError),
    ],
)
def test_mistakes_are_refused(store, call, kind):
    record(store, 0.5, lr=1)

    with pytest.raises(kind):
        store.pivot(**{"metric": "acc", **call})


# Texts, read back


def read_markdown(text):
    """Return the rows of a Markdown table as GitHub shows them."""
    rows = []
    for line in text.splitlines():
        if not line.startswith("| "):
            continue
        cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]
        rows.append([re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", one).strip() for one in cells])
    return rows


LATEX = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
    r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"\textquotedbl{}": '"',
    r"\textasciigrave{}": "`", r"\textquotesingle{}": "'", "{-}": "-",
    r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&", r"\#": "#", r"\_": "_", r"\%": "%",
}  # fmt: skip
_COMMANDS = re.compile("|".join(map(re.escape, LATEX)))


def read_latex(text):
    """Return the cells of a tabular's rows; what is not typeset as text raises."""
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    return [
        [_COMMANDS.sub(lambda found: LATEX[found[0]], cell) for cell in one[:-3].split(" & ")]
        for one in lines
    ]


def test_tables_are_read_back_from_their_texts(store):
    for seed in range(2):
        record(store, 0.9 + seed / 100, model=HOSTILE, lr=0.1, seed=seed)
        record(store, 0.5 + seed / 100, model="=cmd()", lr=0.2, seed=seed)

    table = store.pivot("acc", "params.model", "params.lr")

    assert read_markdown(table.to_markdown()) == [
        ["params.model", "params.lr = 0.1", "params.lr = 0.2"],
        [HOSTILE, "**0.905 ± 0.064**", DASH],
        ["=cmd()", DASH, "0.505 ± 0.064"],
    ]
    rows = {one[0]: one[1:] for one in read_latex(table.to_latex())}
    assert rows[HOSTILE] == [r"$\mathbf{0.905 \pm 0.064}$", "--"]
    assert rows["params.model"] == ["0.1", "0.2"]
    lines = list(csv.DictReader(io.StringIO(table.to_csv())))
    told = {one["params.model"]: one for one in lines}
    assert set(told) == {HOSTILE, "'=cmd()"}  # no spreadsheet computes it
    assert float(told[HOSTILE]["mean"]) == table.cell(*place_of(table, HOSTILE)).mean.mean
    assert [told[HOSTILE][key] for key in ("n", "settings", "mark")] == ["2", "1", "best"]


def place_of(table, label):
    one = next(one for one in table.cells if table.rows[one.row].labels == (label,))
    return one.row, one.column


@given(st.text(max_size=40))
def test_any_text_is_one_line_that_reads_as_itself(text):
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)

    latex = latex_text(text)

    assert _COMMANDS.sub(lambda found: LATEX[found[0]], latex) == line
    assert not re.search(r"(?<!\\)[&%$#_]", latex)
    assert re.sub(r"\\(.)", r"\1", markdown_text(text)) == line
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", markdown_text(text))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e300), st.integers(2, 6))
def test_numbers_are_written_with_what_is_known_of_them(mean, spread, count):
    values = [mean + spread * (place - (count - 1) / 2) for place in range(count)]
    found = mean_of(values)

    text, half, power = plus_minus(found)

    if half and half != "0":
        scale = 10.0**power
        width = (found.interval.high - found.interval.low) / 2
        assert math.isclose(float(half) * scale, width, rel_tol=0.06)
        assert abs(float(text) * scale - found.mean) <= 0.06 * width


def test_large_and_small_numbers_share_a_power_of_ten():
    assert plus_minus(mean_of([1.0e-7, 1.2e-7])) == ("1.1", "1.3", -7)
    assert plus_minus(mean_of([123456.0, 123460.0])) == ("123458", "25", 0)
    assert plus_minus(mean_of([2.0, 2.0])) == ("2", "0", 0)
    assert plus_minus(mean_of([2.5])) == ("2.5", "", 0)
