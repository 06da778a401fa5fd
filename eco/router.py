"""The routers: light classifiers from an image, or a probe's answer, to the model to ask."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco import graphs
from eco.classifiers import flattened

Array = NDArray[Any]

#: Weight penalty and epochs at most of the routers that score the models, by what they read: those
#: that served the price best on tuning images. Images are many numbers for few samples.
ALPHA = {"images": 3.0, "answers": 0.01}
EPOCHS = {"images": 60, "answers": 200}


def train(X: Array, oracle: Array, C: float, max_iter: int, class_weight: str, seed: int) -> Any:
    """Train a logistic regression from pixels to oracle labels.

    Parameters
    ----------
    X : array of shape (n_samples, height, width), uint8
    oracle : array of shape (n_samples,)
        Index of the model that should answer each image.
    C, max_iter : float, int
        As in `sklearn.linear_model.LogisticRegression`.
    class_weight : {"balanced", "none"}
        Whether rare oracle labels weigh as much as frequent ones.
    seed : int

    Returns
    -------
    onnx.ModelProto
        A graph from images to ``label``, int64 indices into the pool.
    """
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(
        C=C,
        max_iter=max_iter,
        class_weight=None if class_weight == "none" else class_weight,
        random_state=seed,
    )
    if len(np.unique(oracle)) == 1:
        return graphs.constant(int(oracle[0]), X.shape[1:])
    classifier.fit(flattened(X, "linear"), oracle)
    return graphs.export_classifier(classifier, X.shape[1:], output="label")


def train_scores(given: Array, correct: Array, pixels: str, hidden_units: int, seed: int) -> Any:
    """Train a small network to predict, for each model at once, whether it will be right.

    Parameters
    ----------
    given : array of shape (n_samples, height, width), uint8, or (n_samples, n_classes), float32
        Images, or the probabilities that a probe gave them.
    correct : array of shape (n_samples, n_models), bool
        On samples that no model was trained on.
    pixels : {"linear", "square_root"}
        How it reads images.
    hidden_units : int
        Width of the one hidden layer.
    seed : int

    Returns
    -------
    onnx.ModelProto
        A graph to ``scores``, float32 (n, n_models) in [0, 1].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    images = given.ndim == 3
    network = MLPClassifier(
        [hidden_units],
        alpha=ALPHA["images" if images else "answers"],
        max_iter=EPOCHS["images" if images else "answers"],
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are chosen
        network.fit(flattened(given, pixels) if images else given, correct)
    return graphs.export_scores(network, given.shape[1:], pixels)


def held_out_accuracy(choices: Array, oracle: Array) -> dict[str, float]:
    """How well a router's choices meet the oracle's, on samples it was not trained on.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy`` (mean recall over the models that the oracle names),
        and ``majority_share``, what always naming the most frequent label would reach.
    """
    named = np.unique(oracle)
    recall = [(choices[oracle == model] == model).mean() for model in named]
    return {
        "accuracy": float((choices == oracle).mean()),
        "balanced_accuracy": float(np.mean(recall)),
        "majority_share": float(np.bincount(oracle).max() / len(oracle)),
    }
