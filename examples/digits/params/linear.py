"""Linear classifiers, from weak to strong regularisation."""

from digits_settings import Settings


def get_params():
    """Return the parameter sets of this file."""
    return [
        Settings("ridge", model="RidgeClassifier", options={"alpha": 1.0}),
        Settings("logistic", model="LogisticRegression", options={"C": 1.0, "max_iter": 300}),
        Settings("svm", model="SVC", options={"kernel": "linear", "C": 0.1}),
    ]
