"""Routing: one model per sample, picked before it runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.strategies.strategy import Kind, Strategy

Array = NDArray[Any]

#: Kinds of strategies that route.
KINDS: tuple[Kind, ...] = ("router", "price_router", "probe_router", "probe_cascade")
#: Names of the routers' own models; a probe cascade shares that of the probe router.
ROUTERS = ("router", "price_router", "probe_router")

#: Discounts on the last model: where it is nearly always picked, harm can be certified if ever.
_DISCOUNTS = (-np.geomspace(1, 1e-3, 24)).tolist()
_PRICES = [0.0, *np.geomspace(1e-4, 30, 240).tolist()]
_THRESHOLDS = np.linspace(0, 0.95, 20).round(4).tolist()


def candidates(kind: Kind, pool: Sequence[str], probe: str | None = None) -> list[Strategy]:
    """All settings of one of the `KINDS` that are tried: prices, thresholds of a probe cascade."""
    models = tuple(pool)
    if kind == "router":
        return [Strategy(kind, models)]
    if kind == "probe_cascade":
        pairs = [(price, threshold) for price in _PRICES[::8] for threshold in _THRESHOLDS]
        return [Strategy(kind, models, (threshold,), price, probe) for price, threshold in pairs]
    probe = probe if kind == "probe_router" else None
    return [Strategy(kind, models, price=price, probe=probe) for price in _DISCOUNTS + _PRICES]


def run_policy(
    scores: Array,
    confidence: Array,
    energy_j: Array,
    price: float,
    threshold: float = 0.0,
    probe: int | None = None,
) -> tuple[Array, Array]:
    """Which model answers each sample, and which ran on it.

    Parameters
    ----------
    scores : array of shape (n_samples, n_models)
        Predicted P(correct).
    confidence : array of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)
        J per sample of each model alone.
    price : float
        P(correct) given up to save one run of the last model; below 0, a discount on that model.
    threshold : float
        Where the picked model is less confident, the last one runs too; 0.0 never defers.
    probe : int, optional
        Index of the model that runs first on every sample; picking it costs nothing more.

    Returns
    -------
    answered_by : array of shape (n_samples,)
    ran : array of shape (n_samples, n_models), bool
    """
    picked = priced_choice(scores, remaining_energy_j(energy_j, probe), price)
    ran = routed_ran(picked, len(energy_j), probe)
    deferred = confidence[np.arange(len(picked)), picked] < threshold
    ran[deferred, -1] = True
    return np.where(deferred, len(energy_j) - 1, picked), ran


def remaining_energy_j(energy_j: Array, probe: int | None = None) -> Array:
    """J per sample that picking each model costs, once the probe has run.

    >>> remaining_energy_j(np.array([1.0, 10.0, 100.0]), probe=1)
    array([  1.,   0., 100.])
    """
    remaining_j = np.array(energy_j, float)
    if probe is not None:
        remaining_j[probe] = 0.0
    return remaining_j


def priced_choice(scores: Array, energy_j: Array, price: float) -> Array:
    """Index of the model with the best P(correct) - price x energy, (n_samples,) int64.

    `energy_j`, what picking each model costs, counts as a share of the last model's.

    >>> scores, energy_j = np.array([[0.8, 0.9], [0.2, 0.9]]), np.array([1.0, 10.0])
    >>> priced_choice(scores, energy_j, price=0.3)
    array([0, 1])
    """
    return np.argmax(scores - price * energy_j / energy_j[-1], axis=1)


def routed_ran(picked: Array, n_models: int, probe: int | None = None) -> Array:
    """Which models ran, (n_samples, n_models) bool: the picked one, and the probe.

    >>> routed_ran(np.array([0, 2]), n_models=3, probe=1).astype(int)
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    ran = picked[:, None] == np.arange(n_models)
    if probe is not None:
        ran[:, probe] = True
    return ran
