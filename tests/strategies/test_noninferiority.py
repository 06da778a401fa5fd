import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multinomial

from eco.strategies.certification import samples_needed
from eco.strategies.noninferiority import gains_needed, loss_certified_up_to, loss_limit


def passing(needed):
    """The outcomes (harmed, gained) that pass."""
    n_samples = len(needed) - 1
    outcomes = ((h, g) for h in range(n_samples + 1) for g in range(n_samples + 1 - h))
    return [(h, g) for h, g in outcomes if g >= needed[h]]


@pytest.mark.parametrize(("n_samples", "max_loss"), [(40, 0.1), (60, 0.2), (30, 0.5)])
@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_no_loss_at_or_above_the_margin_passes_more_often_than_allowed(n_samples, max_loss, delta):
    """By the multinomial probability of every outcome, over losses and rates of gain."""
    outcomes = np.array(passing(gains_needed(n_samples, max_loss, delta)))
    counts = np.column_stack([outcomes, n_samples - outcomes.sum(axis=1)])
    probabilities = [
        multinomial.pmf(counts, n_samples, [loss + gain, gain, 1 - loss - 2 * gain]).sum()
        for loss in (max_loss, 1.02 * max_loss, 1.2 * max_loss)
        for gain in np.linspace(0, (1 - loss) / 2, 100)
    ]
    assert max(probabilities) <= delta
    assert max(probabilities) > delta / 2  # and the allowance is used


def test_random_draws_at_the_margin_pass_as_rarely():
    n_samples, max_loss, delta, draws = 4200, 0.005, 0.05, 20_000
    needed = gains_needed(n_samples, max_loss, delta)
    random = np.random.default_rng(0)
    for gain in (0.0, 0.0015, 0.01, 0.05):
        rates = [max_loss + gain, gain, 1 - max_loss - 2 * gain]
        harmed, gained, _ = random.multinomial(n_samples, rates, draws).T
        assert (gained >= needed[harmed]).mean() <= delta + 4 * np.sqrt(delta / draws)


counts = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(counts, st.floats(0.005, 0.3), st.floats(0, 0.3), st.sampled_from([0.01, 0.05, 0.2]))
def test_a_looser_bound_never_certifies_less(counts, bound, looser, delta):
    harmed, gained = np.array(counts).T
    bounds = np.array([bound, bound + looser])
    strict, loose = loss_certified_up_to(harmed, gained, 200, bounds, delta)
    assert strict <= loose


@settings(deadline=None, max_examples=60)
@given(counts, st.floats(0.005, 0.3), st.sampled_from([0.01, 0.05, 0.1]))
def test_testing_stops_at_the_first_setting_that_fails(counts, bound, delta):
    harmed, gained = np.array(counts).T
    passes = gained >= gains_needed(200, bound, delta)[harmed]
    expected = len(passes) if passes.all() else int(passes.argmin())
    assert loss_certified_up_to(harmed, gained, 200, np.array([bound]), delta)[0] == expected


def test_more_harm_takes_more_gains_and_less_certainty_fewer():
    needed = gains_needed(2000, 0.005, 0.05)
    assert (np.diff(needed) >= 0).all()
    assert (gains_needed(2000, 0.005, 0.2) <= needed).all()


def test_the_limit_is_the_least_loss_that_passes():
    limit = loss_limit(9, 4, 1000, 0.05)
    assert gains_needed(1000, limit, 0.05)[9] <= 4
    assert gains_needed(1000, limit - 1e-4, 0.05)[9] > 4


@pytest.mark.parametrize(("max_loss", "delta"), [(0.01, 0.05), (0.05, 0.01), (0.3, 0.5)])
def test_so_many_samples_are_needed_and_no_fewer_by_much(max_loss, delta):
    n_samples = samples_needed("loss", max_loss, delta)
    assert samples_needed("harm", max_loss, delta) <= n_samples
    assert gains_needed(n_samples, max_loss, delta)[0] == 0
    if n_samples > 20:
        assert gains_needed(int(0.97 * n_samples), max_loss, delta)[0] > 0


def test_too_few_samples_show_nothing():
    assert passing(gains_needed(3, 0.001, 0.05)) == []
