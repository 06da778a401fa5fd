import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.strategies.routing import (
    KINDS,
    candidates,
    priced_choice,
    remaining_energy_j,
    routed_ran,
    run_policy,
)

POOL = ("light", "mid", "heavy")
ENERGY_J = np.array([1.0, 10.0, 100.0])
shares = arrays(np.float64, (6, 3), elements=st.floats(0, 1))


@settings(deadline=None)
@given(shares)
def test_without_a_price_the_likeliest_to_be_correct_is_picked(scores):
    assert (priced_choice(scores, ENERGY_J, 0.0) == scores.argmax(axis=1)).all()


@settings(deadline=None)
@given(shares)
def test_at_a_very_high_price_the_cheapest_is_picked(scores):
    assert (priced_choice(scores, ENERGY_J, 1e6) == 0).all()


@settings(deadline=None)
@given(shares)
def test_at_a_price_of_minus_1_the_last_one_is_picked(scores):
    assert (priced_choice(scores * 0.98, ENERGY_J, -1.1) == 2).all()


@settings(deadline=None)
@given(shares, st.floats(0, 5), st.floats(0, 5))
def test_a_higher_price_never_picks_a_costlier_model(scores, price, more):
    before = ENERGY_J[priced_choice(scores, ENERGY_J, price)]
    assert (ENERGY_J[priced_choice(scores, ENERGY_J, price + more)] <= before).all()


def test_a_probe_is_paid_for_once():
    ran = routed_ran(np.array([0, 1, 2]), 3, probe=1)
    assert (ran @ ENERGY_J).tolist() == [11, 10, 110]


def test_an_answer_below_the_threshold_is_deferred_to_the_last_model():
    confidence = np.array([[0.9, 0.5, 0.3], [0.2, 0.5, 0.3]])
    scores = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    answered_by, ran = run_policy(scores, confidence, ENERGY_J, price=0.0, threshold=0.8)
    assert answered_by.tolist() == [0, 2]
    assert (ran @ ENERGY_J).tolist() == [1, 101]


@settings(deadline=None)
@given(shares, shares)
def test_threshold_0_never_defers(scores, confidence):
    answered_by, ran = run_policy(scores, confidence, ENERGY_J, price=0.5)
    assert (answered_by == priced_choice(scores, ENERGY_J, 0.5)).all()
    assert (ran.sum(axis=1) == 1).all()


def test_picking_the_probe_costs_nothing_more():
    scores = np.array([[0.90, 0.895, 0.0]])
    assert run_policy(scores, scores, ENERGY_J, price=1.0)[0] == 0
    assert run_policy(scores, scores, ENERGY_J, price=1.0, probe=1)[0] == 1
    assert remaining_energy_j(ENERGY_J, probe=1).tolist() == [1, 0, 100]
    assert ENERGY_J[1] == 10


class TestCandidates:
    @pytest.mark.parametrize("kind", KINDS)
    def test_they_are_distinct_and_of_their_kind(self, kind):
        strategies = candidates(kind, POOL, "mid")
        assert len(set(strategies)) == len(strategies)
        assert {(s.kind, s.models) for s in strategies} == {(kind, POOL)}

    def test_only_a_probe_cascade_has_thresholds(self):
        assert not any(s.thresholds for s in candidates("probe_router", POOL, "mid"))
        assert all(s.thresholds for s in candidates("probe_cascade", POOL, "mid"))

    @settings(deadline=None)
    @given(shares)
    @pytest.mark.parametrize("kind", ["price_router", "probe_router"])
    def test_one_of_them_prefers_the_last_model_to_all_others(self, kind, scores):
        last = min(candidates(kind, POOL, "mid"), key=lambda s: s.price)
        answered_by, _ = run_policy(scores * 0.8, scores, ENERGY_J, last.price)
        assert (answered_by == 2).all()
