"""Artifacts: kept once by their contents, checked when they are read, traced to their readers."""

import hashlib
import io
import os
import pickle
import resource
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_server import Program
from runstore import Store
from runstore.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    StoreCorruptError,
    StoreUnavailableError,
)
from runstore.model.artifacts import artifact_path
from runstore.storage.rows import as_time
from searching import change_contents


def object_files(store):
    return sorted(path for path in (store.path / "objects").rglob("*") if path.is_file())


# Saving


def test_a_file_is_kept_as_it_was(run, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(os.urandom(3_000_000))
    contents = path.read_bytes()

    (saved,) = run.save("models/best.pt", path)
    path.write_bytes(b"changed since")

    assert run.record.read_bytes("models/best.pt") == contents
    assert saved.size_bytes == 3_000_000
    assert saved.digest == hashlib.sha256(contents).hexdigest()
    assert run.record.artifacts == {"models/best.pt": saved}


def test_the_same_contents_are_kept_once(store, run, tmp_path):
    (tmp_path / "a").write_bytes(b"the same" * 1000)

    run.save("a.bin", tmp_path / "a")
    run.save("b.bin", b"the same" * 1000)
    other = store.start("fit", capture=False)
    other.save("c.bin", io.BytesIO(b"the same" * 1000))
    other.finish()

    assert len(object_files(store)) == 1


@pytest.mark.folder_only
def test_objects_cannot_be_written_to(store, run):
    run.save("a.bin", b"1")

    assert stat.S_IMODE(object_files(store)[0].stat().st_mode) == 0o444


def test_saving_again_replaces(run):
    run.save("a.bin", b"first")
    run.save("a.bin", b"second")

    assert run.record.read_bytes("a.bin") == b"second"
    assert list(run.record.artifacts) == ["a.bin"]


def test_a_folder_is_kept_with_its_files(run, tmp_path):
    folder = tmp_path / "out"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "x.txt").write_text("x")
    (folder / "y.csv").write_text("y")
    (folder / "same.csv").symlink_to("y.csv")

    run.save("results", folder)

    names = ["results/deep/er/x.txt", "results/same.csv", "results/y.csv"]
    assert list(run.record.artifacts) == names
    assert run.record.artifacts["results/y.csv"].media_type == "text/csv"


def test_a_file_can_be_named_by_its_own_path(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "m.txt").write_text("m")

    run.save("out/m.txt")
    run.save(tmp_path / "out" / "m.txt")

    assert list(run.record.artifacts) == ["out/m.txt"]


HOSTILE = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "",
    ".",
    "a/",
    "C:/x",
    "..",
    "a\\..\\x",
    "a\0b",
    "\ud800",
]


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 300, "a/" * 600 + "b", None, 3])
def test_names_that_lead_elsewhere_are_refused(run, name):
    with pytest.raises(InvalidValueError, match=r"cannot be called|without a name"):
        run.save(name, b"x") if name is not None else run.save(None, b"x")

    assert run.record.artifacts == {}


def test_swapped_arguments_are_answered_with_their_order(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "model.pt"
    file.write_bytes(b"x")
    first = "The name comes first: run.save('weights.pt', "

    for name, source, hint in (
        ("model.pt", "weights.pt", f"{first}'model.pt')"),
        (file, "weights.pt", f"{first}{str(file)!r})"),
        (str(file), "weights.pt", f"{first}{str(file)!r})"),
        ({"x": 1}, "weights.pt", f"{first}…)"),
        ("/elsewhere/model.pt", b"x", "Use a relative path, such as model.pt."),
        ("C:\\out\\model.pt", b"x", "Use a relative path, such as model.pt."),
        ("/", b"x", "Use a relative path, such as plots/loss.png."),
    ):
        with pytest.raises((InvalidValueError, NotFoundError)) as raised:
            run.save(name, source)

        assert (raised.value.hint, raised.value.kept) == (hint, "Nothing was saved.")
    assert run.record.artifacts == {}


def test_a_file_elsewhere_is_answered_with_a_name_for_it(run, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "model.pt").write_bytes(b"x")

    for path in (tmp_path / "model.pt", f"{tmp_path}/model.pt", "../model.pt"):
        with pytest.raises(InvalidValueError) as raised:
            run.save(path)

        written = f"run.save('model.pt', {str(path)!r})"
        assert raised.value.hint == f"Pass a name first: {written}"
        eval(written)  # noqa: S307 - as advised
    with pytest.raises(InvalidValueError, match=r"Use a relative path, such as plots/loss\.png"):
        run.save("..")
    assert list(run.record.artifacts) == ["model.pt"]


@given(st.text())
def test_a_name_that_is_taken_stays_inside(text):
    try:
        path = artifact_path(text)
    except InvalidValueError:
        return

    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert artifact_path(path) == path
    assert os.path.normpath(f"/store/{path}").startswith("/store/")


def test_a_pipe_is_no_file(run, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InvalidValueError, match="neither a file nor a folder"):
        run.save("pipe", tmp_path / "pipe")


def test_a_missing_file_is_said(run):
    with pytest.raises(NotFoundError, match="No such file"):
        run.save("x.txt", "no/such/file")


def test_a_file_is_no_folder(run):
    run.save("model", b"1")

    with pytest.raises(ConflictError, match="a file and a folder"):
        run.save("model/weights.bin", b"2")
    run.save("deep/er/x", b"1")
    with pytest.raises(ConflictError, match="a file and a folder"):
        run.save("deep", b"2")

    assert sorted(run.record.artifacts) == ["deep/er/x", "model"]


# Objects of other libraries


def test_objects_are_written_as_the_suffix_says(run):
    run.save("config.json", {"lr": 0.1, "layers": [1, 2]})
    run.save("model.pkl", {"weights": (1, 2)})

    assert b'"lr": 0.1' in run.record.read_bytes("config.json")
    with run.record.open("model.pkl") as file:
        assert pickle.load(file) == {"weights": (1, 2)}  # noqa: S301 - just written


def test_what_nobody_can_write_is_said(run):
    with pytest.raises(InvalidValueError, match="use a suffix such as"):
        run.save("thing.xyz", object())
    with pytest.raises(InvalidValueError, match="cannot be converted to JSON"):
        run.save("thing.json", {"a": object()})


def test_figures_are_kept_as_pictures_with_a_small_one(store, run):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.subplots(subplot_kw={"xticks": [], "yticks": []}).plot([1, 2, 3])

    for name in ("f.png", "f.svg", "f.pdf"):
        run.save(name, figure)

    saved = run.record.artifacts
    assert run.record.read_bytes("f.png")[:8] == b"\x89PNG\r\n\x1a\n"
    assert run.record.read_bytes("f.pdf")[:5] == b"%PDF-"
    assert b"<svg" in run.record.read_bytes("f.svg")
    for one in saved.values():
        preview = store.backend.artifacts.preview_of(one.digest)
        assert (preview.media_type, preview.body[:4]) == ("image/png", b"\x89PNG")
    with pytest.raises(InvalidValueError, match=r"\.png, \.svg"):
        run.save("f.xyz", figure)


def test_plotly_figures_need_no_network(run):
    graph = pytest.importorskip("plotly.graph_objects")
    figure = graph.Figure(graph.Scatter(y=[1, 2, 3]))

    run.save("f.html", figure)
    run.save("f.json", figure)

    assert b"cdn.plot.ly/plotly" not in run.record.read_bytes("f.html")[:4000]


def test_tables_are_kept_with_their_first_rows(store, run):
    import json

    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": range(100), "b": [0.5] * 100})

    for name in ("t.csv", "t.parquet", "t.json", "t.jsonl"):
        run.save(name, table)

    with run.record.open("t.csv") as file:
        assert pandas.read_csv(file).equals(table)
    with run.record.open("t.parquet") as file:
        assert pandas.read_parquet(file).equals(table)
    for one in run.record.artifacts.values():
        body = json.loads(store.backend.artifacts.preview_of(one.digest).body)
        assert (body["columns"], body["row_count"], len(body["rows"])) == (["a", "b"], 100, 20)


def test_polars_and_arrow_tables(run):
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    table = polars.DataFrame({"a": [1, 2]})

    run.save("p.parquet", table)
    run.save("a.parquet", table.to_arrow())
    run.save("a.arrow", table.to_arrow())

    with run.record.open("a.parquet") as file:
        assert polars.read_parquet(file).equals(table)


def test_arrays_and_images(store, run):
    np = pytest.importorskip("numpy")
    image = pytest.importorskip("PIL.Image")

    run.save("x.npy", np.eye(3))
    run.save("both.npz", {"a": np.eye(2), "b": np.zeros(3)})
    run.save("grey.png", np.linspace(0, 1, 10_000).reshape(100, 100))
    run.save("big.png", image.new("RGB", (2000, 1000), "red"))

    with run.record.open("x.npy") as file:
        assert (np.load(file) == np.eye(3)).all()
    with run.record.open("grey.png") as file:
        assert image.open(file).size == (100, 100)
    small = store.backend.artifacts.preview_of(run.record.artifacts["big.png"].digest)
    assert image.open(io.BytesIO(small.body)).size == (320, 160)


def test_broken_files_have_no_preview_and_are_kept(store, run, tmp_path):
    for name in ("x.png", "x.csv", "x.json", "x.svg"):
        (tmp_path / name).write_bytes(b"\xff\x00\xfe" * 50_000)
        run.save(name, tmp_path / name)

    assert len(run.record.artifacts) == 4
    assert run.record.read_bytes("x.png") == b"\xff\x00\xfe" * 50_000


# Reading


def test_text_is_read_as_text(run):
    run.save("a.txt", "grün\n".encode())

    with run.record.open("a.txt", "r") as file:
        assert file.read() == "grün\n"
    with pytest.raises(InvalidValueError, match="got 'w'"):
        run.record.open("a.txt", "w")


def damage(store, run):
    change_contents(store, run.record.artifacts["a.bin"].digest, lambda _: b"wrong")


def test_damaged_contents_are_never_given(store, run, tmp_path):
    run.save("a.bin", b"right")
    damage(store, run)

    with pytest.raises(StoreCorruptError):
        run.record.open("a.bin")
    with pytest.raises(StoreCorruptError):
        run.record.download(to=tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


def test_what_is_whole_is_downloaded_beside_damaged_contents(store, run, tmp_path):
    for name in ("a.bin", "b.bin", "c.bin"):
        run.save(name, name.encode())
    damage(store, run)

    with pytest.raises(StoreCorruptError) as found:
        run.record.download(to=tmp_path / "out")

    assert "'a.bin' could not be written" in found.value.what
    assert found.value.kept == "Other files written: 2."
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["b.bin", "c.bin"]


def test_what_was_downloaded_beside_damaged_contents_is_an_input(store, run, tmp_path):
    for name in ("a.bin", "b.bin"):
        run.save(name, name.encode())
    damage(store, run)
    uid = run.uid

    with store.start("eval", capture=False) as reader, pytest.raises(StoreCorruptError):
        store.get(uid).download(to=tmp_path / "out")

    assert [one.name for one in reader.record.inputs] == [f"{run.reference}/b.bin"]


def test_what_was_downloaded_before_a_file_could_not_be_written_is_an_input(store, run, tmp_path):
    for name in ("a.bin", "b.bin"):
        run.save(name, name.encode())
    (tmp_path / "out" / "b.bin").mkdir(parents=True)
    uid = run.uid

    with store.start("eval", capture=False) as reader, pytest.raises(StoreUnavailableError):
        store.get(uid).download(to=tmp_path / "out")

    assert [one.name for one in reader.record.inputs] == [f"{run.reference}/a.bin"]


@pytest.mark.folder_only
def test_damaged_contents_are_mended_by_the_same(store, run):
    run.save("a.bin", b"right")
    damage(store, run)

    with pytest.raises(StoreCorruptError, match="changed or damaged"):
        run.record.open("a.bin")
    run.save("b.bin", b"right")

    assert run.record.read_bytes("a.bin") == b"right"


def test_damage_after_the_first_look_is_seen(store, run):
    run.save("a.bin", b"right")
    assert run.record.read_bytes("a.bin") == b"right"
    damage(store, run)

    with pytest.raises(StoreCorruptError):
        run.record.open("a.bin")


@pytest.mark.folder_only
def test_missing_contents_are_said(store, run):
    run.save("a.bin", b"x")
    object_files(store)[0].unlink()

    with pytest.raises(NotFoundError, match="are not in"):
        run.record.open("a.bin")


@pytest.mark.parametrize("name", ["/data/model.pt", "../model.pt", "a\\b"])
def test_a_name_that_no_artifact_can_have_is_not_found(run, name):
    run.save("model.pt", b"x")

    with pytest.raises(NotFoundError, match="has no artifact"):
        run.record.open(name)
    with pytest.raises(NotFoundError, match="has no artifact"):
        run.record.download(name)


def test_a_folder_in_the_place_of_a_name_is_told_apart(run, tmp_path):
    run.save("model.pt", b"x")

    with pytest.raises(NotFoundError, match=r"To write to a folder, pass --to \(in Python, to="):
        run.record.download(tmp_path)


def test_a_wrong_name_tells_the_nearest(run):
    run.save("model.pt", b"x")

    with pytest.raises(NotFoundError, match=r"Did you mean 'model\.pt'"):
        run.record.open("modle.pt")


def test_download_writes_files_or_folders(run, tmp_path):
    run.save("m/a.txt", b"a")
    run.save("m/b/c.txt", b"c")
    run.save("d.txt", b"d")

    written = run.record.download("m", tmp_path / "some")
    run.record.download(to=tmp_path / "all")
    linked = run.record.download("d.txt", tmp_path / "linked", link=True)

    assert written == (tmp_path / "some/m/a.txt", tmp_path / "some/m/b/c.txt")
    assert (tmp_path / "all/d.txt").read_text() == "d"
    assert (tmp_path / "all/d.txt").stat().st_nlink == 1
    (tmp_path / "all/d.txt").write_text("mine")  # a copy is one's own
    assert linked[0].stat().st_nlink == 2


@pytest.mark.parametrize("link", [False, True])
def test_a_download_replaces_files_whole_and_leaves_nothing_else(run, tmp_path, link):
    run.save("m/a.txt", b"a" * 100_000)
    (tmp_path / "to" / "m").mkdir(parents=True)
    (tmp_path / "to" / "m" / "a.txt").write_text("of before")

    for _ in range(2):
        run.record.download(to=tmp_path / "to", link=link)

    assert [path for path in (tmp_path / "to").rglob("*") if path.is_file()] == [
        tmp_path / "to" / "m" / "a.txt"
    ]
    assert (tmp_path / "to" / "m" / "a.txt").read_bytes() == b"a" * 100_000


def test_a_download_that_fails_leaves_the_files_of_before(run, tmp_path):
    run.save("a.txt", b"new")
    target = tmp_path / "to" / "a.txt"
    target.parent.mkdir()
    target.write_text("mine")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(StoreUnavailableError, match="File too large") as failed:
            run.record.download(to=tmp_path / "to")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert failed.value.hint.startswith("Check the folder")
    assert target.read_text() == "mine"
    assert list(target.parent.iterdir()) == [target]


def test_artifacts_read_one_by_one_take_no_list_of_all(run, tmp_path, monkeypatch):
    for number in range(30):
        run.save(f"{number // 10}/{number}.pt", b"a")
    listed, real, read = [], os.listdir, []
    monkeypatch.setattr(os, "listdir", lambda *place: listed.append(place) or real(*place))
    saved = run.record.artifacts

    def note(frame, event, _):
        if event == "call" and frame.f_code is as_time.__code__:
            read.append(frame)

    sys.setprofile(note)
    try:
        for path in saved:
            assert run.record.read_bytes(path) == b"a"
            run.record.download(path, to=tmp_path / "to")
        for folder in "012":
            assert len(run.record.download(folder, to=tmp_path / "to")) == 10
    finally:
        sys.setprofile(None)

    assert len(read) == 30 + 30 + 30
    assert len(listed) == 3


def test_a_download_begins_in_each_folder_once(run, tmp_path, monkeypatch):
    """Beginning takes as long as listing the folder, which may have a folder per file."""
    for number in range(5):
        run.save(f"m/{number}.pt", b"a")
        run.save(f"m/{number}/notes", b"b")
    listed, real = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda *place: listed.append(place) or real(*place))

    written = run.record.download(to=tmp_path / "to")

    assert [path.name for path in written] == [
        name for number in range(5) for name in (f"{number}.pt", "notes")
    ]
    assert len(listed) == 6


KILLED = """
import os, signal, sys, runstore
from pathlib import Path
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
runstore.Store.open(sys.argv[1]).get("fit#1").download(to=sys.argv[2])
"""


@pytest.mark.folder_only
def test_a_download_removes_files_of_one_that_was_killed(store, run, tmp_path):
    run.save("m/a.txt", b"a")
    (tmp_path / "to" / "m").mkdir(parents=True)
    mine = tmp_path / "to" / "m" / ".runstore-download-mine"
    mine.touch()
    words = [sys.executable, "-c", KILLED, str(store.path), str(tmp_path / "to")]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "to" / "m").iterdir())) == 3

    run.record.download(to=tmp_path / "to")

    assert sorted((tmp_path / "to" / "m").iterdir()) == [mine, tmp_path / "to" / "m" / "a.txt"]


def test_download_does_not_write_through_links(run, tmp_path):
    run.save("m/a.txt", b"a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "m").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InvalidValueError, match="through a link"):
        run.record.download(to=tmp_path / "to")

    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.folder_only
def test_a_moved_store_still_has_them(run, tmp_path):
    run.save("a.bin", b"x")
    run.finish()
    run.store.close()
    run.store.path.rename(tmp_path / "moved")

    with Store.open(tmp_path / "moved") as moved:
        assert moved.get("fit#1").read_bytes("a.bin") == b"x"


# Inputs and lineage


def test_a_run_knows_what_it_read(run, tmp_path):
    data = tmp_path / "train.csv"
    data.write_text("x\n1\n")

    used = run.use(data, "data")

    (kept,) = run.record.inputs
    assert kept == used
    assert kept.digest == hashlib.sha256(b"x\n1\n").hexdigest()
    assert (kept.name, kept.size_bytes, kept.location) == ("data", 4, str(data))
    assert kept.modified_at is not None


def test_a_run_that_reads_what_another_saved_knows_it(store, run, tmp_path):
    run.save("model.pt", b"weights")
    run.finish()

    with store.start("eval", capture=False) as reader:
        run.record.open("model.pt").close()
        (tmp_path / "copy.pt").write_bytes(b"weights")
        reader.use(tmp_path / "copy.pt")

    assert [one.source_uid for one in reader.record.inputs] == [run.uid, run.uid]
    assert [one.uid for one in store.readers_of(run.uid)] == [reader.uid]


def test_reading_outside_a_run_leaves_no_trace(store, run):
    run.save("model.pt", b"weights")

    run.record.open("model.pt").close()
    with run:
        run.record.open("model.pt").close()

    assert store.readers_of(run.uid) == ()


def test_an_input_that_is_missing_is_not_advised_to_be_saved(run):
    with pytest.raises(NotFoundError) as raised:
        run.use("missing.csv")

    assert str(raised.value).endswith("No such file or directory. The input was not recorded.")


def test_an_empty_path_is_no_input(run):
    """As of an unset variable of a shell; it would be the working directory."""
    with pytest.raises(InvalidValueError, match=r"The path is empty\. The input was not recorded"):
        run.use("")

    assert run.record.inputs == ()


@pytest.mark.skipif(sys.platform != "linux", reason="the file is one of Linux")
def test_an_input_that_cannot_be_read_to_its_end_is_named(run):
    """It can be opened, but each read fails, as on a failing disk."""
    with pytest.raises(NotFoundError, match="'/proc/self/mem' cannot be read: Input/output error"):
        run.use("/proc/self/mem")

    assert run.record.inputs == ()


def test_folders_and_urls_can_be_inputs(run, tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "1").write_text("1")
    first = run.use(tmp_path / "data")
    (tmp_path / "data" / "a" / "1").write_text("2")

    second = run.use(tmp_path / "data")
    remote = run.use("s3://bucket/data", digest="ab" * 32)

    assert first.digest != second.digest
    assert (remote.location, remote.size_bytes) == ("s3://bucket/data", None)


def test_a_large_file_is_read_once_while_it_stays_the_same(store, run, tmp_path):
    data = tmp_path / "data.bin"
    data.write_bytes(b"x" * 1000)
    os.utime(data, (1, 1))
    long_ago = data.stat()

    first = run.use(data)
    known = store.backend.artifacts
    data.write_bytes(b"y" * 1000)
    os.utime(data, ns=(long_ago.st_atime_ns, long_ago.st_mtime_ns))  # as some copiers do
    second = run.use(data)

    assert first.digest != second.digest
    assert known is store.backend.artifacts


@pytest.mark.folder_only
def test_many_processes_save_the_same_at_once(store, processes):
    code = (
        "import sys, runstore\n"
        "for n in range(3):\n"
        "    with runstore.start_run('many', store=sys.argv[1], capture=False) as run:\n"
        "        run.save('same.bin', b'same' * 10_000)\n"
        "        run.save('own.txt', run.uid.encode())\n"
    )
    started = [Program(code, store.path) for _ in range(processes)]

    assert [one.wait() for one in started] == [0] * processes
    runs = store.list("many", limit=1000).items
    assert len(runs) == 3 * processes
    assert {one.read_bytes("same.bin") for one in runs} == {b"same" * 10_000}
    assert all(one.read_bytes("own.txt").decode() == one.uid for one in runs)
    assert len(object_files(store)) == 1 + 3 * processes
