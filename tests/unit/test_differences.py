"""What differs: types count, the unknown differs from nothing; patches are read and applied."""

import math
import os
import subprocess
import tempfile
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from commands import git
from runstore.analysis.compare.code_changes import changes_between
from runstore.analysis.compare.differences import (
    MISSING,
    Difference,
    Unknown,
    differences,
    gaps,
    identity,
)
from runstore.analysis.compare.file_versions import FileState
from runstore.analysis.compare.leaf_values import leaves
from runstore.analysis.compare.texts import change_between, texts_of
from runstore.analysis.explain.judging import Evidence, Judgement
from runstore.analysis.explain.ranking import most_changed, ranked
from runstore.analysis.explain.rules import Setting
from runstore.model.code.patches import PatchError, apply_patch, parse_patch, quoted, unquoted
from runstore.model.params.build import parameter_set
from runstore.storage.files import temporary
from strategies import parameter_mappings, parameter_values


class Color(Enum):
    RED = 1


def leaves_of(values):
    return leaves(parameter_set(values).tree)


# Values


DIFFERENT = [
    1, 1.0, True, "1", None, MISSING, math.nan, 0.0, -0.0, "", (1, 2), {1, 2}, {"a": 1},
    Decimal("1.0"), Decimal("1.00"), PurePosixPath("a"), "a", timedelta(1), b"a", 10**5000,
]  # fmt: skip


def test_values_of_other_types_are_different():
    assert len({identity(value) for value in DIFFERENT}) == len(DIFFERENT)


@given(parameter_values)
def test_a_value_is_the_same_as_itself(value):
    assert not Difference("params", "x", (value, value)).differs


def test_nan_is_no_difference():
    assert not Difference("metrics", "loss", (math.nan, float("nan"))).differs


def test_only_what_differs_is_returned_unless_everything_is_asked_for():
    runs = [{"params": {"lr": 1, "same": 2}}, {"params": {"lr": 1.0, "same": 2}}]

    assert [one.name for one in differences(runs)] == ["params.lr"]
    assert [one.name for one in differences(runs, everything=True)] == ["params.lr", "params.same"]
    assert differences(runs, sections=("tags",)) == ()


def test_missing_differs_and_unknown_does_not():
    runs = [
        {"params": {"a": 1}, "packages": Unknown("gone")},
        {"params": {}, "packages": {"x": "1"}},
    ]

    assert differences(runs) == (Difference("params", "a", (1, MISSING)),)
    assert [(gap.name, gap.place, gap.reason) for gap in gaps(runs)] == [("packages", 0, "gone")]


def test_keys_stand_in_the_order_of_numbers():
    runs = [{"params": {"l[10]": 1, "l[2]": 1, "b": 1}}, {"params": {}}]

    assert [one.key for one in differences(runs)] == ["b", "l[2]", "l[10]"]


@pytest.mark.parametrize("key", ["²", "1²", "٣", "9" * 5000, ""])
def test_any_key_can_be_sorted(key):
    assert len(differences([{"params": {key: 1, "1": 2}}, {"params": {}}])) == 2


# Parameters


def test_nested_values_have_dotted_keys():
    values = {"layers": [64, 32], "options": {"C": 1.0, "a.b": None}, "empty": {}, 3: "x"}

    assert leaves_of(values) == {
        "layers[0]": 64,
        "layers[1]": 32,
        "options.C": 1.0,
        'options."a.b"': None,
        "empty": {},
        "[3]": "x",
    }


def test_values_keep_their_types():
    values = {"p": PurePosixPath("a"), "e": Color.RED, "t": timedelta(1), "s": {1}, "b": [True]}

    found = leaves_of(values)

    assert found["e"] == "Color.RED"
    assert found["t"] == timedelta(1)
    assert found["s"] == {1}
    assert found["b[0]"] is True
    assert identity(found["p"]) != identity("a")


def test_an_array_is_not_a_list():
    numpy = pytest.importorskip("numpy")

    array, plain = leaves_of({"w": numpy.array([1, 2])}), leaves_of({"w": [1, 2]})

    assert array == {**plain, "w.array": "i 2"}


def test_a_long_list_is_one_value():
    assert leaves_of({"w": list(range(100))}) == {"w": list(range(100))}


@given(parameter_mappings)
def test_any_parameters_have_leaves(values):
    found = leaves_of(values)

    assert (found == {}) == (values == {})


# Texts


def test_numbers_that_differ_look_different():
    nan = float("nan")
    values = (0.1, 0.10000000001, MISSING, nan, 0.0, -0.0, 2e6, 2e6 + 1, 1e300, Unknown("?"))

    assert texts_of(Difference("metrics", "loss", values)) == (
        "0.1", "0.10000000001", "(none)", "nan", "0", "-0", "2000000", "2000001", "1e+300", "?",
    )  # fmt: skip


def test_types_are_seen_in_texts():
    told = Difference("params", "x", (1, 1.0, True, "1", MISSING, Unknown("?")))

    assert texts_of(told) == ("1", "1.0", "True", "'1'", "(none)", "?")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (2.0, 1.0, "-1, -50 %"),
        (0.0, 1.0, "+1"),
        (-2.0, -1.0, "+1, +50 %"),
        (1.0, math.nan, "NaN"),
        (1.0, math.inf, "+inf"),
        (5e-324, 1e300, "+1e+300"),
        (100_000.0, 100_001.0, "+1, +0.001 %"),
        (0.5, 13.7, "+13.2, +2,640 %"),
        (1e-9, 1.0, "+1, +1e+11 %"),
    ],
)
def test_a_change_is_absolute_and_relative(old, new, told):
    assert str(change_between(old, new)) == told


# Patches

LINES = st.lists(st.sampled_from(["a", "b", "", "+c", "-d", "\\ e", "@@ -1 +1 @@", "é\r", "***"]))
TEXT = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


@settings(max_examples=50)
@given(old=TEXT, new=TEXT)
@example("", "a")
@example("a", "")
@example("a\n" * 20 + "b", "a\n" * 20 + "b\n")
@example("a\r\n\ud83d\n", "a\n\ud83d\0\n")
def test_what_is_written_is_read_and_applied(old, new):
    for change in changes_between({"x": state(old)}, {"x": state(new)}):
        (read,) = parse_patch(change.diff)

        assert apply_patch(old, read) == new
        assert change.added - change.removed == new.count("\n") + (new[-1:] not in {"\n", ""}) - (
            old.count("\n") + (old[-1:] not in {"\n", ""})
        )
        assert change.is_exact


@pytest.mark.parametrize(
    "name", ["x.py", "a b.py", 'say "x".py', "tab\t.py", "new\nline", "ä/ü.py", "-rf", "b/a b/a"]
)
@pytest.mark.parametrize("setting", ["noprefix=true", "mnemonicPrefix=true", "renames=copies"])
def test_patches_of_git_itself_are_read(tmp_path, name, setting):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("one\ntwo\nthree\n" * 5)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "a")
    (tmp_path / name).write_text("zero\n" + "one\ntwo\nthree\n" * 5 + "four")
    (tmp_path / "moved").write_text("one\ntwo\nthree\n" * 5)
    (tmp_path / "mode only").write_text("")
    git(tmp_path, "add", "-A")

    diff = subprocess.run(
        ["git", "-c", "core.quotePath=false", "-c", f"diff.{setting}", "diff", "HEAD"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = {one.new: one for one in parse_patch(diff)}

    assert set(found) == {name, "moved", "mode only"}
    old = "one\ntwo\nthree\n" * 5
    assert apply_patch(old, found[name]) == f"zero\n{old}four"
    assert apply_patch("" if found["moved"].old is None else old, found["moved"]) == old


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
@example('"\\\t\n\x7f')
def test_a_quoted_name_is_read_back(name):
    assert unquoted(quoted(name)) == name or quoted(name) == name


def test_masked_lines_take_what_the_file_has():
    patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n token=***\n-a\n+b\n"

    assert apply_patch("token=secret\na\n", parse_patch(patch)[0]) == "token=secret\nb\n"


@pytest.mark.parametrize(
    "hunk",
    [
        "@@ -1 +1 @@\n-other\n+b\n",
        "@@ -9 +9 @@\n-a\n+b\n",
        "@@ -1,3 +1,3 @@\n-a\n+b\n",
        "@@ what\n",
    ],
)
def test_a_patch_that_does_not_fit_is_refused(hunk):
    (patch,) = parse_patch(f"diff --git a/x b/x\n--- a/x\n+++ b/x\n{hunk}")

    with pytest.raises(PatchError):
        apply_patch("a\n", patch)


@given(st.text())
@example("diff --git \n")
@example("diff --git a/x\n@@ -0,0 +0,0 @@\n\n")
@example('diff --git "a\n')
def test_no_text_breaks_the_reader(text):
    for one in parse_patch(f"diff --git a/x b/x\n{text}"):
        assert isinstance(one.path, str)


def state(text, mode="100644"):
    return FileState(text, text, mode)


def test_a_moved_file_is_one_change():
    body = "".join(f"line {number}\n" for number in range(20))

    (found,) = changes_between({"a": state(body)}, {"b": state(body + "more\n")})

    assert (found.kind, found.old, found.new, found.added, found.removed) == (
        "renamed", "a", "b", 1, 0,
    )  # fmt: skip


def counts(old, new):
    (found,) = changes_between({"x": state(old)}, {"x": state(new)})
    return found.added, found.removed


def test_of_a_large_file_each_changed_line_is_found():
    """All lines of both times all that are equal would be 75 s of work."""
    old = "".join(f"line {number}\n" for number in range(30_000))
    new = "".join(f"line {number + number % 2 / 2}\n" for number in range(30_000))

    assert counts(old, new.replace(".0\n", "\n")) == (15_000, 15_000)


def test_of_a_large_file_with_few_changes_only_these_are_told():
    lines = [f"line {number}\n" for number in range(20_000)]
    fewer = [line for place, line in enumerate(lines) if place not in {3, 10_000, 19_990}]

    assert counts("".join(lines), "".join(fewer)) == (0, 3)


def test_very_different_files_are_compared_too():
    old = "".join(f"{number % 3}\n" for number in range(6000))
    new = "x\n" + "".join(f"{number % 3}\n" for number in range(6000, 0, -1))

    (found,) = changes_between({"x": state(old)}, {"x": state(new)})

    assert apply_patch(old, parse_patch(found.diff)[0]) == new
    assert found.added - found.removed == 1


def test_a_link_a_submodule_or_a_file_without_text_moves_nowhere():
    """Git would take the one side that it is shown for a file that came or went."""
    body = "".join(f"line {number}\n" for number in range(20))
    old = {"a": state(body), "link": state(body), "bin": FileState(None, "1", "100644", "binary")}
    new = {
        "a": FileState(None, "2", "100644", "binary"),
        "b": state(body, "120000"),
        "c": state(body),
        "bin": state(body),
    }

    found = {one.name: one for one in changes_between(old, new)}

    assert {name: one.kind for name, one in found.items()} == {
        "a": "changed", "b": "added", "bin": "changed", "link → c": "renamed",
    }  # fmt: skip
    assert (found["a"].remark, found["a"].is_exact, found["bin"].added) == ("binary", False, 0)


def test_empty_files_do_not_move():
    found = changes_between({"a": state("")}, {"b": state("")})

    assert [one.kind for one in found] == ["deleted", "added"]


UNUSUAL = """
[core]
    autocrlf = true
    attributesFile = {home}/attributes
    bigFileThreshold = 1
    pager = false
[diff]
    noprefix = true
    mnemonicPrefix = true
    renames = false
    context = 0
    interHunkContext = 50
    external = false
    algorithm = patience
    orderFile = {home}/missing
    wsErrorHighlight = all
    suppressBlankEmpty = true
[color]
    ui = always
"""


def test_neither_settings_nor_attributes_nor_a_repository_around_count(tmp_path, monkeypatch):
    old = "one\r\n\n" + "line\n" * 9 + "end"
    new = "two\r\n\n" + "line\n" * 9 + "end\r\n"
    usual = changes_between({"x.py": state(old)}, {"x.py": state(new)})
    (tmp_path / ".gitconfig").write_text(UNUSUAL.format(home=tmp_path))
    (tmp_path / "attributes").write_text("* text eol=crlf\n")
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_text("* binary\n")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    found = changes_between({"x.py": state(old)}, {"x.py": state(new)})

    assert found == usual
    assert apply_patch(old, parse_patch(found[0].diff)[0]) == new
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("what", ["git", "room"])
def test_without_git_or_room_the_files_are_named(tmp_path, monkeypatch, what):
    if what == "git":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        monkeypatch.setattr(temporary, "_MEMORY", str(tmp_path / "missing"))

    found = changes_between({"x": state("a\n"), "y": state("b\n")}, {"x": state("c\n")})

    assert [(one.name, one.kind) for one in found] == [("x", "changed"), ("y", "deleted")]
    assert all(one.remark.startswith("lines not known: ") for one in found)
    assert not any(one.is_exact for one in found)


@pytest.mark.parametrize("names", [("plain.py", "with blank.py"), ('q"uo\te', "ü\n")])
def test_git_applies_what_is_written(tmp_path, names):
    old = {
        names[0]: state("a\nb\n"),
        "gone": state("x\n"),
        "mode": state("m\n"),
        "was": state("1\n2"),
    }
    new = {
        names[0]: state("a\nc"),
        names[1]: state("new\n"),
        "mode": state("m\n", "100755"),
        "is": state("1\n2"),
        "empty": state(""),
    }
    for path, one in old.items():
        (tmp_path / path).write_text(one.text)
    changes = changes_between(old, new)
    (tmp_path / "p").write_text("".join(one.diff for one in changes))

    subprocess.run(["git", "apply", "p"], cwd=tmp_path, check=True)

    assert {file.name for file in tmp_path.iterdir()} == {*new, "p"}
    for path, one in new.items():
        assert (tmp_path / path).read_text() == one.text
    assert os.access(tmp_path / "mode", os.X_OK)


# Ranking


def cause(section, key, values, **setting):
    return ranked([Difference(section, key, values)], Setting(**setting))[0]


def test_evidence_counts_more_than_rules():
    alone = cause("params", "lr", (1, 2), metric="loss", change=1.0)
    weights = [
        cause(
            "params", "lr", (1, 2), metric="loss", change=1.0,
            judgement=Judgement({("params", "lr"): evidence}, None),
        ).weight
        for evidence in (
            Evidence(40.0, 2, 1.0, "alone", is_shown=True),
            Evidence(40.0, 2, 1.0, "values"),
            Evidence(-30.0, 2, 0.0, "still"),
        )
    ]  # fmt: skip

    assert alone.weight == 58
    assert weights == [95, 94, 28]


@pytest.mark.parametrize(
    ("steps", "apart", "rule"),
    [
        ((10, 3), 0.0, "LAST_STEP_SAME"),
        ((10, 3), 0.9, "LAST_STEP_OTHER"),
        ((10, 3), 0.5, "LAST_STEP"),
        ((10, 3), None, "LAST_STEP"),
    ],
)
def test_an_early_end_counts_by_the_curves(steps, apart, rule):
    (found,) = ranked((), Setting(metric="acc", change=1.0, steps=steps, apart=apart))

    assert found.rule.name == rule


def test_what_ended_early_on_the_same_curve_is_not_overruled():
    shown = {("params", "lr"): Evidence(60.0, 3, 1.0, "alone", is_shown=True)}

    found = ranked(
        [Difference("params", "lr", (1, 2))],
        Setting(
            metric="acc", change=1.0, steps=(10, 3), apart=0.0, judgement=Judgement(shown, None)
        ),
    )

    assert [one.rule.name for one in found] == ["LAST_STEP_SAME", "PARAMETER"]


@pytest.mark.parametrize(
    ("steps", "apart", "rule"),
    [
        ((10, 3), 0.0, "STATUS_EARLY"),
        ((10, 3), 0.9, "STATUS_LATE"),
        ((9, 9), None, ""),
        (None, None, "STATUS"),
    ],
)
def test_a_failure_counts_by_the_curves(steps, apart, rule):
    status = Difference("status", "status", ("complete", "error"))

    causes = ranked([status], Setting(metric="acc", change=1.0, steps=steps, apart=apart))

    found = [one.rule.name for one in causes if one.difference.section == "status"]
    assert found == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("old", "new", "is_renamed"),
    [
        ({"lr": 0.1}, {"learning_rate": 0.1}, True),
        ({"lr": 0.1}, {"optim.lr": 0.1}, True),
        ({"bs": 32}, {"batch_size": 32}, True),
        ({"opt": "adam"}, {"optimizer": "adam"}, True),
        ({"epochs": 10}, {"n_epochs": 10}, True),
        ({"batchSize": 32}, {"batch_size": 32}, True),
        ({"shuffle": True}, {"do_shuffle": True}, True),
        ({"arch": "resnet50"}, {"net": "resnet50"}, True),
        ({"a": 0.000373}, {"b": 0.000373}, True),
        ({"lr": 0.1}, {"learning_rate": 0.2}, False),
        ({"lr": 1}, {"learning_rate": 1.0}, False),
        ({"dropout": 0.25}, {"weight_decay": 0.25}, False),
        ({"shuffle": True}, {"bias": True}, False),
        ({"max_depth": 3}, {"max_bins": 3}, False),
        ({"x": None}, {"y": None}, False),
    ],
)
def test_a_parameter_under_another_name_is_no_cause(old, new, is_renamed):
    keys = sorted({*old, *new})
    found = [
        Difference("params", key, (old.get(key, MISSING), new.get(key, MISSING))) for key in keys
    ]

    causes = ranked(found, Setting(metric="acc", change=1.0))

    assert [one.rule.name == "RENAMED" for one in causes] == (
        [True] if is_renamed else [False, False]
    )


@pytest.mark.parametrize(
    ("name", "versions", "weight", "why"),
    [
        ("torch", ("2.0.1", "3.0"), 50, "a major change"),
        ("torch", ("2.0.1", "2.1.0"), 40, "a minor change"),
        ("torch", ("2.0", "2.0.1"), 15, "a patch change"),
        ("torch", ("2.0+cpu", "2.0+cu118"), 20, "another build"),
        ("torch", ("2.0", MISSING), 10, "only one"),
        ("rich", ("13.0", "14.0"), 20, "a major change"),
        ("mine", ("1 @ git+x@a", "1 @ git+x@b"), 45, "another place or commit"),
        ("odd", ("", "nightly"), 5, "another build"),
    ],
)
def test_versions_weigh_by_what_changed(name, versions, weight, why):
    found = cause("packages", name, versions)

    assert found.weight == weight
    assert why in found.reason


def test_a_seed_alone_is_said():
    differences = [
        Difference("params", "seed", (0, 1)),
        Difference("command", "command", ("t --seed 0", "t --seed 1")),
    ]

    assert ranked(differences, Setting())[0].reason.startswith("seed only: ")
    others = [*differences, Difference("params", "lr", (1, 2))]
    assert not any("only" in one.reason for one in ranked(others, Setting()))


def test_the_order_does_not_depend_on_what_comes_first():
    found = [Difference("params", key, (1, 2)) for key in "cab"]

    assert ranked(found, Setting()) == ranked(found[::-1], Setting())


def test_the_metric_that_differs_most_is_chosen():
    small, large = (
        Difference("metrics", key, (1.0, value)) for key, value in (("a", 2), ("b", 9))
    )
    lost = Difference("metrics", "z", (1.0, math.nan))

    assert most_changed([small, large]) is large
    assert most_changed([small, lost, large]) is lost
    assert most_changed([Difference("metrics", "m", (1.0, MISSING))]) is None
