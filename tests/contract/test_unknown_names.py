"""Names in a filter that no run has: what is said of each."""

import pytest

from runstore.errors import FilterError
from runstore.model.query.parse import parse_query
from runstore.reading.filters.unknown_names import is_known_column, unknown_names
from runstore.reading.find import query_of


@pytest.fixture
def recorded(store):
    params = [
        {
            "name": "a",
            "lr": 0.1,
            "opt": {"kind": "adam", "decay": 0.0},
            "layers": [1, 2],
            "flag": True,
        }
    ]
    with store.start("fit", params=params, capture=False) as run:
        run.log({"loss": 1.0, "val/acc": 0.5})
        run.of_set("a").log({"score": 1.0})
        run.tags["phase"] = "pilot"
    for value in (1, "auto"):
        store.start("fit", params={"mixed": value}, capture=False).finish()
    for value in (1, [1], {"a": 2}):
        store.start("fit", params={"either": value}, capture=False).finish()
    return store.backend


@pytest.mark.parametrize(
    ("read", "hint"),
    [
        (lambda store: store.find("flag = true"), "Did you mean params.flag?"),
        # A parameter of this name is likelier than a field that is written alike.
        (lambda store: store.find("seed = 1"), "Did you mean params.seed?"),
        (lambda store: store.find("statsu = 1"), "Did you mean 'status'?"),
        (lambda store: store.find("tags = phase"), "Did you mean tags.phase is not missing?"),
        (lambda store: store.find("lr > 0 and tag contains 'phase'"), "Did you mean params.lr?"),
        (lambda store: store.group("lr"), "Did you mean params.lr?"),
        (lambda store: store.pivot("lr", "mixed", "loss"), "Did you mean params.mixed?"),
    ],
)
def test_fields_without_their_namespace_are_suggested(store, recorded, read, hint):
    store.start("fit", params={"seed": 1}, capture=False).finish()

    with pytest.raises(FilterError) as raised:
        read(store)

    assert raised.value.hint == hint


def test_keys_of_results_are_suggested(store, recorded):
    run = store.get("fit#1")

    with pytest.raises(KeyError, match=r"There is no metric 'acc'\. Did you mean 'val/acc'"):
        run.metrics["acc"]
    with pytest.raises(KeyError, match="Did you mean 'loss' or 'val/acc'"):
        run.metrics["loss, val/acc"]
    assert run.metrics.get("acc") is None


def test_keys_of_a_running_program_are_suggested(store):
    with store.start("fit", params={"lr": 0.1, "opt": {"beta": 1}}, capture=False) as run:
        run.tags["phase"] = "pilot"

        with pytest.raises(KeyError, match=r"There is no parameter 'lrr'\. Did you mean 'lr'"):
            run.params["lrr"]
        with pytest.raises(KeyError, match=r"parameter 'bta'\. Did you mean 'beta'"):
            run.params["opt"]["bta"]
        with pytest.raises(KeyError, match=r"There is no tag 'fase'\. Did you mean 'phase'"):
            run.tags["fase"]
        with pytest.raises(KeyError, match="Did you mean 'phase'"):
            del run.tags["phases"]
        assert ("phases" in run.tags, run.tags.get("phases"), run.tags.pop("x", 1)) == (
            False,
            None,
            1,
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params.lr > 0", []),
        ("params.lrr > 0", ["No run has the parameter 'lrr'. Did you mean 'lr'?"]),
        ("metrics.los < 1", ["No run has the metric 'los'. Did you mean 'loss'?"]),
        ("metrics.acc < 1", ["No run has the metric 'acc'. Did you mean 'val/acc'?"]),
        ("metrics.x/loss < 1", ["No run has the metric 'x/loss'. Did you mean 'loss'?"]),
        ("metrics.x/loss < 1", ["For a metric of a parameter set, write: metrics[x].loss"]),
        (
            "metrics.a/b/loss.max < 1",
            ["For a metric of a parameter set, write: metrics[a/b].loss.max"],
        ),
        ("params.decay = 1", ["No run has the parameter 'decay'. Did you mean 'opt.decay'?"]),
        ("tags.fase = pilot", ["No run has the tag 'fase'. Did you mean 'phase'?"]),
        ("params.opt = adam", ["the parameter 'opt' is a list or an object, and only its parts"]),
        ("params.layers = 1", ["Available: layers[0], layers[1]."]),
        ("params.layers is missing", []),
        ("params.layers is null", ["Available: layers[0], layers[1]."]),
        ("not params.opt is null", ["Available: opt.decay, opt.kind."]),
        ("order by params.opt", ["Available: opt.decay, opt.kind."]),
        ("params.either > 0", []),
        ("params.either > 0 and params.either is missing", []),
        ("params.either > 0 and params.either is null", ["Available: either.a, either[0]."]),
        ("order by params.either", ["Available: either.a, either[0]."]),
        ("params.mixed is missing", []),
        ("params.zzzz = 1", ["No run has the parameter 'zzzz'. Available: "]),
        ("params.zzzz is missing", []),
        ("not params.zzzz is missing", []),
        ("order by params.lrr", ["No run has the parameter 'lrr'."]),
        ("params.lrr > 0 and params.lrr < 1", ["No run has the parameter 'lrr'."]),
        ("status = error and experiment = nothing", []),
        ("packages.torch >= 2", ["No run has the package 'torch'. No run has any package."]),
        ("params.a = 1 or metrics.b = 2", ["parameter 'a'", "metric 'b'"]),
        ("params.lr > abc", ["The parameter 'lr' is a number in every run, and 'abc' is a text."]),
        ("params.lr = abc or params.lr in (a, b)", ["and 'abc' is a text", "and 'a', 'b' is"]),
        ("params.opt.kind > 5", ["'opt.kind' is not a number in every run, and 5 is one."]),
        ("params.opt.kind > 9007199254740993", [" and 9007199254740993 is one."]),
        (f"params.opt.kind > {10**400}", [" and 1000"]),
        ("not params.lr > abc", ["is a number in every run"]),
        ("params.lr > '0.05' and params.lr in (0.1, 0.2)", []),
        ("params.lr != abc and params.lr like 'a%'", []),
        ("params.opt.kind = adam", []),
        ("params.mixed > abc and params.mixed > 3 and params.flag = true", []),
        ("params.flag > 3", ["not a number"]),
        ("tags.phase > 3 and params.lr = true", []),
    ],
)
def test_each_unknown_name_is_said_once_with_a_hint(recorded, text, said):
    found = unknown_names(recorded, parse_query(text))

    assert len(found) == len(said)
    assert all(part in one for part, one in zip(said, found, strict=True)), found


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("fit and params.lr > 0", "experiment = fit and params.lr > 0"),
        ("fit params.lr > 0", "experiment = fit and params.lr > 0"),
        (" fit and lr > 0", " experiment = fit and lr > 0"),
    ],
)
def test_an_experiment_before_a_filter_becomes_a_comparison(recorded, text, fixed):
    with pytest.raises(FilterError, match="experiment = fit and …") as caught:
        query_of(recorded, text, None)

    error = caught.value
    assert text[: error.position] + error.suggestions[0] + text[error.end :] == fixed


@pytest.mark.parametrize("text", ["fit", " fit "])
def test_the_name_of_an_experiment_alone_becomes_a_comparison(recorded, text):
    with pytest.raises(FilterError, match="For an experiment, write: experiment = fit") as caught:
        query_of(recorded, text, None)

    error = caught.value
    fixed = text[: error.position] + error.suggestions[0] + text[error.end :]
    assert fixed == text.replace("fit", "experiment = fit")
    assert query_of(recorded, fixed, None)
    with pytest.raises(FilterError, match="ends too early"):
        query_of(recorded, "fitt", None)


def test_parts_of_a_parameter_are_listed(recorded):
    (said,) = unknown_names(recorded, parse_query("params.opt = adam"))

    assert "opt.decay, opt.kind" in said


def test_further_fields_are_looked_up_as_well(recorded):
    (order,) = parse_query("order by tags.fase").order

    assert len(unknown_names(recorded, parse_query(""), order.field)) == 1


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("params.lr", True),
        ("params.opt.kind", True),
        ("params.lrr", False),
        ("tags.phase", True),
        ("metrics.loss", True),
        ("metrics.val/acc", True),
        ("metrics.a/score", True),
        ("metrics.score", True),
        ("metrics.acc", False),
        ("metrics.", False),
        ("metrics", False),
        ("notes.x", False),
    ],
)
def test_a_column_is_known_if_a_run_may_have_it(recorded, name, is_known):
    assert is_known_column(recorded, name) is is_known


def test_parameters_beyond_those_that_filters_know_are_explained(store):
    params = {f"p{number:04}": number for number in range(2100)}
    store.start("wide", params=params, capture=False).finish()

    (sentence,) = unknown_names(store.backend, parse_query("params.p2050 > 0"))

    assert sentence.endswith("Filters know the first 2,000 parameters of a set.")
