"""Which new files count as code, and which of them were not kept."""

import pytest

from runstore.capture.git.new_files import (
    command_words,
    data_among,
    is_part_of_code,
    new_code,
    reasons_of,
    unkept_code,
)
from runstore.model.facts import Facts

NONE = frozenset()
GIT = Facts(values={"git.dirty": False})


@pytest.mark.parametrize(
    "path",
    [
        "train.py", "sub/Nb.IPYNB", "Makefile", "fast.cpython-311-x86_64-linux-gnu.so",
        "config.yaml", "conf/optimizer/adam.yaml", "ds_config.json", "params.json", "a.toml",
        "outputs/train.py", "login.json", "outputs.yaml", "log_configs/base.yaml",
        "a.yml", "a.cfg", "a.ini", "a.conf", "a.gin", ".env", "fast.pyd",
    ],
)  # fmt: skip
def test_program_text_and_settings_count(path):
    assert is_part_of_code(path)


@pytest.mark.parametrize(
    "path",
    [
        "weights.npy", "out.csv", "model.pt", "train.log", "notes.txt", "README.md", "a.jsonl",
        "metrics.json", "val_metrics.json", "results-2.json", "trained/history.json", "noending",
        "outputs/2026-11-23/10-15-00/.hydra/config.yaml", "lightning_logs/version_0/hparams.yaml",
        "runs/train/exp3/args.yaml", "net/checkpoint-500/config.json", "Results/a.yaml",
    ],
)  # fmt: skip
def test_data_and_results_do_not_count(path):
    assert not is_part_of_code(path)


@pytest.mark.parametrize(
    "folder",
    [
        "out", "output", "outputs", "result", "results", "log", "logs", "runs", "multirun",
        "mlruns", "wandb", "checkpoint", "checkpoints", "ckpt", "ckpts",
    ],
)  # fmt: skip
def test_settings_among_results_do_not_count(folder):
    assert not is_part_of_code(f"{folder}/config.yaml")


@pytest.mark.parametrize(
    "word",
    [
        "result", "results", "metric", "metrics", "score", "scores", "loss", "losses", "history",
        "log", "logs", "summary", "report", "stats", "eval", "evaluation", "predictions", "preds",
        "output", "outputs",
    ],
)  # fmt: skip
def test_json_that_is_called_a_result_does_not_count(word):
    assert not is_part_of_code(f"val-{word}.json")
    assert is_part_of_code(f"val-{word}.yaml")


@pytest.mark.parametrize(
    "option", ["o", "out", "output", "outputs", "save", "write", "dump", "export", "log"]
)
def test_a_file_that_an_option_writes_does_not_count(option):
    for argv in ([f"--{option}", "x.csv"], [f"--{option}-to=x.csv"], [f"{option}=x.csv"]):
        assert not is_part_of_code("x.csv", command_words(argv))


@pytest.mark.parametrize(
    ("argv", "is_named"),
    [
        (["python", "train.py", "--data", "data/x.csv"], True),
        (["python", "train.py", "--data=./data/x.csv"], True),
        (["python", "train.py", "data=/home/ada/data/x.csv"], True),
        (["python", "train.py", "x.csv"], True),
        (["python", "train.py", "-o", "data/x.csv"], False),
        (["python", "train.py", "--out-file", "data/x.csv"], False),
        (["python", "train.py", "--save_to=data/x.csv"], False),
        (["python", "train.py", "out=data/x.csv"], False),
        (["python", "train.py", "--data", "max.csv", "."], False),
        (["python", "save", "data/x.csv"], True),
    ],
)
def test_a_file_named_in_the_command_counts_unless_it_is_written(argv, is_named):
    assert is_part_of_code("data/x.csv", command_words(argv)) is is_named


def test_outside_git_each_recorded_file_is_the_program():
    files = {"train": "", "lib/data.csv": ""}

    assert new_code(files, Facts(), NONE) == files
    assert new_code(files, GIT, NONE) == {}


def test_a_tracked_file_with_changes_hidden_from_git_counts():
    facts = GIT.merged(Facts(values={"git.hidden": ("table.csv",)}))

    assert data_among({"table.csv", "out.csv"}, facts, NONE) == {"out.csv"}


LEFT_OUT = "big.ipynb (larger than 256 KiB); weights.npy (not text)"
MARKS = ("m1 big.ipynb", "m2 weights.npy")


@pytest.mark.parametrize(
    ("values", "unknown", "texts", "expected"),
    [
        ({}, {}, (), []),
        ({}, {"untracked.rest": LEFT_OUT}, (), ["big.ipynb (larger than 256 KiB)"]),
        ({}, {"untracked.rest": "weights.npy (not text); 3 more"}, (), ["3 more"]),
        ({"untracked.others": MARKS}, {"untracked.rest": LEFT_OUT}, (), []),
        (
            {"untracked.others": ("m1 a.npy",)},
            {"untracked.rest": "a.npy (not text); 9 more files", "untracked.cut": "too many"},
            (),
            [],
        ),
        (
            {"untracked.others": ("m1 a.ipynb",)},
            {"untracked.rest": "a.ipynb (not text); 9 more files", "untracked.cut": "too many"},
            ("b.py",),
            ["too many"],
        ),
    ],
)
def test_only_code_of_which_nothing_was_kept_is_named(values, unknown, texts, expected):
    facts = GIT.merged(Facts(values=values, unknown=unknown))

    assert unkept_code(texts, facts, NONE) == expected


def test_reasons_are_read_back():
    facts = Facts(unknown={"untracked.rest": LEFT_OUT})

    assert reasons_of(facts) == {"big.ipynb": "larger than 256 KiB", "weights.npy": "not text"}
