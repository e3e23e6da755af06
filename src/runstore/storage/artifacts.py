"""Rows of artifacts, previews, inputs and output of runs."""

from __future__ import annotations

from collections.abc import Sequence

from runstore.errors import ConflictError
from runstore.model.values import clean_text
from runstore.storage import statements as sql
from runstore.storage.database import Database, no_run
from runstore.storage.driver import Connection
from runstore.storage.rows import (
    as_int,
    as_optional_int,
    as_optional_text,
    as_optional_time,
    as_text,
    as_time,
    to_micros,
)
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.model.artifacts import Artifact, Input, Preview

# An artifact whose contents are stored, and its preview, if any.
Noted = tuple["Artifact", "Preview | None"]
_OF_RUN = "run_id = (SELECT id FROM runs WHERE uid = :uid)"
RUN_ID = "SELECT id FROM runs WHERE uid = :uid AND purged_at IS NULL"
PUT_ARTIFACT = """
    INSERT INTO artifacts (run_id, path, digest, size_bytes, media_type, saved_at)
    VALUES (:run_id, :path, :digest, :size_bytes, :media_type, :saved_at)
    ON CONFLICT (run_id, path) DO UPDATE SET digest = excluded.digest,
        size_bytes = excluded.size_bytes, media_type = excluded.media_type,
        saved_at = excluded.saved_at
"""
PUT_PREVIEW = """
    INSERT INTO previews (digest, media_type, body) VALUES (:digest, :media_type, :body)
    ON CONFLICT (digest) DO NOTHING
"""
_ARTIFACTS = f"""
    SELECT path, digest, size_bytes, media_type, saved_at FROM artifacts WHERE {_OF_RUN}
"""  # noqa: S608 - a constant of this file
ARTIFACTS_OF_RUN = f"{_ARTIFACTS} ORDER BY path"
ARTIFACT = f"{_ARTIFACTS} AND path = :path"
ARTIFACTS_BELOW = f"{_ARTIFACTS} AND path >= :begin AND path < :end ORDER BY path"
PREVIEW = "SELECT media_type, body FROM previews WHERE digest = :digest"
# A file and a folder of the same name could not be written side by side.
BELOW = """
    SELECT path FROM artifacts WHERE run_id = :run_id AND path >= :begin AND path < :end LIMIT 1
"""
SAME_PATH = "SELECT path FROM artifacts WHERE run_id = :run_id AND path = :path"
SAVED_BY = """
    SELECT r.uid FROM artifacts a JOIN runs r ON r.id = a.run_id
    WHERE a.digest = :digest AND r.uid <> :uid AND r.deleted_at IS NULL
    ORDER BY a.saved_at DESC LIMIT 1
"""
PUT_INPUT = """
    INSERT INTO inputs (run_id, name, digest, size_bytes, modified_at, location, source_uid,
        used_at)
    VALUES (:run_id, :name, :digest, :size_bytes, :modified_at, :location, :source_uid, :used_at)
    ON CONFLICT (run_id, name) DO UPDATE SET digest = excluded.digest,
        size_bytes = excluded.size_bytes, modified_at = excluded.modified_at,
        location = excluded.location, source_uid = excluded.source_uid,
        used_at = excluded.used_at
"""
INPUTS_OF_RUN = f"""
    SELECT name, digest, size_bytes, modified_at, location, source_uid, used_at FROM inputs
    WHERE {_OF_RUN} ORDER BY name
"""  # noqa: S608 - a constant of this file
READERS_OF_RUN = """
    SELECT DISTINCT r.uid FROM inputs i JOIN runs r ON r.id = i.run_id
    WHERE i.source_uid = :uid AND r.deleted_at IS NULL ORDER BY r.uid
"""
KNOWN_FILE = """
    SELECT size_bytes, modified_ns, file_id, digest FROM known_files WHERE location = :location
"""
PUT_KNOWN_FILE = """
    INSERT INTO known_files (location, size_bytes, modified_ns, file_id, digest)
    VALUES (:location, :size_bytes, :modified_ns, :file_id, :digest)
    ON CONFLICT (location) DO UPDATE SET size_bytes = excluded.size_bytes,
        modified_ns = excluded.modified_ns, file_id = excluded.file_id, digest = excluded.digest
"""
PUT_OUTPUT = """
    INSERT INTO outputs (run_id, part, digest, size_bytes)
    VALUES (:run_id, :part, :digest, :size_bytes)
    ON CONFLICT (run_id, part) DO UPDATE SET digest = excluded.digest,
        size_bytes = excluded.size_bytes
"""
OUTPUTS_OF_RUN = f"""
    SELECT part, digest, size_bytes FROM outputs WHERE {_OF_RUN} ORDER BY part
"""  # noqa: S608 - a constant of this file


class FileFacts(NamedTuple):
    """Facts that show whether a file is unchanged since its digest was computed."""

    size_bytes: int
    modified_ns: int
    file_id: str


class OutputPart(NamedTuple):
    """A file of printed output among the objects."""

    part: str
    digest: str
    size_bytes: int


class ArtifactTable:
    """The artifacts, inputs and output of the runs of one store."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    # Writing

    def put(self, artifact: Artifact, preview: Preview | None = None) -> None:
        """Add an artifact whose contents are stored, replacing any with the same path.

        Raises:
            RunNotFoundError: There is no such run.
            ConflictError: A path would be both a file and a folder.
        """
        uid = artifact.run_uid
        self._driver.transact(
            lambda connection: put_artifact(
                connection, _run_id(connection, uid), artifact, preview
            ),
            of=[uid],
        )

    def put_input(self, uid: str, used: Input) -> None:
        """Add an input of a run, replacing any with the same name.

        Raises:
            RunNotFoundError: There is no such run.
        """
        row = row_of_input(used)
        self._driver.transact(
            lambda connection: connection.execute(
                PUT_INPUT, {"run_id": _run_id(connection, uid), **row}
            ),
            of=[uid],
        )

    def put_output(self, uid: str, one: OutputPart) -> None:
        """Add a file of printed output whose contents are stored.

        Raises:
            RunNotFoundError: There is no such run.
        """

        def put(connection: Connection) -> None:
            run_id = _run_id(connection, uid)
            connection.execute(PUT_OUTPUT, {"run_id": run_id, **one._asdict()})
            connection.execute(sql.MARK_CHANGED, {"id": run_id})  # its text can be searched now

        self._driver.transact(put, of=[uid])

    def remember_file(self, location: str, facts: FileFacts, digest: str) -> None:
        """Remember the digest of a file until the file changes."""
        row = {"location": location, **facts._asdict(), "digest": digest}
        self._driver.transact(lambda connection: connection.execute(PUT_KNOWN_FILE, row), of=())

    # Reading

    def of_run(self, uid: str) -> tuple[Artifact, ...]:
        """Return the artifacts of a run, by path."""
        return self._artifacts(ARTIFACTS_OF_RUN, uid=uid)

    def at(self, uid: str, path: str) -> tuple[Artifact, ...]:
        """Return the artifact of a run with this path, or those in this folder, by path."""
        if clean_text(path) != path:
            return ()
        return self._artifacts(ARTIFACT, uid=uid, path=path) or self._artifacts(
            ARTIFACTS_BELOW, uid=uid, **_inside(path)
        )

    def _artifacts(self, statement: str, *, uid: str, **parameters: str) -> tuple[Artifact, ...]:
        from runstore.model.artifacts import Artifact

        return tuple(
            Artifact(
                run_uid=uid,
                path=as_text(path),
                digest=as_text(digest),
                size_bytes=as_int(size),
                media_type=as_text(media_type),
                saved_at=as_time(saved_at),
            )
            for path, digest, size, media_type, saved_at in self._rows(
                statement, uid=uid, **parameters
            )
        )

    def inputs_of(self, uid: str) -> tuple[Input, ...]:
        """Return the inputs of a run, by name."""
        return tuple(map(input_from_row, self._rows(INPUTS_OF_RUN, uid=uid)))

    def outputs_of(self, uid: str) -> tuple[OutputPart, ...]:
        """Return the output files of a run, in order of creation."""
        return tuple(
            OutputPart(as_text(part), as_text(digest), as_int(size))
            for part, digest, size in self._rows(OUTPUTS_OF_RUN, uid=uid)
        )

    def readers_of(self, uid: str) -> tuple[str, ...]:
        """Return the uids of runs that used artifacts of this run as inputs."""
        return tuple(row[0] for row in self._rows(READERS_OF_RUN, uid=uid))

    def saved_by(self, digest: str, *, but: str) -> str | None:
        """Return the uid of the last other run that saved these contents, or None."""
        found = self._rows(SAVED_BY, digest=digest, uid=but)
        return str(found[0][0]) if found else None

    def preview_of(self, digest: str) -> Preview | None:
        """Return the preview of an artifact, or None."""
        from runstore.model.artifacts import Preview

        found = self._rows(PREVIEW, digest=digest)
        if not found or type(found[0][1]) is not bytes:
            return None
        return Preview(media_type=as_text(found[0][0]), body=found[0][1])

    def digest_of_file(self, location: str, facts: FileFacts) -> str | None:
        """Return the remembered digest of a file, or None if the file changed."""
        found = self._rows(KNOWN_FILE, location=location)
        same = found and FileFacts(*found[0][:3]) == facts
        return str(found[0][3]) if same else None

    def _rows(self, statement: str, **parameters: Any) -> Sequence[Any]:
        return self._driver.fetch_all(statement, parameters)


def put_artifact(
    connection: Connection, run_id: int, artifact: Artifact, preview: Preview | None
) -> None:
    """Add an artifact within the caller's transaction; see `ArtifactTable.put`."""
    _check_place(connection, run_id, artifact.path)
    connection.execute(PUT_ARTIFACT, {"run_id": run_id, **row_of_artifact(artifact)})
    if preview is not None:
        seen = {"media_type": preview.media_type, "body": preview.body}
        connection.execute(PUT_PREVIEW, {"digest": artifact.digest, **seen})


def row_of_artifact(artifact: Artifact) -> dict[str, Any]:
    """Return the columns of an artifact, `path` to `saved_at`."""
    return {
        "path": artifact.path,
        "digest": artifact.digest,
        "size_bytes": artifact.size_bytes,
        "media_type": artifact.media_type,
        "saved_at": to_micros(artifact.saved_at),
    }


def row_of_input(used: Input) -> dict[str, Any]:
    """Return the columns of an input, `name` to `used_at`."""
    return {
        "name": used.name,
        "digest": used.digest,
        "size_bytes": used.size_bytes,
        "modified_at": None if used.modified_at is None else to_micros(used.modified_at),
        "location": used.location,
        "source_uid": used.source_uid,
        "used_at": to_micros(used.used_at),
    }


def input_from_row(row: Sequence[Any]) -> Input:
    """Build an input from its columns, `name` to `used_at`, in the order of the table."""
    from runstore.model.artifacts import Input

    return Input(
        name=as_text(row[0]),
        digest=as_optional_text(row[1]),
        size_bytes=as_optional_int(row[2]),
        modified_at=as_optional_time(row[3]),
        location=as_optional_text(row[4]),
        source_uid=as_optional_text(row[5]),
        used_at=as_time(row[6]),
    )


def _run_id(connection: Connection, uid: str) -> int:
    row = connection.execute(RUN_ID, {"uid": uid}).fetchone()
    if row is None:
        raise no_run(uid)
    return int(row[0])


def _inside(folder: str) -> dict[str, str]:
    return {"begin": f"{folder}/", "end": f"{folder}0"}  # 0 follows /


def _check_place(connection: Connection, run_id: int, path: str) -> None:
    """Raise ConflictError if a path would be both a file and a folder."""
    taken = connection.execute(BELOW, {"run_id": run_id, **_inside(path)}).fetchone()
    parts = path.split("/")
    for count in range(1, len(parts)):
        above = {"run_id": run_id, "path": "/".join(parts[:count])}
        taken = taken or connection.execute(SAME_PATH, above).fetchone()
    if taken is not None:
        raise ConflictError(
            f"{path!r} cannot be saved beside {taken[0]!r}: one would be a file and a folder.",
            kept="Nothing was changed.",
            hint="Choose another name.",
        )
