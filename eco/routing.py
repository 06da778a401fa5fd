"""Routing: one model per sample, picked before it runs."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Policy(NamedTuple):
    """How a router that scores the models decides.

    ``price``: probability of being right given up to save one run of the last model; below 0 a
    premium on that model.
    ``threshold``: where the picked model is less confident, the last one is asked as well;
    0.0 never goes on.
    """

    price: float
    threshold: float = 0.0


#: What is tried: a price for the routers, a price and a threshold for the one that looks back.
#: Below 0 it is a premium on the last model, up to always asking it: that harms nobody, so where
#: anything can be certified there is a setting that is.
PRICES = [*(-np.geomspace(1, 1e-3, 24)).tolist(), 0.0, *np.geomspace(1e-4, 30, 240).tolist()]
POLICIES = {
    "price_router": [Policy(price) for price in PRICES],
    "probe_router": [Policy(price) for price in PRICES],
    "probe_cascade": [
        Policy(price, threshold)
        for price, threshold in product(PRICES[24::8], np.linspace(0, 0.95, 20).round(4).tolist())
    ],
}


def run_policy(
    policy: Policy,
    scores: Array,
    confidence: Array,
    energy_j: Array,
    probe: int | None = None,
) -> tuple[Array, Array]:
    """Which model answers each sample, and which ran on it.

    Parameters
    ----------
    policy : Policy
    scores : array of shape (n_samples, n_models)
        Predicted probability that each model is right.
    confidence : array of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)
        J per sample of each model alone.
    probe : int, optional
        Index of the model that has answered before; picking it costs nothing more.

    Returns
    -------
    answered_by : array of shape (n_samples,)
    ran : array of shape (n_samples, n_models), bool
    """
    further_j = energy_j.copy()
    if probe is not None:
        further_j[probe] = 0.0
    picked = priced_choice(scores, further_j, policy.price)
    ran = routed_ran(picked, len(energy_j), probe)
    return going_on(picked, ran, confidence, policy.threshold)


def priced_choice(scores: Array, energy_j: Array, price: float) -> Array:
    """Index of the model with the best P(correct) - price x share of the largest model's energy.

    Parameters
    ----------
    scores : array of shape (n_samples, n_models)
        Predicted probability that each model is right.
    energy_j : array of shape (n_models,)
        J per sample that picking each model costs.
    price : float
        Probability given up to save the energy of one run of the last model.

    Returns
    -------
    array of shape (n_samples,), int64

    Examples
    --------
    >>> scores, energy_j = np.array([[0.8, 0.9], [0.2, 0.9]]), np.array([1.0, 10.0])
    >>> priced_choice(scores, energy_j, price=0.3)
    array([0, 1])
    """
    return np.argmax(scores - price * energy_j / energy_j[-1], axis=1)


def routed_ran(answered_by: Array, n_models: int, probe: int | None = None) -> Array:
    """Which models ran on each sample: the one picked, and the probe that the router read.

    Parameters
    ----------
    answered_by : array of shape (n_samples,)
        Index of the picked model.
    n_models : int
        Size of the pool.
    probe : int, optional
        Index of the model whose answer the router reads.

    Returns
    -------
    array of shape (n_samples, n_models), bool

    Examples
    --------
    >>> routed_ran(np.array([0, 2]), n_models=3, probe=1).astype(int)
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    ran = answered_by[:, None] == np.arange(n_models)
    if probe is not None:
        ran[:, probe] = True
    return ran


def going_on(
    answered_by: Array, ran: Array, confidence: Array, threshold: float
) -> tuple[Array, Array]:
    """A router that looks at the answer: below the threshold the last model is asked as well.

    Parameters
    ----------
    answered_by : array of shape (n_samples,)
        The router's choice.
    ran, confidence : arrays of shape (n_samples, n_models)
        What ran so far, and the confidence of each model.
    threshold : float

    Returns
    -------
    answered_by, ran : arrays
        As given, with the last model where the answer was not confident enough.
    """
    last = confidence.shape[1] - 1
    unsure = confidence[np.arange(len(answered_by)), answered_by] < threshold
    gone_on = ran.copy()
    gone_on[unsure, last] = True
    return np.where(unsure, last, answered_by), gone_on
