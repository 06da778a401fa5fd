"""Rules that others have published, on the same predictions: what a tuned cascade must beat."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco import tuning

Array = NDArray[Any]


def single_tolerance(confidence: Array, correct: Array, energy_j: Array) -> list[tuning.Setting]:
    """One confidence for the whole pool, from light to heavy.

    Cruciani & Verdecchia 2025, "Choosing to Be Green".

    Parameters
    ----------
    confidence, correct : arrays of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)

    Returns
    -------
    list of Setting
        Undominated ones, by rising energy.
    """
    n_models = confidence.shape[1]
    settings = [
        tuning.scored(
            range(n_models), [float(t)] * (n_models - 1) + [0.0], confidence, correct, energy_j
        )
        for t in np.linspace(0, 1, 101).round(4)
    ]
    return tuning.undominated(settings)


def budgeted_search(confidence: Array, correct: Array, energy_j: Array) -> list[tuning.Setting]:
    """Chains of at most three models, each with four hundred settings of its thresholds at most.

    After Chen, Zaharia & Zou 2023, "FrugalGPT", whose optimiser searches lists of three models
    for the best accuracy within a budget; here over every budget at once.

    Parameters
    ----------
    confidence, correct : arrays of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)

    Returns
    -------
    list of Setting
        Undominated ones, by rising energy.
    """
    return tuning.frontier(confidence, correct, energy_j, 20**2, longest=3)


def agreement(labels: Array) -> Array:
    """Position in the chain at which, for the first time, a label is given a second time.

    Where all labels differ the last model answers. After Kolawole et al. 2024, "Agreement-Based
    Cascading for Efficient Inference"; it needs no confidence and no threshold.

    Parameters
    ----------
    labels : array of shape (n_samples, n_active)
        Predictions in the order the models are asked.

    Returns
    -------
    array of shape (n_samples,), int64

    Examples
    --------
    >>> agreement(np.array([[1, 1, 2], [1, 2, 2], [1, 2, 3]]))
    array([1, 2, 2])
    """
    n_active = labels.shape[1]
    repeated = np.zeros(labels.shape, bool)
    for later in range(1, n_active):
        repeated[:, later] = (labels[:, :later] == labels[:, [later]]).any(axis=1)
    repeated[:, -1] = True
    return repeated.argmax(axis=1)


def agreement_voting(labels: Array, correct: Array, energy_j: Array) -> list[tuning.Setting]:
    """Every sub-chain of the pool under the rule of `agreement`.

    Parameters
    ----------
    labels, correct : arrays of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)

    Returns
    -------
    list of Setting
        Undominated ones, by rising energy; they have no thresholds.
    """

    def voted() -> Iterator[tuning.Setting]:
        samples = np.arange(len(labels))
        for chain in tuning.chains(labels.shape[1]):
            members = list(chain)
            at = agreement(labels[:, members])
            right = correct[:, members][samples, at].mean()
            cost = np.cumsum(energy_j[members])[at].mean()
            yield tuning.Setting(chain, (), float(right), float(cost))

    return tuning.undominated(list(voted()))
