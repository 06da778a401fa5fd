"""Published rules on the same outcomes: what a tuned cascade must beat."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy
from eco.strategies.tuning import chains, evaluate, frontier, undominated


def shared_threshold(outcomes: Outcomes, models: Sequence[str]) -> list[OperatingPoint]:
    """Every cascade of the given models in which all but the last have the same threshold."""
    n_deferring = len(models) - 1
    return [
        evaluate(Strategy("cascade", tuple(models), (*[threshold] * n_deferring, 0.0)), outcomes)
        for threshold in np.linspace(0, 1, 101).round(2).tolist()
    ]


def single_tolerance(outcomes: Outcomes) -> list[OperatingPoint]:
    """One threshold for the whole pool (Cruciani & Verdecchia 2025, "Choosing to Be Green")."""
    return undominated(shared_threshold(outcomes, outcomes.pool))


def budgeted_search(outcomes: Outcomes) -> list[OperatingPoint]:
    """Chains of at most three models, at most 400 settings each (Chen et al. 2023, "FrugalGPT").

    The published optimiser searches within one budget; this one covers every budget at once.
    """
    return frontier(outcomes, settings_per_chain=20**2, longest=3)


def agreement_voting(outcomes: Outcomes) -> list[OperatingPoint]:
    """Every chain of the pool that answers once two of its models agree; see `agreement`."""
    return undominated(
        evaluate(Strategy("agreement", tuple(outcomes.pool[i] for i in chain)), outcomes)
        for chain in chains(len(outcomes.pool))
    )


#: The published rules: from outcomes of the tuning split to undominated points, by rising energy.
RULES: Mapping[str, Callable[[Outcomes], list[OperatingPoint]]] = {
    "single tolerance": single_tolerance,
    "budgeted search": budgeted_search,
    "agreement voting": agreement_voting,
}
