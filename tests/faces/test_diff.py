"""runstore diff and compare: what differs between runs, their code as git had it."""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from commands import git, messages, on_terminal, python
from commands import runstore_here as runstore
from places import place, shared_at, store_at
from runstore import background
from runstore.analysis.compare.code import code_changes
from runstore.analysis.compare.comparison import compare_runs

BODY = "".join(f"line {number}\n" for number in range(20))
SETS = [{"name": "a", "lr": 1}, {"name": "b", "lr": 1}]
OTHER_SETS = [{"name": "a", "lr": 1}, {"name": "b", "lr": 1.0}]
HOSTILE = ['say "hi".py', "tab\there.py", "\x1b[31mred.py", "new\nline.py", "-rf", "ünï .py"]


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A repository with one commit, to be copied."""
    folder = tmp_path_factory.mktemp("committed")
    git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text(BODY)
    (folder / "keep.py").write_text("same\n")
    commit(folder)
    return folder


@pytest.fixture
def repository(committed, tmp_path, monkeypatch):
    """A repository with a store, and this process in it."""
    folder = shutil.copytree(committed, tmp_path / "repo")
    monkeypatch.chdir(folder)
    return folder


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "more")


def record(folder, experiment="fit", **more):
    """Record one run of the code as it is now, and what it logs."""
    logged = more.pop("logged", {})
    with store_at(folder / ".runstore") as store:
        with store.start(experiment, **more) as run:
            run.log(logged)
        return run.reference


def told(*arguments, cwd):
    ended = runstore(*arguments, "--json", cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def files(cwd, *more):
    return {
        one["new_path"] or one["old_path"]: one
        for one in told("diff", "fit#1", "fit#2", *more, cwd=cwd)["code"]["files"]
    }


def names(found):
    return [f"{one['section']}.{one['key']}" for one in found["differences"]]


def unstyled(drawn):
    return re.sub(r"\x1b\[[0-9;]*m", "", drawn)


# Parameters and the rest


def test_types_and_nesting_count(tmp_path):
    record(
        tmp_path, capture=False, params={"lr": 1, "layers": [1, 2], "options": {"C": 1, "same": 0}}
    )
    record(
        tmp_path,
        capture=False,
        params={"lr": 1.0, "layers": [1, 3], "options": {"C": True, "same": 0}},
    )

    shown = runstore("diff", "fit#1", "fit#2", "--only", "params", cwd=tmp_path).stdout
    everything = runstore("diff", "fit#1", "fit#2", "--only", "params", "--full", cwd=tmp_path)

    assert [line.split("\t")[1:4] for line in shown.splitlines()[1:]] == [
        ["layers[1]", "2", "3"],
        ["lr", "1", "1.0"],
        ["options.C", "1", "True"],
    ]
    assert "options.same\t0\t0" in everything.stdout


def test_sets_are_told_by_their_names(tmp_path):
    record(tmp_path, capture=False, params=SETS)
    record(tmp_path, capture=False, params=OTHER_SETS)

    found = told("diff", "fit#1", "fit#2", "--only", "params", cwd=tmp_path)

    assert found["differences"] == [
        {"section": "params", "key": "b/lr", "values": [1, 1.0], "missing": [], "unknown": []}
    ]
    assert type(found["differences"][0]["values"][1]) is float


def test_single_sets_are_compared_whatever_they_are_called(tmp_path):
    record(tmp_path, capture=False, params={"name": "small", "lr": 1})
    record(tmp_path, capture=False, params={"name": "large", "lr": 1})

    found = told("diff", "fit#1", "fit#2", "--only", "params", cwd=tmp_path)

    assert names(found) == ["params.(set)", "params.name"]


def test_metrics_tell_the_size_of_a_change(tmp_path):
    record(tmp_path, capture=False, logged={"loss": 2.0, "same": 1.0, "system/cpu": 1.0})
    record(tmp_path, capture=False, logged={"loss": 1.0, "same": 1.0, "system/cpu": 2.0})

    found = told("diff", "fit#1", "fit#2", "--only", "metrics", cwd=tmp_path)
    whole = told("diff", "fit#1", "fit#2", "--only", "metrics", "--full", cwd=tmp_path)
    chosen = told("diff", "fit#1", "fit#2", "--only", "metrics", "-m", "same", cwd=tmp_path)

    assert names(found) == ["metrics.loss"]
    assert found["differences"][0]["change"] == {"absolute": -1.0, "relative": -0.5}
    assert {"metrics.loss.min", "metrics.loss.max", "metrics.system/cpu"} <= set(names(whole))
    assert names(chosen) == ["metrics.same"]


def test_every_section_is_compared(repository):
    data = repository / "data.csv"
    for number in (1, 2):
        data.write_text("1\n" * number)
        with store_at(".runstore") as store:
            with store.start(
                f"fit{number}", params={"a": number}, notes=f"n{number}", cli=f"t {number}"
            ) as run:
                run.use("data.csv")
                run.save("out.txt", str(number).encode())
                run.log(loss=number)
            store.tag(run.reference, {"phase": str(number)})
        (repository / "train.py").write_text(f"{number}\n")

    found = told("diff", "fit1#1", "fit2#1", cwd=repository)

    assert {"status.experiment", "params.a", "code.changes", "inputs.data.csv"} <= set(
        names(found)
    )
    assert {"command.command", "metrics.loss", "artifacts.out.txt"} <= set(names(found))
    assert {"tags.phase", "notes.notes"} <= set(names(found))
    sizes = [one["values"] for one in found["differences"] if one["section"] == "inputs"]
    assert [one["size_bytes"] for one in sizes[0]] == [2, 4]


def test_packages_and_facts_are_compared(repository):
    first, second = record(repository), record(repository)
    packages = "Scikit_Learn==1.3.0\nsame==1\n"
    change_facts(repository, first, packages, {"gpu.names": ["A100"]})
    change_facts(repository, second, packages.replace("1.3.0", "1.4.0"), {"gpu.names": ["H100"]})

    found = told("diff", first, second, "--only", "packages,environment", cwd=repository)

    assert [(one["key"], one["values"]) for one in found["differences"]] == [
        ("scikit-learn", ["1.3.0", "1.4.0"]),
        ("gpu.names", [["A100"], ["H100"]]),
    ]


def test_links_in_a_folder_are_one_interpreter(repository):
    names = ("python", "python3", "python3.12", "pypy3")
    runs = [record(repository) for _ in names]
    for run, name in zip(runs, names, strict=True):
        change_facts(repository, run, "", {"python.executable": f"/opt/bin/{name}"})

    same = told("diff", *runs[:2], "--only", "environment", cwd=repository)
    also = told("diff", *runs[1:3], "--only", "environment", cwd=repository)
    other = told("diff", *runs[2:], "--only", "environment", cwd=repository)

    assert [len(one["differences"]) for one in (same, also, other)] == [0, 0, 1]


def change_facts(folder, reference, packages, values):
    """Replace what was captured: another machine is not at hand."""
    from runstore.model.facts import Facts

    with store_at(folder / ".runstore") as store:
        facts = Facts(
            values={
                name: tuple(value) if isinstance(value, list) else value
                for name, value in values.items()
            },
            documents={"packages": packages},
        )
        store.backend.database.attach_facts(store.get(reference).uid, facts)


# Code


def test_commits_changes_and_new_files_are_one_patch(repository, tmp_path):
    """Git is the judge: the patch turns the code of the first run into that of the second."""
    (repository / "train.py").write_text(BODY.replace("line 3\n", "first change\n"))
    (repository / "new.py").write_text("untracked then\n")
    (repository / "keep.py").chmod(0o755)
    record(repository)
    shutil_copy(repository, tmp_path / "first")
    commit(repository)
    (repository / "train.py").unlink()
    (repository / "moved.py").write_text(BODY.replace("line 15\n", "second change\n"))
    (repository / "link").symlink_to("train.py")
    commit(repository)
    (repository / "moved.py").write_text(BODY.replace("line 15\n", "third change") + "no end")
    (repository / "sub").mkdir()
    (repository / "sub" / "späť.py").write_text("untracked now")
    record(repository)

    patch = runstore("diff", "fit#1", "fit#2", "--only", "code", cwd=repository).stdout
    (tmp_path / "p.patch").write_text(patch)
    subprocess.run(["git", "apply", "../p.patch"], cwd=tmp_path / "first", check=True)

    assert content_of(tmp_path / "first") == content_of(repository)
    found = files(repository)
    assert {path: one["kind"] for path, one in found.items()} == {
        "moved.py": "renamed",
        "link": "added",
        "sub/späť.py": "added",
    }


def shutil_copy(source, to):
    import shutil

    shutil.copytree(source, to, symlinks=True, ignore=shutil.ignore_patterns(".git", ".runstore"))


def content_of(folder):
    """Return mode and contents of each file, links as they are."""
    return {
        str(file.relative_to(folder)): (
            file.lstat().st_mode & 0o111,
            file.readlink() if file.is_symlink() else file.read_bytes(),
        )
        for file in folder.rglob("*")
        if (file.is_file() or file.is_symlink())
        and not {".git", ".runstore"} & set(file.relative_to(folder).parts)
    }


def test_nothing_of_the_checkout_is_touched(repository):
    record(repository)
    (repository / "train.py").write_text("other\n")
    (repository / "staged.py").write_text("staged\n")
    git(repository, "add", "staged.py")
    record(repository)
    before = {
        file: (file.stat().st_mtime_ns, file.read_bytes())
        for file in repository.rglob("*")
        if file.is_file() and ".runstore" not in file.parts
    }

    assert set(files(repository)) == {"train.py", "staged.py"}

    after = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in before}
    present = {
        file for file in repository.rglob("*") if file.is_file() and ".runstore" not in file.parts
    }
    assert after == before
    assert present == set(before)


COMPARED = """
import os, signal, sys
from runstore.analysis.compare import git_diff
from runstore.analysis.compare.file_versions import FileState
if sys.argv[1:]: git_diff.run_git = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
old, new = (FileState(text, text, "100644") for text in ("old\\n", "new\\n"))
((_, lines),) = git_diff.compared({"a.py": old}, {"a.py": new}).items()
print(lines.added, lines.removed)
"""


def _compared(folder, *words):
    return python("-c", COMPARED, *words, cwd=folder, env={**os.environ, "TMPDIR": str(folder)})


def test_files_of_a_killed_comparison_are_removed_by_the_next_one(tmp_path):
    assert _compared(tmp_path, "killed").returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir())

    ended = _compared(tmp_path)

    assert ended.stdout == "1 1\n", ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_committed_meanwhile_is_no_difference(repository):
    (repository / "new.py").write_text("x\n")
    (repository / "train.py").write_text("y\n")
    record(repository)
    commit(repository)
    record(repository)

    found = told("diff", "fit#1", "fit#2", cwd=repository)

    assert found["code"]["files"] == []
    assert {"code.commit", "code.changes", "code.new files"} <= set(names(found))


def test_what_is_no_text_is_only_named(repository):
    (repository / "net.bin").write_bytes(b"\0\1")
    (repository / "big.txt").write_text("x\n" * 600_000)
    (repository / "latin.txt").write_bytes(b"caf\xe9\n")
    commit(repository)
    record(repository)
    (repository / "net.bin").write_bytes(b"\0\2")
    (repository / "big.txt").write_text("y\n" * 600_000)
    (repository / "latin.txt").write_bytes(b"caf\xe8\n")
    commit(repository)
    record(repository)

    found = files(repository)

    assert [one["remark"] for one in found.values()] == [
        "over 1 MB; 1,200,000 bytes",
        "other bytes that are not UTF-8",
        "binary; 2 bytes",
    ]
    assert [one["added"] for one in found.values()] == [0, 0, 0]


def test_changes_of_binary_files_are_named(repository):
    (repository / "net.bin").write_bytes(b"\0\1")
    commit(repository)
    record(repository)
    (repository / "net.bin").write_bytes(b"\0\2")
    (repository / "train.py").write_text("beside\n")
    record(repository)

    found = files(repository)

    assert "binary" in found["net.bin"]["remark"]
    assert found["train.py"]["added"] == 1


def test_lines_of_data_are_counted_and_artifacts_named(repository):
    """A pipe still gets the whole patch."""
    rows = "".join(f"{number},{number}\n" for number in range(50))
    with store_at(".runstore") as store, store.start("fit") as run:
        run.save("found.yaml", rows.encode())
    for name in ("found.yaml", "other.csv", "more.py"):
        (repository / name).write_text(rows if name == "found.yaml" else f"1\n{rows}")
    git(repository, "add", "other.csv")
    record(repository)

    shown = unstyled(on_terminal("diff", "fit#1", "fit#2", cwd=repository, columns=200))
    patch = runstore("diff", "fit#1", "fit#2", cwd=repository).stdout
    remarks = {name: one["remark"] for name, one in files(repository).items()}

    assert remarks == {
        "found.yaml": f"an artifact of {run.reference}", "other.csv": "", "more.py": "",
    }  # fmt: skip
    assert shown.count("+7,7\r\n") == 2
    assert f"(an artifact of {run.reference})" in shown
    assert "(51 lines of data)" in shown
    assert patch.count("+7,7\n") == 3


def test_hostile_names_are_harmless_and_exact(repository, tmp_path):
    record(repository)
    for name in HOSTILE:
        (repository / name).write_text("\x1b[2J\n")
    commit(repository)
    record(repository)

    shown = unstyled(on_terminal("diff", "fit#1", "fit#2", cwd=repository, columns=80))
    patch = runstore("diff", "fit#1", "fit#2", "--only", "code", cwd=repository).stdout
    clean = tmp_path / "clean"
    clean.mkdir()
    subprocess.run(["git", "apply"], cwd=clean, input=patch, text=True, check=True)

    assert set(files(repository)) == set(HOSTILE)
    assert sorted(one.name for one in clean.iterdir()) == sorted(HOSTILE)
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown


def test_a_commit_that_is_an_option_is_not_given_to_git(repository):
    block = {"commit": "--output=owned", "status": "complete"}
    with store_at(".runstore") as store:
        for number in (1, 2):
            with store.start("fit", capture=False) as run:
                pass
            change_commit(store, run.uid, f"{block['commit']}{number}")
        found = code_changes(store.backend, store.get("fit#1"), store.get("fit#2"))

    assert not found.is_known
    assert "is not a git commit" in found.remarks[0]
    assert not list(repository.glob("owned*"))


def change_commit(store, uid, commit):
    """Write a commit into the database as only another program would."""
    with store.backend.database.driver.write() as connection:
        changed = {"uid": uid, "commit": commit}
        connection.execute("UPDATE runs SET commit_hash = :commit WHERE uid = :uid", changed)


def test_commits_that_are_gone_are_said_and_the_changes_compared(repository):
    record(repository)
    (repository / "train.py").write_text("changed\n")
    (repository / "new.py").write_text("new\n")
    record(repository)
    subprocess.run(["rm", "-rf", ".git"], cwd=repository, check=True)
    git(repository, "init", "-q")

    found = told("diff", "fit#1", "fit#2", cwd=repository)["code"]
    ended = runstore("diff", "fit#1", "fit#2", cwd=repository)

    assert not found["is_known"]
    assert [one["new_path"] for one in found["files"]] == ["new.py", "train.py.patch"]
    assert "was not found in any known repository" in ended.stderr
    assert "instead" in messages(ended)[0]


def test_the_repository_is_found_from_anywhere(repository, tmp_path):
    record(repository)
    (repository / "train.py").write_text("changed\n")
    record(repository)

    ended = runstore(
        "--store",
        place(repository / ".runstore"),
        "diff",
        "fit#1",
        "fit#2",
        "--stat",
        cwd=tmp_path,
    )

    assert ended.stdout.splitlines()[1].split("\t")[:3] == ["train.py", "1", "20"]


def test_without_git_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record(tmp_path)
    record(tmp_path)

    ended = runstore("diff", "fit#1", "fit#2", "--only", "code", cwd=tmp_path)

    assert ended.returncode == 0
    assert ended.stdout == ""
    assert "not in a git repository" in ended.stderr


def test_without_capture_nothing_is_made_up(tmp_path):
    record(tmp_path, capture=False, params={"lr": 1})
    record(tmp_path, capture=False, params={"lr": 2})

    found = told("diff", "fit#1", "fit#2", cwd=tmp_path)

    assert set(names(found)) == {"params.lr"}
    assert {one["what"] for one in found["unknown"]} >= {"code", "packages"}


def test_what_one_run_does_not_know_is_said(repository):
    record(repository)
    record(repository, capture=False)

    ended = runstore("diff", "fit#1", "fit#2", cwd=repository)

    assert "packages of fit#2 cannot be compared: they were not captured." in ended.stderr
    assert "packages" not in ended.stdout


def test_masked_secrets_are_said_and_no_difference(repository):
    (repository / "train.py").write_text('password = "hunter2hunter2"\na\nb\nc\n')
    commit(repository)
    record(repository)
    (repository / "train.py").write_text('password = "hunter2hunter2"\na\nb\nchanged\n')
    record(repository)

    found = told("diff", "fit#1", "fit#2", cwd=repository)["code"]

    assert [one["diff"].splitlines()[-2:] for one in found["files"]] == [["-c", "+changed"]]
    assert "secrets in its changes were masked" in found["remarks"][0]


def test_no_code_asks_nothing(repository):
    record(repository)
    (repository / "train.py").write_text("changed\n")
    record(repository)

    found = told("diff", "fit#1", "fit#2", "--no-code", cwd=repository)

    assert found["code"] is None
    assert "code.changes" in names(found)


# Runs of all kinds


def test_a_run_is_the_same_as_itself(repository):
    record(repository)

    ended = runstore("diff", "fit#1", "latest", cwd=repository)

    assert ended.stdout == ""
    assert "refer to run fit_1" in ended.stderr


def test_a_live_run_can_be_compared(repository):
    record(repository, params={"lr": 1})
    with (
        store_at(".runstore") as store,
        store.start("fit", params={"lr": 2}, live=True) as run,
    ):
        run.log(loss=1.0)
        found = told("compare", "fit#1", "fit#2", "--only", "params,status", cwd=repository)
        rows = {one["key"]: one for one in found["differences"]}

    assert rows["lr"]["values"] == [1, 2]
    assert rows["status"]["values"] == ["complete", "live"]


def test_metrics_of_more_than_two_runs_are_json(repository):
    for number in range(3):
        record(repository, capture=False, logged={"loss": float(number)})

    found = told("compare", "fit#1", "fit#2", "fit#3", "--only", "metrics", cwd=repository)

    (loss,) = (one for one in found["differences"] if one["key"] == "loss")
    assert loss["values"] == [0.0, 1.0, 2.0]
    assert "change" not in loss


def test_compare_has_a_column_for_each_run(tmp_path):
    for lr in (1, 2, 2):
        record(tmp_path, capture=False, params={"lr": lr, "same": 0}, logged={"loss": 1.0 / lr})

    lines = runstore("compare", "fit#1", "fit#2", "fit#3", "--only", "params", cwd=tmp_path)
    turned = runstore(
        "compare", "fit#1", "fit#2", "fit#3", "--only", "params,metrics", "--transpose",
        cwd=tmp_path,
    )  # fmt: skip

    rows = [line.split("\t") for line in lines.stdout.splitlines()]
    assert rows[1:] == [["params.lr", "1", "2", "2"]]
    assert [name[:6] for name in rows[0]] == ["", "fit_1_", "fit_2_", "fit_3_"]
    rows = [line.split("\t") for line in turned.stdout.splitlines()]
    assert rows[0] == ["", "params.lr", "metrics.loss"]
    assert [row[1:] for row in rows[1:]] == [["1", "1"], ["2", "0.5"], ["2", "0.5"]]


@pytest.fixture(scope="module")
def nine(tmp_path_factory, engine):
    """A folder with nine runs, which nobody changes."""
    folder = tmp_path_factory.mktemp("nine")
    shared_at(folder / ".runstore", engine).close()
    for lr in range(9):
        params = {"lr": lr, "a_long_parameter_name": "x" * 70 + str(lr)}
        record(folder, params=params, capture=False)
    return folder


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("more", [(), ("--transpose",)])
def test_no_run_is_left_out_on_a_narrow_terminal(nine, columns, more):
    runs = [f"fit#{number}" for number in range(1, 10)]

    shown = unstyled(
        on_terminal("compare", *runs, "--only", "params", *more, cwd=nine, columns=columns)
    )

    for number in range(1, 10):
        assert re.search(rf"\bfit#{number}\b", shown), shown
    assert max(map(len, shown.splitlines())) <= columns
    # Long values are cut such that they still differ.
    assert [f"xx{lr}'" in shown for lr in range(9)] == [True] * 9


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_diff_shows_both_values_whole_on_any_terminal(repository, columns):
    record(repository, params={"text": "a" * 100}, logged={"loss": 2.0}, notes="one\ntwo")
    record(repository, params={"text": "b" * 100}, logged={"loss": 1.0})

    shown = unstyled(on_terminal("diff", "fit#1", "fit#2", cwd=repository, columns=columns))

    assert shown.count("a") >= 100
    assert shown.count("b") >= 100
    assert "2 → 1  (-1, -50 %)" in shown
    assert max(map(len, shown.splitlines())) <= columns


# From Python


def test_a_comparison_is_a_table(repository):
    pandas = pytest.importorskip("pandas")
    record(repository, params={"lr": 1, "kind": "a"}, logged={"loss": 1.0})
    record(repository, params={"lr": 1.0, "kind": "<b>"})

    with store_at(".runstore") as store:
        found = compare_runs(store.backend, ["fit#1", "fit#2"], sections=("params", "metrics"))
        frame = found.to_pandas()
        references = [run.reference for run in found.runs]

    assert list(frame.index) == references
    assert list(frame.columns) == [("params", "kind"), ("params", "lr"), ("metrics", "loss")]
    assert [type(value) for value in frame["params", "lr"]] == [int, float]
    assert frame["metrics", "loss"].dtype == float
    assert pandas.isna(frame["metrics", "loss"].iloc[1])
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert dict(found.__rich_repr__())["params.lr"] == ("1", "1.0")
    assert repr(found) == "<Comparison of 2 runs: 3 differences>"


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["diff", "fit#1", "fit#9"], 3, "fit#9"),
        (["diff", "fit#1"], 2, "B"),
        (["diff", "fit#1", "fit#2", "--only", "param"], 2, "Did you mean 'params'?"),
        (["diff", "fit#1", "fit#2", "-m", "los"], 3, "Did you mean 'loss'?"),
        (["diff", "fit#1", "fit#2", "--stat", "--no-code"], 2, "--no-code"),
        (["compare", "fit#1"], 2, "two runs"),
        (["compare"], 2, "RUN"),
    ],
)
def test_mistakes_are_told(tmp_path, arguments, code, said):
    record(tmp_path, capture=False, logged={"loss": 1})
    record(tmp_path, capture=False, logged={"loss": 2})

    ended = runstore(*arguments, cwd=tmp_path)

    assert ended.returncode == code
    assert said in "\n".join(messages(ended))


def test_a_patch_in_a_pipe_applies_beside_what_lines_cannot_say(repository):
    """A binary file or one that is not UTF-8 is named, and the rest can be applied."""
    (repository / "a.bin").write_bytes(b"\0\1binary")
    (repository / "latin.txt").write_bytes(b"caf\xe9\n")
    commit(repository)
    record(repository)
    (repository / "a.bin").write_bytes(b"\0\2binary")
    (repository / "latin.txt").write_bytes(b"caf\xe9s\n")
    (repository / "keep.py").write_text("other\n")
    commit(repository)
    record(repository)

    ended = runstore("diff", "fit#1", "fit#2", cwd=repository)
    patch = ended.stdout[ended.stdout.index("diff --git") :]
    git(repository, "checkout", "-q", "HEAD~1")
    subprocess.run(["git", "apply"], cwd=repository, input=patch, text=True, check=True)

    assert (repository / "keep.py").read_text() == "other\n"
    assert [line.split("(")[0] for line in messages(ended) if "Not in the patch" in line] == [
        "runstore: Not in the patch: a.bin ",
        "runstore: Not in the patch: latin.txt ",
    ]


# Code that is no UTF-8, and facts that come late


def test_the_lines_of_a_latin_1_file_are_compared(repository):
    (repository / "old.py").write_bytes(b"# caf\xe9\nx = 1\n")
    commit(repository)
    record(repository)
    (repository / "old.py").write_bytes(b"# caf\xe9\nx = 2\n")
    record(repository)

    (found,) = files(repository).values()

    assert (found["added"], found["removed"]) == (1, 1)
    assert "-x = 1\n+x = 2\n" in found["diff"]


def test_a_binary_change_that_was_committed_since_is_no_difference(repository):
    (repository / "x.bin").write_bytes(b"\0one")
    commit(repository)
    (repository / "x.bin").write_bytes(b"\0two")
    record(repository)
    commit(repository)
    record(repository)

    assert files(repository) == {}


def test_what_has_not_been_read_yet_is_no_difference(repository, monkeypatch):
    record(repository)
    (repository / "train.py").write_text("other\n")
    with store_at(repository / ".runstore") as store:
        monkeypatch.setattr(background, "do_later", lambda _: None)
        store.start("fit").finish()

        found = compare_runs(store.backend, ["fit#1", "fit#2"])

        assert [one.name for one in found if one.section == "environment"] == []
        assert [one.name for one in found if one.section == "packages"] == []
