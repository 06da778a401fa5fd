"""What the arrays of the workflow must hold, and how they are kept."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import kind_of
from eco.errors import DataError
from eco.strategies.confidence import DECIMALS, round_probabilities
from eco.workflow.codecs import Arrays, DamagedError, Names

Array = NDArray[Any]

#: Characters of the name of a class.
LONGEST = 100


@dataclass(frozen=True, eq=False)
class Labels:
    """True labels of every split but train, (n_samples,), and the names of the classes.

    Labels are of the smallest unsigned type that holds the classes.
    """

    y: Arrays
    class_names: list[str]


def samples(arrays: Arrays, _: Names) -> tuple[Array, Array]:
    """``X``, of a kind that `kind_of` knows, and ``y``, (n_samples,) uint8 or uint16."""
    X, y = arrays["X"], arrays["y"]
    if kind_of(X) is None or X.size == 0 or not _are_labels(y) or y.shape != X.shape[:1]:
        problem = (
            "must hold images (uint8), rows of a table (float32) or texts (int32) with a label each"
        )
        raise DamagedError(f"{problem}, got {X.shape} {X.dtype} and labels {y.shape} {y.dtype}")
    return X, y


def _are_labels(y: Array) -> bool:
    return y.dtype in (np.uint8, np.uint16) and y.ndim == 1 and len(y) > 0


def samples_arrays(pair: tuple[Array, Array]) -> Arrays:
    """What `samples` reads."""
    return {"X": pair[0], "y": pair[1]}


def targets(arrays: Arrays, names: Names) -> Array:
    """Hard targets, labels (n_samples,); soft ones (n_samples, n_classes) float32, summing to 1."""
    y = arrays["y"]
    if names["kind"] == "hard" and not _are_labels(y):
        raise DamagedError(f"must hold labels of the samples, got {y.dtype} {y.shape}")
    if names["kind"] == "soft" and not (y.dtype == np.float32 and y.ndim == 2 and _sum_to_1(y)):
        problem = "must hold float32 shares of the classes for each sample"
        raise DamagedError(f"{problem}, got {y.dtype} {y.shape}")
    return y


def targets_arrays(y: Array) -> Arrays:
    """What `targets` reads."""
    return {"y": np.round(y, DECIMALS) if y.dtype.kind == "f" else y}


def labels(arrays: Arrays, _: Names) -> Labels:
    """Labels of every split that are indices of the class names."""
    names = [str(name) for name in arrays.pop("class_names")]
    if problem := _names_problem(names):
        raise DamagedError(problem)
    dtype = np.min_scalar_type(len(names) - 1)
    for split, y in arrays.items():
        if y.dtype != dtype or y.ndim != 1 or len(y) == 0 or y.max() >= len(names):
            problem = f"must hold {split} labels from 0 to {len(names) - 1}, {dtype}"
            raise DamagedError(f"{problem}, got {y.dtype} {y.shape}")
    return Labels(arrays, names)


def _names_problem(names: Sequence[str]) -> str:
    """What is wrong with the names of classes: `dvc plots` writes them into its page as they are.

    There ``</script>`` or ``<!--`` would end or begin what isn't text any more.
    """
    for name in names:
        is_tag = re.search("<[/!?a-zA-Z]", name)
        if is_tag or not name.isprintable() or not 0 < len(name) <= LONGEST:
            rule = f"must name classes by 1 to {LONGEST} printable characters, without tags of HTML"
            return f"{rule}; got {name!r}"
    if repeated := {name for name, count in Counter(names).items() if count > 1}:
        return f"must give each class another name; got {', '.join(sorted(repeated))} twice"
    return ""


def labels_arrays(value: Labels) -> Arrays:
    """What `labels` reads; raises `DataError` if a class has a name that no page can show."""
    if problem := _names_problem(value.class_names):
        remedy = "Rename its classes; those of an .npz are in class_names."
        raise DataError(f"the data set {problem}", remedy)
    return {"class_names": np.array(value.class_names), **value.y}


def probabilities(arrays: Arrays, _: Names) -> Arrays:
    """By split (n_samples, n_classes) float32."""
    for split, p in arrays.items():
        is_table = p.dtype == np.float32 and p.ndim == 2 and p.size
        if not is_table or not np.isfinite(p).all() or not _sum_to_1(p) or p.min() < 0:
            raise DamagedError(f"holds {split} rows that are not probabilities")
    return arrays


def _sum_to_1(rows: Array) -> bool:
    """Whether rows summed to 1, within 0.001, before `round_probabilities`."""
    unit = 10.0**-DECIMALS
    rounding = 0.5 * unit * rows.shape[1] + 1e-3
    misses = rows.sum(axis=1) - 1
    # As many as follow the largest at once may have been rounded down by one more unit.
    lowered = unit * (rows > rows.max(axis=1, keepdims=True) - 1.5 * unit).sum(axis=1)
    return bool(((misses <= rounding) & (-misses <= rounding + lowered)).all())


def choices(arrays: Arrays, names: Names) -> Arrays:
    """By split (n_samples,) int64, indices into the pool."""
    n_models = len(names["pool"])
    for split, indices in arrays.items():
        if indices.dtype.kind != "u" or indices.ndim != 1 or (indices >= n_models).any():
            problem = f"must hold an index of the {n_models} models for each {split} sample"
            raise DamagedError(f"{problem}, got {indices.dtype} {indices.shape}")
    return {split: indices.astype(np.int64) for split, indices in arrays.items()}


def scores(arrays: Arrays, names: Names) -> Arrays:
    """By split (n_samples, n_models) float32."""
    shape = f"(n_samples, {len(names['pool'])})"
    for split, s in arrays.items():
        is_table = s.dtype == np.float32 and s.ndim == 2 and s.shape[1] == len(names["pool"])
        if not is_table or not np.isfinite(s).all():
            problem = f"must hold finite float32 {split} scores of shape {shape}"
            raise DamagedError(f"{problem}, got {s.dtype} {s.shape}")
    return arrays


def rounded_probabilities(arrays: Arrays) -> Arrays:
    """Probabilities as they are kept: the largest stays the largest."""
    return {name: round_probabilities(p).astype(np.float32) for name, p in arrays.items()}


def rounded(arrays: Arrays) -> Arrays:
    """Scores as they are kept."""
    return {name: np.round(s, DECIMALS).astype(np.float32) for name, s in arrays.items()}


def small(arrays: Arrays) -> Arrays:
    """Indices as they are kept."""
    return {name: indices.astype(np.uint8) for name, indices in arrays.items()}


def significant(value: Any, _: Names | None = None) -> Any:
    """JSON values with every float rounded to six digits, so that differences are real ones."""
    if isinstance(value, Mapping):
        return {key: significant(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [significant(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
