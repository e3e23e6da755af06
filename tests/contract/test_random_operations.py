"""Anything in any order: what runs hold stays theirs, and nothing dangles or is orphaned."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest

from runstore.errors import ConflictError, NotFoundError

AUTHOR = "ada"
EXPERIMENTS = ("fit", "train", "a_1", "naïve über", "x#2")
STEPS, MANY_STEPS = 200, 1_000


class Walk:
    """Random operations on a store, and what it has to hold after them.

    `files` is what each run saved; `given` who got which number; `undoable` what `undo` has to
    bring back, the last edit last.
    """

    def __init__(self, store, chance):
        self.store = store
        self.chance = chance
        self.files = {}
        self.given = {}
        self.undoable = []
        self.live = []

    # What there is

    def state(self):
        """Return reference and whether it is deleted, by uid; no number has two owners."""
        kept = {}
        for run in self.store.find(limit=None):
            self.check_number(run)
            kept[run.uid] = (run.reference, False)
        return kept | {run.uid: (run.reference, True) for run in self.store.trash()}

    def some_runs(self, *, deleted=False, most=3):
        live = {run.uid for run in self.live}
        uids = [
            uid
            for uid, (_, is_deleted) in self.state().items()
            if is_deleted is deleted and uid not in live
        ]
        return self.chance.sample(uids, min(len(uids), self.chance.randint(1, most)))

    def edit(self, work):
        """Do something that can be undone, and remember what it has to bring back."""
        before = self.state()
        work()
        after = self.state()
        changed = {uid: before[uid] for uid in before if before[uid] != after.get(uid)}
        if changed:
            self.undoable.append(changed)

    # Operations

    def start(self):
        run = self.store.start(
            self.chance.choice(EXPERIMENTS), params={"lr": self.chance.random()}, capture=False
        )
        self.check_number(run)
        self.files[run.uid] = {}
        self.live.append(run)

    def log(self):
        if self.live:
            self.chance.choice(self.live).log(loss=self.chance.random())

    def save(self):
        if self.live:
            run, path = self.chance.choice(self.live), f"file{self.chance.randint(1, 3)}.bin"
            contents = b"%d " % self.chance.randint(1, 40) * self.chance.randint(1, 500)
            run.save(path, contents)
            self.files[run.uid][path] = contents

    def finish(self):
        if self.live:
            self.live.pop(self.chance.randrange(len(self.live))).finish()

    def rm(self):
        self.edit(lambda: self.store.delete(self.some_runs(), author=AUTHOR))

    def restore(self):
        self.edit(lambda: self.store.restore(self.some_runs(deleted=True), author=AUTHOR))

    def mv(self):
        target = self.chance.choice(EXPERIMENTS)
        self.edit(lambda: self.store.move(self.some_runs(), target, author=AUTHOR))

    def rename(self):
        old, new = self.chance.sample(EXPERIMENTS, 2)

        def work():
            merge = self.chance.random() < 0.2
            self.store.rename_experiment(old, new, merge=merge, author=AUTHOR)

        with suppress(ConflictError, NotFoundError):
            self.edit(work)

    def undo(self):
        there = self.state()
        if not self.undoable:
            with pytest.raises(NotFoundError):
                self.store.undo(author=AUTHOR)
            return
        expected = self.undoable.pop()
        try:
            self.store.undo(author=AUTHOR)
        except ConflictError:  # runs of that edit are gone for good, and nothing older is undone
            assert expected.keys() - there.keys()
            assert self.state() == there
            self.undoable.append(expected)
            return
        after = self.state()
        for uid in expected.keys() & there.keys():
            assert after[uid] == expected[uid]

    def gc(self):
        age = timedelta(0) if self.chance.random() < 0.5 else timedelta(days=1)
        predicted = self.store.collect_garbage(older_than=age, dry=True)
        before = self.bytes_on_disk()
        freed = self.store.collect_garbage(older_than=age)
        assert freed.freed == predicted.freed
        assert before - self.bytes_on_disk() == freed.freed.total.size_bytes
        assert freed.runs == predicted.runs

    def bytes_on_disk(self):
        objects = (self.store.path / "objects").rglob("*")
        return sum(one.stat().st_size for one in objects if one.is_file())

    # What has to hold

    def check_number(self, run):
        place = run.experiment_name, run.run_number
        assert self.given.setdefault(place, run.uid) == run.uid

    def check_all(self):
        for run in self.store.find(limit=None):
            self.check_number(run)
            saved = {path: run.read_bytes(path) for path in run.artifacts}
            assert saved == self.files[run.uid]
        assert [one for one in self.store.check(deep=True) if one.is_trouble] == []


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unsynced")
def test_operations_in_any_order_leave_nothing_dangling_or_orphaned(
    store, campaign_rounds, is_full_campaign
):
    for seed in range(campaign_rounds // 5):
        walk = Walk(store, random.Random(seed))
        often = [walk.start, walk.save, walk.save, walk.finish, walk.log, walk.rm, walk.restore]
        seldom = [walk.mv, walk.rename, walk.undo, walk.gc]

        for step in range(MANY_STEPS if is_full_campaign else STEPS):
            walk.chance.choice(often * 2 + seldom)()
            if step % 100 == 50:
                walk.check_all()

        while walk.live:
            walk.finish()
        walk.check_all()
        store.collect_garbage(older_than=timedelta(0))
        assert store.check(deep=True) == ()
        store.delete(store.find(limit=None), author=AUTHOR)
        predicted = walk.bytes_on_disk()
        freed = store.collect_garbage(older_than=timedelta(0))
        assert freed.freed.total.size_bytes == predicted
        assert walk.bytes_on_disk() == 0
        assert store.check(deep=True) == ()
        walk.files.clear()
