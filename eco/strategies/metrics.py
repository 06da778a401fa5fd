"""Metrics other than accuracy, and limits on the loss of each class.

Balanced accuracy and the mean of a cost matrix are, as accuracy is, means over samples: `weighed`
outcomes have the gain of each answer where those of accuracy have 0 or 1, so frontiers and margins
hold for them unchanged. F1 is no such mean: `frontier` says what is searched for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from eco.errors import EcoError
from eco.strategies import tuning
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy, always

#: What a strategy can be tuned for by name; a cost matrix is given instead.
Name = Literal["accuracy", "balanced_accuracy", "f1", "f1_macro"]
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True, eq=False)
class Metric:
    """What counts as a good answer. A point of it is a hundredth, as one of accuracy is."""

    name: Name | Literal["cost_matrix"] = "accuracy"
    #: Of true and answered class, (n_classes, n_classes), shares of the largest: the metric is 1
    #: minus their mean over the samples.
    costs: Array | None = None
    positive: int | None = None  #: Index of the class that f1 is of.

    @property
    def is_mean(self) -> bool:
        """Whether it is a mean over samples, which f1 isn't."""
        return self.name not in ("f1", "f1_macro")

    @property
    def words(self) -> str:
        """The metric as people read it."""
        words = {"cost_matrix": "1 - mean cost", "f1": "F1", "f1_macro": "macro F1"}
        return words.get(self.name, self.name.replace("_", " "))

    def weighed(self, outcomes: Outcomes, max_loss: float = 0.0) -> Outcomes:
        """The same outcomes with gains, whose mean is the metric, in the place of `correct`.

        Each class counts alike in balanced accuracy: an error costs n_samples / (n_classes x
        samples of its class), of the classes that occur. Of f1 a linear bound: a strategy gains
        f = (f1 of the last model) - `max_loss` or more just where its f1 is f or more (Parambath
        et al. 2014, "Optimizing F-Measures by Cost-Sensitive Classification"); of macro F1 to
        first order.
        """
        if self.name == "accuracy":
            return outcomes
        if self.name == "balanced_accuracy":
            gains = 1 - class_weights(outcomes.y)[:, None] * ~outcomes.correct
        elif self.costs is not None:
            gains = 1 - self.costs[outcomes.y[:, None], outcomes.labels]
        else:
            gains = self._linear_f1(outcomes, max_loss)
        is_binary = np.isin(gains, (0, 1)).all()
        return replace(outcomes, correct=gains == 1 if is_binary else gains)

    def evaluate(self, strategy: Strategy, outcomes: Outcomes) -> OperatingPoint:
        """As `tuning.evaluate`, with the metric in the place of accuracy."""
        if self.is_mean:
            return tuning.evaluate(strategy, self.weighed(outcomes))
        answered_by = decide(strategy, outcomes).answered_by
        score, influence = self._f1(
            outcomes, outcomes.labels[np.arange(len(outcomes)), answered_by]
        )
        _, of_last = self._f1(outcomes, outcomes.labels[:, -1])
        se = float((influence - of_last).std() / np.sqrt(len(outcomes)))
        return replace(tuning.evaluate(strategy, outcomes), accuracy=score, accuracy_se=se)

    def _f1(self, outcomes: Outcomes, labels: Array) -> tuple[float, Array]:
        """The metric of (n_samples,) labels, and by how much each sample moves it, to first order.

        Of a class 2 x hits / (samples + answers); on average over the classes that occur.
        """
        weights, f1, slopes = self._by_class(outcomes, labels)
        return float(weights @ f1), _moves(outcomes.y, labels, f1, slopes)

    def _linear_f1(self, outcomes: Outcomes, max_loss: float) -> Array:
        weights, f1, slopes = self._by_class(outcomes, outcomes.labels[:, -1])
        least = f1 - max_loss
        return weights @ least + _moves(outcomes.y[:, None], outcomes.labels, least, slopes)

    def _by_class(self, outcomes: Outcomes, labels: Array) -> tuple[Array, Array, Array]:
        """By class the weight of its f1, its f1, and what a hit in it adds to the metric / 2."""
        y, known = outcomes.y, (outcomes.y.max(), outcomes.labels.max(), self.positive or 0)
        n_classes = 1 + int(max(known))
        samples, answers, hits = (
            np.bincount(each, minlength=n_classes) for each in (y, labels, y[y == labels])
        )
        counts = samples > 0 if self.positive is None else np.arange(n_classes) == self.positive
        weights, either = counts / counts.sum(), np.maximum(samples + answers, 1)
        return weights, 2 * hits / either, weights * len(y) / either


def _moves(y: Array, labels: Array, f1: Array, slopes: Array) -> Array:
    """By how much each sample exceeds classes' f1, in the metric."""
    return np.asarray(slopes[y] * (2 * (y == labels) - f1[y]) - slopes[labels] * f1[labels])


def class_weights(y: Array) -> Array:
    """Weight of each sample, (n_samples,), with which all classes that occur count alike.

    >>> class_weights(np.array([0, 0, 0, 1]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    _, numbers, sizes = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(len(y) / (len(sizes) * sizes[numbers]))


def make_metric(
    name: str, classes: Sequence[Any], cost_matrix: Any = None, pos_label: Any = None
) -> Metric:
    """A metric of predictions that may be of these `classes`, by name or by a cost matrix.

    Raises `EcoError` if there is no such metric, or the classes, of which there are none where
    only confidence and correct are known, don't have it.
    """
    if name not in NAMES:
        raise EcoError(f"the metric must be one of {', '.join(NAMES)}; got {name!r}")
    if name != "f1" and pos_label is not None:
        raise EcoError(f"pos_label must be None unless the metric is f1; got {pos_label!r}")
    if name != "accuracy" and cost_matrix is not None:
        raise EcoError(f"there must be either a metric or a cost_matrix; got {name!r} and a matrix")
    if cost_matrix is not None:
        return Metric("cost_matrix", _shares_of_largest(cost_matrix, [str(c) for c in classes]))
    if name == "f1":
        names, positive = (
            [str(each) for each in classes],
            str(1 if pos_label is None else pos_label),
        )
        if positive not in names:
            raise EcoError(
                f"pos_label must be one of the classes ({', '.join(names)}), 1 by default; got "
                f"{positive}",
                "Name the class that f1 is of, or take f1_macro.",
            )
        return Metric("f1", positive=names.index(positive))
    return Metric(name)  # type: ignore[arg-type]


def _shares_of_largest(given: Any, classes: Sequence[str]) -> Array:
    """A cost matrix as an array in the order of the classes, divided by its largest cost."""
    n, rule = len(classes), "cost_matrix must hold a cost for each true (row) and answered class"
    if hasattr(given, "to_dict"):
        given = given.to_dict("index")
    try:
        if isinstance(given, Mapping):
            rows = {str(true): {str(a): c for a, c in row.items()} for true, row in given.items()}
            given = [[rows[true][answer] for answer in classes] for true in classes]
        costs = np.asarray(given, float)
    except KeyError as error:
        raise EcoError(f"{rule}, {', '.join(classes)}; got none for {error.args[0]}") from None
    except (AttributeError, TypeError, ValueError):
        raise EcoError(f"{rule}, as numbers; got {given!r}") from None
    if costs.shape != (n, n):
        raise EcoError(f"{rule}, ({n}, {n}); got {costs.shape}")
    if not (np.isfinite(costs) & (costs >= 0)).all() or not costs.any():
        raise EcoError(f"{rule}, 0 or more and not all 0; got {costs.tolist()}")
    return costs / costs.max()


def frontier(
    outcomes: Outcomes,
    metric: Metric,
    settings_per_chain: int,
    longest: int | None = None,
    max_class_loss: float | None = None,
    margin_se: float = 0.0,
    max_loss: float = 0.0,
) -> list[OperatingPoint]:
    """The cascades that no other one beats in a metric at their energy or less, by rising energy.

    As `tuning.frontier`; the accuracy of its points is the metric. Of f1 the candidates are those
    of accuracy and of the linear bound that `Metric.weighed` has, for a loss of `max_loss`, a
    share. Of cascades within a limit for each class, the candidates are those of the metric, of
    balanced accuracy and of the harm that counts all classes alike: the harm of one class is at
    most that times their number.
    """
    searched = [metric.weighed(outcomes, max_loss)]
    if not metric.is_mean:
        searched.append(outcomes)
    if max_class_loss is not None:
        balanced = Metric("balanced_accuracy").weighed(outcomes)
        searched += [balanced, balanced.unharmed()]
    found = [point for each in searched for point in search(each, settings_per_chain, longest)]
    if len(searched) == 1:
        return found
    strategies = dict.fromkeys([*(point.strategy for point in found), always(outcomes.pool[-1])])
    kept = within_class_limit(strategies, outcomes, max_class_loss, margin_se)
    return undominated(metric.evaluate(strategy, outcomes) for strategy in kept)


def undominated(points: Iterable[OperatingPoint]) -> list[OperatingPoint]:
    """As `tuning.undominated`, of metrics whose last digits are those of a sum of fractions."""
    rounded = [replace(point, accuracy=round(point.accuracy, 12)) for point in points]
    return tuning.undominated(rounded)


def search(
    outcomes: Outcomes, settings_per_chain: int, longest: int | None = None
) -> list[OperatingPoint]:
    """As `tuning.frontier`, of `weighed` outcomes too.

    Grids of thresholds are densest where a model loses most to the best of the pool.
    """
    if outcomes.correct.dtype == bool:
        return tuning.frontier(outcomes, settings_per_chain, longest)
    n_models, points = len(outcomes.pool), list[OperatingPoint]()
    longest = min(n_models, longest or n_models)
    lost = outcomes.correct.max(axis=1, keepdims=True) - outcomes.correct
    for length in range(min(2, longest), longest + 1):
        size = int(settings_per_chain ** (1 / max(1, length - 1)) + 1e-9)
        columns = [_on_grid(c, w, size) for c, w in zip(outcomes.confidence.T, lost.T, strict=True)]
        # No model has more distinct confidences than a grid of this size: all of them are tried.
        on_grid = replace(outcomes, confidence=np.column_stack(columns))
        points += tuning.frontier(on_grid, settings_per_chain, length)
    return undominated(points)


def _on_grid(confidence: Array, lost: Array, size: int) -> Array:
    """Confidences rounded down to `size` of them, or to the least."""
    if len(np.unique(confidence)) <= size + 1:
        return confidence
    ranks = np.linspace(0, 1, max(1, size // 2) + 2)[1:-1]
    weights = [lost if lost.any() else None, None][: min(size, 2)]
    quantiles = [
        np.quantile(confidence, ranks, weights=each, method="inverted_cdf") for each in weights
    ]
    grid = np.unique(quantiles)
    return np.append(confidence.min(), grid)[np.searchsorted(grid, confidence, side="right")]


def class_losses(strategy: Strategy, outcomes: Outcomes) -> tuple[Array, Array, Array]:
    """Labels of the classes that occur, by class the loss of accuracy in it, and standard errors.

    A loss is a share of the samples of the class: of those that the last model has right, minus
    those that the strategy has. Each of shape (n_classes,).
    """
    answered_by = decide(strategy, outcomes).answered_by
    correct = outcomes.correct[np.arange(len(outcomes)), answered_by]
    lost = outcomes.correct[:, -1].astype(float) - correct
    classes, numbers, sizes = np.unique(outcomes.y, return_inverse=True, return_counts=True)
    means = np.bincount(numbers, lost) / sizes
    variances = np.bincount(numbers, lost**2) / sizes - means**2
    return classes, means, np.sqrt(np.maximum(variances, 0) / sizes)


def within_class_limit(
    strategies: Iterable[Strategy],
    outcomes: Outcomes,
    max_class_loss: float | None,
    margin_se: float,
) -> list[Strategy]:
    """Those that lose at most so many points in every class; the margin is of `tuning.for_loss`."""
    if max_class_loss is None:
        return list(strategies)
    kept = []
    for strategy in strategies:
        _, loss, se = class_losses(strategy, outcomes)
        if (loss + margin_se * se).max() <= max_class_loss / 100 + 1e-12:
            kept.append(strategy)
    return kept
