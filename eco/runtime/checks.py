"""What a model returns, checked: probabilities, or an error that says what they are instead."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import ModelError

Array = NDArray[Any]

#: By how much a row of probabilities may miss 1.
TOLERANCE = 1e-3
#: By how much a probability may miss 0.
BELOW_ZERO = 1e-6
#: Numbers of a row that an error shows.
SHOWN = 10


def check_probabilities(p: Array, n_samples: int) -> tuple[Array, Array]:
    """The probabilities of a model, in float32 or finer, and the largest of each row.

    Parameters
    ----------
    p : array
        What the model returned.
    n_samples : int
        How many samples, one at least, it was given.

    Raises
    ------
    ModelError
        Unless it is of shape (n_samples, n_classes), of floats that are finite and not negative
        and sum to 1 in each row.
    """
    if p.ndim != 2 or len(p) != n_samples or p.shape[1] < 2 or p.dtype.kind != "f":
        raise ModelError(
            f"must return a row of probabilities for each of {n_samples} samples, floats of shape "
            f"({n_samples}, n_classes); got shape {p.shape} of {p.dtype}"
        )
    p = p if p.dtype.itemsize >= 4 else p.astype(np.float32)
    if n_samples == 1:
        # One row in Python's numbers: for a few classes that is faster than calls of NumPy.
        row = p[0].tolist()
        valid = abs(sum(row) - 1) <= TOLERANCE and min(row) >= -BELOW_ZERO
        largest = np.array([max(row)], p.dtype)
    else:
        # A transposed copy: along short rows NumPy takes far longer.
        by_class = np.ascontiguousarray(p.T)
        misses = np.add.reduce(by_class, initial=-1)
        # All at once where that settles it, which takes fewer calls of NumPy; else one by one.
        valid = bool(misses.dot(misses) <= TOLERANCE**2 or np.abs(misses).max() <= TOLERANCE)
        valid = valid and bool(np.minimum.reduce(p, axis=None) >= -BELOW_ZERO)
        largest = np.maximum.reduce(by_class)
    if not valid:  # any comparison with NaN is false
        _check_exactly(p)
    return p, largest


def _check_exactly(p: Array) -> None:
    """Refuse rows by sums that no number of classes makes inexact."""
    exact = p.astype(np.float64)
    misses, below = np.abs(exact.sum(axis=1) - 1), -exact.min(axis=1)
    if misses.max() <= TOLERANCE and below.max() <= BELOW_ZERO:
        return
    row = int(np.maximum(misses / TOLERANCE, below / BELOW_ZERO).argmax())  # the first NaN, if any
    more = f" and {p.shape[1] - SHOWN} more" if p.shape[1] > SHOWN else ""
    raise ModelError(
        "must return probabilities, rows of numbers from 0 to 1 that sum to 1; "
        f"row {row} is {exact[row, :SHOWN].round(4).tolist()}{more}",
        "Give it a predict_proba, or a softmax at its end.",
    )
