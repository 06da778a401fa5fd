"""The chosen cascade: its score, what it does to each class, and its footprint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eco.evaluation.footprint import footprint_row
from eco.evaluation.scoring import ScoredStrategy, score
from eco.strategies.decisions import Decisions, decide
from eco.strategies.names import CHOSEN
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import Strategy

Rows = list[dict[str, Any]]

#: Classes whose figures, and classes whose confusions, plots show at most.
MOST_CLASSES, MOST_CONFUSED = 1000, 30


@dataclass(frozen=True)
class CascadeEvaluation:
    """The scored cascade, its metrics with worst class and footprint, and the rows of its plots."""

    scored: ScoredStrategy
    metrics: Mapping[str, Any]
    class_rows: Rows
    confusion_rows: Rows


def evaluate_cascade(
    strategy: Strategy,
    outcomes: Outcomes,
    class_names: Sequence[str],
    extra_j: float,
    grid_g_per_kwh: float,
) -> CascadeEvaluation:
    """Evaluate a cascade on outcomes of the test split; energies as in `footprint_row`."""
    decisions = decide(strategy, outcomes)
    pairs = zip(strategy.models, strategy.thresholds, strict=True)
    text = " -> ".join(f"{model} {threshold:g}" for model, threshold in pairs)
    scored = ScoredStrategy(
        CHOSEN, CHOSEN, strategy, score(decisions, outcomes), CHOSEN, {"cascade": text}
    )
    class_rows = by_class(decisions, outcomes, class_names)
    metrics, last_j = scored.metrics(), float(outcomes.energy_j[-1])
    metrics |= {
        "worst_class": worst_class(class_rows),
        "footprint": footprint_row(metrics, last_j, extra_j, grid_g_per_kwh),
    }
    labels = outcomes.labels[np.arange(len(outcomes)), decisions.answered_by]
    confusion = confusion_rows(outcomes.y, labels, class_names)
    return CascadeEvaluation(scored, metrics, losing_most(class_rows), confusion)


def by_class(decisions: Decisions, outcomes: Outcomes, class_names: Sequence[str]) -> Rows:
    """Figures of each class that has samples, in label order.

    ``accuracy``; ``accuracy_loss_points`` below the last model; ``energy_share`` of the last
    model's, without a router's own; ``last_model_share``, how often that one ran.
    """
    correct, energy_j, rows = decisions.correct(outcomes), outcomes.energy_j, []
    for label in np.unique(outcomes.y):
        members = outcomes.y == label
        accuracy, ran = correct[members].mean(), decisions.ran[members].mean(axis=0)
        figures = {
            "accuracy": accuracy,
            "accuracy_loss_points": 100 * (outcomes.correct[members, -1].mean() - accuracy),
            "energy_share": ran @ energy_j / energy_j[-1],
            "last_model_share": ran[-1],
        }
        values = {key: float(value) for key, value in figures.items()}
        rows.append({"class": class_names[label]} | values)
    return rows


def losing_most(rows: Rows, most: int = MOST_CLASSES) -> Rows:
    """The rows of the classes that lose most accuracy, in label order."""
    by_loss = sorted(range(len(rows)), key=lambda i: -rows[i]["accuracy_loss_points"])
    return [rows[i] for i in sorted(by_loss[:most])]


def worst_class(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``class`` and ``accuracy_loss_points`` of the class that loses most."""
    worst = max(rows, key=lambda row: row["accuracy_loss_points"])
    return {key: worst[key] for key in ("class", "accuracy_loss_points")}


def confusion_rows(y: Array, labels: Array, class_names: Sequence[str]) -> Rows:
    """Number of samples of each true class that were given each label.

    Of more than `MOST_CONFUSED` classes, those that are taken for others, or others for them, most.
    """
    wrong, n_classes = y != labels, len(class_names)
    n_wrong = sum(np.bincount(each[wrong], minlength=n_classes) for each in (y, labels))
    shown = np.sort(np.argsort(-n_wrong, kind="stable")[:MOST_CONFUSED])
    return [
        {
            "actual": class_names[actual],
            "predicted": class_names[predicted],
            "samples": int(((y == actual) & (labels == predicted)).sum()),
        }
        for actual in shown
        for predicted in shown
    ]
