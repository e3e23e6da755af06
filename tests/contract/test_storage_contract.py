"""What every engine promises, whatever keeps the rows."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runstore import Status, Store, parameter_set
from runstore.errors import (
    AmbiguousReferenceError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    RunActiveError,
    RunFinishedError,
    RunNotFoundError,
    StoreWarning,
    UsageError,
)
from runstore.model.facts import Facts
from runstore.recording.recorder import Recorder


@dataclass
class Layer:
    width: int = 8
    act: str = "relu"


@dataclass
class Model:
    name: str
    lr: float
    layers: list[Layer] = field(default_factory=lambda: [Layer(), Layer(16)])


def start(store, experiment="bert", **options):
    options.setdefault("capture", False)
    return store.start(experiment, **options)


class TestStarting:
    def test_numbers_count_within_an_experiment(self, store):
        numbers = [start(store, name).run_number for name in ("a", "b", "a", "a", "b")]

        assert numbers == [1, 1, 2, 3, 2]

    def test_a_started_run_is_kept_whole(self, store):
        run = start(store, params=Model("wide", 0.1), notes="first\nline", cli="train --lr 0.1")

        kept = store.get(run.uid)

        assert kept.status is Status.RUNNING
        assert kept.reference == run.reference == f"bert_1_{run.timestamp}"
        assert (kept.notes, kept.cli) == ("first\nline", "train --lr 0.1")
        assert kept.params["lr"] == 0.1
        assert kept.params["layers"][1] == {"width": 16, "act": "relu"}
        assert kept.started_at == run.started_at
        assert kept.ended_at is None
        assert kept.process is not None

    def test_several_sets_keep_their_order_and_files(self, store):
        sets = [
            parameter_set({"lr": 1}, name="slow", file="small"),
            parameter_set({"lr": 2}, name="fast", file="small"),
            parameter_set({"lr": 1}, name="slow", file="big"),
        ]

        kept = store.get(start(store, params=sets).uid)

        assert [(s.file, s.name, s.values) for s in kept.parameter_sets] == [
            ("small", "slow", {"lr": 1}),
            ("small", "fast", {"lr": 2}),
            ("big", "slow", {"lr": 1}),
        ]
        assert kept.param_files == ("small", "big")
        assert kept.parameter_sets[0].hash == kept.parameter_sets[2].hash

    def test_what_cannot_be_stored_starts_nothing(self, store):
        with pytest.raises(InvalidValueError, match=r"model\.layer"):
            start(store, params={"model": {"layer": iter([])}})

        assert store.experiments() == ()

    @pytest.mark.parametrize(
        "name", ["", "  ", "a\nb", "a\x00b", "x" * 256, "\udc80", "a\u202eb", None, 7]
    )
    def test_names_that_cannot_be_shown_are_refused(self, store, name):
        with pytest.raises(InvalidValueError):
            start(store, name)

    @pytest.mark.parametrize(
        "name",
        ["it's", 'a "b"', "a/b/../c", "👩‍🔬", "x" * 255, "a_1_2026-11-23-T101500", "a#3", "%s"],
    )
    def test_every_printable_name_works(self, store, name):
        run = start(store, name)

        assert store.get(run.reference).uid == run.uid
        assert store.get(f"{name}#1").uid == run.uid
        assert store.list(name)[0].experiment_name == name

    def test_a_withdrawn_start_leaves_nothing(self, store):
        first = start(store, params={"lr": 1})

        store.backend.part(Recorder).withdraw(first.uid)

        assert start(store).run_number == 1
        with pytest.raises(RunNotFoundError):
            store.get(first.uid)

    @pytest.mark.parametrize(
        "what",
        [
            lambda run: run.finish(),
            lambda run: run.log(loss=0.5),
            lambda run: run.save("a.txt", b"kept"),
            lambda run: run.tags.update(phase="pilot"),
            lambda run: run.edit(notes="warmup"),
        ],
        ids=["ended", "points", "artifact", "tag", "notes"],
    )
    def test_what_is_more_than_a_start_is_not_withdrawn(self, store, what, run):
        what(run)

        with pytest.raises(ConflictError, match="cannot be undone"):
            store.backend.part(Recorder).withdraw(run.uid)

        assert store.get(run.uid).run_number == 1
        assert start(store, run.experiment_name).run_number == 2

    @pytest.mark.parametrize("argument", [5, None, "train"])
    def test_calling_a_run_with_no_function_changes_nothing(self, store, argument, run):
        run.log(loss=0.5)

        with pytest.raises(UsageError, match="was called"):
            run(argument)

        run.finish()
        assert store.get(run.uid).metrics["loss"].count == 1

    def test_a_number_given_meanwhile_is_not_taken_back(self, store):
        first, second = start(store), start(store)

        store.backend.part(Recorder).withdraw(first.uid)

        assert (second.run_number, start(store).run_number) == (2, 3)


class TestEnding:
    @pytest.mark.parametrize(
        ("status", "code"),
        [("complete", 0), ("pruned", 0), ("error", 1), ("interrupted", None)],
    )
    def test_each_end_is_written_once(self, store, status, code, run):
        run.finish(status, error="it broke", traceback="Traceback …")

        kept = store.get(run.uid)
        assert (kept.status.value, kept.exit_code) == (status, code)
        assert (kept.error, kept.traceback) == ("it broke", "Traceback …")
        assert kept.ended_at >= kept.started_at
        with pytest.warns(StoreWarning, match=f"already ended, as {status}"):
            run.finish()
        with pytest.raises(RunFinishedError):
            store.finish(run.uid)
        assert store.get(run.uid) == kept

    @pytest.mark.parametrize("status", ["running", "lost", "queued", "done", ""])
    def test_only_reports_of_the_run_itself_end_it(self, store, status, run):
        with pytest.raises(UsageError):
            run.finish(status)

        assert store.get(run.uid).status is Status.RUNNING

    def test_a_run_can_be_resumed_after_its_end(self, store):
        run = start(store, params={"lr": 1})
        run.finish("error", error="out of memory")

        again = store.resume(run.reference)
        kept = store.get(run.uid)

        assert (again.reference, again.run_number) == (run.reference, 1)
        assert (kept.status, kept.ended_at, kept.error) == (Status.RUNNING, None, None)
        assert [(e.field, e.old, e.new) for e in store.events(run.uid)] == [
            ("status", "error", "running")
        ]
        again.finish()
        assert store.get(run.uid).status is Status.COMPLETE

    def test_a_living_run_is_not_resumed(self, store, run):
        with pytest.raises(RunActiveError):
            store.resume(run.reference)


class TestEditing:
    def test_each_edit_leaves_an_event(self, store):
        run = start(store, notes="old")

        store.edit(run.reference, notes="new", author="ada")
        store.edit(run.reference, notes="new", author="ada")
        store.edit(run.reference, notes=None, author="bob")

        events = store.events(run.reference)
        assert [(e.author, e.field, e.old, e.new) for e in events] == [
            ("ada", "notes", "old", "new"),
            ("bob", "notes", "new", None),
        ]
        assert events[0].at.tzinfo is not None
        assert store.get(run.uid).notes is None

    def test_a_moved_run_gets_the_next_number_and_keeps_its_old_name(self, store):
        start(store, "target")
        run = start(store, "source")

        moved = store.edit(run.reference, experiment_name="target")

        assert (moved.experiment_name, moved.run_number) == ("target", 2)
        assert store.get(run.reference).reference == moved.reference
        assert start(store, "source").run_number == 2
        assert [e.field for e in store.events(moved.uid)] == ["experiment_name", "reference"]

    def test_notes_are_text(self, store, run):
        with pytest.raises(InvalidValueError):
            store.edit(run.uid, notes=7)


class TestNaming:
    def test_every_way_to_name_a_run(self, store):
        first = start(store, "mnist")
        second = start(store, "mnist")
        other = start(store, "other")

        for name, run in {
            first.reference: first,
            second.uid: second,
            "mnist#1": first,
            "mnist#-1": second,
            "mnist#-2": first,
            "mnist_2": second,
            "oth": other,
            "latest": other,
        }.items():
            assert store.get(name).uid == run.uid, name

    def test_an_ambiguous_name_lists_the_candidates(self, store):
        runs = [start(store, "mnist") for _ in range(3)]

        with pytest.raises(AmbiguousReferenceError) as caught:
            store.get("mnist")

        assert set(caught.value.candidates) == {run.reference for run in runs}

    def test_of_many_that_begin_so_the_newest_are_told(self, store):
        runs = [start(store) for _ in range(30)]

        with pytest.raises(AmbiguousReferenceError) as caught:
            store.get("ber")

        assert caught.value.candidates[0] == runs[-1].reference

    def test_a_number_is_whole(self, store):
        """`mnist_1` is run 1, even when there is a run 10."""
        runs = [start(store, "mnist") for _ in range(11)]

        assert store.get("mnist_1").uid == runs[0].uid

    @pytest.mark.parametrize(
        "name", ["nothing", "mnist#9", "mnist#-9", "mnist_9", "%", "mnist'--"]
    )
    def test_an_unknown_name_is_an_error(self, store, name):
        start(store, "mnist")

        with pytest.raises(RunNotFoundError):
            store.get(name)

    @pytest.mark.parametrize("name", ["", "mnist#0"])
    def test_a_name_that_names_nothing_is_refused(self, store, name):
        with pytest.raises(UsageError):
            store.get(name)

    def test_completion_offers_references_newest_first(self, store):
        runs = [start(store, "mnist") for _ in range(3)]
        start(store, "other")

        assert store.complete("mni") == tuple(run.reference for run in reversed(runs))


class TestListing:
    def test_pages_hold_every_run_once_newest_first(self, store):
        runs = [start(store, f"e{n % 3}") for n in range(23)]

        seen, after = [], None
        while True:
            page = store.list(limit=5, after=after)
            seen += [run.uid for run in page]
            after = page.next
            if after is None:
                break

        assert seen == [run.uid for run in reversed(runs)]

    def test_an_experiment_lists_its_own_runs(self, store):
        runs = [start(store, f"e{n % 3}") for n in range(9)]

        page = store.list("e1", limit=2)

        assert [run.uid for run in page] == [runs[7].uid, runs[4].uid]
        assert [run.uid for run in store.list("e1", limit=2, after=page.next)] == [runs[1].uid]

    def test_an_unknown_experiment_names_the_nearest(self, store):
        start(store, "mnist")

        with pytest.raises(NotFoundError, match="mnist"):
            store.list("mnits")

    @pytest.mark.parametrize("limit", [0, -1, "5"])
    def test_a_page_has_a_size(self, store, limit):
        with pytest.raises(UsageError):
            store.list(limit=limit)

    def test_a_foreign_cursor_is_refused(self, store):
        with pytest.raises(UsageError):
            store.list(after="'; DROP TABLE runs")

    def test_experiments_know_their_counts(self, store):
        for name in ("a", "b", "a"):
            start(store, name)

        found = {one.name: (one.run_count, one.last_run_number) for one in store.experiments()}

        assert found == {"a": (2, 2), "b": (1, 1)}


class TestFacts:
    def test_facts_and_documents_are_added_later(self, store, run):
        facts = Facts(
            values={"python.version": "3.11", "command.argv": ("a", "b c")},
            documents={"patch": "diff ü"},
            unknown={"git.commit": "not a repository"},
        )

        store.backend.database.attach_facts(run.uid, facts)

        kept = store.get(run.uid).facts
        assert kept.values == {"python.version": "3.11", "command.argv": ("a", "b c")}
        assert kept.unknown == {"git.commit": "not a repository"}
        assert store.document(run.uid, "patch") == "diff ü"
        assert store.documents(run.uid) == ("patch",)
        assert store.document(run.uid, "packages") is None

    def test_equal_documents_are_kept_once(self, store):
        for _ in range(3):
            run = start(store)
            store.backend.database.attach_facts(run.uid, Facts(documents={"packages": "numpy==1"}))

        with store.backend.database.driver.read() as connection:
            count = connection.execute("SELECT count(*) FROM documents").fetchone()[0]

        assert count == 1


class TestNesting:
    def test_a_run_inside_another_knows_its_parent(self, store):
        with start(store, "sweep") as outer, start(store, "trial") as inner:
            pass
        after = start(store, "trial")

        assert store.get(inner.uid).parent_uid == outer.uid
        assert store.get(after.uid).parent_uid is None
        assert [run.uid for run in store.children(outer.reference)] == [inner.uid]


class TestReopening:
    def test_everything_is_there_again(self, location):
        with Store.open(location) as store:
            run = start(store, params={"lr": 0.5, "when": Path("a/b")}, notes="n")
            run.finish()
        with Store.open(location) as store:
            kept = store.get("bert#1")

        assert kept.uid == run.uid
        assert kept.params == {"lr": 0.5, "when": Path("a/b")}

    @pytest.mark.folder_only
    def test_a_copied_folder_works(self, location, tmp_path):
        import shutil

        with Store.open(location) as store:
            run = start(store)
            run.finish()
        shutil.copytree(location, tmp_path / "copy")
        with Store.open(tmp_path / "copy") as store:
            assert store.get("bert#1").uid == run.uid
            assert start(store).run_number == 2
