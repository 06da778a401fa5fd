"""What was found on the tuning split, scored: presets, tuned and certified cascades, rules."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from eco.errors import TargetError
from eco.evaluation.cascade import by_class, worst_class
from eco.evaluation.scoring import (
    Estimate,
    ScoredStrategy,
    accuracy_gain,
    mean_accuracy_over_energy,
    score,
)
from eco.strategies.baselines import RULES, shared_threshold
from eco.strategies.decisions import decide
from eco.strategies.names import CERTIFIED, TUNED, strategy_name
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.strategies.tuning import evaluate, for_budget, for_loss, with_last

#: Losses of accuracy, in points below the last model, at which energies are compared: by metric.
LOSSES = {"loss_0": 0.0, "loss_0_5": 0.5, "loss_1": 1.0, "loss_2": 2.0}
#: The share of the last model's accuracy that the field usually keeps.
RETENTION = 0.95
#: Points of a drawn frontier; all of them are in data/frontier.json.
CURVE_POINTS = 120
#: Standard errors of a 95 % interval.
Z_95 = 1.96

#: Figures that are compared at a loss, with their intervals.
COMPARED = ("accuracy_loss_points", "energy_share")

Points = Sequence[OperatingPoint]


@dataclass(frozen=True)
class FrontierEvaluation:
    """Scores of what was found, figures by strategy and against rules, and rows of curves."""

    strategies: Sequence[ScoredStrategy]
    metrics: Mapping[str, Any]
    curve_rows: Sequence[Mapping[str, Any]]


def evaluate_frontier(
    outcomes: Outcomes,
    frontiers: Mapping[str, Points],
    reference_accuracy: float,
    margin_se: float,
    presets: Mapping[str, Strategy],
    found: Mapping[str, Strategy],
    active_models: Sequence[str],
    class_names: Sequence[str],
) -> FrontierEvaluation:
    """Score on outcomes of the test split what was found on the tuning split.

    Parameters
    ----------
    frontiers : mapping of str to sequence of OperatingPoint
        Under ``accuracy`` and the name of each published rule, if it is known, by rising energy.
    reference_accuracy : float
        Accuracy of the last model on the tuning split.
    margin_se : float
        As in `tuning.for_loss`; rules are published without one.
    found : mapping of str to Strategy
        Under ``tuned``, ``certified`` and one of `OTHER_CERTIFIED`, as far as there are any.
    active_models : sequence of str
        Of the curve that has one threshold for all.
    """
    scored = partial(_scored, outcomes, class_names)
    strategies = [scored("preset", name, name, preset) for name, preset in presets.items()]
    for name, strategy in found.items():
        strategies.append(scored(TUNED if name == TUNED else CERTIFIED, name, name, strategy))
    metrics: dict[str, Any] = {s.name: s.metrics() for s in strategies if s.name in found}
    alone = OperatingPoint(always(outcomes.pool[-1]), reference_accuracy, outcomes.energy_j[-1])
    cascades = with_last(frontiers["accuracy"], alone)
    goals = [(metric, loss, f"lose {loss:g}") for metric, loss in LOSSES.items()]
    goals += [("retention_95", 100 * (1 - RETENTION) * reference_accuracy, "keep 95 %")]
    for metric, loss, text in goals:
        tuned = for_loss(cascades, loss, reference_accuracy, margin_se).strategy
        strategies.append(scored("tuned", strategy_name("tuned", text), text, tuned))
        figures = strategies[-1].score.to_row().items()
        metrics[metric] = {key: value for key, value in figures if key.startswith(COMPARED)}
        for rule, point in _rules_that_lose(loss, frontiers, reference_accuracy):
            strategies.append(scored(rule, strategy_name(rule, text), "", point.strategy))
            against = metrics.setdefault(f"against_{rule}".replace(" ", "_"), {})
            against[metric] = _gain(frontiers["accuracy"], point, outcomes)
    drawn = filter(frontiers.__contains__, ("accuracy", *RULES))
    curves = {rule: _on(outcomes, frontiers[rule]) for rule in drawn}
    areas = {rule: mean_accuracy_over_energy(*curve[:, :2].T) for rule, curve in curves.items()}
    metrics["mean_accuracy_over_log_energy_0_01_to_1"] = areas
    curves = {"tuned frontier": curves.pop("accuracy")} | curves
    curves["shared threshold"] = _on(outcomes, shared_threshold(outcomes, active_models))
    return FrontierEvaluation(strategies, metrics, _curve_rows(curves, outcomes.reference_accuracy))


def _scored(
    outcomes: Outcomes,
    class_names: Sequence[str],
    family: str,
    name: str,
    label: str,
    strategy: Strategy,
) -> ScoredStrategy:
    decisions = decide(strategy, outcomes)
    details = {"worst_class": worst_class(by_class(decisions, outcomes, class_names))}
    return ScoredStrategy(family, name, strategy, score(decisions, outcomes), label, details)


def _rules_that_lose(
    loss: float, frontiers: Mapping[str, Points], reference_accuracy: float
) -> Iterator[tuple[str, OperatingPoint]]:
    """The published rules that lose at most so many points on the tuning split, and their point."""
    for rule in filter(frontiers.__contains__, RULES):
        with suppress(TargetError):  # the rule can't be that accurate
            yield rule, for_loss(frontiers[rule], loss, reference_accuracy)


def _gain(frontier: Points, rule: OperatingPoint, outcomes: Outcomes) -> dict[str, float]:
    """Points gained by the tuned cascade for the energy that a rule needs on the tuning split."""
    last_j = float(outcomes.energy_j[-1])
    tuned = for_budget(frontier, rule.energy_j / last_j, last_j)
    return accuracy_gain(*(decide(p.strategy, outcomes).correct(outcomes) for p in (tuned, rule)))


def _on(outcomes: Outcomes, frontier: Points) -> Array:
    """By point of a frontier share of the last model's energy, accuracy and its standard error.

    The error is that of the paired difference to the last model, (n_points, 3).
    """
    points = [evaluate(point.strategy, outcomes) for point in frontier]
    last_j = outcomes.energy_j[-1]
    return np.array([(p.energy_j / last_j, p.accuracy, p.accuracy_se) for p in points])


def _curve_rows(curves: Mapping[str, Array], reference_accuracy: float) -> list[dict[str, Any]]:
    """Points of curves, with the points of accuracy lost and their 95 % interval."""
    rows = []
    for name, curve in curves.items():
        drawn = np.linspace(0, len(curve) - 1, min(len(curve), CURVE_POINTS)).round().astype(int)
        for share, accuracy, se in curve[drawn].tolist():
            row = {"strategy": name, "name": "", "accuracy": accuracy, "energy_share": share}
            loss, half_width = 100 * (reference_accuracy - accuracy), 100 * Z_95 * se
            lost = Estimate(loss, loss - half_width, loss + half_width)
            rows.append(row | lost.to_row("accuracy_loss_points"))
    return rows
