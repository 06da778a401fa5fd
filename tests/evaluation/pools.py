"""A pool whose larger models are better, on samples of two splits."""

import numpy as np

from eco.strategies.outcomes import Outcomes, Readings, RouterOutcome

POOL = ("light", "mid", "heavy")
ENERGY_J = np.array([1.0, 10.0, 100.0])
ROUTER_J = 0.5


def make_outcomes(seed, n=600):
    """Outcomes with routers, of which each predicts the models' chances well."""
    random = np.random.default_rng(seed)
    chance = 1 - random.random(n)[:, None] * np.array([0.5, 0.3, 0.12])
    confidence = chance.round(4)
    correct = random.random((n, 3)) < chance
    y = random.integers(0, 2, n)
    price = RouterOutcome(confidence, ROUTER_J, np.full(5, ROUTER_J))
    choices = RouterOutcome(correct.argmax(axis=1), ROUTER_J, np.full(5, ROUTER_J))
    return Outcomes(
        POOL,
        y,
        np.where(correct, y[:, None], 1 - y[:, None]),
        confidence,
        correct,
        ENERGY_J,
        Readings(np.tile(ENERGY_J, (5, 1)), drift=0.1),
        {"router": choices, "price_router": price, "probe_router": price},
    )
