from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from eco.evaluation.targets import TARGETS, join, kept_targets, subset
from eco.strategies.outcomes import Outcomes

POOL = ("light", "mid", "heavy")


@pytest.fixture(scope="module")
def outcomes():
    """3,000 samples; the more a model costs, the more often and the surer it is right."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(3000, 1)) + [0.5, 1.5, 3.0] + 0.5 * random.normal(size=(3000, 3))
    p = expit(scores)[..., None]
    probabilities = np.concatenate([p, 1 - p], axis=-1)
    y = np.zeros(3000, int)
    return Outcomes.from_probabilities(probabilities, y, np.array([1.0, 5.0, 50.0]), POOL)


@pytest.fixture(scope="module")
def kept(outcomes):
    found = kept_targets(outcomes, 600, (0.0, 2.0), 400, 3, resplits=30, seed=0)
    return {(each.target, each.limit, each.margin_se): each for each in found}


def test_there_is_a_row_for_each_target_and_margin(kept):
    assert set(kept) == {(*target, margin) for target in TARGETS for margin in (0.0, 2.0)}
    for key in (("max_accuracy_loss", 0.5, 2.0), ("energy_budget", 0.2, 2.0)):
        row = kept[key].to_row()
        for name in ("accuracy_loss_points", "energy_share"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_a_margin_keeps_more_targets_and_costs_energy(kept):
    losses = [limit for target, limit in TARGETS if target == "max_accuracy_loss"]
    for limit in losses[1:]:
        plain, careful = (kept["max_accuracy_loss", limit, margin] for margin in (0.0, 2.0))
        assert careful.kept > plain.kept
        assert careful.accuracy_loss_points < plain.accuracy_loss_points
        assert careful.energy_share > plain.energy_share


def test_what_is_chosen_for_its_figures_loses_more_on_fresh_samples(kept):
    assert kept["max_accuracy_loss", 0.5, 0.0].accuracy_loss_points > 0.5


def test_a_margin_keeps_an_energy_budget_on_fresh_samples(kept):
    for limit in (0.2, 0.5):
        plain, careful = (kept["energy_budget", limit, margin] for margin in (0.0, 2.0))
        assert plain.kept < careful.kept >= 0.9
        assert careful.energy_share < plain.energy_share
        assert careful.accuracy_loss_points >= plain.accuracy_loss_points


def test_a_budget_below_the_cheapest_model_is_left_out(outcomes):
    dear = replace(outcomes, energy_j=np.array([10.0, 20.0, 50.0]))
    found = kept_targets(dear, 600, (0.0,), 100, 2, resplits=2, seed=0)
    budgets = [each.limit for each in found if each.target == "energy_budget"]
    assert min(budgets) == 0.2


def test_one_split_unlike_all_others_lies_within_the_bars():
    """The light model errs on one sample: a split that tunes without it loses 10 points."""
    correct = np.ones((400, 2), bool)
    correct[0, 0] = False
    confidence, energy_j = np.full((400, 2), 0.9), np.array([1.0, 10.0])
    labels = np.where(correct, 0, 1)
    few = Outcomes(("light", "heavy"), np.zeros(400, int), labels, confidence, correct, energy_j)
    each = kept_targets(few, 390, (0.0,), 100, 2, resplits=60, seed=7)[0]
    assert each.kept == 59 / 60
    assert each.accuracy_loss_points == pytest.approx(10 / 60)
    assert each.accuracy_loss_points_low == 0
    assert each.accuracy_loss_points_high >= each.accuracy_loss_points


def test_parts_of_outcomes_join_to_the_whole(outcomes):
    parts = [subset(outcomes, np.arange(0, 1000)), subset(outcomes, np.arange(1000, 3000))]
    joined = join(parts)
    for name in ("y", "labels", "confidence", "correct"):
        assert np.array_equal(getattr(joined, name), getattr(outcomes, name))
