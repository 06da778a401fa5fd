import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, mstats

from eco.evaluation.intervals import (
    TRIM,
    bootstrap_means,
    indistinguishable_pairs,
    percentile_interval,
    strategy_half_widths,
    trimmed_mean,
)
from eco.strategies.outcomes import Readings

readings = st.lists(st.floats(0.1, 10.0), min_size=5, max_size=60).map(np.array)


# SciPy divides by the nominal trimming, ours by the actual one: the same for multiples of ten.
@settings(deadline=None)
@given(st.sampled_from([10, 20, 30]), st.randoms(use_true_random=False))
def test_it_agrees_with_scipy(n, random):
    values = np.array([random.uniform(0.1, 10) for _ in range(n)])
    mean, half_width = trimmed_mean(values)
    low, high = mstats.trimmed_mean_ci(values, limits=(TRIM, TRIM), alpha=0.05)
    assert mean == pytest.approx((low + high) / 2)
    assert half_width == pytest.approx(np.sqrt(2) * (high - low) / 2, abs=1e-9)


@settings(deadline=None)
@given(readings, st.integers(1, 5))
def test_windows_that_do_not_count_change_nothing(values, n_missing):
    assert trimmed_mean(np.append(values, [np.nan] * n_missing)) == trimmed_mean(values)


@settings(deadline=None)
@given(readings, st.floats(1e-6, 1e6))
def test_joules_scale(values, factor):
    mean, half_width = trimmed_mean(values)
    scaled = trimmed_mean(values * factor)
    assert scaled == pytest.approx((mean * factor, half_width * factor), abs=1e-9 * factor)


def test_one_wild_reading_in_ten_changes_little():
    values = np.append(np.ones(19), 100.0)
    assert trimmed_mean(values)[0] == 1


def test_a_repetition_finds_its_mean_in_the_interval_about_as_often_as_it_says():
    random = np.random.default_rng(3)
    held = 0
    for _ in range(500):
        mean, half_width = trimmed_mean(1 + 0.1 * random.standard_normal(15))
        repeated, _ = trimmed_mean(1 + 0.1 * random.standard_normal(15))
        held += abs(repeated - mean) <= half_width
    assert 0.92 * 500 <= held <= 0.98 * 500


def test_few_readings_have_no_interval():
    assert trimmed_mean(np.array([1.0, 2.0])) == (1.5, float("inf"))
    assert np.isnan(trimmed_mean(np.array([np.nan]))[0])


def test_what_slows_a_whole_round_cancels_in_the_share():
    speed = np.random.default_rng(0).uniform(1, 2, 30)
    half_widths = strategy_half_widths(np.array([1.0, 0.2]), Readings(np.outer(speed, [1.0, 10.0])))
    assert half_widths["energy_j"] > 0.05 * 3.0
    assert half_widths["energy_share"] < 1e-9


def test_the_interval_covers_the_true_energy_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    truth, runs = np.array([1.0, 10.0, 100.0]), np.array([1.0, 0.5, 0.1])
    covered = covered_share = 0
    for _ in range(400):
        readings_j = truth * (1 + 0.05 * random.standard_normal((15, 3)))
        router_j = 2.0 * (1 + 0.05 * random.standard_normal(15))
        means = np.array([trimmed_mean(column)[0] for column in readings_j.T])
        energy_j = runs @ means + trimmed_mean(router_j)[0]
        half_widths = strategy_half_widths(runs, Readings(readings_j), router_j)
        covered += abs(energy_j - (runs @ truth + 2.0)) <= half_widths["energy_j"]
        share = (runs @ truth + 2.0) / 100
        covered_share += abs(energy_j / means[-1] - share) <= half_widths["energy_share"]
    assert covered >= 0.90 * 400
    assert covered_share >= 0.90 * 400


def test_a_model_that_never_runs_adds_no_uncertainty():
    readings_j = np.array([[1.0, 5.0, 9.0], [1.0, 50.0, 9.0], [1.0, np.nan, 9.0]])
    half_widths = strategy_half_widths(np.array([1.0, 0.0, 0.5]), Readings(readings_j))
    assert half_widths["energy_j"] == pytest.approx(0)


def test_the_bootstrap_agrees_with_scipy():
    random = np.random.default_rng(5)
    ours, theirs = random.random((2, 400)) < np.array([[0.8], [0.85]])
    drawn = bootstrap_means(np.column_stack([ours, theirs]), resamples=4000)
    low, high = percentile_interval(drawn[:, 0] - drawn[:, 1])
    expected = bootstrap(
        (ours.astype(float), theirs.astype(float)),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True, method="percentile", n_resamples=4000, rng=0,
    ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_a_permutation_of_samples_changes_no_interval():
    values = np.random.default_rng(0).integers(0, 2, (300, 3))
    assert (bootstrap_means(values) == bootstrap_means(values[::-1])).all()


def test_models_within_the_noise_are_indistinguishable():
    random = np.random.default_rng(2)
    readings_j = np.array([1.0, 1.001, 2.0]) * (1 + 0.05 * random.standard_normal((20, 3)))
    pairs = indistinguishable_pairs(Readings(readings_j), ["tiny", "small", "medium"])
    assert pairs == [("tiny", "small")]


def test_a_drift_between_runs_widens_what_it_must():
    readings_j = np.outer(np.ones(9), [1.0, 10.0, 100.0])
    quiet, drifting = (Readings(readings_j, drift) for drift in (0.0, 0.05))
    runs = np.array([1.0, 0.2, 0.1])
    assert strategy_half_widths(runs, quiet)["energy_share"] == pytest.approx(0, abs=1e-12)
    half_widths = strategy_half_widths(runs, drifting)
    assert half_widths["energy_j"] == pytest.approx(0.05 * 13)
    # The last model is its own reference, whatever the machine does.
    assert half_widths["energy_share"] == pytest.approx(0.05 * (0.13 - 0.1))
    assert strategy_half_widths(np.array([0, 0, 1.0]), drifting)["energy_share"] == 0
    close = Readings(np.outer(np.ones(9), [1.0, 1.03]), 0.05)
    assert indistinguishable_pairs(close, ["a", "b"]) == [("a", "b")]
    assert indistinguishable_pairs(Readings(close.per_round_j), ["a", "b"]) == []
