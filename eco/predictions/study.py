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
from eco.evaluation.frontier import FrontierEvaluation, evaluate_frontier
from eco.evaluation.scoring import misordered_pairs
from eco.predictions.division import Part, sizes
from eco.predictions.search import Certified, Goals, Tuned, certified, tuned
from eco.strategies.baselines import RULES
from eco.strategies.certification import MEASURES, Measure
from eco.strategies.decisions import decide
from eco.strategies.names import CERTIFIED, OTHER_CERTIFIED
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy
from eco.strategies.tuning import frontier, undominated

#: Models of the largest pool that votes: there are twice as many chains for each more.
VOTERS = 10

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Study:
    """What was found on the tuning samples, certified, and scored on the test samples."""

    goals: Goals
    unit: str  #: Of costs.
    n_samples: Mapping[str, int]
    test: Outcomes
    reference_accuracy: float  #: Of the last model on the tuning samples.
    frontier: Sequence[OperatingPoint]
    tuned: Tuned
    #: By name, ``certified`` of what was asked for first.
    certified: Mapping[str, Certified | TargetError]
    models: Rows
    oracles: Rows
    evaluation: FrontierEvaluation
    #: Cost on the test samples, where it differs from sample to sample.
    realised: Mapping[str, Mapping[str, float]]
    misordered: Sequence[tuple[str, str]]  #: Neighbours in the pool of which the first costs more.

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
    progress("searching the frontier")
    points = {"accuracy": frontier(tuning, goals.settings_per_chain, goals.longest_chain)}
    # Voting takes labels, which aren't known for all predictions, and tries every chain.
    can_vote = bool(classes) and len(tuning.pool) <= VOTERS
    rules = {name: rule for name, rule in RULES.items() if can_vote or name != "agreement voting"}
    points |= {name: rule(tuning) for name, rule in rules.items()}
    others = [point for name in rules if name != "agreement voting" for point in points[name]]
    points["accuracy"] = undominated([*points["accuracy"], *others])
    found = tuned(tuning, points["accuracy"], goals)
    progress("certifying")
    certificates = _certified(tuning, parts["certification"], goals)
    strategies = {"tuned": found.strategy} | {
        name: each.strategy for name, each in certificates.items() if isinstance(each, Certified)
    }
    progress("scoring on the test samples")
    evaluation = evaluate_frontier(
        test, points, tuning.reference_accuracy, goals.margin_se, {}, strategies, test.pool,
        classes or ["all"],
    )  # fmt: skip
    return Study(
        goals=goals,
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
    )


def _certified(
    tuning: Outcomes, certification: Part, goals: Goals
) -> dict[str, Certified | TargetError]:
    """Certificates of the loss and of the harm, by name; of groups only harm can be certified."""
    points = frontier(tuning.unharmed(), goals.settings_per_chain, goals.longest_chain)
    measures: tuple[Measure, ...] = MEASURES if certification.groups is None else ("harm",)
    certificates: dict[str, Certified | TargetError] = {}
    for of in measures:
        name = OTHER_CERTIFIED[of] if certificates else CERTIFIED
        try:
            certificates[name] = certified(of, points, tuning, certification, goals)
        except TargetError as error:
            certificates[name] = error
    return certificates


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
    keys = ("of", "max_points", "delta", "on_certification", "n_samples", "settings_certified")
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


_ABOUT = ("strategy", "name", "label", "share", "accuracy_on_share")


def in_costs(value: Any) -> Any:
    """Rows whose energies, in J elsewhere, are costs in any one unit."""
    if isinstance(value, Mapping):
        return {
            key.replace("energy_j", "cost").replace("energy", "cost"): in_costs(inner)
            for key, inner in value.items()
            if not (key == "worst_class" and inner["class"] == "all")
        }
    return value
