"""What a strategy of classifiers is chosen for: a metric, and limits on what it may lose."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eco.errors import EcoError, TargetError
from eco.estimators import validation
from eco.estimators.pool import Pool
from eco.predictions.goals import LOSS, limit_of
from eco.strategies.metrics import NAMES, Metric, make_metric
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, always
from eco.strategies.tuning import for_target

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class TargetedPool(Pool):
    """A pool with a metric and limits."""

    _: KW_ONLY
    max_accuracy_loss: float = LOSS
    energy_budget: float | None = None
    margin_se: float = 1.3
    scoring: str = "accuracy"
    cost_matrix: Any = None
    pos_label: Any = None
    max_metric_loss: float = LOSS
    max_class_loss: float | None = None

    def _check_targets(self) -> None:
        validation.number(self, "max_accuracy_loss", 0, 100, closed=True)
        validation.number(self, "energy_budget", 0, 1, closed="right", other=None)
        validation.number(self, "margin_se", 0, closed=True)
        validation.number(self, "max_metric_loss", 0, 100, closed=True)
        validation.number(self, "max_class_loss", 0, 100, other=None)
        validation.require(self, "scoring", self.scoring in NAMES, f"one of {', '.join(NAMES)}")
        self._limit()

    def _limit(self) -> float:
        """Points below the last model, in the metric."""
        try:
            return limit_of(self, "scoring")
        except EcoError as error:
            raise ValueError(str(error)) from None

    @property
    def _kind(self) -> Metric:
        """The metric without its classes."""
        name = self.scoring if self.cost_matrix is None else "cost_matrix"
        return Metric(name)  # type: ignore[arg-type]

    def _metric(self, classes: Array) -> Metric:
        try:
            return make_metric(self.scoring, classes.tolist(), self.cost_matrix, self.pos_label)
        except EcoError as error:
            raise ValueError(str(error)) from None

    def _table(
        self, points: Sequence[OperatingPoint], figure: str = "accuracy", **columns: Any
    ) -> pd.DataFrame:
        """A frontier with the settings in columns of their own, and what its points are good at."""
        energy_j = np.array([point.energy_j for point in points])
        columns |= {figure: [point.accuracy for point in points], "energy_j": energy_j}
        return pd.DataFrame(columns | {"energy_share": energy_j / self.energies_[-1]})

    def _best(
        self, points: Sequence[OperatingPoint], outcomes: Outcomes, metric: Metric
    ) -> OperatingPoint:
        """The point of a frontier that meets the target."""
        limit = self._limit()
        try:
            return for_target(
                points,
                "max_accuracy_loss" if self.energy_budget is None else "energy_budget",
                limit,
                self.energy_budget or 0.0,
                metric.evaluate(always(outcomes.pool[-1]), outcomes).accuracy,
                float(self.energies_[-1]),
                self.margin_se,
            )
        except TargetError as error:  # whose remedy is for params.yaml
            problem, target = error.problem, error.target
            if metric.name != "accuracy" and target == "max_accuracy_loss":
                target = "max_metric_loss"
                problem = (
                    f"no setting loses at most {limit} points of {metric.words} on the samples "
                    f"held out; the least that can be met is {error.attainable:.2f}"
                )
            remedy = f"Raise {target}" + (" or lower margin_se" if self.margin_se else "")
            raise ValueError(f"{problem}. {remedy}.") from None
