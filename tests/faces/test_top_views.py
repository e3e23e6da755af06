"""runstore top: the chart, the columns, parents and children, search, and the machine."""

import asyncio
import re
from types import SimpleNamespace

import pytest

from places import store_at
from runstore.cli.top.data import machine as machines
from runstore.cli.top.data.families import PlacedRow, arranged
from top_screen import answer, header, names, record, rows, screen, shown, until


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with store_at(tmp_path / ".runstore") as opened:
        yield opened


def test_marked_runs_are_drawn_over_each_other(store):
    async def look():
        async with shown(store, size=(100, 30)) as (app, pilot):
            await pilot.press("space", "space", "g")
            await until(pilot, lambda: "lr=0.1" in screen(app) and "lr=0.2" in screen(app))
            lines = screen(app).splitlines()
            assert lines[0].split() == ["loss"]  # it has several points
            assert len(lines) == 30
            for key, expected in (
                ("left", "system/memory"),
                ("left", "acc"),
                ("left", "loss"),
            ):
                await pilot.press(key)
                await until(pilot, lambda e=expected: screen(app).split()[0] == e)
            await pilot.press("l")
            await until(pilot, lambda: "loss (log)" in screen(app))
            await pilot.press("m", *"acc", "enter")
            await until(pilot, lambda: "acc (log)" in screen(app))
            await pilot.press("escape")
            assert names(app) == ["fit#2", "fit#1"]

    for lr in (0.1, 0.2):
        run = record(store, params={"lr": lr}, ended=False)
        run.log({"acc": 0.5, "system/memory": 1})
        run.finish()
    asyncio.run(look())


def test_a_chart_is_drawn_over_most_runs(store):
    async def look():
        async with shown(store, size=(100, 30)) as (app, pilot):
            await pilot.press("space", "space", "space", "g")
            await until(pilot, lambda: "y or l shows all of it" in screen(app))
            assert "^" in screen(app)
            await pilot.press("y")
            await until(pilot, lambda: "1e+12" in screen(app) and "y or l" not in screen(app))

    for loss in ((1, 2), (1, 3), (1, 1e12)):
        record(store, loss=loss)
    asyncio.run(look())


def test_a_chart_follows_the_run_under_the_cursor(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("g")
            await until(pilot, lambda: "no metrics yet" in screen(app))
            run.log({"system/memory": 1})
            await until(pilot, lambda: "system/memory" in screen(app))
            run.log(loss=1)
            await until(pilot, lambda: "1 point" in screen(app))
            run.log(loss=2)
            run.finish()
            await until(pilot, lambda: "2 points" in screen(app))

    run = record(store, loss=(), ended=False)
    asyncio.run(look())


def test_a_chart_outlives_a_run_that_is_deleted(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("space", "space")
            store.delete("fit#1")
            await pilot.press("g")
            await until(pilot, lambda: "2 points" in screen(app))

    record(store)
    record(store)
    asyncio.run(look())


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (24, 14)])
def test_a_chart_fits_the_terminal(store, size):
    async def look():
        async with shown(store, size=size) as (app, pilot):
            await pilot.press("g")
            await until(pilot, lambda: "loss" in screen(app) and "┌" in screen(app))
            assert max(map(len, screen(app).splitlines())) <= size[0]

    record(store)
    asyncio.run(look())


def test_columns_are_chosen_from_a_list_and_kept(store):
    async def look():
        async with shown(store, size=(160, 30)) as (app, pilot):
            await answer(pilot, "layers", "c")
            await answer(pilot, "star", "ctrl+u")
            await pilot.press("escape")
            assert "layers" in header(app)
            assert "started" not in header(app)
            assert "loss" in header(app)
            record(store, params={"lr": 0.3, "layers": 7})
            await until(pilot, lambda: len(rows(app)) == 3)
            assert re.search(r"\b7\b", rows(app)[0])
            await pilot.press("c", "ctrl+r")
            assert "started" in header(app)
            assert "layers" not in header(app)

    for lr in (0.1, 0.2):
        record(store, params={"lr": lr, "layers": 2})
    asyncio.run(look())


def test_a_chosen_metric_gets_a_sparkline(store):
    async def look():
        async with shown(store, size=(160, 30)) as (app, pilot):
            assert "fifth" not in header(app)
            await answer(pilot, "fifth", "c")
            await pilot.press("escape")
            await until(pilot, lambda: "fifth" in header(app) and "▁▅█" in rows(app)[0])

    run = record(store, loss=(), ended=False)
    for value in range(3):
        run.log(dict.fromkeys(("a", "b", "c", "d"), value) | {"fifth": value})
    run.finish()
    asyncio.run(look())


def test_children_are_indented_and_folded(store):
    async def look():
        async with shown(store) as (app, pilot):
            assert names(app) == ["other#1", "sweep#1", "trial#2", "step#1", "trial#1"]
            assert rows(app)[2].split()[:2] == ["└", "trial#2"]
            await pilot.press("down", "down", "f")  # a trial with a child of its own
            assert names(app) == ["other#1", "sweep#1", "trial#2", "trial#1"]
            assert "trial#2 +1" in rows(app)[2]
            await pilot.press("end", "f")  # a child folds its parent
            assert names(app) == ["other#1", "sweep#1"]
            assert "sweep#1 +3" in rows(app)[1]
            await pilot.press("f")
            assert names(app) == ["other#1", "sweep#1", "trial#2", "trial#1"]
            await pilot.press("home", "f")
            await until(pilot, lambda: "neither a parent nor children" in screen(app))

    sweep = record(store, "sweep", loss=())
    record(store, "trial", loss=(), parent=sweep.reference)
    trial = record(store, "trial", loss=(), parent=sweep.reference)
    record(store, "step", loss=(), parent=trial.reference)
    record(store, "other", loss=())
    asyncio.run(look())


def row(uid, parent=None):
    return SimpleNamespace(run=SimpleNamespace(uid=uid, parent_uid=parent))


@pytest.mark.parametrize("folded", [set(), {"a"}, {"a", "b", "c"}])
def test_runs_that_are_ancestors_of_each_other_are_shown(folded):
    found = [row("a", "b"), row("b", "a"), row("c", "c"), row("d", "c"), row("e", "gone")]

    placed = arranged(found, folded)

    assert sorted(one.uid for one in placed) == ["a", "b", "c", "d", "e"]
    assert placed[0] == PlacedRow(found[4])


def test_output_is_searched_in_the_details(store):
    async def look():
        async with shown(store, size=(100, 60)) as (app, pilot):
            await pilot.press("enter")
            await until(pilot, lambda: "line 99" in screen(app))
            await pilot.press("slash", *"NE 7")
            await until(pilot, lambda: "output with 'NE 7'" in screen(app))
            found = [line.split() for line in screen(app).splitlines() if "q line" in line]
            assert [line[0] for line in found] == ["8", *(str(n) for n in range(71, 81))]
            assert "Ctrl-C quit" in screen(app)
            await pilot.press("enter", "escape")
            await until(pilot, lambda: "line 99" in screen(app))
            await pilot.press("slash", *"zz")
            await until(pilot, lambda: "no line contains 'zz'" in screen(app))
            await pilot.press("escape", "escape")
            assert names(app) == ["fit#1"]

    with store.start("fit", capture=False) as run:
        run.keep_output()
        for number in range(100):
            print("q line", number)
    asyncio.run(look())


def test_the_machine_is_shown_above_the_table_unless_the_terminal_is_low(store):
    async def look(height, has_machine):
        async with shown(store, size=(120, height)) as (app, pilot):
            await until(pilot, lambda: ("memory" in screen(app)) is has_machine)

    record(store, loss=())
    asyncio.run(look(30, has_machine=True))
    asyncio.run(look(10, has_machine=False))


def test_numbers_of_the_machine_come_from_its_files(tmp_path, monkeypatch):
    stat, memory, tool = (tmp_path / name for name in ("stat", "meminfo", "nvidia-smi"))
    tool.write_text("#!/bin/sh\necho '45, 2048, 16384'\necho '[N/A], 1, 2'\n")
    tool.chmod(0o755)
    memory.write_text("MemTotal: 4194304 kB\nMemAvailable: 1048576 kB\n")
    stat.write_text("cpu 100 0 100 800 0 0 0 0 0 0\n")
    monkeypatch.setattr(machines, "_STAT", stat)
    monkeypatch.setattr(machines, "_MEMORY", memory)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(machines, "_GPU_EVERY_S", 0)
    machine = machines.Machine()

    first = machine.read()
    stat.write_text("cpu 150 0 125 825 0 0 0 0 50 0\n")
    second = machine.read()
    machine._cards._process.wait()
    gpus = machine.read()
    memory.write_text("nonsense")
    stat.unlink()
    third = machine.read()
    machine.close()

    assert "CPU" not in first
    assert "CPU 75% of" in second
    assert "memory 3.0 of 4.0 GiB" in second
    assert "GPU" not in first
    assert gpus.endswith("GPU 0 45% 2.0 of 16.0 GiB")
    assert "CPU" not in third
    assert "memory" not in third
