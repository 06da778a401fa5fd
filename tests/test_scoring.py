import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco.confidence import correct
from eco.intervals import Readings
from eco.scoring import (
    Selector,
    accuracy_gain,
    by_class,
    confusion,
    hull,
    mean_accuracy_over_energy,
    misordered,
    operating_point,
    random_mixing_accuracy,
    random_mixing_curve,
    worst_class,
)

POOL = ["light", "mid", "heavy"]


def readings(table, rounds=5):
    """Rounds that all read the same."""
    return Readings(np.tile(table["energy_j"], (rounds, 1)))


def test_a_reader_can_check_the_table(table):
    right = correct(table["probabilities"], table["y"])
    answered_by = np.array([0, 1, 0, 2])
    ran = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]], bool)
    point = operating_point(answered_by, ran, right, table["energy_j"], readings(table), POOL)
    assert point["accuracy"] == 0.5
    assert point["accuracy_loss_points"] == 25
    assert point["retention"] == pytest.approx(2 / 3)
    assert point["energy_j"] == 31
    assert point["energy_share"] == 0.31
    assert point["harm"] == 0.25  # sample 2, which only the heavy one has right
    assert point["share"] == {"light": 0.5, "mid": 0.25, "heavy": 0.25}
    assert point["accuracy_on_share"] == {"light": 0.5, "mid": 1.0, "heavy": 0.0}
    # The hull runs straight from (1, 0.25) over (10, 0.5) to (100, 0.75).
    assert point["gain_over_hull_points"] == pytest.approx(100 * (0.5 - (0.5 + 0.25 * 21 / 90)))


def test_a_model_that_answers_nothing_has_no_accuracy(table):
    right = correct(table["probabilities"], table["y"])
    ran = np.tile([True, False, False], (4, 1))
    first = np.zeros(4, int)
    point = operating_point(first, ran, right, table["energy_j"], readings(table), POOL)
    assert point["accuracy_on_share"] == {"light": 0.25, "mid": None, "heavy": None}


models = st.lists(
    st.tuples(st.integers(1, 1000), st.integers(0, 1000)), min_size=1, max_size=8, unique=True
)


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


@given(models)
def test_the_curve_of_the_hull_is_straight_between_its_corners(points):
    energy_j, accuracy = np.array(points, float).T / 1000
    energies, heights = np.array(random_mixing_curve(energy_j, accuracy)).T
    envelope = hull(energy_j, accuracy)
    assert heights == pytest.approx(np.interp(energies, energy_j[envelope], accuracy[envelope]))
    assert set(energy_j[envelope]) <= set(energies)


@given(models)
def test_the_hull_rises_and_ends_in_the_most_accurate_model(points):
    energy_j, accuracy = np.array(points, float).T / 1000
    envelope = hull(energy_j, accuracy)
    assert (np.diff(energy_j[envelope]) > 0).all()
    assert (np.diff(accuracy[envelope]) > 0).all()
    assert accuracy[envelope[-1]] == accuracy.max()
    assert energy_j[envelope[0]] == energy_j.min()


def test_a_pool_out_of_order_names_the_pair():
    assert misordered(np.array([1.0, 5.0, 3.0]), POOL) == ["mid costs more than heavy"]
    assert misordered(np.array([1.0, 2.0, 3.0]), POOL) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_confusion_counts_every_sample_once(pairs):
    y, labels = np.array(pairs, np.uint8).T
    counts = confusion(y, labels.astype(np.int64), 4)
    assert counts.sum() == len(pairs)
    assert np.trace(counts) == (y == labels).sum()


def test_a_selector_is_paid_for(table):
    right = correct(table["probabilities"], table["y"])
    last = np.full(4, 2)
    ran = last[:, None] == np.arange(3)
    selector = Selector(5.0, np.array([5.0, 5.0, 5.0]))
    point = operating_point(last, ran, right, table["energy_j"], readings(table), POOL, selector)
    assert point["energy_j"] == 105
    assert point["energy_share"] == 1.05
    assert point["harm"] == point["accuracy_loss_points"] == 0


def many(seed, n=4000):
    """Samples on which the heavy model is right more often than the light one."""
    random = np.random.default_rng(seed)
    difficulty = random.random(n)
    right = np.column_stack([difficulty < 0.8, difficulty < 0.85, difficulty < 0.9])
    answered_by = np.where(random.random(n) < 0.5, 0, 2)
    ran = np.zeros((n, 3), bool)
    ran[:, 0] = True
    ran[answered_by == 2] = True
    return answered_by, ran, right


def test_intervals_cover_the_truth_about_as_often_as_they_say(table):
    covered = {"accuracy": 0, "accuracy_loss_points": 0, "energy_share": 0, "retention": 0}
    truth = {
        "accuracy": 0.85,
        "accuracy_loss_points": 5,
        "energy_share": 0.56,
        "retention": 17 / 18,
    }
    for seed in range(200):
        point = operating_point(*many(seed, 500), table["energy_j"], readings(table), POOL)
        for key in covered:
            covered[key] += point[f"{key}_low"] <= truth[key] <= point[f"{key}_high"]
    assert all(180 <= n <= 200 for n in covered.values()), covered


def test_the_interval_of_the_loss_is_paired(table):
    point = operating_point(*many(0), table["energy_j"], readings(table), POOL)
    unpaired = 100 * np.hypot(*[1.96 * np.sqrt(a * (1 - a) / 4000) for a in (0.85, 0.9)])
    assert point["accuracy_loss_points_high"] - point["accuracy_loss_points"] < 0.6 * unpaired


def test_a_noisy_measurement_widens_the_energy_and_not_the_accuracy(table):
    noise = 1 + 0.3 * np.random.default_rng(0).standard_normal((9, 3))
    quiet = operating_point(*many(0), table["energy_j"], readings(table), POOL)
    noisy = operating_point(
        *many(0), table["energy_j"], Readings(readings(table, 9).per_round_j * noise), POOL
    )
    assert noisy["accuracy_high"] == quiet["accuracy_high"]
    width = quiet["energy_share_high"] - quiet["energy_share_low"]
    assert noisy["energy_share_high"] - noisy["energy_share_low"] > 1.3 * width


def test_a_gain_over_itself_is_nothing():
    right = np.array([True, False, True])
    assert set(accuracy_gain(right, right).values()) == {0.0}


def test_a_clear_gain_excludes_0():
    random = np.random.default_rng(0)
    right = random.random(2000) < 0.9
    gain = accuracy_gain(right, right & (random.random(2000) < 0.95))
    assert 0 < gain["gain_points_low"] < gain["gain_points"] < gain["gain_points_high"]


def test_the_class_that_pays_for_the_saving_is_named(table):
    y = np.array([0, 0, 1, 1])
    correct_ = np.array([[1, 1], [1, 1], [0, 1], [0, 1]], bool)
    ran = np.tile([True, False], (4, 1))
    rows = by_class(
        correct_[:, 0], correct_, ran, np.array([1.0, 4.0]), y, ["shoe", "shirt", "hat"]
    )
    assert [row["class"] for row in rows] == ["shoe", "shirt"]
    assert worst_class(rows) == {"class": "shirt", "accuracy_loss_points": 100}
    assert rows[0]["energy_share"] == 0.25


def test_the_area_counts_energies_below_the_cheapest_point_as_nothing():
    share, accuracy = np.array([0.1, 1.0]), np.array([0.8, 0.9])
    assert mean_accuracy_over_energy(share, accuracy) == pytest.approx(0.4)
    better = mean_accuracy_over_energy(np.append(share, 0.01), np.append(accuracy, 0.5))
    assert better == pytest.approx(0.65)
