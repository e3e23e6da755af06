"""Stores with hostile files and rows of every kind, read and cleaned by every command."""

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import command_server
from hostile_rows import changes_of, damage, make
from runstore import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at times of access")
PROGRAM = Path(__file__).parents[1] / "hostile_commands.py"
SECRET = b"secret secret secret"
LARGEST_BYTES = 500_000_000
A_BUG = 70
# Only a command that hangs needs this long.
HANGS_S, PATIENCE_S = 10, 240
NUMBER = "00000000000000000001"
RECORDS = ("end", "artifact", "input", "tags", "notes", "params")

PLACES = st.one_of(
    st.sampled_from(
        ["runstore.db-wal", "runstore.db-shm", "runstore.db-journal", "runstore.db",
         "runstore.db.before-schema-0008", "search.db", "search.db-wal", "search.db-shm",
         "search.db-journal", "store.json", ".store.json.lock", ".store.json.new",
         "params_registry.json", ".gitignore", "objects.lock", "spool", "objects", "runs",
         "objects/incoming", "objects/incoming/1-a", "objects/{digest}", "objects/ab",
         "objects/{digest}/more", "runs/{reference}", "runs/{reference}/block.json",
         "runs/Documents", "cache", "spool/{uid}.tmp"],
    ),
    st.sampled_from([f"spool/{{uid}}.{NUMBER}.{kind}.json" for kind in RECORDS]),
    st.sampled_from([f"spool/{{uid}}.{NUMBER}.{kind}" for kind in ("points", "output", "lines")]),
)  # fmt: skip
FILES = ("id_rsa", "Documents/list.json", "other.sqlite")
TARGETS = (*FILES, "Documents", "missing", "zero", ".")
LINKS = st.tuples(st.just("link"), st.sampled_from(TARGETS))
HARD_LINKS = st.tuples(st.just("hard link"), st.sampled_from(FILES))
TEXTS = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xfe", b"SQLite format 3\0"]),
    st.sampled_from([(b"[", 200_000), (b'{"a":', 50_000), (b"9", 100_000), (b"\0", 1 << 20)]),
    st.sampled_from(["id_rsa", "/etc/passwd", "zero"]).map(
        lambda name: f"loss=1\nsave HOME/{name} key\ntag a=b\n".encode()
    ),
    st.dictionaries(
        st.sampled_from(
            ["path", "digest", "size_bytes", "media_type", "saved_at", "objects", "preview",
             "status", "ended_at", "error", "traceback", "exit_code", "notes", "author",
             "changes", "name", "hash", "tree", "set_name", "location", "used_at",
             "modified_at", "source_uid", "reference", "experiment_name"],
        ),
        st.one_of(
            st.none(), st.integers(), st.floats(), st.text(max_size=5), st.just({"k": "v"}),
            st.sampled_from(["../../id_rsa", "HOME", "complete", "a" * 64, "\ud800", [1], True]),
        ),
        max_size=8,
    ).map(lambda body: json.dumps(body).encode()),
)  # fmt: skip
THINGS = st.one_of(
    LINKS,
    LINKS,
    HARD_LINKS,
    st.tuples(st.just("text"), TEXTS),
    st.tuples(st.sampled_from(["pipe", "folder", "sparse", "circle"]), st.none()),
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return a store with a run of its own folder, and its names."""
    folder = tmp_path_factory.mktemp("recorded") / "store"
    make(folder)
    with Store.open(folder) as store:
        with store.start("fit", capture=False, notes="warmup", full_store=True) as run:
            run.log(loss=0.5)
            (one,) = run.save("model.bin", b"weights")
        with store.start("fit", capture=False) as other:
            other.log(loss=0.25)
        (folder / "runs" / run.reference).mkdir(parents=True)
        store.delete(run)
        return folder, {
            "uid": other.uid,
            "reference": run.reference,
            "digest": f"{one.digest[:2]}/{one.digest[2:]}",
        }


def private_folder(place):
    """Make a folder with files that nobody looked at since they were changed."""
    (place / "Documents").mkdir(parents=True)
    (place / "id_rsa").write_bytes(SECRET)
    (place / "Documents" / "list.json").write_text('[{"password": "secret secret secret"}]')
    (place / "zero").symlink_to("/dev/zero")
    with contextlib.closing(sqlite3.connect(place / "other.sqlite")) as connection, connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("CREATE TABLE precious (x)")
    for path in (*place.rglob("*"), place):
        if not path.is_symlink():
            os.utime(path, (1, 2))
    return place


def known_of(folder, *, accesses):
    """Return what can be seen of files without reading them."""
    found = {}
    for path in (folder, *_paths(folder)):
        about = path.lstat()
        is_read = about.st_atime_ns if accesses and stat.S_ISREG(about.st_mode) else None
        found[path] = about.st_mode, about.st_size, about.st_mtime_ns, is_read
    return found


def _paths(folder):
    return [
        Path(place, one) for place, inner, names in os.walk(folder) for one in (*inner, *names)
    ]


def tells_accesses(place):
    """Check whether this disk notes when a file was read."""
    probe = place / "probe"
    probe.write_bytes(b"x")
    os.utime(probe, (1, 2))
    probe.read_bytes()
    return probe.stat().st_atime_ns != 1_000_000_000


def plant(store, place, thing, private):
    kind, what = thing
    path = store / place
    if os.path.lexists(path):
        path.rename(Path(tempfile.mkdtemp(dir=private.parent)) / "moved")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to(private / what)
        elif kind == "hard link":
            os.link(private / what, path)
        elif kind == "text":
            text, times = what if isinstance(what, tuple) else (what, 1)
            path.write_bytes(text.replace(b"HOME", os.fsencode(private)) * times)
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "circle":
            path.symlink_to(path.name)
        else:
            path.touch()
            os.truncate(path, 64 << 30)
    except OSError:
        return  # below something that was planted before


@pytest.mark.timeout(3600)
def test_no_command_leaves_the_store(recorded, is_full_campaign):
    @settings(
        max_examples=300 if is_full_campaign else 2,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(st.tuples(PLACES, THINGS), min_size=1, max_size=6),
        changes_of(recorded[0] / "runstore.db"),
    )
    def check(planted, changes):
        folder, names = recorded
        with tempfile.TemporaryDirectory(prefix="hostile-") as here:
            place = Path(here)
            shutil.copytree(folder, place / "store")
            damage(place / "store" / "runstore.db", changes)
            private = private_folder(place / "private")
            for where, thing in planted:
                plant(place / "store", where.format(**names), thing, private)
            # Where these lead is looked at, and never written.
            follows = any(
                where in {"runstore.db", "store.json"} and "link" in thing[0]
                for where, thing in planted
            )
            accesses = not follows and tells_accesses(place)
            before = known_of(private, accesses=accesses)

            ended = command_server.run(
                [PROGRAM, place / "store", private, place / "to"],
                is_python=True,
                text=False,
                cwd=place,
                env={**os.environ, "XDG_STATE_HOME": str(place / "state"), "HOME": here},
                timeout=PATIENCE_S,
            )

            said = ended.stdout.decode(errors="replace")
            marks = [line.split(" ") for line in said.splitlines()]
            assert ended.returncode == 0, ended.stderr.decode(errors="replace")[-3000:]
            assert follows or [one for one in marks if one[0] == "ACCESS"] == []
            assert [one for one in marks if one[:2] == ["ENDED", str(A_BUG)]] == [], ended.stderr
            slow = [one for one in marks if one[0] == "ENDED" and float(one[2]) > HANGS_S]
            assert not is_full_campaign or slow == []  # the suite may run beside other things
            assert known_of(private, accesses=accesses) == before
            assert b"secret secret" not in ended.stdout
            assert all(b"secret secret" not in text for text in texts_of(place / "store"))
            (size,) = (int(one[1]) for one in marks if one[0] == "SIZE")
            assert size < LARGEST_BYTES

    check()


def texts_of(folder):
    """Yield the contents of what is a file of its own in a store."""
    for path in _paths(folder):
        about = path.lstat()
        if stat.S_ISREG(about.st_mode) and about.st_nlink == 1 and about.st_size < 1 << 26:
            yield path.read_bytes()
