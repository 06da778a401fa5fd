"""Predictions given in Python, as arrays, data frames and mappings."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eco.errors import DataError
from eco.predictions.columns import Columns


def columns_of(
    costs: Any,
    confidence: Any = None,
    correct: Any = None,
    probabilities: Any = None,
    y: Any = None,
    split: Any = None,
    groups: Any = None,
    time: Any = None,
) -> Columns:
    """Predictions as `eco.tune` takes them, unchecked but for their form."""
    if (probabilities is None) == (confidence is None or correct is None):
        raise DataError("there must be either confidence and correct, or probabilities and y")
    given = {"confidence": confidence, "correct": correct, "probabilities": probabilities}
    given = {kind: values for kind, values in given.items() if values is not None}
    names = _names(costs, *given.values())
    if not hasattr(costs, "items"):
        numbers = np.atleast_1d(np.asarray(costs, object))
        if len(numbers) != len(names):
            found = f"got {len(numbers)} for {len(names)} models"
            raise DataError(f"costs must hold a number for each model; {found}")
        costs = dict(zip(names, numbers.tolist(), strict=True))
    pool = tuple(str(name) for name, _ in costs.items())
    _same_rows(given)
    by_kind = {kind: _by_model(kind, values, pool, names) for kind, values in given.items()}
    costs = {str(name): cost for name, cost in costs.items()}
    classes = _classes(probabilities)
    return Columns(
        pool,
        costs,
        by_kind.get("confidence", {}),
        by_kind.get("correct", {}),
        by_kind.get("probabilities", {}),
        y=y,
        classes=classes,
        split=split,
        groups=groups,
        times=time,
    )


def _names(costs: Any, *tables: Any) -> list[str]:
    """Names of the models in the order of the tables: of a frame, a mapping, or else the costs."""
    for table in tables:
        if hasattr(table, "columns"):
            return [str(name) for name in table.columns]
        if isinstance(table, Mapping):
            return [str(name) for name in table]
    if hasattr(costs, "items"):
        return [str(name) for name, _ in costs.items()]
    shape = np.shape(tables[0])
    return [f"model {place}" for place in range(shape[1] if len(shape) > 1 else 0)]


def _by_model(kind: str, values: Any, pool: tuple[str, ...], names: list[str]) -> dict[str, Any]:
    if isinstance(values, Mapping) or hasattr(values, "columns"):
        keys = values if isinstance(values, Mapping) else values.columns
        by_name = {str(key): values[key] for key in keys}
    else:
        table = np.asarray(values)
        n_axes = 3 if kind == "probabilities" else 2
        if table.ndim != n_axes or table.shape[1] != len(names):
            raise DataError(
                f"{kind} must have {n_axes} axes, samples first, then the {len(names)} models; got "
                f"{table.shape}"
            )
        by_name = {name: table[:, place] for place, name in enumerate(names)}
    return {name: by_name[name] for name in pool if name in by_name}


def _same_rows(given: Mapping[str, Any]) -> None:
    """Refuse frames whose rows are of different samples, or in another order."""
    frames = {kind: table for kind, table in given.items() if hasattr(table, "index")}
    frames = {kind: table for kind, table in frames.items() if hasattr(table, "columns")}
    (first, *others) = frames or [""]
    for other in others:
        if not frames[other].index.equals(frames[first].index):
            raise DataError(f"{first} and {other} must have the same index: rows are samples")


def _classes(probabilities: Any) -> tuple[str, ...] | None:
    """Names of the classes, where there are frames with a column for each."""
    if not isinstance(probabilities, Mapping):
        return None
    for table in probabilities.values():
        if hasattr(table, "columns"):
            return tuple(str(name) for name in table.columns)
    return None
