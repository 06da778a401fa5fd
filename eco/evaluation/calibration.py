"""Calibration: how far confidence is from accuracy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def calibration_error(confidence: Array, correct: Array) -> float:
    """Expected calibration error: mean distance of confidence from accuracy over equal bins.

    From arrays of shape (n_samples,); in [0, 1], 0 is perfect (Naeini et al. 2015, as used by Guo
    et al. 2017).

    >>> calibration_error(np.array([0.9, 0.9, 0.1]), np.array([True, True, False]))
    0.1
    """
    rows = reliability(confidence, correct)
    gaps = [row["samples"] * abs(row["confidence"] - row["accuracy"]) for row in rows]
    return round(sum(gaps) / len(confidence), 12)


def reliability(confidence: Array, correct: Array, bins: int = 15) -> list[dict[str, float]]:
    """Mean ``confidence``, ``accuracy`` and number of ``samples`` of each bin that has any.

    The bins are of equal width over [0, 1].
    """
    bin_of = np.minimum((np.asarray(confidence) * bins).astype(np.int64), bins - 1)
    samples = np.bincount(bin_of, minlength=bins)
    total_confidence = np.bincount(bin_of, weights=confidence, minlength=bins)
    n_correct = np.bincount(bin_of, weights=correct, minlength=bins)
    return [
        {"confidence": float(total / n), "accuracy": float(right / n), "samples": int(n)}
        for n, total, right in zip(samples, total_confidence, n_correct, strict=True)
        if n
    ]
