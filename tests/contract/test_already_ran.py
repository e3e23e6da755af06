"""What was run before: when two runs are the same, and what is near."""

import os
import shutil
import warnings
from dataclasses import dataclass

import pytest

from commands import git
from managers import STORES
from runstore import AlreadyRanError, ManagerStore, Store, background
from runstore.errors import AlreadyRanWarning, UsageError
from runstore.model.facts import Facts
from runstore.model.params.build import parameter_set
from runstore.storage.files.objects import hashed
from runstore.storage.rows import facts_to_text


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A repository with one commit, that is copied, never changed."""
    folder = tmp_path_factory.mktemp("committed")
    (folder / "train.py").write_text("print(1)\n")
    (folder / ".gitignore").write_text("data/\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def place(committed, tmp_path, monkeypatch):
    """A repository with one commit, which is the working directory."""
    folder = shutil.copytree(committed, tmp_path / "work")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def store(place, location):
    with Store.open(location) as opened:
        yield opened


SEED = {"seed": 1}


def ran(store, params=SEED, *, experiment="fit", use=(), status="complete", **options):
    run = store.start(experiment, params=params, **options)
    for one in use:
        run.use(one)
    run.log(acc=0.9)
    run.finish(status)
    background.wait_until_done(60)
    return store.get(run.uid)


def is_done(store, params=SEED, experiment="fit"):
    return store.previous_runs(experiment, params=params).same is not None


# Parameters


def test_parameters_have_to_be_the_same(store):
    ran(store, {"lr": 0.1, "layers": [64, 10]})

    assert is_done(store, {"lr": 0.1, "layers": [64, 10]})
    assert is_done(store, {"layers": [64, 10], "lr": 0.1})
    assert is_done(store, {"lr": 0.1, "layers": (64, 10)})
    assert not is_done(store, {"lr": 0.1, "layers": [64, 11]})
    assert not is_done(store, {"lr": 0.1})
    assert not is_done(store, {"lr": 0.1, "layers": [64, 10], "seed": 1})
    assert not is_done(store, {})


def test_types_count(store):
    ran(store, {"n": 1})

    assert is_done(store, {"n": 1})
    for other in (1.0, True, "1"):
        assert not is_done(store, {"n": other})


def test_sets_are_the_same_in_any_order(store):
    a, b = (parameter_set({"lr": n}, name=name) for n, name in ((1, "a"), (2, "b")))
    ran(store, [a, b])

    assert is_done(store, [b, a])
    assert not is_done(store, [a])


def test_another_experiment_is_another_run(store):
    ran(store, {"lr": 1})

    assert not is_done(store, {"lr": 1}, experiment="other")


# Status


def test_only_complete_runs_count(store):
    for status in ("error", "interrupted", "pruned"):
        ran(store, {"lr": 1}, status=status)

        assert not is_done(store, {"lr": 1})


def test_deleted_runs_do_not_count(store):
    run = ran(store, {"lr": 1})
    store.delete(run)
    assert not is_done(store, {"lr": 1})

    store.restore(run.uid)
    assert is_done(store, {"lr": 1})


def test_the_newest_of_several_is_told(store):
    ran(store, {"lr": 1})
    newest = ran(store, {"lr": 1})

    assert store.previous_runs("fit", params={"lr": 1}).same.uid == newest.uid


# Code


def test_another_commit_is_other_code(store, place):
    run = ran(store, {"lr": 1})
    git(place, "commit", "--allow-empty", "-qm", "second")

    earlier = store.previous_runs("fit", params={"lr": 1})

    assert earlier.same is None
    assert earlier.nearest.run.uid == run.uid
    assert [one.name for one in earlier.nearest.differences] == ["code.commit"]


def test_uncommitted_changes_are_code(store, place):
    ran(store)
    (place / "train.py").write_text("print(2)\n")
    assert not is_done(store)

    ran(store)
    assert is_done(store)
    (place / "train.py").write_text("print(3)\n")
    assert not is_done(store)
    (place / "train.py").write_text("print(1)\n")
    assert is_done(store)


def test_new_files_are_code(store, place):
    ran(store)
    (place / "new.py").write_text("print(1)\n")
    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is None
    assert [one.name for one in earlier.nearest.differences] == ["code.new.py"]
    ran(store)
    assert is_done(store)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("extra.py", lambda place: place.write_text("x = 1\n" * 60_000)),
        ("odd.py", lambda place: place.write_bytes(b"x = '\xe9'\n")),
        ("table.csv", lambda place: place.write_text("1,2\n" * 300_000)),
        ("weights", lambda place: place.write_bytes(b"\0" * 10)),
        (".env", lambda place: place.write_text("TOKEN=1")),
        ("link.py", lambda place: place.symlink_to("a.py")),
    ],
)
def test_new_files_of_any_kind_are_code(store, place, name, make):
    ran(store)

    make(place / name)
    assert not is_done(store)
    ran(store)
    assert is_done(store)

    if (place / name).is_symlink():
        (place / name).unlink()
        (place / name).symlink_to("elsewhere")
    else:
        data = (place / name).read_bytes()
        (place / name).write_bytes(data[:-1] + bytes([data[-1] ^ 7]))
    assert not is_done(store)


def test_a_repository_within_cannot_be_told(store, place):
    git(place, "init", "-q", "inner")
    (place / "inner" / "b.py").write_text("x = 1\n")
    git(place / "inner", "add", ".")
    git(place / "inner", "commit", "-qm", "inner")
    ran(store)

    assert (
        "inner/: it is a repository of its own" in store.previous_runs("fit", params=SEED).unknown
    )


def test_code_that_is_not_known_is_never_the_same(store, tmp_path, monkeypatch):
    elsewhere = tmp_path / "no repository"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ran(store)

    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is None
    assert "code is not known" in str(earlier.nearest)


# Inputs


def test_an_input_that_changed_makes_another_run(store, place):
    data = place / "data"
    data.mkdir()
    (data / "train.csv").write_text("1,2\n")
    ran(store, use=["data/train.csv"])
    assert is_done(store)

    (data / "train.csv").write_text("1,3\n")
    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is None
    assert [one.name for one in earlier.nearest.differences] == ["inputs.data/train.csv"]
    (data / "train.csv").write_text("1,2\n")
    assert is_done(store)


def test_an_input_that_was_only_touched_is_the_same(store, place):
    (place / "data").mkdir()
    (place / "data" / "x").write_text("x")
    ran(store, use=["data/x"])

    os.utime(place / "data" / "x", (1, 1))

    assert is_done(store)


def test_an_input_that_is_gone_makes_another_run(store, place):
    (place / "data").mkdir()
    (place / "data" / "x").write_text("x")
    ran(store, use=["data/x"])
    (place / "data" / "x").unlink()

    assert not is_done(store)


def test_an_input_of_many_runs_is_read_once(store, place, monkeypatch):
    """Else what may be read is spent on one run after the other, and a start waits for it."""
    (place / "data").mkdir()
    data = place / "data" / "x"
    data.write_bytes(b"x" * 1000)
    for _ in range(5):
        ran(store, use=["data/x"])
    data.write_bytes(b"y" * 1000)
    reads = []
    monkeypatch.setattr(
        "runstore.artifacts.inputs.hashed", lambda file: reads.append(file.name) or hashed(file)
    )

    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is None
    assert earlier.nearest.differences
    assert len(reads) == 1


def test_inputs_too_large_to_be_read_again_are_not_taken_for_the_same(store, place, monkeypatch):
    (place / "data").mkdir()
    for name in "ab":
        (place / "data" / name).write_bytes(b"x" * 1000)
    for _ in range(3):
        ran(store, use=["data/a", "data/b"])
    monkeypatch.setattr("runstore.analysis.reruns.inputs.READ_LIMIT_BYTES", 1500)
    for name in "ab":
        (place / "data" / name).write_bytes(b"x" * 1000)

    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is None
    assert "data/b was written since, and is too large to be read" in str(earlier.nearest)


def test_data_elsewhere_is_told_and_does_not_count(store):
    ran(store, use=["https://example.org/data.csv"])

    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is not None
    assert earlier.unchecked == ("https://example.org/data.csv",)


def test_an_artifact_whose_run_was_deleted_is_missing(store):
    with store.start("make") as source:
        source.save("model.bin", b"weights")
    with store.start("fit", params=SEED) as run:
        source.record.read_bytes("model.bin")
    background.wait_until_done(60)
    assert store.get(run.uid).inputs
    assert is_done(store)

    store.delete(source.uid)

    assert not is_done(store)


# What is done about it


def test_run_is_the_default_and_looks_at_nothing(store):
    ran(store, {"lr": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = ran(store, {"lr": 1})

    assert again.run_number == 2


def test_warn_says_which_run_did_the_same_and_runs(store):
    first = ran(store, {"lr": 1})

    with pytest.warns(
        AlreadyRanWarning, match=r"fit_1_.* is an identical run of .*acc=0\.9.*again"
    ):
        run = store.start("fit", params={"lr": 1}, if_done="warn")
    run.finish()

    assert run.earlier.same.uid == first.uid
    assert run.run_number == 2


def test_skip_and_error_start_nothing_and_give_the_earlier_run(store):
    first = ran(store, {"lr": 1})

    for choice in ("skip", "error"):
        with (
            pytest.raises(AlreadyRanError) as raised,
            store.start("fit", params={"lr": 1}, if_done=choice),
        ):
            pytest.fail("the block was entered")

        assert raised.value.run == first
        assert raised.value.run.metrics["acc"].last == 0.9
        assert raised.value.reference == first.reference
        # Who wants to skip is told how to go on.
        assert ("catch runstore.AlreadyRanError" in raised.value.hint) == (choice == "skip")
        assert len(store.list()) == 1


@pytest.mark.parametrize("choice", ["skip", "error"])
def test_who_asks_to_skip_learns_that_nothing_tells(store, tmp_path, monkeypatch, choice):
    elsewhere = tmp_path / "no repository"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    with pytest.warns(
        AlreadyRanWarning,
        match="so this one is run: the code is not known: not in a git repository",
    ):
        store.start("fit", if_done=choice).finish()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.start("fit", if_done="warn").finish()


def test_without_a_program_nothing_tells(store, monkeypatch):
    ran(store)
    monkeypatch.delattr("__main__.__file__", raising=False)
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher"])
    monkeypatch.setattr("sys.orig_argv", ["python", "-m", "ipykernel_launcher"])

    earlier = store.previous_runs("fit", params=SEED)

    assert earlier.same is None
    assert earlier.unknown == "which program runs is not known"


def test_what_was_not_run_is_started(store):
    ran(store, {"lr": 1})

    with store.start("fit", params={"lr": 2}, if_done="skip") as run:
        pass

    assert run.run_number == 2


def test_a_choice_that_is_none_is_refused(store):
    with pytest.raises(UsageError, match="if_done cannot be 'maybe'"):
        store.start("fit", if_done="maybe")
    with pytest.raises(UsageError, match="capture=False"):
        store.start("fit", if_done="skip", capture=False)

    assert len(store.list()) == 0


# What is near


def test_the_nearest_run_differs_in_the_fewest_values(store):
    ran(store, {"lr": 0.1, "depth": 1, "width": 1})
    near = ran(store, {"lr": 0.1, "depth": 2, "width": 3})
    ran(store, {"lr": 0.5, "depth": 9, "width": 9})

    earlier = store.previous_runs("fit", params={"lr": 0.1, "depth": 2, "width": 4})

    assert earlier.nearest.run.uid == near.uid
    assert str(earlier.nearest) == "fit#2 (complete); differs in width: 3 → 4"


def test_in_a_new_experiment_nothing_is_near(store):
    assert store.previous_runs("fit").nearest is None


def test_runs_similar_to_a_run_come_nearest_first(store):
    runs = [ran(store, {"lr": n, "same": 1}) for n in (1, 2, 3)]
    far = ran(store, {"lr": 9, "same": 2})

    found = store.similar(runs[0].uid, limit=3)

    assert [one.run.uid for one in found] == [runs[2].uid, runs[1].uid, far.uid]


def test_imported_runs_whose_values_are_unknown_are_never_the_same(store, tmp_path):
    folder = tmp_path / "imported"
    shutil.copytree(STORES / "0.20.5", folder)
    ManagerStore(folder)

    with Store.open(folder) as imported:
        earlier = imported.previous_runs("mnist", params={"lr": 0.1})

        assert earlier.same is None
        assert earlier.nearest is not None


def test_moved_and_renamed_runs_count_under_their_new_name(store):
    ran(store, {"lr": 1})

    store.rename_experiment("fit", "train")

    assert is_done(store, {"lr": 1}, experiment="train")
    assert not is_done(store, {"lr": 1}, experiment="fit")


def test_at_a_prompt_nothing_tells_the_program(store, monkeypatch):
    from runstore.analysis.reruns.identity import call_of
    from runstore.model.facts import Facts

    for argv in (("python", "-"), ("python",), ("python", "-i")):
        facts = Facts(values={"command.argv": argv, "command.cwd": "/work", "git.root": "/work"})
        assert call_of(facts).program is None


def test_a_run_that_decorates_cannot_skip_and_leaves_no_run(store):
    from runstore import start_run

    run = start_run("fit", store=store, if_done="skip")
    with pytest.raises(UsageError, match=r"within the function"):
        run(len)

    assert len(store.list()) == 0


def test_a_decorator_skips_a_call_that_was_done(store):
    from runstore import start_run

    @start_run("fit", store=store, params={"lr": 1}, if_done="skip")
    def train():
        return start_run("inner", store=store, capture=False).finish()

    train()
    with pytest.raises(AlreadyRanError):
        train()

    assert [run.experiment_name for run in store.list()] == ["inner", "fit"]


# Values beside the declared ones


class Settings(dict):
    """A mapping with attributes beside its keys."""


@dataclass
class Base:
    """A dataclass whose objects may have more attributes than fields."""

    lr: float = 0.1


class Extended(Base):
    """A subclass that is no dataclass of its own."""

    def __init__(self, depth):
        super().__init__()
        self.depth = depth


def with_attribute(value):
    found = Settings(lr=0.1)
    found.depth = value
    return found


def with_extra(value):
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        lr: float = 0.1

    return Model(depth=value)


@pytest.mark.parametrize("params", [with_attribute, Extended, with_extra])
def test_values_beside_the_declared_ones_count(store, params):
    ran(store, params(2))

    assert is_done(store, params(2))
    assert not is_done(store, params(3))


def test_a_run_that_was_recorded_without_its_modules(store, place, monkeypatch):
    """Of an earlier release: it counts as long as nothing suggests that it had any."""
    old = ran(store)
    with store.backend.database.driver.write() as connection:
        facts = dict(old.facts.values)
        del facts["command.outside_modules"], facts["untracked.ignored"]
        text = facts_to_text(Facts(values=facts, unknown=old.facts.unknown))
        connection.execute("UPDATE runs SET facts = ? WHERE uid = ?", (text, old.uid))
        connection.execute("DELETE FROM run_documents WHERE name = 'modules'")
    monkeypatch.setattr("runstore.capture.program.files._own_among", lambda _: {})
    monkeypatch.setattr("runstore.capture.program.files._known", ((0, None), {}))
    assert is_done(store)

    (place / "data").mkdir()
    with (place / ".git" / "info" / "exclude").open("a") as excluded:
        excluded.write("settings.py\n")
    (place / "settings.py").write_text("LR = 1\n")

    assert not is_done(store)
    assert "the earlier contents of settings.py" in str(
        store.previous_runs("fit", params=SEED).nearest
    )
