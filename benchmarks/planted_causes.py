"""How often `why` finds the cause of another result: causes that were planted, and so are known.

Each pair of runs differs in one thing that moves the metric and in some that do not, among runs
that help more or less. Prints a markdown table. It draws from fixed seeds: the same pairs come out
each time. Seeds from 5,000 on were never looked at while the rules were made.

    python benchmarks/planted_causes.py [--pairs 392] [--seed 5000]
"""

from __future__ import annotations

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from runstore import Store, background
from runstore.analysis.explain.explanation import explain
from runstore.capture import surroundings
from runstore.model.facts import Facts

PAIRS, SEED = 392, 5_000
METRIC = "acc"
HALF = 0.5
SURE = 95  # the weight of what was shown
STEPS = 10
NAMES = (
    "lr", "batch_size", "dropout", "weight_decay", "width", "depth", "optimizer", "warmup",
    "label_smoothing", "beta2", "clip", "temperature", "mixup", "n_heads", "ema", "threshold",
)  # fmt: skip
TEXTS = ("adam", "sgd", "lion", "rmsprop")
PACKAGES = ("torch", "numpy", "scipy", "pandas", "rich", "click", "mylib", "tqdm", "pillow")
HELP = ("none", "little", "some", "much", "search")
Answer = tuple[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """What a run is made of.

    Attributes:
        params: Parameters, seed and cosmetic ones among them.
        files: The code by path.
        packages: Versions by name.
        facts: Facts of host and Python.
        rows: The data.
        steps: How many steps it logs.
        status: How it ends.
        level: The metric at the end without chance; NaN where it diverges.
    """

    params: Mapping[str, Any]
    files: Mapping[str, str]
    packages: Mapping[str, str]
    facts: Mapping[str, str]
    rows: str
    steps: int = STEPS
    status: str = "complete"
    level: float = 0.9


Step = Callable[[World], World]


@dataclass(slots=True)
class Change:
    """Something in which the second run differs.

    Attributes:
        step: What turns a world into one that has it.
        answers: The differences by which `why` may name it.
        effect: How much it moves the metric; NaN where it then diverges.
    """

    step: Step
    answers: frozenset[Answer]
    effect: float = 0.0

    def apply(self, world: World) -> World:
        """Return a world that has the change, and its effect."""
        changed = self.step(world)
        return replace(changed, level=changed.level + self.effect)


@dataclass(slots=True)
class Pair:
    """Two runs and what came before them."""

    kind: str
    help: str
    first: World
    second: World
    history: list[World]
    answers: frozenset[Answer]
    noise: float


# Changes


def with_params(**values: Any) -> Step:
    """Return what sets parameters; None takes one away."""

    def step(world: World) -> World:
        params = {**world.params, **values}
        return replace(
            world, params={key: value for key, value in params.items() if value is not None}
        )

    return step


def with_file(path: str, edit: Callable[[str], str]) -> Step:
    """Return what edits a file of the code."""
    return lambda world: replace(
        world, files={**world.files, path: edit(world.files.get(path, ""))}
    )


def param_change(chance: random.Random, world: World, effect: float) -> Change:
    """Return another value of a parameter."""
    name = chance.choice([name for name in NAMES if name in world.params])
    old = world.params[name]
    if isinstance(old, str):
        new: Any = chance.choice([text for text in TEXTS if text != old])
    else:
        new = type(old)(old * chance.choice([0.1, 0.5, 2, 3, 10])) or type(old)(7)
        new = new if new != old else old + 1
    return Change(with_params(**{name: new}), frozenset({("params", name)}), effect)


def new_param_change(chance: random.Random, world: World, effect: float) -> Change:
    """Return a parameter that was not there."""
    name = chance.choice([name for name in NAMES if name not in world.params])
    value = chance.choice([0.3, 5, 500, "cosine", True])
    return Change(with_params(**{name: value}), frozenset({("params", name)}), effect)


def script_change(chance: random.Random, _: World, effect: float) -> Change:
    """Return another statement in the script."""
    line = f"scale = {chance.random():.4f}\n"
    return Change(with_file("train.py", lambda text: text + line), CODE, effect)


def module_change(chance: random.Random, _: World, effect: float) -> Change:
    """Return another statement in a module that the script imports."""
    line = f"GAIN = {chance.random():.4f}\n"
    path = chance.choice(["pkg/model.py", "pkg/layers.py"])
    return Change(with_file(path, lambda text: text + line), CODE, effect)


def data_change(chance: random.Random, _: World, effect: float) -> Change:
    """Return other data under the same name."""
    rows = f"rows {chance.random()}"
    return Change(
        lambda world: replace(world, rows=rows), frozenset({("inputs", "data.csv")}), effect
    )


def package_change(chance: random.Random, _: World, effect: float) -> Change:
    """Return another version of a package that may well move a result."""
    name, version = chance.choice(
        [
            ("torch", "3.0.0"),
            ("torch", "2.4.0"),
            ("numpy", "2.0.1"),
            ("mylib", "2.0.0"),
            ("scipy", "2.0.0"),
        ]
    )
    return Change(
        lambda world: replace(world, packages={**world.packages, name: version}),
        frozenset({("packages", name)}),
        effect,
    )


def host_change(chance: random.Random, _: World, effect: float) -> Change:
    """Return another machine or Python."""
    facts = chance.choice(
        [
            {"gpu.names": "H100", "host.name": "node7"},
            {"python.version": "3.13.0"},
            {"host.machine": "aarch64", "host.cpu_model": "Grace", "host.name": "node9"},
        ]
    )
    answers = frozenset(("environment", key) for key in facts)
    return Change(lambda world: replace(world, facts={**world.facts, **facts}), answers, effect)


def seed_change(chance: random.Random, _: World, _effect: float) -> Change:
    """Return another seed alone; what it moves is chance."""
    seed = chance.randrange(100, 10_000)
    return Change(with_params(seed=seed), frozenset({("params", "seed"), ("chance", "chance")}))


def early_change(chance: random.Random, _: World, _effect: float) -> Change:
    """Return an end before the last step: complete, failed, or since a parameter says so."""
    steps = chance.randrange(2, 6)
    answers = {("metrics", f"{METRIC}.last_step")}
    kind = chance.choice(["shorter", "failed", "epochs"])
    if kind == "failed":
        answers.add(("status", "status"))
        return Change(
            lambda world: replace(world, steps=steps, status="error"), frozenset(answers)
        )
    if kind == "epochs":
        answers.add(("params", "epochs"))
        return Change(
            lambda world: replace(with_params(epochs=steps)(world), steps=steps),
            frozenset(answers),
        )
    return Change(lambda world: replace(world, steps=steps), frozenset(answers))


def nan_change(chance: random.Random, world: World, _effect: float) -> Change:
    """Return something that makes the metric NaN."""
    kind = chance.choice([param_change, script_change, data_change])
    return kind(chance, world, math.nan)


CODE = frozenset(
    {("code", "commit"), ("code", "changes"), ("code", "new files"), ("code", "files")}
)
CAUSES: Mapping[str, Callable[[random.Random, World, float], Change]] = {
    "parameter": param_change,
    "parameter that is new": new_param_change,
    "code: the script": script_change,
    "code: a module": module_change,
    "data": data_change,
    "package": package_change,
    "host or Python": host_change,
    "seed": seed_change,
    "early end": early_change,
    "NaN": nan_change,
}


def cosmetic(chance: random.Random, _: World, _effect: float) -> Change:
    """Return another place to write to, or the like."""
    name = chance.choice(["output_dir", "run_name", "num_workers", "log_every"])
    return Change(with_params(**{name: chance.randrange(1_000)}), frozenset({("params", name)}))


def comment(chance: random.Random, _: World, _effect: float) -> Change:
    """Return another comment in code that is used."""
    path = chance.choice(["train.py", "pkg/model.py"])
    return Change(with_file(path, lambda text: f"# {chance.random()}\n{text}"), CODE)


def unused_file(chance: random.Random, _: World, _effect: float) -> Change:
    """Return other code that is not used, or no code."""
    path = chance.choice(["unused.py", "pkg/other.py", "README.md", "tests/test_it.py"])
    line = f"x = {chance.random()}\n"
    return Change(with_file(path, lambda text: text + line), CODE)


def renamed_param(chance: random.Random, world: World, _effect: float) -> Change:
    """Return a parameter under another name."""
    names = {
        "lr": "learning_rate",
        "batch_size": "bs",
        "weight_decay": "wd",
        "n_heads": "num_heads",
    }
    old = chance.choice([name for name in names if name in world.params] or ["seed"])
    if old == "seed":
        return cosmetic(chance, world, 0.0)
    new = names[old]
    return Change(
        with_params(**{old: None, new: world.params[old]}),
        frozenset({("params", old), ("params", new)}),
    )


def small_package(chance: random.Random, _: World, _effect: float) -> Change:
    """Return another version of a package that hardly counts."""
    name, version = chance.choice(
        [
            ("rich", "14.0.0"),
            ("tqdm", "4.67.0"),
            ("pillow", "11.1.0"),
            ("torch", "2.3.1"),
            ("pandas", "2.2.9"),
        ]
    )
    return Change(
        lambda world: replace(world, packages={**world.packages, name: version}),
        frozenset({("packages", name)}),
    )


def other_host(chance: random.Random, _: World, _effect: float) -> Change:
    """Return another machine of the same kind."""
    facts = {"host.name": f"node{chance.randrange(100)}", "host.platform": "Linux-6.9"}
    answers = frozenset(("environment", key) for key in facts)
    return Change(lambda world: replace(world, facts={**world.facts, **facts}), answers)


DISTRACTORS: tuple[Callable[[random.Random, World, float], Change], ...] = (
    cosmetic, cosmetic, comment, unused_file, renamed_param, small_package, other_host,
    seed_change, param_change, new_param_change, module_change, data_change,
)  # fmt: skip


# Pairs


def base_world(chance: random.Random) -> World:
    """Return the world of the first run."""
    params: dict[str, Any] = {
        name: chance.choice([0.01, 0.3, 4, 64, 0.9]) for name in chance.sample(NAMES, 7)
    }
    if "optimizer" in params:
        params["optimizer"] = chance.choice(TEXTS)
    params |= {"seed": chance.randrange(100), "epochs": STEPS, "output_dir": "out"}
    files = {
        "train.py": "from pkg import model\n\nprint(model.GAIN)\n",
        "pkg/__init__.py": "",
        "pkg/model.py": "from pkg.layers import WIDTH\n\nGAIN = WIDTH\n",
        "pkg/layers.py": "WIDTH = 1\n",
        "pkg/other.py": "OTHER = 1\n",
        "unused.py": "x = 1\n",
        "README.md": "Read me.\n",
        "tests/test_it.py": "",
    }
    facts = {
        "python.version": "3.11.7", "host.name": "node1", "host.machine": "x86_64",
        "host.cpu_model": "Xeon", "host.platform": "Linux-6.1", "gpu.names": "A100",
    }  # fmt: skip
    packages = {name: "2.3.0" if name == "torch" else "1.2.0" for name in PACKAGES}
    return World(params, files, packages, facts, "rows")


def planted(seed: int) -> Pair:
    """Return the pair of a seed."""
    chance = random.Random(seed)
    kind = list(CAUSES)[seed % len(CAUSES)]
    help_ = HELP[seed // len(CAUSES) % len(HELP)]
    base = base_world(chance)
    effect = chance.choice([-1, 1]) * chance.uniform(0.05, 0.4)
    cause = CAUSES[kind](chance, base, effect)
    others: list[Change] = []
    taken = set(cause.answers)
    for make in chance.sample(DISTRACTORS, chance.randrange(2, 7)):
        if kind == "seed" and make in (param_change, new_param_change, module_change, data_change):
            continue  # only what is known to be harmless stands beside chance
        one = make(chance, base, 0.0)
        if not taken & one.answers:
            others.append(one)
            taken |= one.answers
    second = base
    for one in chance.sample([cause, *others], len(others) + 1):
        second = one.apply(second)
    noise = 0.08 if kind == "seed" else abs(effect) * chance.choice([0, 0, 0.02, 0.1, 0.25])
    history = list(Past(chance, base, cause, others).runs(help_))
    if kind == "seed" and not history:
        history = [with_params(seed=chance.randrange(10**6))(base) for _ in range(4)]
    return Pair(kind, help_, base, second, history, cause.answers, noise)


class Past:
    """Runs before a pair.

    None; repeats of the first run and runs that vary what has no part in it; runs that have some
    of the changes; those and runs that have one change alone; or a random search.
    """

    def __init__(
        self, chance: random.Random, base: World, cause: Change, others: list[Change]
    ) -> None:
        self._chance = chance
        self._base = base
        self._cause = cause
        self._others = others
        self._changed = {answer for one in (cause, *others) for answer in one.answers}
        # The same values always move the metric alike.
        self._effects: dict[str, float] = defaultdict(lambda: chance.uniform(-0.1, 0.1))

    def runs(self, help_: str) -> Iterator[World]:
        """Yield runs that help so much."""
        if help_ == "little":
            yield from self._little()
        if help_ in {"some", "much"}:
            yield from self._some()
        if help_ == "much":
            yield from (one.apply(self._base) for one in (self._cause, *self._others))
        if help_ == "search":
            yield from self._search()

    def _reseeded(self, world: World) -> World:
        return with_params(seed=self._chance.randrange(10**6))(world)

    def _elsewhere(self) -> World:
        while True:
            change = param_change(self._chance, self._base, 0.0)
            if not self._changed & change.answers:
                break
        world = change.apply(self._base)
        return replace(world, level=world.level + self._effects[repr(world.params)])

    def _mixed(self, world: World, changes: Sequence[Change]) -> World:
        for one in changes:
            world = one.apply(world) if self._chance.random() < HALF else world
        return world

    def _little(self) -> Iterator[World]:
        yield from (self._base for _ in range(self._chance.randrange(1, 3)))
        yield from (self._reseeded(self._base) for _ in range(self._chance.randrange(3)))
        yield from (self._elsewhere() for _ in range(3))

    def _some(self) -> Iterator[World]:
        for _ in range(self._chance.randrange(3, 7)):
            world = self._elsewhere() if self._chance.random() < HALF else self._base
            world = self._mixed(world, self._others)
            yield self._reseeded(world) if self._chance.random() < HALF else world

    def _search(self) -> Iterator[World]:
        for _ in range(15):
            world = self._mixed(self._elsewhere(), [self._cause, *self._others])
            yield self._reseeded(world)


# Recording


class Recorder:
    """Records worlds in a store, with a repository of their code."""

    def __init__(self, folder: Path, chance: random.Random, noise: float) -> None:
        self.repo = folder / "repo"
        self.repo.mkdir()
        self._git("init", "-q")
        self.store = Store.open(folder / "store")
        self._commits: dict[str, str] = {}
        self._chance = chance
        self._noise = noise

    def _git(self, *words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        done = subprocess.run(command, cwd=self.repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def _commit(self, files: Mapping[str, str]) -> str:
        key = repr(sorted(files.items()))
        if key not in self._commits:
            for path, text in files.items():
                (self.repo / path).parent.mkdir(exist_ok=True)
                (self.repo / path).write_text(text, encoding="utf-8")
            self._git("add", ".")
            self._git("commit", "-qm", "x", "--allow-empty")
            self._commits[key] = self._git("rev-parse", "HEAD")
        return self._commits[key]

    def record(self, world: World) -> str:
        """Record a run, and return its reference."""
        facts = Facts(
            values={
                **world.facts,
                "git.commit": self._commit(world.files),
                "git.dirty": False,
                "git.root": str(self.repo),
                "git.remote": "here",
                "command.argv": ("python", "train.py"),
                "command.line": "python train.py",
                "command.cwd": str(self.repo),
            },
            documents={
                "packages": "".join(f"{name}=={one}\n" for name, one in world.packages.items())
            },
        )
        with (
            patch.object(surroundings, "quick_facts", lambda *_, **__: facts),
            patch.object(background, "do_later"),
        ):
            run = self.store.start(
                "planted", params=dict(world.params), argv=["python", "train.py"]
            )
        self.store.backend.database.attach_facts(run.uid, facts)
        data = self.repo.parent / "data.csv"
        data.write_text(world.rows, encoding="utf-8")
        run.use(data, name="data.csv")
        level = world.level + self._chance.gauss(0, self._noise)
        run.log_points(
            METRIC,
            [level * (1 - 0.6 ** (step + 1)) for step in range(world.steps)],
        )
        run.finish(world.status)
        return run.reference


def judged(seed: int) -> tuple[Pair, int | None, int, int]:
    """Return a pair, the place of its cause, the top weight, and how many causes there are."""
    pair = planted(seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        recorder = Recorder(Path(folder), random.Random(seed + 0.5), pair.noise)
        for world in pair.history:
            recorder.record(world)
        a, b = recorder.record(pair.first), recorder.record(pair.second)
        found = explain(recorder.store.backend, a, b, METRIC, folder=recorder.repo)
        recorder.store.close()
    names = [(one.difference.section, one.difference.key) for one in found.causes]
    place = next((n for n, name in enumerate(names) if name in pair.answers), None)
    if "-v" in sys.argv and place != 0:
        print(seed, pair.kind, pair.help, f"noise {pair.noise:.3f}", min(pair.answers))
        for one in found.causes[:4]:
            print("    ", one.weight, one.difference.name, "-", one.reason[:170])
    return pair, place, found.causes[0].weight if found.causes else 0, len(names)


def share(part: float, whole: int) -> str:
    """Return a share as the table has it."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def main() -> None:
    """Print the table, and how long it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("-v", action="store_true", help="show the pairs that were missed")
    given = parser.parse_args()
    begin = time.perf_counter()
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(given.seed, given.seed + given.pairs):
        pair, place, weight, count = judged(seed)
        for name in (pair.kind, f"history: {pair.help}", "**all**"):
            row = rows[name]
            row["pairs"] += 1
            row["first"] += place == 0
            row["three"] += place in {0, 1, 2}
            row["sure"] += weight == SURE
            row["right"] += weight == SURE and place == 0
            row["guess"] += 1_000 / count if count else 0
            row["guess three"] += 1_000 * min(1, 3 / count) if count else 0
    print(
        "| planted | pairs | first | among three | weight 95 | of these right"
        " | random: first | three |"
    )
    print("|---|---|---|---|---|---|---|---|")
    ordered = [*CAUSES, *(f"history: {one}" for one in HELP), "**all**"]
    for name in (one for one in ordered if one in rows):
        row, pairs = rows[name], rows[name]["pairs"]
        print(
            f"| {name} | {pairs} | {share(row['first'], pairs)} | {share(row['three'], pairs)}"
            f" | {row['sure']} | {share(row['right'], row['sure'])}"
            f" | {share(row['guess'] / 1_000, pairs)}"
            f" | {share(row['guess three'] / 1_000, pairs)} |"
        )
    print(f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
