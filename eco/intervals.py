"""Intervals of measured energies, and of the strategies that are sums of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[Any]

#: Share of the readings cut off at either end: one disturbed window in ten changes nothing.
TRIM = 0.1
LEVEL = 0.95


class Readings(NamedTuple):
    """What energies were read: their uncertainty is in the rounds, and between runs.

    ``per_round_j``: (n_rounds, n_models), J per sample of each model in each round, NaN where a
    window didn't count; ``drift``: half-width, as a share, by which a later run differs beyond
    what the rounds show.
    """

    per_round_j: Array
    drift: float = 0.0


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


def strategy_half_widths(
    runs: Array, readings: Readings, selector_readings_j: Array | None = None
) -> dict[str, float]:
    """Half-widths, by measurement, of a strategy's energy and its share of the last model's.

    Readings of one round were taken within seconds of each other, so what slowed the machine in
    that round is in all of them: it stays in the joules and cancels in the share. The drift
    between runs doesn't cancel: it differs from model to model. A share that is 1 by definition
    has none.

    Parameters
    ----------
    runs : array of shape (n_models,)
        How often each model runs per sample, on average.
    readings : Readings
    selector_readings_j : array of shape (n_selector_rounds,), optional
        J per sample of a router, measured in rounds of its own.

    Returns
    -------
    dict
        Half-widths of the 95 % intervals of ``energy_j`` and ``energy_share``.
    """
    readings_j = readings.per_round_j
    used = readings_j[:, runs > 0] @ runs[runs > 0]
    reference = readings_j[:, -1]
    reference_j, _ = trimmed_mean(reference)
    _, of_energy = trimmed_mean(used)
    _, of_share = trimmed_mean(used / reference)
    selector_j = 0.0
    if selector_readings_j is not None:
        selector_j, of_selector = trimmed_mean(selector_readings_j)
        of_energy = float(np.hypot(of_energy, of_selector))
        of_share = float(np.hypot(of_share, of_selector / reference_j))
    energy_j = trimmed_mean(used)[0] + selector_j
    is_reference = selector_readings_j is None and not runs[:-1].any()
    of_energy = float(np.hypot(of_energy, readings.drift * energy_j))
    if not is_reference:
        of_share = float(np.hypot(of_share, readings.drift * energy_j / reference_j))
    return {"energy_j": of_energy, "energy_share": of_share}


def bootstrap_means(values: Array, resamples: int = 2000, seed: int = 0) -> Array:
    """Means of the columns over samples drawn again with replacement, all columns together.

    The same draw serves every column, so differences and ratios of two means are paired. Only how
    often each distinct row is drawn matters, and those counts are multinomial: the bootstrap of
    Efron (1979) without touching the samples one by one.

    Parameters
    ----------
    values : array of shape (n_samples, n_columns)
    resamples : int
    seed : int

    Returns
    -------
    array of shape (resamples, n_columns), float64
    """
    rows, counts = np.unique(values, axis=0, return_counts=True)
    n_samples = len(values)
    drawn = np.random.default_rng(seed).multinomial(n_samples, counts / n_samples, resamples)
    means: Array = drawn @ rows.astype(np.float64) / n_samples
    return means


def percentile_interval(resampled: Array) -> tuple[float, float]:
    """The 95 % percentile interval of resampled figures.

    Examples
    --------
    >>> [round(end, 6) for end in percentile_interval(np.arange(1001))]
    [25.0, 975.0]
    """
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def not_told_apart(readings: Readings, pool: Sequence[str]) -> list[str]:
    """Pairs of models whose energies differ by no more than the readings' uncertainty.

    Parameters
    ----------
    readings : Readings
    pool : sequence of str

    Returns
    -------
    list of str
        Such as ``"tiny and small"``: 0 lies in the 95 % interval of the difference.
    """
    readings_j = readings.per_round_j
    pairs = []
    for i in range(len(pool)):
        for j in range(i + 1, len(pool)):
            mean, half_width = trimmed_mean(readings_j[:, i] - readings_j[:, j])
            larger = max(trimmed_mean(readings_j[:, k])[0] for k in (i, j))
            if abs(mean) <= np.hypot(half_width, readings.drift * larger):
                pairs.append(f"{pool[i]} and {pool[j]}")
    return pairs
