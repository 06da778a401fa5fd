"""Cascades: models in turn from light to heavy, until one is confident enough."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def cascade(confidence: Array, thresholds: Array) -> Array:
    """Position in the cascade of the model that answers each sample.

    A model accepts at or above its threshold; below it the sample is deferred to the next.
    The last model answers whatever reaches it.

    Parameters
    ----------
    confidence : array of shape (n_samples, n_active)
        Confidence of each active model, in the order they are asked.
    thresholds : array of shape (n_active,)
        The last one is 0.

    Returns
    -------
    array of shape (n_samples,), int64
        Indices into the active models.

    Examples
    --------
    >>> cascade(np.array([[0.95, 0.5], [0.89, 0.4]]), [0.9, 0.0])
    array([0, 1])
    """
    accepts = confidence >= np.asarray(thresholds)
    accepts[:, -1] = True
    return accepts.argmax(axis=1)


def cascade_ran(answered_at: Array, active: Array, n_models: int) -> Array:
    """Which models of the pool ran on each sample: those asked up to the one that answered.

    Parameters
    ----------
    answered_at : array of shape (n_samples,)
        Position of the answering model in the cascade.
    active : array of shape (n_active,)
        Index in the pool of each active model, in the order they are asked.
    n_models : int
        Size of the pool.

    Returns
    -------
    array of shape (n_samples, n_models), bool

    Examples
    --------
    >>> cascade_ran(np.array([0, 1]), active=np.array([2, 0]), n_models=3).astype(int)
    array([[0, 0, 1],
           [1, 0, 1]])
    """
    ran = np.zeros((len(answered_at), n_models), bool)
    ran[:, active] = answered_at[:, None] >= np.arange(len(active))
    return ran


def run_cascade(confidence: Array, active: Array, thresholds: Array) -> tuple[Array, Array]:
    """Which model of the pool answers each sample, and which ran on it.

    Parameters
    ----------
    confidence : array of shape (n_samples, n_models)
        Of the whole pool.
    active : array of shape (n_active,)
        Index in the pool of each active model, in the order they are asked.
    thresholds : array of shape (n_active,)

    Returns
    -------
    answered_by : array of shape (n_samples,)
        Index in the pool.
    ran : array of shape (n_samples, n_models), bool
    """
    members = np.asarray(active)
    answered_at = cascade(confidence[:, members], thresholds)
    return members[answered_at], cascade_ran(answered_at, members, confidence.shape[1])


def cascade_energy_j(answered_at: Array, energy_j: Array) -> Array:
    """Joules that each sample costs: every model that ran on it, not only the one that answered.

    Parameters
    ----------
    answered_at : array of shape (n_samples,)
        Position of the answering model in the cascade.
    energy_j : array of shape (n_active,)
        J per sample of each active model, in the order they are asked.

    Returns
    -------
    array of shape (n_samples,), float64
        J.

    Examples
    --------
    >>> cascade_energy_j(np.array([0, 2]), np.array([1.0, 10.0, 100.0]))
    array([  1., 111.])
    """
    return np.cumsum(energy_j)[answered_at]


def is_same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows of results tell of one strategy: by name, or one cascade under two names.

    Examples
    --------
    >>> row = {"name": "tuned", "models": "small large", "thresholds": "0.9 0.0"}
    >>> is_same(row, row | {"name": "tuned to lose 1"}), is_same(row, {"name": "certified"})
    (True, False)
    """
    if row["name"] == other["name"]:
        return True
    setting = [(r.get("models"), r.get("thresholds")) for r in (row, other)]
    return bool(row.get("thresholds")) and setting[0] == setting[1]


def shared_threshold_curve(
    confidence: Array, correct: Array, energy_j: Array, steps: int = 101
) -> Iterator[tuple[float, float, float]]:
    """Accuracy and mean energy when every model but the last has the same threshold.

    Parameters
    ----------
    confidence, correct : arrays of shape (n_samples, n_active)
    energy_j : array of shape (n_active,)
        J per sample.
    steps : int
        Number of thresholds, evenly spaced from 0 to 1.

    Yields
    ------
    threshold, accuracy, energy_j : float
        Energy in J per sample.
    """
    samples = np.arange(len(confidence))
    for threshold in np.linspace(0, 1, steps).round(4):
        answered_at = cascade(confidence, np.full(len(energy_j), threshold))
        energy = cascade_energy_j(answered_at, energy_j).mean()
        yield float(threshold), float(correct[samples, answered_at].mean()), float(energy)
