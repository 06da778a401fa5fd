"""Tuning: the chains of models and the thresholds that no other setting beats.

A threshold acts on a model only through which samples reach its confidence, so the joint histogram
of the confidences over a grid holds the accuracy and the energy of *every* setting on that grid;
cumulative sums read them off all at once. Nothing is sampled and nothing is approximated.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.cascading import run_cascade
from eco.errors import TargetError

Array = NDArray[Any]


class Setting(NamedTuple):
    """A cascade, and how it fared on the samples that it was found on.

    ``chain`` holds indices into the pool, ``thresholds`` one number for each, the last 0.0;
    ``energy_j`` is J per sample.
    """

    chain: tuple[int, ...]
    thresholds: tuple[float, ...]
    accuracy: float
    energy_j: float

    def row(self, pool: Sequence[str]) -> dict[str, Any]:
        """The setting with the names of its models, for a file."""
        models = [pool[i] for i in self.chain]
        return {"models": models} | dict(zip(self._fields[1:], self[1:], strict=True))

    @classmethod
    def of_row(cls, row: Mapping[str, Any], pool: Sequence[str]) -> "Setting":
        """The setting that `row` wrote."""
        chain = tuple(pool.index(model) for model in row["models"])
        return cls(chain, tuple(row["thresholds"]), row["accuracy"], row["energy_j"])


def chains(n_models: int) -> Iterator[tuple[int, ...]]:
    """Every sub-chain of the pool, shortest first.

    Examples
    --------
    >>> list(chains(2))
    [(0,), (1,), (0, 1)]
    """
    for length in range(1, n_models + 1):
        yield from itertools.combinations(range(n_models), length)


def frontier(
    confidence: Array,
    correct: Array,
    energy_j: Array,
    settings_per_chain: int,
    longest: int | None = None,
) -> list[Setting]:
    """The cascades that no other one beats in accuracy at their energy or less.

    Parameters
    ----------
    confidence, correct : arrays of shape (n_samples, n_models)
        Of the tuning split.
    energy_j : array of shape (n_models,)
        J per sample.
    settings_per_chain : int
        Size of a chain's grid: with one threshold it has up to this many values, with k
        thresholds the k-th root of it each. Where a model has no more distinct confidences than
        that, all of them are tried.
    longest : int, optional
        Number of models in the longest chain; the whole pool by default.

    Returns
    -------
    list of Setting
        By rising energy, and so by rising accuracy.
    """
    best: list[Setting] = []
    for chain in chains(confidence.shape[1]):
        if len(chain) > (longest or len(chain)):
            break
        members = list(chain)
        values = int(settings_per_chain ** (1 / max(1, len(chain) - 1)) + 1e-9)
        grids = [_grid(confidence[:, m], correct[:, m], values) for m in members[:-1]]
        right, cost = _every_setting(
            confidence[:, members], correct[:, members], energy_j[members], grids
        )
        best = _merged(best, chain, grids, right / len(confidence), cost)
    return best


def _grid(confidence: Array, correct: Array, size: int) -> Array:
    """Thresholds worth trying: distinct confidences, densest where the model errs."""
    distinct = np.unique(confidence)[1:]  # the lowest accepts everything: a shorter chain
    if len(distinct) <= size:
        return distinct
    ranks = np.linspace(0, 1, max(1, size // 2) + 2)[1:-1]
    wrong = confidence[~correct] if not correct.all() else confidence
    picked = [np.quantile(part, ranks, method="nearest") for part in (confidence, wrong)]
    return np.unique(np.concatenate(picked)) if size > 1 else picked[1]


def _every_setting(
    confidence: Array, correct: Array, energy_j: Array, grids: Sequence[Array]
) -> tuple[Array, Array]:
    """Right answers and J per sample of every combination of thresholds.

    Returns
    -------
    right, cost : arrays of shape (len(grids[0]), len(grids[1]), ...)
    """
    n_samples = len(confidence)
    right: Array = np.array(float(correct[:, 0].sum()))
    cost: Array = np.array(energy_j[0])
    at = np.zeros(n_samples, np.int64)
    shape: tuple[int, ...] = ()
    for position, grid in enumerate(grids):
        # A sample is deferred at the thresholds from index `reached` on.
        reached = np.searchsorted(grid, confidence[:, position], side="right")
        at = at * (len(grid) + 1) + reached
        shape = (*shape, len(grid) + 1)

        def deferred(
            weights: Array | None, at: Array = at, shape: tuple[int, ...] = shape
        ) -> Array:
            counts = np.bincount(at, weights, minlength=int(np.prod(shape))).reshape(shape)
            for axis in range(len(shape)):
                counts = counts.cumsum(axis=axis)
            return counts[tuple(slice(0, size - 1) for size in shape)]

        here, following = correct[:, position], correct[:, position + 1]
        changed = deferred(following.astype(float) - here)
        right = right[..., None] + changed
        cost = cost[..., None] + energy_j[position + 1] * deferred(None) / n_samples
    return right, cost


def _merged(
    best: list[Setting],
    chain: tuple[int, ...],
    grids: Sequence[Array],
    accuracy: Array,
    cost: Array,
) -> list[Setting]:
    """The frontier after the settings of one more chain."""
    accuracy, cost, shape = accuracy.ravel(), cost.ravel(), accuracy.shape
    if best:
        energies = np.array([setting.energy_j for setting in best])
        reached = np.array([-1.0, *(setting.accuracy for setting in best)])
        worth = np.flatnonzero(accuracy > reached[np.searchsorted(energies, cost, "right")])
    else:
        worth = np.arange(len(accuracy))
    order = worth[np.lexsort((-accuracy[worth], cost[worth]))]
    rising = np.maximum.accumulate(accuracy[order])
    new = order[np.flatnonzero(np.diff(rising, prepend=-1.0) > 0)]
    for index in new:
        where = np.unravel_index(index, shape)
        thresholds = [float(grid[i]) for grid, i in zip(grids, where, strict=True)]
        best.append(Setting(chain, (*thresholds, 0.0), float(accuracy[index]), float(cost[index])))
    return undominated(best)


def scored(
    chain: Sequence[int],
    thresholds: Sequence[float],
    confidence: Array,
    correct: Array,
    energy_j: Array,
) -> Setting:
    """A cascade that was given, and how it fares on the samples.

    Parameters
    ----------
    chain : sequence of int
        Indices into the pool, in the order they are asked.
    thresholds : sequence of float
        One for each.
    confidence, correct : arrays of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)
        J per sample.
    """
    answered_by, ran = run_cascade(confidence, np.array(chain), np.array(thresholds))
    right = correct[np.arange(len(answered_by)), answered_by]
    cost = float((ran @ energy_j).mean())
    return Setting(tuple(chain), tuple(thresholds), float(right.mean()), cost)


def undominated(settings: Sequence[Setting]) -> list[Setting]:
    """The settings that no other one beats, by rising energy; of equals the first."""
    kept: list[Setting] = []
    for setting in sorted(settings, key=lambda s: (s.energy_j, -s.accuracy, len(s.chain))):
        if not kept or setting.accuracy > kept[-1].accuracy:
            kept.append(setting)
    return kept


def for_loss(points: Sequence[Any], max_accuracy_loss: float, reference: float) -> Any:
    """The cheapest point that loses at most so many percentage points of accuracy.

    Parameters
    ----------
    points : sequence
        With ``accuracy`` and ``energy_j``, by rising energy.
    max_accuracy_loss : float
        Percentage points below `reference`.
    reference : float
        Accuracy of the largest model on the same samples.

    Raises
    ------
    TargetError
        If no point is accurate enough.
    """
    needed = reference - max_accuracy_loss / 100
    for point in points:
        if point.accuracy >= needed - 1e-12:
            return point
    least = _rounded_up(100 * (reference - max(point.accuracy for point in points)), 2)
    raise TargetError(
        f"no setting loses at most {max_accuracy_loss} points of accuracy on the tuning split; "
        f"the least that can be met is {least:.2f}. Raise tuning.max_accuracy_loss in params.yaml."
    )


def for_budget(points: Sequence[Any], energy_budget: float, reference_j: float) -> Any:
    """The most accurate point that costs at most this share of the largest model's energy.

    Parameters
    ----------
    points : sequence
        With ``accuracy`` and ``energy_j``, by rising energy.
    energy_budget : float
        Share of `reference_j`.
    reference_j : float
        J per sample of the largest model.

    Raises
    ------
    TargetError
        If even the cheapest point costs more.
    """
    budget_j = energy_budget * reference_j * (1 + 1e-9)  # a share that was divided comes back
    affordable = [point for point in points if point.energy_j <= budget_j]
    if not affordable:
        least = _rounded_up(min(point.energy_j for point in points) / reference_j, 4)
        raise TargetError(
            f"no setting costs at most {energy_budget} of the largest model's energy; the least "
            f"that can be met is {least:.4f}, the cheapest setting. Raise "
            "tuning.energy_budget in params.yaml."
        )
    return max(affordable, key=lambda point: point.accuracy)


def _rounded_up(limit: float, digits: int) -> float:
    """A limit that still holds as it is printed."""
    return float(np.ceil(limit * 10**digits - 1e-6) / 10**digits)


def for_target(
    points: Sequence[Any],
    target: str,
    max_accuracy_loss: float,
    energy_budget: float,
    reference: float,
    reference_j: float,
) -> Any:
    """The point of a frontier that meets a target of params.yaml.

    Parameters
    ----------
    points : sequence
        With ``chain``, ``accuracy`` and ``energy_j``, by rising energy.
    target : {"max_accuracy_loss", "energy_budget"}
        Which of the two that follow counts.
    max_accuracy_loss, energy_budget : float
        As in `for_loss` and `for_budget`.
    reference, reference_j : float
        Accuracy on the tuning split and J per sample of the largest model.

    Raises
    ------
    TargetError
        If no point meets it.
    """
    if target == "energy_budget":
        return for_budget(points, energy_budget, reference_j)
    return for_loss(points, max_accuracy_loss, reference)
