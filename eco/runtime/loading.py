"""From a strategy by name to one that runs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import ModelError
from eco.runtime.calls import Model
from eco.runtime.engine import Answers, Cascade, Routing
from eco.strategies.confidence import Signal
from eco.strategies.routing import priced_choice, remaining_energy_j
from eco.strategies.strategy import Strategy

Array = NDArray[Any]

#: Decimals of the scores that prices are chosen on.
SCORE_DECIMALS = 3


def load(
    strategy: Strategy,
    session: Callable[[str], Model],
    energy_j: Array,
    pool: Sequence[str],
    signal: Signal = "max_probability",
) -> Callable[[Any], Answers]:
    """Load a strategy: what turns samples into `Answers`, whose models are `strategy.models`.

    ``session`` loads a model or a router by its name. Routers weigh ``energy_j``, (n_models,) J
    per sample of each model of the pool. Agreement voting is refused by a ModelError, and so is
    what a model gives unless it is probabilities; the error names the model's file.
    """
    if strategy.kind == "agreement":
        raise ModelError("agreement voting is a rule to compare with, and can't be run")
    models = [session(model) for model in strategy.models]
    run = _engine(strategy, models, session, energy_j, pool, signal)
    names = [str(getattr(m, "path", n)) for m, n in zip(models, strategy.models, strict=True)]

    def named(X: Any) -> Answers:
        try:
            return run(X)
        except ModelError as error:
            if isinstance(error.model, int):
                error.model = names[error.model]
            raise

    return named


def _engine(
    strategy: Strategy,
    models: Sequence[Model],
    session: Callable[[str], Model],
    energy_j: Array,
    pool: Sequence[str],
    signal: Signal,
) -> Callable[[Any], Answers]:
    if strategy.router is None:
        return Cascade(models, strategy.thresholds, signal)
    router = session(strategy.router)
    if strategy.kind == "router":
        return Routing(router, models, signal=signal)
    probe = None if strategy.probe is None else list(pool).index(strategy.probe)
    price, remaining_j = strategy.price or 0.0, remaining_energy_j(energy_j, probe)

    def pick(router_input: Array) -> Array:
        scores = router(router_input)
        shape = len(router_input), len(pool)
        if scores.shape != shape or scores.dtype.kind != "f" or not np.isfinite(scores).all():
            raise ModelError(
                f"must return a score of each model for each sample, {shape} finite floats; got "
                f"shape {scores.shape} of {scores.dtype}",
                model=str(getattr(router, "path", strategy.router)),
            )
        return priced_choice(np.round(scores, SCORE_DECIMALS), remaining_j, price)

    threshold = strategy.thresholds[0] if strategy.thresholds else 0.0
    return Routing(pick, models, probe, threshold, signal)
