"""Intervals of measured energies, and of the strategies that are sums of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[Any]

#: Share of the readings cut off at either end: one disturbed window in ten changes nothing.
TRIM = 0.1
LEVEL = 0.95


def trimmed_mean(values: Array) -> tuple[float, float]:
    """Trimmed mean of repeated readings, and the half-width of its 95 % interval.

    The interval is the one in which a repetition of the whole series would find its mean: both
    means are uncertain, so it is wider by the square root of 2 than one that holds the true mean.
    Student's t on winsorised readings (Tukey & McLaughlin 1963, "Less vulnerable confidence and
    significance procedures for location based on a single sample").

    Parameters
    ----------
    values : array of shape (n_readings,)
        NaN marks a reading that doesn't count.

    Returns
    -------
    mean, half_width : float
        The half-width is infinite for fewer than three readings.

    Examples
    --------
    >>> mean, half_width = trimmed_mean(np.array([1.0, 1.1, 0.9, 1.0, 1.0]))
    >>> round(mean, 6), round(half_width, 4)
    (1.0, 0.1242)
    """
    ordered = np.sort(values[~np.isnan(values)])
    n = len(ordered)
    if n == 0:
        return float("nan"), float("inf")
    cut = int(TRIM * n)
    kept = ordered[cut : n - cut]
    if n < 3:
        return float(kept.mean()), float("inf")
    winsorised = np.clip(ordered, kept[0], kept[-1])
    error = np.sqrt(2) * winsorised.std(ddof=1) * np.sqrt(n) / len(kept)
    return float(kept.mean()), float(stdtrit(len(kept) - 1, 0.5 + LEVEL / 2) * error)


def strategy_interval(
    runs: Array, readings_j: Array, energy_j: float, selector_readings_j: Array | None = None
) -> dict[str, float]:
    """95 % intervals of a strategy's energy and of its share of the last model's energy.

    Readings of one round were taken within seconds of each other, so what slowed the machine in
    that round is in all of them: it stays in the joules and cancels in the share.

    Parameters
    ----------
    runs : array of shape (n_models,)
        How often each model runs per sample, on average.
    readings_j : array of shape (n_rounds, n_models)
        J per sample of each model in each round; NaN where a window didn't count.
    energy_j : float
        The strategy's J per sample, from the models' trimmed means.
    selector_readings_j : array of shape (n_selector_rounds,), optional
        J per sample of a router, measured in rounds of its own.

    Returns
    -------
    dict
        ``energy_j_low``, ``energy_j_high``, ``energy_share_low``, ``energy_share_high``.
    """
    used = readings_j[:, runs > 0] @ runs[runs > 0]
    reference = readings_j[:, -1]
    reference_j, _ = trimmed_mean(reference)
    _, of_energy = trimmed_mean(used)
    _, of_share = trimmed_mean(used / reference)
    if selector_readings_j is not None:
        _, of_selector = trimmed_mean(selector_readings_j)
        of_energy = float(np.hypot(of_energy, of_selector))
        of_share = float(np.hypot(of_share, of_selector / reference_j))
    share = energy_j / reference_j
    return {
        "energy_j_low": energy_j - of_energy,
        "energy_j_high": energy_j + of_energy,
        "energy_share_low": share - of_share,
        "energy_share_high": share + of_share,
    }


def not_told_apart(readings_j: Array, pool: Sequence[str]) -> list[str]:
    """Pairs of models whose energies differ by no more than the readings' uncertainty.

    Parameters
    ----------
    readings_j : array of shape (n_rounds, n_models)
    pool : sequence of str

    Returns
    -------
    list of str
        Such as ``"tiny and small"``: 0 lies in the 95 % interval of the difference per round.
    """
    pairs = []
    for i in range(len(pool)):
        for j in range(i + 1, len(pool)):
            mean, half_width = trimmed_mean(readings_j[:, i] - readings_j[:, j])
            if abs(mean) <= half_width:
                pairs.append(f"{pool[i]} and {pool[j]}")
    return pairs
