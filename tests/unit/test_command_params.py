"""Parameters read from the command line of a program that `runstore exec` runs."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.model.params.build import parameter_set
from runstore.runner.programs.params import leaf_names, merged, read_params

ODD = ["--", "-", "--a", "-b", "a.b=1", "--a.b", "[1", "9" * 30, "nan", "--=", "+", "-1"]


def read(line, folder=Path("/nowhere")):
    return read_params(shlex.split(line), folder)


READ = [
    ("--lr 0.1 --layers 3", {"lr": 0.1, "layers": 3}),
    ("--lr=0.1 --name=a=b", {"lr": 0.1, "name": "a=b"}),
    ("-x 3 -lr .5 -j4 -s0.5", {"x": 3, "lr": 0.5, "j": 4, "s": 0.5}),
    ("--amp --no-cuda --no_bias", {"amp": True, "cuda": False, "bias": False}),
    ("--no", {"no": True}),
    ("--batch-size 32", {"batch_size": 32}),
    ("--neg -3 --min -inf --eps -1e-3", {"neg": -3, "min": float("-inf"), "eps": -0.001}),
    ("-v -v", {"v": True}),
    ("--id 1 --id a", {"id": [1, "a"]}),
    ("--layers 64 32 16 --lr 1", {"layers": [64, 32, 16], "lr": 1}),
    ("--data a.csv b.csv", {"data": "a.csv"}),
    ("lr=0.1 +trainer.epochs=5 ++net.depth=2", {"lr": 0.1, "trainer": {"epochs": 5},
                                                "net": {"depth": 2}}),
    ("model/optimizer=adam", {"model/optimizer": "adam"}),
    ("--amp lr=0.1", {"amp": True, "lr": 0.1}),
    ("--model.lr 0.2 --model resnet", {"model": "resnet", "model.lr": 0.2}),
    ("--a.b 1 --a.c 2", {"a": {"b": 1, "c": 2}}),
    ("--a. 1 --b..c 2", {"a.": 1, "b..c": 2}),
    ("-Dlr=0.1 -Depth 2", {"lr": 0.1, "Depth": 2}),
    ("--a true --b False --c null --d None", {"a": True, "b": False, "c": None, "d": None}),
    ("--a '[1, 2.5]' --b \"['x']\" --c '{\"k\": 1}'", {"a": [1, 2.5], "b": ["x"],
                                                      "c": {"k": 1}}),
    ("--a '[1' --b '{' --c '[x]'", {"a": "[1", "b": "{", "c": "[x]"}),
    ("--seed 007 --day 2024-10-11 --v 1.2.3", {"seed": "007", "day": "2024-10-11",
                                               "v": "1.2.3"}),
    ("--commit 1234567890123456789012", {"commit": "1234567890123456789012"}),
    ("--n 1_000 --hex 0x10 --c 1+2j", {"n": "1_000", "hex": "0x10", "c": "1+2j"}),
    ("--layers 64 32 out.csv --n 5 in.csv", {"layers": [64, 32], "n": 5}),
    ("--help --version -h", {}),
    ("--h 0.01 -h 3 --version=2", {"h": [0.01, 3], "version": 2}),
    ("in.csv - out.csv http://x/?a=1 2=3 =4", {}),
    ("--a 1 -- --b 2 c=3", {"a": 1}),
    ("--empty= --text ''", {"empty": "", "text": ""}),
    ("", {}),
]  # fmt: skip


def test_arguments_of_programs():
    found = [(arguments, read(f"./program {arguments}")) for arguments, _ in READ]

    assert found == READ


@pytest.mark.parametrize(
    "line",
    [
        "python train.py --lr 0.1",
        "python -m pkg.train --lr 0.1",
        "python -c 'print(1)' --lr 0.1",
        "torchrun --nproc_per_node 2 --standalone train.py --lr 0.1",
        "python -m torch.distributed.run --nproc-per-node=2 train.py --lr 0.1",
        "accelerate launch --num_processes 2 train.py --lr 0.1",
        "uv run --with numpy train.py --lr 0.1",
        "srun --gres gpu:1 -n 2 python train.py --lr 0.1",
        "nice -n 5 env A=1 CUDA_VISIBLE_DEVICES=0 python train.py --lr 0.1",
        "bash -c 'python train.py --lr 0.1'",
        "bash train.sh --lr 0.1",
        "Rscript --vanilla fit.R --lr 0.1",
        "julia --threads=4 fit.jl --lr 0.1",
    ],
)
def test_options_of_launchers_are_no_parameters(line):
    assert read(line) == {"lr": 0.1}


@pytest.mark.parametrize(
    "line",
    [
        "bash -c 'for lr in 1 2; do python train.py --lr $lr; done'",
        "python",
        "sh -c 'a; b --lr 1'",
    ],
)
def test_a_program_in_a_shell_has_no_parameters(line):
    assert read(line) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        "--api-key abcdefgh", "--api-key=abcdefgh", "--password 'open sesame'", "api_key=abcdefgh",
        "--token hf_abcdefghijklmnopqrstuvwxyzabcdefgh", "+db.password=hunter22",
        "--url https://user:hunter22@host/db", "--x ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "--header 'Authorization: Bearer abcdefghijklmnop0123'",
    ],
)  # fmt: skip
def test_secrets_are_left_out(arguments):
    assert read(f"python train.py --lr 1 {arguments}") == {"lr": 1}


def test_a_script_declares_its_options(tmp_path):
    (tmp_path / "train.py").write_text(
        "import argparse\n"
        "p = argparse.ArgumentParser()\n"
        "p.add_argument('-a', '--amp', action='store_true')\n"
        "p.add_argument('--deep', action=argparse.BooleanOptionalAction)\n"
        "p.add_argument('--tags', nargs='+')\n"
        "p.add_argument('--lr', type=float)\n"
        "p.add_argument('--range', nargs=2, type=float)\n"
        "p.add_argument('--size', nargs='?')\n"
        "p.add_argument('--any', nargs=count)\n"
        "p.add_argument('--own', action=Own)\n"
        "p.add_argument('--more', **options)\n"
        "click.option('--shout/--no-shout')\n"
        "click.option('--loud', is_flag=True)\n"
        "click.option('--low', 'level', flag_value='low')\n"
        "click.option('--point', type=(float, float))\n"
        "click.option('--pair', type=click.Tuple([str, int]))\n"
    )

    def of(arguments):
        return read(f"python train.py {arguments}", tmp_path)

    assert of("--amp data.csv -a x --deep 3 --loud y") == {
        "amp": True, "a": True, "deep": True, "loud": True,
    }  # fmt: skip
    assert of("--tags a b --no-shout z") == {"tags": ["a", "b"], "shout": False}
    assert of("--lr 0.5 data.csv") == {"lr": 0.5}
    assert of("--lr 0.5 5 7") == {"lr": 0.5}
    assert of("--range 1 2 3 --size 4 5") == {"range": [1, 2], "size": 4}
    assert of("--range 1 2 x --size --lr 1") == {"range": [1, 2], "size": True, "lr": 1}
    assert of("--point 1 2 3 --pair a 4 b --low c") == {
        "point": [1, 2], "pair": ["a", 4], "low": True,
    }  # fmt: skip
    assert of("--any 1 2 --own 1 2 --more 1 2") == {"any": [1, 2], "own": [1, 2], "more": [1, 2]}


def test_an_option_that_is_declared_in_two_ways_counts_as_undeclared(tmp_path):
    """The commands of a program may each have their own."""
    (tmp_path / "train.py").write_text(
        "train.add_argument('--gpus', nargs='+', type=int)\n"
        "test.add_argument('--gpus', type=int)\n"
        "test.add_argument('--log', action='store_true')\n"
        "train.add_argument('--log')\n"
    )

    found = read("python train.py train --gpus 0 1 out --log a", tmp_path)

    assert found == {"gpus": [0, 1], "log": "a"}
    assert read("python train.py test --log --gpus 0", tmp_path) == {"gpus": 0, "log": True}


@pytest.mark.parametrize("code", [b"def (", b"\0", b"\xff\xfe", b"(" * 3000])
def test_a_script_that_cannot_be_read(tmp_path, code):
    (tmp_path / "train.py").write_bytes(code)

    assert read("python train.py --lr 0.1", tmp_path) == {"lr": 0.1}


@given(st.lists(st.text(max_size=12) | st.sampled_from(ODD)))
def test_any_command_line_makes_a_parameter_set(words):
    params = read_params(["./program", *words], Path("/nowhere"))

    parameter_set(params)


def test_parameters_over_others():
    both = merged(
        {"lr": 1, "net": {"depth": 2, "width": 3}}, {"net": {"depth": 4}, "lr": {"a": 1}}
    )

    assert both == {"lr": {"a": 1}, "net": {"depth": 4, "width": 3}}
    assert [*leaf_names(both)] == ["lr.a", "net.depth", "net.width"]
