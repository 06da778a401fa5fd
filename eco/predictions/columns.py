"""Predictions as they were given, column by column, and the checks that make outcomes of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError, shortened
from eco.predictions.times import ranks
from eco.strategies.confidence import DECIMALS, Signal
from eco.strategies.outcomes import Outcomes

Array = NDArray[Any]
#: Characters of the name of a model.
LONGEST = 60
#: Sums and products of larger costs may not be numbers any more.
LARGEST = 1e100
#: What true labels, splits or groups may be in a message.
Values = Array | None


def _row(sample: int, model: str | None = None) -> str:  # noqa: ARG001
    return f"row {sample}"


@dataclass(frozen=True, eq=False)
class Columns:
    """What every model of a pool said of the same samples, unchecked.

    Either `confidence` and `correct`, or `probabilities` and `y`; by model, samples first.
    """

    models: tuple[str, ...]
    costs: Mapping[str, Any]  #: Of each model a number, or one for each sample.
    confidence: Mapping[str, Any] = field(default_factory=dict)
    correct: Mapping[str, Any] = field(default_factory=dict)
    probabilities: Mapping[str, Any] = field(default_factory=dict)
    y: Values = None
    classes: tuple[str, ...] | None = None  #: Names of the classes; without them `y` are indices.
    split: Values = None
    groups: Values = None
    times: Values = None
    source: str = ""  #: Where they come from, for messages.
    place: Callable[..., str] = _row  #: Where a sample stands, for messages.
    cost_remedy: str = "Give costs one number for each model."

    def error(
        self, name: str, problem: str, sample: int | None = None, model: str | None = None
    ) -> DataError:
        """A `DataError` that names the source, the column and the row."""
        where = [name] if sample is None else [name, self.place(sample, model)]
        source = f"{shortened(self.source)}: " if self.source else ""
        return DataError(f"{source}{', '.join(where)}: {problem}")


@dataclass(frozen=True, eq=False)
class Samples:
    """Checked predictions of a pool."""

    outcomes: Outcomes  #: Costs are its energies: in whatever unit they were given.
    classes: tuple[str, ...] = ()  #: Empty where only confidence and correct are known.
    split: Values = None  #: (n_samples,) names.
    groups: Values = None  #: (n_samples,) numbers.
    times: Values = None  #: (n_samples,) numbers: the earlier, the less.
    cost_per_sample: Values = None  #: (n_samples, n_models), where costs vary.
    place: Callable[..., str] = _row  #: Where a sample stands, for messages.


def checked(columns: Columns, signal: Signal = "max_probability") -> Samples:
    """Predictions that hold what they must.

    Raises
    ------
    DataError
        Names the source, column, row, what must hold and what was found.
    """
    _check_models(columns)
    if columns.probabilities:
        outcomes, classes = _of_probabilities(columns, signal)
    else:
        outcomes, classes = _of_confidence(columns), ()
    n_samples = len(outcomes)
    costs = [_cost(columns, model, n_samples) for model in columns.models]
    vary = any(cost.ndim for cost in costs)
    table = np.column_stack([np.broadcast_to(cost, n_samples) for cost in costs])
    outcomes = Outcomes(**vars(outcomes) | {"energy_j": table.mean(axis=0)})
    return Samples(
        outcomes,
        classes,
        _names(columns, "split", columns.split, n_samples),
        _groups(columns, n_samples),
        _times(columns, n_samples),
        table if vary else None,
        columns.place,
    )


def _check_models(columns: Columns) -> None:
    models = columns.models
    if len(models) < 2:
        raise columns.error("models", f"must be two at least; got {', '.join(models) or 'none'}")
    for place, model in enumerate(models):
        if not (0 < len(model) <= LONGEST and model.isprintable()):
            problem = f"must have names of 1 to {LONGEST} printable characters; got {model!r}"
            raise columns.error("models", problem)
        if model in models[:place]:
            raise columns.error("models", f"must have a name each; got {model} twice")


def numbers(columns: Columns, name: str, values: Any, model: str | None = None) -> Array:
    """Values as finite floats, samples first."""
    given = np.asarray(values)
    if given.dtype.kind in "cmMV":
        raise columns.error(name, f"must hold numbers; got {shortened(given.dtype, 40)}")
    try:
        result = given.astype(np.float64) if given.dtype != np.float32 else given
    except (TypeError, ValueError):
        result = np.array([_number(value) for value in given.ravel()]).reshape(given.shape)
    bad = ~np.isfinite(result)
    if bad.any():
        first = np.argwhere(bad)[0]
        if not len(first):
            raise columns.error(name, f"must be a number; got {shortened(given, 40)}")
        found = given[tuple(first)]
        found = found.item() if isinstance(found, np.generic) else found
        is_empty = found is None or isinstance(found, float)
        text = "nothing" if is_empty and not np.isinf(_number(found)) else repr(found)
        problem = f"must hold a number in every row; got {shortened(text, 40)}"
        raise columns.error(name, problem, int(first[0]), model)
    return result


def _number(value: Any) -> float:
    """A float, NaN for what is none; a text column has true and false as words."""
    try:
        return float({"true": 1, "false": 0}.get(str(value).lower(), value))
    except (TypeError, ValueError):
        return float("nan")


def _column(columns: Columns, kind: str, model: str, ndim: int = 1) -> tuple[str, Array]:
    """Name and values of a column of one model."""
    name, values = f"{kind}:{model}", getattr(columns, kind)
    if model not in values:
        raise columns.error(name, f"must be there for every model ({', '.join(columns.models)})")
    if columns.split is not None and ndim == 1:
        _refuse_absent(columns, name, values[model])
    result = numbers(columns, name, values[model], model)
    if result.ndim != ndim or not result.size:
        shape = "(n_samples,)" if ndim == 1 else "(n_samples, n_classes)"
        raise columns.error(name, f"must have the shape {shape}; got {result.shape}")
    return name, result


def _refuse_absent(columns: Columns, name: str, values: Any) -> None:
    """Refuse a model that has nothing to say in a whole split, by the name of the split."""
    empty = np.array([_is_missing(value) for value in np.asarray(values, object)])
    split = np.asarray(columns.split)
    if not empty.any() or len(empty) != len(split):
        return
    for part in dict.fromkeys(split.tolist()):
        if empty[split == part].all():
            raise columns.error(name, f"must hold predictions in every split; got none in {part}")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _first(bad: Array) -> int:
    return int(np.flatnonzero(bad)[0])


def _of_confidence(columns: Columns) -> Outcomes:
    confidences, corrects = [], []
    for model in columns.models:
        name, confidence = _column(columns, "confidence", model)
        bad = (confidence < 0) | (confidence > 1)
        if bad.any():
            problem = f"must lie from 0 to 1; got {confidence[bad][0]:g}"
            raise columns.error(name, problem, _first(bad), model)
        confidences.append(confidence)
        name, correct = _column(columns, "correct", model)
        bad = (correct != 0) & (correct != 1)
        if bad.any():
            problem = f"must be 1 or 0, true or false; got {correct[bad][0]:g}"
            raise columns.error(name, problem, _first(bad), model)
        corrects.append(correct == 1)
        _same_length(columns, name, len(correct), len(confidence))
        _same_length(columns, name, len(correct), len(corrects[0]))
    correct = np.column_stack(corrects)
    # No labels are known: an answer is right or wrong, and that is all.
    return Outcomes(
        pool=columns.models,
        y=np.zeros(len(correct), np.uint8),
        labels=(~correct).astype(np.uint8),
        confidence=np.round(np.column_stack(confidences).astype(np.float64), DECIMALS),
        correct=correct,
        energy_j=np.ones(len(columns.models)),
    )


def _same_length(columns: Columns, name: str, found: int, expected: int) -> None:
    if found != expected:
        raise columns.error(name, f"must hold {expected} samples as the others; got {found}")


def _of_probabilities(columns: Columns, signal: Signal) -> tuple[Outcomes, tuple[str, ...]]:
    tables: list[Array] = []
    for model in columns.models:
        name, p = _column(columns, "probabilities", model, ndim=2)
        if tables and p.shape != tables[0].shape:
            problem = f"must have the shape {tables[0].shape} of the others; got {p.shape}"
            raise columns.error(name, problem)
        if p.shape[1] < 2:
            raise columns.error(name, f"must be of two classes at least; got {p.shape[1]}")
        bad = np.asarray((p < 0).any(axis=1))
        if bad.any():
            problem = f"must be 0 or more; got {p[bad][0].min():g}"
            raise columns.error(name, problem, _first(bad), model)
        sums = p.sum(axis=1, dtype=np.float64)
        # Room for what the rounding of each probability may add.
        bad = np.abs(sums - 1) > 1e-3 + 0.5 * 10.0**-DECIMALS * p.shape[1]
        if bad.any():
            problem = f"must sum to 1 over the classes; got {sums[bad][0]:g}"
            raise columns.error(name, problem, _first(bad), model)
        tables.append(p.astype(np.float32))
    n_samples, n_classes = tables[0].shape
    classes = columns.classes or tuple(str(label) for label in range(n_classes))
    if len(set(classes)) != n_classes:
        raise columns.error("classes", f"must name each of the {n_classes} classes once")
    y = _labels(columns, classes, n_samples)
    outcomes = Outcomes.from_probabilities(
        np.stack(tables, axis=1), y, np.ones(len(tables)), columns.models, signal
    )
    return outcomes, classes


def _labels(columns: Columns, classes: Sequence[str], n_samples: int) -> Array:
    """True labels as indices of the classes."""
    if columns.y is None:
        raise columns.error("y", "must be there: the true label of every sample")
    y = _names(columns, "y", columns.y, n_samples)
    place = {name: index for index, name in enumerate(classes)}
    indices = np.array([place.get(label, -1) for label in y], np.int64)
    if (indices < 0).any():
        sample = _first(indices < 0)
        problem = f"must be one of the classes ({', '.join(classes)}); got {y[sample]}"
        raise columns.error("y", problem, sample)
    return indices


def _names(columns: Columns, name: str, values: Any, n_samples: int) -> Any:
    """Values as text, one for each sample; 3.0 is 3, as a table with gaps has it."""
    if values is None:
        return None
    given = np.asarray(values)
    if given.shape != (n_samples,):
        problem = f"must hold one value for each of the {n_samples} samples; got {given.shape}"
        raise columns.error(name, problem)
    if given.dtype.kind == "f" and np.isfinite(given).all() and (given == given.round()).all():
        given = given.astype(np.int64)
    for sample, value in enumerate(given.tolist()) if given.dtype.kind in "fO" else ():
        if _is_missing(value):
            raise columns.error(name, "must hold a value in every row; got nothing", sample)
    return np.array([str(value) for value in given.tolist()], object)


def _groups(columns: Columns, n_samples: int) -> Values:
    groups = _names(columns, "group", columns.groups, n_samples)
    return None if groups is None else np.unique(groups.astype(str), return_inverse=True)[1]


def _times(columns: Columns, n_samples: int) -> Values:
    if columns.times is None:
        return None
    times = ranks(columns.times, partial(columns.error, "time"))
    _same_length(columns, "time", len(times), n_samples)
    return times


def _cost(columns: Columns, model: str, n_samples: int) -> Any:
    """What a model costs: one number, or one for each sample where these differ."""
    if model not in columns.costs:
        error = columns.error("costs", f"must hold a cost of every model; got none of {model}")
        raise DataError(error.problem, columns.cost_remedy)
    name, given = f"cost:{model}", np.asarray(columns.costs[model])
    cost = numbers(columns, name, given, model)
    if cost.ndim and cost.shape != (n_samples,):
        raise columns.error(name, f"must hold {n_samples} samples as the others; got {len(cost)}")
    bad = np.atleast_1d((cost < 0) | (cost > LARGEST))
    if bad.any():
        found = float(np.atleast_1d(cost)[bad][0])
        sample = _first(bad) if cost.ndim else None
        raise columns.error(name, f"must be from 0 to {LARGEST:g}; got {found:g}", sample, model)
    if not cost.mean() >= 1 / LARGEST:
        problem = f"must be {1 / LARGEST:g} or more on average; got {cost.mean():g}"
        raise columns.error(name, problem)
    varies = bool(cost.ndim) and bool((cost != cost.flat[0]).any())
    return cost if varies else np.float64(cost.flat[0])
