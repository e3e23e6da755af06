"""Which parameters have the same value under another name, and which only happen to."""

import pytest

from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.explain.renamed_parameters import are_alike, renamed


def gone(key, value):
    return Difference("params", key, (value, MISSING))


def come(key, value):
    return Difference("params", key, (MISSING, value))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr", "learning_rate"),
        ("lr", "learningRate"),
        ("opt", "optimizer"),
        ("model.lr", "optimizer.lr"),
        ("batchSize", "batch_size"),
        ("batchSize", "batchsize"),
        ("batch_size", "train_batch"),
        ("wd", "weight_decay"),
        ("weight_decay", "decay"),
        ("LR", "lr"),
        ("nEpochs", "epochs"),
    ],
)
def test_forms_of_a_name(old, new):
    assert are_alike(old, new)
    assert are_alike(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr", "momentum"),
        ("max_size", "max_rate"),  # words that names share without meaning the same
        ("o", "optimizer"),  # one letter says nothing
        ("lt", "learning_rate_decay"),
        ("rl", "learning_rate"),
        ("lrx", "learning_rate"),
        ("a.lr", "a.momentum"),  # the last part counts
        ("hidden_dim", "embedding_dim"),
    ],
)
def test_other_names(old, new):
    assert not are_alike(old, new)
    assert not are_alike(new, old)


def test_a_value_under_another_form_of_the_name_was_renamed():
    assert renamed([gone("lr", 0.1), come("learning_rate", 0.1)]) == [("lr", "learning_rate")]


def test_the_value_has_to_be_the_same_its_type_included():
    assert renamed([gone("lr", 0.1), come("learning_rate", 0.2)]) == []
    assert renamed([gone("lr", 1), come("learning_rate", 1.0)]) == []
    assert renamed([gone("lr", 1), come("learning_rate", True)]) == []


def test_what_only_changed_its_value_is_not_renamed():
    assert renamed([Difference("params", "lr", (0.1, 0.2)), come("learning_rate", 0.1)]) == []


def test_parameters_of_one_run_alone_are_not_renames_of_each_other():
    assert renamed([gone("lr", 0.1), gone("learning_rate", 0.1)]) == []


@pytest.mark.parametrize(
    ("value", "is_telling"),
    [
        (31_337, True),
        (-31_337, True),
        (999, False),
        (64_000, False),
        (0.123, True),
        (1.25e-07, True),
        (0.1, False),
        (1e-05, False),
        ("resnet50", True),
        ("abc", False),
        ("Default", False),
        ("mean", False),
        (True, False),
        (None, False),
        ([1, 2, 3], False),
    ],
)
def test_other_names_need_a_value_that_nothing_else_has_by_chance(value, is_telling):
    found = renamed([gone("width", value), come("units", value)])

    assert found == ([("width", "units")] if is_telling else [])


def test_a_telling_value_of_two_parameters_tells_of_neither():
    found = [gone("width", 31_337), gone("height", 31_337), come("units", 31_337)]

    assert renamed(found) == []


def test_each_new_name_is_taken_once():
    found = [gone("lr", 0.1), gone("learn_rate", 0.1), come("learning_rate", 0.1)]

    assert len(renamed(found)) == 1


def test_names_of_sets_and_files_are_no_parameters():
    assert renamed([gone("a/(set)", "resnet50"), come("b/(set)", "resnet50")]) == []
    assert renamed([gone("(file)", "resnet50"), come("model", "resnet50")]) == []
