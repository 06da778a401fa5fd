"""Every model and every strategy side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eco.evaluation.scoring import random_mixing_curve, score
from eco.strategies.decisions import Decisions, decide
from eco.strategies.names import strategy_name
from eco.strategies.oracle import oracle
from eco.strategies.outcomes import Outcomes
from eco.strategies.routing import routed_ran
from eco.strategies.strategy import always

#: Families of strategies that the pictures show.
DRAWN = ("preset", "tuned", "certified", "router", "oracle")
_FIGURES = ("accuracy", "energy_j", "energy_share")
#: What is compared, with the bounds of its 95 % intervals.
COMPARED = (*_FIGURES, *(f"{key}_{end}" for key in _FIGURES for end in ("low", "high")))

#: What points of curves have. DVC draws rows only if the first of them has what any has.
CURVE = ("strategy", "name", "accuracy", "energy_share")

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """Rows of the joint plots, and metrics of the models alone and of the oracle."""

    point_rows: Rows
    share_rows: Rows
    models: Mapping[str, Row]
    oracle: Mapping[str, Any]


def compare(outcomes: Outcomes, scored: Sequence[Row], curves: Rows) -> Comparison:
    """Compare models and oracle, on outcomes of the test split, with strategies scored on them.

    `scored` holds rows of strategies, `curves` points of curves, as the plots have them.
    """
    models, oracles = model_rows(outcomes), oracle_rows(outcomes)
    drawn = [row for row in [*scored, *oracles] if row["strategy"] in DRAWN]
    return Comparison(
        point_rows([*models, *drawn], outcomes)
        + [{key: row[key] for key in CURVE} for row in curves],
        share_rows(drawn, outcomes.pool),
        {row["name"]: {key: row[key] for key in COMPARED} for row in models},
        oracle_metrics(oracles, outcomes),
    )


def model_rows(outcomes: Outcomes) -> Rows:
    """Scores of each model alone, as `ScoredStrategy.to_row` has them."""
    return [
        {"strategy": "model", "name": model, "label": model}
        | score(decide(always(model), outcomes), outcomes).to_row()
        for model in outcomes.pool
    ]


def oracle_rows(outcomes: Outcomes) -> Rows:
    """Scores of the oracle; the rule for samples that no model gets right is the ``label``."""
    rows = []
    for rule in ("last", "cheapest"):
        picked = oracle(outcomes.correct, outcomes.energy_j, rule)
        decisions = Decisions(picked, routed_ran(picked, len(outcomes.pool)))
        row = {"strategy": "oracle", "name": strategy_name("oracle", rule), "label": rule}
        rows.append(row | score(decisions, outcomes).to_row())
    return rows


def oracle_metrics(rows: Iterable[Row], outcomes: Outcomes) -> dict[str, Any]:
    """Accuracy of the oracle, its energy under either rule, and what no model gets right."""
    by_rule = {row["label"]: row for row in rows}
    return {
        "accuracy": by_rule["last"]["accuracy"],
        "none_correct_share": float(1 - outcomes.correct.any(axis=1).mean()),
        "energy_share": {rule: row["energy_share"] for rule, row in by_rule.items()},
    }


def point_rows(rows: Iterable[Row], outcomes: Outcomes) -> Rows:
    """Rows of the plot of accuracy over energy: the points, and the curve of random mixing.

    Of points that coincide the first has the labels of all.
    """
    points: Rows = []
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        point = {key: row[key] for key in ("strategy", "name", *COMPARED, "label")}
        points.append(point)
        place = (row["strategy"], row["accuracy"], row["energy_share"])
        if (leader := first.setdefault(place, point)) is not point:
            leader["label"] = " = ".join(filter(None, (leader["label"], point["label"])))
            point["label"] = ""
    energies, accuracies = random_mixing_curve(outcomes.energy_j, outcomes.correct.mean(axis=0))
    shares = (energies / outcomes.energy_j[-1]).tolist()
    pairs = zip(accuracies.tolist(), shares, strict=True)
    return points + [dict(zip(CURVE, ("random mixing", "", *pair), strict=True)) for pair in pairs]


def share_rows(rows: Iterable[Row], pool: Sequence[str]) -> Rows:
    """Rows of the plot of who answers: each model's share of the samples, and accuracy there."""
    return [
        {
            "point": row["name"],
            "model": model,
            "place": place,
            "share": row["share"][model],
            "accuracy": row["accuracy_on_share"][model],
        }
        for row in rows
        for place, model in enumerate(pool)
    ]
