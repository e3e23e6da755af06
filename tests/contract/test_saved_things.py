"""Things that training code has are saved as their suffix says, and read back."""

from __future__ import annotations

import collections
import dataclasses
import enum
import io
import json
import math
import struct
import sys
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import strategies
from runstore.errors import InvalidValueError, NotFoundError
from runstore.model.display.json_text import json_text

np = pytest.importorskip("numpy")


def saved_json(run, thing):
    run.save("thing.json", thing)
    return json.loads(run.record.read_bytes("thing.json"))


# JSON


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Settings:
    lr: float = 0.1
    paths: tuple = (Path("a"),)


@pytest.mark.parametrize(
    ("thing", "read"),
    [
        ({"acc": np.float32(0.5), "n": np.int64(3), "ok": np.bool_(True)}, None),
        (np.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
        ({"m": np.eye(1), "c": np.array([1j])}, {"m": [[1.0]], "c": ["1j"]}),
        (np.array(["2026-01-02"], "M8[D]"), ["2026-01-02"]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.longdouble(0.5), 0.5),
        (np.ma.array([1, 2], mask=[0, 1]), [1, None]),
        ([Path("a/b"), date(2026, 1, 2), timedelta(1)], ["a/b", "2026-01-02", "1 day, 0:00:00"]),
        (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02T00:00:00+00:00"),
        ({3, 1, 2}, [1, 2, 3]),
        ({"tags": frozenset({"b", "a"})}, {"tags": ["a", "b"]}),
        (Settings(), {"lr": 0.1, "paths": ["a"]}),
        ([Settings(lr=np.float64(1))], [{"lr": 1.0, "paths": ["a"]}]),
        (Colour.RED, "RED"),
        (Decimal("0.10"), "0.10"),
        ([b"ab"], ["6162"]),
        (collections.deque([1]), [1]),
        ({"a": 1}.keys(), ["a"]),
        ({np.int64(1): 2, (1, 2): 3, Colour.RED: 4}, {"1": 2, "[1, 2]": 3, "RED": 4}),
        (len, "len"),
        (["\ud800"], ["\ud800"]),
        ({"é": 1}, {"é": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_json_takes_what_parameters_take(run, thing, read):
    found = saved_json(run, thing)

    assert found == ({"acc": 0.5, "n": 3, "ok": True} if read is None else read)


@given(strategies.plain_values)
def test_what_json_knows_is_as_it_was(value):
    assert json.loads(json_text(value)) == value


@given(strategies.parameter_values)
def test_every_parameter_can_be_written_as_json(value):
    with suppress(InvalidValueError):  # two keys of one text
        assert json.loads(json_text(value)) is not ...


@pytest.mark.parametrize(
    "thing",
    [object(), (one for one in "a"), io.BytesIO()],
    ids=lambda value: type(value).__name__,
)
def test_what_no_text_stands_for_is_refused(run, thing):
    with pytest.raises(InvalidValueError, match="cannot be converted to JSON"):
        run.save("thing.json", {"a": thing})

    assert not run.record.artifacts


def test_tables_inside_of_json(run):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")

    for library in (pandas, polars):
        table = library.DataFrame({"a": [1, 2]})
        assert saved_json(run, {"table": table, "column": table["a"]}) == {
            "table": {"a": [1, 2]},
            "column": [1, 2],
        }


def test_keys_of_one_text_are_refused(run):
    with pytest.raises(InvalidValueError, match="Two keys become '1'"):
        run.save("thing.json", {np.int64(1): "a", "1": "b", (1,): "c"})


def test_what_holds_itself_is_refused(run):
    loop: list = []
    loop.append(loop)

    with pytest.raises(InvalidValueError, match="Circular reference"):
        run.save("thing.json", loop)


# YAML, Markdown, text


@pytest.mark.parametrize("has_yaml", [True, False])
def test_yaml_is_read_back(run, monkeypatch, has_yaml):
    yaml = pytest.importorskip("yaml")
    if not has_yaml:
        monkeypatch.setitem(sys.modules, "yaml", None)

    run.save("config.yaml", {"lr": np.float64(0.1), "out": Path("a"), "é": [math.inf, None]})

    found = yaml.safe_load(run.record.read_bytes("config.yaml"))
    assert found["lr"] == 0.1
    assert found["out"] == "a"
    assert found["é"][1] is None


def test_a_text_of_several_lines_is_saved_as_it_is(run):
    run.save("notes.md", "# Results\n\nGood.")
    run.save("report.txt", "precision recall")

    assert run.record.read_bytes("notes.md") == b"# Results\n\nGood."
    assert run.record.read_bytes("report.txt") == b"precision recall"


@pytest.mark.parametrize("source", ["out/nodel.txt", "my runs/model.md", "word", "two words.md"])
def test_a_path_with_a_slip_is_no_text(run, source):
    with pytest.raises(NotFoundError):
        run.save("model.md" if source.endswith("md") else "model.txt", source)


def test_tables_are_written_as_markdown(run):
    rows = [{"lr": 0.1, "a|b": "x\ny"}, {"lr": 1}]

    run.save("rows.md", rows)
    run.save("named.md", {"acc": np.float32(0.5)})

    text = "| lr | a\\|b |\n| --- | --- |\n| 0.1 | x y |\n| 1 |  |\n"
    assert run.record.read_bytes("rows.md").decode() == text
    assert b"| acc | 0.5 |" in run.record.read_bytes("named.md")
    with pytest.raises(InvalidValueError, match=r"A value of type list cannot be saved as \.md"):
        run.save("wrong.md", [1, 2])


def test_data_frames_are_written_as_markdown(run):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")

    run.save("a.md", pandas.DataFrame({"a": [1, 2]}))
    run.save("b.md", polars.DataFrame({"a": [1, 2]}))

    assert run.record.read_bytes("a.md") == b"| a |\n| --- |\n| 1 |\n| 2 |\n"
    assert run.record.read_bytes("b.md") == run.record.read_bytes("a.md")


# Checkpoints


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.ckpt", "m.bin", "m.pth.tar", "m.PT"])
def test_state_dicts_under_their_usual_suffixes(run, name):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 3)

    run.save(name, {"model": model.state_dict(), "epoch": 3})

    with run.record.open(name) as file:
        found = torch.load(file, weights_only=True)
    assert found["epoch"] == 3
    assert torch.equal(found["model"]["weight"], model.weight)


def read_safetensors(contents):
    size = struct.unpack("<Q", contents[:8])[0]
    header = json.loads(contents[8 : 8 + size])
    return header, contents[8 + size :]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.tuples(
            st.lists(st.integers(0, 3), max_size=3),
            st.sampled_from(["f4", ">f8", "i8", "u1", "?", "f2"]),
        ),
        max_size=4,
    )
)
def test_arrays_by_name_are_written_as_safetensors(tmp_path, made):
    from runstore.artifacts.safetensors import write_safetensors

    arrays = {name: np.ones(shape, dtype) for name, (shape, dtype) in made.items()}

    write_safetensors(arrays, tmp_path / "x.safetensors")

    header, contents = read_safetensors((tmp_path / "x.safetensors").read_bytes())
    assert header.keys() == arrays.keys()
    for name, one in arrays.items():
        begin, end = header[name]["data_offsets"]
        found = np.frombuffer(contents[begin:end], one.dtype.newbyteorder("<"))
        assert header[name]["shape"] == list(one.shape)
        assert (found.reshape(one.shape) == one).all()


def test_models_are_written_as_safetensors(run):
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 3, dtype=torch.bfloat16)

    run.save("m.safetensors", model)

    header, contents = read_safetensors(run.record.read_bytes("m.safetensors"))
    assert header["__metadata__"] == {"format": "pt"}
    assert header["weight"]["dtype"] == "BF16"
    begin, end = header["weight"]["data_offsets"]
    found = torch.frombuffer(bytearray(contents[begin:end]), dtype=torch.bfloat16)
    assert torch.equal(found.reshape(3, 2), model.weight)
    with pytest.raises(InvalidValueError, match="'epoch', a int"):
        run.save("n.safetensors", {"epoch": 3})


def test_models_with_a_format_of_their_own_write_themselves(run):
    class Booster:
        def save_model(self, path):
            Path(path).write_text(f"trees {Path(path).suffix}")

    run.save("model.ubj", Booster())
    run.save("model.json", Booster())

    assert run.record.read_bytes("model.ubj") == b"trees .ubj"
    assert run.record.read_bytes("model.json") == b"trees .json"


def test_what_a_library_refuses_is_an_error_of_ours(run):
    with pytest.raises(InvalidValueError, match=r"could not be saved as 'x\.pkl'"):
        run.save("x.pkl", lambda: 1)

    assert not run.record.artifacts


# Arrays, tensors, pictures


def test_tensors_in_a_dictionary_are_arrays_of_an_archive(run):
    torch = pytest.importorskip("torch")
    weights = {"a": torch.ones(3, requires_grad=True), "b": torch.ones(2, dtype=torch.bfloat16)}

    run.save("w.npz", {**weights, "c": [1, 2]})

    found = np.load(io.BytesIO(run.record.read_bytes("w.npz")))
    assert {name: found[name].tolist() for name in found} == {
        "a": [1, 1, 1], "b": [1, 1], "c": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool", "complex64"])
def test_tensors_are_saved_as_arrays(run, dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.ones(2, 3, dtype=getattr(torch, dtype)).requires_grad_(dtype == "float32")

    run.save("x.npy", tensor)
    run.save("x.json", tensor.detach().real.float())

    with run.record.open("x.npy") as file:
        assert (np.load(file) == np.ones((2, 3))).all()
    assert json.loads(run.record.read_bytes("x.json")) == [[1.0] * 3] * 2


def pixels(run, array):
    image = pytest.importorskip("PIL.Image")
    run.save("x.png", array)
    with run.record.open("x.png") as file:
        return np.asarray(image.open(file)).tolist()


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0, 255]], "u1"),
        np.array([[0, 255]]),
        np.array([[-5, 300]]),
        np.array([[0.0, 1.0]]),
        np.array([[0.0, 255.0]]),
        np.array([[np.nan, np.inf]]),
        np.array([[False, True]]),
        np.array([[[0], [255]]], "u1"),
        np.array([[[0, 255]]], "u1"),
        np.array([[[[0, 255]]]], "u1"),
    ],
    ids=lambda array: f"{array.dtype} {array.shape} {array.ravel().tolist()}",
)
def test_arrays_are_pictures(run, array):
    assert pixels(run, array) == [[0, 255]]


def test_tensors_are_pictures_with_their_channels_first(run):
    torch = pytest.importorskip("torch")

    assert np.shape(pixels(run, torch.zeros(3, 5, 7))) == (5, 7, 3)
    assert np.shape(pixels(run, torch.zeros(5, 7, 4))) == (5, 7, 4)


@pytest.mark.parametrize("shape", [(), (3,), (2, 5, 5), (2, 3, 5, 5), (0, 3)])
def test_arrays_that_are_no_picture_are_refused(run, shape):
    with pytest.raises(InvalidValueError, match="is not a picture"):
        run.save("x.png", np.zeros(shape))


# What has a figure


def drawings():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots(1, 2, subplot_kw={"xticks": [], "yticks": []})

    class Display:
        figure_ = figure

    class Grid:
        fig = figure

    return {
        "axes": axes[0],
        "array of axes": axes,
        "lines": axes[0].plot([1, 2]),
        "bars": axes[1].bar([1], [2]),
        "display": Display(),
        "grid": Grid(),
        "pyplot": plt,
        "figure": figure,
    }


def test_what_has_a_figure_is_drawn(store, run):
    plt = pytest.importorskip("matplotlib.pyplot")
    things = drawings()
    for name, thing in things.items():
        run.save(f"{name}.png", thing)
    plt.close("all")

    for name in things:
        one = run.record.artifacts[f"{name}.png"]
        assert run.record.read_bytes(one.path)[:4] == b"\x89PNG"
        assert store.backend.artifacts.preview_of(one.digest) is not None


def test_a_long_text_in_one_line_is_a_text(run):
    """It is longer than the name of a file can be."""
    text = "one word after another, " * 50

    run.save("notes.md", text)

    assert run.record.read_bytes("notes.md").decode() == text
