"""Pairs of runs as evidence: what implicates a difference, what clears it, what says nothing."""

import math

import pytest

from runstore.analysis.explain.judging import judge
from runstore.analysis.explain.observed import Observed

LR, DATA, CODE, SEED, OUT = (
    ("params", "lr"), ("inputs", "d"), ("code", "code"), ("params", "seed"), ("params", "out"),
)  # fmt: skip
KEYS = (LR, DATA, CODE, SEED, OUT)
A = ("1", "x", "c", "0", "o", 0.9)
B = ("2", "y", "k", "0", "p", 0.5)


def judged(*others, a=A, b=B):
    runs = [
        Observed(
            dict(zip(KEYS, one, strict=False)), {LR: float(one[0]), SEED: float(one[3])}, one[-1]
        )
        for one in (a, b, *others)
    ]
    return judge(runs, minor=[OUT], seeds=[SEED])


def points(*others, **runs):
    return {key: one.points for key, one in judged(*others, **runs).evidence.items()}


def test_a_pair_that_differs_in_one_thing_alone_shows_it():
    found = judged(("2", "x", "c", "0", "o", 0.5)).evidence

    assert found[LR].is_shown
    assert found[LR].points > 0
    assert all(one not in found or found[one].points <= 0 for one in (DATA, CODE))


def test_a_pair_that_did_not_move_clears_all_in_which_it_differs():
    found = points(("1", "y", "k", "0", "o", 0.9))

    assert found[DATA] < 0
    assert found[CODE] < 0
    assert found[LR] > 0


@pytest.mark.parametrize("other", [A, B, (*A[:4], "z", 0.9), (*A[:3], "7", "o", 0.9)])
def test_a_repeat_of_either_run_is_no_evidence(other):
    assert not {LR, DATA, CODE} & points(other).keys()


def test_a_pair_that_differs_in_everything_else_too_shows_nothing():
    found = judged(("2", "x", "k", "0", "o", 0.5)).evidence

    assert not any(one.is_shown for one in found.values())


def test_chance_is_how_much_runs_differ_that_are_alike():
    found = judged((*A[:3], "1", "o", 0.5), (*A[:3], "2", "o", 0.1))

    assert found.chance.pairs == 3
    assert found.chance.typical == pytest.approx(1.0)
    assert not any(one.is_shown for one in found.evidence.values())


def test_within_noise_nothing_is_shown():
    noisy = [(*A[:3], str(seed), "o", 0.9 - 0.3 * (seed % 2)) for seed in range(1, 5)]

    found = judged(*noisy, ("2", "x", "c", "0", "o", 0.5))

    assert not any(one.is_shown for one in found.evidence.values())


@pytest.mark.parametrize("end", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("is_turned", [False, True])
def test_a_result_that_is_no_number_has_no_direction(end, *, is_turned):
    """A share of the change cannot be named for it, and the order of the runs is no matter."""
    pair = [("3", "z", "c", "0", "o", 0.7), ("4", "z", "c", "0", "o", end)]

    found = judged(*(pair[::-1] if is_turned else pair)).evidence[LR]

    assert (found.kind, found.typical) == ("values", math.inf)


def test_nan_is_evidence():
    nan = math.nan
    b = (*B[:-1], nan)

    shown = judged(("2", "x", "c", "0", "o", nan), b=b).evidence
    cleared = points(("2", "x", "c", "0", "o", 0.9), b=b)

    assert shown[LR].is_shown
    assert cleared[LR] < 0


@pytest.mark.parametrize("ends", [(math.nan, math.nan), (math.inf, -math.inf), (math.inf, 1.0)])
def test_results_that_are_no_numbers_are_no_trouble(ends):
    a, b = (*A[:-1], ends[0]), (*B[:-1], ends[1])

    found = judged(
        ("2", "x", "c", "0", "o", math.inf), ("1", "y", "c", "0", "o", -1e308), a=a, b=b
    )

    assert all(math.isfinite(one.points) for one in found.evidence.values())


def test_things_that_always_change_together_are_not_told_apart():
    together = ("2", "x", "k", "0", "o", 0.5)
    found = judged(together, ("1", "x", "c", "5", "o", 0.9)).evidence

    assert found[LR] == found[CODE]
    assert not found[LR].is_shown
    assert found[LR].points > 0


def test_the_way_of_numbers_counts():
    """Where a larger value moved the metric up, it is no cause of a fall."""
    up = judged(("3", "x", "c", "0", "o", 1.3)).evidence[LR]
    down = judged(("3", "x", "c", "0", "o", 0.5)).evidence[LR]

    assert up.kind == "away"
    assert down.points > max(0, up.points)


def test_a_step_that_moved_its_share_speaks_for_a_number():
    """Half the step with half the move is as good as the whole of it."""
    a, b = ("1", "x", "c", "0", "o", 0.9), ("3", "y", "k", "0", "o", 0.5)

    half = judged(("2", "x", "c", "0", "o", 0.7), a=a, b=b).evidence[LR]
    still = judged(("2", "x", "c", "0", "o", 0.9), a=a, b=b).evidence[LR]

    assert half.points > 0
    assert still.points < 0


def test_a_huge_step_says_less_of_a_small_one():
    a, b = ("1", "x", "c", "0", "o", 0.9), ("1.1", "y", "k", "0", "o", 0.5)

    near = judged(("1.2", "x", "c", "0", "o", 0.5), a=a, b=b).evidence[LR]
    huge = judged(("100", "x", "c", "0", "o", 0.5), a=a, b=b).evidence[LR]

    assert 0 < huge.points < near.points


def test_what_is_cleared_stands_in_nobody_s_way():
    """Data that moved nothing does not keep a pair that differs in data and lr from telling."""
    found = judged(("1", "y", "c", "0", "o", 0.9), ("2", "y", "c", "0", "o", 0.5)).evidence

    assert found[LR].is_shown
    assert found[DATA].points < 0


def test_what_hardly_moves_anything_is_not_shown_by_what_stands_beside_it():
    elsewhere = (("1", "y", "k", "0", "o", 0.9), ("2", "y", "k", "0", "p", 0.5))

    found = judged(*elsewhere, b=("2", "x", "c", "0", "p", 0.5)).evidence

    assert found[LR].is_shown
    assert not found[OUT].is_shown
