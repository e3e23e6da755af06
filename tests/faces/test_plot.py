"""runstore plot: curves in the terminal, in a pipe and in files."""

import json
import math
import re
import shutil
from xml.dom import minidom

import pytest

from commands import messages, on_terminal, python
from commands import runstore_here as runstore
from places import store_at

SETS = [{"name": "a", "lr": 1}, {"name": "b", "lr": 2}]
BRAILLE = re.compile("[\u2801-\u28ff]")
# Names that break what is written with care for none of them.
HOSTILE = ["$\\frac$", "</script><b>x", "_hidden", "50 %", "<i>ä</i>", "val/loss"]


def record(folder):
    """Record two runs with a loss each; the second also has accuracies, of itself and of sets."""
    with store_at(folder / ".runstore") as store:
        with store.start("fit", capture=False) as run:
            for step in range(100):
                run.log(loss=math.exp(-step / 20), step=step)
        with store.start("fit", params=SETS, capture=False) as run:
            for step in range(100):
                run.log(loss=math.exp(-step / 40), acc=step / 100, step=step)
                run.of_set("a").log(acc=step / 200, step=step)
                run.of_set("b").log(acc=step / 300, step=step)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    record(folder)
    return folder


@pytest.fixture
def folder(engine, request, tmp_path):
    """Runs of its own for each test."""
    if engine == "sqlite":  # a copy takes less time
        return shutil.copytree(request.getfixturevalue("recorded"), tmp_path, dirs_exist_ok=True)
    record(tmp_path)
    return tmp_path


# In the terminal and in a pipe


def test_a_pipe_gets_plain_text(folder):
    ended = runstore("plot", "fit#1", cwd=folder)

    assert "\x1b" not in ended.stdout
    assert BRAILLE.search(ended.stdout)
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_runs_are_told_apart_by_signs(folder):
    shown = runstore("plot", "fit#1", "fit#2", "-m", "loss", cwd=folder).stdout

    assert shown.splitlines()[-1] == "o fit#1 0.007083  x fit#2 0.08416"


def test_sets_are_lines_of_their_own(folder):
    shown = runstore("plot", "fit#2", "-m", "acc", cwd=folder).stdout
    one = runstore("plot", "fit#2", "-m", "a/acc", cwd=folder).stdout

    assert [name in shown for name in ("fit#2", " a lr=1 0.495", " b lr=2 0.33")] == [True] * 3
    assert "0.33" not in one.splitlines()[-1]


def test_a_terminal_gets_colours_and_its_width(folder):
    shown = on_terminal("plot", "fit#1", "fit#2", "-m", "loss", cwd=folder)

    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) == 100


def test_without_utf8_there_is_ascii_alone(folder):
    shown = runstore("plot", "fit#1", cwd=folder, env={"PYTHONIOENCODING": "ascii"}).stdout

    assert shown.isascii()


def test_a_spike_among_many_points_is_seen(folder):
    with store_at(folder / ".runstore") as store, store.start("spike", capture=False) as run:
        values = [0.0] * 100_000
        values[54_321] = 7.0
        run.log_points("x", values)

    told = json.loads(runstore("plot", "spike#1", "--json", cwd=folder).stdout)

    assert max(told["lines"][0]["values"]) == 7.0
    assert len(told["lines"][0]["values"]) < 5000


def test_what_cannot_be_drawn_is_counted(folder):
    with store_at(folder / ".runstore") as store, store.start("gaps", capture=False) as run:
        for value in (1.0, math.nan, math.inf, -2.0):
            run.log(x=value)

    shown = runstore("plot", "gaps#1", cwd=folder).stdout
    logarithmic = runstore("plot", "gaps#1", "--log-y", cwd=folder).stdout

    assert "2 points are not shown (NaN, infinite)." in shown
    assert "3 points are not shown (NaN, infinite, or no logarithm)." in logarithmic


def test_following_ends_with_the_run(folder):
    shown = on_terminal("plot", "-f", "fit#1", cwd=folder)

    assert BRAILLE.search(shown)


# Runs that diverged


@pytest.fixture
def diverged(tmp_path):
    """Three runs, of which the newest diverged after its first points."""
    with store_at(tmp_path / ".runstore") as store:
        for rate in (0.1, 0.2, 100):
            with store.start("fit", params={"lr": rate}, capture=False) as run:
                values = [2.0 - rate * step / 10 for step in range(10)]
                run.log_points("loss", [2.0, *(3.0**place for place in range(26))] * (rate > 1))
                run.log_points("loss", values * (rate < 1))
    return tmp_path


def test_a_run_that_diverged_leaves_the_axis(diverged):
    shown = runstore("plot", "fit", "-m", "loss", cwd=diverged).stdout.splitlines()
    whole = runstore("plot", "fit", "-m", "loss", "--full-y", cwd=diverged).stdout

    assert "^" in shown[2]
    remark = "fit#3 lr=100 leaves the axis of loss (up to 8.473e+11); --full-y or --log-y shows"
    assert remark in " ".join(shown)
    assert "e+11" in whole
    assert not {"^", "leaves"} & {*whole, *whole.split()}


@pytest.mark.parametrize("option", ["--log-y", "--json"])
def test_axes_and_outputs_that_show_all_points_have_no_remark(diverged, option):
    ended = runstore("plot", "fit", "-m", "loss", option, cwd=diverged)

    assert "leaves the axis" not in ended.stdout + ended.stderr


def test_lines_below_an_axis_leave_it_downwards(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for scale in (1, 1, 1e6):
            with store.start("fit", capture=False) as run:
                run.log_points("reward", [-1 * scale, -2 * scale])
                run.log_points("score", [-1 * scale, -3 * scale])

    shown = runstore("plot", "fit", cwd=tmp_path).stdout

    assert "v" in shown.split("└")[0].splitlines()[-2]
    assert (
        "fit#3 leaves the axis of reward (down to -2e+06) and score (down to -3e+06); --full-y"
        in shown.replace("\n", " ")
    )
    assert "--log-y" not in shown


def test_files_show_where_a_run_that_diverged_leaves_the_axis(diverged, monkeypatch):
    saved = figures(monkeypatch)

    ended = runstore("plot", "fit", "-m", "loss", "-o", "p.png", cwd=diverged)
    runstore("plot", "fit", "-m", "loss", "-o", "p.html", cwd=diverged)

    (axes,) = saved[0].axes
    assert axes.get_ylim()[1] < 3
    assert [line.get_marker() for line in axes.get_lines()].count("^") == 1
    assert "fit#3 lr=100 leaves the axis of loss" in ended.stderr
    assert "triangle-up" in (diverged / "p.html").read_text().rpartition("lr=0.1")[2]


# Into files


@pytest.mark.parametrize(
    ("suffix", "begin"),
    [
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("pdf", b"%PDF-"),
        ("svg", b"<?xml"),
        ("html", b"<!doctype html>"),
    ],
)
def test_a_file_is_what_its_name_says(folder, suffix, begin):
    ended = runstore("plot", "fit#1", "fit#2", "-m", "loss", "-o", f"p.{suffix}", cwd=folder)

    assert (ended.returncode, ended.stdout) == (0, f"p.{suffix}\n")
    assert (folder / f"p.{suffix}").read_bytes().startswith(begin)


def test_the_page_works_without_a_network(folder):
    runstore("plot", "fit#1", "-o", "p.html", cwd=folder)

    page = (folder / "p.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


def test_the_same_plot_is_the_same_picture(folder):
    for name in ("a.svg", "b.svg"):
        runstore("plot", "fit#1", "-o", name, cwd=folder)

    first, second = ((folder / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second


def figures(monkeypatch):
    """Return a list of the figures of matplotlib that are saved from now on."""
    from matplotlib.figure import Figure

    saved = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *a, **more: (saved.append(figure), save(figure, *a, **more)),
    )
    return saved


def test_remarks_in_a_picture_are_below_the_label_of_the_axis(folder, monkeypatch):
    saved = figures(monkeypatch)
    with store_at(folder / ".runstore") as store, store.start("odd", capture=False) as run:
        run.log_points("loss", [math.nan, 0.5, *[math.inf] * 3, 0.2])

    runstore("plot", "odd#1", "-o", "p.png", cwd=folder)

    (figure,) = saved
    texts = {one.get_text(): one.get_window_extent() for one in figure.findobj(_is_text)}
    (remark,) = (box for text, box in texts.items() if "not shown" in text)
    assert 0 <= remark.y0 < remark.y1 <= texts["step"].y0


def test_remarks_on_a_page_are_within_its_margin(diverged):
    runstore("plot", "fit", "-m", "loss", "-o", "p.html", cwd=diverged)

    page = (diverged / "p.html").read_text()
    (below,) = re.findall(r'"y":0,"yanchor":"top","yref":"paper","yshift":-(\d+)', page)
    (margin,) = re.findall(r'"margin":{"b":(\d+)}', page)
    assert int(below) < int(margin)


def _is_text(one):
    from matplotlib.text import Text

    return isinstance(one, Text)


@pytest.mark.parametrize("suffix", ["svg", "html", "txt"])
def test_hostile_names_are_drawn_as_they_are(folder, suffix):
    with store_at(folder / ".runstore") as store, store.start("odd", capture=False) as run:
        for step in range(5):
            run.log(dict.fromkeys(HOSTILE, step))
    keys = [part for key in HOSTILE for part in ("-m", key)]
    into = ["-o", f"p.{suffix}"] if suffix != "txt" else []

    ended = runstore("plot", "odd#1", *keys, *into, cwd=folder)

    assert ended.returncode == 0, ended.stderr
    shown = (folder / f"p.{suffix}").read_text() if into else ended.stdout
    assert "\x1b" not in shown
    assert "</script><b>" not in shown or suffix == "txt"
    if suffix == "svg":
        minidom.parseString(shown)


def test_a_file_that_cannot_be_written_leaves_what_was_there(folder):
    (folder / "p.png").mkdir()

    ended = runstore("plot", "fit#1", "-o", "p.png", cwd=folder)
    nowhere = runstore("plot", "fit#1", "-o", "no/such/p.png", cwd=folder)

    for refused in (ended, nowhere):
        assert refused.returncode
        assert "p.png" in messages(refused)[0]
    assert [entry.name for entry in folder.iterdir() if entry.name != ".runstore"] == ["p.png"]


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit#1", "-m", "los"], "Did you mean 'loss'?"),
        (["fit#9"], "fit#9"),
        (["fit#1", "-o", "p.docx"], ".docx"),
        (["fit#1", "-f", "-o", "p.png"], "--follow only works in a terminal."),
        (["fit#1", "--json", "-o", "p.png"], "Leave out one of them."),
        (["fit#1", "--smooth", "1"], "--smooth"),
        (["empty#1"], "has no metrics"),
        (["many#1"], "Choose with -m"),
    ],
)
def test_mistakes_are_told(folder, arguments, told):
    with store_at(folder / ".runstore") as store:
        store.start("empty", capture=False).finish()
        with store.start("many", capture=False) as run:
            run.log({f"m{number}": 1 for number in range(20)})

    ended = runstore("plot", *arguments, cwd=folder)

    assert ended.returncode
    assert told in "\n".join(messages(ended))


@pytest.mark.parametrize(
    ("missing", "file", "instead"),
    [
        (["matplotlib"], "p.png", "without it: -o plot.html"),
        (["plotly"], "p.html", "without it: -o plot.png"),
        (["matplotlib", "plotly"], "p.svg", "without it: leave out -o to draw in the terminal"),
    ],
)
def test_a_missing_library_is_named_with_a_way_that_works(folder, missing, file, instead):
    """Only installed libraries are offered instead."""
    program = (
        "import importlib.util, sys\n"
        f"missing = {missing!r}\n"
        "for name in missing: sys.modules[name] = None\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name in missing else find(name)\n"
        "from runstore.__main__ import main\n"
        f"sys.argv = ['runstore', 'plot', 'fit#1', '-o', {file!r}]\n"
        "sys.exit(main())"
    )

    ended = python("-c", program, cwd=folder)

    assert ended.returncode
    library = "plotly" if file == "p.html" else "matplotlib"
    assert messages(ended)[0] == f"runstore: {library} is not installed."
    assert f"[plot]' ({instead})" in ended.stderr
    assert not (folder / file).exists()


def test_a_terminal_plot_loads_no_library_beside_ours(folder):
    """A plain install draws."""
    program = (
        "import sys\n"
        "for name in ('matplotlib', 'plotly', 'plotext', 'numpy', 'scipy'):"
        " sys.modules[name] = None\n"
        "from runstore.__main__ import main\n"
        "sys.argv = ['runstore', 'plot', 'fit#1']\n"
        "sys.exit(main())"
    )

    ended = python("-c", program, cwd=folder)

    assert BRAILLE.search(ended.stdout), ended.stderr


# Which runs and metrics


@pytest.fixture
def grid(tmp_path):
    """Ten runs of two rates, the newest without the loss."""
    with store_at(tmp_path / ".runstore") as store:
        for seed in range(10):
            params = {"lr": 0.1 if seed % 2 else 0.2, "opt": {"name": "sgd"}, "seed": seed}
            with store.start("grid", params=params, capture=False) as run:
                for step in range(5):
                    run.log({"val/acc": step, "val/f1": step, "loss": -step}, step=step)
        with store.start("grid", params={"lr": 9}, capture=False) as run:
            run.log({"val/acc": 1})
    return tmp_path


def legend(shown):
    return [line for line in shown.splitlines() if " lr=" in line]


def test_an_experiment_draws_its_newest_runs_and_counts_the_rest(grid):
    shown = runstore("plot", "grid", "-m", "loss", cwd=grid).stdout

    assert sum(line.count(" lr=") for line in legend(shown)) == 8
    assert "2 more runs are not drawn; -n 10 draws all." in shown
    assert "1 run has no metric 'loss'." in shown


def test_a_limit_draws_more_or_fewer(grid):
    def drawn(*options):
        lines = json.loads(runstore("plot", *options, "--json", cwd=grid).stdout)["lines"]
        return len({one["uid"] for one in lines})

    assert drawn("grid", "-m", "loss", "-n", "10") == 10
    assert drawn("grid", "-m", "loss", "-n", "2") == 2
    names = [f"grid#{number}" for number in range(1, 11)]
    assert drawn(*names, "-m", "loss") == 10


def test_a_filter_chooses_runs(grid):
    ended = runstore("plot", "grid", "params.lr = 0.1", "-m", "loss", "--json", cwd=grid)
    nothing = runstore("plot", "params.lr > 100", "-m", "loss", cwd=grid)

    assert len(json.loads(ended.stdout)["lines"]) == 5
    assert nothing.returncode
    assert messages(nothing)[0] == "runstore: No run matches."


def test_a_pattern_chooses_metrics(grid):
    ended = runstore("plot", "grid#1", "-m", "val/*", "-m", "loss", "--json", cwd=grid)
    nothing = runstore("plot", "grid#1", "-m", "test/*", cwd=grid)

    assert [one["key"] for one in json.loads(ended.stdout)["lines"]] == [
        "val/acc", "val/f1", "loss",
    ]  # fmt: skip
    assert "no metric 'test/*'" in nothing.stderr


def test_a_metric_with_the_signs_of_a_pattern_is_itself(folder):
    with store_at(folder / ".runstore") as store, store.start("odd", capture=False) as run:
        run.log({"a[0]": 1, "a0": 2, "a*": 3})

    for key in ("a[0]", "a*"):
        told = json.loads(runstore("plot", "odd#1", "-m", key, "--json", cwd=folder).stdout)
        assert [one["key"] for one in told["lines"]] == [key]


def test_a_pattern_of_too_many_metrics_is_refused(folder):
    with store_at(folder / ".runstore") as store, store.start("wide", capture=False) as run:
        run.log({f"m{number}": 1 for number in range(30)})

    ended = runstore("plot", "wide#1", "-m", "m*", cwd=folder)

    assert ended.returncode == 2
    assert "'m*' matches 30 metrics" in ended.stderr


def test_metrics_with_several_points_come_first(folder):
    """Without -m; if there are too many metrics, those with one point are left out."""
    with store_at(folder / ".runstore") as store, store.start("few", capture=False) as run:
        run.log_points("train/loss", [3.0, 2.0, 1.0])
        run.log({"acc": 0.9, "train/best": 1.0})
    few = runstore("plot", "few", "--json", cwd=folder)
    with store_at(folder / ".runstore") as store, store.start("more", capture=False) as run:
        run.log_points("train/loss", [3.0, 2.0, 1.0])
        run.log({f"test/{number}": 0.9 for number in range(7)})
    more = runstore("plot", "more", cwd=folder)

    assert [one["key"] for one in json.loads(few.stdout)["lines"]] == [
        "train/loss", "acc", "train/best",
    ]  # fmt: skip
    assert (
        "7 metrics with one point are not drawn: test/0, test/1, test/2 and 4 more" in more.stdout
    )


def test_legends_name_the_parameters_that_differ(grid):
    """Parameters that are the same in all runs are not repeated."""
    shown = runstore("plot", "grid#1", "grid#2", "-m", "loss", cwd=grid).stdout
    page = runstore("plot", "grid#1", "grid#2", "-m", "loss", "-o", "p.html", cwd=grid)

    assert "lr=0.2 seed=0" in shown
    assert "lr=0.1 seed=1" in shown
    assert "sgd" not in shown
    assert "lr=0.2 seed=0" in (grid / page.stdout.strip()).read_text()


def test_legends_show_few_of_many_parameters(folder):
    """Parameters that several runs share come before those of which each has its own."""
    with store_at(folder / ".runstore") as store:
        for number in range(4):
            params = {"a_own": number, "b_own": -number, "x": number % 2, "y": number // 2}
            with store.start("many", params=params, capture=False) as run:
                run.log(z=1)

    shown = runstore("plot", "many", "-m", "z", cwd=folder).stdout

    assert "a_own=3 x=1 y=1" in shown
    assert "b_own" not in shown


def test_legends_show_the_seed_of_runs_that_differ_only_in_it(folder):
    with store_at(folder / ".runstore") as store:
        for seed in (1, 2):
            for rate in (0.1, 0.2):
                params = {"a": rate, "b": -rate, "c": 1 - rate, "seed": seed}
                with store.start("seeds", params=params, capture=False) as run:
                    run.log(z=1)

    shown = runstore("plot", "seeds", "-m", "z", cwd=folder).stdout

    assert "a=0.1 b=-0.1 c=0.9 seed=1" in shown
    assert "a=0.2 b=-0.2 c=0.8 seed=2" in shown


def test_parameters_with_the_same_last_name_keep_their_whole_names(folder):
    with store_at(folder / ".runstore") as store:
        for number in range(2):
            params = {f"a_very_long_group_{one}": {"rate": number} for one in "xy"}
            with store.start("deep", params=params, capture=False) as run:
                run.log(z=1)

    shown = runstore("plot", "deep", "-m", "z", cwd=folder).stdout

    assert "a_very_long_group_x.rate=1 a_very_long_group_y.rate=1" in shown
