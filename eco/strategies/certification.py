"""Certification: a bound on the loss or the harm of a strategy, with a stated probability.

Loss is the accuracy of the last model minus that of the strategy. Harm, which is never less, is
the share of samples on which the last model is correct and the strategy isn't. Settings are
ordered by their harm on the tuning split, from safe to cheap, and tested in that order on samples
that took part in nothing else: Learn then Test (Angelopoulos et al. 2021) with exact p-values,
binomial for harm by MAPIE, paired for loss by `eco.strategies.noninferiority`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from eco.strategies import routing
from eco.strategies.decisions import decide
from eco.strategies.noninferiority import (
    loss_certified_up_to,
    loss_limit,
    samples_needed_for_loss,
)
from eco.strategies.outcomes import Array, Outcomes
from eco.strategies.strategy import Kind, OperatingPoint, Strategy, always
from eco.strategies.tuning import evaluate, undominated

#: What a certificate bounds.
Measure = Literal["loss", "harm"]
MEASURES: tuple[Measure, ...] = ("loss", "harm")

#: Bounds, in points, at which certificates are tried on new draws.
BOUNDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
#: New draws that are counted in one matrix product.
DRAWS_AT_ONCE = 100


@dataclass(frozen=True)
class NotCertified:
    """Why no setting is certified to lose, or to harm, at most `max_points` points."""

    of: Measure
    max_points: float
    delta: float  #: Probability with which a certificate may be wrong.
    n_samples: int  #: Size of the certification split.
    n_harmed: int  #: How many of its samples the safest setting harms.
    n_gained: int = 0  #: How many it answers correctly where the last model doesn't.

    @property
    def attainable(self) -> float:
        """Points that the safest setting could be certified for, rounded up."""
        if self.of == "loss":
            limit = loss_limit(self.n_harmed, self.n_gained, self.n_samples, self.delta)
        else:
            limit = harm_limit(self.n_harmed, self.n_samples, self.delta)
        return float(np.ceil(1e4 * limit) / 100)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        return cls(**values)

    def describe(self) -> str:
        """The reason in one sentence without its full stop, for people."""
        needed = samples_needed(self.of, self.max_points / 100, self.delta)
        takes, found = f"at least {needed:,} samples of which none is harmed", f"{self.n_harmed}"
        if self.of == "loss":
            takes = f"{needed:,} samples of which none is harmed or gained"
            found = f"{self.n_harmed} and gains {self.n_gained}"
        return (
            f"{self.of} of at most {self.max_points:g} points with probability "
            f"{1 - self.delta:.10g} takes {takes}; the certification split has "
            f"{self.n_samples:,}, of which the safest setting harms {found}, which certifies "
            f"{self.attainable:.2f} points"
        )


@dataclass(frozen=True)
class Certificate:
    """What is certified of one kind of strategy to lose, or to harm, at most `max_points`."""

    of: Measure
    kind: Kind
    max_points: float
    delta: float
    #: The cheapest certified setting, with its figures on the tuning split.
    result: OperatingPoint | NotCertified
    settings_certified: int
    n_settings: int
    on_certification: float | None  #: Its loss or harm, a share; None if nothing is certified.
    on_test: float | None
    #: By bound in points, the share of new draws in which a certificate for this bound is wrong.
    violation_rates: Mapping[float, float]

    def to_row(self) -> dict[str, Any]:
        """The figures of metrics/certificate.json."""
        row = {
            "settings_certified": self.settings_certified,
            "violation_rate": self.violation_rates[self.max_points],
            f"{self.of}_on_certification": self.on_certification,
            f"{self.of}_on_test": self.on_test,
        }
        return {key: value for key, value in row.items() if value is not None}

    def violation_rows(self) -> list[dict[str, Any]]:
        """The rows of plots/violations.json."""
        return [
            {
                "of": self.of,
                "strategy": self.kind,
                "max_points": bound,
                "violation_rate": rate,
                "delta": self.delta,
            }
            for bound, rate in self.violation_rates.items()
        ]


def certify(
    splits: Mapping[str, Outcomes],
    harm_frontier: Sequence[OperatingPoint],
    probe: str,
    max_points: Mapping[Measure, float],
    delta: float,
    resplits: int,
    seed: int,
) -> list[Certificate]:
    """Certify the loss, then the harm, of cascades and of every kind of router.

    Parameters
    ----------
    splits : mapping of str to Outcomes
        Of the splits tuning, certification and test, with the routers.
    harm_frontier : sequence of OperatingPoint
        Cascades that no other one beats in harm on the tuning split, by rising energy.
    probe : str
        The model that the probe routers run first.
    max_points : mapping of str to float
        The bound on each of the two, in points.
    delta : float
        Probability with which a certificate may be wrong, each for itself.
    resplits, seed : int
        Number of new draws on which certificates are tried, and their seed.
    """
    tuning, held_out = splits["tuning"], (splits["certification"], splits["test"])
    unharmed = tuning.unharmed()
    families: dict[Kind, list[OperatingPoint]] = {"cascade": safe_to_cheap(harm_frontier, unharmed)}
    for kind in routing.KINDS:
        strategies = routing.candidates(kind, tuning.pool, probe)
        families[kind] = undominated(evaluate(each, unharmed) for each in strategies)[::-1]
    certificates = []
    for of in MEASURES:
        known = tuning if of == "loss" else unharmed
        for kind, ordered in families.items():
            points = [evaluate(point.strategy, known) for point in ordered]
            certificates.append(
                _certificate(of, kind, points, held_out, max_points[of], delta, resplits, seed)
            )
    return certificates


def _certificate(
    of: Measure,
    kind: Kind,
    points: Sequence[OperatingPoint],
    held_out: tuple[Outcomes, Outcomes],
    max_points: float,
    delta: float,
    resplits: int,
    seed: int,
) -> Certificate:
    """Of settings from safe to cheap, by outcomes of the splits certification and test."""
    certifying, test = (
        np.array([differences(point.strategy, outcomes) for point in points])
        for outcomes in held_out
    )
    n_harmed, n_gained = (certifying < 0).sum(axis=1), (certifying > 0).sum(axis=1)
    n_samples = certifying.shape[1]
    up_to = certified_up_to(of, n_harmed, n_gained, n_samples, np.array([max_points]) / 100, delta)
    n, bounds = int(up_to[0]), sorted({*BOUNDS, max_points})
    rates = resplit_violations(
        of, np.hstack([certifying, test]), n_samples, np.array(bounds) / 100, delta, resplits, seed
    )
    reason = NotCertified(of, max_points, delta, n_samples, int(n_harmed[0]), int(n_gained[0]))
    return Certificate(
        of=of,
        kind=kind,
        max_points=max_points,
        delta=delta,
        result=points[n - 1] if n else reason,
        settings_certified=n,
        n_settings=len(points),
        on_certification=float(_risk(of, certifying[n - 1])) if n else None,
        on_test=float(_risk(of, test[n - 1])) if n else None,
        violation_rates=dict(zip(bounds, rates.tolist(), strict=True)),
    )


def safe_to_cheap(points: Sequence[OperatingPoint], outcomes: Outcomes) -> list[OperatingPoint]:
    """A frontier in the order in which it is tested, the last model alone in front.

    That model loses nothing and harms nobody: where anything can be certified, it can.
    """
    last = evaluate(always(outcomes.pool[-1]), outcomes)
    return [last, *(point for point in points[::-1] if point.strategy != last.strategy)]


def differences(strategy: Strategy, outcomes: Outcomes) -> Array:
    """By sample -1 where the strategy harms, 1 where it gains, 0 where both are right or wrong.

    It gains where it is correct and the last model isn't. (n_samples,) int8.
    """
    correct = decide(strategy, outcomes).correct(outcomes)
    return correct.astype(np.int8) - outcomes.correct[:, -1].astype(np.int8)


def harmed(strategy: Strategy, outcomes: Outcomes) -> Array:
    """Where the last model is correct and the strategy isn't, (n_samples,) bool."""
    return differences(strategy, outcomes) < 0


def losses(harmed: Array, groups: Array | None = None) -> Array:
    """What a certificate adds up: harm of each sample, or the harmed share of each group.

    Samples of a group aren't independent, so each group is one draw, whose loss is its share of
    harmed samples, a number in [0, 1]. The mean loss is the harm to expect in a new group. (One
    sample of each group would do as well, and leave the exact binomial test; but the mean of a
    group varies less than one of its samples, which makes the bound tighter.)

    >>> losses(np.array([True, False, False, False]), np.array([7, 7, 3, 3]))
    array([0. , 0.5])
    """
    if groups is None:
        return harmed.astype(float)
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return np.bincount(numbers, harmed) / sizes


def certified_up_to(
    of: Measure, n_harmed: Array, n_gained: Array, n_samples: int, bounds: Array, delta: float
) -> Array:
    """`loss_certified_up_to` or `harm_certified_up_to`, (n_bounds,) int64."""
    if of == "loss":
        return loss_certified_up_to(n_harmed, n_gained, n_samples, bounds, delta)
    return harm_certified_up_to(n_harmed, n_samples, bounds, delta)


def harm_certified_up_to(
    n_harmed: Array, n_samples: int, max_harm: Array, delta: float, binary: bool = True
) -> Array:
    """How many settings, from the start of a sequence, are certified for each bound on the harm.

    With probability 1 - `delta` over the draw of the samples, no certified setting of this
    sequence does more harm than the bound. The order of the settings must not come from these
    samples. Testing stops at the first setting that fails.

    Parameters
    ----------
    n_harmed : array of shape (n_settings,)
        Harmed samples under each setting, from safe to cheap; with groups the sum of `losses`.
    n_samples : int
        Samples of the certification split; with groups, groups.
    max_harm : array of shape (n_bounds,)
        Shares in (0, 1).
    delta : float
        Probability with which a certificate may be wrong.
    binary : bool
        Whether each loss is 0 or 1, for which the binomial test is exact. If not, p-values are
        those of Hoeffding and Bentkus, which hold for any independent losses in [0, 1] (Bates et
        al. 2021, "Distribution-Free, Risk-Controlling Prediction Sets"; Angelopoulos et al. 2021,
        section 3.2). Where none is harmed the two tests agree, so `samples_needed` holds for both.

    Returns
    -------
    array of shape (n_bounds,), int
    """
    from mapie.risk_control import control_fwer
    from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

    # MAPIE rounds n x (k / n) up, and that product may lie a hair above k.
    risk = np.maximum(np.asarray(n_harmed) - 1e-6, 0) / n_samples
    p_values = compute_hoeffding_bentkus_p_value(risk, n_samples, max_harm, binary=binary)
    # "Split": the order comes from other samples.
    certified = [control_fwer(p, delta, "split_fixed_sequence") for p in p_values.T]
    return np.array([len(settings) for settings in certified])


def samples_needed(of: Measure, max_share: float, delta: float) -> int:
    """Samples that a certificate takes if none of them is harmed or gained.

    >>> samples_needed("harm", 0.005, 0.05)
    598
    """
    if of == "loss":
        return samples_needed_for_loss(max_share, delta)
    return int(np.ceil(np.log(delta) / np.log1p(-max_share)))


def harm_limit(n_harmed: int, n_samples: int, delta: float) -> float:
    """Upper limit of one fixed setting's harm, with probability 1 - `delta` (Clopper & Pearson).

    >>> round(harm_limit(0, 598, 0.05), 4)
    0.005
    """
    from scipy.stats import beta

    return float(beta.ppf(1 - delta, n_harmed + 1, n_samples - n_harmed)) if n_samples else 1.0


def resplit_violations(
    of: Measure,
    differences: Array,
    n_certification: int,
    bounds: Array,
    delta: float,
    resplits: int,
    seed: int,
) -> Array:
    """How often a certificate is wrong on samples that are drawn anew, by bound (n_bounds,).

    From `differences`, (n_settings, n_samples), settings from safe to cheap on samples that they
    were not found on. They stand for the population: certification samples are drawn from them
    with replacement, and the true loss or harm of a setting is that on all of them. Counted are
    the draws in which any certified setting exceeds the bound.
    """
    random, n_samples = np.random.default_rng(seed), differences.shape[1]
    worst_so_far = np.maximum.accumulate(_risk(of, differences))
    # Floats hold these counts exactly, and multiply faster than integers.
    harmed, gained = ((differences == sign).astype(np.float32) for sign in (-1, 1))
    violations = np.zeros(len(bounds))
    for start in range(0, resplits, DRAWS_AT_ONCE):
        n_draws = min(DRAWS_AT_ONCE, resplits - start)
        drawn = random.multinomial(n_certification, np.full(n_samples, 1 / n_samples), n_draws)
        times = drawn.T.astype(np.float32)
        counts = ((which @ times).T.astype(int) for which in (harmed, gained))
        for n_harmed, n_gained in zip(*counts, strict=True):
            up_to = certified_up_to(of, n_harmed, n_gained, n_certification, bounds, delta)
            last = up_to - 1
            violations += (last >= 0) & (worst_so_far[last] > bounds)
    return np.asarray(violations / resplits)


def _risk(of: Measure, differences: Array) -> Array:
    """Share of the samples that is lost, net of what is gained, or harmed."""
    lost = -differences.astype(int) if of == "loss" else differences < 0
    return np.asarray(lost.mean(axis=-1))
