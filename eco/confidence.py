"""What a model answers, how sure it is, and whether it is right."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

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


def confidence(
    probabilities: Array, signal: Literal["max_probability", "margin", "entropy"]
) -> Array:
    """Score of each model for its own prediction, from 0 to 1.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_models, n_classes)
    signal : {"max_probability", "margin", "entropy"}
        The largest probability; its lead over the second largest; or 1 minus the entropy as a
        share of the largest that there can be.

    Returns
    -------
    array of shape (n_samples, n_models), float64
        In [0, 1]. Rounded to the fourth decimal, as probabilities are stored, so that a
        confidence of 0.9 reaches a threshold of 0.9.

    Examples
    --------
    >>> probabilities = np.array([[[0.9, 0.1], [0.4, 0.6]]], dtype=np.float32)
    >>> confidence(probabilities, "max_probability") >= 0.9
    array([[ True, False]])
    >>> confidence(probabilities, "margin")
    array([[0.8, 0.2]])
    >>> confidence(probabilities, "entropy")
    array([[0.531, 0.029]])
    """
    p = probabilities.astype(np.float64)
    match signal:
        case "max_probability":
            score = p.max(axis=-1)
        case "margin":
            two = np.partition(p, -2, axis=-1)[..., -2:]
            score = two[..., 1] - two[..., 0]
        case "entropy":
            score = 1 - entr(p).sum(axis=-1) / np.log(p.shape[-1])
    rounded: Array = np.clip(np.round(score, 4), 0, 1)
    return rounded


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
