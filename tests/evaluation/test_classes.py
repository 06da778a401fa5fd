import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.evaluation.classes import vanished_classes
from eco.strategies.outcomes import Outcomes, RouterOutcome
from eco.strategies.strategy import Strategy, always

POOL = ("light", "heavy")


def outcomes_of(labels, confidence=0.8, n_classes=3):
    """Models that answer these labels, (n_samples, n_models), with the same confidence."""
    labels = np.array(labels)
    p = np.full((*labels.shape, n_classes), (1 - confidence) / (n_classes - 1))
    np.put_along_axis(p, labels[..., None], confidence, axis=2)
    return Outcomes.from_probabilities(p, labels[:, -1], [1.0, 9.0], POOL)


def test_a_class_that_only_the_last_model_answers_vanishes_unless_it_runs():
    outcomes = outcomes_of([[0, 0], [0, 2], [0, 1], [1, 1]])
    assert vanished_classes(always("light"), outcomes).tolist() == [2]
    assert vanished_classes(always("heavy"), outcomes).size == 0
    assert vanished_classes(Strategy("cascade", POOL, (0.9, 0.0)), outcomes).size == 0
    assert vanished_classes(Strategy("cascade", POOL, (0.7, 0.0)), outcomes).tolist() == [2]


def test_one_answer_on_any_split_is_enough():
    rare, light = outcomes_of([[0, 2], [0, 0]]), always("light")
    assert vanished_classes(light, rare, outcomes_of([[1, 1]])).tolist() == [2]
    assert vanished_classes(light, rare, outcomes_of([[2, 0]])).size == 0


@pytest.mark.parametrize(("price", "vanished"), [(0.0, []), (5.0, [2])])
def test_a_router_is_looked_at_as_well(price, vanished):
    outcomes = outcomes_of([[0, 2], [1, 1]])
    scores = np.array([[0.2, 0.9], [0.9, 0.9]])
    outcomes = Outcomes(**(vars(outcomes) | {"routers": {"price_router": RouterOutcome(scores)}}))
    strategy = Strategy("price_router", POOL, price=price)
    assert vanished_classes(strategy, outcomes).tolist() == vanished


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
def test_a_model_alone_gives_up_what_it_never_answers(pairs):
    by_light, by_heavy = map(set, zip(*pairs, strict=True))
    vanished = vanished_classes(always("light"), outcomes_of(pairs))
    assert vanished.tolist() == sorted(by_heavy - by_light)
