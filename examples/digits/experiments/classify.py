"""Train a classifier on 1,797 handwritten digits, and log its accuracy."""

import json

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import runstore

CLASSIFIERS = {
    kind.__name__: kind
    for kind in (
        DecisionTreeClassifier,
        LogisticRegression,
        RandomForestClassifier,
        RidgeClassifier,
        SVC,
    )
}


def run(params, manager):
    """Train and test one classifier, and log the accuracy for its parameter set."""
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(
        images / 16, labels, test_size=params.test_share, random_state=params.seed, stratify=labels
    )
    train_images, test_images, train_labels, test_labels = split

    def train(path):
        model = classifier(params).fit(train_images, train_labels)
        accuracy = model.score(test_images, test_labels)
        path.write_text(json.dumps({"accuracy": accuracy, "images": len(test_labels)}))

    # A later run with the same values reuses the result instead of training again.
    result = json.loads(manager.cached("result.json", train).read_text())
    runstore.current_run().of_set(params.name).log(accuracy=result["accuracy"])
    print(f"{params.name:10} {result['accuracy']:.1%} of {result['images']} digits correct")


def classifier(params):
    """Return the classifier of a parameter set."""
    return CLASSIFIERS[params.model](random_state=params.seed, **params.options)
