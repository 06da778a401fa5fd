import numpy as np
import pytest

from eco import strategies
from eco.confidence import confidence
from eco.errors import ParamsError
from eco.routing import Policy, run_policy
from eco.strategies import Strategy

POOL = ["light", "mid", "heavy"]
PRESETS = {"mine": [0.8, 0.0], "of another length": [0.9, 0.8, 0.0]}
FRONTIER = [
    {"models": ["light"], "thresholds": [0.0], "accuracy": 0.80, "energy_j": 1.0},
    {"models": ["light", "heavy"], "thresholds": [0.7, 0.0], "accuracy": 0.893, "energy_j": 20.0},
    {"models": ["mid", "heavy"], "thresholds": [0.7, 0.0], "accuracy": 0.896, "energy_j": 30.0},
]
CERTIFIED = {
    "cascade": {"models": ["heavy"], "thresholds": [0.0], "accuracy": 0.9, "energy_j": 100.0},
    "router": {"none": "too few samples"},
    "price_router": {"price": 0.1, "threshold": 0.0},
    "probe_cascade": {"price": 0.2, "threshold": 0.9},
}


def listed():
    found = strategies.listed(POOL, ["light", "heavy"], PRESETS, FRONTIER, 0.9, CERTIFIED)
    return {strategy.name: strategy for strategy in found}


@pytest.mark.parametrize("name", ["always heavy", "tuned to lose 1", "router"])
def test_a_preset_can_not_have_the_name_of_another_strategy(name):
    with pytest.raises(ParamsError, match=rf"cascading.presets .* must not hold {name}:"):
        strategies.listed(POOL, ["light", "heavy"], {name: [0.8, 0.0]}, FRONTIER, 0.9, CERTIFIED)


def test_every_strategy_that_can_run_has_a_name():
    assert list(listed()) == [
        "always heavy", "mine", "tuned to lose 0.5", "tuned to lose 1", "router", "certified",
        "price_router, certified", "probe_cascade, certified",
    ]  # fmt: skip


def test_what_was_tuned_meets_its_loss_at_the_least_energy():
    assert listed()["tuned to lose 0.5"].models == ("mid", "heavy")
    assert listed()["tuned to lose 1"].models == ("light", "heavy")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mine", "light 0.8, heavy 0"),
        ("router", "oracle"),
        ("price_router, certified", "price 0.1"),
        ("probe_cascade, certified", "price 0.2, goes on below 0.9"),
    ],
)
def test_a_setting_is_told_in_a_few_words(name, told):
    assert told in listed()[name].told()


@pytest.fixture
def world():
    """Samples that hold what every model answers, and what the routers think of each."""
    random = np.random.default_rng(0)
    p = random.dirichlet([0.5, 0.5, 0.5], (60, 3)).astype(np.float32)
    scores = random.random((60, 3)).round(3)
    X = np.arange(60)

    def session(name):
        if name in POOL:
            return lambda x: p[x, POOL.index(name)]
        if name == "router":
            return lambda x: scores[x].argmax(axis=1)
        if name == "price_router":
            return lambda x: scores[x]
        # A probe router reads the probe's probabilities, so it finds the sample by them.
        known = p[:, 1].round(4)
        return lambda given: scores[[int(abs(known - row).sum(axis=1).argmin()) for row in given]]

    return p, scores, X, session


@pytest.mark.parametrize(
    ("strategy", "probe"),
    [
        (Strategy("a", "price_router", tuple(POOL), policy=Policy(0.3)), None),
        (Strategy("b", "probe_router", tuple(POOL), policy=Policy(0.3)), 1),
        (Strategy("c", "probe_cascade", tuple(POOL), policy=Policy(0.3, 0.7)), 1),
    ],
)
def test_a_router_that_runs_decides_as_it_was_evaluated(world, strategy, probe):
    p, scores, X, session = world
    energy_j = np.array([1.0, 10.0, 100.0])
    run = strategies.loaded(strategy, session, energy_j, POOL, "mid", "max_probability")
    answers = run(X)
    sure = confidence(p.round(4), "max_probability")
    by, ran = run_policy(strategy.policy, scores, sure, energy_j, probe)
    assert (answers.answered_by == by).all()
    assert (answers.ran == ran).all()
    assert len(set(by)) > 1


def test_the_oracle_s_router_runs_what_it_names(world):
    _, scores, X, session = world
    strategy = Strategy("router", "router", tuple(POOL))
    run = strategies.loaded(strategy, session, np.ones(3), POOL, "mid", "max_probability")
    assert (run(X).answered_by == scores.argmax(axis=1)).all()


def test_a_cascade_runs_its_own_models(world):
    p, _, X, session = world
    run = strategies.loaded(listed()["mine"], session, np.ones(3), POOL, "mid", "max_probability")
    answers = run(X)
    accepted = p[:, 0].round(4).max(axis=1) >= 0.8
    assert (answers.answered_by == np.where(accepted, 0, 1)).all()
