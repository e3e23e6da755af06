"""Weak sets of objects that each process has many of."""

from runstore.storage.sqlite.forks import LiveSet


class One:
    pass


def test_it_has_the_objects_that_are_left():
    live, kept, dropped, removed = LiveSet(), One(), One(), One()
    for one in (kept, dropped, removed):
        live.add(one)
    live.discard(removed)
    del dropped, one

    assert ([*live], len(live)) == ([kept], 1)
    assert kept in live
    assert removed not in live


def test_it_does_not_grow_with_objects_that_are_gone():
    live, kept = LiveSet(), [One() for _ in range(100)]
    for one in kept:
        live.add(one)
    for _ in range(1000):
        live.add(One())

    assert set(kept) <= set(live)
    assert len(live._references) < 300
