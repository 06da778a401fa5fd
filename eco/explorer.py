"""The explorer of the report: what the page needs to run any cascade, and its controls."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Row = Mapping[str, Any]

#: Strategies that are one cascade, in the order in which the page would rather speak of them.
CASCADES = ("tuned", "certified", "preset")


def data(
    confidence: Array,
    labels: Array,
    y: Array,
    energy_j: Array,
    pool: Sequence[str],
    found: Sequence[Row],
    reference: float,
    strategies: Sequence[Row],
) -> dict[str, Any]:
    """What the page needs to run any cascade on the test samples, as exactly as Python does.

    Parameters
    ----------
    confidence : array of shape (n_samples, n_models)
        Multiples of 0.0001.
    labels : array of shape (n_samples, n_models)
        What each model answers.
    y : array of shape (n_samples,)
    energy_j : array of shape (n_models,)
        J per sample.
    pool : sequence of str
    found : sequence of mapping
        Cascades that no other beats on the tuning samples, by rising energy.
    reference : float
        Accuracy of the last model there.
    strategies : sequence of mapping
        Those that are one cascade become buttons.

    Returns
    -------
    dict
        For JSON. Arrays are bytes, one model after the other.
    """
    return {
        "pool": list(pool),
        "energy_j": energy_j.tolist(),
        "confidence": _packed(np.rint(confidence.T * 10_000), "<u2"),
        "labels": _packed(labels.T, "u1"),
        "truth": _packed(y, "u1"),
        "reference": reference,
        "frontier": [
            {
                "chain": [pool.index(model) for model in row["models"]],
                "thresholds": row["thresholds"],
                "accuracy": row["accuracy"],
                "share": row["energy_j"] / energy_j[-1],
            }
            for row in found
        ],
        "settings": settings_of(strategies, pool),
    }


def _packed(values: Array, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode()


def settings_of(strategies: Sequence[Row], pool: Sequence[str]) -> list[dict[str, Any]]:
    """The cascades that get a button; those that are the same one share it."""
    at: dict[str, dict[str, Any]] = {}
    for row in strategies:
        if row["strategy"] in CASCADES:
            chain, thresholds = chain_of(row, pool)
            setting = {"name": row["name"], "chain": chain, "thresholds": thresholds}
            known = at.setdefault(f"{chain}{thresholds}", setting)
            known["name"] += f" = {row['name']}" if known is not setting else ""
    return list(at.values())


def buttons(settings: Sequence[Row]) -> str:
    """A button for each setting of the explorer."""
    made = (
        f'<button type="button" data-setting="{i}" aria-pressed="false">{escape(row["name"])}'
        "</button>"
        for i, row in enumerate(settings)
    )
    return "".join(made) or "none"


def dials(pool: Sequence[str]) -> str:
    """For each model a box to let it take part, and its threshold as a slider and a number."""
    return "".join(
        f'<div class="dial"><label><input type="checkbox" data-takes-part="{i}"> '
        f'<i class="dot" data-colour="{i}"></i>{escape(model)}</label>'
        f'<input type="range" min="0" max="1" step="0.005" data-slider="{i}" '
        f'aria-label="threshold of {escape(model)}">'
        f'<input type="number" min="0" max="1" step="0.0001" data-number="{i}" inputmode="decimal" '
        f'aria-label="threshold of {escape(model)}, exactly"></div>'
        for i, model in enumerate(pool)
    )


def chain_of(row: Row, pool: Sequence[str]) -> tuple[list[int], list[float]]:
    """Indices and thresholds of the models of a cascade."""
    thresholds = [float(threshold) for threshold in row["thresholds"].split()]
    return [pool.index(model) for model in row["models"].split()], thresholds
