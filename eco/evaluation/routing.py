"""The routers, scored: the model that each picked for each sample, and what picking cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eco.errors import TargetError
from eco.evaluation.scoring import ScoredStrategy, accuracy_gain, score
from eco.strategies.decisions import decide
from eco.strategies.names import as_key, strategy_name
from eco.strategies.outcomes import Outcomes
from eco.strategies.routing import KINDS, candidates
from eco.strategies.strategy import OperatingPoint, Strategy
from eco.strategies.tuning import evaluate, undominated

Points = Sequence[OperatingPoint]


def chosen_routers(
    outcomes: Outcomes,
    probe: str,
    price: float | None,
    select: Callable[[Points], OperatingPoint],
) -> dict[str, Strategy | TargetError]:
    """One setting of each kind of router, or why none meets the target.

    Without a price, one is tuned on these outcomes: `select` picks a point from a frontier, or
    raises `TargetError`. A price says nothing of the threshold of a probe cascade, so there is
    none of these at a fixed price.
    """
    routers: dict[str, Strategy | TargetError] = {"router": Strategy("router", outcomes.pool)}
    if price is not None:
        routers["price_router"] = Strategy("price_router", outcomes.pool, price=price)
        routers["probe_router"] = Strategy("probe_router", outcomes.pool, price=price, probe=probe)
        return routers
    for kind in KINDS[1:]:
        points = [evaluate(each, outcomes) for each in candidates(kind, outcomes.pool, probe)]
        try:
            routers[kind] = select(undominated(points)).strategy
        except TargetError as error:
            routers[kind] = error
    return routers


def evaluate_routers(
    routers: Mapping[str, Strategy | TargetError],
    certified: Mapping[str, Strategy],
    tuning: Outcomes,
    test: Outcomes,
    frontier: Points,
) -> dict[str, ScoredStrategy]:
    """Score routers by kind, beside the tuned cascades, by rising energy, that are as cheap.

    Returns
    -------
    dict of str to ScoredStrategy
        Under the kind, and under the kind with ``_certified``. Details: how many points more
        accurate the tuned cascade is, ``tuned_cascade_gain_points`` with its 95 % interval, and
        ``tuned_cascade_energy_share``; none if no cascade is as cheap on the tuning split.
    """

    def scored(name: str, label: str, strategy: Strategy) -> ScoredStrategy:
        decisions, tuning_j = decide(strategy, test), decide(strategy, tuning).energy_j(tuning)
        details: dict[str, Any] = {}
        if cheaper := [point for point in frontier if point.energy_j <= tuning_j]:
            cascade = decide(cheaper[-1].strategy, test)
            gain = accuracy_gain(cascade.correct(test), decisions.correct(test))
            gain["energy_share"] = cascade.energy_j(test) / float(test.energy_j[-1])
            details = {f"tuned_cascade_{key}": value for key, value in gain.items()}
        return ScoredStrategy("router", name, strategy, score(decisions, test), label, details)

    results = {}
    for kind in KINDS:
        if isinstance(router := routers.get(kind), Strategy):
            results[str(kind)] = scored(kind, kind, router)
        if kind in certified:
            name = strategy_name("certified", kind)
            results[as_key(name)] = scored(name, "", certified[kind])
    return results


def routing_metrics(results: Mapping[str, ScoredStrategy]) -> dict[str, dict[str, Any]]:
    """Scores and details, with ``price`` and ``threshold`` of the routers that have them."""
    metrics = {}
    for key, router in results.items():
        metrics[key] = {"strategy": router.family, "name": router.name} | router.metrics()
        if router.strategy.price is not None:
            (threshold,) = router.strategy.thresholds or (0.0,)
            metrics[key] |= {"price": router.strategy.price, "threshold": threshold}
    return metrics
