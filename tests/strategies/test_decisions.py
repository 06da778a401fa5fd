import numpy as np
import pytest

from eco.strategies.decisions import decide
from eco.strategies.outcomes import Outcomes, RouterOutcome
from eco.strategies.strategy import Strategy, always

POOL = ("light", "mid", "heavy")


@pytest.fixture
def outcomes(table):
    """The table's samples, and routers of which each costs half a joule."""
    outcomes = Outcomes.from_probabilities(**table, pool=POOL)
    scores = np.array([[0.9, 0.9, 0.9], [0.2, 0.9, 0.9], [0.2, 0.2, 0.9], [0.1, 0.1, 0.1]])
    routers = {
        "router": RouterOutcome(np.array([0, 1, 2, 0]), 0.5),
        "price_router": RouterOutcome(scores, 0.5),
        "probe_router": RouterOutcome(scores, 0.5),
    }
    return Outcomes(**(vars(outcomes) | {"routers": routers}))


# Models that answer, J per sample of the models and the router, and the number of right answers.
EXPECTED = [
    (always("heavy"), [2, 2, 2, 2], 100, 3),
    (Strategy("cascade", POOL, (0.9, 0.8, 0.0)), [0, 1, 0, 2], 124 / 4, 2),
    (Strategy("cascade", ("mid", "heavy"), (0.6, 0.0)), [1, 1, 2, 1], 140 / 4, 3),
    # Labels are 000, 100, 001, 000 while the true ones are 0, 0, 1, 1.
    (Strategy("agreement", POOL), [1, 2, 1, 1], 144 / 4, 2),
    (Strategy("router", POOL), [0, 1, 2, 0], 0.5 + 112 / 4, 3),
    (Strategy("price_router", POOL, price=0.1), [0, 1, 2, 0], 0.5 + 112 / 4, 3),
    # The probe runs on every sample, and its own answer is free.
    (Strategy("probe_router", POOL, price=0.1, probe="mid"), [1, 1, 2, 1], 0.5 + 140 / 4, 3),
    (Strategy("probe_cascade", POOL, (0.9,), 0.1, "mid"), [1, 2, 2, 2], 0.5 + 340 / 4, 3),
]


@pytest.mark.parametrize(("strategy", "answered_by", "energy_j", "n_correct"), EXPECTED)
def test_a_reader_can_check_every_kind(outcomes, strategy, answered_by, energy_j, n_correct):
    decisions = decide(strategy, outcomes)
    assert decisions.answered_by.tolist() == answered_by
    assert decisions.energy_j(outcomes) == pytest.approx(energy_j)
    assert decisions.correct(outcomes).sum() == n_correct


def test_harm_is_done_only_where_the_last_model_is_correct(outcomes):
    assert outcomes.unharmed().correct.sum(axis=0).tolist() == [2, 3, 4]
    assert outcomes.reference_accuracy == 0.75
    assert len(outcomes) == 4
