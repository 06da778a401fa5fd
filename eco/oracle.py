"""The oracle: with the labels known, the cheapest model that is right."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def oracle(correct: Array, energy_j: Array, none_correct: Literal["last", "cheapest"]) -> Array:
    """Index of the cheapest correct model of each sample.

    It uses the labels, so it is an upper bound and a teacher for routers, never deployable.
    Cheapest is by measured energy; of two models that cost the same, the first in pool order.

    Parameters
    ----------
    correct : array of shape (n_samples, n_models), bool
    energy_j : array of shape (n_models,)
        J per sample of each model.
    none_correct : {"last", "cheapest"}
        What it names where no model is right: the last of the pool or the cheapest.

    Returns
    -------
    array of shape (n_samples,), int64
        Indices into the pool.

    Examples
    --------
    >>> correct = np.array([[True, True], [False, True], [False, False]])
    >>> oracle(correct, np.array([1.0, 9.0]), none_correct="last")
    array([0, 1, 1])
    >>> oracle(correct, np.array([1.0, 9.0]), none_correct="cheapest")
    array([0, 1, 0])
    """
    price = np.where(correct, energy_j, np.inf)
    fallback = len(energy_j) - 1 if none_correct == "last" else int(np.argmin(energy_j))
    return np.where(correct.any(axis=1), price.argmin(axis=1), fallback)
