"""Contents of artifacts in a folder that all machines share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runstore.storage.files.objects import Objects
from runstore.storage.postgres.driver import PostgresDriver
from runstore.storage.remote.places import ContentsPlace, check_folder


class SharedFolder(Objects):
    """The contents of one store in a shared folder, which must have the mark of the store."""

    def __init__(self, driver: PostgresDriver, place: ContentsPlace) -> None:
        super().__init__(check_folder(driver, place))
        self._driver = driver
        self._place = place._replace(is_new=False)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Prevent cleaning up inside the block.

        Raises:
            StoreUnavailableError: The folder is no longer mounted, or contents were moved.
        """
        check_folder(self._driver, self._place)
        with super().in_use():
            yield
