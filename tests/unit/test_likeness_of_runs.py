"""What differs between two runs, and what cannot be compared."""

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from runstore import Status, Store, parameter_set
from runstore.analysis.compare.differences import MISSING
from runstore.analysis.reruns.similarity import likeness_of_kept
from runstore.analysis.reruns.subjects import ComparedRun
from runstore.model.facts import Facts
from runstore.model.run import Run
from runstore.reading.names import with_source

FACTS = {
    "git.dirty": False,
    "git.remote": "origin",
    "git.root": "/repo",
    "command.cwd": "/repo",
    "command.argv": ("python", "train.py"),
    "untracked.others": ("m1 new.py",),
    "untracked.ignored": ("i1 local.py",),
}
PATCH = """\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-a = 1
+a = {}
"""
RUN = Run(
    uid="u1",
    experiment_name="fit",
    run_number=1,
    reference="fit_1",
    timestamp="2026-11-23-T101500",
    status=Status.COMPLETE,
    started_at=datetime(2026, 11, 23, tzinfo=timezone.utc),
    parameter_sets=(parameter_set({"lr": 0.1}),),
    commit="c1",
    facts=Facts(values=FACTS),
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("likeness")) as store:
        yield store.backend


def subject(texts=None, *, unknown=None, without=(), facts=None, **changes):
    """Return a run like `RUN` but for some things, with its captured texts."""
    values = {key: one for key, one in {**FACTS, **(facts or {})}.items() if key not in without}
    run = replace(RUN, facts=Facts(values=values, unknown=unknown or {}), **changes)
    texts = texts or {}
    return ComparedRun(run, {name: f"h{text}" for name, text in texts.items()}, texts.get)


def likeness(backend, *subjects):
    """Compare two runs as a store gives them, which has no products of either."""
    kept = with_source(backend, [one.run for one in subjects])
    old, new = (replace(one, run=run) for one, run in zip(subjects, kept, strict=True))
    return likeness_of_kept(backend, old, new)


def found(backend, old, new):
    """Return what differs, by name, and what cannot be compared."""
    similar = likeness(backend, old, new)
    return {one.name: one.values for one in similar.differences}, list(similar.unknown)


def test_runs_that_are_equal_in_all_that_counts_are_the_same(backend):
    assert found(backend, subject(), subject(uid="u2", notes="other")) == ({}, [])
    assert likeness(backend, subject(), subject()).is_same


def test_parameters_that_differ_are_named(backend):
    other = subject(parameter_sets=(parameter_set({"lr": 0.2, "seed": 1}),))

    assert found(backend, subject(), other)[0] == {
        "params.lr": (0.1, 0.2),
        "params.seed": (MISSING, 1),
    }


def test_equal_values_with_other_hashes_are_no_equal_parameters(backend):
    one = parameter_set({"lr": 0.1})._replace(hash="0" * 32)

    differences, _ = found(backend, subject(), subject(parameter_sets=(one,)))

    assert differences == {"params.(hash)": (RUN.parameter_sets[0].hash, "0" * 32)}


def test_values_that_were_not_kept_are_not_known(backend):
    one = RUN.parameter_sets[0]._replace(tree=None)

    assert found(backend, subject(), subject(parameter_sets=(one,))) == (
        {},
        ["not all parameter values are known"],
    )


def test_of_two_commits_the_files_do_not_count(backend):
    other = subject({"patch": PATCH.format(2)}, commit="c2", facts={"git.dirty": True})

    assert found(backend, subject(), other) == ({"code.commit": ("c1", "c2")}, [])


def test_changed_files_of_one_commit_are_named(backend):
    old = subject({"patch": PATCH.format(2)}, facts={"git.dirty": True})
    new = subject({"patch": PATCH.format(3)}, facts={"git.dirty": True})

    differences, unknown = found(backend, old, new)

    assert (list(differences), unknown) == (["code.train.py"], [])
    before, after = differences["code.train.py"]
    assert before != after
    assert before.startswith("uncommitted ")
    assert found(backend, subject(), new)[0]["code.train.py"] == (MISSING, after)
    assert found(backend, old, old) == ({}, [])


def test_new_files_are_named_by_their_text(backend):
    texts = [{"untracked": json.dumps({"a.py": text, "same.py": "x"})} for text in ("1", "2")]

    differences, _ = found(backend, subject(texts[0]), subject(texts[1]))

    assert list(differences) == ["code.a.py"]


@pytest.mark.parametrize(
    ("fact", "lines", "expected"),
    [
        ("untracked.others", ("m2 new.py",), {"code.new.py": ("m1", "m2")}),
        ("untracked.others", (), {"code.new.py": ("m1", MISSING)}),
        (
            "untracked.ignored",
            ("i1 local.py", "i2 more.py"),
            {"code.more.py": (MISSING, "i2")},
        ),
    ],
)
def test_files_without_a_text_are_told_apart_by_fingerprints(backend, fact, lines, expected):
    assert found(backend, subject(), subject(facts={fact: lines}))[0] == expected


def test_new_files_that_are_not_code_do_not_count(backend):
    texts = {"untracked": json.dumps({"out.csv": "1"})}
    new = subject(texts, facts={"untracked.others": ("m1 new.py", "m3 weights.npy")})

    assert found(backend, subject(), new) == ({}, [])


def test_ignored_files_count_only_where_both_were_read(backend):
    assert found(backend, subject(without=["untracked.ignored"]), subject()) == ({}, [])


def test_modules_that_a_command_imports_count(backend):
    old = subject({"modules.imported": json.dumps({"helper": ["/a.py", "m1"]})})
    new = subject({"modules.imported": json.dumps({"helper": ["/b.py", "m2"]})})

    assert found(backend, old, new)[0] == {"code.helper": ("m1", "m2")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": None}, "no commit was recorded"),
        ({"commit": None, "unknown": {"git.commit": "no repository"}}, "no repository"),
        ({"without": ["git.dirty"]}, "whether it had changes was not recorded"),
        ({"facts": {"git.dirty": True}, "without": ["git.remote"]}, "its changes were not read"),
    ],
)
def test_code_that_is_not_known_is_no_same_code(backend, changes, said):
    assert found(backend, subject(**changes), subject()) == (
        {},
        [f"its code is not known: {said}"],
    )
    assert found(backend, subject(), subject(**changes)) == (
        {},
        [f"the code is not known: {said}"],
    )


def test_another_program_is_another_run(backend):
    other = subject(facts={"command.argv": ("python", "eval.py")})

    differences, _ = found(backend, subject(), other)

    assert list(differences) == ["command.program"]
