"""What a model answers, how sure it is, and whether it is right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def predictions(probabilities: Array) -> Array:
    """Label that each model answers: the class of the largest probability.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_models, n_classes)

    Returns
    -------
    array of shape (n_samples, n_models), int64
    """
    return probabilities.argmax(axis=-1)


def confidence(probabilities: Array) -> Array:
    """Score of each model for its own prediction: its largest probability.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_models, n_classes)

    Returns
    -------
    array of shape (n_samples, n_models), float64
        In [0, 1]. Rounded to the fourth decimal, as probabilities are stored, so that a
        confidence of 0.9 reaches a threshold of 0.9.

    Examples
    --------
    >>> confidence(np.array([[[0.9, 0.1], [0.4, 0.6]]], dtype=np.float32)) >= 0.9
    array([[ True, False]])
    """
    return np.round(probabilities.max(axis=-1).astype(np.float64), 4)


def correct(probabilities: Array, y: Array) -> Array:
    """Whether each model answers the true label.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_models, n_classes)
    y : array of shape (n_samples,)

    Returns
    -------
    array of shape (n_samples, n_models), bool
    """
    return predictions(probabilities) == np.asarray(y)[:, None]
