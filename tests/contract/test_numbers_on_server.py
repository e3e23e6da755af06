"""A server reads the numbers that tags spell as Python does, also in parallel queries."""

import pytest

from runstore.model.query.exact import written_number

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def server(url):
    with psycopg.connect(url) as connection:
        yield connection


SPELLED = [
    *("7", "-7", "0", "-0", "0.50", ".5", "1e-5", "1E+05", "-2.5e-05", "true", "false"),
    *("inf", "-inf", "nan", "007", "+7", "1_000", "1.", "", "1e", "0x10", "1e5 ", "\u0661"),
    *("1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308"),
    *("-1.7976931348623159e308", "17976931348623157e292", "0.17976931348623159e309"),
    *("4.9e-324", "2.5e-324", "2.4e-324", "-2.4e-324", "0.00025e-320", "1e-400", "0e999999"),
    *("1e999", "-1e999", "1e-99999999999999999999", "1e99999999999999999999", "12e4567"),
    *("1" + "0" * 308, "1" + "0" * 309, "-1" + "0" * 309, "9" * 5_000),
    *("0." + "0" * 400 + "1", "." + "0" * 400 + "1e401", "1" + "0" * 400 + "e-400"),
    *("1" + "0" * 400 + "e-5", "1" + "0" * 400 + ".5", "0." + "0" * 20_000 + "1e20000"),
]


def test_numbers_are_read_as_python_reads_them(server):
    found = dict(
        server.execute(
            "SELECT spelled, number_of(spelled) FROM unnest(%s::text[]) n (spelled)", [SPELLED]
        ).fetchall()
    )

    truths = {"false": 0.0, "true": 1.0}
    assert found == {one: truths.get(one, written_number(one)) for one in SPELLED}


def test_functions_of_parallel_queries_begin_no_subtransaction(server):
    """PostgreSQL 14 to 16 refuse them there: filters would fail, but only in large stores."""
    found = server.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND proparallel <> 'u' AND prosrc ~* '\\yexception\\s+when\\y'"
    ).fetchall()

    assert found == []
