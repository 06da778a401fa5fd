"""Intervals of measured energies, and of the strategies that are sums of them."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from eco.strategies.outcomes import Array, Readings

#: Share of the readings cut off at either end, at least one from `TRIMMED_FROM` readings on: one
#: disturbed window in ten changes nothing.
TRIM = 0.1
TRIMMED_FROM = 7
LEVEL = 0.95


def trimmed_mean(values: Array) -> tuple[float, float]:
    """Trimmed mean of repeated readings, and the half-width of its 95 % interval.

    The interval is the one in which a repetition of the whole series would find its mean: both
    means are uncertain, so it is wider by the square root of 2 than one that holds the true mean.
    Student's t on winsorised readings (Tukey & McLaughlin 1963, "Less vulnerable confidence and
    significance procedures for location based on a single sample"). NaN marks a reading that
    doesn't count; fewer than three have an infinite half-width.

    >>> mean, half_width = trimmed_mean(np.array([1.0, 1.1, 0.9, 1.0, 1.0]))
    >>> round(mean, 6), round(half_width, 4)
    (1.0, 0.1242)
    """
    from scipy.special import stdtrit

    ordered = np.sort(values[~np.isnan(values)])
    n = len(ordered)
    if n == 0:
        return float("nan"), float("inf")
    cut = max(int(TRIM * n), n >= TRIMMED_FROM)
    kept = ordered[cut : n - cut]
    if n < 3:
        return float(kept.mean()), float("inf")
    winsorised = np.clip(ordered, kept[0], kept[-1])
    error = np.sqrt(2) * winsorised.std(ddof=1) * np.sqrt(n) / len(kept)
    return float(kept.mean()), float(stdtrit(len(kept) - 1, 0.5 + LEVEL / 2) * error)


def strategy_half_widths(
    runs: Array, readings: Readings, router_readings_j: Array | None = None
) -> dict[str, float]:
    """Half-widths, by measurement, of a strategy's energy and its share of the last model's.

    Readings of one round were taken within seconds of each other, so what slowed the machine in
    that round is in all of them: it stays in the joules and cancels in the share. The drift
    between runs differs from model to model, so it cancels only in the part of the share that is
    the last model itself.

    `runs`, (n_models,), is how often each model runs per sample on average; a router, if there is
    one, was measured in rounds of its own, J per sample. Returns the half-widths of the 95 %
    intervals of ``energy_j`` and ``energy_share``.
    """
    used = readings.per_round_j[:, runs > 0] @ runs[runs > 0]
    reference = readings.per_round_j[:, -1]
    reference_j, _ = trimmed_mean(reference)
    energy_j, of_energy = trimmed_mean(used)
    _, of_share = trimmed_mean(used / reference)
    if router_readings_j is not None:
        router_j, of_router = trimmed_mean(router_readings_j)
        energy_j += router_j
        of_energy = float(np.hypot(of_energy, of_router))
        of_share = float(np.hypot(of_share, of_router / reference_j))
    of_energy = float(np.hypot(of_energy, readings.drift * energy_j))
    of_others = energy_j / reference_j - runs[-1]
    of_share = float(np.hypot(of_share, readings.drift * of_others))
    return {"energy_j": of_energy, "energy_share": of_share}


def bootstrap_means(values: Array, resamples: int = 2000) -> Array:
    """Means of the columns over samples drawn again with replacement, all columns together.

    From (n_samples, n_columns) to (resamples, n_columns). Columns share each draw, so differences
    and ratios of two means are paired. Only how often each distinct row is drawn matters, and
    those counts are multinomial: the bootstrap of Efron (1979) without its loop over samples.
    """
    rows, counts = np.unique(values, axis=0, return_counts=True)
    n_samples = len(values)
    drawn = np.random.default_rng(0).multinomial(n_samples, counts / n_samples, resamples)
    return np.asarray(drawn @ rows.astype(np.float64) / n_samples)


def percentile_interval(resampled: Array) -> tuple[float, float]:
    """The 95 % percentile interval of resampled figures."""
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def indistinguishable_pairs(readings: Readings, pool: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of models of which 0 lies in the 95 % interval of the difference in energy."""
    pairs = []
    for i, j in combinations(range(len(pool)), 2):
        first, second = readings.per_round_j[:, [i, j]].T
        difference, half_width = trimmed_mean(first - second)
        larger = max(trimmed_mean(first)[0], trimmed_mean(second)[0])
        if abs(difference) <= np.hypot(half_width, readings.drift * larger):
            pairs.append((pool[i], pool[j]))
    return pairs
