"""The explorer of the page: what the page needs to run any cascade as exactly as Python does."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.report.rows import CASCADES, Row, Rows, strategy_of
from eco.strategies.confidence import DECIMALS
from eco.strategies.outcomes import Outcomes
from eco.strategies.strategy import OperatingPoint, Strategy

Array = NDArray[Any]


#: What is paid and what is answered: joules and samples, unless told otherwise. ``scale``: units
#: in one of those that energies are in.
WORDS: Row = {"cost": "energy", "samples": "samples", "unit": "µJ", "scale": 1e6}


def data(
    outcomes: Outcomes,
    frontier: Sequence[OperatingPoint],
    reference_accuracy: float,
    strategies: Rows,
    words: Row = WORDS,
) -> dict[str, Any]:
    """What the page needs to run any cascade on the test samples, for JSON.

    Confidences are multiples of 0.0001; whether an answer is correct is a bit. Arrays are bytes,
    one model after the other. The frontier and the accuracy of the last model are those of the
    tuning samples.
    """
    pool, energy_j = outcomes.pool, outcomes.energy_j
    return {
        "pool": list(pool),
        "energy_j": energy_j.tolist(),
        "confidence": _packed(np.rint(outcomes.confidence.T * 10**DECIMALS), "<u2"),
        "correct": _packed(np.packbits(outcomes.correct.T, axis=1), "u1"),
        "reference_accuracy": reference_accuracy,
        "frontier": [
            setting(point.strategy, pool)
            | {"accuracy": point.accuracy, "energy_share": point.energy_j / energy_j[-1]}
            for point in frontier
        ],
        "settings": settings(strategies, pool),
        "words": dict(words),
    }


def settings(strategies: Rows, pool: Sequence[str]) -> list[dict[str, Any]]:
    """The cascades that get a button; equal ones share it."""
    names: dict[Strategy, list[str]] = {}
    for row in strategies:
        strategy = strategy_of(row)
        if row["strategy"] in CASCADES and strategy:
            names.setdefault(strategy, []).append(row["name"])
    return [
        {"name": " = ".join(equal)} | setting(strategy, pool) for strategy, equal in names.items()
    ]


def setting(strategy: Strategy, pool: Any) -> dict[str, Any]:
    """Indices and thresholds of the models of a cascade."""
    chain = [pool.index(model) for model in strategy.models]
    return {"chain": chain, "thresholds": list(strategy.thresholds)}


def _packed(values: Array, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(dtype).tobytes()).decode()
