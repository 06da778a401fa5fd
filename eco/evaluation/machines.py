"""Energies of one pool on several machines: what carries over from one to another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, always
from eco.strategies.tuning import evaluate, for_loss, frontier, with_last

Array = NDArray[np.float64]


def ratios(energies_j: Array) -> Array:
    """Energy of each model over that of the last: (n_machines, n_models), as the energies are."""
    return energies_j / energies_j[:, -1:]


def ranking(energy_j: Array, pool: Sequence[str]) -> tuple[str, ...]:
    """The models of one machine, cheapest first.

    >>> ranking(np.array([2.0, 1.0, 9.0]), ["a", "b", "c"])
    ('b', 'a', 'c')
    """
    return tuple(pool[i] for i in np.argsort(energy_j, kind="stable"))


def tuned_for(
    outcomes: Outcomes,
    max_accuracy_loss: float,
    margin_se: float,
    settings_per_chain: int,
    longest: int | None,
) -> OperatingPoint:
    """The cheapest cascade for a loss of accuracy, at the energies of these outcomes."""
    last = evaluate(always(outcomes.pool[-1]), outcomes)
    points = with_last(frontier(outcomes, settings_per_chain, longest), last)
    return for_loss(points, max_accuracy_loss, last.accuracy, margin_se)


def transfer(tuned: Sequence[OperatingPoint], outcomes: Outcomes, energies_j: Array) -> Array:
    """Share of the last model's energy of each machine's tuned strategy on every machine.

    Parameters
    ----------
    tuned : sequence of OperatingPoint
        Tuned with the energies of each machine, for one target.
    outcomes : Outcomes
        On which shares are counted.
    energies_j : ndarray of shape (n_machines, n_models)

    Returns
    -------
    ndarray of shape (n_machines, n_machines)
        Rows are strategies, columns the machines that run them: own shares on the diagonal. What
        the others of a column are above it is the price of another machine's readings.
    """
    there = [replace(outcomes, energy_j=energy_j, readings=None) for energy_j in energies_j]
    return np.array(
        [
            [evaluate(point.strategy, one).energy_j / one.energy_j[-1] for one in there]
            for point in tuned
        ]
    )
