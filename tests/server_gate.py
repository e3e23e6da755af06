"""A way to a PostgreSQL server that tests close and open."""


class Gate:
    """A way to a server that can be closed: a folder with a link to the server's socket."""

    def __init__(self, folder, url):
        self._link = folder
        before, _, options = url.partition("?")
        self._to = options.removeprefix("host=").replace("%2F", "/")
        self.url = f"{before}?host={folder}"
        self.direct = url
        self.open()

    def open(self):
        self._link.symlink_to(self._to)

    def close(self, name=None):
        from postgres_server import admin

        self._link.unlink()
        name = self.direct.partition("?")[0].rpartition("/")[2]
        admin(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 - our own name
        )
