"""Endpoints about several runs: their rows agree with Python and the command line."""

import json
import math
import struct
import subprocess
from array import array

import pytest

from commands import runstore_here as runstore
from places import store_at
from runstore.model.facts import Facts
from web_client import client_of, served_at

API = "/api/v1"
ACCURACIES = {0.1: (0.80, 0.82, 0.79), 0.3: (0.90, 0.91, 0.92), 1.0: (0.51, 0.50, 0.52)}


@pytest.fixture
def repeats(filled):
    """Three learning rates and two models, with three seeds each."""
    with store_at(filled(three_seeds_each) / ".runstore") as opened:
        yield opened


def three_seeds_each(store):
    for lr, accs in ACCURACIES.items():
        for model, less in (("cnn", 0.0), ("mlp", 0.05)):
            for seed, acc in enumerate(accs):
                params = {"lr": lr, "model": model, "seed": seed}
                with store.start("fit", params=params, capture=False) as run:
                    run.log({"acc": acc - less, "loss": 1 - acc})


@pytest.fixture
def asking(repeats):
    with client_of(served_at(repeats)) as made:
        yield made


def answer(client, path, **query):
    response = client.get(f"{API}/{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def refusal(client, path, **query):
    response = client.get(f"{API}/{path}", params=query)
    assert response.status_code >= 400
    return response.status_code, response.json()["error"]


# What differs


def test_differences_are_those_of_the_command(repeats, asking):
    found = answer(asking, "compare", runs="fit#1,fit#4,fit#7")

    told = json.loads(
        runstore("compare", "fit#1", "fit#4", "fit#7", "--json", cwd=repeats.path.parent).stdout
    )
    mine = ("texts", "differs", "direction", "best")
    rows = [{key: one[key] for key in one if key not in mine} for one in found["differences"]]
    assert rows == told["differences"]
    assert found["unknown"] == told["unknown"]
    assert [one["name"] for one in found["runs"]] == ["fit#1", "fit#4", "fit#7"]


def test_the_best_value_of_a_metric_is_marked_if_its_direction_is_known(repeats, asking):
    repeats.directions["acc"] = "min"

    rows = answer(asking, "compare", runs="fit#1,fit#4,fit#7")["differences"]

    marks = {one["key"]: (one["direction"], one["best"]) for one in rows}
    assert marks["acc"] == ("min", [1])  # 0.75, which is best by the store's own word
    assert marks["loss"] == ("min", [2])
    assert marks["lr"] == (None, [])


def test_rows_come_by_windows_and_by_words(asking):
    everything = {"runs": "fit#1,fit#2", "everything": "1"}

    whole = answer(asking, "compare", **everything)
    part = answer(asking, "compare", **everything, offset=1, limit=2)
    found = answer(asking, "compare", **everything, search="ACC metrics")

    assert part["total"] == whole["total"] == len(whole["differences"])
    assert part["differences"] == whole["differences"][1:3]
    assert [one["key"] for one in found["differences"]] == ["acc", "acc.max", "acc.min"]
    assert {one["differs"] for one in whole["differences"]} == {True, False}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"runs": "fit#1"}, 400, "usage"),
        ({"runs": "fit#1,fit#99"}, 404, "run-not-found"),
        ({"runs": "fit#1,fit#2", "sections": "parms"}, 400, "usage"),
    ],
)
def test_mistakes_of_a_comparison_are_told(asking, query, status, code):
    found = refusal(asking, "compare", **query)

    assert (found[0], found[1]["code"]) == (status, code)


def test_explanations_are_those_of_the_command(repeats, asking):
    found = answer(asking, "why", a="fit#1", b="fit#7")

    told = json.loads(runstore("why", "fit#1", "fit#7", "--json", cwd=repeats.path.parent).stdout)
    causes = [
        {key: one[key] for key in one if key not in {"name", "texts"}} for one in found["causes"]
    ]
    assert causes == told["causes"]
    assert [found["metric"], found["values"]] == [told["metric"], told["values"]]
    assert found["causes"][0]["name"] == "params.lr"
    assert found["causes"][0]["texts"] == ["0.1", "0.3"]


# The code of two runs


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Two runs of a repository in which a file with many lines changed."""

    def git(*words):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    (tmp_path / ".gitignore").write_text(".runstore/\n")
    program = tmp_path / "train.py"
    program.write_text("".join(f"step({n})\n" for n in range(900)))
    git("add", ".")
    git("commit", "-qm", "First")
    with store_at(tmp_path / ".runstore") as opened:
        opened.start("fit").finish()
        program.write_text("".join(f"step({n}, lr=0.1)\n" for n in range(900)))
        (tmp_path / "model.py").write_text("layers = 2\n")
        opened.start("fit").finish()
        yield opened


def test_code_is_compared_file_by_file(programs):
    with client_of(served_at(programs)) as client:
        found = answer(client, "diff/code", a="fit#1", b="fit#2")
        one = answer(client, "diff/code/lines", a="fit#1", b="fit#2", file=0)

    told = json.loads(
        runstore("diff", "fit#1", "fit#2", "--json", cwd=programs.path.parent).stdout
    )["code"]["files"]
    assert [(one["new_path"], one["kind"], one["added"], one["removed"]) for one in told] == [
        ("model.py", "added", 1, 0),
        ("train.py", "changed", 900, 900),
    ]
    assert [one | {"diff": None} for one in told] == [
        {key: one[key] for key in one if key != "file"} | {"diff": None} for one in found["files"]
    ]
    assert one["lines"][1:] == [["added", None, 1, "layers = 2", 0]]


def test_a_long_diff_comes_by_windows(programs):
    asked = {"a": "fit#1", "b": "fit#2", "file": 1}
    with client_of(served_at(programs)) as client:
        first = answer(client, "diff/code/lines", **asked, limit=3)
        last = answer(client, "diff/code/lines", **asked, **{"from": 1800, "limit": 5})
        beyond = refusal(client, "diff/code/lines", **{**asked, "file": 2})

    assert first["total"] == 1801  # the head of the hunk, and each line twice
    assert first["lines"] == [
        ["hunk", None, None, "@@ -1,900 +1,900 @@", 0],
        ["removed", 1, None, "step(0)", 0],
        ["removed", 2, None, "step(1)", 0],
    ]
    assert last["lines"] == [["added", None, 900, "step(899, lr=0.1)", 0]]
    assert (beyond[0], beyond[1]["code"]) == (404, "not-found")


# Columns of values


def columns_of(client, names, **query):
    """Return the head, the ids and the columns of an answer, decoded as the format says."""
    response = client.get(f"{API}/runs/values", params={"columns": names, **query})
    assert response.status_code == 200, response.text
    body = response.content
    (length,) = struct.unpack_from("<I", body)
    head = json.loads(body[4 : 4 + length])
    arrays = body[4 + length :]

    def read(kind, begin, count):
        found = array(kind)
        found.frombytes(arrays[begin : begin + count * found.itemsize])
        return found.tolist()

    columns = {}
    for one in head["columns"]:
        kind = "H" if one["kind"] == "category" else "d"
        values = read(kind, one["values"], head["count"])
        missing = read("I", one["missing_places"], one["missing"])
        if kind == "H":
            values = [None if at == 0xFFFF else one["categories"][at] for at in values]
        columns[one["name"]] = [
            None if place in missing else value for place, value in enumerate(values)
        ]
    return head, read("I", head["ids"], head["count"]), columns


def test_values_are_those_of_the_runs(repeats, asking):
    repeats.tag("fit#3", {"phase": "final"})

    head, ids, found = columns_of(
        asking, "params.lr, params.model, metrics.acc.max, tags.phase", filter="params.seed = 2"
    )

    runs = repeats.find("params.seed = 2").items
    assert len(ids) == head["count"] == head["total"] == len(runs) == 6
    assert found["params.lr"] == [run.params["lr"] for run in runs]
    assert found["params.model"] == [run.params["model"] for run in runs]
    assert found["metrics.acc.max"] == [run.metrics["acc"].max for run in runs]
    assert found["tags.phase"] == [run.tags.get("phase") for run in runs]


def test_empty_texts_are_not_missing_and_not_none(repeats, asking):
    for model in ("", None):
        run = repeats.start("odd", params={"model": model}, tags={"keep": ""}, capture=False)
        run.finish()

    _, _, found = columns_of(asking, "params.model, tags.keep", experiment="odd")
    _, _, others = columns_of(asking, "tags.keep", experiment="fit")

    assert found == {"params.model": ["None", ""], "tags.keep": ["", ""]}
    assert set(others["tags.keep"]) == {None}


def test_values_of_many_runs_are_those_of_few(repeats, asking, monkeypatch):
    names = "params.lr, params.model, metrics.loss, status, started, git.branch"
    few = columns_of(asking, names)

    monkeypatch.setattr("runstore.storage.grid.values._FEW", 0)

    assert columns_of(asking, names) == few


def test_values_that_are_no_numbers_stay_apart(repeats, asking):
    for n, lr in enumerate((float("nan"), None, "auto")):
        with repeats.start("odd", params={"lr": lr, "deep": n == 0}, capture=False) as run:
            run.log({"acc": float("inf")})

    _, _, numbers = columns_of(asking, "params.lr, metrics.acc", filter="params.deep = true")
    head, _, words = columns_of(asking, "params.lr", experiment="odd")
    _, _, known = columns_of(asking, "params.lr", filter="experiment = 'fit'")

    assert math.isnan(numbers["params.lr"][0])
    assert numbers["metrics.acc.last"] == [float("inf")]
    assert words["params.lr"] == ["auto", "None", "nan"]
    assert head["columns"][0]["kind"] == "category"
    assert set(known["params.lr"]) == set(ACCURACIES)


def test_versions_are_categories_in_the_order_of_versions(repeats, asking):
    for version in ("1.10", "1.9", "local", "1.9"):
        with repeats.start("odd", capture=False) as run:
            facts = Facts(values={"python.version": version})
        repeats.backend.database.attach_facts(run.uid, facts)

    head, _, _ = columns_of(asking, "python.version", experiment="odd")

    assert head["columns"][0]["categories"] == ["1.9", "1.10", "local"]


def test_rare_categories_share_one_place(repeats, asking, monkeypatch):
    monkeypatch.setattr("runstore.reading.grid.values.CATEGORIES_AT_MOST", 2)

    head, _, found = columns_of(asking, "reference")

    assert head["columns"][0]["others"] == 16
    assert found["reference"].count("16 others") == 16


# Pivot tables


def test_cells_are_the_groups_of_best(repeats, asking):
    found = answer(asking, "pivot", metric="acc", rows="params.lr", columns="params.model")

    ranked = repeats.find(limit=None).best("acc")
    means = {one["group"]: one for one in ranked.records()}
    assert [one["labels"] for one in found["rows"]] == [["0.1"], ["0.3"], ["1"]]
    assert [one["labels"] for one in found["columns"]] == [["cnn"], ["mlp"]]
    for cell in found["cells"]:
        lr = found["rows"][cell["row"]]["labels"][0]
        model = found["columns"][cell["column"]]["labels"][0]
        group = means[f"lr={lr} model={model}"]
        assert [cell[key] for key in ("n", "mean", "spread", "low", "high")] == [
            group[key] for key in ("n", "mean", "spread", "low", "high")
        ]
    best = [one for one in found["cells"] if one["mark"] == "best"]
    assert [(one["row"], one["column"]) for one in best] == [(1, 0)]
    assert ranked.winner.label == "lr=0.3 model=cnn"
    assert found["markdown"] == repeats.pivot("acc", "params.lr", "params.model").to_markdown()


def test_mistakes_of_a_pivot_table_are_told(asking):
    unknown = refusal(asking, "pivot", metric="accuracy", rows="params.lr")
    time = refusal(asking, "pivot", metric="acc", rows="started")
    rows = refusal(asking, "pivot", metric="acc", rows="parms.lr")

    assert unknown[0] == 404
    assert "'acc'" in unknown[1]["hint"] or "acc" in unknown[1]["hint"]
    assert (time[0], time[1]["message"]) == (400, "Runs cannot be grouped by a time.")
    assert (rows[0], rows[1]["code"]) == (400, "filter")
