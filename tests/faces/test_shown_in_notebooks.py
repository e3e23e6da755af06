"""What runs, pages and what they hold look like in a notebook and in an interactive session."""

import copy
import html.parser
import json
import math
import pickle
import re
import subprocess
import sys
import warnings
from typing import NamedTuple

import pytest
from rich.pretty import pretty_repr

from places import place, shared_at, store_at
from runstore import Run, Store
from runstore.errors import MissingExtraError, NotFoundError, UsageError
from runstore.model.display.html import ROWS_AT_MOST, html_table
from runstore.model.display.svg import spark_svg
from runstore.model.metrics import Series
from runstore.model.results.lists import Experiments
from runstore.reading.pages import Page

EVIL = "<script>alert(1)</script>\"'&\x1b]0;pwn\x07\u202e"
SHOWN = {
    "run": lambda given: given.run,
    "page": lambda given: given.store.list(),
    "hints": lambda given: given.store.find("params.unheard > 1"),
    "metrics": lambda given: given.run.metrics,
    "summaries": lambda given: given.store.metrics_of(given.run),
    "summary": lambda given: given.run.metrics["loss"],
    "series": lambda given: given.run.metric("loss"),
    "artifacts": lambda given: given.run.artifacts,
    "inputs": lambda given: given.run.inputs,
    "events": lambda given: given.store.events(given.run),
    "experiments": lambda given: given.store.experiments(),
    "groups": lambda given: given.store.group("params.lr", metrics=["loss"]),
    "comparison": lambda given: given.store.compare(*given.store.list(limit=2)),
    "output": lambda given: given.run.output,
}


class Given(NamedTuple):
    """A store, and a run of it."""

    store: Store
    run: Run


class Parts(html.parser.HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.texts.append(data)


ALLOWED = {"div", "p", "strong", "br", "pre", "table", "tr", "th", "td", "svg", "path"}


@pytest.fixture(scope="module")
def given(engine, tmp_path_factory):
    """A store whose every text is hostile, and its newest run."""
    folder = tmp_path_factory.mktemp("hostile")
    with shared_at(folder, engine) as store:
        for number in range(2):
            run = store.start(f"e{EVIL[:28]}", params={"lr": number, EVIL: EVIL}, notes=EVIL)
            run.keep_output()
            print(EVIL)
            for step in range(30):
                run.log({"loss": math.exp(-step), EVIL[:28]: step})
            run.tags["phase"] = EVIL
            run.save("a<b>.txt", b"hello")
            (folder / "data<b>").write_bytes(b"1")
            run.use(folder / "data<b>")
            run.finish("error", error=EVIL)
        yield Given(store, store.get("latest"))


@pytest.fixture(scope="module", autouse=True)
def missing_data_is_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", SHOWN)
def test_no_text_of_the_user_is_markup_or_obeyed(given, name):
    thing = SHOWN[name](given)

    shown = Parts(thing._repr_html_())

    assert set(shown.tags) <= ALLOWED
    assert not {one for one in shown.attributes if one.startswith("on")}
    for text in (repr(thing), thing._repr_html_()):
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_has_a_colour_of_its_own(given, name):
    """Tables have the colours of the notebook, light or dark."""
    shown = SHOWN[name](given)._repr_html_()

    assert not re.search(r"colou?r\s*[:=]|background|#[0-9a-f]{3,6}\b|rgb", shown, re.IGNORECASE)


def test_a_run_shows_what_the_command_line_shows(given):
    _, run = given

    shown = Parts(run._repr_html_())

    for label in ("run", "status", "started", "took", "error", "tags", "notes", "command", "host"):
        assert label in shown.texts
    for title in ("parameters", "metrics", "artifacts"):
        assert title in shown.texts
    assert shown.tags.count("svg") == 2
    assert {"loss", "lr", "a<b>.txt", "text/plain"} <= set(shown.texts)


def test_a_page_of_runs_shows_metrics_and_tags(given):
    store, _ = given

    shown = Parts(store.list()._repr_html_()).texts

    assert {"run", "status", "lr", "loss", "tags", "notes"} <= set(shown)
    assert f"{math.exp(-29):.4g}" in shown
    assert any(one.startswith("phase=<script>") for one in shown)


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - made here


@pytest.mark.parametrize("name", [one for one in SHOWN if one not in {"series", "output"}])
def test_copies_are_equal_and_show_the_same(given, name):
    thing = SHOWN[name](given)

    for copied in (pickled(thing), copy.deepcopy(thing), copy.copy(thing)):
        assert copied == thing
        assert type(copied) is type(thing)
        assert repr(copied) == repr(thing)


def test_lists_are_still_tuples_and_dictionaries(given):
    store, run = given
    events, groups = store.events(run), store.group("params.lr")

    assert isinstance(events, tuple)
    assert events == tuple(events)
    assert hash(events) == hash(tuple(events))
    assert type(events[:1]) is type(events)
    assert events[0] == next(iter(events))
    assert isinstance(groups, tuple)
    assert groups[1:] == tuple(groups)[1:]
    assert type(groups[1:]) is type(groups)
    assert run.metrics == dict(run.metrics)
    assert isinstance(run.metrics, dict)
    assert json.loads(json.dumps({key: one.count for key, one in run.metrics.items()}))
    assert run.artifacts == dict(run.artifacts)


@pytest.mark.parametrize("name", SHOWN)
def test_rich_prints_them(given, name):
    assert pretty_repr(SHOWN[name](given))


def test_a_text_table_has_one_line_for_each_item(given):
    store, run = given

    lines = repr(run.metrics).splitlines()

    assert lines[0] == "<2 metrics>"
    assert lines[1].split() == ["metric", "last", "min", "max", "mean", "points"]
    assert len(lines) == 4
    assert repr(Experiments()) == "<0 experiments>"
    assert repr(store.experiments()).startswith("<1 experiment>")


def test_many_items_are_shown_in_part(given):
    _, run = given
    page = Page((run,) * 100_000)

    shown, text = page._repr_html_(), repr(page)

    assert shown.count("<tr>") == ROWS_AT_MOST + 1
    assert "… and 99,950 more" in shown
    assert len(shown) < 100_000
    assert len(text.splitlines()) < 30
    assert "… and 99,980 more" in text


def test_one_huge_text_does_not_fill_the_notebook():
    assert len(html_table((), [["x" * 1_000_000]])) < 1000


# Output


def test_output_is_a_sequence_of_lines(given):
    _, run = given
    output = run.output

    assert len(output) == 1
    assert output
    assert output[0] == output[-1] == output[0:1][0] == next(iter(run.output))
    assert [line.text for line in output] == [line.text for line in output]
    with pytest.raises(IndexError):
        output[1]
    with pytest.raises(IndexError):
        output[-2]
    assert [line.text for line in pickled(output)] == [output[0].text]


def test_output_can_be_read_line_by_line(tmp_path):
    with store_at(tmp_path) as store:
        with store.start("prints", capture=False) as run:
            run.keep_output()
            for number in range(50):
                print("line", number)
        output = store.get("latest").output

        assert next(output).text == "line 0"
        assert [line.text for line in output][:2] == ["line 1", "line 2"]
        assert next(output, None) is None
        assert store.get("latest").output[-1].text == "line 49"
        assert repr(output).splitlines()[0] == "<50 lines of output, the last:>"
        assert len(repr(output).splitlines()) == 21


# Drawings


def test_a_line_is_drawn_in_the_colour_of_the_text():
    drawn = spark_svg([0, 1, 2], [1.0, 3.0, 2.0])

    assert "currentColor" in drawn
    assert drawn.count("L") == 2


@pytest.mark.parametrize(
    "values",
    [
        [],
        [math.nan],
        [math.inf, -math.inf],
        [1.0],
        [2.0, 2.0],
        [1.7e308, -1.7e308, math.nan, 0.0],
        [5e-324, 0.0],
    ],
)
def test_any_values_can_be_shown(values):
    series = Series("x", *(_column(kind, values) for kind in "qdd"))

    shown = series._repr_html_()

    assert "nan" not in "".join(re.findall(r'd="[^"]*"', shown))
    assert "inf" not in "".join(re.findall(r'd="[^"]*"', shown))
    assert f"{len(values)} point" in repr(series)


def _column(kind, values):
    from array import array

    return array(kind, range(len(values)) if kind == "q" else values)


def test_gaps_stay_gaps():
    drawn = spark_svg(range(5), [1.0, 2.0, math.nan, 3.0, 4.0])

    assert drawn.count("M") == 2


def test_a_spike_is_seen_in_the_drawing(tmp_path):
    with store_at(tmp_path) as store:
        with store.start("spike", capture=False) as run:
            run.log_points("loss", [0.0] * 70_000 + [1.0] + [0.0] * 30_000)
        drawn = store.get("latest").metrics["loss"]._repr_html_()

    heights = {float(one) for one in re.findall(r"[ML][\d.]+ ([\d.]+)", drawn)}
    assert heights == {2.0, 118.0}
    assert len(drawn) < 10_000


# Plots


@pytest.fixture
def series():
    from array import array

    return Series(
        "val/loss$", array("q", [2, 0, 1]), array("d", [3e9, 1e9, 2e9]), array("d", [1, 3, 2])
    )


@pytest.fixture
def hide(monkeypatch):
    """Returns a function that makes a library missing."""

    def hidden(library):
        loaded = [one for one in sys.modules if one.startswith(f"{library}.")]
        for name in (library, *loaded):
            monkeypatch.setitem(sys.modules, name, None)

    return hidden


def test_a_series_is_plotted_with_matplotlib(series):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")

    axes = series.plot()
    again = series.plot(smooth=0.5, log=True)

    assert again is axes
    assert axes.get_lines()[0].get_xydata().tolist() == [[0, 3], [1, 2], [2, 1]]
    assert axes.get_xlabel() == "step"
    assert axes.get_yscale() == "log"
    assert len(axes.get_legend().get_texts()) == 2
    plt.close("all")


def test_over_time_and_on_axes_of_ones_own(series):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots()

    assert series.plot(x="time", ax=axes) is axes
    assert axes.get_xlabel() == "local time"


def test_without_matplotlib_plotly_draws(series, hide):
    pytest.importorskip("plotly")
    hide("matplotlib")

    figure = series.plot(smooth=0.5)

    assert list(figure.data[0].x) == [0, 1, 2]
    assert len(figure.data) == 2


def test_without_either_the_extra_is_named(series, hide):
    hide("matplotlib")
    hide("plotly")

    with pytest.raises(MissingExtraError, match=r"pip install .*\[plot\]'"):
        series.plot()


@pytest.mark.parametrize("wrong", [{"x": "epoch"}, {"smooth": 1}, {"smooth": "much"}, {"x": []}])
def test_what_cannot_be_plotted_is_refused(series, wrong):
    with pytest.raises(UsageError):
        series.plot(**wrong)


def test_a_summary_knows_its_points(given):
    _, run = given

    assert len(run.metrics["loss"].series()) == 30
    with pytest.raises(NotFoundError, match="is not connected to its run"):
        pickled(run.metrics["loss"]).series()


def test_a_series_is_a_data_frame(series):
    pd = pytest.importorskip("pandas")

    frame = series.to_pandas()

    assert list(frame.columns) == ["step", "time", "value"]
    assert frame["time"][1] == pd.Timestamp(1_000_000_000, unit="s", tz="UTC")


# Trouble and weight


@pytest.mark.folder_only("removes the file of SQLite")
def test_a_store_that_is_gone_says_so(tmp_path):
    store = store_at(tmp_path / "s")
    store.start("gone", capture=False).finish()
    run = store.get("latest")
    store.close()
    for file in (tmp_path / "s").glob("runstore.db*"):
        file.unlink()

    assert "gone_1" in run._repr_html_()
    assert "gone#1" in repr(Page((run,)))
    assert "There is no" in store._repr_html_() or "runstore.db" in store._repr_html_()


def test_a_run_that_is_executed_shows_itself(tmp_path):
    with store_at(tmp_path) as store, store.start("live", params={"lr": 1}) as run:
        run.log(loss=0.5)

        assert "so far" in Parts(run._repr_html_()).texts
        assert "0.5" in Parts(run._repr_html_()).texts
        assert run.params == {"lr": 1}


def test_a_store_is_opened_not_made():
    with pytest.raises(UsageError, match=r"Store\.open\('foo'\)"):
        Store("foo")


def test_recording_and_reading_do_not_load_what_draws(tmp_path):
    code = (
        "import sys, runstore\n"
        f"store = runstore.Store.open({str(place(tmp_path))!r})\n"
        "with store.start('light', params={'lr': 1}, capture=False) as run:\n"
        "    run.log(loss=1); run.save('a.txt', b'1'); run.tags['a'] = 'b'\n"
        "run = store.get('latest')\n"
        "store.list(); store.find('params.lr > 0'); store.experiments(); store.events(run)\n"
        "store.group('params.lr'); list(run.output); run.metrics['loss'].count; run.artifacts\n"
        "run.metric('loss').values\n"
        "print(*sys.modules)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    drawing = ("html", "svg", "text_table", "series_html", "drawable", "output_text")
    loaded = set(ended.stdout.split())
    assert "runstore.model.metrics" in loaded
    assert loaded & {f"runstore.model.display.{one}" for one in drawing} == set()
    assert not any(
        one.startswith(("runstore.reading.shown", "runstore.plotting")) for one in loaded
    )


def test_a_notebook_shows_them(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    cells = [
        f"import runstore; store = runstore.Store.open({str(place(tmp_path))!r})",
        "with store.start('mnist') as run: run.log_points('loss', range(20))",
        "run = store.get('latest'); run",
        "store",
        "store.list()",
        "run.metrics",
        "run.metrics['loss']",
        "run.metric('loss')",
        "run.output",
        "store.experiments()",
        "run.metric('loss').plot();",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}

    nbclient.NotebookClient(book, timeout=60).execute()

    shown = [cell.outputs[0].data for cell in book.cells[2:-1]]
    assert all(one["text/html"].startswith(("<div>", "<table>")) for one in shown)
    assert all("<svg" in shown[place]["text/html"] for place in (0, 3, 4, 5))
    assert shown[3]["text/plain"].startswith("<1 metric>\nmetric")
    assert "mnist" in shown[7]["text/plain"]
    assert shown[2]["text/plain"].startswith("<Page of 1 run>")
