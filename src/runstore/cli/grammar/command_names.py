"""Names of commands: their groups in the help, aliases, and hints for unknown names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Record runs": ("run", "exec", "rerun", "record", "metric", "save", "init"),
    "Look at runs": (
        "ls", "show", "output", "artifacts", "download", "plot", "top", "ui", "grep",
        "experiments", "views",
    ),
    "Analyse": ("diff", "compare", "best", "why", "similar", "direction"),
    "Manage": (
        "tag", "note", "mv", "rm", "trash", "restore", "undo", "redo", "settle", "gc", "doctor",
        "verify", "scrub",
    ),
    "Share and set up": ("push", "pull", "copy", "migrate", "export", "trust", "completion"),
}  # fmt: skip
_OTHERS = "More commands"

# Hidden aliases that are as natural as the names of the commands.
ALIASES: Mapping[str, str] = {"get": "download", "log": "output", "query": "views"}

_LIST = "List runs with: runstore ls"
_FIND = "Search texts with `runstore grep`, or filter runs: runstore ls 'params.lr > 0.1'"
_DELETE = "Move runs to the trash with: runstore rm"
_COPY = "A store is a folder without a server. Copy it with: runstore copy"
_PUSH = (
    "Copy runs to another store with `runstore push`, from it with `runstore pull`, or a whole"
    " store with: runstore copy"
)
_STOP = (
    "runstore does not stop programs: press Ctrl-C in the terminal of the run, or end its process."
)
# Commands of other programs that have another name in runstore, or no equivalent.
_HINTS: Mapping[str, str] = {
    **dict.fromkeys(("delete", "remove", "del", "unlink"), _DELETE),
    **dict.fromkeys(("list", "runs", "ps", "status", "query-runs"), _LIST),
    **dict.fromkeys(("stop", "kill", "abort", "cancel", "terminate"), _STOP),
    **dict.fromkeys(("clone", "backup", "cp"), _COPY),
    **dict.fromkeys(("sync", "remote", "upload", "merge"), _PUSH),
    **dict.fromkeys(
        ("login", "logout", "signup"), "runstore needs no account: its store is a local folder."
    ),
    **dict.fromkeys(("search", "find", "where"), _FIND),
    **dict.fromkeys(
        ("logs", "tail", "head", "follow", "stdout", "console"),
        "Show the output of a run with: runstore output -f",
    ),
    "cat": "Print output with `runstore output RUN`, or write files: runstore download RUN",
    **dict.fromkeys(
        ("error", "errors", "traceback", "failure"), "Show an error with: runstore show RUN"
    ),
    **dict.fromkeys(("info", "describe", "view", "inspect"), "Show a run with: runstore show RUN"),
    **dict.fromkeys(
        ("purge", "prune", "clean", "empty"),
        "Permanently delete trashed runs with: runstore gc --trash",
    ),
    **dict.fromkeys(
        ("web", "dashboard", "server", "serve", "open", "browse", "board", "tensorboard"),
        "Look at runs in a browser with: runstore ui",
    ),
    **dict.fromkeys(("watch", "monitor"), "Watch runs with: runstore top"),
    **dict.fromkeys(("rename", "move"), "Rename an experiment or move runs with: runstore mv"),
    **dict.fromkeys(("tags", "label"), "Set and remove tags with: runstore tag RUN +keep"),
    **dict.fromkeys(("notes", "comment"), "Write notes with: runstore note RUN"),
    **dict.fromkeys(("files", "artifact", "ls-files"), "List files with: runstore artifacts RUN"),
    **dict.fromkeys(("fetch", "checkout"), "Write saved files with: runstore download RUN"),
    **dict.fromkeys(("revert", "rollback", "reset"), "Undo the last edit with: runstore undo"),
    **dict.fromkeys(("undelete", "recover"), "Restore a run with: runstore restore RUN"),
    **dict.fromkeys(("fsck", "check", "validate"), "Check the store with: runstore doctor"),
    **dict.fromkeys(
        ("start", "execute", "launch"), "Run a command with: runstore exec -- COMMAND"
    ),
    **dict.fromkeys(
        ("metrics", "params"),
        "Show the parameters and metrics of a run with: runstore show RUN",
    ),
    **dict.fromkeys(
        ("config", "settings", "configure"),
        "Show the parameters of a run with `runstore show RUN`. Settings are in [tool.runstore]"
        " of pyproject.toml.",
    ),
    **dict.fromkeys(("stats", "rank", "leaderboard"), "Rank settings with: runstore best"),
    **dict.fromkeys(("chart", "graph", "draw"), "Draw metrics with: runstore plot RUN"),
    **dict.fromkeys(("filter", "filters", "saved"), "Save a filter with: runstore views save"),
    "history": "List runs with `runstore ls`, or the edits of one: runstore show RUN --history",
    **dict.fromkeys(
        ("csv", "table", "pandas"),
        "Write a table with: runstore ls --all --format csv",
    ),
    **dict.fromkeys(("parquet", "duckdb"), "Write a dataset with: runstore export --parquet DIR"),
    "import": "Record a past run with: runstore record",
    **dict.fromkeys(
        ("repeat", "reproduce", "repro", "restart", "retry", "again"),
        "Repeat a run with: runstore rerun RUN",
    ),
    **dict.fromkeys(
        ("resume", "continue"), 'Resume a run in its script: start_run(resume="mnist#7")'
    ),
    **dict.fromkeys(
        ("sweep", "agent", "grid", "multirun", "tune", "hparams"),
        "Start a program once per setting, in a loop: runstore exec --if-done skip -- python"
        " train.py --lr 0.1",
    ),
    "version": "Show the version with: runstore --version",
}


def grouped(names: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the commands of each group; commands without one come last."""
    for title, group in GROUPS.items():
        yield title, [name for name in group if name in names]
    known = {name for group in GROUPS.values() for name in group}
    yield _OTHERS, sorted(set(names) - known)


def hint_for(word: str, names: Collection[str]) -> str:
    """Return a hint for an unknown command: its equivalent, the nearest one, or the help."""
    from runstore.model.display.suggestions import hint_of

    lower = word.strip().lower()
    if lower in _HINTS:
        return _HINTS[lower]
    return hint_of(lower, names, otherwise="Show all commands with: runstore --help")
