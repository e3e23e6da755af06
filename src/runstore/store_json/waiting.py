"""The file `store.json` while the server with its runs cannot be reached.

It keeps the blocks that it has, and shows the runs that wait on this machine after them. Its state
stays that of the server's runs, so that the next program with the server brings both together.
"""

from __future__ import annotations

from runstore.model.block import Block, block_from_run
from runstore.store_json.block_text import whole_list
from runstore.store_json.file import FileLock, read_block_file, set_aside, write_block_file
from runstore.store_json.sync import BlockSync
from runstore.user_warnings import warn


class WaitingSync(BlockSync):
    """Writes the runs that wait for a server into a file beside the blocks of the server."""

    def is_current(self) -> bool:
        """Return False: the whole file is written, as few runs wait."""
        return False

    def is_foreign(self) -> bool:
        """Return False: changes of others are imported when the server can be reached."""
        return False

    def others(self) -> list[Block]:
        """Return the blocks in the file of runs that do not wait."""
        found = read_block_file(self.path)
        if found is None:
            return []
        if found.problems:
            aside = set_aside(self.path)
            warn(f"{self.path} is damaged; it was kept as {aside.name}.")
        waiting = {row.run.reference for row in self.table.rows()}
        return [one for one in found.blocks if one.get("reference") not in waiting]

    def _bring_together(self, lock: FileLock, *, file_is_wanted: bool) -> None:  # noqa: ARG002 - as for the server
        others, rows = self.others(), self.table.rows()
        if rows or file_is_wanted:
            write_block_file(
                self.path, whole_list([*others, *(block_from_run(one.run) for one in rows)])
            )
