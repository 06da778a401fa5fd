"""Tuned and certified cascades of models whose predictions are at hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError, EcoError, TargetError
from eco.evaluation.scoring import Score, score
from eco.predictions.arguments import columns_of
from eco.predictions.columns import checked, numbers
from eco.predictions.division import Part, divide
from eco.strategies.certification import (
    Measure,
    NotCertified,
    certified_up_to,
    differences,
    harm_certified_up_to,
    losses,
    safe_to_cheap,
    samples_needed,
)
from eco.strategies.confidence import DECIMALS, Signal
from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.strategies.tuning import evaluate, for_target, frontier, with_last

Array = NDArray[Any]


@dataclass(frozen=True)
class Goals:
    """What cascades are to keep to, and how widely they are searched.

    Raises `EcoError` where a number is out of its range.
    """

    max_accuracy_loss: float = 0.5  #: Percentage points below the last model.
    cost_budget: float | None = None  #: Share of the last model's cost; instead of a loss.
    max_loss: float = 0.5  #: Percentage points that are certified.
    max_harm: float = 0.5  #: Percentage points that are certified.
    delta: float = 0.05  #: Probability with which a certificate may be wrong.
    margin_se: float = 1.0  #: As in `eco.strategies.tuning.for_loss`.
    settings_per_chain: int = 3_000  #: As in `eco.strategies.tuning.frontier`.
    longest_chain: int = 4

    def __post_init__(self) -> None:
        for name, (holds, rule) in _RANGES.items():
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if not ((is_number and holds(value)) or (value is None and name == "cost_budget")):
                raise EcoError(f"{name} must be {rule}; got {value!r}")


#: What a number must be, as a function and in words.
_RANGES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "max_accuracy_loss": (lambda x: 0 <= x < 100, "points from 0 to below 100"),
    "cost_budget": (
        lambda x: 0 < x <= 1, "a share of the last model's cost, above 0 and at most 1",
    ),
    "max_loss": (lambda x: 0 < x < 100, "points above 0 and below 100"),
    "max_harm": (lambda x: 0 < x < 100, "points above 0 and below 100"),
    "delta": (lambda x: 0 < x < 1, "a probability above 0 and below 1"),
    "margin_se": (lambda x: 0 <= x < np.inf, "standard errors, 0 or more"),
    "settings_per_chain": (lambda x: 1 <= x < np.inf, "1 or more"),
    "longest_chain": (lambda x: 1 <= x < np.inf, "1 or more"),
}  # fmt: skip


@dataclass(frozen=True)
class _Found:
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
class Tuned(_Found):
    """The cascade that meets a target on the samples it was tuned on.

    ``frontier`` holds all cascades that no other one beats there, by rising cost.
    """

    accuracy: float
    accuracy_loss_points: float  #: Percentage points below the last model.


@dataclass(frozen=True)
class Certified(_Found):
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
    margin_se: float = 1.0,
    settings_per_chain: int = 3_000,
    longest_chain: int = 4,
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

    Examples
    --------
    >>> confidence = [[0.9, 0.9], [0.8, 0.9], [0.3, 0.9], [0.2, 0.9]]
    >>> correct = [[1, 1], [1, 1], [0, 1], [0, 1]]
    >>> tuned = tune({"small": 1, "large": 9}, confidence=confidence, correct=correct)
    >>> tuned.models, tuned.thresholds, tuned.cost
    (('small', 'large'), (0.8, 0.0), 5.5)
    """
    goals = Goals(max_accuracy_loss, cost_budget, margin_se=margin_se,
                  settings_per_chain=settings_per_chain, longest_chain=longest_chain)  # fmt: skip
    outcomes = checked(columns_of(costs, confidence, correct, probabilities, y), signal).outcomes
    return tuned(outcomes, frontier(outcomes, settings_per_chain, longest_chain), goals)


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
    max_loss: float = 0.5,
    max_harm: float | None = None,
    delta: float = 0.05,
    settings_per_chain: int = 3_000,
    longest_chain: int = 4,
    seed: int = 42,
) -> Certified:
    """Find the cheapest cascade whose loss is certified, from predictions; raises as `tune` does.

    Parameters
    ----------
    costs, confidence, correct, probabilities, y, signal, settings_per_chain, longest_chain
        As in `tune`.
    split : array-like of shape (n_samples,), optional
        ``"tuning"`` or ``"certification"``: settings are ordered on the one and tested on the
        other. Without it half of the samples, or of the groups, do each, drawn by `seed`.
    groups : array-like of shape (n_samples,), optional
        What samples belong together; a certificate counts groups then.
    time : array-like of shape (n_samples,), optional
        Numbers, or dates as ISO 8601 writes them: without `split`, or with tuning samples alone,
        the earlier half tunes and the later one certifies.
    max_loss : float
        Percentage points of accuracy below the last model's.
    max_harm : float, optional
        In its place, and stricter: points of samples that only the last model has right. With
        groups it must be given.
    delta : float
        Probability with which the certificate may be wrong.
    seed : int
        Of the random division.
    """
    of: Measure = "loss" if max_harm is None else "harm"
    goals = Goals(max_loss=max_loss, max_harm=0.5 if max_harm is None else max_harm, delta=delta,
                  settings_per_chain=settings_per_chain, longest_chain=longest_chain)  # fmt: skip
    if groups is not None and of == "loss":
        raise EcoError(
            "max_harm must be a number where samples come in groups: for groups only harm can be "
            "certified, not max_loss; got None"
        )
    columns = columns_of(costs, confidence, correct, probabilities, y, split, groups, time)
    parts = divide(checked(columns, signal), ("tuning", "certification"), (0.5, 0.5), seed)
    points = frontier(parts["tuning"].outcomes.unharmed(), settings_per_chain, longest_chain)
    return certified(of, points, parts["tuning"].outcomes, parts["certification"], goals)


def tuned(outcomes: Outcomes, points: Sequence[OperatingPoint], goals: Goals) -> Tuned:
    """The point of a frontier that meets the target on the samples it was found on."""
    last = evaluate(always(outcomes.pool[-1]), outcomes)
    target: Literal["max_accuracy_loss", "energy_budget"] = "energy_budget"
    if goals.cost_budget is None:
        target = "max_accuracy_loss"
    try:
        point = for_target(
            with_last(points, last), target, goals.max_accuracy_loss, goals.cost_budget or 1.0,
            last.accuracy, last.energy_j, goals.margin_se,
        )  # fmt: skip
    except TargetError as error:
        raise TargetError(
            f"no cascade is within a budget of {goals.cost_budget} of the last model's cost; the "
            f"least that can be met is {error.attainable:.4f}",
            "Raise the budget.",
            target="cost_budget",
            attainable=error.attainable,
        ) from None
    return Tuned(
        **_found(point, outcomes, points),
        accuracy=point.accuracy,
        accuracy_loss_points=100 * (last.accuracy - point.accuracy),
    )


def certified(
    of: Measure,
    harm_frontier: Sequence[OperatingPoint],
    tuning: Outcomes,
    certification: Part,
    goals: Goals,
) -> Certified:
    """The cheapest cascade of a frontier of harm that is certified for its loss or its harm."""
    ordered = safe_to_cheap(harm_frontier, tuning.unharmed())
    outcomes, groups = certification.outcomes, certification.groups
    n = len(outcomes) if groups is None else len(np.unique(groups))
    max_points = goals.max_loss if of == "loss" else goals.max_harm
    bound, risks = np.array([max_points / 100]), list[float]()
    n_harmed, n_gained = list[float](), list[int]()
    for point in ordered:
        changes = differences(point.strategy, outcomes)
        n_harmed.append(float(losses(changes < 0, groups).sum()))
        n_gained.append(int((changes > 0).sum()))
        risks.append((n_harmed[-1] - (n_gained[-1] if of == "loss" else 0)) / n)
        if risks[-1] > bound[0]:  # testing stops here at the latest
            break
    if groups is None:
        up_to = certified_up_to(
            of, np.array(n_harmed, int), np.array(n_gained), n, bound, goals.delta
        )
    else:
        up_to = harm_certified_up_to(np.array(n_harmed), n, bound, goals.delta, binary=False)
    count = int(up_to[0])
    if not count:
        raise _not_certified(of, max_points, goals.delta, n, groups is not None)
    return Certified(
        **_found(ordered[count - 1], tuning, ordered[:count]),
        of=of,
        max_points=max_points,
        delta=goals.delta,
        on_certification=risks[count - 1],
        n_samples=n,
        settings_certified=count,
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


def _found(
    point: OperatingPoint, outcomes: Outcomes, points: Sequence[OperatingPoint]
) -> dict[str, Any]:
    return {
        "models": point.strategy.models,
        "thresholds": point.strategy.thresholds,
        "cost": point.energy_j,
        "cost_share": point.energy_j / float(outcomes.energy_j[-1]),
        "costs": dict(zip(outcomes.pool, outcomes.energy_j.tolist(), strict=True)),
        "frontier": tuple(points),
    }
