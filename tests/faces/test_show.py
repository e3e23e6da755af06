"""runstore show on a terminal: a run on one screen, everything with --full, and the pager."""

import json
import re
import sys
from pathlib import Path

import pytest

from commands import messages, on_terminal, python
from commands import runstore_here as runstore
from places import shared_at, store_at

PAGER = f"""{sys.executable} -c "import sys; text = sys.stdin.read(); print('PAGED', text)" """


def drawn(folder, *words, columns=80, rows=24, **more):
    text = on_terminal(
        "show", *words, cwd=folder, columns=columns, rows=rows, **{"NO_COLOR": "1", **more}
    )
    return text.replace("\r", "").splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, engine):
    """A run with a bit of everything, a failed one, and one with very many values."""
    folder = tmp_path_factory.mktemp("shown")
    with shared_at(folder / ".runstore", engine) as store:
        params = {"lr": 1e-5, "layers": [64, 10], "data": {"path": "x"}, "optimizer": "adam"}
        params |= {f"p{number}": number / 8 for number in range(8)}
        run = store.start("fit", params=params, notes="first\nsecond", capture=False)
        for step in range(30):
            run.log({"train/loss": 2 / (step + 1), "system/disk_written_bytes_per_s": 2.10895e8})
        run.log({"test/acc": 0.9512345})
        run.tags["phase"] = "pilot"
        for name in "abcdef":
            run.save(f"{name}.txt", b"x" * 1000)
        run.finish()
        failed = store.start("fit", capture=False, parent="fit#1")
        failed.finish(
            "error", error="ValueError: loss is nan", traceback="Traceback\n" + "  a\n" * 30
        )
        many = store.start("many", params={f"key_{n}": n for n in range(60)}, capture=False)
        many.log({f"metric_{n}": n for n in range(20)})
        many.finish()
    return folder


def test_a_run_fits_on_a_small_screen(folder):
    lines = drawn(folder, "fit#1")

    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:2] == ["fit#1", "complete"]
    assert " ago, took " in lines[0]


def test_status_and_error_come_first_then_parameters_and_metrics(folder):
    failed = drawn(folder, "fit#2")
    whole = "\n".join(drawn(folder, "fit#1"))

    assert failed[0].split()[:2] == ["fit#2", "error"]
    assert failed[1].split(maxsplit=1) == ["error", "ValueError: loss is nan"]
    assert failed[-1] == "    a"
    assert any("… 23 lines" in line for line in failed)
    parts = ("parameters", "metrics", "tags ", "notes ", "artifacts ", "children ", "reference ")
    assert [whole.index(part) for part in parts] == sorted(whole.index(part) for part in parts)


def test_numbers_are_written_as_people_write_them(folder):
    lines = drawn(folder, "fit#1")

    (acc,) = [line.split() for line in lines if line.strip().startswith("test/acc")]
    (loss,) = [line.split() for line in lines if line.strip().startswith("train/loss")]
    assert acc == ["test/acc", "0.9512", "0.9512", "0.9512", "1"]
    assert loss[2:] == ["0.06667", "0.06667", "2", "30"]
    full = "\n".join(drawn(folder, "fit#1", "--full", columns=120))
    assert "210,895,000" in full
    assert "system/disk_written_bytes_per_s  " in full
    assert "0.951234  (1 point)" in full
    assert "e+08" not in full


def test_a_few_of_many_values_are_shown_and_the_rest_is_named(folder):
    lines = drawn(folder, "many#1")
    text = "\n".join(lines)

    assert len(lines) <= 30
    assert "36 parameters" in lines[-1]
    assert "12 metrics" in lines[-1]
    assert "--full" in lines[-1]
    assert "key_59" not in text
    assert "key_59" in "\n".join(drawn(folder, "many#1", "--full", columns=200))
    assert (
        "a.txt (1.0 kB), b.txt (1.0 kB), c.txt (1.0 kB), d.txt (1.0 kB) and 2 more"
        in "\n".join(drawn(folder, "fit#1", columns=200))
    )


def test_environment_and_edits_are_in_full_alone(tmp_path):
    code = "import runstore; runstore.start_run('captured').finish()"
    python("-c", code, cwd=tmp_path)
    with store_at(tmp_path / ".runstore") as store:
        store.edit("captured#1", notes="edited")

    for show in (
        lambda *words: runstore("show", *words, cwd=tmp_path).stdout.splitlines(),
        lambda *words: drawn(tmp_path, *words, rows=200),
    ):
        brief, full = ("\n".join(show(*words)) for words in ([], ["--full"]))
        assert "python.version" not in brief
        assert "python.version" in full
        assert "(none) → edited" not in brief
        assert "(none) → edited" in full


def test_the_command_is_the_one_that_was_typed_and_its_files_are_counted(tmp_path):
    (tmp_path / "train.py").write_text("import runstore; runstore.start_run('typed').finish()\n")
    python("train.py", "--lr", "0.1", cwd=tmp_path)

    shown = "\n".join(drawn(tmp_path))
    piped = runstore("show", cwd=tmp_path).stdout

    name = Path(sys.executable).name
    assert f"command    {name} train.py --lr 0.1" in shown
    assert f"{name} train.py --lr 0.1" in piped
    assert sys.executable not in shown
    assert re.search(r"^  untracked +1 file: ", piped, re.MULTILINE)


def test_an_experiment_is_its_newest_run(folder):
    ended = runstore("show", "fit", "--json", cwd=folder)

    assert json.loads(ended.stdout)["run_number"] == 2
    assert messages(ended) == ["runstore: fit#2 is the newest run of 'fit'."]


# The pager


def test_a_long_page_goes_through_the_pager(folder):
    lines = drawn(folder, "many#1", "--full", PAGER=PAGER)

    assert lines[0].startswith("PAGED")
    assert any("key_59" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["fit#2", "--no-pager", "--full"], {"PAGER": PAGER, "rows": 5}),
        (["fit#1"], {"PAGER": PAGER, "rows": 60}),
        (["many#1", "--full"], {"PAGER": PAGER, "TERM": "dumb"}),
        (["many#1", "--full"], {"PAGER": ""}),
        (["many#1", "--full"], {"PAGER": "no-such-program --quit"}),
        (["many#1", "--full"], {"PAGER": "'unclosed"}),
    ],
)
def test_a_page_is_printed_if_there_is_no_pager_or_no_need_of_one(folder, words, more):
    lines = drawn(folder, *words, **more)

    assert len(lines) > 10
    assert not any("PAGED" in line for line in lines)


def test_a_pager_that_is_quit_early_is_no_error(folder):
    assert drawn(folder, "many#1", "--full", PAGER="head -n 1") != []


def test_a_pipe_has_no_pager(folder):
    ended = runstore("show", "many#1", "--full", cwd=folder, env={"PAGER": PAGER})

    assert "PAGED" not in ended.stdout
    assert "key_59" in ended.stdout


@pytest.fixture(scope="module")
def odd(tmp_path_factory, engine):
    """A run whose texts are wide, combined, or meant to harm a terminal."""
    folder = tmp_path_factory.mktemp("odd")
    wide = "日本語の長い名前" * 4 + "🧪" * 9 + "e\u0301" * 30
    text = wide + "\x1b[31m\u202e"
    with shared_at(folder / ".runstore", engine) as store:
        run = store.start("odd " * 9, params={text: text, "b": [text]}, notes=text, capture=False)
        run.log({wide[:60]: 1.5})
        run.tags[text[:30]] = "x"
        run.finish("error", error=text, traceback=text)
        store.edit("latest", notes=text + text)
    return folder


@pytest.mark.parametrize("columns", [20, 33, 80, 200])
@pytest.mark.parametrize("words", [[], ["--full"], ["--history"]])
def test_odd_texts_fit_every_terminal(odd, columns, words):
    from rich.cells import cell_len

    lines = drawn(odd, *words, columns=columns, rows=500)

    assert max(map(cell_len, lines)) <= columns
    assert not any(sign in line for line in lines for sign in "\x1b\u202e")


# Recorded experiments


def test_experiments_are_listed_with_their_runs(folder):
    rows = [line.split("\t") for line in runstore("experiments", cwd=folder).stdout.splitlines()]
    found = json.loads(runstore("experiments", "--json", cwd=folder).stdout)
    lines = on_terminal("experiments", cwd=folder, columns=80, NO_COLOR="1").splitlines()

    assert rows[0] == ["experiment", "runs", "complete", "error", "newest", "started"]
    assert [row[:4] for row in rows[1:]] == [["many", "1", "1", "0"], ["fit", "2", "1", "1"]]
    assert rows[2][4].startswith("fit_2_2")
    assert found[1]["name"] == "fit"
    assert found[1]["statuses"] == {"complete": 1, "error": 1}
    assert lines[2].split()[:5] == ["fit", "2", "1", "1", "fit#2"]
    assert lines[2].rstrip().endswith("ago")


def test_a_store_without_runs_has_no_experiments(tmp_path):
    store_at(tmp_path / ".runstore").close()

    ended = runstore("experiments", cwd=tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "There are no runs yet" in ended.stderr
    assert runstore("experiments", "--json", cwd=tmp_path).stdout == "[]\n"


def test_a_shortened_traceback_begins_with_a_whole_frame(tmp_path):
    frame = '  File "train.py", line 3, in {}\n    fit(data)\n    ^^^^^^^^^\n'
    text = "Traceback (most recent call last):\n" + "".join(map(frame.format, "abcd")) + "E: no"
    with store_at(tmp_path / ".runstore") as store:
        store.record("fit", started_at=2e9 / 2, error="E: no", traceback=text)
    lines = drawn(tmp_path, "fit")
    at = lines.index("traceback")
    assert lines[at + 1].startswith("  … 7 lines above")
    assert lines[at + 2] == '    File "train.py", line 3, in c'
    assert lines[-1].strip() == "E: no"


@pytest.mark.parametrize("message", ["E: no", "E: no\n" + "detail\n" * 30])
def test_a_shortened_traceback_has_the_last_line_of_own_code(tmp_path, message):
    """The frames below it say how a package failed, but not where it was called."""
    inside = "/env/lib/python3.11/site-packages/sklearn/base.py"
    files = ["train.py", "model.py", *[inside] * 5]
    frames = (
        f'  File "{name}", line {n}, in f\n    fit(data)\n    ^^^^\n'
        for n, name in enumerate(files)
    )
    text = "Traceback (most recent call last):\n" + "".join(frames) + message
    with store_at(tmp_path / ".runstore") as store:
        store.record("fit", started_at=1e9, error="E: no", traceback=text)

    lines = [line.strip() for line in drawn(tmp_path, "fit")]

    at = lines.index("traceback")
    assert lines[at + 1 : at + 5] == [
        "… 4 lines above; --full shows all",
        'File "model.py", line 1, in f',
        "fit(data)",
        "^^^^",
    ]
    assert lines[at + 5].startswith("… ")
    assert len(lines) < at + 16
    assert lines[-1] == message.splitlines()[-1]


@pytest.mark.parametrize(("code", "is_shown"), [(3, True), (0, False)])
def test_a_failed_command_shows_the_end_of_its_output(tmp_path, code, is_shown):
    script = f"for n in 1 2 3 4 5 6 7 8 9 10; do echo line $n; done; exit {code}"
    runstore("exec", "--", "sh", "-c", script, cwd=tmp_path)
    lines = drawn(tmp_path, "sh#1")
    assert ("output" in lines) == is_shown
    if is_shown:
        at = lines.index("output")
        assert lines[at + 1 : at + 3] == [
            "  … 2 lines above; runstore output shows all",
            "  line 3",
        ]
        assert lines[-1] == "  line 10"
