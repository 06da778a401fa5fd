"""A limit of energy or carbon an hour, kept by moving along a frontier of settings."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eco.evaluation.intervals import LEVEL
from eco.strategies.outcomes import Array
from eco.strategies.strategy import OperatingPoint

HOUR_S = 3600.0
J_PER_KWH = 3.6e6
#: Seconds of the limit that may be spent at once.
BURST_S = 60.0
#: Standard errors of the normal interval of `LEVEL`.
Z = {0.95: 1.959964}[LEVEL]


class Budget:
    """Chooses the setting that answers next, so that no hour spends more than a limit.

    A bucket holds a minute of the limit. It is filled at a constant rate, and answers are taken
    out of it. Half full or more, the dearest setting answers; empty, the cheapest; between, the
    dearest within a J per sample that rises in proportion with what is left. Under a steady load
    that settles between the two settings on either side of what the limit allows, and it takes no
    forecast of the load. The rate is so much below the limit that a full bucket and what flows into
    it within an hour are the limit together.

    So any 60 minutes spend the limit at most, and the requests in flight more, where the cheapest
    setting alone would never empty the bucket. Where it would, it answers nevertheless: `debt` is
    what has been spent too much, and is made up for, an hour of the limit at most. Who refuses
    samples instead, for `wait_s`, keeps the limit under any load.

    Parameters
    ----------
    energy_j : array of shape (n_settings,)
        J per sample of each setting, rising.
    per_hour : float
        The limit, J or g CO2e.
    now : float
        Seconds of any clock that doesn't go back, as below.

    Examples
    --------
    >>> budget = Budget([1.0, 4.0], per_hour=6100)
    >>> budget.choose(now=0.0)
    1
    >>> budget.spend(80.0)
    >>> budget.choose(now=0.0)
    0
    """

    def __init__(self, energy_j: Array | Sequence[float], per_hour: float, now: float = 0.0):
        self._energy_j, self.per_hour = list(map(float, energy_j)), per_hour
        self._rate = per_hour / (HOUR_S + BURST_S)
        self.level, self._now = self._rate * BURST_S, now

    def refill(self, now: float) -> None:
        """Let flow in what has come since the last call."""
        self.level = min(self._rate * BURST_S, self.level + self._rate * (now - self._now))
        self._now = now

    def choose(self, now: float) -> int:
        """The setting that answers now."""
        self.refill(now)
        least, most = self._energy_j[0], self._energy_j[-1]
        affordable = least + (most - least) * min(max(2 * self.fill, 0.0), 1.0)
        return bisect_right(self._energy_j, affordable * (1 + 1e-12)) - 1

    def spend(self, amount: float) -> None:
        """Take what answers cost out of the bucket, in the unit of the limit."""
        self.level = max(self.level - amount, -self.per_hour)

    def wait_s(self, now: float, n: float) -> float:
        """Seconds until the bucket has the J of n samples at the cheapest setting, or is full.

        Where the limit isn't one of J, n is times the unit's amount per J.
        """
        self.refill(now)
        needed = min(n * self._energy_j[0], self._rate * BURST_S)
        return max(0.0, needed - self.level) / self._rate

    @property
    def fill(self) -> float:
        """How full the bucket is, as a share; negative in debt."""
        return self.level / (self._rate * BURST_S)

    @property
    def debt(self) -> float:
        """What was spent too much and isn't made up for yet."""
        return max(0.0, -self.level)


@dataclass(frozen=True, eq=False)
class Series:
    """Values at equal steps; each holds until the next, and the last one for a step, too.

    ``start``, ``step_s``: seconds since 1970 of the first value, and seconds between two.
    """

    start: float
    step_s: float
    values: Array

    @property
    def end(self) -> float:
        """Seconds since 1970 from which on there is no value."""
        return self.start + self.step_s * len(self.values)

    def covers(self, start: float, end: float) -> bool:
        """Whether there is a value from `start` until `end`."""
        return self.start <= start and end <= self.end

    def at(self, time: float) -> float:
        """The value at a time; the first or the last where there is none.

        >>> Series(0.0, 10.0, np.array([1.0, 2.0])).at(12.0)
        2.0
        """
        place = int((time - self.start) // self.step_s)
        return float(self.values[min(max(place, 0), len(self.values) - 1)])


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a budget spent, (n_hours,), and samples by setting, (n_hours, n_settings).

    ``refused``: (n_hours,) samples that no setting answered.
    """

    spent: Array
    samples: Array
    refused: Array


def simulate(
    energy_j: Array, real_j: Array, per_hour: float, load: Array, units: Array,
    refuses: bool = False,
) -> Simulation:  # fmt: skip
    """Run a `Budget` through a load that is evenly spread over each hour.

    Parameters
    ----------
    energy_j, real_j : array of shape (n_settings,)
        Mean J per sample: as the budget takes them to be, rising, and as they are.
    load : array of shape (n_hours,)
        Samples of each hour.
    units : array of shape (n_hours, n_parts)
        How much of the limit a J takes in each part of each hour: 1, or g CO2e.
    refuses : bool
        Whether samples are refused where the cheapest setting costs more than there is.
    """
    budget, real = Budget(energy_j, per_hour), list(map(float, real_j))
    spent, refused = np.zeros(len(load)), np.zeros(len(load))
    samples = np.zeros((len(load), len(energy_j)))
    for hour, (n, of_parts) in enumerate(zip(load.tolist(), units, strict=True)):
        # A tenth of the bucket is spent in one step at most, within bounds.
        steps = np.clip(600 * n * max(real) * of_parts.max() / per_hour, 600, 36_000)
        steps = len(of_parts) * int(np.ceil(steps / len(of_parts)))
        each, amounts, n_refused = [0] * len(energy_j), 0.0, 0
        for step, unit in enumerate(np.repeat(of_parts, steps // len(of_parts)).tolist()):
            now = HOUR_S * (hour + step / steps)
            if refuses and budget.wait_s(now, n / steps * unit) > 0:
                n_refused += 1
                continue
            setting = budget.choose(now)
            amount = n / steps * real[setting] * unit
            budget.spend(amount)
            amounts += amount
            each[setting] += 1
        spent[hour], samples[hour] = amounts, n * np.array(each) / steps
        refused[hour] = n * n_refused / steps
    return Simulation(spent, samples, refused)


def mixture_loss(correct: Array, reference: Array, weights: Array) -> tuple[float, float, float]:
    """Points of accuracy lost by a mixture of settings, and the ends of its 95 % interval.

    Parameters
    ----------
    correct : array of shape (n_samples, n_settings)
        Whether each setting is right.
    reference : array of shape (n_samples,)
        The same of what losses are counted from. The interval is the normal one of the paired
        differences.
    weights : array of shape (n_settings,)
        Share of the samples that each setting answers.
    """
    lost = 100 * (reference - correct @ (weights / weights.sum()))
    mean, error = float(lost.mean()), float(lost.std() / np.sqrt(len(lost)))
    return mean, mean - Z * error, mean + Z * error


def hull(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The points, of a frontier by rising energy, that no mixture of two others beats."""
    kept: list[OperatingPoint] = []
    for point in points:
        while len(kept) > 1 and _slope(kept[-1], point) >= _slope(*kept[-2:]):
            kept.pop()
        kept.append(point)
    return kept


def settings_below(points: Sequence[OperatingPoint], top: OperatingPoint) -> list[OperatingPoint]:
    """The settings among which a budget chooses: the `hull` up to `top`, by rising energy.

    `points` are by rising energy and accuracy; `top` answers where the limit allows it.
    """
    cheaper = [p for p in points if p.energy_j < top.energy_j and p.accuracy < top.accuracy]
    settings = hull([*cheaper, top])
    assert all(a.energy_j < b.energy_j for a, b in pairwise(settings))
    return settings


def _slope(a: OperatingPoint, b: OperatingPoint) -> float:
    return (b.accuracy - a.accuracy) / (b.energy_j - a.energy_j)
