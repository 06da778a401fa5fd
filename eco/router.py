"""The router: a light classifier from an image to the model that should answer it."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from eco import pool

Array = NDArray[Any]


def train(
    X: Array, oracle: Array, C: float, max_iter: int, class_weight: str, seed: int
) -> onnx.ModelProto:
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
        return pool.constant(int(oracle[0]), X.shape[1:])
    classifier.fit(pool.scaled(X).reshape(len(X), -1), oracle)
    return pool.export_classifier(classifier, X.shape[1:], output="label")


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
