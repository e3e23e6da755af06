"""Classifiers based on trees."""

from digits_settings import Settings


def get_params():
    """Return the parameter sets of this file."""
    return [
        Settings("tree", model="DecisionTreeClassifier", options={"max_depth": 10}),
        Settings("forest", model="RandomForestClassifier", options={"n_estimators": 60}),
    ]
