"""Certificates of metrics whose losses are weighed, and of the loss of each class.

A sequence of settings, from safe to cheap, is tested as in `eco.strategies.certification`. Where
several limits must hold at once, as many settings are certified as pass for each of them: each test
may be wrong with probability `delta`, and one that is right suffices (Berger 1982,
"Multiparameter Hypothesis Testing and Acceptance Sampling").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eco.errors import TargetError
from eco.strategies.certification import (
    Measure,
    certified_up_to,
    differences,
    harm_certified_up_to,
    losses,
    safe_to_cheap,
    samples_needed,
)
from eco.strategies.decisions import decide
from eco.strategies.metrics import Metric, class_weights, search
from eco.strategies.noninferiority import gains_needed, loss_limit, samples_needed_for_loss
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy
from eco.strategies.tuning import evaluate

#: Bets that are tried on tuning samples, as shares of the largest.
_BETS = 1 / (1 + np.exp(-np.linspace(-7, 9, 49)))


@dataclass(frozen=True)
class Limits:
    """What is certified at once."""

    max_points: float  #: Of loss or harm.
    delta: float  #: Probability with which a certificate may be wrong.
    max_class_loss: float | None = None  #: Points of accuracy lost in any class.

    @property
    def bound(self) -> float:
        """The loss or harm as a share."""
        return self.max_points / 100


def wealth(differences: Array, max_loss: float, bet: float) -> float:
    """Logarithm of the wealth of a bet that less than `max_loss` is lost.

    1 is bet at first, and each sample multiplies it by 1 + `bet` x (difference + `max_loss`). Where
    the mean loss is `max_loss` or more, the wealth is at most 1 on average, for independent
    samples, of one distribution or not, as long as no factor is negative: so it reaches 1 / delta
    with a probability of delta at most (Waudby-Smith & Ramdas 2024, "Estimating means of bounded
    random variables by betting").

    Parameters
    ----------
    differences : array of shape (n_samples,)
        Gain of the strategy minus that of the last model.
    max_loss : float
        Share above 0.
    bet : float
        Chosen without these samples; at most 1 / (largest possible loss of a sample - `max_loss`).

    >>> bool(wealth(np.zeros(300), 0.01, 1 / 0.99) > np.log(1 / 0.05))
    True
    """
    return float(np.log1p(bet * (differences + max_loss)).sum())


def best_bet(differences: Array, max_loss: float, largest: float) -> float:
    """The bet that makes most of tuning samples, and of one more that loses the `largest` loss."""
    known = np.append(np.maximum(differences, -largest), -largest)
    bets = _BETS / (largest - max_loss)
    return float(bets[np.argmax([wealth(known, max_loss, bet) for bet in bets])])


def refuse_uncertifiable(metric: Metric, max_class_loss: float | None, is_grouped: bool) -> None:
    """Raise a `TargetError` where no test certifies what is asked for, whatever the samples."""
    if not metric.is_mean:
        raise TargetError(
            f"{metric.name} can't be certified: it is no mean of losses of single samples",
            "Certify accuracy, balanced_accuracy or a cost_matrix, perhaps with max_class_loss.",
            target="metric",
        )
    if is_grouped and (metric.name != "accuracy" or max_class_loss is not None):
        is_metric = max_class_loss is None
        raise TargetError(
            f"{metric.name if is_metric else 'max_class_loss'} can't be certified where samples "
            "come in groups; the harm in accuracy can",
            "Give max_harm alone.",
            target="metric" if is_metric else "max_class_loss",
        )


def from_safe_to_cheap(
    tuning: Outcomes,
    metric: Metric,
    settings_per_chain: int,
    longest: int | None = None,
    max_class_loss: float | None = None,
) -> list[OperatingPoint]:
    """The order in which cascades are tested: by harm, of all classes alike if each is limited.

    The last model alone, and the frontier of harm. Where classes or samples weigh differently, the
    few that weigh most say little of the cascade that comes first: in front of it are those that
    accept, by each of its models, a tenth of the samples that it does, two tenths, and so on.
    """
    if max_class_loss is not None:
        metric = Metric("balanced_accuracy")
    unharmed = metric.weighed(tuning).unharmed()
    points = safe_to_cheap(search(unharmed, settings_per_chain, longest), unharmed)
    if metric.name == "accuracy" or len(points) < 2:
        return points
    first = points[1].strategy
    columns = [tuning.confidence[:, tuning.pool.index(model)] for model in first.models[:-1]]
    pairs = list(zip(columns, first.thresholds[:-1], strict=True))
    for share in np.arange(0.9, 0.0, -0.1) if pairs else ():
        safer = [
            float(np.quantile(column[column >= threshold], 1 - share, method="higher"))
            for column, threshold in pairs
        ]
        points.insert(1, evaluate(replace(first, thresholds=(*safer, 0.0)), unharmed))
    return points


def settings_certified(
    of: Measure,
    metric: Metric,
    points: Sequence[OperatingPoint],
    tuning: Outcomes,
    certification: Outcomes,
    limits: Limits,
    groups: Array | None = None,
) -> tuple[int, list[float]]:
    """How many settings, from the start, are certified to keep to all limits.

    Parameters
    ----------
    of : {"loss", "harm"}
        Of groups, and then of accuracy alone: harm.
    points : sequence of OperatingPoint
        Settings from safe to cheap, by the tuning samples; the last model alone in front, which
        takes that there is no `shortage`.
    groups : array of shape (n_samples,), optional
        As in `certification.losses`.

    Returns
    -------
    int, list of float
        Their number, and the loss or harm of each on the certification samples, a share. Of
        balanced accuracy these are means over classes, given how many samples there are of each.
    """
    if metric.name == "accuracy":
        count, risks = _accuracy_certified(of, points, certification, limits, groups)
    else:
        count, risks = _weighed_certified(of, metric, points, tuning, certification, limits)
    if limits.max_class_loss is not None:
        count = _classes_certified(points[:count], certification, limits)
    return count, risks[:count]


def _accuracy_certified(
    of: Measure,
    points: Sequence[OperatingPoint],
    outcomes: Outcomes,
    limits: Limits,
    groups: Array | None,
) -> tuple[int, list[float]]:
    n, bound = len(outcomes) if groups is None else len(np.unique(groups)), limits.bound
    n_harmed, n_gained, risks = list[float](), list[int](), list[float]()
    for point in points:
        changes = differences(point.strategy, outcomes)
        n_harmed.append(float(losses(changes < 0, groups).sum()))
        n_gained.append(int((changes > 0).sum()))
        risks.append((n_harmed[-1] - (n_gained[-1] if of == "loss" else 0)) / n)
        if risks[-1] > bound:  # testing stops here at the latest
            break
    harmed, bounds = np.array(n_harmed), np.array([bound])
    if groups is None:
        counts = harmed.astype(int), np.array(n_gained)
        return int(certified_up_to(of, *counts, n, bounds, limits.delta)[0]), risks
    return int(harm_certified_up_to(harmed, n, bounds, limits.delta, binary=False)[0]), risks


def _weighed_certified(
    of: Measure,
    metric: Metric,
    points: Sequence[OperatingPoint],
    tuning: Outcomes,
    certification: Outcomes,
    limits: Limits,
) -> tuple[int, list[float]]:
    if weighed_limit(metric, certification.y, limits.delta) > limits.bound:
        return 0, []
    weighed, known = metric.weighed(certification), metric.weighed(tuning)
    largest, risks = _largest_loss(metric, certification.y), [0.0]
    for point in points[1:]:
        there, here = (_differences(of, point.strategy, each) for each in (known, weighed))
        bet = best_bet(there, limits.bound, largest)
        if wealth(here, limits.bound, bet) < np.log(1 / limits.delta):
            break
        risks.append(-float(here.mean()))
    return len(risks), risks


def _differences(of: Measure, strategy: Strategy, weighed: Outcomes) -> Array:
    """By sample the gain of the strategy minus that of the last model; of harm only losses."""
    gains = decide(strategy, weighed).correct(weighed).astype(float)
    values = gains - weighed.correct[:, -1]
    return np.asarray(values.clip(max=0) if of == "harm" else values)


def _classes_certified(points: Sequence[OperatingPoint], outcomes: Outcomes, limits: Limits) -> int:
    """By the exact test of `eco.strategies.noninferiority` on the samples of each class."""
    assert limits.max_class_loss is not None
    labels, numbers, sizes = np.unique(outcomes.y, return_inverse=True, return_counts=True)
    bound = limits.max_class_loss / 100
    needed = {size: gains_needed(size, bound, limits.delta) for size in set(sizes.tolist())}
    for place, point in enumerate(points):
        changes = differences(point.strategy, outcomes)
        harmed, gained = (
            np.bincount(numbers, changes == sign, len(labels)).astype(int) for sign in (-1, 1)
        )
        triples = zip(sizes.tolist(), harmed, gained, strict=True)
        if any(gains < needed[size][harms] for size, harms, gains in triples):
            return place
    return len(points)


def weighed_limit(metric: Metric, y: Array, delta: float) -> float:
    """The loss that samples certify of which none is lost or gained, a share."""
    return _largest_loss(metric, y) * (1 - delta ** (1 / len(y))) if len(y) else 1.0


def _largest_loss(metric: Metric, y: Array) -> float:
    """Of one sample."""
    return float(class_weights(y).max()) if metric.name == "balanced_accuracy" else 1.0


def shortage(
    metric: Metric, y: Array, classes: Mapping[int, str], target: str, limits: Limits
) -> TargetError | None:
    """Why samples with labels `y` are too few to certify any limit but that on accuracy.

    `classes` are the names, by label, of those that a certificate is to cover; `target` is the
    parameter that `limits.max_points` comes from. None if there are enough.
    """
    counts = {label: int((y == label).sum()) for label in classes}
    label = min(counts, key=lambda each: counts[each])
    n, delta, bound = counts[label], limits.delta, limits.bound
    scarce = f" of every class; got {n:,} of class {classes[label]}"
    points = limits.max_class_loss
    if points is not None and (not n or gains_needed(n, points / 100, delta)[0] > 0):
        needed = samples_needed_for_loss(points / 100, delta)
        attainable = loss_limit(0, 0, n, delta) if n else 1.0
        what = ("max_class_loss", points, "accuracy in each class", needed, scarce, attainable)
        return _too_few(*what, delta)
    attainable = weighed_limit(metric, y, delta) if n else 1.0
    if metric.name == "accuracy" or attainable <= bound:
        return None
    needed, found = samples_needed("harm", bound, delta), f"; got {len(y):,}"
    if metric.name == "balanced_accuracy":
        needed, found = int(np.ceil(np.log(1 / delta) / (len(counts) * bound))), scarce
    return _too_few(target, limits.max_points, metric.words, needed, found, attainable, delta)


def _too_few(
    target: str,
    max_points: float,
    words: str,
    needed: int,
    found: str,
    attainable: float,
    delta: float,
) -> TargetError:
    attainable = float(np.ceil(1e4 * attainable) / 100)
    return TargetError(
        f"{target} of {max_points:g} points of {words} takes, with probability {1 - delta:.10g}, "
        f"{needed:,} samples at least that took part in no tuning{found}",
        f"Give more, or certify {attainable:.2f} points.",
        target=target,
        attainable=attainable,
    )
