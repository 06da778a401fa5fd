"""How the engine calls a model: part by part, with its output checked."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import ModelError
from eco.runtime.checks import check_probabilities
from eco.strategies.confidence import (
    DECIMALS,
    Signal,
    confidence,
    decimals,
    round_probabilities,
)

Array = NDArray[Any]
Model = Callable[[Any], Array]

#: Samples passed to a model in one call: what the caches of a core hold, and enough that the call
#: itself costs nothing. Measured, not assumed: see `energy.batch_sizes`.
CALL_SIZE = 256
#: Confidences are compared as whole numbers of this unit, 0.0001, which float32 holds exactly.
UNITS = np.float32(10**DECIMALS)


def run_model(
    model: Model, position: int, X: Any, which: Array | None, signal: Signal, call_size: int
) -> tuple[Array, Array]:
    """Probabilities of one model for some samples, and its confidence in `UNITS`."""
    n_samples = len(X) if which is None else len(which)
    if not n_samples:
        raise ModelError("there must be one sample at least; got none")
    p = in_calls(model, position, X, which, call_size)
    if p.dtype.kind in "biu":  # a classifier that is always certain
        p = p.astype(np.float32)
    try:
        p, largest = check_probabilities(p, n_samples)
    except ModelError as error:
        error.model = position
        raise
    if signal != "max_probability" or decimals(p.shape[1]) != DECIMALS:
        rounded = round_probabilities(p)[:, None]
        return p, np.rint(confidence(rounded, signal)[:, 0] * UNITS)
    # The largest of rounded numbers is the largest one, rounded.
    largest *= UNITS
    return p, np.rint(largest, out=largest)


def least_units(threshold: float) -> float:
    """The least confidence, in `UNITS`, that reaches a threshold."""
    if not math.isfinite(threshold):
        return threshold
    units = math.floor(threshold * float(UNITS))
    units += units / float(UNITS) < threshold
    return units if units <= UNITS else math.inf


def to_confidence(units: Array) -> Array:
    """Confidences in [0, 1], float64."""
    return np.minimum(units, UNITS) / np.float64(UNITS)


def in_calls(model: Model, name: int | str, X: Any, which: Array | None, call_size: int) -> Array:
    """What a model or a router returns for some samples, in calls of `call_size` at most."""
    n_samples = len(X) if which is None else len(which)
    if n_samples <= call_size:
        return np.asarray(model(X if which is None else _take(X, which)))
    # Samples are gathered call by call, and answers copied together at once: what a call needs
    # lies where that of the last one lay, which is still in the caches.
    outputs = None
    for start in range(0, n_samples, call_size):
        call = slice(start, start + call_size)
        part = np.asarray(model(X[call] if which is None else _take(X, which[call])))
        if outputs is None:
            outputs = np.empty((n_samples, *part.shape[1:]), part.dtype)
        same_type = part.dtype == outputs.dtype or np.can_cast(part.dtype, outputs.dtype)
        if part.shape != outputs[call].shape or not same_type:
            raise ModelError(
                "must return one answer for each sample, all of one form; got shape "
                f"{part.shape} where {outputs[call].shape} was expected, {part.dtype} after "
                f"{outputs.dtype}",
                model=name,
            )
        outputs[call] = part
    assert outputs is not None
    return outputs


def _take(X: Any, which: Array) -> Any:
    # Whole images are copied sooner by `take` than by indexing.
    return X.take(which, axis=0) if isinstance(X, np.ndarray) else X[which]
