"""Targets that are kept: what tuned cascades do on fresh samples, beside what was asked for."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from eco.errors import TargetError
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import always
from eco.strategies.tuning import Target, evaluate, for_target, frontier, with_last

#: What is asked for: losses of accuracy, in points, and shares of the last model's energy.
TARGETS: tuple[tuple[Target, float], ...] = (
    *(("max_accuracy_loss", points) for points in (0.0, 0.25, 0.5, 1.0, 2.0)),
    *(("energy_budget", share) for share in (0.05, 0.1, 0.2, 0.5)),
)


@dataclass(frozen=True)
class KeptTarget:
    """How cascades tuned for a target did on fresh samples, over random splits.

    Of losses and energies the mean, and what 2.5 % of the splits stay below and exceed.
    """

    target: Target
    limit: float  #: Points of accuracy, or share of the last model's energy.
    margin_se: (
        float  #: Standard errors kept between the figure on the tuning samples and the limit.
    )
    kept: float  #: Share of the splits in which the figure on fresh samples was within the limit.
    accuracy_loss_points: float
    accuracy_loss_points_low: float
    accuracy_loss_points_high: float
    energy_share: float
    energy_share_low: float
    energy_share_high: float

    def to_row(self) -> dict[str, Any]:
        """The fields as a row of plots/targets.json."""
        return asdict(self)


def kept_targets(
    outcomes: Outcomes,
    n_tuning: int,
    margins: Sequence[float],
    settings_per_chain: int,
    longest_chain: int,
    resplits: int,
    seed: int,
) -> list[KeptTarget]:
    """Tune on random samples, again and again, and look at the others.

    Parameters
    ----------
    outcomes : Outcomes
        Of samples that no model was trained or calibrated on.
    n_tuning : int
        Size of the part that is tuned on; the rest is fresh.
    margins : sequence of float
        Values of `margin_se`, as in `tuning.for_loss`.
    settings_per_chain, longest_chain : int
        As in `tuning.frontier`.
    resplits, seed : int
        Number of random splits, and how they are drawn.

    Returns
    -------
    list of KeptTarget
        One for each target and margin, without those that can't be met in some split.
    """
    random = np.random.default_rng(seed)
    cases = [(*target, margin) for target in TARGETS for margin in margins]
    results = np.full((resplits, len(cases), 2), np.nan)
    for split in results:
        order = random.permutation(len(outcomes))
        tuning, fresh = subset(outcomes, order[:n_tuning]), subset(outcomes, order[n_tuning:])
        last = evaluate(always(outcomes.pool[-1]), tuning)
        points = with_last(frontier(tuning, settings_per_chain, longest_chain), last)
        for figures, (target, limit, margin) in zip(split, cases, strict=True):
            limits, reference = (limit, limit), (last.accuracy, last.energy_j)
            with suppress(TargetError):
                chosen = for_target(points, target, *limits, *reference, margin)
                found = evaluate(chosen.strategy, fresh)
                figures[0] = 100 * (fresh.reference_accuracy - found.accuracy)
                figures[1] = found.energy_j / fresh.energy_j[-1]
    pairs = zip(cases, results.transpose(1, 2, 0), strict=True)
    return [_kept(*case, *figures) for case, figures in pairs if np.isfinite(figures).all()]


def _kept(target: Target, limit: float, margin: float, losses: Array, shares: Array) -> KeptTarget:
    reached = losses if target == "max_accuracy_loss" else shares
    kept = float((reached <= limit + 1e-9).mean())
    return KeptTarget(target, limit, margin, kept, *_spread(losses), *_spread(shares))


def _spread(figures: Array) -> tuple[float, float, float]:
    """Mean, and what 2.5 % stay below and exceed."""
    mean, (low, high) = figures.mean(), np.quantile(figures, [0.025, 0.975])
    # Where nearly all splits end alike, as at the last model alone, the mean lies outside.
    return float(mean), float(min(low, mean)), float(max(high, mean))


def subset(outcomes: Outcomes, samples: Array) -> Outcomes:
    """The outcomes of some samples, by their indices; without routers."""
    return replace(
        outcomes,
        y=outcomes.y[samples],
        labels=outcomes.labels[samples],
        confidence=outcomes.confidence[samples],
        correct=outcomes.correct[samples],
        routers={},
    )


def join(parts: Sequence[Outcomes]) -> Outcomes:
    """The outcomes of several splits of one pool, one after the other; without routers."""
    return replace(
        parts[0],
        y=np.concatenate([part.y for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        correct=np.concatenate([part.correct for part in parts]),
        routers={},
    )
