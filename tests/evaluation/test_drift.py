from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom, dirichlet_multinomial, multinomial

from eco.errors import DataError
from eco.evaluation.drift import (
    CONCENTRATIONS,
    WEIGHT,
    MeanBound,
    ShareMonitor,
    log_e_value,
)

tables = st.integers(2, 10).flatmap(
    lambda k: st.tuples(*2 * [st.lists(st.integers(0, 500), min_size=k, max_size=k)])
)
tables = tables.filter(lambda pair: any(pair[0])).map(lambda pair: tuple(map(np.array, pair)))


def fed(reference, *batches, **options):
    monitor = ShareMonitor(reference, **options)
    for batch in batches:
        monitor.update(np.array(batch))
    return monitor


def against(p, reference, counts):
    """The e-value against shares that are known, by SciPy's distributions."""
    n, own = counts.sum(), reference / reference.sum()
    factors = [
        dirichlet_multinomial.pmf(counts, 0.5 + c * own, n) / multinomial.pmf(counts, n, p)
        for c in CONCENTRATIONS
    ]
    of_reference = multinomial.pmf(reference, reference.sum(), own)
    of_reference /= multinomial.pmf(reference, reference.sum(), p)
    price = (1 - WEIGHT) ** (len(reference) - 1)
    return np.mean(factors) * price * of_reference**WEIGHT


@pytest.mark.parametrize(
    ("reference", "counts"), [([9, 3], [2, 4]), ([9, 0], [2, 1]), ([50, 7], [0, 0])]
)
def test_the_e_value_is_the_least_over_all_shares(reference, counts):
    reference, counts = np.array(reference), np.array(counts)
    found = minimize_scalar(
        lambda p: against(np.array([p, 1 - p]), reference, counts),
        bounds=(0, 1), method="bounded", options={"xatol": 1e-7},
    )  # fmt: skip
    assert np.exp(log_e_value(reference, counts)) == pytest.approx(found.fun, rel=1e-4)


def best_stopping(reference, p, options, stream, left):
    """The largest mean e-value that stopping can reach, by what came so far."""
    now = fed(reference, *stream, **options).e_value
    if not left:
        return now
    following = [
        best_stopping(reference, p, options, [*stream, sample], left - 1)
        for sample in np.eye(len(p), dtype=int)
    ]
    return max(now, p @ following)


@pytest.mark.parametrize(
    "options", [{"restart": 2}, {"restart": np.inf}, {"restart": 1, "max_starts": 2}]
)
@pytest.mark.parametrize("p", [(0.5, 0.5), (0.1, 0.9), (0.01, 0.99)])
def test_whoever_stops_when_the_evidence_is_best_has_one_at_most_on_average(p, options):
    """All references of 4 samples and streams of 4, exactly, with the best rule to stop."""
    mean = sum(
        binom.pmf(k, 4, p[0]) * best_stopping(np.array([k, 4 - k]), np.array(p), options, [], 4)
        for k in range(5)
    )
    assert mean <= 1


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100])
@pytest.mark.parametrize("p", [0.5, 0.2, 0.01])
def test_a_reference_counts_no_more_than_one_on_average(n, p):
    """What the proof takes from Agrawal (2020), for two exits, exactly."""
    values = [against(np.array([p, 1 - p]), np.array([k, n - k]), np.zeros(2)) for k in range(n)]
    values.append(against(np.array([p, 1 - p]), np.array([n, 0]), np.zeros(2)))
    assert binom.pmf(range(n + 1), n, p) @ values <= 1


@settings(deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_batches_and_names_of_exits_change_nothing(pair, random):
    reference, counts = pair
    monitor = fed(reference, counts, restart=np.inf)
    first = np.array([random.randint(0, int(count)) for count in counts])
    parts = [first, counts - first]
    random.shuffle(parts)
    assert fed(reference, *parts, restart=np.inf).e_value == pytest.approx(monitor.e_value)
    order = np.array(random.sample(range(len(counts)), len(counts)))
    assert log_e_value(reference[order], counts[order]) == pytest.approx(
        float(log_e_value(reference, counts)), abs=1e-6
    )
    assert (monitor.counts == counts).all() and monitor.n_samples == counts.sum()


@settings(deadline=None)
@given(tables, st.integers(0, 1000))
def test_equal_shares_are_no_evidence(pair, times):
    monitor = fed(pair[0], times * pair[0])
    assert monitor.e_value <= 1 and monitor.p_value == 1 and not monitor.alarm


def test_an_alarm_is_latched_and_says_when():
    bad, good = [50, 50], [900, 100]
    monitor = fed([9000, 1000], good, bad, alpha=0.01)
    assert (monitor.alarm, monitor.alarm_at, monitor.n_samples) == (False, None, 1100)
    monitor.update(bad)
    p_value = monitor.p_value
    assert monitor.alarm_at == 1200 and monitor.e_value >= 100 and p_value <= 0.01
    for _ in range(50):
        monitor.update(good)
    assert monitor.alarm_at == 1200 and monitor.p_value == p_value and monitor.e_value < 1
    assert fed([9000, 1000], [900, 100], bad, bad, alpha=1e-9).alarm is False


def test_a_larger_reference_says_more():
    e_values = [fed([8 * n, 2 * n], [700, 300]).e_value for n in (10, 100, 1000)]
    assert e_values == sorted(e_values) and e_values[0] < 2 < 1000 < e_values[-1]


def test_a_late_shift_is_found_soon_by_restarts():
    good, bad = [80, 20], [70, 30]
    stream = 200 * [good] + 20 * [bad]
    assert fed([8000, 2000], *stream).alarm_at <= 22_000
    assert fed([8000, 2000], *stream, restart=np.inf).alarm is False


@pytest.mark.parametrize("n_reference", [500, 2000, 9000])
@pytest.mark.parametrize("shares", [(0.57, 0.37, 0.04, 0.02), (0.98, 0.02)])
def test_false_alarms_are_rarer_than_alpha(n_reference, shares):
    random, largest = np.random.default_rng(0), []
    for _ in range(200):
        stream = random.multinomial(100, shares, 200).cumsum(axis=0)
        largest.append(log_e_value(random.multinomial(n_reference, shares), stream).max())
    for alpha in (0.05, 0.001):
        assert np.mean(np.array(largest) >= -np.log(alpha)) <= alpha


@pytest.mark.parametrize("counts", [[1, -1], [1.0, 2.0], [1, 2, 3], 3, [[1, 2]]])
def test_what_are_no_counts_is_refused(counts):
    with pytest.raises(DataError, match="whole numbers from 0"):
        fed([5, 5], counts)


def test_an_empty_reference_is_refused():
    with pytest.raises(DataError, match="at least"):
        ShareMonitor(np.array([0, 0]))


def bounds(losses, **options):
    bound = MeanBound(**options)
    bound.update(losses)
    return bound


def test_bounds_by_hand():
    assert (bounds([]).lower, bounds([]).upper) == (0, 1)
    assert (bounds([1.0]).lower, bounds([1.0]).upper) == (pytest.approx(0.01, abs=0.1), 1)
    none = bounds(np.zeros(1000))
    assert none.mean == none.lower == 0
    # A bound for one look only, Clopper and Pearson's, is 3 / 1000.
    assert 0.003 < none.upper < 0.006
    half = bounds(np.repeat([-1, 1], 5000), low=-1)
    assert half.lower == pytest.approx(-half.upper) and 0.02 < half.upper < 0.05


losses = st.lists(st.floats(-1, 1), min_size=1, max_size=40)


@settings(deadline=None, max_examples=40)
@given(losses, st.integers(0, 40))
def test_bounds_hold_the_mean_mirror_and_take_batches(losses, cut):
    whole, parts = bounds(losses, low=-1), bounds(losses[:cut], low=-1)
    parts.update(losses[cut:][::-1])
    mirrored = bounds([-loss for loss in losses], low=-1)
    assert whole.lower <= whole.mean <= whole.upper
    assert parts.upper == pytest.approx(whole.upper, abs=1e-6)
    assert mirrored.lower == pytest.approx(-whole.upper, abs=1e-6)


@pytest.mark.parametrize("mean", [0.05, 0.3, 0.8])
def test_a_bound_is_ever_wrong_with_probability_alpha_at_most(mean):
    """All sequences of 16 losses of 0 or 1, exactly, by their sums."""
    alpha, alive, wrong = 0.2, {0: 1.0}, 0.0
    for n in range(1, 17):
        following = {}
        for (total, share), loss in product(alive.items(), (0, 1)):
            at = total + loss
            following[at] = following.get(at, 0) + share * (mean if loss else 1 - mean)
        excluded = {
            k for k in following if bounds(np.repeat([0, 1], [n - k, k]), alpha=alpha).upper < mean
        }
        wrong += sum(following[k] for k in excluded)
        alive = {k: share for k, share in following.items() if k not in excluded}
    assert wrong <= alpha


@pytest.mark.parametrize("loss", [-0.1, 1.1, np.nan])
def test_losses_outside_their_limits_are_refused(loss):
    with pytest.raises(DataError, match="from 0 to 1"):
        bounds([0.5, loss])


@pytest.mark.parametrize("risk", [0.01, 0.03, 0.06, 0.15])
def test_bets_see_a_broken_limit_no_later_than_mapie(risk):
    """Its risk monitoring, at the same level for the stream."""
    from mapie.exchangeability_testing import RiskMonitoring

    limit, alpha = 0.02, 0.01
    right = np.random.default_rng(0).random(2000) > risk
    monitor = RiskMonitoring("accuracy", test_level=2 * alpha, threshold=limit, warn=False)
    monitor.update(np.ones(len(right), int), right.astype(int))
    theirs = monitor.online_risk_lower_bound_sequence_history
    ours = [bounds(~right[:n], alpha=alpha).lower for n in range(100, 2001, 100)]
    theirs = theirs[99::100]
    first = [next((i for i, b in enumerate(each) if b > limit), 99) for each in (ours, theirs)]
    assert first[0] <= first[1] and (first[0] < 99) == (risk > limit)


def test_a_shift_is_found_by_the_starts_that_are_kept():
    monitor = ShareMonitor(np.array([8000, 2000]), restart=10, max_starts=20)
    for _ in range(400):
        monitor.update(np.array([8, 2]))
    assert monitor.n_samples == 4000 and monitor.e_value < 1
    for _ in range(20):
        monitor.update(np.array([5, 5]))
    assert monitor.alarm and list(monitor.counts) == [3300, 900]
