"""Tuned and certified cascades of models whose predictions are at hand."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from eco.errors import EcoError, TargetError
from eco.predictions.arguments import columns_of
from eco.predictions.columns import checked
from eco.predictions.division import Part, divide
from eco.predictions.found import Certified, Tuned, figures
from eco.predictions.goals import Goals
from eco.strategies.bounded import (
    Limits,
    from_safe_to_cheap,
    refuse_uncertifiable,
    settings_certified,
    shortage,
)
from eco.strategies.certification import Measure, NotCertified, samples_needed
from eco.strategies.confidence import Signal
from eco.strategies.metrics import Metric, frontier
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, always
from eco.strategies.tuning import evaluate, for_target, with_last


def tune(
    costs: Any,
    *,
    confidence: Any = None,
    correct: Any = None,
    probabilities: Any = None,
    y: Any = None,
    signal: Signal = "max_probability",
    max_accuracy_loss: float = 0.5,
    cost_budget: float | None = None,
    margin_se: float = 1.3,
    settings_per_chain: int = 3_000,
    longest_chain: int = 4,
    metric: str = "accuracy",
    cost_matrix: Any = None,
    pos_label: Any = None,
    max_metric_loss: float = 0.5,
    max_class_loss: float | None = None,
) -> Tuned:
    """Find the cheapest cascade that loses little, from predictions of its models.

    Raises `DataError` if these aren't what they must be, `TargetError` if nothing is cheap enough.

    Parameters
    ----------
    costs : mapping, Series or sequence of float
        What each model costs per sample, in any one unit. Names and their order are the pool, light
        to heavy: losses are counted from the last.
    confidence, correct : DataFrame, mapping or array of shape (n_samples, n_models)
        How sure each model is of its answer, from 0 to 1, and whether the answer is right.
    probabilities : array of shape (n_samples, n_models, n_classes) or mapping
        Instead of these two; by model (n_samples, n_classes), in frames with a column for a class.
    y : array-like of shape (n_samples,)
        With probabilities: the true labels, names or indices of the classes.
    signal : {"max_probability", "margin", "entropy"}
        Confidence that is made of probabilities.
    max_accuracy_loss, cost_budget : float
        Percentage points below the last model; in its place, a share of that one's cost.
    margin_se : float
        Standard errors that must lie between the figure and its limit, as it varies by sample.
    settings_per_chain, longest_chain : int
        How widely is searched: see `eco.strategies.tuning.frontier`.
    metric : {"accuracy", "balanced_accuracy", "f1", "f1_macro"}
        All but accuracy take `probabilities` and `y`, and `max_metric_loss` takes the place of
        `max_accuracy_loss`. For f1, which is no mean over samples,
        `eco.strategies.metrics.frontier` says what is searched.
    cost_matrix : array of shape (n_classes, n_classes), DataFrame or mapping, optional
        Instead of a metric: what it costs that a class, the row, is answered as another, the
        column; a mapping by name of the one and then of the other. The metric is 1 - mean cost, and
        a point of it a hundredth of the largest cost.
    pos_label : optional
        The class that f1 is of; 1 by default.
    max_metric_loss : float
        Percentage points of the metric below the last model.
    max_class_loss : float, optional
        A further limit: percentage points of accuracy in every class below the last model, by the
        same margin. Takes `probabilities` and `y`.

    Examples
    --------
    >>> confidence = [[0.9, 0.9], [0.8, 0.9], [0.3, 0.9], [0.2, 0.9]]
    >>> correct = [[1, 1], [1, 1], [0, 1], [0, 1]]
    >>> tuned = tune({"small": 1, "large": 9}, confidence=confidence, correct=correct)
    >>> tuned.models, tuned.thresholds, tuned.cost
    (('small', 'large'), (0.8, 0.0), 5.5)
    """
    goals = Goals(max_accuracy_loss, cost_budget, margin_se=margin_se,
                  settings_per_chain=settings_per_chain, longest_chain=longest_chain,
                  metric=metric, cost_matrix=cost_matrix, pos_label=pos_label,
                  max_metric_loss=max_metric_loss, max_class_loss=max_class_loss)  # fmt: skip
    samples = checked(columns_of(costs, confidence, correct, probabilities, y), signal)
    chosen = goals.metric_of(samples.classes)
    return tuned(samples.outcomes, searched(samples.outcomes, goals, chosen), goals, chosen)


def certify(
    costs: Any,
    *,
    confidence: Any = None,
    correct: Any = None,
    probabilities: Any = None,
    y: Any = None,
    split: Any = None,
    groups: Any = None,
    time: Any = None,
    signal: Signal = "max_probability",
    max_loss: float | None = None,
    max_harm: float | None = None,
    delta: float = 0.05,
    settings_per_chain: int = 3_000,
    longest_chain: int = 4,
    seed: int = 42,
    metric: str = "accuracy",
    cost_matrix: Any = None,
    pos_label: Any = None,
    max_class_loss: float | None = None,
) -> Certified:
    """Find the cheapest cascade whose loss is certified, from predictions; raises as `tune` does.

    Parameters
    ----------
    costs, confidence, correct, probabilities, y, signal, settings_per_chain, longest_chain
        As in `tune`.
    metric, cost_matrix, pos_label
        As in `tune`, but for f1: it is no mean of losses of single samples, so it is refused.
    max_class_loss : float, optional
        Percentage points of accuracy in every class below the last model, certified as well.
    split : array-like of shape (n_samples,), optional
        ``"tuning"`` or ``"certification"``: settings are ordered on the one and tested on the
        other. Without it half of the samples, or of the groups, do each, drawn by `seed`.
    groups : array-like of shape (n_samples,), optional
        What samples belong together; a certificate counts groups then.
    time : array-like of shape (n_samples,), optional
        Numbers, or dates as ISO 8601 writes them: without `split`, or with tuning samples alone,
        the earlier half tunes and the later one certifies.
    max_loss : float, optional
        Percentage points of the metric below the last model's; 0.5 by default.
    max_harm : float, optional
        In its place, and stricter: points of samples that only the last model has right, or of what
        they lose in the metric where nothing that others gain counts. With groups it must be given.
    delta : float
        Probability with which the certificate may be wrong.
    seed : int
        Of the random division.
    """
    if max_loss is not None and max_harm is not None:
        raise EcoError(
            f"max_loss or max_harm must be None: a certificate bounds one of them; got {max_loss} "
            f"and {max_harm}",
            "Harm is the stricter one: a bound on it bounds the loss as well.",
        )
    of: Measure = "loss" if max_harm is None else "harm"
    limits = {"max_loss": max_loss, "max_harm": max_harm}
    given = {key: limit for key, limit in limits.items() if limit is not None}
    goals = Goals(**given, delta=delta,
                  settings_per_chain=settings_per_chain, longest_chain=longest_chain,
                  metric=metric, cost_matrix=cost_matrix, pos_label=pos_label,
                  max_class_loss=max_class_loss)  # fmt: skip
    if groups is not None and of == "loss":
        raise EcoError(
            "max_harm must be a number where samples come in groups: for groups only harm can be "
            "certified, not max_loss; got None"
        )
    columns = columns_of(costs, confidence, correct, probabilities, y, split, groups, time)
    samples = checked(columns, signal)
    chosen = goals.metric_of(samples.classes)
    refuse_uncertifiable(chosen, max_class_loss, samples.groups is not None)
    parts = divide(samples, ("tuning", "certification"), (0.5, 0.5), seed)
    tuning = parts["tuning"].outcomes
    points = from_safe_to_cheap(tuning, chosen, settings_per_chain, longest_chain, max_class_loss)
    return certified(of, points, tuning, parts["certification"], goals, chosen, samples.classes)


def searched(outcomes: Outcomes, goals: Goals, metric: Metric) -> list[OperatingPoint]:
    """The frontier of a metric, within the limit on each class if there is one."""
    return frontier(
        outcomes, metric, goals.settings_per_chain, goals.longest_chain, goals.max_class_loss,
        goals.margin_se, goals.limit / 100,
    )  # fmt: skip


def tuned(
    outcomes: Outcomes, points: Sequence[OperatingPoint], goals: Goals, metric: Metric
) -> Tuned:
    """The point of a frontier that meets the target on the samples it was found on."""
    last = metric.evaluate(always(outcomes.pool[-1]), outcomes)
    target: Literal["max_accuracy_loss", "energy_budget"] = "energy_budget"
    if goals.cost_budget is None:
        target = "max_accuracy_loss"
    try:
        point = for_target(
            with_last(points, last), target, goals.limit, goals.cost_budget or 1.0,
            last.accuracy, last.energy_j, goals.margin_se,
        )  # fmt: skip
    except TargetError as error:
        within = ""
        if goals.max_class_loss is not None:
            within = f" that loses at most {goals.max_class_loss:g} points in every class"
        raise TargetError(
            f"no cascade{within} is within a budget of {goals.cost_budget} of the last model's "
            f"cost; the least that can be met is {error.attainable:.4f}",
            "Raise the budget.",
            target="cost_budget",
            attainable=error.attainable,
        ) from None
    accuracy = evaluate(point.strategy, outcomes).accuracy
    return Tuned(
        **figures(point, outcomes, points),
        accuracy=accuracy,
        accuracy_loss_points=100 * (outcomes.reference_accuracy - accuracy),
        metric=metric.name,
        metric_value=point.accuracy,
        metric_loss_points=100 * (last.accuracy - point.accuracy),
    )


def certified(
    of: Measure,
    ordered: Sequence[OperatingPoint],
    tuning: Outcomes,
    certification: Part,
    goals: Goals,
    metric: Metric,
    classes: Sequence[str],
) -> Certified:
    """The cheapest of some cascades, from safe to cheap, that is certified for loss or harm."""
    outcomes, groups = certification.outcomes, certification.groups
    n = len(outcomes) if groups is None else len(np.unique(groups))
    max_points = goals.max_loss if of == "loss" else goals.max_harm
    limits = Limits(max_points, goals.delta, goals.max_class_loss)
    if not goals.is_accuracy or goals.max_class_loss is not None:
        occur = np.union1d(tuning.y, outcomes.y).tolist()
        names = {label: classes[label] for label in occur}
        if (error := shortage(metric, outcomes.y, names, f"max_{of}", limits)) is not None:
            raise error
    count, risks = settings_certified(of, metric, ordered, tuning, outcomes, limits, groups)
    if not count:
        raise _not_certified(of, max_points, goals.delta, n, groups is not None)
    return Certified(
        **figures(ordered[count - 1], tuning, ordered[:count]),
        of=of,
        max_points=max_points,
        delta=goals.delta,
        on_certification=risks[-1],
        n_samples=n,
        settings_certified=count,
        metric=metric.name,
        max_class_loss=goals.max_class_loss,
    )


def _not_certified(
    of: Measure, max_points: float, delta: float, n: int, is_grouped: bool
) -> TargetError:
    """The last model alone loses nothing and harms none, so there are too few samples."""
    attainable = NotCertified(of, max_points, delta, n, 0).attainable
    unit = "groups" if is_grouped else "samples"
    return TargetError(
        f"{of} of at most {max_points:g} points with probability {1 - delta:.10g} takes "
        f"{samples_needed(of, max_points / 100, delta):,} {unit} at least that took part in no "
        f"tuning; got {n:,}",
        f"Give more, or certify {attainable:.2f} points.",
        target=f"max_{of}",
        attainable=attainable,
    )
