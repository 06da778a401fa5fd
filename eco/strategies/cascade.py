"""Cascades: models in turn from light to heavy, until one answer is accepted."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def cascade(confidence: Array, thresholds: ArrayLike) -> Array:
    """Position in the cascade of the model that answers each sample.

    A model accepts at or above its threshold; below it the sample is deferred to the next model.
    The last model answers whatever reaches it.

    Parameters
    ----------
    confidence : array of shape (n_samples, n_active)
        Of each active model, in the order they run.
    thresholds : array of shape (n_active,)

    Returns
    -------
    array of shape (n_samples,), int64

    Examples
    --------
    >>> cascade(np.array([[0.95, 0.5], [0.89, 0.4]]), [0.9, 0.0])
    array([0, 1])
    """
    accepted = confidence >= np.asarray(thresholds)
    accepted[:, -1] = True
    return accepted.argmax(axis=1)


def agreement(labels: Array) -> Array:
    """Position in the cascade of the first model that repeats the label of an earlier one.

    Where all labels, (n_samples, n_active), differ, the last model answers. The rule needs no
    confidence (Kolawole et al. 2024, "Agreement-Based Cascading for Efficient Inference").

    >>> agreement(np.array([[1, 1, 2], [1, 2, 2], [1, 2, 3]]))
    array([1, 2, 2])
    """
    repeated = np.zeros(labels.shape, bool)
    for position in range(1, labels.shape[1]):
        repeated[:, position] = (labels[:, :position] == labels[:, [position]]).any(axis=1)
    repeated[:, -1] = True
    return repeated.argmax(axis=1)


def cascade_ran(position: Array, active: Array, n_models: int) -> Array:
    """Which models of the pool ran on each sample: all up to the `position` that answered.

    >>> cascade_ran(np.array([0, 1]), active=np.array([2, 0]), n_models=3).astype(int)
    array([[0, 0, 1],
           [1, 0, 1]])
    """
    ran = np.zeros((len(position), n_models), bool)
    ran[:, active] = position[:, None] >= np.arange(len(active))
    return ran


def run_cascade(confidence: Array, active: ArrayLike, thresholds: ArrayLike) -> tuple[Array, Array]:
    """Index of the model that answers each sample, and which ran on it, (n_samples, n_models) bool.

    From the confidences of the whole pool, the index of each active model in the order they run,
    and a threshold for each of these.
    """
    members = np.asarray(active)
    position = cascade(confidence[:, members], thresholds)
    return members[position], cascade_ran(position, members, confidence.shape[1])
