"""Names of fields: what is written is read back as the same field."""

import pytest
from hypothesis import example, given

import strategies
from runstore.model.params.build import parameter_set
from runstore.model.query.fields import keys_of
from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import field_name, listed_names, spelled
from runstore.model.query.tree import Namespace


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("params.lr", "params.lr"),
        ('params."a b".c', 'params."a b".c'),
        ("params[wide].lr", "params[wide].lr"),
        ("metrics.loss", "metrics.loss.last"),
        ("metrics.val/acc.max", "metrics.val/acc.max"),
        ('metrics."x.min".min', 'metrics."x.min".min'),
        ("tags.phase", "tags.phase"),
        ("started_at", "started"),
        ("branch", "facts.git.branch"),
        ("set", "set"),
    ],
)
def test_a_name_is_read_back_as_the_same_field(text, name):
    (field,) = parse_fields(text)

    assert field_name(field) == name
    assert parse_fields(name) == (field,)


@given(params=strategies.parameter_mappings)
@example(params={"$ref": 1, "a": {"$": 2, 3: {"b.c": [4]}}, "a[3]": 5, "x" * 500: 6})
def test_the_name_of_each_parameter_leads_to_its_rows(params):
    for key, _, _ in parameter_set(params).flat():
        (field,) = parse_fields(spelled(Namespace.PARAM, key))

        assert key in keys_of(field)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", [""]),
        ("status, params.lr", ["status", "params.lr"]),
        ('params."x,y",status', ['params."x,y"', "status"]),
        ('params."a"",b",c', ['params."a"",b"', "c"]),
        ('a,b"c,d', ['a,b"c', "d"]),  # a quote without its partner
        ('",' * 100_000, ['","'] * 50_000 + [""]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_commas_within_quotes_are_parts_of_names(text, names):
    """A list of any length is read: its length counts once, not times itself."""
    assert listed_names(text) == names
