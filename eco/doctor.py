"""The pool doctor: what is wrong with a pool of models, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.scoring import misordered

Array = NDArray[Any]

#: A confidence that no threshold can tell from certainty.
SATURATED = 0.9999
#: From here on a figure is called out.
SATURATED_SHARE = 0.05
SATURATED_ACCURACY = 0.99
CALIBRATION_ERROR = 0.05
COLLAPSED_SHARE = 0.75


def examine(
    confidence: Array,
    correct: Array,
    energy_j: Array,
    oracle: Array,
    calibration_error: Mapping[str, float],
    method: str,
    ties: Sequence[str],
    pool: Sequence[str],
) -> dict[str, str]:
    """One finding per check, with what to do about it, or "fine".

    Parameters
    ----------
    confidence, correct : arrays of shape (n_samples, n_models)
    energy_j : array of shape (n_models,)
        J per sample.
    oracle : array of shape (n_samples,)
        Index of the cheapest correct model.
    calibration_error : mapping of str to float
        Of each model, after calibration.
    method : str
        How they are calibrated.
    ties : sequence of str
        Pairs of models whose energies can't be told apart, as `intervals.not_told_apart` has them.
    pool : sequence of str

    Returns
    -------
    dict
        ``dominated``, ``saturated``, ``calibration``, ``oracle_labels``, ``energy_order``.
    """
    accuracy = correct.mean(axis=0)
    dominated = []
    for i, model in enumerate(pool):
        no_worse = (accuracy >= accuracy[i]) & (energy_j <= energy_j[i])
        better = no_worse & ((accuracy > accuracy[i]) | (energy_j < energy_j[i]))
        dominated += [f"{model} by {pool[j]}" for j in np.flatnonzero(better)[:1]]
    saturated = []
    for i, model in enumerate(pool):
        certain = confidence[:, i] >= SATURATED
        if certain.mean() > SATURATED_SHARE and correct[certain, i].mean() < SATURATED_ACCURACY:
            right = correct[certain, i].mean()
            saturated.append(f"{model} is certain of {certain.mean():.0%}, right on {right:.0%}")
    uncalibrated = [
        f"{model} {error:.3f}"
        for model, error in calibration_error.items()
        if error > CALIBRATION_ERROR
    ]
    counts = np.bincount(oracle, minlength=len(pool))
    most = int(counts.argmax())
    collapsed = counts[most] / len(oracle)
    tied = {frozenset(pair.split(" and ")) for pair in ties}
    disorder = [
        finding
        for finding in misordered(energy_j, pool)
        if frozenset(finding.split(" costs more than ")) not in tied
    ]
    other = "temperature" if method == "none" else "isotonic"
    remedy = f"try calibration.method {other}" if other != method else "give it more images"

    def told(findings: Sequence[str], advice: str) -> str:
        return f"{'; '.join(findings)}: {advice}" if findings else "fine"

    return {
        "dominated": told(
            dominated, "at least as right at no more energy; leave the first of each out of pool"
        ),
        "saturated": told(
            saturated, "no threshold can defer these; calibrate it, or leave it out of cascades"
        ),
        "calibration": told(uncalibrated, f"confidences are off by that much; {remedy}"),
        "oracle_labels": told(
            [f"{pool[most]} is {collapsed:.0%} of them"] if collapsed > COLLAPSED_SHARE else [],
            "a classifier on them names hardly anything else; use price_router or probe_router",
        ),
        "energy_order": told(
            disorder, "measured; put pool into the order of energy, or measure again"
        ),
    }
