"""What cascades of predictions are to keep to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from eco.errors import DataError, EcoError
from eco.strategies.metrics import Metric, make_metric

#: Points that may be lost, unless others are given.
LOSS = 0.5


def limit_of(owner: Any, name: str = "metric") -> float:
    """Points of loss that count: `max_accuracy_loss`, or with another metric `max_metric_loss`.

    `name` is that of the parameter with the metric. Raises `EcoError` if the other is given.
    """
    metric = getattr(owner, name)
    chosen = "a cost_matrix" if owner.cost_matrix is not None else f"{name} {metric!r}"
    is_accuracy = metric == "accuracy" and owner.cost_matrix is None
    names = ("max_accuracy_loss", "max_metric_loss")
    counts, other = names if is_accuracy else names[::-1]
    if getattr(owner, other) != LOSS:
        raise EcoError(
            f"{other} doesn't count with {chosen}; got {getattr(owner, other):g}", f"Give {counts}."
        )
    return float(getattr(owner, counts))


@dataclass(frozen=True)
class Goals:
    """What cascades are to keep to, and how widely they are searched.

    Raises `EcoError` where a number is out of its range.
    """

    max_accuracy_loss: float = LOSS  #: Percentage points below the last model.
    cost_budget: float | None = None  #: Share of the last model's cost; instead of a loss.
    max_loss: float = 0.5  #: Percentage points that are certified.
    max_harm: float = 0.5  #: Percentage points that are certified.
    delta: float = 0.05  #: Probability with which a certificate may be wrong.
    margin_se: float = 1.3  #: As in `eco.strategies.tuning.for_loss`.
    settings_per_chain: int = 3_000  #: As in `eco.strategies.tuning.frontier`.
    longest_chain: int = 4
    metric: str = "accuracy"  #: One of `eco.strategies.metrics.NAMES`.
    cost_matrix: Any = None  #: As in `eco.strategies.metrics.make_metric`; instead of a metric.
    pos_label: Any = None  #: The class that f1 is of.
    max_metric_loss: float = LOSS  #: Percentage points below the last model, but for accuracy.
    max_class_loss: float | None = None  #: Percentage points of accuracy in each class.

    def __post_init__(self) -> None:
        for name, (holds, rule) in _RANGES.items():
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            is_none = value is None and getattr(Goals, name) is None
            if not ((is_number and holds(value)) or is_none):
                raise EcoError(f"{name} must be {rule}; got {value!r}")
        self.limit  # noqa: B018 - raises if the wrong one is given

    @property
    def is_accuracy(self) -> bool:
        """Whether accuracy is the metric."""
        return self.metric == "accuracy" and self.cost_matrix is None

    @property
    def limit(self) -> float:
        """Points below the last model in the metric."""
        return limit_of(self)

    def metric_of(self, classes: Sequence[str]) -> Metric:
        """The metric, of predictions that may be of these classes; none where they aren't known.

        Raises `EcoError` if they don't have it.
        """
        if not classes and not (self.is_accuracy and self.max_class_loss is None):
            name = "cost_matrix" if self.cost_matrix is not None else f"the metric {self.metric}"
            name = "max_class_loss" if self.is_accuracy else name
            raise DataError(
                f"{name} takes labels: there must be probabilities and y; got confidence and "
                "correct"
            )
        return make_metric(self.metric, classes, self.cost_matrix, self.pos_label)


#: What a number must be, as a function and in words.
_RANGES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "max_accuracy_loss": (lambda x: 0 <= x < 100, "points from 0 to below 100"),
    "cost_budget": (
        lambda x: 0 < x <= 1, "a share of the last model's cost, above 0 and at most 1",
    ),
    "max_loss": (lambda x: 0 < x < 100, "points above 0 and below 100"),
    "max_harm": (lambda x: 0 < x < 100, "points above 0 and below 100"),
    "max_metric_loss": (lambda x: 0 <= x < 100, "points from 0 to below 100"),
    "max_class_loss": (lambda x: 0 < x < 100, "points above 0 and below 100"),
    "delta": (lambda x: 0 < x < 1, "a probability above 0 and below 1"),
    "margin_se": (lambda x: 0 <= x < np.inf, "standard errors, 0 or more"),
    "settings_per_chain": (lambda x: 1 <= x < np.inf, "1 or more"),
    "longest_chain": (lambda x: 1 <= x < np.inf, "1 or more"),
}  # fmt: skip
