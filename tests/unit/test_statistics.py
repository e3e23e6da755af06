"""Means, differences and winners: textbook values, values by formula, and what changes nothing."""

import math
import warnings
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.errors import UsageError
from runstore.repeats.samples import Sample, gap_between
from runstore.repeats.selection import best_of
from runstore.repeats.statistics import differences_of, holm, mean_of

# Hours of additional sleep of ten people under two drugs.
# Source: Student, The probable error of a mean, Biometrika 1908.
ONE = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
OTHER = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
PEOPLE = tuple(range(10))


def sample(*values, name="a", repeats=()):
    return Sample(name, tuple(map(float, values)), tuple(repeats))


def difference_of(first, second):
    (found,) = differences_of([first, second])
    return found


def student_2(share):
    """Return a quantile of Student's distribution with 2 degrees of freedom, by its formula."""
    return (2 * share - 1) / math.sqrt(2 * share * (1 - share))


def beyond_2(t):
    """Return what of the same distribution is above a value."""
    return 0.5 - t / (2 * math.sqrt(2 + t * t))


def close(value, rel=1e-9):
    return pytest.approx(value, rel=rel)


# Means


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_the_interval_of_three_values_is_that_of_the_formula(level):
    found = mean_of([1, 2, 6], level=level)

    half = student_2((1 + level) / 2) * math.sqrt(7) / math.sqrt(3)
    assert (found.mean, found.spread, found.n) == (3, close(math.sqrt(7)), 3)
    assert found.interval.low == close(3 - half)
    assert found.interval.high == close(3 + half)


def test_the_interval_of_two_values_is_that_of_cauchy():
    found = mean_of([1, 3])

    assert found.interval.high == close(2 + math.tan(math.pi * 0.475))


def test_one_value_has_no_interval_and_says_so():
    found = mean_of([0.5])

    assert (found.mean, found.interval) == (0.5, None)
    assert found.remarks == ("one value has no interval",)


def test_no_value_has_no_mean():
    found = mean_of([math.nan, math.inf])

    assert math.isnan(found.mean)
    assert (found.n, found.left_out, found.interval) == (0, 2, None)


def test_what_is_not_finite_is_counted_and_left_out():
    found = mean_of([1, math.nan, 2, -math.inf, 6])

    assert (found.n, found.left_out, found.mean) == (3, 2, 3)
    assert "2 values are NaN or infinite and left out" in found.remarks


@pytest.mark.parametrize("level", [0.49, 0.9991, 95, math.nan, -1])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(UsageError, match=r"between 0\.5 and 0\.999"):
        mean_of([1, 2], level=level)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, -0.1, 1e-310])
def test_the_mean_of_equal_values_is_their_value(value):
    for n in range(2, 12):
        assert mean_of([value] * n).mean == value


def test_equal_values_have_an_interval_without_width():
    found = mean_of([0.1, 0.1, 0.1])

    assert found.spread == 0
    assert (found.interval.low, found.interval.high) == (close(0.1), close(0.1))
    assert "no width" in found.remarks[0]


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_very_large_and_very_small_values_keep_their_digits(scale):
    found = mean_of([1 * scale, 2 * scale, 6 * scale])

    assert found.mean == close(3 * scale)
    assert found.spread == close(math.sqrt(7) * scale)


def test_what_is_beyond_the_largest_number_is_infinite_not_an_error():
    found = mean_of([1.7e308, -1.7e308])

    assert (found.spread, found.interval.high) == (math.inf, math.inf)


def test_few_and_skewed_values_are_remarked_upon():
    few = mean_of([1.0, 2.0, 3.0]).remarks
    skewed = mean_of([1, 1.1, 1.2, 1, 1.1, 0.9, 1, 1.05, 40]).remarks
    fine = mean_of([-2, -1.2, -0.6, -0.2, 0.2, 0.6, 1.2, 2]).remarks

    assert ["few" in few[0], "skewed" in skewed[0], fine] == [True, True, ()]


# Differences


def test_welch_is_that_of_the_textbook():
    found = difference_of(sample(*ONE), sample(*OTHER))

    assert found.kind == "unpaired"
    assert found.difference == close(-1.58)
    assert found.p == close(0.07939, rel=1e-4)
    assert found.interval.low == close(-3.3654832, rel=1e-7)
    assert found.interval.high == close(0.2054832, rel=1e-6)


def test_the_paired_test_is_that_of_the_textbook():
    found = difference_of(sample(*ONE, repeats=PEOPLE), sample(*OTHER, repeats=PEOPLE))

    assert (found.kind, found.n) == ("paired", 10)
    assert found.p == close(0.002833, rel=1e-3)
    assert found.interval.low == close(-2.4598858, rel=1e-7)
    assert found.interval.high == close(-0.7001142, rel=1e-7)


def test_pairs_are_found_whatever_the_order():
    turned = sample(*reversed(OTHER), repeats=reversed(PEOPLE))

    found = difference_of(sample(*ONE, repeats=PEOPLE), turned)

    assert found.p == close(0.002833, rel=1e-3)


@pytest.mark.parametrize(
    "repeats",
    [(), (1, 2, 4), (1, 2, None), (1, 1, 2)],
    ids=["none", "others", "one unknown", "one twice"],
)
def test_without_the_same_repeats_there_are_no_pairs(repeats):
    first = sample(1, 2, 6, repeats=(1, 2, 3))

    assert difference_of(first, sample(2, 3, 5, repeats=repeats)).kind == "unpaired"


def test_a_missing_half_of_a_pair_leaves_no_pairs():
    """Differences of pairs would no longer be those of the means."""
    first = sample(1, 2, 6, repeats=(1, 2, 3))
    second = sample(2, math.nan, 5, repeats=(1, 2, 3))

    assert difference_of(first, second).kind == "unpaired"


def test_one_pair_is_none():
    assert differences_of([sample(1, repeats=[1]), sample(2, repeats=[1])]) == ()


def test_equal_values_of_two_groups_are_not_different():
    found = difference_of(sample(2, 2, 2), sample(2, 2))

    assert (found.p, found.difference, found.remark) == (1, 0, "")


@pytest.mark.parametrize("second", [(3, 3, 3, 3), (2, 2)])
def test_a_result_that_is_repeated_without_a_seed_is_not_tested(second):
    samples = [sample(*one, repeats=[None] * len(one)) for one in ((2,) * 5, second)]

    found = difference_of(*samples)

    assert (found.p, found.p_corrected, found.interval) == (None, None, None)
    assert found.remark == "equal values without a seed"
    assert best_of(samples).is_by_value


def repeated_without_seeds(*groups):
    return [sample(*one, repeats=[None] * len(one)) for one in groups]


@pytest.mark.parametrize("best", [(0.9,) * 5, (0.9, 0.91, 0.92, 0.9, 0.91)])
def test_a_result_that_is_repeated_is_not_compared_with_values_that_vary(best):
    samples = repeated_without_seeds((0.5,) * 5, (0.4, 0.6, 0.5, 0.55, 0.45), best)

    found = {one.place: (one.verdict, one.p) for one in best_of(samples).standings}

    assert found[0] == ("not judged", None)
    assert difference_of(*samples[:2]).p is None
    if best[0] == best[1]:
        assert best_of(samples).is_by_value
        assert found[1] == found[2] == ("not judged", None)
    else:
        assert not best_of(samples).is_decided  # the first one may be as good
        assert (found[1][0], found[2][0]) == ("worse", "best mean")


def test_one_group_that_varies_cannot_be_the_best_of_repeated_results():
    best = best_of(repeated_without_seeds((0.9, 0.8, 0.85), (0.5, 0.5), (0.4, 0.4)))

    assert best.is_by_value
    assert [one.rank for one in best.standings] == [1, 2, 3]


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [((2, 2), (3, 3), 2 / 6), ((2, 2, 2), (3, 3), 2 / 10), ((2,) * 5, (3,) * 5, 2 / 252)],
)
def test_values_without_spread_are_tested_by_their_arrangements(first, second, p):
    """Of all ways to share the values out, two are as far apart."""
    found = difference_of(sample(*first), sample(*second))

    assert (found.p, found.interval) == (pytest.approx(p), None)
    assert found.remark == f"no spread in {len(first)} and {len(second)} values"


@pytest.mark.parametrize("n", [2, 3, 6, 10])
def test_equal_differences_are_tested_by_their_signs(n):
    """Differences that differ by rounding alone are equal: all signs are one of 2^n cases."""
    first = [0.9 - seed / 10 for seed in range(n)]
    second = [one - 0.1 for one in first]

    found = difference_of(sample(*first, repeats=range(n)), sample(*second, repeats=range(n)))

    assert found.p == pytest.approx(2 / 2**n)
    assert found.remark == f"all {n} pairs differ by the same amount"


def test_exact_tests_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    for n, m in ((3, 3), (4, 2), (5, 6)):
        by_scipy = stats.mannwhitneyu([1] * n, [2] * m, method="exact", alternative="two-sided")

        found = difference_of(sample(*[1] * n), sample(*[2] * m))

        assert found.p == pytest.approx(by_scipy.pvalue)
    for n in (4, 7):
        by_scipy = stats.binomtest(n, n)

        found = difference_of(
            sample(*range(n), repeats=range(n)), sample(*range(1, n + 1), repeats=range(n))
        )

        assert found.p == pytest.approx(by_scipy.pvalue)


def test_pairs_without_any_difference_have_p_one():
    found = difference_of(sample(1, 2, 3, repeats="abc"), sample(1, 2, 3, repeats="abc"))

    assert (found.p, found.remark) == (1, "")


def test_a_group_without_spread_is_tested_by_the_spread_of_the_other():
    """The formula of Welch is then that of one sample against a number."""
    found = difference_of(sample(1, 2, 6), sample(4, 4, 4, 4))

    assert found.p == close(2 * beyond_2(1 / math.sqrt(7 / 3)))


def test_holm_is_that_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == close((0.03, 0.06, 0.06, 0.02))
    assert holm([0.5, 0.6]) == (1, 1)
    assert holm([]) == ()


def test_pairs_of_groups_are_corrected_together():
    groups = [sample(*ONE), sample(*OTHER), sample(5.1), sample(*(one + 9 for one in ONE))]

    found = differences_of(groups)

    assert [(one.first, one.second) for one in found] == [(0, 1), (0, 3), (1, 3)]
    careful = [
        (gap := gap_between(groups[one.first], groups[one.second])).p_two_sided(gap.n - 1)
        for one in found
    ]
    assert [one.p_corrected for one in found] == close(list(holm(careful)))
    assert all(one.p_corrected > one.p for one in found)


def test_a_single_comparison_needs_no_correction():
    (found,) = differences_of([sample(*ONE), sample(*OTHER)])

    assert found.p_corrected == found.p == close(0.07939, rel=1e-4)


def test_what_is_tested_exactly_counts_as_a_comparison():
    groups = [sample(1, 1), sample(2, 2), sample(1, 2, 6)]

    found = differences_of(groups)

    assert [one.p_corrected for one in found] == [1, 1, 1]


# The best


def test_two_groups_are_told_apart_as_by_a_two_sided_test():
    first = sample(2, 4, 6, repeats="abc")
    second = sample(1, 2, 3, repeats="abc")

    best = best_of([second, first], level=0.9)

    p = 2 * beyond_2(2 * math.sqrt(3))
    winner, other = best.standings
    assert (winner.place, winner.verdict, best.is_decided) == (1, "best", True)
    assert (other.verdict, other.p, other.gap) == ("worse", close(p), -2)
    half = student_2(0.95) / math.sqrt(3)
    assert other.gap_interval.low == close(-2 - half)
    assert other.gap_interval.high == close(-2 + half)
    assert best_of([second, first], level=0.95).is_decided is False


def test_the_more_groups_the_more_it_takes():
    first, second = sample(2, 4, 6, repeats="abc"), sample(1, 2, 3, repeats="abc")
    more = [sample(-9, 0.5, 8, repeats="abc")] * 3

    best = best_of([first, second, *more])

    assert best.standings[1].p == close(5 * beyond_2(2 * math.sqrt(3)))


def test_an_unpaired_winner_is_tested_with_the_smaller_group_alone():
    first, second = sample(10, 11, 12), sample(7, 8, 6, 7, 7, 7, 8, 6)

    best = best_of([first, second])

    error = math.hypot(1 / math.sqrt(3), math.sqrt(4 / 7) / math.sqrt(8))
    assert best.standings[1].p == close(2 * beyond_2(4 / error))


def test_the_interval_of_a_chosen_winner_is_wider():
    best = best_of([sample(1, 2, 6), sample(1, 2, 5), sample(0, 1, 5), sample(0, 0, 5)])

    half = student_2(1 - 0.05 / 8) * math.sqrt(7 / 3)
    assert best.winner_interval.high == close(3 + half)
    assert best.winner.mean.interval.high < best.winner_interval.high


def test_small_values_win_where_they_are_good():
    groups = [sample(1, 1.1, 1.2), sample(5, 5.1, 5.2)]

    assert best_of(groups, direction="min").winner.place == 0
    assert best_of(groups, direction="max").winner.place == 1


def test_a_group_of_one_is_shown_and_never_declared():
    best = best_of([sample(99), sample(1, 2, 3), sample(1.5, 2, 2.1), sample(math.nan)])

    assert best.winner.place == 1
    assert [(one.place, one.rank, one.remark) for one in best.standings[2:]] == [
        (0, None, "one value"),
        (3, None, "no value"),
    ]


def test_groups_of_one_alone_have_no_winner():
    best = best_of([sample(1), sample(2)])

    assert (best.winner, best.winner_interval, best.is_decided) == (None, None, False)
    assert [one.place for one in best.standings] == [1, 0]


def test_the_only_group_is_not_declared_best():
    best = best_of([sample(1, 2, 3)])

    assert (best.winner.verdict, best.is_decided) == ("best mean", False)


@pytest.mark.parametrize(
    ("n", "enough", "is_decided"), [(2, 4, False), (3, 4, False), (4, None, True)]
)
def test_without_spread_the_number_of_values_decides(n, enough, is_decided):
    best = best_of([sample(*[2] * n), sample(*[1] * n)])

    other = best.standings[1]
    assert (best.is_decided, other.enough, other.is_fragile) == (is_decided, enough, False)
    assert other.gap_interval is None


@pytest.mark.parametrize(
    ("n", "enough", "is_decided"), [(3, 6, False), (5, 6, False), (6, None, True)]
)
def test_equal_differences_of_enough_pairs_decide(n, enough, is_decided):
    values = [seed**2 for seed in range(n)]
    first = sample(*(one + 0.25 for one in values), repeats=range(n))

    best = best_of([sample(*values, repeats=range(n)), first])

    assert (best.is_decided, best.standings[1].enough) == (is_decided, enough)
    assert best.standings[1].p == pytest.approx(2 / 2**n)


# What changes nothing

# On a grid, so that shifts and scales of a power of two are exact.
grid = st.integers(-1000, 1000).map(lambda number: number / 16)
groups_of = st.lists(st.lists(grid, min_size=2, max_size=6), min_size=2, max_size=5)
pairing = st.booleans()


def samples_of(groups, *, is_paired):
    return [
        Sample(f"g{place}", tuple(values), tuple(range(len(values))) if is_paired else ())
        for place, values in enumerate(groups)
    ]


def told(best):
    """Return what is said of each sample, the scale left out."""
    return {
        one.place: (one.rank, one.verdict, one.kind, None if one.p is None else close(one.p))
        for one in best.standings
    }


@given(groups_of, pairing, st.sampled_from([-64.0, 0.5, 1024.0]))
def test_a_shift_changes_no_verdict(groups, is_paired, shift):
    moved = [[value + shift for value in one] for one in groups]

    before = best_of(samples_of(groups, is_paired=is_paired))
    after = best_of(samples_of(moved, is_paired=is_paired))

    assert told(after) == told(before)


@given(groups_of, pairing, st.sampled_from([2.0**-40, 0.25, 2.0**30]))
def test_a_scale_changes_no_verdict(groups, is_paired, scale):
    scaled = [[value * scale for value in one] for one in groups]

    before = best_of(samples_of(groups, is_paired=is_paired))
    after = best_of(samples_of(scaled, is_paired=is_paired))

    assert told(after) == told(before)


@given(groups_of, pairing)
def test_the_smallest_of_the_turned_values_are_the_largest(groups, is_paired):
    turned = [[-value for value in one] for one in groups]
    means = [sum(one) / len(one) for one in groups]

    largest = told(best_of(samples_of(groups, is_paired=is_paired)))
    smallest = told(best_of(samples_of(turned, is_paired=is_paired), direction="min"))

    if len(set(means)) == len(means):  # ties are broken by values, which were turned
        assert smallest == largest


@given(groups_of, pairing, st.randoms(use_true_random=False))
def test_order_and_names_change_no_verdict(groups, is_paired, chance):
    places = list(range(len(groups)))
    chance.shuffle(places)
    means = {sum(one) / len(one) for one in groups}
    samples = samples_of(groups, is_paired=is_paired)

    before = told(best_of(samples))
    renamed = [
        Sample(f"x{place}", samples[place].values, samples[place].repeats) for place in places
    ]
    after = told(best_of(renamed))

    if len(means) == len(groups):
        assert [after[new] for new in range(len(places))] == [before[old] for old in places]


@given(groups_of, pairing)
def test_swapping_two_groups_turns_their_difference(groups, is_paired):
    first, second = samples_of(groups[:2], is_paired=is_paired)

    there, back = difference_of(first, second), difference_of(second, first)

    assert there.difference == -back.difference
    assert there.p == (None if back.p is None else close(back.p))
    if there.interval is not None:
        assert there.interval.low == close(-back.interval.high)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_helps_and_keeps_the_order(ps):
    corrected = holm(ps)

    assert all(p <= after <= 1 for p, after in zip(ps, corrected, strict=True))
    ranked = sorted(zip(ps, corrected, strict=True))
    assert all(one[1] <= two[1] for one, two in pairwise(ranked))


@given(st.lists(st.lists(st.floats(), max_size=5), max_size=5), pairing)
def test_any_values_at_all_get_an_answer(groups, is_paired):
    samples = samples_of(groups, is_paired=is_paired)

    best = best_of(samples)
    differences = differences_of(samples)

    assert sorted(one.place for one in best.standings) == list(range(len(groups)))
    assert all(one.p is None or 0 <= one.p <= one.p_corrected <= 1 for one in differences)


@given(groups_of, pairing)
def test_scipy_says_the_same(groups, is_paired):
    """For unequal sizes it is Welch's test, for pairs the paired one."""
    from scipy import stats

    first, second = samples_of(groups[:2], is_paired=is_paired)
    found = difference_of(first, second)
    if found.p is None or found.difference == 0:
        return

    with warnings.catch_warnings():
        # SciPy distrusts a group of equal values; those of the grid are exact.
        warnings.simplefilter("ignore", RuntimeWarning)
        if found.kind == "paired":
            expected = stats.ttest_rel(first.values, second.values)
        else:
            expected = stats.ttest_ind(first.values, second.values, equal_var=False)

    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval.low == pytest.approx(interval.low, rel=1e-6, abs=1e-9)
    assert found.interval.high == pytest.approx(interval.high, rel=1e-6, abs=1e-9)
