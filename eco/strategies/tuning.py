"""Tuning: the strategies that no other setting beats in accuracy at their energy.

A threshold acts on a model only through which samples reach its confidence, so the joint histogram
of the confidences over a grid holds the accuracy and the energy of *every* setting on that grid;
cumulative sums read them all off at once. Nothing is sampled and nothing is approximated.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

import numpy as np

from eco.errors import TargetError
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy

#: Which limit counts.
Target = Literal["max_accuracy_loss", "energy_budget"]


def evaluate(strategy: Strategy, outcomes: Outcomes) -> OperatingPoint:
    """Accuracy and energy of a strategy on outcomes that are known."""
    decisions = decide(strategy, outcomes)
    correct, sample_j = decisions.correct(outcomes), decisions.ran @ outcomes.energy_j
    difference = correct.astype(float) - outcomes.correct[:, -1]
    accuracy_se, energy_se_j = (
        float(values.std() / np.sqrt(len(outcomes))) for values in (difference, sample_j)
    )
    energy_j = decisions.energy_j(outcomes)
    return OperatingPoint(strategy, float(correct.mean()), energy_j, accuracy_se, energy_se_j)


def undominated(points: Iterable[OperatingPoint]) -> list[OperatingPoint]:
    """The points that no other one beats, by rising energy; of equal ones the first."""
    kept: list[OperatingPoint] = []
    for point in sorted(points, key=lambda p: (p.energy_j, -p.accuracy, len(p.strategy.models))):
        if not kept or point.accuracy > kept[-1].accuracy:
            kept.append(point)
    return kept


def chains(n_models: int, longest: int | None = None) -> Iterator[tuple[int, ...]]:
    """Every chain of models in pool order, shortest first.

    >>> list(chains(2))
    [(0,), (1,), (0, 1)]
    """
    for length in range(1, min(n_models, longest or n_models) + 1):
        yield from itertools.combinations(range(n_models), length)


def frontier(
    outcomes: Outcomes, settings_per_chain: int, longest: int | None = None
) -> list[OperatingPoint]:
    """The cascades that no other one beats in accuracy at their energy or less.

    Parameters
    ----------
    outcomes : Outcomes
        Of the tuning split; `Outcomes.unharmed` ones for a frontier of harm.
    settings_per_chain : int
        Size of a chain's grid: one threshold has up to this many values, each of k thresholds
        the k-th root of it. All distinct confidences are tried where a model has no more.
    longest : int, optional
        Number of models in the longest chain; the whole pool by default.

    Returns
    -------
    list of OperatingPoint
        By rising energy, and so by rising accuracy.
    """

    @cache
    def grid(model: int, size: int) -> Array:
        return _grid(outcomes.confidence[:, model], outcomes.correct[:, model], size)

    best: list[OperatingPoint] = []
    for chain in chains(len(outcomes.pool), longest):
        confidence, correct = outcomes.confidence[:, chain], outcomes.correct[:, chain]
        size = int(settings_per_chain ** (1 / max(1, len(chain) - 1)) + 1e-9)
        grids = [grid(model, size) for model in chain[:-1]]
        figures = _every_setting(confidence, correct, outcomes.energy_j[list(chain)], grids)
        models = tuple(outcomes.pool[i] for i in chain)
        best = undominated([*best, *_improvements(best, models, grids, *figures)])
    return [evaluate(point.strategy, outcomes) for point in best]


def _grid(confidence: Array, correct: Array, size: int) -> Array:
    """Thresholds worth trying: distinct confidences, densest where the model errs."""
    distinct = np.unique(confidence)[1:]  # the lowest accepts everything: a shorter chain
    if len(distinct) <= size:
        return distinct
    ranks = np.linspace(0, 1, max(1, size // 2) + 2)[1:-1]
    wrong = confidence[~correct] if not correct.all() else confidence
    quantiles = [np.quantile(part, ranks, method="nearest") for part in (confidence, wrong)]
    return np.unique(np.concatenate(quantiles)) if size > 1 else quantiles[1]


def _every_setting(
    confidence: Array, correct: Array, energy_j: Array, grids: Sequence[Array]
) -> tuple[Array, Array]:
    """Accuracy and J per sample of every combination of thresholds, one axis for each grid."""
    n_samples = len(confidence)
    n_correct: Array = np.array(float(correct[:, 0].sum()))
    total_j: Array = np.array(energy_j[0])
    cell = np.zeros(n_samples, np.int64)
    shape: tuple[int, ...] = ()
    for position, grid in enumerate(grids):
        # A sample is deferred at the thresholds that lie above its confidence.
        accepted = np.searchsorted(grid, confidence[:, position], side="right")
        cell = cell * (len(grid) + 1) + accepted
        shape = (*shape, len(grid) + 1)
        gained = correct[:, position + 1].astype(float) - correct[:, position]
        n_correct = n_correct[..., None] + _deferred(cell, shape, gained)
        total_j = total_j[..., None] + (energy_j[position + 1] * _deferred(cell, shape) / n_samples)
    return n_correct / n_samples, total_j


def _deferred(cell: Array, shape: tuple[int, ...], weights: Array | None = None) -> Array:
    """Number, or weight, of the samples that every combination of thresholds defers."""
    counts = np.bincount(cell, weights, minlength=int(np.prod(shape))).reshape(shape)
    for axis in range(len(shape)):
        counts = counts.cumsum(axis=axis)
    return counts[(slice(-1),) * len(shape)]


def _improvements(
    best: Sequence[OperatingPoint],
    models: tuple[str, ...],
    grids: Sequence[Array],
    accuracy: Array,
    energy_j: Array,
) -> Iterator[OperatingPoint]:
    """The settings of one chain that beat the frontier and each other."""
    shape, accuracy, energy_j = accuracy.shape, accuracy.ravel(), energy_j.ravel()
    best_j = np.array([point.energy_j for point in best])
    best_accuracy = np.array([-1.0, *(point.accuracy for point in best)])
    better = np.flatnonzero(accuracy > best_accuracy[np.searchsorted(best_j, energy_j, "right")])
    order = better[np.lexsort((-accuracy[better], energy_j[better]))]
    rising = np.maximum.accumulate(accuracy[order])
    for index in order[np.flatnonzero(np.diff(rising, prepend=-1.0) > 0)]:
        cells = np.unravel_index(index, shape)
        thresholds = [float(grid[i]) for grid, i in zip(grids, cells, strict=True)]
        strategy = Strategy("cascade", models, (*thresholds, 0.0))
        yield OperatingPoint(strategy, float(accuracy[index]), float(energy_j[index]))


def for_target(
    points: Sequence[OperatingPoint],
    target: Target,
    max_accuracy_loss: float,
    energy_budget: float,
    reference_accuracy: float,
    reference_j: float,
    margin_se: float = 0.0,
) -> OperatingPoint:
    """The point of a frontier that meets the target of params.yaml: `for_loss` or `for_budget`.

    `target` says which of the two limits counts; the reference is the last model, its accuracy on
    the same samples and its J per sample. Raises `TargetError`, which names the least limit that
    can be met.
    """
    if target == "energy_budget":
        return for_budget(points, energy_budget, reference_j, margin_se)
    return for_loss(points, max_accuracy_loss, reference_accuracy, margin_se)


def with_last(points: Sequence[OperatingPoint], last: OperatingPoint) -> list[OperatingPoint]:
    """A frontier by rising energy, and the last model alone, which may be beaten on it.

    That model needs no margin: it loses nothing on any samples.
    """
    others = [point for point in points if point.strategy != last.strategy]
    return sorted([*others, last], key=lambda point: point.energy_j)


def for_loss(
    points: Sequence[OperatingPoint],
    max_accuracy_loss: float,
    reference_accuracy: float,
    margin_se: float = 0.0,
) -> OperatingPoint:
    """The cheapest point, by rising energy, that loses at most so many points of accuracy.

    What is chosen for its figures on some samples does worse on others. `margin_se` is how many
    standard errors of the loss must lie between it and the limit.
    """
    losses = [reference_accuracy - p.accuracy + margin_se * p.accuracy_se for p in points]
    for point, loss in zip(points, losses, strict=True):
        if loss <= max_accuracy_loss / 100 + 1e-12:
            return point
    attainable = _round_up(100 * min(losses), 2)
    raise TargetError(
        f"no setting loses at most {max_accuracy_loss} points of accuracy on the tuning split"
        f"{_with_margin(margin_se)}; the least that can be met is {attainable:.2f}",
        "Raise tuning.max_accuracy_loss in params.yaml.",
        target="max_accuracy_loss",
        attainable=attainable,
    )


def for_budget(
    points: Sequence[OperatingPoint],
    energy_budget: float,
    reference_j: float,
    margin_se: float = 0.0,
) -> OperatingPoint:
    """The most accurate point within a share of the last model's energy.

    `margin_se` is how many standard errors of the energy must lie between it and the limit.
    """
    budget_j = energy_budget * reference_j * (1 + 1e-9)  # room for the rounding of a division
    upper_j = [point.energy_j + margin_se * point.energy_se_j for point in points]
    affordable = [point for point, j in zip(points, upper_j, strict=True) if j <= budget_j]
    if affordable:
        return max(affordable, key=lambda point: point.accuracy)
    attainable = _round_up(min(upper_j) / reference_j, 4)
    raise TargetError(
        f"no setting costs at most {energy_budget} of the largest model's energy"
        f"{_with_margin(margin_se)}; the least that can be met is {attainable:.4f}, the cheapest "
        "setting",
        "Raise tuning.energy_budget in params.yaml.",
        target="energy_budget",
        attainable=attainable,
    )


def _with_margin(margin_se: float) -> str:
    return f" by a margin of {margin_se:g} standard errors" if margin_se else ""


def _round_up(limit: float, digits: int) -> float:
    """A limit that still holds when printed."""
    return float(np.ceil(limit * 10**digits - 1e-6) / 10**digits)
