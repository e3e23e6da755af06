"""Names that would be equal get a number, at a cost that does not grow with their number."""

from collections.abc import Mapping

import pytest

from runstore.artifacts.masking import masked_tags
from runstore.errors import StoreWarning
from runstore.model.values import free_name

MANY = 2_000
TOKEN = "gh" + "p_" + "a1B2c3D4" * 4


class Counted(Mapping):
    """A mapping that counts how often it is asked."""

    def __init__(self, values):
        self.values_by_key = values
        self.count = 0

    def __getitem__(self, key):
        self.count += 1
        return self.values_by_key[key]

    def __iter__(self):
        return iter(self.values_by_key)

    def __len__(self):
        return len(self.values_by_key)


def test_each_name_gets_the_next_number_after_few_lookups():
    taken = Counted({})
    for _ in range(MANY):
        taken.values_by_key[free_name("a", taken)] = True

    numbered = {f"a~{number}" for number in range(2, MANY + 1)}
    assert {*taken} == {"a", *numbered}
    assert taken.count < 30 * MANY


def test_a_name_between_taken_ones_is_free():
    taken = {"a", "a~2", "a~3", "a~8"}

    assert free_name("a", taken) not in taken


def test_many_keys_with_secrets_are_masked_in_few_lookups():
    changes = Counted({f"of {TOKEN}{number:08}": "" for number in range(MANY)})

    with pytest.warns(StoreWarning, match="key of a tag"):
        masked = masked_tags(changes)

    assert {*masked} == {"of ***", *(f"of ***~{number}" for number in range(2, MANY + 1))}
    assert changes.count < 10 * MANY
