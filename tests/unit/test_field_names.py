"""Names of fields: what is written is read back as the same field."""

import pytest

from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import field_name


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
