"""What a command runs behind its launchers; the experiment is named after that."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.model.code.launchers import launched
from runstore.runner.command import experiment_of

WORDS = (
    "nice", "-n", "5", "env", "A=1", "timeout", "-k", "-s", "--", "-", "=", "--x=1", "-m", "-c",
    "python", "train.py", "torchrun", "srun", "uv", "run", "conda", "-x", "--mca", "bash", "sh",
    "", "3", "launch", "accelerate", "-S",
)  # fmt: skip


NAMES = [
    ("python train.py --lr 1", "train"),
    ("python3.12 -W ignore -X dev -u train.py", "train"),
    ("python -Wignore train.py", "train"),
    ("python --check-hash-based-pycs always train.py", "train"),
    ("python -m pkg.train x", "pkg.train"),
    ("python -um pkg.train x", "pkg.train"),
    ("python -c 'print(1)'", "python"),
    ("python -", "python"),
    ("python", "python"),
    ("python -m cProfile -o out.prof -s time train.py", "train"),
    ("python -m cProfile -m pkg.train", "pkg.train"),
    ("python -m pdb -c continue train.py", "train"),
    ("python -m trace --count -C out train.py", "train"),
    ("python -m torch.distributed.run --nproc_per_node 2 --standalone train.py", "train"),
    ("python -m torch.distributed.launch --use_env --nproc_per_node=2 train.py", "train"),
    ("python -m coverage run --source src -m pkg.train", "pkg.train"),
    ("python -m debugpy --listen 5678 --wait-for-client train.py", "train"),
    ("python -m accelerate.commands.launch --mixed_precision fp16 train.py", "train"),
    ("python -m mpi4py train.py", "train"),
    ("torchrun --nproc_per_node=1 train.py", "train"),
    ("torchrun --nnodes 2 --rdzv_backend c10d --rdzv-id 7 train.py --epochs 3", "train"),
    ("torchrun --standalone -m pkg.train", "pkg.train"),
    ("torchrun --no-python ./train.sh", "train"),
    ("accelerate launch train.py", "train"),
    ("accelerate launch --multi_gpu --num_processes 2 train.py --lr 1", "train"),
    ("accelerate launch --config_file a.yaml -m pkg.train", "pkg.train"),
    ("accelerate config", "accelerate"),
    ("deepspeed --num_gpus 2 train.py --deepspeed ds.json", "train"),
    ("nice -n 1 python train.py", "train"),
    ("nice -5 python train.py", "train"),
    ("nice --adjustment=5 ./train", "train"),
    ("env A=1 B=2 -u C python train.py", "train"),
    ("env -S 'python -u train.py'", "train"),
    ("env -i PATH=/bin /usr/bin/python3 /x/train.py", "train"),
    ("env -S 'A=1 python' train.py", "train"),
    ("env -u B -S '-i A=1 nice python train.py'", "train"),
    ("env '-iSA=1 ./simulate --lr 1'", "simulate"),
    ("env '--split-string=A=1 ./simulate'", "simulate"),
    ("env -S", "env"),
    ("env - -- A=1 ./simulate", "simulate"),
    ("env", "env"),
    ("timeout 9 python train.py", "train"),
    ("timeout -k 5 --signal INT 1h python train.py", "train"),
    ("timeout --preserve-status 9 nice stdbuf -oL python train.py", "train"),
    ("stdbuf -o L -e0 python train.py", "train"),
    ("nohup time -v python train.py", "train"),
    ("taskset -c 0-3 python train.py", "train"),
    ("numactl --cpunodebind=0 -m 0 python train.py", "train"),
    ("ionice -c 2 -n 7 python train.py", "train"),
    ("sudo -u ada A=1 python train.py", "train"),
    ("xvfb-run -a -s '-screen 0 1x1x8' python train.py", "train"),
    ("strace -f -o out python train.py", "train"),
    ("gdb --args python train.py", "train"),
    ("srun -n 4 --gres=gpu:1 python train.py", "train"),
    ("srun --ntasks 4 --exclusive --cpu-bind cores python train.py", "train"),
    ("srun --pty bash", "bash"),
    ("mpirun -np 4 --mca btl self -x A --oversubscribe python train.py", "train"),
    ("mpiexec -n 2 ./solver", "solver"),
    ("uv run train.py", "train"),
    ("uv run --with numpy --python 3.12 python train.py", "train"),
    ("uv --directory x run -m pkg.train", "pkg.train"),
    ("uv sync", "uv"),
    ("poetry run python train.py", "train"),
    ("pipenv run train", "train"),
    ("conda run -n env --no-capture-output python train.py", "train"),
    ("micromamba run -p ./env python train.py", "train"),
    ("pixi run -e gpu python train.py", "train"),
    ("apptainer exec --nv -B /data image.sif python train.py", "train"),
    ("coverage run -p train.py", "train"),
    ("kernprof -l -v train.py", "train"),
    ("py-spy record -o out.svg -- python train.py", "train"),
    ("memray run -o out.bin train.py", "train"),
    ("nsys profile -o out python train.py", "train"),
    ("bash train.sh 3", "train"),
    ("bash -c 'python train.py'", "train"),
    ("bash -lc 'nice python train.py'", "train"),
    ("sh -c 'echo a; python train.py'", "sh"),
    ("bash -x", "bash"),
    ("Rscript --vanilla fit.R", "fit"),
    ("julia -t 4 --project=. fit.jl", "fit"),
    ("node -e 1", "node"),
    ("./train.py", "train"),
    ("/opt/tools/simulate --steps 3", "simulate"),
    ("bash -c 'A=1 B+=x ./run.sh --lr 1'", "run"),
    ("bash -c 'A=1'", "bash"),
    ("bash -euo pipefail -c 'python train.py'", "train"),
    ("bash -o pipefail -c 'a; b'", "bash"),
    ("bash +O extglob -e train.sh", "train"),
    ("bash --norc train.sh", "train"),
    ("bash -c --a=1", "bash"),
    ("nice", "nice"),
    ("timeout 9", "timeout"),
    (".hidden", ".hidden"),
]


def test_launchers_name_nothing():
    found = [(line, launched(shlex.split(line)).name) for line, _ in NAMES]

    assert found == NAMES


@pytest.mark.parametrize(
    ("line", "interpreter", "environment"),
    [
        ("nice env/bin/python train.py", "env/bin/python", ""),
        ("bin/torchrun train.py", "bin/torchrun", ""),
        ("conda run -n x python train.py", "python", "conda"),
        ("uv run train.py", "uv", "uv"),
        ("Rscript fit.R", "Rscript", ""),
        ("nice ./train", "./train", ""),
    ],
)
def test_the_interpreter_is_known(line, interpreter, environment):
    found = launched(shlex.split(line))

    assert (found.interpreter, found.environment) == (interpreter, environment)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8))
def test_any_words_are_understood(words):
    found = launched(words)

    assert found.interpreter in shlex.split(shlex.join(words)) or "-S" in words


def test_a_program_behind_a_secret_names_the_experiment():
    assert experiment_of(["env", "-S", "API_KEY=abcdefg1 ./simulate --lr 1"]) == "simulate"


def test_the_name_of_a_quoted_program_is_no_secret():
    assert experiment_of(["bash", "-c", "python my\\ train.py --token abcdefg1"]) == "my train"
