import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.routing import POLICIES, Policy, going_on, priced_choice, routed_ran, run_policy

ENERGY_J = np.array([1.0, 10.0, 100.0])
shares = arrays(np.float64, (6, 3), elements=st.floats(0, 1))


@given(shares)
def test_without_a_price_the_likeliest_to_be_right_is_picked(scores):
    assert (priced_choice(scores, ENERGY_J, 0.0) == scores.argmax(axis=1)).all()


@given(shares)
def test_at_any_price_beyond_measure_the_cheapest_is_picked(scores):
    assert (priced_choice(scores, ENERGY_J, 1e6) == 0).all()


@given(shares, st.floats(0, 5), st.floats(0, 5))
def test_a_higher_price_never_picks_a_dearer_model(scores, price, more):
    before = ENERGY_J[priced_choice(scores, ENERGY_J, price)]
    assert (ENERGY_J[priced_choice(scores, ENERGY_J, price + more)] <= before).all()


def test_a_probe_is_paid_for_once():
    ran = routed_ran(np.array([0, 1, 2]), 3, probe=1)
    assert (ran @ ENERGY_J).tolist() == [11, 10, 110]


def test_an_answer_that_is_not_confident_enough_is_passed_to_the_last_model():
    sure = np.array([[0.9, 0.5, 0.3], [0.2, 0.5, 0.3]])
    by, ran = going_on(np.array([0, 0]), routed_ran(np.array([0, 0]), 3), sure, threshold=0.8)
    assert by.tolist() == [0, 2]
    assert (ran @ ENERGY_J).tolist() == [1, 101]


@given(shares, shares)
def test_threshold_0_never_goes_on(scores, sure):
    picked = priced_choice(scores, ENERGY_J, 0.5)
    by, ran = run_policy(Policy(0.5), scores, sure, ENERGY_J)
    assert (by == picked).all()
    assert (ran.sum(axis=1) == 1).all()


def test_picking_the_probe_costs_nothing_more():
    scores = np.array([[0.90, 0.895, 0.0]])
    assert run_policy(Policy(1.0), scores, scores, ENERGY_J)[0] == 0
    assert run_policy(Policy(1.0), scores, scores, ENERGY_J, probe=1)[0] == 1


def test_only_the_policy_that_looks_back_has_thresholds():
    assert not any(policy.threshold for policy in POLICIES["price_router"])
    assert any(policy.threshold for policy in POLICIES["probe_cascade"])
