"""Train a small neural network on digits, and keep its metrics, a figure and the model."""

import io
import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import runstore

PARAMS = {"hidden": 64, "lr": 0.1, "epochs": 30, "batch": 32, "seed": 0}


class Network:
    """Two layers: 64 pixels, `hidden` rectified units, 10 digits."""

    def __init__(self, weights):
        self.weights = weights

    @classmethod
    def fresh(cls, hidden, random):
        sizes = [(64, hidden), (hidden, 10)]
        weights = {
            f"w{n}": random.normal(0, np.sqrt(2 / a), (a, b)) for n, (a, b) in enumerate(sizes)
        }
        return cls({**weights, **{f"b{n}": np.zeros(b) for n, (_, b) in enumerate(sizes)}})

    def forward(self, images):
        w = self.weights
        hidden = np.maximum(images @ w["w0"] + w["b0"], 0)
        scores = hidden @ w["w1"] + w["b1"]
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, odds / odds.sum(axis=1, keepdims=True)

    def learn(self, images, labels, lr):
        """Take one step down the gradient; return the loss before it."""
        w = self.weights
        hidden, odds = self.forward(images)
        loss = -np.log(odds[np.arange(len(labels)), labels] + 1e-12).mean()
        slope = odds.copy()
        slope[np.arange(len(labels)), labels] -= 1
        slope /= len(labels)
        below = (slope @ w["w1"].T) * (hidden > 0)
        w["w1"] -= lr * hidden.T @ slope
        w["b1"] -= lr * slope.sum(axis=0)
        w["w0"] -= lr * images.T @ below
        w["b0"] -= lr * below.sum(axis=0)
        return loss

    def accuracy(self, images, labels):
        return float((self.forward(images)[1].argmax(axis=1) == labels).mean())


def data(seed):
    images, labels = load_digits(return_X_y=True)
    return train_test_split(
        images / 16, labels, test_size=0.25, random_state=seed, stratify=labels
    )


def train(run, params):
    random = np.random.default_rng(params["seed"])
    train_images, test_images, train_labels, test_labels = data(params["seed"])
    network = Network.fresh(params["hidden"], random)
    for epoch in range(params["epochs"]):
        order = random.permutation(len(train_labels))
        for begin in range(0, len(order), params["batch"]):
            some = order[begin : begin + params["batch"]]
            run.log(loss=network.learn(train_images[some], train_labels[some], params["lr"]))
        accuracy = network.accuracy(test_images, test_labels)
        run.log({"test/accuracy": accuracy}, step=epoch)
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1}: {accuracy:.1%} of {len(test_labels)} digits correct")
    return network


def picture(run):
    """Plot the logged metrics."""
    loss = run.record.metric("loss")
    accuracy = run.record.metric("test/accuracy")
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(loss.steps, loss.values, linewidth=0.8)
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.plot(accuracy.steps, accuracy.values, marker=".")
    right.set(xlabel="epoch", ylabel="test accuracy")
    return figure


def chosen(words):
    """Return the keys and values of a command line such as `lr=0.05 seed=1`."""
    return [word.split("=") for word in words]


def main():
    params = {**PARAMS, **{key: type(PARAMS[key])(value) for key, value in chosen(sys.argv[1:])}}
    with runstore.start_run("network", params=params, notes="digits, two layers") as run:
        run.keep_output()
        network = train(run, params)
        run.save("network.npz", network.weights)
        run.save("training.png", picture(run))
        run.tags["data"] = "digits"

    # On another day, the model can be loaded from the run, with the same accuracy.
    record = runstore.Store.open().get(run.reference)
    with record.open("network.npz") as file:
        again = Network(dict(np.load(io.BytesIO(file.read()))))
    _, images, _, labels = data(record.params["seed"])
    accuracy = again.accuracy(images, labels)
    print(f"reloaded from {record.reference}: {accuracy:.1%}")
    if accuracy != record.metrics["test/accuracy"].last:
        sys.exit("The reloaded model has another accuracy.")


if __name__ == "__main__":
    main()
