"""Two members of a group use one store in turn and at once, whatever their umask."""

import shutil
import signal
import textwrap
import threading

import pytest

from other_users import ALICE, BOB, TEAM

STORE = "import os, sys, runstore; from runstore import Store; store = Store.open({folder!r})\n"
RECORD = """
run = store.start("fit", params={"lr": 0.1}, notes="warm up", capture=False)
run.keep_output(); print("epoch 1", file=sys.stderr)
run.log(loss=0.5); run.save("model.bin", b"the same weights"); run.tags["phase"] = "pilot"
run.finish(); print(run.reference.rsplit("_", 1)[0])
"""
READ = """
for run in store.find():
    print(run.run_number, run.status, run.metrics["loss"].last, run.read_bytes("model.bin"),
          run.notes, dict(run.tags), [line.text for line in run.output])
"""
FOUND = """
print(len(list(store.grep('warm'))))
"""
EDIT = """
store.edit('fit#1', notes='of both')
"""
UNDO = """
print(store.get('fit#1').notes)
store.undo()
print(store.get('fit#1').notes)
"""
DELETE = """
store.delete(['fit#1', 'fit#2']); print(len(store.find()))
"""
CLEAN_UP = """
from datetime import timedelta
print(store.collect_garbage(older_than=timedelta(0)).freed.contents.files)
"""


@pytest.fixture
def team(users):
    """A folder that belongs to a group, and what its members do in it."""

    class Team:
        folder = users.folder("team", 0, 0o2770, TEAM)

        def run(self, user, code, *, umask=0o022, **more):
            code = STORE.format(folder=str(self.folder)) + code
            return users.run(user, code, cwd="/", umask=umask, groups=[TEAM], **more)

        def said(self, user, code, **more):
            ended = self.run(user, code, **more)
            assert ended.returncode == 0, ended.stderr
            assert "Warning" not in ended.stderr
            return ended.stdout.splitlines()

    return Team()


@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_members_record_read_edit_and_clean_up_in_turn(team, umask):
    def shown(*numbers):
        line = "{} complete 0.5 b'the same weights' warm up {{'phase': 'pilot'}} ['epoch 1']"
        return [line.format(number) for number in numbers]

    assert team.said(ALICE, RECORD + FOUND, umask=umask) == ["fit_1", "1"]
    assert team.said(BOB, RECORD + FOUND + READ, umask=umask) == ["fit_2", "2", *shown(2, 1)]
    said = team.said(ALICE, RECORD + FOUND + READ + EDIT, umask=umask)
    assert said == ["fit_3", "3", *shown(3, 2, 1)]

    assert team.said(BOB, UNDO + DELETE, umask=umask) == ["of both", "warm up", "1"]
    assert team.said(ALICE, CLEAN_UP, umask=umask) == ["2"]  # what each has printed
    team.said(BOB, "store.delete(['fit#3'])" + CLEAN_UP, umask=umask)
    assert _contents(team.folder) == []


def _contents(folder):
    return [one for one in (folder / "objects").rglob("*") if one.is_file()]


def test_members_record_at_once(team):
    """Each while the other has the store open, so that log and shared memory are the other's."""
    code = f"""
with store.start("fit", capture=False) as outer:
    outer.log(loss=1.0)
{textwrap.indent(RECORD, "    ")}
"""
    ended = []
    both = [
        threading.Thread(target=lambda user=user: ended.append(team.run(user, code)))
        for user in (ALICE, BOB)
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert [(one.returncode, "Warning" in one.stderr) for one in ended] == [(0, False)] * 4
    assert team.said(ALICE, "print(len(store.find()))") == ["8"]


KILLED = """
run = store.start("fit", capture=False)
run.log(loss=0.5); run.save("model.bin", b"weights")
import signal; os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("mode", [0o2770, 0o770])
def test_a_member_goes_on_where_another_was_killed(team, mode):
    """The log and the shared memory that a killed process leaves are the group's as well."""
    team.folder.chmod(mode)
    assert team.run(ALICE, KILLED).returncode == -signal.SIGKILL
    assert (team.folder / "runstore.db-wal").exists()

    assert team.said(BOB, RECORD) == ["fit_2"]
    shown = "run = store.get('fit#1'); print(run.status, *map(float, run.metric('loss').values))"
    assert team.said(BOB, shown) == ["lost 0.5"]
    assert list((team.folder / "spool").glob("*.points"))
    assert team.said(ALICE, shown) == ["lost 0.5"]
    assert not list((team.folder / "spool").glob("*.points"))


def test_a_member_who_trusts_the_folder_takes_in_what_another_left(team):
    assert team.run(ALICE, KILLED).returncode == -signal.SIGKILL

    shown = "run = store.get('fit#1'); print(run.status, run.metrics['loss'].last)"
    said = team.said(BOB, shown, RUNSTORE_TRUST=str(team.folder))

    assert said == ["lost 0.5"]
    assert not list((team.folder / "spool").glob("*.points"))


RUN_COMMAND = """
from runstore.cli.main import main
main(["--store", store.path, *{words!r}])
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_code_of_another_member_is_read_in_a_copy_of_the_repository(team, users):
    """The folder of a run may be private, and git reads no repository of another user."""
    home = users.home(ALICE)
    git = "git -c user.name=a -c user.email=a@example.org"
    for number in (1, 2):
        commit = f"git init -q; echo 'x = {number}' > fit.py; git add .; {git} commit -q -m x"
        there = f"os.chdir({str(home)!r}); os.system({commit!r})"
        team.said(ALICE, f"{there}; store.start('fit').finish()")

    def said(*words):
        return team.run(BOB, RUN_COMMAND.format(words=words)).stderr

    assert f"was started in {home}, which does not exist, or cannot be entered" in said(
        "rerun", "fit#1"
    )
    home.chmod(0o755)
    assert "safe.directory" in said("rerun", "fit#1", "--recorded-code")
    assert "safe.directory" in said("diff", "fit#1", "fit#2")


def test_a_file_in_a_private_folder_is_no_text(team, users):
    """Its path has blanks, and may be longer than it looks."""
    private = users.folder("private", ALICE, 0o700)
    saving = f"""
run = store.start("fit", capture=False)
try: run.save("log.txt", {str(private / "my data" / "run.log")!r})
except runstore.RunstoreError as error: print(error)
run.finish(); print(list(run.record.artifacts))
"""

    refused, kept = team.said(BOB, saving)

    assert "Permission denied" in refused
    assert kept == "[]"


def test_a_folder_that_cannot_be_listed_is_no_place_for_a_copy(team, users):
    team.said(ALICE, RECORD)
    folder = str(users.folder("unlisted", ALICE, 0o711))

    pushed = team.run(BOB, RUN_COMMAND.format(words=("push", folder)))
    copied = team.run(BOB, f"store.copy({folder!r})")

    assert pushed.returncode == 5
    assert "Permission denied" in pushed.stderr
    assert f"ConflictError: {folder} already exists." in copied.stderr


def test_a_member_with_store_json(team):
    code = """
from runstore import ManagerStore
kept = ManagerStore(store.path); kept.save(); print(len(kept.runs))
"""
    team.said(ALICE, RECORD)
    assert team.said(ALICE, code) == ["1"]
    team.said(BOB, RECORD)
    assert team.said(BOB, code) == ["2"]
    assert team.said(ALICE, code) == ["2"]


def test_who_is_not_in_the_group_sees_nothing(team, users):
    team.said(ALICE, RECORD)

    ended = users.run(BOB, STORE.format(folder=str(team.folder)), cwd="/")

    assert ended.returncode == 1
    assert "StoreUnavailableError" in ended.stderr or "StoreReadOnlyError" in ended.stderr


def test_who_may_only_read_can_read(team, users):
    team.folder.chmod(0o2775)
    team.said(ALICE, RECORD)

    code = STORE.format(folder=str(team.folder)).replace("open(", "open(create=False, location=")
    ended = users.run(BOB, f"{code}{READ}", cwd="/")

    assert ended.stdout.split()[:3] == ["1", "complete", "0.5"]
    assert list((team.folder / "spool").iterdir()) == []


OUT_OF_REACH = """
import os, warnings
from runstore import ManagerStore, Store, StoreWarning, errors
os.mkdir("disk")
class Manager: experiment_name = "mnist"
lists = ManagerStore("disk/lists")
lists.add_run(Manager())
with Store.open("disk/store") as store:
    run = store.start("fit", capture=False)
    run.log(loss=1.0)
    os.chmod("disk", 0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for call in (store.list, lambda: lists.add_run(Manager())):
            try: call()
            except errors.StoreUnavailableError as error: print(error)
        run.edit(notes="far away")
        run.log(loss=2.0)
        run.finish()
    print(any("removed" in str(one.message) or "deleted" in str(one.message) for one in said))
    os.chmod("disk", 0o700)
    lists.add_run(Manager())
with Store.open("disk/store") as store:
    (kept,) = store.list()
    print(kept.status.value, kept.notes, sum(kept.metric("loss").values), len(lists.runs))
"""


def test_a_folder_that_cannot_be_reached_for_a_time_was_not_removed(users):
    said = users.run(ALICE, OUT_OF_REACH, cwd=users.home(ALICE))

    *refused, is_called_removed, kept = said.stdout.splitlines()
    assert len(refused) == 2
    assert all("Permission denied" in one and "removed" not in one for one in refused), refused
    assert (is_called_removed, kept) == ("False", "complete far away 3.0 2"), said
