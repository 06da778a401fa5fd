import pytest

from eco.evaluation.frontier import CURVE_POINTS, LOSSES, evaluate_frontier
from eco.strategies.baselines import RULES
from eco.strategies.decisions import decide
from eco.strategies.strategy import Strategy, always
from eco.strategies.tuning import evaluate, for_loss, frontier, undominated
from tests.evaluation.pools import POOL, make_outcomes

TUNING, TEST = make_outcomes(0), make_outcomes(1)
PRESET = Strategy("cascade", POOL, (0.9, 0.8, 0.0))


@pytest.fixture(scope="module")
def frontiers():
    points = {name: rule(TUNING) for name, rule in RULES.items()}
    searched = [*frontier(TUNING, 2000), *points["single tolerance"], *points["budgeted search"]]
    return points | {"accuracy": undominated(searched)}


@pytest.fixture(scope="module")
def evaluation(frontiers):
    return evaluated(frontiers, certified=always("heavy"))


def evaluated(frontiers, margin_se=0.0, **found):
    reference, classes = TUNING.reference_accuracy, ["shoe", "hat"]
    presets = {"mine": PRESET}
    return evaluate_frontier(TEST, frontiers, reference, margin_se, presets, found, POOL, classes)


def test_every_strategy_is_scored_under_its_name(frontiers, evaluation):
    by_name = {scored.name: scored for scored in evaluation.strategies}
    assert by_name["mine"].strategy == PRESET
    assert by_name["mine"].family == "preset"
    point = evaluate(PRESET, TEST)
    assert by_name["mine"].score.accuracy.value == pytest.approx(point.accuracy)
    assert by_name["mine"].score.energy_j.value == pytest.approx(point.energy_j)
    assert set(by_name["mine"].details["worst_class"]) == {"class", "accuracy_loss_points"}
    tuned = for_loss(frontiers["accuracy"], 0.5, TUNING.reference_accuracy)
    assert by_name["tuned to lose 0.5"].strategy == tuned.strategy
    assert by_name["tuned to lose 0.5"].label == "lose 0.5"
    assert by_name["agreement voting to lose 2"].family == "agreement voting"


def test_only_what_was_found_has_metrics(evaluation):
    metrics = evaluation.metrics
    assert metrics["certified"]["accuracy"] == pytest.approx(TEST.reference_accuracy)
    assert "tuned" not in metrics
    assert "certified_harm" not in metrics
    for loss in (*LOSSES, "retention_95"):
        keys = {f"{key}{end}" for key in ("accuracy_loss_points", "energy_share")
                for end in ("", "_low", "_high")}  # fmt: skip
        assert metrics[loss].keys() == keys


def test_the_other_certificate_stands_beside_the_chosen_one(frontiers):
    evaluation = evaluated(frontiers, certified=PRESET, certified_harm=always("heavy"))
    found = {s.name: (s.family, s.strategy) for s in evaluation.strategies}
    assert found["certified"] == ("certified", PRESET)
    assert found["certified_harm"] == ("certified", always("heavy"))
    lost = evaluation.metrics["certified_harm"]["accuracy_loss_points"]
    assert lost == 0 < evaluation.metrics["certified"]["accuracy_loss_points"]


def test_a_rule_that_cannot_be_that_accurate_is_left_out(frontiers):
    poor = frontiers | {"single tolerance": [evaluate(always("light"), TUNING)]}
    evaluation = evaluated(poor)
    assert not [s for s in evaluation.strategies if s.name == "single tolerance to lose 0"]
    assert "loss_0" not in evaluation.metrics.get("against_single_tolerance", {})
    assert "loss_0" in evaluation.metrics["against_budgeted_search"]


def test_rules_are_compared_at_the_energy_that_they_need(frontiers, evaluation):
    """The gain is that of the most accurate tuned cascade within the rule's energy."""
    rule = for_loss(frontiers["agreement voting"], 1.0, TUNING.reference_accuracy)
    within = [point for point in frontiers["accuracy"] if point.energy_j <= rule.energy_j]
    tuned = decide(within[-1].strategy, TEST).correct(TEST).mean()
    theirs = decide(rule.strategy, TEST).correct(TEST).mean()
    gain = evaluation.metrics["against_agreement_voting"]["loss_1"]
    assert gain["gain_points"] == pytest.approx(100 * (tuned - theirs))
    assert gain["gain_points_low"] <= gain["gain_points"] <= gain["gain_points_high"]


def test_curves_follow_the_frontiers_on_test(frontiers, evaluation):
    names = ["tuned frontier", *RULES, "shared threshold"]
    assert list(dict.fromkeys(row["strategy"] for row in evaluation.curve_rows)) == names
    curve = [row for row in evaluation.curve_rows if row["strategy"] == "tuned frontier"]
    assert len(curve) == min(CURVE_POINTS, len(frontiers["accuracy"]))
    for end in (0, -1):
        row, point = curve[end], frontiers["accuracy"][end]
        on_test = evaluate(point.strategy, TEST)
        assert row["accuracy"] == pytest.approx(on_test.accuracy)
        assert row["energy_share"] == pytest.approx(on_test.energy_j / 100)
        lost = 100 * (TEST.reference_accuracy - on_test.accuracy)
        assert row["accuracy_loss_points"] == pytest.approx(lost)
        low, high = row["accuracy_loss_points_low"], row["accuracy_loss_points_high"]
        assert low <= lost <= high
    areas = evaluation.metrics["mean_accuracy_over_log_energy_0_01_to_1"]
    assert areas.keys() == {"accuracy", *RULES}
    assert all(0 < area < 1 for area in areas.values())
