import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from eco.certification import (
    certified_up_to,
    harm_limit,
    harms,
    resplit_violations,
    samples_needed,
)

counts = st.lists(st.integers(0, 40), min_size=1, max_size=12).map(np.array)
N = 500


def test_harm_is_where_only_the_largest_model_is_right():
    reference = np.array([True, True, False, False])
    assert harms(np.array([True, False, True, False]), reference).tolist() == [
        False,
        True,
        False,
        False,
    ]


@settings(deadline=None)
@given(counts, st.floats(0.005, 0.2), st.floats(0.01, 0.3))
def test_testing_stops_at_the_first_setting_that_fails(n_harmed, max_harm, delta):
    p_values = binom.cdf(n_harmed, N, max_harm)
    passing = p_values <= delta
    expected = len(passing) if passing.all() else int(passing.argmin())
    assert certified_up_to(n_harmed, N, np.array([max_harm]), delta)[0] == expected


@settings(deadline=None)
@given(counts, st.floats(0.005, 0.2), st.floats(0, 0.2), st.floats(0.01, 0.3), st.floats(0, 0.3))
def test_certificates_are_monotone_in_the_bound_and_in_delta(n_harmed, bound, more, delta, looser):
    strict = certified_up_to(n_harmed, N, np.array([bound]), delta)
    assert certified_up_to(n_harmed, N, np.array([bound + more]), delta) >= strict
    assert certified_up_to(n_harmed, N, np.array([bound]), delta + looser) >= strict


def test_so_many_samples_are_needed_and_no_more():
    for max_harm, delta in ((0.005, 0.05), (0.02, 0.1), (0.001, 0.01)):
        n = samples_needed(max_harm, delta)
        none = np.array([0])
        assert certified_up_to(none, n, np.array([max_harm]), delta)[0] == 1
        assert certified_up_to(none, n - 1, np.array([max_harm]), delta)[0] == 0


def test_the_limit_of_one_setting_is_the_bound_that_it_just_passes():
    limit = harm_limit(7, 2000, 0.05)
    assert binom.cdf(7, 2000, limit) == pytest.approx(0.05)


def test_certificates_are_wrong_no_more_often_than_they_say():
    """Settings of known harm, certified on fresh samples over and over."""
    random, delta, n_samples = np.random.default_rng(0), 0.1, 1500
    true_harm = np.linspace(0.001, 0.06, 40)
    max_harm, wrong = np.array([0.02]), 0
    for _ in range(400):
        n_harmed = random.binomial(n_samples, true_harm)
        reach = certified_up_to(n_harmed, n_samples, max_harm, delta)[0]
        wrong += reach > 0 and true_harm[reach - 1] > max_harm[0]
    assert wrong <= binom.ppf(0.999, 400, delta)


def test_a_study_of_harmless_settings_finds_no_violation():
    study = resplit_violations(np.zeros((3, 900), bool), 400, np.array([0.05]), 0.05, 100, seed=0)
    assert study.tolist() == [0]


def test_a_study_sees_certificates_that_hold_by_luck_only():
    """Harm just above the bound: half of the splits show less, and a delta of 0.49 lets them."""
    harmed = np.arange(1000)[None] < 51
    lax, strict = (
        resplit_violations(harmed, 500, np.array([0.05]), delta, 300, seed=0)[0]
        for delta in (0.49, 0.001)
    )
    assert lax > 0.2
    assert strict < 0.01
