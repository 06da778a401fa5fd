"""The oracle: with the labels known, the cheapest model that is correct."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def oracle(correct: Array, energy_j: Array, none_correct: Literal["last", "cheapest"]) -> Array:
    """Index of the cheapest correct model for each sample: an upper bound, never deployable.

    Parameters
    ----------
    correct : array of shape (n_samples, n_models), bool
    energy_j : array of shape (n_models,)
        J per sample of each model. Of two models that cost the same, the first is cheaper.
    none_correct : {"last", "cheapest"}
        Which model it names where none is correct: the last of the pool or the cheapest.

    Returns
    -------
    array of shape (n_samples,), int64

    Examples
    --------
    >>> correct = np.array([[True, True], [False, True], [False, False]])
    >>> oracle(correct, np.array([1.0, 9.0]), none_correct="last")
    array([0, 1, 1])
    """
    cost_j = np.where(correct, energy_j, np.inf)
    fallback = len(energy_j) - 1 if none_correct == "last" else int(np.argmin(energy_j))
    return np.where(correct.any(axis=1), cost_j.argmin(axis=1), fallback)
