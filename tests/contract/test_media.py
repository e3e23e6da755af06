"""Texts, images and histograms at the steps of a run: logged, listed, read back."""

from __future__ import annotations

import json
import math
import signal
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import runstore
from commands import runstore_here
from runstore.errors import InvalidValueError, NotFoundError, StoreWarning
from runstore.model.logged.media import Histogram

PNG = b"\x89PNG\r\n\x1a\n"


def test_texts_come_back_by_step(run):
    run.log_text("samples", "first")
    run.log_text("samples", "later", step=10)
    run.log_text("samples", "next")
    run.log_text("val/samples", ["one", "two"], step=-1)

    media = run.record.media
    assert list(media) == ["text/samples", "text/val/samples"]
    assert media["text/samples"].steps == (0, 10, 11)
    assert media["text/samples"].read(10) == "later"
    assert media["text/samples"].read() == "next"
    assert media["text/val/samples"].read(-1, 1) == "two"


def test_logging_a_step_again_replaces(run):
    run.log_text("samples", "first", step=3)
    run.log_text("samples", "second", step=3)

    assert run.record.media["text/samples"].read(3) == "second"


def test_a_resumed_run_counts_on(store, run):
    run.log_text("samples", "first")
    run.finish()
    again = store.resume(run.reference)
    again.log_text("samples", "second")
    again.finish()

    assert again.record.media["text/samples"].steps == (0, 1)


def test_a_signal_handler_logs_while_its_program_does(run):
    """A step is counted under a lock, which the handler of the same thread must not wait for."""

    class Step:
        def __index__(self):
            signal.raise_signal(signal.SIGUSR1)
            run.log_text("nested", "of a conversion")
            return 3

    before = signal.signal(signal.SIGUSR1, lambda *_: run.log_text("sample", "of the handler"))
    try:
        run.log_text("sample", "of the program", step=Step())
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert run.record.media["text/sample"].steps == (3, 4)
    assert run.record.media["text/nested"].steps == (0,)


def test_images_of_many_kinds(run, tmp_path):
    np = pytest.importorskip("numpy")
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (2, 3)).save(tmp_path / "x.JPG")

    run.log_image("it", np.zeros((2, 3)))
    run.log_image("it", image.new("RGB", (2, 3)))
    run.log_image("it", tmp_path / "x.JPG")
    run.log_image("it", PNG)
    run.log_image("it", [np.zeros((2, 3, 3)), PNG])

    series = run.record.media["image/it"]
    assert series.steps == (0, 1, 2, 3, 4)
    assert series.read(2)[:3] == b"\xff\xd8\xff"
    assert series.read(4, 1) == PNG
    assert [one.media_type for one in series.artifacts[2]] == ["image/jpeg"]


def test_steps_are_in_the_order_of_numbers(run):
    for step in (10, 9, -2, 100):
        run.log_text("it", str(step), step=step)
    run.log_text("many", [str(number) for number in range(12)], step=0)

    media = run.record.media
    assert media["text/it"].steps == (-2, 9, 10, 100)
    assert [media["text/many"].read(0, index) for index in (2, 10)] == ["2", "10"]


def test_what_was_not_logged_is_not_found(run):
    run.log_text("it", "x", step=5)

    for step, index in ((4, 0), (5, 1)):
        with pytest.raises(NotFoundError, match="has no item"):
            run.record.media["text/it"].read(step, index)


WRONG = {
    "no text": lambda run: run.log_text("it", 5),
    "no key": lambda run: run.log_text("", "x"),
    "a key that leads out": lambda run: run.log_text("../it", "x"),
    "a key with a backslash": lambda run: run.log_text("a\\b", "x"),
    "a dot as key": lambda run: run.log_text(".", "x"),
    "a key with an empty part": lambda run: run.log_text("a//b", "x"),
    "a key that is no text": lambda run: run.log_text(5, "x"),
    "no step": lambda run: run.log_text("it", "x", step="x"),
    "nothing": lambda run: run.log_text("it", []),
    "no image": lambda run: run.log_image("it", b"text"),
    "no file": lambda run: run.log_image("it", "no/such.png"),
    "an object": lambda run: run.log_image("it", object()),
    "no numbers": lambda run: run.log_histogram("it", ["a"]),
    "no iterable": lambda run: run.log_histogram("it", 5),
    "no bins": lambda run: run.log_histogram("it", [1], bins=0),
    "edges that fall": lambda run: run.log_histogram("it", [1], bins=[2, 1]),
    "one edge": lambda run: run.log_histogram("it", [1], bins=[2]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_logged_is_a_warning_or_an_error(run, name):
    with pytest.warns(StoreWarning, match="was not logged"):
        WRONG[name](run)

    run.is_strict = True
    with pytest.raises(runstore.RunstoreError):
        WRONG[name](run)
    assert not run.record.artifacts


# Histograms


def test_histograms_come_back(run):
    run.log_histogram("weights", [0, 0.5, 1, 1, math.nan, math.inf], bins=2)
    run.log_histogram("weights", Histogram([0, 1, 3], [5, 6]))
    run.log_histogram("weights", [-1, 0, 2, 5], bins=[0, 1, 2])

    series = run.record.media["histogram/weights"]
    assert series.read(0) == Histogram((0.0, 0.5, 1.0), (1, 3), 2)
    assert series.read(1) == Histogram((0.0, 1.0, 3.0), (5, 6))
    assert series.read(2) == Histogram((0.0, 1.0, 2.0), (1, 1), 2)


@given(st.lists(st.floats(), max_size=50), st.integers(1, 80))
@example([1.5e308], 3)
@example([1.0, -5e-324], 1)
@example([-sys.float_info.max], 1)
@example([-sys.float_info.max, sys.float_info.max], 7)
def test_every_value_is_counted_once(values, bins):
    found = Histogram.of(values, bins)

    finite = [one for one in values if math.isfinite(one)]
    assert found.count == len(finite)
    assert found.left_out == len(values) - len(finite)
    assert len(found.counts) == bins
    assert all(map(math.isfinite, found.edges))
    assert Histogram(**json.loads(found.as_json())) == found


@given(st.lists(st.integers(-1000, 1000), min_size=2), st.sampled_from([1, 2, 4, 64]))
def test_counts_are_those_of_numpy(values, bins):
    np = pytest.importorskip("numpy")
    edges = [-1000.0 + 2000 / bins * number for number in range(bins + 1)]

    assert Histogram.of(values, edges).counts == tuple(np.histogram(values, edges)[0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool"])
def test_tensors_of_any_shape_are_counted(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, 3, dtype=getattr(torch, dtype))

    assert Histogram.of(tensor).count == 6


def test_arrays_of_any_shape_are_counted():
    np = pytest.importorskip("numpy")

    assert Histogram.of(np.ones((2, 3, 4))).count == 24
    assert Histogram.of(np.ma.array([1.0, 2.0], mask=[0, 1])).count == 1
    assert Histogram.of(np.array([])).count == 0
    assert Histogram.of(np.array([0.5, math.nan, 1.0]), 4) == Histogram.of([0.5, math.nan, 1.0], 4)


def test_a_histogram_has_edges_that_ascend():
    for edges, counts in (((1, 0), (1,)), ((0, 1), (1, 2)), ((), ()), ((0, math.nan), (1,))):
        with pytest.raises(InvalidValueError, match="do not form a histogram"):
            Histogram(edges, counts)


# The command line


@pytest.mark.folder_only
def test_show_names_the_series_and_not_their_files(store, run, tmp_path):
    for step in range(3):
        run.log_text("samples", f"sample {step}", step=step)
        run.log_histogram("weights", [0, step], step=step)
    run.log_image("attention", PNG)
    run.save("model.bin", b"x")

    words = ("show", "fit#1", "--store", store.path)
    shown = runstore_here(*words, cwd=tmp_path).stdout
    as_json = json.loads(runstore_here(*words, "--json", cwd=tmp_path).stdout)

    assert "3 steps, 0 to 2; last: sample 2" in shown
    assert "step 0" in shown
    assert "0 to 2\n" in shown
    assert "samples/0.txt" not in shown
    assert "model.bin" in shown
    assert {"kind": "text", "key": "samples", "steps": [0, 1, 2]} in as_json["media"]
