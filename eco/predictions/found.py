"""Cascades that were found on predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError
from eco.evaluation.scoring import Score, score
from eco.predictions.arguments import columns_of
from eco.predictions.columns import checked, numbers
from eco.strategies.certification import Measure
from eco.strategies.confidence import DECIMALS, Signal
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy

Array = NDArray[Any]


@dataclass(frozen=True)
class Found:
    """A cascade, and what it does on the samples that it was found on."""

    models: tuple[str, ...]  #: In the order they run.
    thresholds: tuple[float, ...]  #: At or above it a model's answer is accepted; the last is 0.0.
    cost: float  #: Per sample, every model that ran included, in the unit of `costs`.
    cost_share: float  #: Share of always running the last model.
    costs: Mapping[str, float] = field(repr=False)  #: Of each model of the pool.
    frontier: tuple[OperatingPoint, ...] = field(repr=False)

    @property
    def strategy(self) -> Strategy:
        """The cascade as a `Strategy`."""
        return Strategy("cascade", self.models, self.thresholds)

    def answered_by(self, confidence: Any) -> Array:
        """Name of the model that answers each sample, from confidences as `tune` takes them."""
        names = list(self.costs)
        columns = columns_of(self.costs, confidence, confidence)
        if missing := [name for name in names if name not in columns.confidence]:
            raise DataError(f"confidence must hold every model; {', '.join(missing)} is missing")
        table = [numbers(columns, "confidence", columns.confidence[name], name) for name in names]
        rounded = np.round(np.column_stack(table), DECIMALS)
        outcomes = Outcomes(
            tuple(names), rounded[:, 0], rounded, rounded, rounded > 0, np.ones(len(names))
        )
        return np.array(names, object)[decide(self.strategy, outcomes).answered_by]

    def score(
        self,
        *,
        confidence: Any = None,
        correct: Any = None,
        probabilities: Any = None,
        y: Any = None,
        signal: Signal = "max_probability",
    ) -> Score:
        """Figures with 95 % intervals on other samples; energies are in the unit of `costs`."""
        columns = columns_of(self.costs, confidence, correct, probabilities, y)
        outcomes = checked(columns, signal).outcomes
        return score(decide(self.strategy, outcomes), outcomes)


@dataclass(frozen=True)
class Tuned(Found):
    """The cascade that meets a target on the samples it was tuned on.

    ``frontier`` holds all cascades that no other one beats there, by rising cost.
    """

    accuracy: float
    accuracy_loss_points: float  #: Percentage points below the last model.
    metric: str  #: That it was tuned for; the accuracy of the points of ``frontier`` is this one.
    metric_value: float
    metric_loss_points: float


@dataclass(frozen=True)
class Certified(Found):
    """The cheapest cascade whose loss or harm is certified; costs are those of tuning.

    Harm is the share of samples on which the last model is right and the cascade is wrong; with
    groups, the share of a group, on average over groups.
    """

    of: Measure
    max_points: float  #: Points of it, kept to with probability 1 - `delta`.
    delta: float
    on_certification: float  #: Share of the certification samples.
    n_samples: int  #: Samples, or groups, of the certificate.
    settings_certified: int
    metric: str  #: That loss or harm are counted in.
    max_class_loss: float | None  #: Points of accuracy lost in any class, which hold as well.


def figures(
    point: OperatingPoint, outcomes: Outcomes, points: Sequence[OperatingPoint]
) -> dict[str, Any]:
    """What `Found` has of a point, by name."""
    return {
        "models": point.strategy.models,
        "thresholds": point.strategy.thresholds,
        "cost": point.energy_j,
        "cost_share": point.energy_j / float(outcomes.energy_j[-1]),
        "costs": dict(zip(outcomes.pool, outcomes.energy_j.tolist(), strict=True)),
        "frontier": tuple(points),
    }
