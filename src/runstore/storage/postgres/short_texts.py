"""Indexes that contain texts of users, as far as they are short enough for an entry.

An entry of an index has at most 2,700 bytes, and texts may be longer. Rows with short texts are in
one index, with their texts, so that searches do not read the wide rows; the few other rows are in
another one. Searches read both, as two parts of one table.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

import re

# Bytes of all texts of a run, and of the name and the text of a parameter.
_RUN_AT_MOST, _PARAM_AT_MOST = 1500, 1000

TEXTS_OF_RUN = (
    *("notes", "error", "cli", "hostname", "commit_hash", "reference", "uid", "parent_uid"),
)
_RUN_BYTES = " + ".join(f"coalesce(octet_length({name}), 0)" for name in TEXTS_OF_RUN)
_PARAM_BYTES = "octet_length(key) + octet_length(text)"

INDEXES = (
    # Without the last heartbeat, as `runs_by_start`.
    f"""
    CREATE INDEX runs_with_short_texts ON runs (started_at, id) INCLUDE (
        {", ".join(TEXTS_OF_RUN)}, status, ended_at, final_seen_at, experiment_id, run_number,
        exit_code, workdir_dirty, full_store
    ) WHERE deleted_at IS NULL AND {_RUN_BYTES} <= {_RUN_AT_MOST}
    """,
    f"""
    CREATE INDEX runs_with_long_texts ON runs (started_at, id)
        WHERE deleted_at IS NULL AND {_RUN_BYTES} > {_RUN_AT_MOST}
    """,
    # Otherwise, the planner expects that a third of the rows has long texts.
    f"CREATE STATISTICS bytes_of_texts ON ({_RUN_BYTES}) FROM runs",
    # Otherwise, it expects each text to be as frequent with any other name.
    f"CREATE STATISTICS texts_of_params (mcv) ON key, text, ({_PARAM_BYTES}) FROM params",
    "CREATE STATISTICS texts_of_tags (mcv) ON key, value FROM tags",
    "CREATE STATISTICS texts_of_facts (mcv) ON key, text FROM fact_values",
    f"""
    CREATE INDEX params_by_text ON params (key, text, run_id, set_index, number)
        WHERE {_PARAM_BYTES} <= {_PARAM_AT_MOST}
    """,
    f"""
    CREATE INDEX params_with_long_text ON params (key, run_id)
        WHERE {_PARAM_BYTES} > {_PARAM_AT_MOST}
    """,
    """
    CREATE INDEX params_without_value ON params (key, run_id)
        WHERE number IS NULL AND text IS NULL
    """,
)
_QUOTED_OR_BRACKET = re.compile(r"'(?:[^']|'')*'|[()]")
_CELLS = "run_id, set_index, key, number, text"
# The planner orders parts of a union by the index of each only if each has the order.
_RUNS = f"""(
    (SELECT * FROM runs WHERE {_RUN_BYTES} <= {_RUN_AT_MOST} ORDER BY started_at DESC, id DESC)
    UNION ALL
    (SELECT * FROM runs WHERE {_RUN_BYTES} > {_RUN_AT_MOST} ORDER BY started_at DESC, id DESC)
) r"""
_PARAMS = f"""(
    (SELECT {_CELLS}, text NOT IN ('false', 'true') AS is_plain FROM params
    WHERE {_PARAM_BYTES} <= {_PARAM_AT_MOST}{{order}})
    UNION ALL
    (SELECT {_CELLS}, true FROM params WHERE {_PARAM_BYTES} > {_PARAM_AT_MOST}{{order}}){{others}}
) v"""
# With a constant, the planner drops comparisons of texts.
_WITHOUT_TEXT = """
    UNION ALL SELECT run_id, set_index, key, number, NULL::text COLLATE "C", true FROM params
    WHERE text IS NULL"""
_USES_TEXT_OF_RUN = re.compile(rf"\br\.({'|'.join(TEXTS_OF_RUN)})\b")
_ORDER = re.compile(r" IS NOT NULL[^()]*? ORDER BY v\.text (ASC|DESC)")
# A condition that only a text fulfils, and what makes it one that holds for others as well.
_NEEDS_TEXT = re.compile(
    r"AND (?:\(|CASE WHEN )*(?:v\.text (?:=|GLOB|LIKE|IS NOT NULL)|(?:instr|strpos)\(v\.text)"
)
_MAY_LACK_TEXT = re.compile(r"IS NOT TRUE|coalesce\(|v\.(?:text IS NULL|number|is_plain)")


def runs(found: re.Match[str]) -> str:
    """Return the table of the runs `r` for a statement, with short texts apart if it has some."""
    return _RUNS if _USES_TEXT_OF_RUN.search(found.string) else "runs r"


def params(found: re.Match[str]) -> str:
    """Return the table of the parameters `v`, with short texts apart if texts are compared."""
    text = found.string[found.start() : end_of_brackets(found.string, found.end())]
    if "v.text" not in text + found.string[: found.start()].rpartition("SELECT")[2]:
        return "params v"
    order = _ORDER.search(text)
    is_of_texts = _NEEDS_TEXT.search(text) and not _MAY_LACK_TEXT.search(text)
    return _PARAMS.format(
        order=f" ORDER BY text {order[1]}" if order else "",
        others="" if is_of_texts else _WITHOUT_TEXT,
    )


def end_of_brackets(text: str, begin: int) -> int:
    """Return where the brackets around a place in a statement end."""
    depth = 1
    for part in _QUOTED_OR_BRACKET.finditer(text, begin):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if depth == 0:
            return part.start()
    return len(text)
