import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.errors import TargetError
from eco.strategies.decisions import decide
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.strategies.tuning import (
    chains,
    evaluate,
    for_budget,
    for_loss,
    for_target,
    frontier,
    undominated,
    with_last,
)
from tests.strategies.pools import make_outcomes, outcomes

FOUR_J = np.array([3.0, 1.0, 10.0, 100.0])


def point(model, accuracy, energy_j):
    return OperatingPoint(always(model), accuracy, energy_j)


def every_setting(outcomes):
    """All chains with all thresholds that separate samples, one after the other."""
    for chain in chains(len(outcomes.pool)):
        models = tuple(outcomes.pool[i] for i in chain)
        for thresholds in itertools.product(
            *(np.unique(outcomes.confidence[:, i]) for i in chain[:-1])
        ):
            yield Strategy("cascade", models, (*map(float, thresholds), 0.0))


def figures(points):
    return [(p.accuracy, p.energy_j) for p in points]


@settings(deadline=None, max_examples=40)
@given(outcomes())
def test_it_finds_what_trying_every_setting_finds(outcomes):
    best = undominated(evaluate(strategy, outcomes) for strategy in every_setting(outcomes))
    points = frontier(outcomes, 10_000)
    assert np.array(figures(points)) == pytest.approx(np.array(figures(best)))


@settings(deadline=None, max_examples=40)
@given(outcomes(FOUR_J, most=60), st.sampled_from([100, 1000]))
def test_every_point_of_the_frontier_has_the_figures_that_it_names(outcomes, size):
    for found in frontier(outcomes, size):
        assert found.strategy.thresholds[-1] == 0
        evaluated = evaluate(found.strategy, outcomes)
        assert figures([found])[0] == pytest.approx(figures([evaluated])[0])


@settings(deadline=None, max_examples=40)
@given(outcomes())
def test_the_frontier_rises(outcomes):
    rises = np.diff(figures(frontier(outcomes, 1000)), axis=0)
    assert (rises > 0).all()


@settings(deadline=None, max_examples=40)
@given(outcomes(), st.randoms(use_true_random=False))
def test_a_permutation_of_samples_changes_nothing(outcomes, random):
    order = random.sample(range(len(outcomes)), len(outcomes))
    permuted = replace(
        outcomes, confidence=outcomes.confidence[order], correct=outcomes.correct[order]
    )
    one, other = frontier(outcomes, 1000), frontier(permuted, 1000)
    assert [p.strategy for p in one] == [p.strategy for p in other]


@settings(deadline=None, max_examples=40)
@given(outcomes(), st.floats(0, 50), st.floats(0, 50))
def test_a_looser_target_never_costs_more(outcomes, loss, more):
    points, reference = frontier(outcomes, 1000), outcomes.reference_accuracy
    strict, loose = (for_loss(points, limit, reference) for limit in (loss, loss + more))
    assert loose.energy_j <= strict.energy_j
    assert strict.accuracy >= reference - loss / 100 - 1e-9


@settings(deadline=None, max_examples=30)
@given(outcomes(FOUR_J), st.integers(1, 4))
def test_a_chain_has_no_more_models_than_the_longest(outcomes, longest):
    assert all(len(p.strategy.models) <= longest for p in frontier(outcomes, 1000, longest))


def test_tuned_is_never_worse_than_the_best_preset():
    random = np.random.default_rng(0)
    difficulty = random.random((400, 1))
    noise = 0.2 * random.standard_normal((400, 3))
    confidence = np.clip(np.round(1 - difficulty + noise, 4), 0, 1)
    outcomes = make_outcomes(confidence, difficulty < np.array([0.7, 0.8, 0.9]))
    points = frontier(outcomes, 10**7)
    for thresholds in ((0.9, 0.8, 0.0), (0.8, 0.7, 0.0), (0.5, 0.5, 0.0)):
        preset = evaluate(Strategy("cascade", outcomes.pool, thresholds), outcomes)
        assert for_budget(points, preset.energy_j / 100, 100.0).accuracy >= preset.accuracy


def test_of_points_that_are_alike_the_shorter_cascade_is_kept():
    longer = OperatingPoint(Strategy("cascade", ("light", "heavy"), (0.5, 0.0)), 0.9, 10.0)
    shorter, worse = point("mid", 0.9, 10.0), point("light", 0.8, 11.0)
    assert undominated([longer, worse, shorter]) == [shorter]


def test_a_target_of_either_kind_is_met():
    points = [point("light", 0.8, 1.0), point("heavy", 0.9, 100.0)]
    limits = {"max_accuracy_loss": 5.0, "energy_budget": 0.5}
    assert for_target(points, "max_accuracy_loss", *limits.values(), 0.9, 100.0) is points[1]
    assert for_target(points, "energy_budget", *limits.values(), 0.9, 100.0) is points[0]


@settings(deadline=None, max_examples=40)
@given(outcomes(FOUR_J, most=60), st.sampled_from([0.0, 2.0, 20.0]))
def test_a_margin_keeps_standard_errors_between_a_figure_and_its_limit(outcomes, limit):
    last = evaluate(always(outcomes.pool[-1]), outcomes)
    points = with_last(frontier(outcomes, 100), last)
    chosen = for_loss(points, limit, last.accuracy, margin_se=1.5)
    correct = decide(chosen.strategy, outcomes).correct(outcomes)
    difference = correct.astype(float) - outcomes.correct[:, -1]
    error = difference.std() / np.sqrt(len(outcomes))
    assert -difference.mean() + 1.5 * error <= limit / 100 + 1e-9
    assert chosen.energy_j >= for_loss(points, limit, last.accuracy).energy_j
    try:
        cheap = for_budget(points, 0.5, last.energy_j, margin_se=1.5)
    except TargetError as refusal:
        assert refusal.attainable > 0.5
    else:
        assert cheap.energy_j + 1.5 * cheap.energy_se_j <= 0.5 * last.energy_j * (1 + 1e-6)


def test_the_last_model_alone_loses_nothing_by_any_margin():
    better = OperatingPoint(Strategy("cascade", ("light", "heavy"), (0.5, 0.0)), 0.91, 50.0, 0.02)
    last = point("heavy", 0.9, 100.0)
    assert for_loss(with_last([better], last), 0.0, 0.9) is better
    assert for_loss(with_last([better], last), 0.0, 0.9, margin_se=1.0) is last


class TestUnattainableTargets:
    points = (point("light", 0.8, 2.0), point("mid", 0.85, 9.0))

    def test_a_loss_names_the_least_loss(self):
        with pytest.raises(
            TargetError, match=r"at most 1 points.*met is 5\.00\. Raise tuning\.max_accuracy_loss"
        ) as caught:
            for_loss(self.points, 1, reference_accuracy=0.9)
        assert (caught.value.target, caught.value.attainable) == ("max_accuracy_loss", 5.0)
        assert for_loss(self.points, caught.value.attainable, 0.9)

    def test_a_budget_names_the_cheapest_setting(self):
        with pytest.raises(
            TargetError, match=r"at most 0\.01 .*met is 0\.0200.*Raise tuning\.energy_budget"
        ) as caught:
            for_budget(self.points, 0.01, reference_j=100.0)
        assert (caught.value.target, caught.value.attainable) == ("energy_budget", 0.02)
        assert for_budget(self.points, caught.value.attainable, 100.0)
