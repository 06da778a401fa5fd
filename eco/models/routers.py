"""Routers: light classifiers from a sample, or a probe's probabilities, to the model to run."""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import kind_of
from eco.models.features import Features, fit_features
from eco.models.onnx import export

Array = NDArray[Any]

#: Weight penalty and most epochs of routers that score the models, by what they read.
ALPHA = {"images": 3.0, "table": 1.0, "text": 0.3, "probabilities": 0.01}
EPOCHS = {"images": 60, "table": 200, "text": 60, "probabilities": 200}


class RouterSettings(Protocol):
    """The section ``router`` of params.yaml."""

    C: float
    max_iter: int
    class_weight: str
    pixels: str
    hidden_units: int


def fit(
    router: str,
    inputs: Mapping[str, Array],
    oracle: Mapping[str, Array],
    correct: Mapping[str, Array],
    settings: RouterSettings,
    seed: int,
) -> Any:
    """Train one router: on the oracle's labels of two splits, or on who is correct in one.

    ``inputs`` (samples, or a probe's probabilities where it is the ``probe_router``), ``oracle``
    and ``correct`` are by split.
    """
    if router == "router":
        X, labels = (
            np.concatenate([part["calibration"], part["tuning"]]) for part in (inputs, oracle)
        )
        return train(X, labels, settings.C, settings.max_iter, settings.class_weight, seed)
    X = inputs["calibration"]
    features = None if router == "probe_router" else fit_features(X, settings.pixels)
    return train_scores(X, correct["calibration"], features, settings.hidden_units, seed)


def train(X: Array, oracle: Array, C: float, max_iter: int, class_weight: str, seed: int) -> Any:
    """Train a logistic regression from samples to oracle labels.

    Parameters
    ----------
    X : array of shape (n_samples, ...)
        Samples of any kind: see `eco.data.kinds`.
    oracle : array of shape (n_samples,)
        Index of the model that should answer each sample.
    C, max_iter : float, int
        As in `sklearn.linear_model.LogisticRegression`.
    class_weight : {"balanced", "none"}
        Whether rare oracle labels weigh as much as frequent ones.
    seed : int

    Returns
    -------
    onnx.ModelProto
        A graph from samples to ``label``, int64 indices into the pool.
    """
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(oracle)) == 1:
        return export.constant(int(oracle[0]), X.shape[1:], X.dtype.name)
    classifier = LogisticRegression(
        C=C,
        max_iter=max_iter,
        class_weight=None if class_weight == "none" else class_weight,
        random_state=seed,
    )
    features = fit_features(X)
    classifier.fit(features(X), oracle)
    return export.export_classifier(classifier, features, output="label")


def train_scores(
    X: Array, correct: Array, features: Features | None, hidden_units: int, seed: int
) -> Any:
    """Train a small network to predict, for each model, whether it will be right.

    Parameters
    ----------
    X : array of shape (n_samples, ...), or (n_samples, n_classes), float32
        Samples of any kind, or the probabilities that a probe gives them.
    correct : array of shape (n_samples, n_models), bool
        On samples that no model was trained on.
    features : Features or None
        How it reads samples; None where it reads probabilities.
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

    reads = "probabilities" if features is None else str(kind_of(X))
    network = MLPClassifier(
        [hidden_units], alpha=ALPHA[reads], max_iter=EPOCHS[reads], random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are chosen
        network.fit(X if features is None else features(X), correct)
    return export.export_scores(network, features)


def held_out_accuracy(choices: Array, oracle: Array) -> dict[str, float]:
    """How well a router's choices agree with the oracle's, on samples it was not trained on.

    Parameters
    ----------
    choices, oracle : arrays of shape (n_samples,)
        Indices into the pool.

    Returns
    -------
    dict
        ``accuracy``, ``balanced_accuracy`` (mean recall over the oracle's models), and
        ``majority_share``, the accuracy of always choosing the most frequent label.
    """
    recalls = [(choices[oracle == model] == model).mean() for model in np.unique(oracle)]
    return {
        "accuracy": float((choices == oracle).mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "majority_share": float(np.bincount(oracle).max() / len(oracle)),
    }
