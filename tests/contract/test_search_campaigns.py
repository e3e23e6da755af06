"""Killed and crowded searches: the index stays whole, and nothing that is there is missed."""

import os
import random
import shutil
import time

import pytest

from command_server import Program
from runstore import Store
from runstore.recording.output.keeper import OutputKeeper
from runstore.storage.fulltext.index_file import SEARCH

RUNS = 300

SEARCHER = """
import sys, warnings
from runstore import Store
from runstore.storage.fulltext import index as search_index
warnings.filterwarnings("ignore", "Adding .* to the search index")  # on a slow machine
search_index._STEP_S = 0.005  # many short steps, to be killed within any of them
with Store.open(sys.argv[1]) as store:
    print("begin", flush=True)
    for text in sys.argv[2:]:
        page = store.grep(text, limit=None)
        print(text, *(f"{one.run.run_number}.{line.field}" for one in page for line in one.lines))
"""
WRITER = """
import sys
from runstore import Store
from runstore.recording.output.keeper import OutputKeeper
with Store.open(sys.argv[1]) as store:
    for number in range(int(sys.argv[2])):
        run = store.start("more", notes="added later", capture=False)
        keeper = OutputKeeper(store.backend.spool, run.uid)
        keeper.feed("stdout", b"printed later\\n")
        keeper.close()
        run.execution.has_output = True
        run.finish()
        store.edit(run.uid, notes="edited later")
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The folder of a store with runs, some with output, that is copied, never changed."""
    folder = tmp_path_factory.mktemp("recorded")
    with Store.open(folder) as store:
        for number in range(RUNS):
            run = store.start("fit", notes=f"note {number}", capture=False)
            if number % 10 == 0:
                keeper = OutputKeeper(store.backend.spool, run.uid)
                for line in range(400):
                    keeper.feed("stdout", f"step {line} of {number}\n".encode())
                keeper.close()
                run.execution.has_output = True
            run.finish()
    return folder


@pytest.fixture
def filled(recorded, tmp_path):
    with Store.open(shutil.copytree(recorded, tmp_path / "store")) as store:
        yield store


def expected(text, numbers, field):
    return " ".join([text, *(f"{number}.{field}" for number in numbers)])


@pytest.mark.campaign
def test_a_search_that_is_killed_leaves_an_index_that_goes_on(filled, campaign_rounds):
    rng = random.Random(campaign_rounds)
    cut_short = 0

    for number in range(campaign_rounds):
        if number % 4 == 0:
            (filled.path / SEARCH).unlink(missing_ok=True)
        searcher = Program(SEARCHER, filled.path, "step 7 of 290", "note 17")
        searcher.stdout.readline()
        # At once where an index is built, so that some are cut short on a quick machine too.
        time.sleep(0 if number % 4 == 0 else rng.uniform(0, 0.4))
        searcher.kill()
        told = searcher.communicate()[0]
        cut_short += "note" not in told
        filled.edit("fit#18", notes=f"note 17 again {number}")

    searcher = Program(SEARCHER, filled.path, "step 7 of 290", "note 17", "again")
    told, error = searcher.communicate()
    assert error == ""
    assert told.splitlines()[1:] == [
        expected("step 7 of 290", [291], "output"),
        expected("note 17", [*range(180, 170, -1), 18], "notes"),
        expected("again", [18], "notes"),
    ]
    assert cut_short > 0


def test_many_searches_at_once_share_the_work(filled, processes):
    words = ("step 399 of 0", "note 299", "later")
    writer = Program(WRITER, filled.path, 30)
    searchers = [Program(SEARCHER, filled.path, *words) for _ in range(processes)]

    told = [searcher.communicate(timeout=100) for searcher in searchers]
    assert writer.communicate(timeout=100)[1] == ""

    assert [error for _, error in told if error] == []
    for text, _ in told:
        assert text.splitlines()[1:3] == [
            expected("step 399 of 0", [1], "output"),
            expected("note 299", [300], "notes"),
        ]
    later = filled.grep("later", limit=None)
    assert len(later) == 30
    assert [line.text for line in later[0].lines] == ["edited later", "printed later"]
    assert filled.grep("added later").items == ()


def test_a_damaged_index_is_mended_by_one_of_many(filled):
    filled.grep("note 17")
    (filled.path / SEARCH).write_bytes(os.urandom(50_000))

    searchers = [Program(SEARCHER, filled.path, "note 299", "step 3 of 0") for _ in range(8)]
    told = [searcher.communicate(timeout=100) for searcher in searchers]

    for text, error in told:
        assert "Error" not in error
        assert text.splitlines()[1:] == [
            expected("note 299", [300], "notes"),
            expected("step 3 of 0", [1], "output"),
        ]
    aside = [path for path in filled.path.glob(f"{SEARCH}.*") if path.suffix[1:].isdigit()]
    assert len(aside) == 1, "random bytes are nobody's, so they are kept, once"
    assert len(filled.grep("note", limit=None)) == RUNS


def test_threads_search_at_once(filled):
    from concurrent.futures import ThreadPoolExecutor

    def search(number):
        return [one.run.run_number for one in filled.grep(f"note {number}", limit=None)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(search, range(200, 300)))

    assert found == [[number + 1] for number in range(200, 300)]


def test_a_forked_child_searches_too(filled):
    filled.grep("note 17")
    child = os.fork()
    if child == 0:
        try:
            found = [one.run.run_number for one in filled.grep("note 299")]
            os._exit(0 if found == [300] else 1)
        except BaseException:  # noqa: BLE001 - told by the exit code
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert filled.grep("note 299")
