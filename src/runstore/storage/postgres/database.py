"""The runs of a store on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstore.errors import (
    SchemaTooNewError,
    SchemaTooOldError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from runstore.model.params.parameter_set import lowest_hash
from runstore.storage.database import Database, RunEdits, no_run
from runstore.storage.new_runs import NewRun
from runstore.storage.postgres import parts, schema
from runstore.storage.postgres.driver import PostgresDriver
from runstore.storage.postgres.location import ServerLocation
from runstore.storage.rows import facts_to_text, now_micros
from runstore.storage.statements import SCHEMA_VERSION
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.storage.remote.places import ContentsPlace

_ENCODING = "SELECT current_setting('server_encoding')"


_START = f"SELECT number, made FROM start_run({', '.join(f'${n}' for n in range(1, 31))})"  # noqa: S608 - marks of parameters


_EDIT = "SELECT missing, is_changed FROM edit_runs($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_CREATED = "SELECT min(applied_at) FROM schema_migrations"
_NO_PROCESS = (None, None, None, None)


class ServerDatabase(Database):
    """The runs of one store in a PostgreSQL database.

    Attributes:
        path: The URL, without passwords.
        place: The place of the contents of artifacts, if the location names one.

    Args:
        location: The server and the database.
        create: Create the tables if there are none.
        migrate: Apply missing migrations to older tables; otherwise, they are an error.
    """

    driver: PostgresDriver

    def __init__(
        self, location: ServerLocation, *, create: bool = True, migrate: bool = False
    ) -> None:
        self.path = location.shown
        self.file = str(location.folder / "server.txt")
        driver = PostgresDriver(location)
        self.driver = driver
        self._wanted_place = location.objects
        self.place: ContentsPlace | None = None
        try:
            self._open(driver, create=create, migrate=migrate)
        except BaseException:  # otherwise its connection would stay open
            driver.close()
            raise

    def _open(self, driver: PostgresDriver, *, create: bool, migrate: bool) -> None:
        if migrate and schema.find(driver).version:
            schema.migrate(driver)
            parts.restore(driver, warn)
            _make_index(driver)
        self._check_tables(driver, create=create)
        if self._wanted_place is not None:
            from runstore.storage.remote.places import place_of

            self.place = place_of(driver, self._wanted_place)

    def _check_tables(self, driver: PostgresDriver, *, create: bool) -> None:
        found = schema.find(driver)
        if found.version == 0:
            self._make_tables(driver, create=create)
            return
        is_old = found.version < SCHEMA_VERSION
        if is_old or not found.has_functions:
            raise SchemaTooOldError(
                f"{self.path} has schema {found.version}; this runstore requires {SCHEMA_VERSION}."
                if is_old
                else f"{self.path} lacks a function of its schema.",
                kept="Nothing was changed.",
                hint="Ask the owner of the database to run: runstore migrate",
            )
        if found.version > SCHEMA_VERSION:
            driver.refuse_writes(
                SchemaTooNewError(
                    f"{self.path} has schema {found.version}; this runstore supports up to"
                    f" {SCHEMA_VERSION}.",
                    kept="Nothing was changed; reading still works.",
                    hint="In a checkout of a newer version of runstore, run: pip install .",
                )
            )
            return
        if found.is_replica or not found.may_write:
            reason = "the server is a replica" if found.is_replica else "the role may only read"
            driver.refuse_writes(
                StoreReadOnlyError(
                    f"The store at {self.path} cannot be written: {reason}.",
                    kept="Nothing was changed; reading still works.",
                    hint="Connect to the primary server, with a role that can write.",
                )
            )
        else:
            schema.go_on_counting(driver)

    def start_run(self, new: NewRun) -> tuple[int, str]:
        """Assign the next run number and write the run, in one round trip; durable on return."""
        known, sets = new.facts.values, new.parameter_sets
        params = [(index, *entry) for index, one in enumerate(sets) for entry in one.flat()]
        return tuple(self.driver.call(_START, [
            _milliseconds(self.driver.lock_patience_s), new.experiment_name, new.timestamp,
            now_micros(), new.uid, new.status.value, new.started_at, new.parent_uid, new.notes,
            known.get("git.commit"), known.get("git.dirty"), new.cli, new.full_store,
            *(new.process or _NO_PROCESS), facts_to_text(new.facts), lowest_hash(sets),
            [one.file for one in sets], [one.name for one in sets], [one.hash for one in sets],
            [None if one.tree is None else one.tree_key for one in sets],
            [one.tree for one in sets],
            *([row[place] for row in params] for place in range(4)),
            [*new.tags.keys()], [*new.tags.values()],
        ]))  # fmt: skip

    def edit_at_once(self, change: RunEdits) -> bool:
        """Change tags and notes in one round trip; return whether anything changed.

        Raises:
            RunNotFoundError: One of the runs is not in the store.
        """
        patience_s, wait = self.driver.patience_s, _milliseconds(self.driver.lock_patience_s)
        values = [
            wait, [*change.uids], change.or_trashed, [*change.tags.keys()],
            [*change.tags.values()], [*change.notes], change.author, change.operation,
            now_micros(),
        ]  # fmt: skip
        missing, is_changed = self.driver.call(_EDIT, values, patience_s)
        if missing is not None:
            raise no_run(missing)
        return bool(is_changed)

    def created_at(self) -> str:
        """Return the time at which the tables were created, which identifies a store."""
        return str(self.driver.fetch_one(_CREATED)[0])

    def differences_of_schema(self) -> list[str]:
        """Return missing tables, columns, indexes, views and functions."""
        with self.driver.read() as connection:
            return [" ".join(one) for one in parts.missing(connection)]

    def _make_tables(self, driver: PostgresDriver, *, create: bool) -> None:
        encoding = driver.fetch_one(_ENCODING)[0]
        if encoding != "UTF8":
            raise StoreError(
                f"The database at {self.path} has the encoding {encoding}, which cannot hold all"
                " texts.",
                kept="Nothing was changed.",
                hint="Create a database in UTF-8:"
                " createdb --encoding UTF8 --template template0 runs",
            )
        if schema.has_others(driver):
            if schema.find(driver).version:  # of a program that has created them just now
                self._check_tables(driver, create=create)
                return
            raise StoreCorruptError(
                f"{self.path} has tables of another program.",
                kept="They were not changed.",
                hint="Create a database for the store: createdb runs",
            )
        if not create:
            raise StoreUnavailableError(
                f"There is no store at {self.path}.",
                hint="Record a run first, or name another database.",
            )
        schema.create(driver)
        _make_index(driver)


def _make_index(driver: PostgresDriver) -> None:
    from runstore.storage.postgres.search.trigrams import make_index

    make_index(driver, warn)


def _milliseconds(patience_s: float) -> str:
    """Return a patience for the server, where 0 means no limit."""
    return f"{max(1, round(patience_s * 1000))}ms"
