"""The code of two runs: the files that differ, and the lines of one of them by windows."""

from __future__ import annotations

from collections import OrderedDict
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from runstore.analysis.compare.as_json import code_as_json
from runstore.analysis.compare.code import code_changes
from runstore.analysis.compare.diff_lines import DiffLine, diff_lines
from runstore.errors import NotFoundError
from runstore.storage.query.changes import Changes
from runstore.web.api.comparing.differences import RUN, A, B, named
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_whole
from runstore.web.schemas import ANYTHING, FLAG, TEXT, WHOLE, listed, mapped, record

if TYPE_CHECKING:
    from runstore.analysis.compare.code_changes import CodeChanges
    from runstore.model.run import Run

_LINES, _LINES_AT_MOST = 400, 2_000


class _LastDiffs:
    """Comparisons of code that were asked for last: windows of one diff follow one another."""

    _at_most = 4

    def __init__(self) -> None:
        self._changes: OrderedDict[tuple[Any, ...], CodeChanges] = OrderedDict()
        self._lines: tuple[tuple[Any, ...], list[DiffLine]] | None = None
        self._lock = Lock()

    def changes(self, call: Call) -> tuple[tuple[Run, Run], CodeChanges, tuple[Any, ...]]:
        """Return both runs, how their code differs, and the key of that."""
        store = call.store
        first, second = store.get(call.query["a"]), store.get(call.query["b"])
        changed, is_certain = Changes(store.backend.database).latest()
        key = (store.path, first.uid, second.uid, changed)
        with self._lock:
            found = self._changes.get(key) if is_certain else None
        if found is None:
            found = code_changes(store.backend, first, second)
            # A commit that is not known here may arrive without any change of the store.
            if found.is_known and is_certain:
                self._keep(key, found)
        return (first, second), found, key

    def _keep(self, key: tuple[Any, ...], found: CodeChanges) -> None:
        with self._lock:
            self._changes[key] = found
            while len(self._changes) > self._at_most:
                self._changes.popitem(last=False)

    def lines(self, key: tuple[Any, ...], diff: str) -> list[DiffLine]:
        """Return the lines of a diff; those of the last one are kept."""
        with self._lock:
            if self._lines is not None and self._lines[0] == key:
                return self._lines[1]
        found = list(diff_lines(diff))
        with self._lock:
            self._lines = (key, found)
        return found


_last_diffs = _LastDiffs()


def _code(call: Call) -> Answer:
    runs, found, _ = _last_diffs.changes(call)
    content = code_as_json(found)
    for place, one in enumerate(content["files"]):
        del one["diff"]  # by windows
        one["file"] = place
    return json_answer({"runs": named(runs), **content})


def _code_lines(call: Call) -> Answer:
    _, found, key = _last_diffs.changes(call)
    place = call.query["file"]
    if place >= len(found.files):
        raise NotFoundError(
            f"The code of these runs differs in {len(found.files)} files, so there is no file"
            f" {place}.",
            hint="Request /diff/code again: the runs may have changed.",
        )
    lines = _last_diffs.lines((*key, place), found.files[place].diff)
    begin = call.query["from"]
    return json_answer(
        {
            "total": len(lines),
            "lines": [list(one) for one in lines[begin : begin + call.query["limit"]]],
        }
    )


ENDPOINTS = (
    Endpoint(
        path="/diff/code",
        answer=_code,
        about="Return the files in which the code of two runs differs, without their lines.",
        parameters=(A, B),
        result=record(
            runs=listed(RUN),
            is_known=FLAG,
            remarks=listed(TEXT),
            files=listed(mapped(ANYTHING)),
            other_new_files=listed(TEXT),
        ),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/diff/code/lines",
        answer=_code_lines,
        about="Return some lines of the diff of one file: kind, old and new number, text, cut.",
        parameters=(
            A,
            B,
            query_whole("file", "Index of the file in /diff/code.", 0),
            query_whole("from", "Lines to skip.", 0),
            query_whole("limit", "Lines to return.", _LINES, least=1, most=_LINES_AT_MOST),
        ),
        result=record(total=WHOLE, lines=listed(listed(ANYTHING))),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
)
