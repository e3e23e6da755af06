"""Other values in a recorded command: `runstore rerun --set`."""

import shlex

import pytest

from runstore.errors import UsageError
from runstore.runner.programs.params import named_params
from runstore.runner.repeating.settings import with_settings


def changed(line, *settings, folder):
    return shlex.join(with_settings(shlex.split(line), settings, folder))


@pytest.mark.parametrize(
    ("line", "setting", "expected"),
    [
        ("python t.py --lr 0.2 --n 3", "lr=0.1", "python t.py --lr 0.1 --n 3"),
        ("python t.py --lr=0.2 x", "lr=1e-3", "python t.py --lr=1e-3 x"),
        ("./sim model.lr=0.2 +seed=3", "model.lr=5", "./sim model.lr=5 +seed=3"),
        ("./sim +seed=3", "seed=4", "./sim +seed=4"),
        ("nice -n 5 python t.py -n 7", "n=8", "nice -n 5 python t.py -n 8"),
        ("make -j4 all", "j=8", "make -j8 all"),
        ("python t.py --batch-size 4", "batch-size=8", "python t.py --batch-size 8"),
        ("python t.py --batch-size 4", "batch_size=8", "python t.py --batch-size 8"),
        ("python t.py -n 64 32 --lr 1", "n=[8, 8, 8]", "python t.py -n 8 8 8 --lr 1"),
        ("python t.py --amp --lr 1", "amp=false", "python t.py --lr 1"),
        ("python t.py --amp --lr 1", "amp=true", "python t.py --amp --lr 1"),
        ("python t.py --no-cuda", "cuda=yes", "python t.py"),
        ("python t.py --name 'a b'", "name=c=d e", "python t.py --name 'c=d e'"),
        ("python t.py --lr -0.5", "lr=-1", "python t.py --lr -1"),
    ],
)  # fmt: skip
def test_a_value_is_replaced_in_its_place(line, setting, expected, tmp_path):
    assert changed(line, setting, folder=tmp_path) == expected


def test_several_values_are_replaced(tmp_path):
    line = "python t.py --a 1 2 --b 3"

    assert changed(line, "a=[1]", "b=4", folder=tmp_path) == "python t.py --a 1 --b 4"


def test_a_switch_of_the_script_takes_no_value(tmp_path):
    (tmp_path / "t.py").write_text("p.add_argument('--amp', action='store_true')\n")

    new = changed("python t.py --amp data.csv", "amp=off", folder=tmp_path)

    assert new == "python t.py data.csv"


@pytest.mark.parametrize(
    ("line", "setting", "told"),
    [
        ("python t.py --lr 0.2", "rl=1", "does not name 'rl'"),
        ("python t.py", "lr=1", "does not name 'lr'"),
        ("python t.py --lr 1 --lr 2", "lr=3", "names 'lr' 2 times"),
        ("python t.py --lr 0.2", "lr", "not of the form key=value"),
        ("python t.py --lr 0.2", "lr=fast", "expected a float"),
        ("bash -c 'python t.py --lr 1'", "lr=2", "does not name 'lr'"),
        ("python t.py -- --lr 1", "lr=2", "does not name 'lr'"),
    ],
)
def test_a_value_that_cannot_be_replaced_is_refused(line, setting, told, tmp_path):
    with pytest.raises(UsageError, match=told) as refused:
        changed(line, setting, folder=tmp_path)

    assert refused.value.kept == "Nothing was started."


def test_the_nearest_name_is_suggested(tmp_path):
    with pytest.raises(UsageError) as refused:
        changed("python t.py --epochs 3", "epoch=4", folder=tmp_path)

    assert "Did you mean 'epochs'?" in refused.value.hint


def test_places_are_those_of_the_values(tmp_path):
    words = shlex.split("torchrun --nproc_per_node 2 t.py --lr 0.1 --flag a=b")

    found, first = named_params(words, tmp_path)

    assert words[first] == "--lr"
    assert [words[one.begin : one.end] for one in found] == [["0.1"], ["--flag"], ["a=b"]]
