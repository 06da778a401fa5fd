"""Routing: one model per sample, picked before any of them runs."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


def routed_energy_j(answered_by: Array, energy_j: Array, router_energy_j: float) -> Array:
    """Joules that each sample costs: the router, then the one model that it picked.

    Parameters
    ----------
    answered_by : array of shape (n_samples,)
        Index of the picked model.
    energy_j : array of shape (n_models,)
        J per sample of each model.
    router_energy_j : float
        J per sample of the router itself.

    Returns
    -------
    array of shape (n_samples,), float64
        J.

    Examples
    --------
    >>> import numpy as np
    >>> routed_energy_j(np.array([0, 1]), np.array([1.0, 10.0]), router_energy_j=0.5)
    array([ 1.5, 10.5])
    """
    return energy_j[answered_by] + router_energy_j
