"""Strategies that are loaded by name decide as they were evaluated."""

import numpy as np
import pytest

from eco.errors import ModelError
from eco.runtime.loading import load
from eco.strategies.confidence import confidence
from eco.strategies.routing import run_policy
from eco.strategies.strategy import Strategy, always

POOL = ("light", "mid", "heavy")
ENERGY_J = np.array([1.0, 10.0, 100.0])
SCORES = np.random.default_rng(0).random((60, 3)).round(3)
P = np.random.default_rng(1).dirichlet([0.5, 0.5, 0.5], (60, 3)).astype(np.float32)
X = np.arange(60)


def session(name):
    """Models and routers that look samples up by their number."""
    if name in POOL:
        return lambda x: P[x, POOL.index(name)]
    if name == "router":
        return lambda x: SCORES[x].argmax(axis=1)
    if name == "price_router":
        return lambda x: SCORES[x]
    # A probe router reads the probe's probabilities, so it finds the sample by them.
    known = P[:, 1].round(4)
    return lambda p: SCORES[[int(abs(known - row).sum(axis=1).argmin()) for row in p]]


@pytest.mark.parametrize(
    ("strategy", "probe"),
    [
        (Strategy("price_router", POOL, price=0.3), None),
        (Strategy("probe_router", POOL, price=0.3, probe="mid"), 1),
        (Strategy("probe_cascade", POOL, (0.7,), price=0.3, probe="mid"), 1),
    ],
)
def test_a_router_that_runs_decides_as_it_was_evaluated(strategy, probe):
    answers = load(strategy, session, ENERGY_J, POOL)(X)
    threshold = strategy.thresholds[0] if strategy.thresholds else 0.0
    stored = confidence(P.round(4), "max_probability")
    answered_by, ran = run_policy(SCORES, stored, ENERGY_J, 0.3, threshold, probe)
    assert (answers.answered_by == answered_by).all()
    assert (answers.ran == ran).all()
    assert len(set(answered_by)) > 1


def test_the_router_trained_on_oracle_labels_runs_the_model_it_names():
    answers = load(Strategy("router", POOL), session, ENERGY_J, POOL)(X)
    assert (answers.answered_by == SCORES.argmax(axis=1)).all()


@pytest.mark.parametrize("signal", ["max_probability", "margin"])
def test_a_cascade_runs_its_own_models(signal):
    strategy = Strategy("cascade", ("light", "heavy"), (0.8, 0.0))
    answers = load(strategy, session, ENERGY_J, POOL, signal)(X)
    accepted = confidence(P.round(4), signal)[:, 0] >= 0.8
    assert (answers.answered_by == np.where(accepted, 0, 1)).all()
    assert (load(always("mid"), session, ENERGY_J, POOL)(X).probabilities == P[:, 1]).all()


@pytest.mark.parametrize(
    "scores",
    [
        SCORES[:, :2],
        SCORES[:, 0],
        SCORES[:5],
        SCORES * np.nan,
        SCORES.argmax(1),
        SCORES.astype(str),
    ],
)
def test_a_router_gives_a_score_of_each_model(scores):
    def scoring(name):
        return (lambda x: scores) if name == "price_router" else session(name)

    run = load(Strategy("price_router", POOL, price=0.3), scoring, ENERGY_J, POOL)
    with pytest.raises(ModelError, match=r"model price_router must return .* \(60, 3\) finite"):
        run(X)


def test_a_model_that_gives_no_probabilities_is_named():
    def doubling(name):
        model = session(name)
        return (lambda x: 2 * model(x)) if name == "heavy" else model

    run = load(Strategy("cascade", ("light", "heavy"), (1.0, 0.0)), doubling, ENERGY_J, POOL)
    with pytest.raises(ModelError, match="model heavy must return probabilities"):
        run(X)


def test_a_rule_that_the_engine_can_not_run_is_refused():
    with pytest.raises(ModelError, match="agreement voting"):
        load(Strategy("agreement", POOL), session, ENERGY_J, POOL)
