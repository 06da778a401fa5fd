from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.evaluation.scoring import (
    Estimate,
    ScoredStrategy,
    accuracy_gain,
    mean_accuracy_over_energy,
    misordered_pairs,
    random_mixing_accuracy,
    random_mixing_curve,
    score,
)
from eco.strategies.decisions import Decisions, decide
from eco.strategies.outcomes import Outcomes, Readings, RouterOutcome
from eco.strategies.strategy import Strategy, always

POOL = ("light", "mid", "heavy")
ENERGY_J = np.array([1.0, 10.0, 100.0])


def readings(rounds=5):
    """Rounds that all read the same."""
    return Readings(np.tile(ENERGY_J, (rounds, 1)))


@pytest.fixture
def outcomes(table):
    return Outcomes.from_probabilities(**table, pool=POOL, readings=readings())


def test_a_reader_can_check_the_table(outcomes):
    ran = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
    result = score(Decisions(np.array([0, 1, 0, 2]), ran), outcomes)
    assert result.accuracy.value == 0.5
    assert result.accuracy_loss_points.value == 25
    assert result.retention.value == pytest.approx(2 / 3)
    assert result.energy_j.value == 31
    assert result.energy_share.value == 0.31
    assert result.harm.value == 0.25  # sample 2, which only the heavy one has right
    assert result.gap_to_oracle_points.value == 25
    assert result.share == {"light": 0.5, "mid": 0.25, "heavy": 0.25}
    assert result.accuracy_on_share == {"light": 0.5, "mid": 1.0, "heavy": 0.0}
    # The hull runs straight from (1, 0.25) over (10, 0.5) to (100, 0.75).
    gain = 100 * (0.5 - (0.5 + 0.25 * 21 / 90))
    assert result.gain_over_hull_points.value == pytest.approx(gain)


def test_a_row_has_flat_keys_and_no_number_that_json_lacks(outcomes):
    row = score(decide(always("light"), outcomes), outcomes).to_row()
    assert row["accuracy"] == 0.25
    assert row["accuracy_low"] <= 0.25 <= row["accuracy_high"]
    assert row["accuracy_on_share"] == {"light": 0.25, "mid": None, "heavy": None}
    wrong = replace(outcomes, correct=np.zeros((4, 3), bool))
    assert score(decide(always("light"), wrong), wrong).to_row()["retention"] is None
    row = Estimate(1.0, -np.inf, np.nan).to_row("figure")
    assert row == {"figure": 1.0, "figure_low": None, "figure_high": None}


def test_the_row_of_a_strategy_gives_the_strategy_back(outcomes):
    strategy = Strategy("cascade", POOL, (0.9, 0.8, 0.0))
    result = score(decide(strategy, outcomes), outcomes)
    scored = ScoredStrategy("tuned", "mine", strategy, result, "my label", {"further": 1})
    row = scored.to_row()
    assert (row["strategy"], row["name"], row["label"]) == ("tuned", "mine", "my label")
    assert row["further"] == 1
    assert row["energy_share"] == result.energy_share.value
    assert Strategy.from_json(row) == strategy
    assert scored.describe().startswith("mine ")


models = st.lists(
    st.tuples(st.integers(1, 1000), st.integers(0, 1000)), min_size=1, max_size=8, unique=True
)


@settings(deadline=None)
@given(models)
def test_no_model_and_no_mixture_of_two_lies_above_the_hull(points):
    energy_j, accuracy = np.array(points, float).T / 1000
    for e, a in zip(energy_j, accuracy, strict=True):
        assert random_mixing_accuracy(e, energy_j, accuracy) >= a - 1e-12
    for i in range(len(points)):
        for j in range(len(points)):
            half = (energy_j[i] + energy_j[j]) / 2
            mixed = (accuracy[i] + accuracy[j]) / 2
            assert random_mixing_accuracy(half, energy_j, accuracy) >= mixed - 1e-12


@settings(deadline=None)
@given(models)
def test_the_curve_of_the_hull_rises_ever_less_from_the_cheapest_model_to_the_best(points):
    energy_j, accuracy = np.array(points, float).T / 1000
    energies, heights = random_mixing_curve(energy_j, accuracy)
    assert heights[0] == accuracy[energy_j == energy_j.min()].max()
    assert heights[-1] == accuracy.max()
    assert (np.diff(energies) > 0).all()
    slopes = np.diff(heights) / np.diff(energies)
    assert (slopes >= -1e-9).all()
    steps = np.diff(energies)
    bends = np.diff(slopes) * np.minimum(steps[1:], steps[:-1])
    assert (bends <= 1e-9).all()
    assert (np.interp(energy_j, energies, heights) >= accuracy - 1e-12).all()


@settings(deadline=None)
@given(models, st.lists(st.integers(0, 1100), min_size=1, max_size=5))
def test_the_best_mixing_is_found_for_many_energies_and_accuracies_at_once(points, energies):
    energy_j, accuracy = np.array(points, float).T / 1000
    energies = np.array(energies) / 1000
    accuracies = np.stack([np.roll(accuracy, shift) for shift in range(len(energies))])
    one_by_one = [
        random_mixing_accuracy(energy, energy_j, a)
        for energy, a in zip(energies, accuracies, strict=True)
    ]
    assert (random_mixing_accuracy(energies, energy_j, accuracies) == one_by_one).all()


def test_a_pool_out_of_order_names_the_pair():
    assert misordered_pairs(np.array([1.0, 5.0, 3.0]), POOL) == [("mid", "heavy")]
    assert misordered_pairs(np.array([1.0, 2.0, 3.0]), POOL) == []


def test_a_router_is_paid_for(outcomes):
    router = RouterOutcome(np.full(4, 2), 5.0, np.array([5.0, 5.0, 5.0]))
    outcomes = replace(outcomes, routers={"router": router})
    result = score(decide(Strategy("router", POOL), outcomes), outcomes)
    assert result.energy_j.value == 105
    assert result.energy_share.value == 1.05
    assert result.harm.value == result.accuracy_loss_points.value == 0
    noisy = replace(router, readings_j=np.array([4.0, 5.0, 6.0, 5.0, 5.0]))
    noisy = replace(outcomes, routers={"router": noisy})
    wider = score(decide(Strategy("router", POOL), noisy), noisy)
    assert wider.energy_share.high > result.energy_share.high
    assert wider.accuracy == result.accuracy


def many(seed, n=4000, energy_readings=None):
    """Samples on which the heavy model is right more often than the light one."""
    random = np.random.default_rng(seed)
    difficulty = random.random(n)
    correct = np.column_stack([difficulty < 0.8, difficulty < 0.85, difficulty < 0.9])
    answered_by = np.where(random.random(n) < 0.5, 0, 2)
    ran = np.zeros((n, 3), bool)
    ran[:, 0] = True
    ran[answered_by == 2] = True
    outcomes = Outcomes(
        POOL, np.ones(n), correct, correct, correct, ENERGY_J, energy_readings or readings()
    )
    return Decisions(answered_by, ran), outcomes


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth = {
        "accuracy": 0.85,
        "accuracy_loss_points": 5,
        "energy_share": 0.56,
        "retention": 17 / 18,
    }
    covered = dict.fromkeys(truth, 0)
    for seed in range(200):
        row = score(*many(seed, 500)).to_row()
        for key in covered:
            covered[key] += row[f"{key}_low"] <= truth[key] <= row[f"{key}_high"]
    assert all(180 <= n <= 200 for n in covered.values()), covered


def test_the_interval_of_the_loss_is_paired():
    loss = score(*many(0)).accuracy_loss_points
    unpaired = 100 * np.hypot(*[1.96 * np.sqrt(a * (1 - a) / 4000) for a in (0.85, 0.9)])
    assert loss.high - loss.value < 0.6 * unpaired


def test_a_noisy_measurement_widens_the_energy_and_not_the_accuracy():
    noise = 1 + 0.3 * np.random.default_rng(0).standard_normal((9, 3))
    quiet = score(*many(0))
    noisy = score(*many(0, energy_readings=Readings(readings(9).per_round_j * noise)))
    assert noisy.accuracy.high == quiet.accuracy.high
    width = quiet.energy_share.high - quiet.energy_share.low
    assert noisy.energy_share.high - noisy.energy_share.low > 1.3 * width


def test_without_readings_energies_are_exact():
    decisions, outcomes = many(0)
    exact = score(decisions, replace(outcomes, readings=None))
    assert exact == score(decisions, outcomes)  # whose rounds all read the same


def test_a_gain_over_itself_is_nothing():
    correct = np.array([True, False, True])
    assert set(accuracy_gain(correct, correct).values()) == {0.0}


def test_a_clear_gain_excludes_0():
    random = np.random.default_rng(0)
    correct = random.random(2000) < 0.9
    gain = accuracy_gain(correct, correct & (random.random(2000) < 0.95))
    assert 0 < gain["gain_points_low"] < gain["gain_points"] < gain["gain_points_high"]


def test_the_area_counts_energies_below_the_cheapest_point_as_nothing():
    share, accuracy = np.array([0.1, 1.0]), np.array([0.8, 0.9])
    assert mean_accuracy_over_energy(share, accuracy) == pytest.approx(0.4)
    better = mean_accuracy_over_energy(np.append(share, 0.01), np.append(accuracy, 0.5))
    assert better == pytest.approx(0.65)
