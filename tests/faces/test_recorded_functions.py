"""recorded: a run for each call of a function of any kind, and none before."""

import asyncio
import functools
import inspect
import pickle
import subprocess
import sys
import threading
from contextlib import ExitStack

import pytest

import runstore
from commands import but_the_first_line, git, python, to_the_end
from places import store_at
from runstore import Status, StoreWarning
from runstore.errors import UsageError
from runstore.user_warnings import warn
from threads import at_once


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def recorded(store):
    return functools.partial(runstore.recorded, store=store, capture=False)


def statuses(store):
    return [run.status for run in store.list()]


def squares_file(n):
    return n * n


pickled = runstore.recorded("squares", capture=False)(squares_file)
squares_file = pickled


class TestNothingAtImport:
    @pytest.mark.parametrize("place", ["store=sys.argv[1] + '/new', ", ""])
    @pytest.mark.parametrize("recorded", ["recorded", "start_run"])
    def test_decorating_makes_no_store(self, tmp_path, recorded, place):
        (tmp_path / "module.py").write_text(
            "import sys, runstore\n"
            f"@runstore.{recorded}('m', {place}params={{'lr': 1}})\n"
            "def plain(): pass\n"
            f"@runstore.{recorded}('m')\n"
            "async def coroutine(): pass\n"
            f"@runstore.{recorded}('m')\n"
            "def generator(): yield\n"
            f"@runstore.{recorded}('m')\n"
            "async def asynchronous(): yield\n"
        )
        before = sorted(tmp_path.iterdir())

        ended = subprocess.run(
            [sys.executable, "-B", "-c", "import module", str(tmp_path)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

        assert (ended.returncode, ended.stderr) == (0, "")
        assert sorted(tmp_path.iterdir()) == before

    def test_a_store_that_cannot_be_opened_does_not_matter_before_the_call(self, tmp_path):
        (tmp_path / "file").write_text("no store")

        @runstore.recorded("m", store=tmp_path / "file", capture=False)
        def train():
            pass

        with pytest.raises((runstore.RunstoreError, OSError)):
            train()

    def test_the_store_is_found_at_each_call(self, tmp_path, monkeypatch):
        @runstore.recorded("m", capture=False)
        def train():
            return runstore.current_run().store.path

        paths = [tmp_path / "a", tmp_path / "b"]
        found = []
        for path in paths:
            monkeypatch.setenv("RUNSTORE_URL", str(path))
            found.append(train())

        assert found == paths

    @pytest.mark.parametrize("found", [None, 5, print])
    def test_decorating_without_a_name_is_refused_at_once(self, found):
        with pytest.raises(UsageError, match="experiment name"):
            runstore.recorded(found)

    def test_only_functions_are_decorated(self, recorded, store):
        with pytest.raises(UsageError, match="Only functions"):
            recorded("m")(5)

        assert len(store.list()) == 0


class TestKindsOfFunctions:
    def test_a_plain_function(self, recorded, store):
        @recorded("m", params={"lr": 1}, notes="each time")
        def train(x, /, *, y=2):
            """Train."""
            return x, y, runstore.current_run().run_number

        assert [train(5), train(6, y=0)] == [(5, 2, 1), (6, 0, 2)]
        assert runstore.current_run() is None
        assert (train.__doc__, list(inspect.signature(train).parameters)) == ("Train.", ["x", "y"])
        assert statuses(store) == [Status.COMPLETE] * 2
        assert {(run.notes, run.params["lr"]) for run in store.list()} == {("each time", 1)}

    def test_each_call_of_a_coroutine_function_that_runs_at_once(self, recorded, store):
        @recorded("m")
        async def train(x):
            for _ in range(3):
                await asyncio.sleep(0)
            return x, runstore.current_run().run_number

        async def both():
            return await asyncio.gather(train("a"), train("b"))

        assert inspect.iscoroutinefunction(train)
        train("never awaited").close()
        assert asyncio.run(both()) == [("a", 1), ("b", 2)]
        assert statuses(store) == [Status.COMPLETE] * 2

    def test_a_cancelled_coroutine_is_interrupted(self, recorded, store):
        @recorded("m")
        async def train():
            await asyncio.sleep(60)

        async def cancel():
            task = asyncio.create_task(train())
            await asyncio.sleep(0)
            task.cancel()
            await task

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancel())
        assert statuses(store) == [Status.INTERRUPTED]

    def test_a_generator(self, recorded, store):
        @recorded("m")
        def steps():
            got = yield 1
            assert runstore.current_run().record.status is Status.RUNNING
            return got

        generator = steps()
        assert (inspect.isgeneratorfunction(steps), len(store.list())) == (True, 0)
        assert next(generator) == 1
        with pytest.raises(StopIteration) as stopped:
            generator.send("sent")
        assert (stopped.value.value, statuses(store)) == ("sent", [Status.COMPLETE])

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_an_asynchronous_generator(self, recorded, store, is_closed):
        @recorded("m")
        async def steps():
            try:
                yield (yield 1)
            finally:
                await asyncio.sleep(0)

        async def use():
            generator = steps()
            found = [await generator.__anext__()]
            if is_closed:
                await generator.aclose()
            else:
                found += [await generator.asend("sent")] + [one async for one in generator]
            return found

        assert inspect.isasyncgenfunction(steps)
        assert asyncio.run(use()) == ([1] if is_closed else [1, "sent"])
        assert statuses(store) == [Status.COMPLETE]

    def test_methods_of_all_kinds(self, recorded, store):
        class Trainer:
            name = "of the class"

            @recorded("m")
            def train(self):
                return self.name

            @recorded("m")
            @classmethod
            def outside(cls):
                return cls.name

            @classmethod
            @recorded("m")
            def inside(cls):
                return cls.name

            @recorded("m")
            @staticmethod
            def still(x):
                return x

            @recorded("m")
            async def later(self):
                return self.name

        trainer = Trainer()
        trainer.name = "of the object"

        assert [trainer.train(), trainer.outside(), trainer.inside(), trainer.still(1)] == [
            "of the object", "of the class", "of the class", 1,
        ]  # fmt: skip
        assert [Trainer.still(2), asyncio.run(trainer.later())] == [2, "of the object"]
        assert statuses(store) == [Status.COMPLETE] * 6

    def test_objects_that_are_called(self, recorded, store):
        class Later:
            async def __call__(self):
                return runstore.current_run().record.status

        async def add(a, b):
            await asyncio.sleep(0)
            return a + b + runstore.current_run().run_number

        assert asyncio.run(recorded("m")(Later())()) is Status.RUNNING
        assert asyncio.run(recorded("m")(functools.partial(add, 1))(2)) == 5
        assert recorded("m")(functools.lru_cache(abs))(-3) == 3
        assert statuses(store) == [Status.COMPLETE] * 3

    def test_coroutines_whose_function_another_decorator_hides(self, recorded, store):
        """The run ends with the body, and not when the coroutine is made."""

        def counted(function):
            def counting(*args):
                calls.append(args)
                return function(*args)

            return counting

        calls = []

        @recorded("m")
        @counted
        async def train(x):
            await asyncio.sleep(0)
            return x, runstore.current_run().record.status

        async def both():
            made = [train("a"), train("b")]
            assert runstore.current_run() is None
            return await asyncio.gather(*made)

        running = Status.RUNNING
        assert asyncio.run(both()) == [("a", running), ("b", running)]
        assert calls == [("a",), ("b",)]
        assert statuses(store) == [Status.COMPLETE] * 2
        assert {run.parent_uid for run in store.list()} == {None}

    def test_a_decorated_function_can_be_pickled(self):
        assert pickle.loads(pickle.dumps(pickled)) is pickled  # noqa: S301 - our own


class TestCalls:
    def test_a_failing_call_is_recorded_and_raises(self, recorded, store):
        @recorded("m")
        def train():
            raise ValueError("bad")

        with pytest.raises(ValueError, match="bad"):
            train()
        assert [(run.status, run.error) for run in store.list()] == [
            (Status.ERROR, "ValueError: bad")
        ]

    def test_a_call_within_a_call_is_its_child(self, recorded, store):
        @recorded("m")
        def train(depth):
            return [runstore.current_run().uid, *(train(depth - 1) if depth else [])]

        outer, inner = train(1)

        assert store.get(inner).parent_uid == outer
        assert store.get(outer).parent_uid is None

    def test_calls_in_threads_at_once(self, recorded, store):
        meeting = threading.Barrier(4, timeout=60)
        seen = []

        @recorded("m")
        def train():
            meeting.wait()
            seen.append(runstore.current_run().run_number)

        at_once([train] * 4)

        assert sorted(seen) == [1, 2, 3, 4]
        assert statuses(store) == [Status.COMPLETE] * 4

    def test_a_call_that_was_made_before_can_be_refused(self, tmp_path):
        (tmp_path / "train.py").write_text(
            "import runstore\n"
            "@runstore.recorded('m', params={'lr': 1}, if_done='skip')\n"
            "def train(): print('trained')\n"
            "train()\n"
            "try: train()\n"
            "except runstore.AlreadyRanError as error: print(error.code)\n"
        )
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", "first")

        ended = python("train.py", cwd=tmp_path)

        assert ended.stdout.splitlines() == ["trained", "already-ran"]
        with store_at(tmp_path / ".runstore") as kept:
            assert statuses(kept) == [Status.COMPLETE]

    def test_a_call_can_finish_its_run(self, recorded, store):
        @recorded("m")
        def train():
            runstore.current_run().finish("pruned")

        train()

        assert statuses(store) == [Status.PRUNED]


def test_a_suspended_generator_is_not_the_current_run_of_who_consumes_it(tmp_path):
    with runstore.Store.open(tmp_path) as store:

        @runstore.recorded("gen", store=store, capture=False)
        def numbers():
            for number in range(2):
                runstore.current_run().log(made=number)
                yield number

        with runstore.start_run("outer", store=store, capture=False) as outer:
            for number in numbers():
                assert runstore.current_run() is outer
                outer.log(taken=number)
            list(zip(numbers(), numbers(), strict=True))

        runs = {run.reference.rpartition("_")[0]: run for run in store.list()}
        assert set(runs["outer_1"].metrics) == {"taken"}
        assert [runs[f"gen_{one}"].parent_uid for one in (1, 2, 3)] == [outer.uid] * 3
        assert runs["gen_1"].metrics["made"].count == 2
        assert {run.status.value for run in runs.values()} == {"complete"}


def test_a_suspended_asynchronous_generator_is_not_the_current_run_either(recorded, store):
    @recorded("gen")
    async def numbers():
        for number in range(2):
            runstore.current_run().log(made=number)
            yield number

    async def consume():
        with runstore.start_run("outer", store=store, capture=False) as outer:
            async for number in numbers():
                assert runstore.current_run() is outer
                outer.log(taken=number)
                with runstore.start_run("step", store=store, capture=False):
                    pass
            assert runstore.current_run() is outer
        return outer.uid

    outer = asyncio.run(consume())

    made = [(one.experiment_name, one.parent_uid, sorted(one.metrics)) for one in store.list()]
    assert sorted(made, key=str) == [
        ("gen", outer, ["made"]),
        ("outer", None, ["taken"]),
        ("step", outer, []),
        ("step", outer, []),
    ]


RUNS_INSIDE = """
import asyncio, runstore

def begin(name):
    return runstore.start_run(name, store="store", capture=False)

def is_current(run):
    return runstore.current_run() is run

@runstore.recorded("sweep", store="store", capture=False)
def sweep():
    for _ in range(3):
        with begin("trial") as trial:
            yield trial
            assert is_current(trial) or trial.status.is_final

@runstore.recorded("sweep", store="store", capture=False)
async def later():
    for _ in range(3):
        with begin("trial") as trial:
            yield trial
            assert is_current(trial)

async def consume():
    async for trial in later():
        assert is_current(None)

for trial in sweep():
    assert is_current(None)
for trial in sweep():
    with trial:
        assert is_current(trial)
with begin("outer") as outer:
    for trial in sweep():
        assert is_current(outer)
        trial.finish()
asyncio.run(consume())
generator = sweep()
for trial in generator:
    with trial:
        next(generator, None)
assert is_current(None)
begin("last").finish()
"""


def test_a_generator_can_be_suspended_inside_runs_within_its_run(tmp_path):
    """A cycle of runs that surround each other would be followed for ever."""
    ended = subprocess.run(
        [sys.executable, "-c", RUNS_INSIDE], cwd=tmp_path, timeout=60, check=False
    )

    assert ended.returncode == 0
    with runstore.Store.open(tmp_path / "store") as store:
        runs = store.list()
        names = {run.uid: run.experiment_name for run in runs}
        parents = {(run.experiment_name, run.parent_uid and names[run.parent_uid]) for run in runs}
        assert {run.status for run in runs} == {Status.COMPLETE}
    assert parents == {
        ("sweep", None), ("sweep", "outer"), ("trial", "sweep"), ("outer", None), ("last", None),
    }  # fmt: skip


SUSPENDED = """
import asyncio, runstore

@runstore.recorded("gen", store="store", capture=False)
def numbers():
    try:
        for number in range(3):
            yield number
    finally:
        print("closed")

@runstore.recorded("async gen", store="store", capture=False)
async def later():
    for number in range(3):
        yield number

def block():
    with runstore.start_run("block", store="store", capture=False):
        yield 1

"""


ENDS = (
    ("kept = numbers(); next(kept)", Status.COMPLETE, ""),
    ("kept = [numbers()]; next(kept[0]); kept.append(kept)", Status.COMPLETE, ""),
    (
        (
            "loop = asyncio.new_event_loop(); kept = later();"
            " loop.run_until_complete(kept.__anext__()); loop.close()"
        ),
        Status.COMPLETE,
        "",
    ),
    ("kept = numbers(); next(kept); raise SystemExit(0)", Status.LOST, "recorded as lost"),
    ("kept = numbers(); next(kept); import sys; sys.exit(3)", Status.ERROR, ""),
    ("kept = block(); next(kept)", Status.LOST, "recorded as lost"),
)


def test_a_generator_that_is_suspended_when_the_program_ends(tmp_path):
    """Python closes it when nothing can be loaded any more; its run has ended before."""
    ended = to_the_end(*(SUSPENDED + end for end, *_ in ENDS), cwd=tmp_path)

    for (end, _, expected), (_, said) in zip(ENDS, ended, strict=True):
        assert "Traceback" not in said, end
        assert expected in said, end
        assert bool(expected) is bool(but_the_first_line(said)), end
    with runstore.Store.open(tmp_path / "store") as store:
        found = [run.status for run in reversed(store.list().items)]
    assert found == [status for _, status, _ in ENDS]


def test_a_generator_that_goes_on_when_the_program_ends_is_lost(tmp_path):
    end = """
import threading
from contextlib import ExitStack
inside = threading.Event()

@runstore.recorded("busy", store="store", capture=False)
def busy():
    yield 1
    inside.set()
    threading.Event().wait()

threading.Thread(target=lambda: list(busy()), daemon=True).start()
inside.wait()
"""
    subprocess.run([sys.executable, "-c", SUSPENDED + end], cwd=tmp_path, check=True)

    with runstore.Store.open(tmp_path / "store") as store:
        assert [run.status for run in store.list()] == [Status.LOST]


def test_warnings_of_a_block_point_at_the_line_of_the_user(tmp_path, monkeypatch):
    with runstore.Store.open(tmp_path) as store:
        monkeypatch.setattr(store.backend, "show_changes", lambda _: warn("noted"))

        @runstore.recorded("m", store=store, capture=False)
        def train():
            runstore.current_run().edit(notes="inside")

        with pytest.warns(StoreWarning, match="noted") as said:
            train()
            with ExitStack() as blocks:
                blocks.enter_context(runstore.start_run("b", store=store, capture=False))

    assert len(said) >= 5
    assert {one.filename for one in said} == {__file__}
