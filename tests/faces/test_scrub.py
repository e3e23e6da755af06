"""runstore scrub: afterwards no byte of the store's folder is of the secret."""

import json
import os
import pty

import pytest

import command_server
from commands import messages, runstore, runstore_here
from leaked_secrets import SECRET, TOKEN, filled, places_of
from runstore import ManagerStore, Store
from runstore.errors import UsageError
from runstore.maintenance.scrub import scrub, wanted
from runstore.model.scrubbing import WantedPattern
from runstore.storage.integrity.history import verify

pytestmark = pytest.mark.folder_only("test_scrub_on_a_server does the same")


@pytest.mark.parametrize(
    "secret",
    [SECRET, f"{SECRET}\"\\'x", f"{SECRET} é/ü%", f"line one {SECRET}\nline two {SECRET}"],
)
def test_no_byte_is_left(tmp_path, secret):
    filled(tmp_path, secret)
    assert places_of(tmp_path, secret)

    with Store.open(tmp_path) as store:
        planned = scrub(store.backend, wanted((secret,)))
        done = scrub(store.backend, wanted((secret,)), is_dry=False)
        again = scrub(store.backend, wanted((secret,)))

    assert places_of(tmp_path, secret) == []
    assert done.left == []
    assert {one.what for one in done.places} <= {one.what for one in planned.places}
    assert again.places == []


def test_what_else_there_is_stays(tmp_path):
    filled(tmp_path)

    with Store.open(tmp_path) as store:
        done = scrub(store.backend, wanted((SECRET,)), is_dry=False)
        run = store.get("fit#1")

        assert run.error == "it is ***"
        assert run.parameter_sets[0].values == {"password": "***", "deep": [1, {"x": "***"}]}
        assert [line.text for line in run.output] == ["printed ***"]
        assert set(run.artifacts) == {"log.txt", "clean.bin"}
        with run.open("log.txt") as file:
            assert file.read() == b"first\nhas ***\nlast\n"
        assert store.check(deep=True) == ()
        assert verify(store.backend.database.driver).problems == ()
        assert len(list(store.grep("printed"))) == 1
    fates = {one.what.split(" of ")[0]: one.fate for one in done.places}
    assert fates["log.txt"] == "replaced"
    assert fates["model.bin"] == "removed"


def test_undo_brings_nothing_back(tmp_path):
    filled(tmp_path)
    with Store.open(tmp_path) as store:
        scrub(store.backend, wanted((SECRET,)), is_dry=False)

        for _ in range(3):
            store.undo("fit#1")

        assert store.get("fit#1").notes == "note ***"
    assert places_of(tmp_path) == []


def test_keys_of_tags_and_of_their_edits_stay_the_same(tmp_path):
    with Store.open(tmp_path) as store:
        store.start("fit", tags={"***": "0"}, capture=False).finish()
        for number in "123":
            store.tag("fit#1", {f"{SECRET}{number}": "x", "plain": number})
        store.tag("fit#1", {f"{SECRET}1": None})

        scrub(store.backend, wanted(pattern=f"{SECRET}."), is_dry=False)

        assert store.get("fit#1").tags == {"***": "0", "***~3": "x", "***~4": "x", "plain": "3"}
        for _ in range(3):
            store.undo("fit#1")
        assert store.get("fit#1").tags == {"***": "0", "***~2": "x", "plain": "1"}
        assert verify(store.backend.database.driver).problems == ()
    assert places_of(tmp_path) == []


def test_only_keys_of_tags_are_matched_by_a_pattern(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("fit", capture=False)
        run.tags["tags.ab"] = run.tags[SECRET] = "1"
        run.finish()

        scrub(store.backend, wanted(pattern=f"^{SECRET}|s[.]tags"), is_dry=False)

        assert store.get("fit#1").tags == {"***": "1", "tags.ab": "1"}
        fields = {one.field for one in store.events("fit#1")}
        assert fields == {"tags.***", "tags.tags.ab"}


def test_contents_of_several_runs_are_followed(tmp_path):
    with Store.open(tmp_path) as store:
        for _ in range(2):
            run = store.start("fit", capture=False)
            run.save("log.txt", f"{SECRET}\n".encode())
            run.finish()
        reader = store.start("read", capture=False)
        reader.use(store.get("fit#1").artifacts["log.txt"])
        reader.finish()

        scrub(store.backend, wanted((SECRET,)), is_dry=False)

        digests = {store.get(name).artifacts["log.txt"].digest for name in ("fit#1", "fit#2")}
        assert {one.digest for one in store.get("read#1").inputs} == digests
        assert len(digests) == 1


def test_copies_and_files_beside_the_database_are_clean(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    block = {
        "reference": "a_1_2026-01-01-T000000", "experiment_name": "a", "run_number": 1,
        "timestamp": "2026-01-01-T000000", "commit": "", "cli": "", "notes": SECRET,
        "status": "complete", "odd": {"key": SECRET},
    }  # fmt: skip
    (folder / "store.json").write_text(json.dumps([block]))
    ManagerStore(str(folder))
    (folder / "runs" / "a_1").mkdir(parents=True)
    (folder / "runs" / "a_1" / "log.txt").write_text(f"x {SECRET}\n")
    (folder / "store.json.damaged").write_text(SECRET)
    (folder / "mine.txt").write_text(SECRET)
    with Store.open(folder) as store:
        store.backend.database.driver.copy_aside("before-schema-0001")
        assert len(places_of(folder)) >= 6

        done = scrub(store.backend, wanted((SECRET,)), is_dry=False)

    assert places_of(folder) == ["mine.txt"], "files of others are not touched"
    assert done.left == []
    assert not (folder / "runstore.db.before-schema-0001").exists()


def test_what_a_running_run_writes_is_named(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("fit", capture=False)
        run.keep_output()
        print(f"printed {SECRET}")

        done = scrub(store.backend, wanted((SECRET,)), is_dry=False)
        assert [one.what for one in done.left] == places_of(tmp_path)

        run.finish()
        assert scrub(store.backend, wanted((SECRET,)), is_dry=False).left == []
    assert places_of(tmp_path) == []


def test_rules_of_today_clean_what_was_recorded_before(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("fit", params={"token": TOKEN}, notes=f"my {TOKEN}", capture=False)
        run.finish("error", error="later")
        with store.backend.database.driver.write() as connection:
            connection.execute(
                "UPDATE runs SET error = ?, cli = ?, facts = ?, facts_filed = NULL",
                (f"refused {TOKEN}", f"train --api-key {SECRET}",
                 json.dumps({"values": {"command.line": f"x --token {SECRET}",
                                        "command.argv": ["x", "--pat", SECRET]}, "unknown": {}})),
            )  # fmt: skip

        store.find("facts.command.line = 'x'")  # indexes the facts
        done = scrub(store.backend, wanted(), is_dry=False)
        kept = store.get("fit#1")
        assert kept.facts.values["command.argv"] == ("x", "--pat", "***")
        assert len(list(store.find("facts.command.line ~ '[*]{3}'"))) == 1

    assert kept.error == "refused ***"
    assert kept.notes == f"my {TOKEN}", "notes are as their user wrote them"
    assert places_of(tmp_path) == []
    assert {one.what for one in done.places} >= {"runs.error", "runs.cli", "runs.facts"}


def test_names_with_secrets_are_named_by_the_rules_of_today(tmp_path):
    """Users have chosen names, or an older version took them from a command."""
    with Store.open(tmp_path) as store:
        for name in (f"my-{TOKEN}", f"PGPASSWORD={SECRET}", "fit"):
            store.start(name, capture=False).finish()

        (left,) = scrub(store.backend, wanted(), is_dry=False).left
        done = scrub(store.backend, wanted((SECRET, TOKEN)), is_dry=False)

        assert (left.what, left.count) == ("experiments.name", 2)
        assert (done.left, scrub(store.backend, wanted()).places) == ([], [])
    assert places_of(tmp_path) == places_of(tmp_path, TOKEN) == []


def test_links_are_not_followed(tmp_path):
    folder = tmp_path / "data"
    filled(folder)
    private = tmp_path / "private.txt"
    private.write_text(SECRET)
    (folder / "store.json.old").symlink_to(private)
    (folder / "runstore.db.before-schema-0001").symlink_to(private)
    (folder / "runs").symlink_to(tmp_path)

    with Store.open(folder) as store:
        scrub(store.backend, wanted((SECRET,)), is_dry=False)

    assert private.read_text() == SECRET


@pytest.mark.parametrize("given", [{"secrets": ("abc",)}, {"pattern": "("}, {"pattern": "x*"}])
def test_what_would_be_everywhere_is_refused(given):
    with pytest.raises(UsageError):
        wanted(**given)


# The command


def typed(folder, *words, text):
    return runstore("scrub", *words, cwd=folder, input=text)


def test_the_secret_comes_from_stdin(tmp_path):
    filled(tmp_path / ".runstore")

    dry = typed(tmp_path, "--secret", "--dry-run", text=SECRET + "\n")
    refused = typed(tmp_path, "--secret", text=SECRET + "\n")
    assert places_of(tmp_path)
    done = typed(tmp_path, "--secret", "-y", text=SECRET + "\n")

    assert dry.returncode == 0
    assert "runs.error: to be masked" in dry.stdout
    assert refused.returncode == 2
    assert "-y" in refused.stderr
    assert done.returncode == 0
    assert "model.bin of fit_1" in done.stdout
    assert SECRET not in done.stdout + done.stderr + dry.stdout + refused.stderr
    assert places_of(tmp_path) == []


def test_the_secret_is_asked_for_on_a_terminal(tmp_path):
    filled(tmp_path / ".runstore")
    leader, follower = pty.openpty()
    process = command_server.Command(
        ["scrub", "--secret"], cwd=tmp_path, env=dict(os.environ), streams=(follower,) * 3
    )
    os.close(follower)
    shown = b""
    for prompt, answer in ((b"Secret", SECRET), (b"permanently?", "y")):
        while prompt not in shown:
            shown += os.read(leader, 4096)
        os.write(leader, f"{answer}\n".encode())
    try:
        while some := os.read(leader, 4096):
            shown += some
    except OSError:
        pass  # the other end is closed
    os.close(leader)

    assert process.wait(60) == 0
    assert SECRET.encode() not in shown
    assert places_of(tmp_path) == []


def test_files_and_patterns_say_what_to_remove(tmp_path):
    filled(tmp_path / ".runstore")
    (tmp_path / "secrets.txt").write_text(f"other-secret\n\n{SECRET}\n")

    one = runstore_here("scrub", "--from", "secrets.txt", "--dry-run", "--json", cwd=tmp_path)
    two = runstore_here("scrub", "--pattern", "Zq81[A-Za-z0-9]{10,}", "-y", cwd=tmp_path)

    assert json.loads(one.stdout)["places"]
    assert two.returncode == 0
    assert places_of(tmp_path / ".runstore") == []


def test_an_endless_file_is_refused(tmp_path):
    filled(tmp_path / ".runstore")

    ended = runstore_here("scrub", "--from", "/dev/zero", "-y", cwd=tmp_path)

    assert ended.returncode == 2
    assert "There are more than 1,000,000 characters." in ended.stderr
    assert "Nothing was changed." in ended.stderr


def test_nothing_found_is_said(tmp_path):
    filled(tmp_path / ".runstore")

    ended = typed(tmp_path, "--secret", "-y", text="not-in-there\n")

    assert ended.returncode == 0
    assert messages(ended) == ["No secrets were found."]


def test_a_pattern_may_have_bytes_that_are_no_text():
    assert WantedPattern("key=\udcff+").is_in(b"key=\xff\xff")
