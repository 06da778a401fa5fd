from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.evaluation.budget import (
    BURST_S,
    HOUR_S,
    Budget,
    Series,
    hull,
    mixture_loss,
    settings_below,
    simulate,
)
from eco.strategies.strategy import OperatingPoint, always

ENERGIES = st.lists(st.floats(0.01, 100), min_size=1, max_size=6, unique=True).map(sorted)
LIMIT = 1000.0
RATE = LIMIT / (HOUR_S + BURST_S)


def stream(energy_j, requests_j, every_s, noise=None):
    """Settings and costs of requests at equal times; `requests_j` is their cost at 1 J a sample."""
    budget = Budget(energy_j, LIMIT)
    chosen, spent = [], []
    for number, size in enumerate(requests_j):
        chosen.append(budget.choose(number * every_s))
        cost = size * energy_j[chosen[-1]] * (1 if noise is None else noise[number])
        budget.spend(cost)
        spent.append(cost)
    return np.array(chosen), np.array(spent), budget


@settings(deadline=None, max_examples=30)
@given(ENERGIES, st.integers(0, 10**6))
def test_no_hour_spends_more_where_the_cheapest_setting_keeps_the_limit(energy_j, seed):
    """Of a load that changes every two minutes, from none to what the cheapest setting bears."""
    random, every_s = np.random.default_rng(seed), 3.0
    load = np.repeat(random.uniform(0, 1, 90) ** 2, 40) * RATE * every_s / energy_j[0]
    _, spent, _ = stream(energy_j, load, every_s)
    per_hour = int(HOUR_S / every_s)
    total = np.append(0, spent.cumsum())
    hours = total[per_hour:] - total[:-per_hour]
    assert hours.max() <= LIMIT * (1 + 1e-9) + spent.max()


@pytest.mark.parametrize("share", [1.02, 1.5, 5, 40])
def test_a_steady_load_is_given_what_the_limit_allows(share):
    """Energies of single requests differ as those of a cascade do; the mean is what is planned."""
    energy_j = [1.0, 2.0, 10.0, 50.0]
    size = RATE / energy_j[0] / share
    noise = np.random.default_rng(0).exponential(size=10800)
    chosen, spent, _ = stream(energy_j, np.full(10800, size), 1.0, noise)
    hours = spent.reshape(3, 3600).sum(axis=1)
    most = size * energy_j[-1] * 3600
    assert (hours <= 1.02 * LIMIT).all()
    assert (hours[1:] >= min(0.97 * LIMIT, 0.9 * most)).all()
    affordable = RATE / size
    near = np.searchsorted(energy_j, affordable, "right")
    assert np.isin(chosen[600:], [near - 1, near]).mean() > 0.9


def test_the_dearest_answers_wherever_it_keeps_the_limit():
    energy_j = [1.0, 5.0]
    chosen, _, budget = stream(energy_j, np.full(7200, RATE / 5.001), 1.0)
    assert (chosen == 1).all() and budget.debt == 0


def test_what_no_setting_can_keep_is_owed_and_made_up_for():
    chosen, spent, budget = stream([1.0, 5.0], np.full(7200, 3 * RATE), 1.0)
    assert (chosen[60:] == 0).all() and spent[3600:].sum() == pytest.approx(3 * RATE * 3600)
    assert budget.debt == LIMIT  # of an hour at most
    now = 7200.0
    assert budget.choose(now + 1800) == 0 and 0 < budget.debt < LIMIT
    assert budget.choose(now + HOUR_S + 2 * BURST_S) == 1 and budget.debt == 0


@given(ENERGIES, st.floats(0, 2))
def test_more_left_never_means_a_cheaper_setting(energy_j, spent):
    full, emptier = Budget(energy_j, LIMIT), Budget(energy_j, LIMIT)
    assert full.choose(0) == len(energy_j) - 1
    emptier.spend(spent * RATE * BURST_S)
    assert 0 <= emptier.choose(0) <= full.choose(0)
    if spent >= 1:
        assert emptier.choose(0) == 0


def test_a_simulation_counts_hours_settings_and_what_the_grid_says():
    energy_j = np.array([1.0, 10.0])
    load = np.array([0, 50, 500, 5000])
    ones = np.ones((4, 60))
    found = simulate(energy_j, energy_j, LIMIT, load, ones)
    assert found.samples.sum(axis=1) == pytest.approx(load)
    assert found.spent == pytest.approx(found.samples @ energy_j)
    assert found.samples[1, 1] == pytest.approx(50) and (found.spent[:3] <= LIMIT).all()
    assert found.spent[2] > 0.95 * LIMIT and found.samples[3, 0] > 4900
    dear = simulate(energy_j, energy_j, LIMIT, load[:3], np.array([[1], [1], [1.9]]))
    assert dear.samples[2, 1] < found.samples[2, 1]
    wrong = simulate(energy_j, 1.5 * energy_j, LIMIT, load[:3], ones[:3])
    assert (wrong.spent <= LIMIT).all()  # what is spent counts, not what is planned


def test_a_simulation_that_refuses_keeps_any_limit_and_counts_the_rest():
    energy_j, load = np.array([1.0, 10.0]), np.array([500, 5000, 0])
    found = simulate(energy_j, energy_j, LIMIT, load, np.ones((3, 60)), refuses=True)
    assert (found.spent <= LIMIT).all() and found.spent[1] > 0.95 * LIMIT
    assert found.samples.sum(axis=1) + found.refused == pytest.approx(load)
    assert found.refused[[0, 2]].tolist() == [0, 0] and found.refused[1] > 3900


def test_the_time_to_wait_is_that_until_the_cheapest_setting_can_be_paid():
    budget, burst = Budget([1.0, 5.0], LIMIT), RATE * BURST_S
    assert budget.wait_s(0.0, burst / 2) == budget.wait_s(0.0, 100 * burst) == 0
    budget.spend(burst + 30 * RATE)
    assert budget.wait_s(10.0, 0) == pytest.approx(20)
    assert budget.wait_s(10.0, 5 * RATE) == pytest.approx(25)
    assert budget.wait_s(10.0, 100 * burst) == pytest.approx(20 + BURST_S)
    assert budget.wait_s(35.1, 5 * RATE) == 0


def test_the_loss_of_a_mixture_by_hand():
    correct = np.array([[1, 1], [0, 1], [0, 0], [1, 1]])
    reference = np.ones(4)
    assert mixture_loss(correct, reference, np.array([0, 3]))[0] == 25
    mean, low, high = mixture_loss(correct, reference, np.array([5, 5]))
    assert mean == pytest.approx(37.5)
    error = 100 * np.std([0, 0.5, 1, 0]) / 2
    assert (mean - low, high - mean) == pytest.approx(2 * [1.96 * error], abs=0.01)
    assert mixture_loss(correct, correct[:, 1], np.array([0, 1])) == (0, 0, 0)


def test_a_value_holds_until_the_next():
    series = Series(100.0, 10.0, np.array([1.0, 2.0]))
    assert [series.at(t) for t in (0, 100, 109, 110, 119, 500)] == [1, 1, 1, 2, 2, 2]
    assert series.end == 120
    assert series.covers(100, 120) and not series.covers(99, 110) and not series.covers(100, 121)


def points(pairs):
    return [OperatingPoint(always("a"), accuracy, j) for j, accuracy in pairs]


frontiers = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=9).map(
    lambda pairs: points(
        zip(sorted({j for j, _ in pairs}), sorted({a for _, a in pairs}), strict=False)
    )
)


@given(frontiers)
def test_no_mixture_of_two_settings_beats_the_hull(frontier):
    kept = hull(frontier)
    assert (kept[0], kept[-1]) == (frontier[0], frontier[-1])
    j, accuracy = ([getattr(p, key) for p in kept] for key in ("energy_j", "accuracy"))
    for a, b in combinations(frontier, 2):
        middle = np.interp((a.energy_j + b.energy_j) / 2, j, accuracy)
        assert middle >= (a.accuracy + b.accuracy) / 2 - 1e-9
    for one in kept[1:-1]:
        others = [p for p in kept if p is not one]
        assert one.accuracy > np.interp(
            one.energy_j, [p.energy_j for p in others], [p.accuracy for p in others]
        )


def test_settings_are_those_that_are_cheaper_and_worse():
    frontier = points([(1, 0.5), (2, 0.8), (4, 0.9), (8, 0.95)])
    (top,) = points([(6, 0.85)])
    assert settings_below(frontier, top) == [*frontier[:2], top]
    assert settings_below(frontier, frontier[0]) == frontier[:1]
