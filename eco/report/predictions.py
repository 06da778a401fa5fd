"""The page, the pictures and the JSON files of a study of predictions that somebody brought."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from eco.evaluation.targets import subset
from eco.predictions.study import Study, in_costs, metrics
from eco.report import charts, explorer, html
from eco.report.rows import Rows, strategy_of
from eco.report.style import STYLE, model_colours, spaced
from eco.report.tables import figure, labelled, with_interval
from eco.strategies.strategy import OperatingPoint

#: Test samples in the explorer; of more, so many are drawn.
EXPLORED = 100_000
#: Where the settings and results stand.
RESULTS = "metrics.json"
#: All that a study holds.
FILES = (RESULTS, "frontier.json", "accuracy_cost.png", "shares.png", "report.html")


def contents(study: Study, about: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file; `about` says how the study was made."""
    pool = study.test.pool
    made = (
        _json(about | metrics(study)),
        _json([in_costs(_point(point, study.tuned.metric)) for point in study.tuned.frontier]),
        charts.draw("accuracy_energy", study.points, pool, cost="cost"),
        charts.draw("shares", study.shares, pool),
        render(study, about),
    )
    yield from zip(FILES, made, strict=True)


def _point(point: OperatingPoint, metric: str) -> dict[str, Any]:
    """A point of the frontier of a metric, as JSON values."""
    return {key.replace("accuracy", metric): value for key, value in point.to_json().items()}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def render(study: Study, about: dict[str, Any]) -> bytes:
    """The page as HTML."""
    test, n_explored = study.test, min(len(study.test), EXPLORED)
    if n_explored < len(test):
        rows = np.random.default_rng(0).choice(len(test), n_explored, replace=False)
        test = subset(test, np.sort(rows))
    words = {"cost": "cost", "samples": "samples", "unit": study.unit, "scale": 1.0}
    data = explorer.data(test, study.frontier, study.reference_accuracy, study.strategies, words)
    data |= {"points": _shown(study.points), "shares": _shown(study.shares)}
    pool = test.pool
    page = html.environment().get_template("predictions.html.j2").render(
        study=study,
        about=about,
        pool=pool,
        last=pool[-1],
        words=words,
        buttons=data["settings"],
        n_explored=n_explored,
        tuned=next(row for row in study.strategies if row["name"] == "tuned"),
        certified={row["name"]: row for row in study.strategies if row["name"] in study.certified},
        compared=compared(study, [*study.models, *study.oracles, *study.strategies]),
        realised=realised(study),
        by_metric=by_metric(study),
        **html.assets(data | {"style": STYLE | {"models": model_colours(pool)}}),
    )  # fmt: skip
    return page.encode()


def compared(study: Study, rows: Rows) -> pd.DataFrame:
    """Models, oracles and cascades side by side."""
    return pd.DataFrame(
        {
            "strategy": label,
            "accuracy": with_interval(row, "accuracy", ".2%"),
            "points lost": with_interval(row, "accuracy_loss_points", ".2f"),
            "cost share": with_interval(row, "energy_share", ".4f"),
            f"cost, {study.unit}": figure(row, "energy_j", ".4g"),
            "setting": strategy.describe()
            if (strategy := strategy_of(row)) and "kind" in row
            else "",
        }
        for label, row in labelled(rows)
    )


def by_metric(study: Study) -> pd.DataFrame:
    """Models and cascades in the metric, and the class of which each loses most."""
    return pd.DataFrame(
        {
            "strategy": label,
            study.metric.words: figure(row, "value", ".2%"),
            "points lost": with_interval(row, "loss_points", ".2f"),
            "class that loses most": row["class"],
            "points it loses": figure(row, "class_loss_points", ".2f"),
        }
        for label, row in labelled(study.by_metric)
    )


def realised(study: Study) -> pd.DataFrame:
    """What cascades cost on the test samples, where costs differ from sample to sample."""
    modelled = {row["name"]: row for row in study.strategies}
    return pd.DataFrame(
        {
            "cascade": name,
            f"{study.unit}, by mean costs": figure(modelled[name], "energy_j", ".4g"),
            f"{study.unit}, realised": f"{row['cost']:.4g}",
            "share of the last, by mean costs": figure(modelled[name], "energy_share", ".4f"),
            "share of the last, realised": f"{row['cost_share']:.4f}",
        }
        for name, row in study.realised.items()
    )


def _shown(rows: Rows) -> list[dict[str, Any]]:
    """Rows as the pictures of the page take them: plain values, names as people read them."""
    names = ("point", "strategy", "label")
    return [
        {
            key: spaced(value) if key in names and isinstance(value, str) else value
            for key, value in row.items()
            if not isinstance(value, list | dict)
        }
        for row in rows
    ]
