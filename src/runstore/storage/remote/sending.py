"""Upload of contents for a process that is exiting; a program of its own.

It reads the URL of the store, a digest and a size from its standard input, as JSON, since a URL
may have a password, which the arguments of a process would show.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing

from runstore.errors import RunstoreError
from runstore.storage.files.spool import OBJECTS
from runstore.storage.postgres.database import ServerDatabase
from runstore.storage.postgres.location import server_location
from runstore.storage.remote.opening import objects_of


def main() -> None:
    """Upload contents of which there is a copy on this machine."""
    url, digest, size_bytes = json.load(sys.stdin)
    location = server_location(url)
    try:
        with closing(ServerDatabase(location, create=False)) as database:
            objects_of(database, location.folder / OBJECTS).share(digest, size_bytes)
    except RunstoreError as error:
        sys.exit(error.what)


if __name__ == "__main__":
    main()
