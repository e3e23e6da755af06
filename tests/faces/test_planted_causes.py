"""`why` finds causes that were planted; the seeds are fixed, so the outcome does not vary.

A few pairs show that it works; all of them, whose shares the docs promise, are a campaign.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.folder_only("is about the ranking")

FILE = Path(__file__).parents[2] / "benchmarks" / "planted_causes.py"
SHORT = 5


@pytest.fixture(scope="module")
def planted():
    spec = importlib.util.spec_from_file_location("planted_causes", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pairs(planted, is_full_campaign):
    return planted.PAIRS if is_full_campaign else SHORT


@pytest.mark.usefixtures("unsynced")
def test_the_planted_cause_comes_first(planted, pairs, is_full_campaign):
    judged = [planted.judged(planted.SEED + number) for number in range(pairs)]

    places = [place for _, place, _, _ in judged]
    sure = [place for _, place, weight, _ in judged if weight == planted.SURE]
    assert sum(place == 0 for place in places) >= (0.75 if is_full_campaign else 0.5) * pairs
    assert sum(place in {0, 1, 2} for place in places) >= 0.9 * pairs
    assert sum(place == 0 for place in sure) >= 0.95 * len(sure)


def test_the_same_seed_plants_the_same_pair(planted):
    first, second = planted.planted(7), planted.planted(7)

    assert (first.first, first.second, first.history) == (
        second.first, second.second, second.history,
    )  # fmt: skip
    assert first.first != first.second
