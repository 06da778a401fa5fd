"""A study of predictions: frontier, tuned and certified cascades, rules of others, bounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eco.errors import TargetError
from eco.evaluation.calibration import calibration_error
from eco.evaluation.comparison import (
    model_rows,
    oracle_metrics,
    oracle_rows,
    point_rows,
    share_rows,
)
from eco.evaluation.frontier import Z_95, FrontierEvaluation, evaluate_frontier
from eco.evaluation.scoring import misordered_pairs
from eco.predictions.division import Part, sizes
from eco.predictions.found import Certified, Tuned
from eco.predictions.goals import Goals
from eco.predictions.search import certified, searched, tuned
from eco.strategies.baselines import RULES
from eco.strategies.bounded import from_safe_to_cheap, refuse_uncertifiable
from eco.strategies.certification import MEASURES, Measure
from eco.strategies.decisions import decide
from eco.strategies.metrics import Metric, class_losses
from eco.strategies.names import CERTIFIED, OTHER_CERTIFIED, TUNED
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.strategies.tuning import frontier, undominated

#: Models of the largest pool that votes: there are twice as many chains for each more.
VOTERS = 10

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Study:
    """What was found on the tuning samples, certified, and scored on the test samples."""

    goals: Goals
    metric: Metric
    unit: str  #: Of costs.
    n_samples: Mapping[str, int]
    test: Outcomes
    reference_accuracy: float  #: Of the last model on the tuning samples.
    frontier: Sequence[OperatingPoint]  #: Of accuracy.
    tuned: Tuned
    #: By name, ``certified`` of what was asked for first.
    certified: Mapping[str, Certified | TargetError]
    models: Rows
    oracles: Rows
    evaluation: FrontierEvaluation
    #: Cost on the test samples, where it differs from sample to sample.
    realised: Mapping[str, Mapping[str, float]]
    misordered: Sequence[tuple[str, str]]  #: Neighbours in the pool of which the first costs more.
    by_metric: Rows  #: Of models and cascades, where not accuracy alone counts.

    @property
    def strategies(self) -> Rows:
        """Rows of the cascades, whose own figures `energy_j` are costs."""
        return [each.to_row() for each in self.evaluation.strategies]

    @property
    def points(self) -> Rows:
        """Rows of the picture of accuracy over cost."""
        drawn = [row for row in self.strategies if row["strategy"] in ("tuned", "certified")]
        rows = point_rows([*self.models, *drawn, *self.oracles], self.test)
        return [*rows, *self.evaluation.curve_rows]

    @property
    def shares(self) -> Rows:
        """Rows of the picture of who answers."""
        named = [row for row in self.strategies if row["strategy"] in ("tuned", "certified")]
        return share_rows([*named, *self.oracles], self.test.pool)


def run(
    parts: Mapping[str, Part],
    classes: Sequence[str],
    goals: Goals,
    unit: str = "",
    progress: Callable[[str], object] = lambda _: None,
) -> Study:
    """Tune, certify and score on the parts; `classes` are empty if unknown."""
    tuning, test = parts["tuning"].outcomes, parts["test"].outcomes
    metric, is_plain = goals.metric_of(classes), goals.is_accuracy and goals.max_class_loss is None
    progress("searching the frontier")
    points = {"accuracy": frontier(tuning, goals.settings_per_chain, goals.longest_chain)}
    # Voting takes labels, which aren't known for all predictions, and tries every chain.
    can_vote = bool(classes) and len(tuning.pool) <= VOTERS
    rules = {name: rule for name, rule in RULES.items() if can_vote or name != "agreement voting"}
    points |= {name: rule(tuning) for name, rule in rules.items()}
    others = [point for name in rules if name != "agreement voting" for point in points[name]]
    points["accuracy"] = undominated([*points["accuracy"], *others])
    candidates = points["accuracy"] if is_plain else searched(tuning, goals, metric)
    found = tuned(tuning, candidates, goals, metric)
    progress("certifying")
    certificates = _certified(tuning, parts["certification"], goals, metric, classes)
    strategies = {TUNED: found.strategy} | {
        name: each.strategy for name, each in certificates.items() if isinstance(each, Certified)
    }
    progress("scoring on the test samples")
    evaluation = evaluate_frontier(
        test, points, tuning.reference_accuracy, goals.margin_se, {}, strategies, test.pool,
        classes or ["all"],
    )  # fmt: skip
    return Study(
        goals=goals,
        metric=metric,
        unit=unit,
        n_samples=sizes(parts),
        test=test,
        reference_accuracy=tuning.reference_accuracy,
        frontier=points["accuracy"],
        tuned=found,
        certified=certificates,
        models=model_rows(test),
        oracles=oracle_rows(test),
        evaluation=evaluation,
        realised=_realised(parts["test"], strategies),
        misordered=misordered_pairs(test.energy_j, test.pool),
        by_metric=[] if is_plain else _by_metric(strategies, test, metric, classes),
    )


def _certified(
    tuning: Outcomes, certification: Part, goals: Goals, metric: Metric, classes: Sequence[str]
) -> dict[str, Certified | TargetError]:
    """Certificates of the loss and of the harm, by name; of groups only harm can be certified."""
    try:
        refuse_uncertifiable(metric, goals.max_class_loss, certification.groups is not None)
    except TargetError as error:
        return {CERTIFIED: error}
    points = from_safe_to_cheap(
        tuning, metric, goals.settings_per_chain, goals.longest_chain, goals.max_class_loss
    )
    measures: tuple[Measure, ...] = MEASURES if certification.groups is None else ("harm",)
    certificates: dict[str, Certified | TargetError] = {}
    for of in measures:
        name = OTHER_CERTIFIED[of] if certificates else CERTIFIED
        try:
            certificates[name] = certified(
                of, points, tuning, certification, goals, metric, classes
            )
        except TargetError as error:
            certificates[name] = error
    return certificates


def _by_metric(
    found: Mapping[str, Strategy], test: Outcomes, metric: Metric, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Figures in the metric, and of the class that loses most, of models and of what was found."""
    compared = [("model", model, always(model)) for model in test.pool]
    compared += [("cascade", *item) for item in found.items()]
    reference, rows = metric.evaluate(always(test.pool[-1]), test).accuracy, []
    for family, name, strategy in compared:
        point = metric.evaluate(strategy, test)
        loss, half_width = 100 * (reference - point.accuracy), 100 * Z_95 * point.accuracy_se
        labels, losses, _ = class_losses(strategy, test)
        row = {"strategy": family, "name": name, "value": point.accuracy, "loss_points": loss}
        row |= {"loss_points_low": loss - half_width, "loss_points_high": loss + half_width}
        most = int(losses.argmax())
        row |= {"class": classes[labels[most]], "class_loss_points": 100 * float(losses[most])}
        rows.append(row)
    return rows


def _realised(test: Part, strategies: Mapping[str, Strategy]) -> dict[str, dict[str, float]]:
    """What strategies cost on the test samples themselves, where costs vary between samples."""
    if test.cost_per_sample is None:
        return {}
    costs, realised = test.cost_per_sample, {}
    for name, strategy in strategies.items():
        cost = float((decide(strategy, test.outcomes).ran * costs).sum(axis=1).mean())
        realised[name] = {"cost": cost, "cost_share": cost / float(costs[:, -1].mean())}
    return realised


def metrics(study: Study) -> dict[str, Any]:
    """The results as JSON values, in the words of costs."""
    test, evaluation = study.test, study.evaluation
    models = {
        row["name"]: {key: value for key, value in row.items() if key not in _ABOUT}
        | {"calibration_error": calibration_error(test.confidence[:, at], test.correct[:, at])}
        for at, row in enumerate(study.models)
    }
    found = dict(evaluation.metrics)
    for row in evaluation.strategies:
        if row.name in ("tuned", *study.certified):
            realised = study.realised.get(row.name, {})
            found[row.name] = row.strategy.to_json() | dict(found[row.name])
            found[row.name] |= {f"realised_{key}": value for key, value in realised.items()}
    for each in study.by_metric:
        of = models if each["strategy"] == "model" else found
        of[each["name"]] = dict(of[each["name"]]) | _figures(each, study.metric.name)
    keys = ["of", "max_points", "delta", "on_certification", "n_samples", "settings_certified"]
    keys += ["metric", "max_class_loss"] if study.by_metric else []
    certificates = {
        name: {key: getattr(each, key) for key in keys}
        if isinstance(each, Certified)
        else {"not_certified": each.problem}
        for name, each in study.certified.items()
    }
    return in_costs(
        {
            "unit": study.unit,
            "samples": dict(study.n_samples),
            "models": models,
            "oracle": oracle_metrics(study.oracles, test),
            "certificates": certificates,
            **found,
        }
    )


def _figures(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Figures of a row of `Study.by_metric` in the words of the metric."""
    lost = {"class": row["class"], "loss_points": row["class_loss_points"]}
    losses = {f"{metric}_{key}": row[key] for key in row if key.startswith("loss_points")}
    return {metric: row["value"]} | losses | {"most_lost_class": lost}


_ABOUT = ("strategy", "name", "label", "share", "accuracy_on_share")


def in_costs(value: Any) -> Any:
    """Rows whose energies, in J elsewhere, are costs in any one unit."""
    if isinstance(value, Mapping):
        return {
            key.replace("energy_se_j", "cost_se")
            .replace("energy_j", "cost")
            .replace("energy", "cost"): in_costs(inner)
            for key, inner in value.items()
            if not (key == "worst_class" and inner["class"] == "all")
        }
    return value
