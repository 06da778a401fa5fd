"""Scores of a strategy: what it gets right, what it costs, and what that must be compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eco.evaluation.intervals import bootstrap_means, percentile_interval, strategy_half_widths
from eco.strategies.decisions import Decisions
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import Strategy

#: Points of a curve over the logarithm of energy.
CURVE_STEPS = 61


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; an end that isn't known is infinite."""

    value: float
    low: float
    high: float

    def to_row(self, name: str) -> dict[str, float | None]:
        """The figure as ``name``, ``name_low`` and ``name_high``; None for what isn't finite."""
        row = {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}
        return {key: value if np.isfinite(value) else None for key, value in row.items()}


@dataclass(frozen=True)
class Score:
    """What a strategy gets right on some samples, and what it costs.

    Accuracies vary with the samples (paired bootstrap), energies with the samples and with the
    measurement; the two are independent, so their half-widths add as squares.
    """

    accuracy: Estimate  #: Share of correct answers.
    accuracy_loss_points: Estimate  #: Percentage points below the last model.
    retention: Estimate  #: Accuracy as a share of the last model's.
    harm: Estimate  #: Share of samples on which the last model is right and the strategy isn't.
    energy_j: Estimate  #: J per sample, every model that ran included, and the router.
    energy_share: Estimate  #: Share of the last model's energy.
    #: Above the best random mixing of models at the same energy, energies taken as exact.
    gain_over_hull_points: Estimate
    gap_to_oracle_points: Estimate  #: Below what some model of the pool gets right.
    share: Mapping[str, float]  #: Share of samples that each model answered.
    accuracy_on_share: Mapping[str, float | None]  #: Accuracy on those; None without any.

    def to_row(self) -> dict[str, Any]:
        """Flat keys of a row: ``accuracy``, ``accuracy_low``, ``accuracy_high``, ..."""
        row: dict[str, Any] = {}
        for name, value in vars(self).items():
            row |= value.to_row(name) if isinstance(value, Estimate) else {name: value}
        return row


@dataclass(frozen=True)
class ScoredStrategy:
    """A strategy that has a name, and how it scored."""

    #: ``"preset"``, ``"tuned"``, ``"certified"``, ``"router"``, ``"chosen"``, or a published rule.
    family: str
    name: str
    strategy: Strategy
    score: Score
    label: str = ""  #: What stands beside its point in a picture; may be empty.
    details: Mapping[str, Any] = field(default_factory=dict)  #: Further figures of its row.

    def to_row(self) -> dict[str, Any]:
        """A row of a plot; `Strategy.from_json` reads the strategy back."""
        row = {"strategy": self.family, "name": self.name, "label": self.label}
        return row | self.strategy.to_json() | self.metrics()

    def metrics(self) -> dict[str, Any]:
        """The score and the details alone."""
        return self.score.to_row() | dict(self.details)

    def describe(self) -> str:
        """Name, main figures and settings as a line of text."""
        points, share = -self.score.accuracy_loss_points.value, self.score.energy_share.value
        return (
            f"{self.name:32} accuracy {self.score.accuracy.value:.2%} ({points:+.2f} points) at "
            f"{share:.4f} of the energy, {self.strategy.describe()}"
        )


def score(decisions: Decisions, outcomes: Outcomes) -> Score:
    """Score what a strategy decided on outcomes; without readings, energies count as exact."""
    correct, readings = decisions.correct(outcomes), outcomes.readings
    harm, bound = outcomes.correct[:, -1] & ~correct, outcomes.correct.any(axis=1)
    values = np.column_stack([correct, harm, bound, outcomes.correct, decisions.ran])
    router = outcomes.routers[decisions.router] if decisions.router else None
    energies = (outcomes.energy_j, router.energy_j if router else 0.0)
    resampled = _figures(bootstrap_means(values), *energies)
    runs, router_readings_j = decisions.ran.mean(axis=0), router.readings_j if router else None
    measured = strategy_half_widths(runs, readings, router_readings_j) if readings else {}
    estimates = {}
    for name, (value,) in _figures(values.mean(axis=0)[None], *energies).items():
        low, high = percentile_interval(resampled[name])
        below, above = np.hypot([value - low, high - value], measured.get(name, 0.0))
        estimates[name] = Estimate(float(value), float(value - below), float(value + above))
    answered = decisions.answered_by[:, None] == np.arange(len(outcomes.pool))
    n_correct = (answered & correct[:, None]).sum(axis=0)
    counts = list(zip(outcomes.pool, answered.sum(axis=0), n_correct, strict=True))
    return Score(
        **estimates,
        share={model: float(n / len(outcomes)) for model, n, _ in counts},
        accuracy_on_share={model: float(c / n) if n else None for model, n, c in counts},
    )


def _figures(means: Array, energy_j: Array, router_j: float) -> dict[str, Array]:
    """Figures for each row of means: correct, harm, bound, each model correct, each model ran."""
    n_models = len(energy_j)
    accuracy, harm, bound = means[:, :3].T
    alone, ran = means[:, 3:-n_models], means[:, -n_models:]
    reference, energy = alone[:, -1], ran @ energy_j + router_j
    mixing = random_mixing_accuracy(energy, energy_j, alone)
    with np.errstate(divide="ignore", invalid="ignore"):
        retention = accuracy / reference
    return {
        "accuracy": accuracy,
        "accuracy_loss_points": 100 * (reference - accuracy),
        "retention": retention,
        "harm": harm,
        "energy_j": energy,
        "energy_share": energy / energy_j[-1],
        "gain_over_hull_points": 100 * (accuracy - mixing),
        "gap_to_oracle_points": 100 * (bound - accuracy),
    }


def accuracy_gain(correct: Array, other: Array) -> dict[str, float]:
    """How many points more accurate one strategy is than another on the same samples.

    From two arrays of shape (n_samples,), bool: ``gain_points``, and its 95 % interval by the
    paired bootstrap under ``gain_points_low`` and ``gain_points_high``.
    """
    resampled = bootstrap_means(np.column_stack([correct, other]))
    low, high = percentile_interval(100 * (resampled[:, 0] - resampled[:, 1]))
    gain = 100 * float(correct.mean() - other.mean())
    return {"gain_points": gain, "gain_points_low": low, "gain_points_high": high}


def random_mixing_accuracy(energy: Array | float, energy_j: Array, accuracy: Array) -> Array:
    """Accuracy of the best random mixing of two models that takes at most `energy`, J per sample.

    It lies on the hull of the models, so any strategy worth its name must lie above. Below the
    cheapest model nothing can run, and its accuracy is returned. `energy` is (...), `energy_j`
    (n_models,), `accuracy` (n_models,) or (..., n_models).

    >>> round(float(random_mixing_accuracy(2.0, np.array([1.0, 3.0]), np.array([0.5, 0.9]))), 6)
    0.7
    """
    order = np.argsort(energy_j)
    energy_j, accuracy = energy_j[order], accuracy[..., order]
    lighter, heavier = np.triu_indices(len(energy_j))
    span = energy_j[heavier] - energy_j[lighter]
    left = np.maximum(energy, energy_j[0])[..., None] - energy_j[lighter]
    weight = np.clip(np.divide(left, span, out=np.zeros_like(left), where=span > 0), 0, 1)
    mixed = accuracy[..., lighter] * (1 - weight) + accuracy[..., heavier] * weight
    return np.asarray(np.where(left >= 0, mixed, -np.inf).max(axis=-1))


def random_mixing_curve(energy_j: Array, accuracy: Array) -> tuple[Array, Array]:
    """Energies and accuracies along the hull, evenly spaced in the logarithm of energy.

    A line between two models is straight over energy, so a picture over log energy needs the
    points between them: `CURVE_STEPS`, and the models on the hull.
    """
    is_corner = accuracy >= random_mixing_accuracy(energy_j, energy_j, accuracy)
    is_corner &= energy_j <= energy_j[accuracy == accuracy.max()].min()
    corners = np.sort(energy_j[is_corner])
    energies = np.union1d(np.geomspace(corners[0], corners[-1], CURVE_STEPS)[1:-1], corners)
    return energies, random_mixing_accuracy(energies, energy_j, accuracy)


def mean_accuracy_over_energy(energy_share: Array, accuracy: Array, low: float = 0.01) -> float:
    """Area under the accuracy-energy curve: mean accuracy over log energy shares from `low` to 1.

    At each energy the dearest point within it counts, whether or not a cheaper one proved better;
    below the cheapest point the accuracy is 0. Arrays of shape (n_points,).

    >>> mean_accuracy_over_energy(np.array([0.01, 0.1]), np.array([0.8, 0.9]))
    0.85
    """
    order = np.argsort(energy_share, kind="stable")
    edges = np.clip(np.concatenate([[low], energy_share[order], [1.0]]), low, 1.0)
    widths = np.diff(np.log(edges))
    return round(float(widths @ np.concatenate([[0.0], accuracy[order]]) / -np.log(low)), 12)


def misordered_pairs(energy_j: Array, pool: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbours in pool order of which the first costs more.

    >>> misordered_pairs(np.array([1.0, 3.0, 2.0]), ["tiny", "small", "medium"])
    [('small', 'medium')]
    """
    pairs = zip(pool[:-1], pool[1:], energy_j[:-1], energy_j[1:], strict=True)
    return [(a, b) for a, b, energy, following in pairs if energy > following]
