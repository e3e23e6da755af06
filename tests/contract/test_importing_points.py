"""The files of points that a run has written: which stay open, and which are not lost."""

import os

import pytest

from other_users import skip_without_root
from runstore.recording.points import importing
from runstore.recording.points.importing import PointImport

UID = "01890000-0000-7000-8000-000000000000"


class Written:
    """A file of points as far as an import asks for it."""

    def __init__(self, path, data=b"points"):
        self.path, self.data, self.is_open = path, data, True

    def saved(self):
        return self.data

    def close(self):
        self.is_open = False


@pytest.fixture
def points(store):
    return PointImport(store.backend, UID, "fit_1")


@pytest.fixture
def spool(store):
    return store.backend.spool.in_first_place(lambda place: place)


@pytest.fixture
def absorbed(store, monkeypatch):
    """The paths that the database was asked to import; it removes what is there."""
    paths = []

    def absorb(path, **_):
        paths.append(path)
        path.unlink(missing_ok=True)

    monkeypatch.setattr(store.backend.metrics, "absorb", absorb)
    return paths


def test_only_the_latest_files_stay_open(points, spool):
    files = [Written(spool / f"{UID}.{n}.points") for n in range(10)]

    for file in files:
        points.add(file)

    assert [file.is_open for file in files] == [False] * 2 + [True] * 8
    assert points.written == [file.path for file in files]


@pytest.mark.parametrize("why", ["deleted", "in its place", "imported", "empty"])
def test_a_deleted_file_that_was_not_imported_is_written_again(points, spool, why):
    file = Written(spool / f"{UID}.1.points", None if why == "empty" else b"points")
    points.add(file)
    if why == "in its place":
        file.path.write_bytes(b"newer")
    elif why == "imported":
        points.written.clear()

    points.close_all()

    contents = {"deleted": b"points", "in its place": b"newer"}.get(why)
    assert (file.path.read_bytes() if file.path.exists() else None) == contents
    assert not file.is_open


def test_an_imported_file_is_closed(points, spool, absorbed):
    file = Written(spool / f"{UID}.1.points")
    file.path.touch()
    points.add(file)

    assert points.absorbed(file.path)

    assert (absorbed, points.written, file.is_open) == ([file.path], [], False)


def test_a_file_that_another_process_imported_is_no_trouble(store, points, spool, monkeypatch):
    missing = spool / f"{UID}.1.points"
    monkeypatch.setattr(store.backend.spool, "point_files", lambda *_, **__: [missing])

    points.absorb_all()

    assert not points.was_refused


def test_files_of_a_forked_child_are_imported_and_those_of_another_user_are_not(
    points, spool, absorbed
):
    skip_without_root()
    paths = [spool / f"{UID}.{n}.points" for n in (1, 2)]
    for path in paths:
        path.touch()
    os.chown(paths[0], 1234, 1234)

    points.absorb_all()

    assert absorbed == paths[1:]


def test_many_runs_at_once_take_turns(points, spool, absorbed, monkeypatch):
    """A pause is fifty times as long as the import before it."""
    now, file = [100.0], Written(spool / f"{UID}.1.points")
    monkeypatch.setattr(importing.clock, "monotonic", lambda: now[0])

    def absorb_at(time_s, duration_s):
        now[0] = time_s
        before = len(absorbed)
        monkeypatch.setattr(file, "saved", lambda: None)
        slow = points._backend.metrics.absorb

        def absorb(path, **options):
            slow(path, **options)
            now[0] += duration_s

        with monkeypatch.context() as patch:
            patch.setattr(points._backend.metrics, "absorb", absorb)
            points.absorb_some(file, lambda _: False)
        return len(absorbed) - before

    assert absorb_at(100.0, 0.1) == 1
    assert absorb_at(105.0, 0.1) == 0
    assert absorb_at(105.2, 0.1) == 1
