"""Facts that another program broke cost their own run its facts, and no other run anything."""

import pytest

from runstore.model.facts import Facts

BROKEN = ["{broken", "NaN", "", '{"values":{"mine.n":NaN}}', "[" * 50_000]
OTHER_SHAPES = ['{"values":5,"unknown":{}}', '{"values":[1],"unknown":{}}', "[1]", "null", "5"]


@pytest.fixture
def change_facts(store):
    """Return a function that changes the facts of the second of three runs."""
    for name in ("a", "b", "c"):
        run = store.start("exp", capture=False)
        facts = Facts(values={"mine.name": name, "mine.n": 2})
        store.backend.database.attach_facts(run.uid, facts)
        run.finish()

    def change(text):
        with store.backend.database.driver.write() as connection:
            connection.execute(
                "UPDATE runs SET facts = :text, facts_filed = NULL WHERE run_number = 2",
                {"text": text},
            )

    return change


def found(store, where):
    return [run.run_number for run in store.find(f"experiment = exp and {where}")]


@pytest.mark.parametrize("kind", ["broken", "of another shape"])
def test_only_their_run_is_without_facts(store, change_facts, kind):
    for text in BROKEN if kind == "broken" else OTHER_SHAPES:
        change_facts(text)

        assert found(store, "facts.mine.n > 1") == [3, 1], text
        assert found(store, "facts.mine.name ~ '[abc]'") == [3, 1], text
        assert found(store, "facts.mine.name is missing") == [2], text
        assert store.get("exp#1").facts.values["mine.name"] == "a"
        assert store.get("exp#2").damaged == ("facts",), text


def test_doctor_names_them(store, change_facts):
    change_facts("{broken")

    assert any("exp_2" in name for finding in store.check() for name in finding.names)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (r"xy\u0000b", "^xy"),
        (r"\ud800 x", " x"),
        (r"\udc00\ud83d\ude00", "\U0001f600"),
        (r"\\u0000", "u0000"),
    ],
)
def test_escapes_that_no_engine_can_store_keep_the_rest(store, change_facts, text, pattern):
    change_facts(f'{{"values":{{"mine.name":"{text}","mine.n":3}},"unknown":{{}}}}')

    assert found(store, "facts.mine.n = 3") == [2]
    assert found(store, f"facts.mine.name ~ '{pattern}'") == [2]


@pytest.mark.parametrize(("number", "where"), [("1e999", "> 1e300"), ("-1e999", "< -1e300")])
def test_numbers_that_are_too_large_are_infinite(store, change_facts, number, where):
    change_facts(f'{{"values":{{"mine.n":{number}}},"unknown":{{}}}}')

    assert found(store, f"facts.mine.n {where}") == [2]
