"""What each model predicts, with what confidence, and whether it is correct."""

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Signal = Literal["max_probability", "margin", "entropy"]

#: How finely probabilities and confidences are kept.
DECIMALS = 4


@cache
def decimals(n_classes: int) -> int:
    """Decimals of the probabilities of so many classes: equal ones keep two digits at least."""
    return max(DECIMALS, len(str(n_classes)) + 1)


def round_probabilities(probabilities: Array) -> Array:
    """Probabilities as they are stored and as routers read them; the largest stays the largest.

    Where rounding makes an earlier class equal to the predicted one, the earlier one is rounded
    down by one more unit of the last decimal.

    Parameters
    ----------
    probabilities : array of shape (..., n_classes)

    Examples
    --------
    >>> round_probabilities(np.array([0.49998, 0.50002]))
    array([0.4999, 0.5   ])
    """
    n_classes = probabilities.shape[-1]
    digits = decimals(n_classes)
    rounded = np.round(probabilities, digits)
    changed = rounded.argmax(axis=-1) != probabilities.argmax(axis=-1)
    if changed.any():
        rows = rounded[changed]
        label = probabilities[changed].argmax(axis=-1)[:, None]
        tied = rows == np.take_along_axis(rows, label, axis=-1)
        tied &= np.arange(n_classes) < label
        rounded[changed] = np.where(tied, np.round(rows - 10.0**-digits, digits), rows)
    return rounded


def predictions(probabilities: Array) -> Array:
    """Label that each model predicts: (n_samples, n_models), of the largest probability."""
    return probabilities.argmax(axis=-1)


def correct(probabilities: Array, y: Array) -> Array:
    """Whether each model predicts the true label: (n_samples, n_models) bool."""
    return predictions(probabilities) == np.asarray(y)[:, None]


def confidence(probabilities: Array, signal: Signal) -> Array:
    """Confidence of each model in its own prediction.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_models, n_classes)
    signal : {"max_probability", "margin", "entropy"}
        The largest probability; its lead over the second largest; or 1 minus the entropy as a
        share of the largest possible one.

    Returns
    -------
    array of shape (n_samples, n_models), float64
        In [0, 1], rounded to `DECIMALS`: 0.9 reaches a threshold of 0.9.

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
    if signal == "max_probability":
        score = p.max(axis=-1)
    elif signal == "margin":
        ordered = np.partition(p, -2, axis=-1)
        score = ordered[..., -1] - ordered[..., -2]
    else:
        from scipy.special import entr

        score = 1 - entr(p.clip(0)).sum(axis=-1) / np.log(p.shape[-1])
    return np.asarray(np.clip(np.round(score, DECIMALS), 0, 1))
