"""Whether a stream still is what a strategy was judged on, tested at any time.

Both objects below take samples as they come and may be read after each of them: what they state
holds at all times together, so looking often, and stopping when one likes, costs nothing.
"""

import numpy as np

from eco.errors import DataError
from eco.strategies.outcomes import Array

#: Weight of a reference sample against one of the stream, in (0, 1): a larger one makes more of a
#: large reference, at a higher price for each exit.
WEIGHT = 0.7
#: Reference samples that the expected shares of a stream are worth: the more, the smaller shifts.
CONCENTRATIONS = (0, 300, 3000)
#: Bets as shares of the largest that can't lose everything.
BETS = np.append(0.99, 0.5 ** np.arange(1, 10))


def log_e_value(reference: Array, counts: Array) -> Array:
    """Logarithm of the evidence that counts and reference counts are of different shares.

    Parameters
    ----------
    reference : array of shape (n_exits,)
        Samples of the reference by exit: the model that answered them.
    counts : array of shape (..., n_exits)
        The same of the stream so far. What is returned has the axes before the last.

    Notes
    -----
    Let the reference, and then the stream, be independent draws by the same unknown shares p. Then
    the probability that the e-value ever reaches 1 / alpha is at most alpha, whatever p and the
    size of the reference are, over the draw of both. In three steps:

    1. For the true p and a given reference, the Bayes factor of Dirichlet-multinomial against p is
       a martingale from 1 (Lindon & Malek 2022, "Anytime-Valid Inference for Multinomial Count
       Data"). So is the mean of several; their Dirichlets are about the reference's shares.
    2. The reference is a sample itself. Its likelihood ratio against p to the power of w, times
       (1 - w) ** (n_exits - 1), is 1 or less on average (Agrawal 2020, "Finite-Sample Concentration
       of the Multinomial in Relative Entropy"). So is the product of 1 and 2 at any time.
    3. As p is unknown, the product is taken at its least over all p, which is where p are the
       shares of the stream and the reference together, the latter weighted by w.

    Examples
    --------
    >>> log_e_value(np.array([500, 500]), np.array([[50, 50], [90, 10]])).round(1)
    array([-1.6, 28. ])
    """
    from scipy.special import gammaln, logsumexp, xlogy

    reference, counts = np.asarray(reference, float), np.asarray(counts, float)
    shares = reference / reference.sum()
    factors = []
    for concentration in CONCENTRATIONS:
        prior = 0.5 + concentration * shares
        ratio = gammaln(prior.sum()) - gammaln(prior.sum() + counts.sum(axis=-1))
        factors.append(ratio + (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1))
    alternative = logsumexp(factors, axis=0) - np.log(len(factors))
    together = WEIGHT * reference + counts
    pooled = together / together.sum(axis=-1, keepdims=True)
    of_reference = WEIGHT * xlogy(reference, shares).sum()
    of_reference += (len(reference) - 1) * np.log1p(-WEIGHT)
    return np.asarray(alternative + of_reference - xlogy(together, pooled).sum(axis=-1))


class ShareMonitor:
    """A test that the models of a strategy still answer the shares that they did on held-out data.

    The probability that it ever raises an alarm on a stream drawn as the reference is at most
    `alpha`, over the draw of both, however long the stream and however often it is looked at. The
    reference must not have chosen the strategy.

    The e-value is a weighted mean of those of the samples since several starts. Else a shift after
    many good samples would take as many bad ones to be found. Weights are 1/2, 1/6, 1/12, ... Where
    there are too many starts, the one that says least counts as zero from then on, which can only
    lower the mean.

    Parameters
    ----------
    reference : array of shape (n_exits,)
        Samples of the reference by the model that answered them.
    alpha : float
        In (0, 1).
    restart : float
        After so many samples the first batch that follows is another start; infinite for one start.
    max_starts : int
        So many are kept at most, lest memory and the time of a look grow with the stream.

    Attributes
    ----------
    alarm_at : int or None
        How many samples there were when the e-value first reached 1 / `alpha`.

    Examples
    --------
    >>> monitor = ShareMonitor([900, 100], alpha=0.01)
    >>> monitor.update([88, 12])
    >>> monitor.alarm, round(monitor.e_value, 2)
    (False, 0.25)
    >>> monitor.update([60, 40])
    >>> monitor.alarm, monitor.alarm_at
    (True, 200)
    """

    def __init__(
        self,
        reference: Array,
        alpha: float = 0.001,
        restart: float = 2000,
        max_starts: int = 256,
    ) -> None:
        self.reference = _checked(reference, np.shape(reference))
        if not self.reference.sum():
            raise DataError("the reference must hold a sample at least")
        self.alpha, self.restart, self._max_starts = alpha, restart, max_starts
        self.alarm_at: int | None = None
        #: Samples of the stream so far, by the model that answered them.
        self.counts = np.zeros_like(self.reference)
        #: Samples since each start that is kept, and the number of the start, from 1 on.
        self._since_start, self._numbers = self.counts[None].copy(), np.ones(1)
        self._n_starts = 1
        self._log_e, self._largest = self._mean(), 0.0

    def update(self, counts: Array) -> None:
        """Add samples, by the model that answered them, (n_exits,); their order doesn't matter."""
        added = _checked(counts, self.reference.shape)
        if self.n_samples >= self.restart * self._n_starts:
            self._start()
        self.counts += added
        self._since_start += added
        self._log_e = self._mean()
        self._largest = max(self._largest, self._log_e)
        if self.alarm_at is None and self._log_e >= -np.log(self.alpha):
            self.alarm_at = self.n_samples

    def _start(self) -> None:
        """Begin another start; of too many, the one of least evidence in the older half goes."""
        self._n_starts += 1
        self._since_start = np.vstack([self._since_start, np.zeros_like(self.counts)])
        self._numbers = np.append(self._numbers, self._n_starts)
        if len(self._numbers) > self._max_starts:
            older = slice(-(-self._max_starts // 2))  # the newer half can't have evidence yet
            log_e = log_e_value(self.reference, self._since_start[older])
            least = int(np.argmin(log_e + np.log(_weights(self._numbers[older]))))
            self._since_start = np.delete(self._since_start, least, axis=0)
            self._numbers = np.delete(self._numbers, least)

    def _mean(self) -> float:
        """Logarithm of the weighted mean; starts to come have no samples yet."""
        from scipy.special import logsumexp

        starts = np.vstack([self._since_start, np.zeros_like(self.reference)])
        weights = np.append(_weights(self._numbers), 1 / (self._n_starts + 1))
        return float(logsumexp(log_e_value(self.reference, starts), b=weights))

    @property
    def n_samples(self) -> int:
        """Samples of the stream so far."""
        return int(self.counts.sum())

    @property
    def e_value(self) -> float:
        """Evidence against unchanged shares: 1 or less on average if they are, at any time."""
        return float(np.exp(min(self._log_e, 700.0)))  # as large as a float may be

    @property
    def p_value(self) -> float:
        """Least `alpha` at which there is an alarm by now."""
        return float(np.exp(-self._largest))

    @property
    def alarm(self) -> bool:
        """Whether there has been an alarm; later samples don't take it back."""
        return self.alarm_at is not None


def _weights(numbers: Array) -> Array:
    """Weights of starts by their numbers, from 1 on: of all together they add up to 1."""
    return np.asarray(1 / (numbers * (numbers + 1)))


def _checked(counts: Array, shape: tuple[int, ...]) -> Array:
    """Counts as int64; a `DataError` if they aren't."""
    found = np.asarray(counts)
    if len(shape) != 1 or found.shape != shape or found.dtype.kind not in "iu" or (found < 0).any():
        raise DataError(f"counts must be whole numbers from 0 on, one for each exit; got {counts}")
    return found.astype(np.int64)


class MeanBound:
    """Bounds on the mean of independent losses in [low, high], valid at all times together.

    The probability that `upper` is ever below the mean is at most `alpha`; the same, for itself,
    that `lower` is ever above it. The mean must be the same for all samples. Bounds come from bets
    against each mean that is possible: one that would have made a gambler 1 / `alpha` times as rich
    is excluded (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by
    betting"). The gambler spreads the capital over constant bets of all sizes, so the order of the
    losses doesn't matter. Labels may come late, if that has nothing to do with the loss.

    Parameters
    ----------
    alpha : float
        In (0, 1).
    low, high : float
        The least and the largest loss that there can be.

    Examples
    --------
    >>> bound = MeanBound(alpha=0.05)
    >>> bound.update(np.repeat([0, 1], [970, 30]))
    >>> round(bound.lower, 3), round(bound.upper, 3)
    (0.016, 0.051)
    """

    def __init__(self, alpha: float = 0.05, low: float = 0.0, high: float = 1.0) -> None:
        self.alpha, self.low, self.high = alpha, low, high
        self._values: Array = np.empty(0)
        self._counts: Array = np.empty(0)

    def update(self, losses: Array) -> None:
        """Add losses, (n_samples,); raises `DataError` for one that is not in [low, high]."""
        losses = np.asarray(losses, float)
        if not ((losses >= self.low) & (losses <= self.high)).all():
            raise DataError(f"losses must be from {self.low:g} to {self.high:g}")
        values = np.concatenate([self._values, losses])
        counts = np.concatenate([self._counts, np.ones(len(losses))])
        self._values, places = np.unique(values, return_inverse=True)
        self._counts = np.bincount(places, counts, len(self._values))

    @property
    def mean(self) -> float:
        """Mean of the losses so far, NaN without any."""
        n = self._counts.sum()
        return float(self._values @ self._counts / n) if n else float("nan")

    @property
    def upper(self) -> float:
        """Upper confidence bound."""
        return _upper(self._values, self._counts, self.low, self.high, self.alpha)

    @property
    def lower(self) -> float:
        """Lower confidence bound."""
        return -_upper(-self._values, self._counts, -self.high, -self.low, self.alpha)


def _upper(values: Array, counts: Array, low: float, high: float, alpha: float) -> float:
    """The least mean that bets on smaller losses exclude: their capital rises with the mean."""
    from scipy.optimize import brentq
    from scipy.special import logsumexp

    def excess(mean: float) -> float:
        """Logarithm of the capital that is won against this mean, over that which excludes it."""
        gains = np.log1p(np.outer(BETS, mean - values) / (high - mean)) @ counts
        return float(logsumexp(gains) - np.log(len(BETS)) + np.log(alpha))

    largest = high - 1e-9 * (high - low)  # nearer, quotients overflow
    if not len(values) or excess(largest) <= 0:
        return high
    return float(brentq(excess, values @ counts / counts.sum(), largest))
