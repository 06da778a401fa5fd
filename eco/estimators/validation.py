"""What must hold of the parameters of a strategy and of its models."""

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from eco.errors import ModelError

Array = NDArray[Any]


def require(owner: Any, name: str, holds: Any, expected: str) -> None:
    """Raise a ValueError that names a parameter of `owner`, unless `holds` is true."""
    if not holds:
        found = repr(getattr(owner, name))
        found = found if len(found) <= 200 else found[:200] + "..."
        raise ValueError(f"{name} must be {expected}; got {found}")


def number(
    owner: Any,
    name: str,
    low: float,
    high: float = inf,
    closed: bool | Literal["right"] = False,
    other: Any = ...,
) -> None:
    """Require a finite number between two others, or `other`.

    Both ends are allowed if `closed`, the upper one alone if it is "right".
    """
    value = getattr(owner, name)
    least = "at least" if closed is True else "above"
    most = "at most" if closed else "below"
    expected = f"a number {least} {low:g}" + (f" and {most} {high:g}" if high < inf else "")
    expected += "" if other is ... else f", or {other!r}"
    is_number = _is_number(value) and isfinite(value)
    above = is_number and (value >= low if closed is True else value > low)
    within = above and (value <= high if closed else value < high)
    require(owner, name, within or (isinstance(value, type(other)) and value == other), expected)


def whole(owner: Any, name: str, low: int, high: float = inf, *others: type) -> None:
    """Require a whole number from `low` to below `high`, or an instance of another type."""
    value = getattr(owner, name)
    is_whole = isinstance(value, Integral) and _is_number(value) and low <= int(value) < high
    expected = f"a whole number at least {low}" + (f" and below {high:g}" if high < inf else "")
    expected = ", or ".join([expected, *(other.__name__ for other in others)])
    require(owner, name, is_whole or isinstance(value, others), expected)


def numbers(
    owner: Any, name: str, expected: str, holds: Callable[[Array], Any], *strings: str
) -> None:
    """Require a number per estimator, for each of which something holds, or one of the strings."""
    value, n = getattr(owner, name), len(owner.estimators)
    expected = f"{n} {expected}, or {' or '.join(map(repr, strings))}"
    if isinstance(value, str):
        return require(owner, name, value in strings, expected)
    array = by_estimator(value, [name for name, _ in owner.estimators])
    require(owner, name, array.shape == (n,) and np.all(holds(array)), expected)


def by_estimator(value: Any, names: Sequence[str]) -> Array:
    """A number for each estimator, in their order; an empty array if it can't be that.

    From a mapping or a Series by name, or from anything that has the numbers in that order.
    """
    if isinstance(value, pd.Series) and not value.index.equals(pd.RangeIndex(len(value))):
        value = value.to_dict() if value.index.is_unique else {}
    try:
        if isinstance(value, Mapping):
            value = [value[name] for name in names] if set(value) == set(names) else []
        if not all(map(_is_number, np.ravel(np.asarray(value, object)))):
            return np.empty(0)
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return np.empty(0)


def _is_number(value: Any) -> bool:
    """Whether it is a number, which True, False and text aren't."""
    return isinstance(value, Real) and not isinstance(value, bool)


def estimators(owner: Any, fewest: int, methods: Sequence[str], reserved: set[str]) -> None:
    """Require `fewest` or more uniquely named classifiers."""
    pairs = owner.estimators
    valid = isinstance(pairs, list) and len(pairs) >= fewest and all(map(is_named, pairs))
    expected = f"a list of {fewest} or more (name, classifier) tuples, from light to heavy"
    require(owner, "estimators", valid, expected)
    names = [name for name, _ in pairs]
    unique = len({*names, *reserved}) == len(names) + len(reserved)
    expected = "named uniquely, without '__', and not as a parameter of the strategy"
    require(owner, "estimators", unique and "__" not in " ".join(names), expected)
    for name, model in pairs:
        if not has_methods(model, methods):
            remedy = "CalibratedClassifierCV gives one without probabilities a predict_proba."
            if has_methods(model, ["predict_proba"]):
                remedy = "Set prefit=True if it and the others are fitted."
            raise ValueError(
                f"estimators: {name!r} must be a classifier with {' and '.join(methods)}; got "
                f"{model!r}. {remedy}"
            )


def is_named(pair: Any) -> bool:
    """Whether something is a tuple of a name and a model."""
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)


def has_methods(model: Any, methods: Sequence[str] = ("fit", "predict_proba")) -> bool:
    """Whether an object, and no class, has all of the methods."""
    return not isinstance(model, type) and all(hasattr(model, method) for method in methods)


def shared_classes(models: Mapping[str, Any]) -> Array:
    """The classes that every model knows, in the order of their probabilities.

    Raises a ValueError if a model isn't fitted, or knows others or in another order than the first.
    """
    for name, model in models.items():
        if not hasattr(model, "classes_"):
            raise NotFittedError(
                f"estimators: {name!r} must be fitted and have classes_; got {model!r}. Fit it, "
                "or set prefit=False to have it fitted."
            )
    (first, classes), *others = [(name, np.asarray(m.classes_)) for name, m in models.items()]
    for name, known in others:
        if not np.array_equal(classes, known):
            raise ValueError(
                "estimators must know the same classes in the same order; "
                f"{first!r} knows {classes.tolist()}, {name!r} knows {known.tolist()}. Fit them on "
                "the same labels."
            )
    return classes


def with_name(error: ModelError, names: Sequence[str]) -> ValueError:
    """The engine's error with the name of the model, as scikit-learn's users expect it."""
    if isinstance(error.model, int):
        error.model = repr(names[error.model])
    return ValueError(f"estimators: {error}")
