"""What a strategy decides on samples whose outcomes are known, as arithmetic on arrays."""

from dataclasses import dataclass

import numpy as np

from eco.strategies.cascade import agreement, cascade_ran, run_cascade
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.routing import routed_ran, run_policy
from eco.strategies.strategy import Strategy


@dataclass(frozen=True, eq=False)
class Decisions:
    """Which model answered each sample, and which ran on it."""

    answered_by: Array  #: (n_samples,) index into the pool.
    ran: Array  #: (n_samples, n_models) bool.
    router: str | None = None  #: The router that ran on every sample.

    def correct(self, outcomes: Outcomes) -> Array:
        """Whether each answer is correct, (n_samples,) bool."""
        return np.asarray(outcomes.correct[np.arange(len(outcomes)), self.answered_by])

    def energy_j(self, outcomes: Outcomes) -> float:
        """J per sample of every model that ran, and of the router."""
        router_j = outcomes.routers[self.router].energy_j if self.router else 0.0
        return float((self.ran @ outcomes.energy_j).mean()) + router_j


def decide(strategy: Strategy, outcomes: Outcomes) -> Decisions:
    """Run a strategy on outcomes that are known; its models must be in their pool."""
    pool = list(outcomes.pool)
    members = np.array([pool.index(model) for model in strategy.models])
    if strategy.kind == "agreement":
        position = agreement(outcomes.labels[:, members])
        return Decisions(members[position], cascade_ran(position, members, len(pool)))
    if strategy.router is None:
        return Decisions(*run_cascade(outcomes.confidence, members, strategy.thresholds))
    output = outcomes.routers[strategy.router].output
    if strategy.kind == "router":
        return Decisions(output, routed_ran(output, len(pool)), strategy.router)
    answered_by, ran = run_policy(
        output,
        outcomes.confidence,
        outcomes.energy_j,
        strategy.price or 0.0,
        strategy.thresholds[0] if strategy.thresholds else 0.0,
        None if strategy.probe is None else pool.index(strategy.probe),
    )
    return Decisions(answered_by, ran, strategy.router)
