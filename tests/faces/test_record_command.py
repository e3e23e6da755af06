"""runstore record: runs that are over, from the command line."""

from datetime import datetime, timedelta, timezone

import pytest

from commands import messages
from commands import runstore_here as runstore
from places import store_at
from runstore import Status
from runstore.errors import NotFoundError


def kept(folder):
    with store_at(folder / ".runstore") as store:
        return store.list().items


def test_a_run_is_recorded_with_all_that_is_said(tmp_path):
    (tmp_path / "log.txt").write_text("done\n")
    (tmp_path / ".runstore").mkdir()

    ended = runstore(
        "record", "mnist", "--started", "2025-03-01T10:30:00Z", "--took", "1 h 30 min",
        "--status", "pruned", "--set", "lr=0.1", "--set", "model.depth=3", "--metric", "acc=0.9",
        "--metric", "a=b=1e-3", "--tag", "keep", "--tag", "phase=pilot", "--notes", "old",
        "--save", "log.txt", "--command", "train.py", "--commit", "3f2a8c1", "--host", "gpu-3",
        "--error", "stopped", "--exit-code", "0", cwd=tmp_path,
    )  # fmt: skip

    (run,) = kept(tmp_path)
    assert ended.stdout == f"{run.reference}\n", ended.stderr
    assert run.started_at == datetime(2025, 3, 1, 10, 30, tzinfo=timezone.utc)
    assert (run.duration, run.status) == (timedelta(hours=1.5), Status.PRUNED)
    assert run.params == {"lr": 0.1, "model": {"depth": 3}}
    assert run.tags == {"keep": "", "phase": "pilot"}
    assert (run.notes, run.cli, run.commit, run.hostname, run.error, run.exit_code) == (
        "old", "train.py", "3f2a8c1", "gpu-3", "stopped", 0,
    )  # fmt: skip
    with store_at(tmp_path / ".runstore") as store:
        run = store.get(run.uid)
        assert {key: one.last for key, one in run.metrics.items()} == {"acc": 0.9, "a=b": 1e-3}
        assert run.read_bytes("log.txt") == b"done\n"


def test_a_run_may_have_a_parent_and_an_end_that_is_not_known(tmp_path):
    first = runstore("record", "sweep", "--started", "yesterday", cwd=tmp_path)
    ended = runstore(
        "record", "mnist", "--started", "3 days ago", "--parent", "sweep#1", cwd=tmp_path
    )

    shown = runstore("show", "mnist#1", cwd=tmp_path).stdout

    assert (first.returncode, ended.returncode) == (0, 0)
    assert f"parent   {first.stdout}" in shown
    assert "so far" not in shown
    assert "took" not in shown
    # Newest first, by the start.
    listed = runstore("ls", cwd=tmp_path).stdout.splitlines()[1:]
    assert [line.split("\t")[0] for line in listed] == [
        first.stdout.strip(), ended.stdout.strip(),
    ]  # fmt: skip
    assert [line.split("\t")[3] for line in listed] == ["", ""]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--started", "some day"], "--started: 'some day' is not a date or time."),
        (["--started", "2025", "--ended", "25:00"], "--ended: '25:00' is not a date or time."),
        (
            ["--started", "2025", "--took", "long"],
            "--took: expected a duration with its unit, got 'long'.",
        ),
        (["--started", "2025", "--took", "1", "--ended", "2026"], "both set the end"),
        (["--started", "2025", "--ended", "2024"], "The run ended before it started"),
        (["--started", "2999"], "started_at is in the future: 2999-01-01"),
        (["--started", "2025", "--metric", "acc"], "--metric: expected KEY=NUMBER, got 'acc'."),
        (
            ["--started", "2025", "--metric", "acc=high"],
            "--metric: expected KEY=NUMBER, got 'acc=high'.",
        ),
        (["--started", "2025", "--save", "gone.txt"], "cannot be read"),
        (["--started", "2025", "--tag", "-x"], "cannot be a tag"),
    ],
)
def test_mistakes_get_one_clear_message_and_record_nothing(tmp_path, arguments, said):
    ended = runstore("record", "mnist", *arguments, cwd=tmp_path)

    assert ended.returncode
    assert said in messages(ended)[0]
    assert kept(tmp_path) == ()


def test_metrics_and_files_are_added_to_a_run_that_is_over(tmp_path):
    (tmp_path / "plots").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "plots" / name).write_text(name)
    runstore("record", "mnist", "--started", "2025", "--metric", "acc=0.5", cwd=tmp_path)

    first = runstore("metric", "acc=0.75", "test/acc=0.7", "--run", "mnist#1", cwd=tmp_path)
    runstore("metric", "acc=1", "--step", "9", "--run", "mnist#1", cwd=tmp_path)
    saved = runstore("save", "plots", "--run", "mnist#1", cwd=tmp_path)
    again = runstore("save", "plots/a.txt", "plots/b.txt", "--run", "mnist#1", cwd=tmp_path)

    assert (first.returncode, first.stderr) == (0, "")
    assert saved.stdout.splitlines() == ["plots/a.txt", "plots/b.txt"]
    assert again.stdout.splitlines() == ["plots/b.txt"]
    with store_at(tmp_path / ".runstore") as store:
        run = store.get("mnist#1")
        points = [(step, value) for step, _, value in run.metric("acc")]
        assert points == [(0, 0.5), (1, 0.75), (9, 1.0)]
        assert run.metrics["test/acc"].last == 0.7
        assert run.read_bytes("plots/b.txt") == b"a.txt"
        assert (run.status, run.ended_at) == (Status.COMPLETE, None)


def test_best_and_why_go_by_recorded_runs(tmp_path):
    march = datetime(2025, 3, 1, tzinfo=timezone.utc)
    with store_at(tmp_path / ".runstore") as store:
        for lr, base in ((0.1, 0.8), (0.5, 0.5)):
            for seed in range(4):
                store.record(
                    "fit",
                    started_at=march,
                    params={"lr": lr, "seed": seed},
                    metrics={"acc": base + seed / 100},
                )
        store.record(
            "fit", started_at=march, params={"lr": 9, "seed": 0}, metrics={"acc": 1},
            status="pruned",
        )  # fmt: skip

    ended = runstore("best", "fit", "-m", "acc", cwd=tmp_path)
    why = runstore("why", "fit#1", "fit#5", cwd=tmp_path)

    assert [line.split("\t")[1] for line in ended.stdout.splitlines()[1:]] == ["lr=0.1", "lr=0.5"]
    assert "not complete (pruned)" in ended.stderr
    assert why.stdout.splitlines()[1].split("\t")[1:4] == ["params.lr", "0.1", "0.5"]


@pytest.mark.parametrize(
    "words",
    [
        ["save", "--run", "mnist#1", "gone file", "x.txt"],
        ["exec", "--save", "gone.txt", "--", "true"],
    ],
)
def test_a_missing_file_is_no_text(tmp_path, words):
    """A path on the command line is never the contents, so Python's way for these is no help."""
    with store_at(tmp_path / ".runstore") as store:
        store.start("mnist", capture=False).finish()

        ended = runstore(*words, cwd=tmp_path)

        assert "cannot be read: No such file" in ended.stderr
        assert "run.save" not in ended.stderr
        assert not store.get("latest").artifacts
        with pytest.raises(NotFoundError, match="To save a text itself"):
            store.add("mnist#1", artifacts={"x.bin": "gone"})
