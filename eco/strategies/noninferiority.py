"""Non-inferiority: whether a strategy loses less accuracy than a margin, from paired answers.

The last model and the strategy answer the same samples. Where just one of them is correct, the
strategy harms (the last model is) or gains (the strategy is); its loss is the difference of the
two rates.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Rates of gain over which the probability of a wrong decision is maximised.
N_RATES = 160


@lru_cache(maxsize=64)
def gains_needed(n_samples: int, max_loss: float, delta: float) -> Array:
    """Gains at which a loss below `max_loss` is shown, for each number of harmed samples.

    An exact unconditional test: of the strategies that lose `max_loss` or more, whatever their
    rates of harm and gain, none passes with a probability above `delta`. Outcomes are ranked by a
    score limit of their loss, and as many pass as that allows, by the largest probability over
    the rate of gain, the nuisance parameter (Hsueh, Liu & Chen 2001, "Unconditional Exact Tests
    for Equivalence or Noninferiority for Paired Binary Endpoints"). That probability falls as the
    loss rises, so it is largest at `max_loss`; and as the rank doesn't depend on `max_loss`, what
    passes at one margin passes at any wider one (Buehler 1957).

    Parameters
    ----------
    n_samples : int
    max_loss : float
        Share of the samples, in (0, 1).
    delta : float
        Probability with which the decision may be wrong, in (0, 1).

    Returns
    -------
    array of shape (n_samples + 1,), int64
        By number of harmed samples the least number of gains, which never falls. Above the number
        of the other samples: no outcome shows it.

    Examples
    --------
    >>> gains_needed(1000, max_loss=0.01, delta=0.05)[:8]
    array([0, 0, 0, 0, 0, 1, 2, 4])
    """
    from scipy.stats import norm

    worst, z = _worst_case(n_samples, max_loss), float(norm.isf(min(delta, 0.4)))
    low, high = -float(n_samples), float(n_samples)  # nothing passes at `low`
    while high - low > 1e-3:
        middle = (low + high) / 2
        passes = worst(_boundary(middle, n_samples, z)) <= delta
        low, high = (middle, high) if passes else (low, middle)
    needed = _boundary(low, n_samples, z)
    needed.setflags(write=False)
    return needed


def loss_certified_up_to(
    n_harmed: Array, n_gained: Array, n_samples: int, max_loss: Array, delta: float
) -> Array:
    """How many settings, from the start of a sequence, are certified for each bound on the loss.

    As `certification.harm_certified_up_to`, of the harmed and the gained samples under each
    setting, (n_settings,) int64.
    """
    needed = [gains_needed(n_samples, float(bound), delta)[n_harmed] for bound in max_loss]
    passes = np.asarray(n_gained) >= np.array(needed)
    return np.asarray(np.logical_and.accumulate(passes, axis=1).sum(axis=1))


def loss_limit(n_harmed: int, n_gained: int, n_samples: int, delta: float) -> float:
    """Upper limit of one fixed setting's loss, with probability 1 - `delta`, to 1e-5.

    >>> round(loss_limit(0, 0, 1000, 0.05), 4)
    0.0036
    """
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        passes = n_gained >= gains_needed(n_samples, middle, delta)[n_harmed]
        low, high = (low, middle) if passes else (middle, high)
    return high


def samples_needed_for_loss(max_loss: float, delta: float) -> int:
    """Samples that a certificate takes if none is harmed or gained, to 1 %; never too few.

    >>> samples_needed_for_loss(0.01, 0.05)
    356
    """
    low, high = 0, 1
    while gains_needed(high, max_loss, delta)[0] > 0:
        low, high = high, 2 * high
    while high - low > 1 + high // 100:
        middle = (low + high) // 2
        passes = gains_needed(middle, max_loss, delta)[0] == 0
        low, high = (low, middle) if passes else (middle, high)
    return high


def _boundary(margin: float, n_samples: int, z: float) -> Array:
    """Least gains that put the loss `z` standard errors below a margin, by number harmed.

    With y = gains - harmed + margin, in samples, the condition is y >= z * sqrt(variance), the
    number of samples on which the answers differ, or the margin if that is more.
    """
    harmed = np.arange(n_samples + 1)
    root = np.sqrt(np.maximum(z**4 + 4 * z**2 * (2 * harmed - margin), 0))
    gains = np.maximum(z * np.sqrt(max(margin, 0)), (z**2 + root) / 2) + harmed - margin
    return np.maximum(np.ceil(gains - 1e-9), 0).astype(np.int64)


def _worst_case(n_samples: int, max_loss: float) -> Callable[[Array], float]:
    """The largest probability, over rates of gain, that a loss of `max_loss` passes a boundary."""
    from scipy.stats import binom

    highest = (1 - max_loss) / 2
    rates = np.concatenate([[0.0], np.geomspace(1e-2 * highest / n_samples, highest, N_RATES)])
    harm = rates + max_loss
    reach = 9 * np.sqrt(n_samples * harm * (1 - harm)) + 20  # beyond it nothing is to be expected
    starts = np.maximum(n_samples * harm - reach, 0).astype(int)
    ends = np.minimum(n_samples * harm + reach, n_samples).astype(int)
    rate = np.repeat(np.arange(len(rates)), ends - starts + 1)
    harmed = np.concatenate([np.arange(a, b + 1) for a, b in zip(starts, ends, strict=True)])
    probability = binom.pmf(harmed, n_samples, harm[rate])
    gain = np.minimum(rates / (1 - harm), 1.0)[rate]

    def worst(boundary: Array) -> float:
        passes = probability * binom.sf(boundary[harmed] - 1, n_samples - harmed, gain)
        return float(np.bincount(rate, passes).max())

    return worst
