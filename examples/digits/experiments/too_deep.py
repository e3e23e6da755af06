"""Fail on purpose: a tree cannot have a depth of zero."""

from digits_settings import Settings
from experiments.classify import run  # noqa: F401 - this experiment runs it


def get_params():
    """Return a valid set, and one that scikit-learn rejects."""
    return [
        Settings("shallow", model="DecisionTreeClassifier", options={"max_depth": 3}),
        Settings("impossible", model="DecisionTreeClassifier", options={"max_depth": 0}),
    ]
