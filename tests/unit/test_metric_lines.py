"""Metrics that `runstore exec --metrics` finds in the output of a program."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.errors import UsageError
from runstore.runner.programs.metric_lines import MetricLines, compiled


def logged(patterns, *pieces):
    """Return what is logged for pieces of output: values with their steps."""
    calls = []
    lines = MetricLines(patterns, lambda values, step: calls.append((values, step)))
    for piece in pieces:
        lines.feed("stdout", piece.encode() if isinstance(piece, str) else piece)
    lines._missing.clear()
    lines.end()
    return calls


MATCHING = [
    ("loss: {loss:f}", "epoch 3 loss: 0.31 acc: 0.9", ({"loss": 0.31}, None)),
    ("loss: {loss:.4f}", "loss: 1e-3", ({"loss": 0.001}, None)),
    ("loss: {loss}", "loss:   -0.5.", ({"loss": -0.5}, None)),
    ("loss {loss}", "loss\t 3", ({"loss": 3.0}, None)),
    ("step {step:d}: {val/acc:>8.3f}", "step 12:    0.900", ({"val/acc": 0.9}, 12)),
    ("[{}/{}] loss={loss}", "[3/10] loss=.5", ({"loss": 0.5}, None)),
    ("{step}/10 {} loss {loss}", "7/10 [====] loss 2", ({"loss": 2.0}, 7)),
    ("acc={acc:.1%}", "acc=93.5%", ({"acc": 0.935}, None)),
    ("n={n:,}", "n=1,234.5", ({"n": 1234.5}, None)),
    ("n={n:,}, m={m}", "n=1,234, m=5", ({"n": 1234.0, "m": 5.0}, None)),
    ("n={n}. m={m}.", "n=7. m=0.5.", ({"n": 7.0, "m": 0.5}, None)),
    ("[{a} {b}]", "[1. 2.]", ({"a": 1.0, "b": 2.0}, None)),
    ("epoch {} loss {loss}", "epoch 1 val loss x loss 0.3", ({"loss": 0.3}, None)),
    ("{} loss {loss} {}", "a loss 2", None),
    ("{}loss {loss}{}", "my loss 2", ({"loss": 2.0}, None)),
    ("{}{}{x}", "a  5", ({"x": 5.0}, None)),
    ("{a} {b}{}{c}", "1 2 of 3", ({"a": 1.0, "b": 2.0, "c": 3.0}, None)),
    ("{x}", "x2 a.3 -4", ({"x": -4.0}, None)),
    ("{x}", "1__ 2", ({"x": 1.0}, None)),
    ("a={a} b={b:g}", "a=1 b=2", ({"a": 1.0, "b": 2.0}, None)),
    ("{{{x}}}", "{3}", ({"x": 3.0}, None)),
    ("loss: {loss}", "\x1b[32mloss:\x1b[0m \x1b[1m0.5\x1b[0m", ({"loss": 0.5}, None)),
    ("loss: {loss}", "loss: 9\rloss: 8\rloss: 7\r", ({"loss": 7.0}, None)),
    ("loss: {loss}", "loss: 7\r", ({"loss": 7.0}, None)),
    ("grüße {x}", "grüße 1", ({"x": 1.0}, None)),
    ("{x}", "a 12 b", ({"x": 12.0}, None)),
    ("(a+b)* {x}", "(a+b)* 1", ({"x": 1.0}, None)),
    ("loss: {loss}", "val_loss: 3 loss: 4", ({"loss": 4.0}, None)),
    ("loss: {loss}", "loss: -inf", ({"loss": float("-inf")}, None)),
    ("t={t}s", "t=infs", ({"t": float("inf")}, None)),
    ("loss: {loss}", "loss: 0.5D-03", ({"loss": 0.0005}, None)),
    ("loss: {loss}, n: {n}", "loss: 5.d+2, n: 1d", ({"loss": 500.0, "n": 1.0}, None)),
]  # fmt: skip


def test_a_line_that_matches():
    for pattern, line, call in MATCHING:
        calls = [] if call is None else [call]
        assert logged([pattern], line + "\n") == calls, line
        assert logged([pattern], line) == calls, line


@pytest.mark.parametrize(
    "line",
    ["val_loss: 3", "train/loss: 3", "loss: information", "loss: nano", "loss: inf_",
     "loss: high", "loss:", "", "loss: \xff", "LOSS: 3",
     "loss: 3".ljust(5000), "xloss: 3"],
)  # fmt: skip
def test_a_line_that_does_not_match(line):
    assert logged(["loss: {loss}"], line + "\n") == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [("a{}a{}a{}d {x}", "a" * 4000 + "d y"), ("{}{}{} {x}", " " * 4000),
     ("{}a{}a{}a {x}", "a " * 2000 + "y"), ("{x}{y}{z}{w}q", "1" * 4000)],
)  # fmt: skip
def test_the_search_in_a_line_ends(pattern, line):
    """An expression that tries all ways to match would take years."""
    assert logged([pattern], line) == []


def test_not_a_number_is_a_value():
    (values, _), *_ = logged(["loss: {loss}"], "loss: nan\n")

    assert values["loss"] != values["loss"]


@pytest.mark.parametrize("number", ["1,234.5", "0,512", "0x1f", "1.2.3", "1" * 90])
def test_a_part_of_a_number_is_no_value(number):
    with pytest.warns(UserWarning, match="not logged by --metrics") as warned:
        calls = logged(["n {n} loss {loss}"], f"n 1 loss {number}\nn 1 loss 2\n")

    assert calls == [({"n": 1.0, "loss": 2.0}, None)]
    (message,) = (str(one.message) for one in warned)
    assert message.startswith("1 line was not logged")
    assert f"such as {number[:40]!r}" in message
    assert message.endswith("write: {loss:,}")


@pytest.mark.parametrize("text", ["{a},{b}", "{a}{},{b}"])
def test_a_comma_of_the_pattern_ends_a_number(text):
    assert logged([text], "1,234 of") == [({"a": 1.0, "b": 234.0}, None)]


def test_several_patterns_of_one_line_are_one_step():
    keras = "5/5 - 1s - loss: 0.5 - acc: 0.25 - val_loss: 0.75\n"

    assert logged(["loss: {loss}", "val_loss: {val/loss}", "{step}/5"], keras) == [
        ({"loss": 0.5, "val/loss": 0.75}, 5)
    ]


def test_a_step_on_a_line_of_its_own_counts_for_those_that_follow():
    output = "Epoch 1\nloss: 3\nEpoch 2\nloss: 2\nloss: 1\n"

    assert logged(["Epoch {step}", "loss: {loss}"], output) == [
        ({"loss": 3.0}, 1), ({"loss": 2.0}, 2), ({"loss": 1.0}, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ('{"loss": 0.5, "step": 3, "note": "x", "ok": true}', ({"loss": 0.5}, 3)),
        ("{'loss': 0.5, 'epoch': 1.0}", ({"loss": 0.5, "epoch": 1.0}, None)),
        ('{"train": {"loss": 1, "deep": {"x": 2}}}',
         ({"train/loss": 1.0, "train/deep/x": 2.0}, None)),
        ('  {"x": 1e400, "step": 0.5}\r', ({"x": float("inf")}, None)),
        ('{"x": 1, "y": null, "z": [1]}', ({"x": 1.0}, None)),
        ('{"x": -1' + "0" * 400 + ', "step": 3}', ({"x": -float("inf")}, 3)),
        ("{'x': 1" + "0" * 400 + ", 'step': 1" + "0" * 400 + "}", ({"x": float("inf")}, None)),
    ],
)  # fmt: skip
def test_lines_of_json(line, call):
    assert logged(["json"], line + "\n") == [call]


@pytest.mark.parametrize(
    "line",
    ["{}", "[1]", "3", "{", '{"a": "b"}', "{1, 2}", "{x}", "{" * 5000 + "}" * 5000, "{\xff}",
     "{'a': [" + "(" * 500 + "}"],
)  # fmt: skip
def test_lines_that_are_no_object_with_numbers(line):
    assert logged(["json"], line + "\n") == []


@pytest.mark.parametrize(
    "pattern",
    ["loss", "", "{}", "{loss:s}", "{a}{a}", "{loss", "loss}", "{a{b}}",
     "{x:%%}"],
)  # fmt: skip
def test_patterns_that_are_refused(pattern):
    with pytest.raises(UsageError, match="not a pattern"):
        compiled(pattern)


def test_lines_may_come_in_pieces_and_from_both_streams():
    calls = []
    lines = MetricLines(["loss: {loss}"], lambda values, _: calls.append(values["loss"]))

    for stream, data in (("stdout", b"lo"), ("stderr", b"loss: 7"), ("stdout", b"ss: 1\nloss: 2"),
                         ("stdout", b"\n\n"), ("stderr", b"0\n")):  # fmt: skip
        lines.feed(stream, data)

    assert calls == [1.0, 2.0, 70.0]


def test_a_pattern_that_nothing_matched_is_named():
    lines = MetricLines(["los: {loss}", "x: {x}", "json"], lambda *_: None)
    lines.feed("stdout", b"loss: 1\nx: 2\n")

    with pytest.warns(UserWarning, match="--metrics") as warned:
        lines.end()

    assert sorted(str(one.message) for one in warned) == [
        "No line of the output matched: --metrics 'los: {loss}' logged nothing.",
        "No line of the output was a JSON object with numbers: --metrics 'json' logged nothing.",
    ]


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"loss: 1\n", b'{"a": 1}\n', b"\r"])))
def test_no_output_is_an_error(pieces):
    calls = logged(["loss: {loss}", "json", "{} {x}"], *pieces)

    assert all(isinstance(one, float) for values, _ in calls for one in values.values())
    whole = logged(["loss: {loss}", "json", "{} {x}"], b"".join(pieces))
    assert json.dumps(calls) == json.dumps(whole)
