from functools import partial

import pytest

from eco.errors import TargetError
from eco.evaluation.routing import chosen_routers, evaluate_routers, routing_metrics
from eco.strategies.decisions import decide
from eco.strategies.strategy import Strategy
from eco.strategies.tuning import evaluate, for_loss, frontier
from tests.evaluation.pools import POOL, ROUTER_J, make_outcomes

TUNING, TEST = make_outcomes(0), make_outcomes(1)
REFERENCE = TUNING.reference_accuracy
LOSE_2 = partial(for_loss, max_accuracy_loss=2.0, reference_accuracy=REFERENCE)


def test_tuned_routers_meet_the_target_on_the_tuning_split():
    routers = chosen_routers(TUNING, "light", None, LOSE_2)
    assert list(routers) == ["router", "price_router", "probe_router", "probe_cascade"]
    for kind in list(routers)[1:]:
        assert evaluate(routers[kind], TUNING).accuracy >= REFERENCE - 0.02 - 1e-12
    assert routers["price_router"].probe is None
    assert routers["probe_cascade"].probe == "light"


def test_a_fixed_price_says_nothing_of_the_threshold_of_a_probe_cascade():
    routers = chosen_routers(TUNING, "light", 0.1, LOSE_2)
    assert routers == {
        "router": Strategy("router", POOL),
        "price_router": Strategy("price_router", POOL, price=0.1),
        "probe_router": Strategy("probe_router", POOL, price=0.1, probe="light"),
    }


def test_a_target_that_no_setting_meets_leaves_the_kind_out():
    never = partial(for_loss, max_accuracy_loss=-50.0, reference_accuracy=REFERENCE)
    routers = chosen_routers(TUNING, "light", None, never)
    assert isinstance(routers["price_router"], TargetError)
    assert list(evaluate_routers(routers, {}, TUNING, TEST, [])) == ["router"]


@pytest.fixture(scope="module")
def results():
    routers = chosen_routers(TUNING, "light", None, LOSE_2)
    certified = {"probe_cascade": Strategy("probe_cascade", POOL, (0.5,), 0.01, "light")}
    return evaluate_routers(routers, certified, TUNING, TEST, frontier(TUNING, 500))


def test_every_router_is_scored_with_its_own_energy(results):
    keys = ["router", "price_router", "probe_router", "probe_cascade", "probe_cascade_certified"]
    assert list(results) == keys
    for scored in results.values():
        decisions = decide(scored.strategy, TEST)
        expected = ROUTER_J + (decisions.ran @ TEST.energy_j).mean()
        assert scored.score.energy_j.value == pytest.approx(expected)
        assert scored.family == "router"
    assert results["probe_cascade_certified"].name == "probe_cascade, certified"
    assert results["probe_cascade_certified"].label == ""


def test_the_tuned_cascade_beside_a_router_is_as_cheap_where_both_were_found(results):
    cascades = frontier(TUNING, 500)
    for scored in results.values():
        budget_j = evaluate(scored.strategy, TUNING).energy_j
        within = [point for point in cascades if point.energy_j <= budget_j][-1]
        on_test = evaluate(within.strategy, TEST)
        details = scored.details
        assert details["tuned_cascade_energy_share"] == pytest.approx(on_test.energy_j / 100)
        gain = 100 * (on_test.accuracy - scored.score.accuracy.value)
        assert details["tuned_cascade_gain_points"] == pytest.approx(gain)


def test_where_no_cascade_is_as_cheap_there_is_none_beside_it():
    dear = [point for point in frontier(TUNING, 500) if point.energy_j > 90]
    routers = chosen_routers(TUNING, "light", 100.0, LOSE_2)
    assert evaluate_routers(routers, {}, TUNING, TEST, dear)["price_router"].details == {}


def test_metrics_tell_the_price_and_the_threshold(results):
    metrics = routing_metrics(results)
    certified = metrics["probe_cascade_certified"]
    assert (certified["price"], certified["threshold"]) == (0.01, 0.5)
    assert metrics["price_router"]["threshold"] == 0.0
    assert "price" not in metrics["router"]
    assert metrics["router"]["name"] == "router"
