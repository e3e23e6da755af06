"""Rows of runs: one list of columns, for statements and for what may be in each."""

from runstore.storage import rows, statements


def test_the_columns_of_statements_are_those_of_a_row():
    names = [one.partition(".")[2] for one in statements.RUN_COLUMNS.split(", ")]

    assert names == ["name" if one == "experiment" else one for one in statements.RunRow._fields]
    assert list(rows._CELLS) == list(statements.RunRow._fields)


def test_a_row_without_a_reference_gets_one_from_its_number():
    cells = dict.fromkeys(statements.RunRow._fields)
    sound = {"id": 7, "uid": "u", "experiment": "e", "timestamp": "t", "status": "complete"}

    mended = rows.mended_row([*{**cells, **sound, "reference": b"\xff"}.values(), "behind"])

    assert (mended.id, mended.reference, mended.status) == (7, "\\xff", "complete")
    assert rows.mended_row([*{**cells, **sound}.values()]).reference == "run 7"
