import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco.confidence import correct
from eco.scoring import (
    confusion,
    hull,
    misordered,
    operating_point,
    random_mixing_accuracy,
    random_mixing_curve,
)

POOL = ["light", "mid", "heavy"]


def test_a_reader_can_check_the_table(table):
    right = correct(table["probabilities"], table["y"])
    answered_by = np.array([0, 1, 0, 2])
    spent = np.array([1.0, 11.0, 1.0, 111.0])
    point = operating_point(answered_by, spent, right, table["energy_j"], POOL)
    assert point["accuracy"] == 0.5
    assert point["accuracy_loss_points"] == 25
    assert point["retention"] == pytest.approx(2 / 3)
    assert point["energy_j"] == 31
    assert point["energy_share"] == 0.31
    assert point["share"] == {"light": 0.5, "mid": 0.25, "heavy": 0.25}
    assert point["accuracy_on_share"] == {"light": 0.5, "mid": 1.0, "heavy": 0.0}
    # The hull runs straight from (1, 0.25) over (10, 0.5) to (100, 0.75).
    assert point["gain_over_hull_points"] == pytest.approx(100 * (0.5 - (0.5 + 0.25 * 21 / 90)))


def test_a_model_that_answers_nothing_has_no_accuracy(table):
    right = correct(table["probabilities"], table["y"])
    point = operating_point(np.zeros(4, int), np.ones(4), right, table["energy_j"], POOL)
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
