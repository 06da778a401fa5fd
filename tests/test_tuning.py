import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.cascading import run_cascade
from eco.errors import TargetError
from eco.tuning import Setting, chains, for_budget, for_loss, for_target, frontier, undominated

POOL = ["light", "mid", "heavy"]
ENERGY_J = np.array([1.0, 10.0, 100.0])


@st.composite
def pools(draw, n_models=3, most=25):
    n = draw(st.integers(2, most))
    tenths = st.integers(0, 10).map(lambda k: k / 10)
    sure = draw(arrays(np.float64, (n, n_models), elements=tenths))
    return sure, draw(arrays(bool, (n, n_models)))


def scored(setting, sure, right, energy_j=ENERGY_J):
    by, ran = run_cascade(sure, setting.chain, setting.thresholds)
    return right[np.arange(len(by)), by].mean(), (ran @ energy_j).mean()


def every_setting(sure):
    """All chains with all thresholds that tell samples apart, one after the other."""
    for chain in chains(sure.shape[1]):
        values = [np.unique(sure[:, m]) for m in chain[:-1]]
        for thresholds in itertools.product(*values):
            yield Setting(chain, (*map(float, thresholds), 0.0), 0.0, 0.0)


@settings(deadline=None, max_examples=40)
@given(pools())
def test_it_finds_what_trying_every_setting_finds(case):
    sure, right = case
    tried = [scored(setting, sure, right) for setting in every_setting(sure)]
    best = undominated([Setting((), (), a, e) for a, e in tried])
    found = frontier(sure, right, ENERGY_J, 10_000)
    assert [s.accuracy for s in found] == pytest.approx([s.accuracy for s in best])
    assert [s.energy_j for s in found] == pytest.approx([s.energy_j for s in best])


@settings(deadline=None, max_examples=40)
@given(pools(n_models=4, most=60), st.sampled_from([100, 1000]))
def test_every_setting_on_the_frontier_does_what_is_said_of_it(case, size):
    sure, right = case
    energy_j = np.array([3.0, 1.0, 10.0, 100.0])
    for setting in frontier(sure, right, energy_j, size):
        assert setting.thresholds[-1] == 0
        expected = (setting.accuracy, setting.energy_j)
        assert scored(setting, sure, right, energy_j) == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(pools())
def test_the_frontier_rises(case):
    found = frontier(*case, ENERGY_J, 1000)
    assert (np.diff([s.energy_j for s in found]) > 0).all()
    assert (np.diff([s.accuracy for s in found]) > 0).all()


@settings(deadline=None, max_examples=40)
@given(pools(), st.randoms(use_true_random=False))
def test_a_permutation_of_samples_changes_nothing(case, random):
    sure, right = case
    order = random.sample(range(len(sure)), len(sure))
    one, other = (frontier(s, r, ENERGY_J, 1000) for s, r in (case, (sure[order], right[order])))
    assert [s[:2] for s in one] == [s[:2] for s in other]


@settings(deadline=None, max_examples=40)
@given(pools(), st.floats(0, 50), st.floats(0, 50))
def test_a_looser_target_never_costs_more(case, loss, more):
    sure, right = case
    found, reference = frontier(sure, right, ENERGY_J, 1000), right[:, -1].mean()
    strict, loose = (for_loss(found, points, reference) for points in (loss, loss + more))
    assert loose.energy_j <= strict.energy_j
    assert strict.accuracy >= reference - loss / 100 - 1e-9


def test_tuned_is_never_worse_than_the_best_preset():
    random = np.random.default_rng(0)
    difficulty = random.random((400, 1))
    right = difficulty < np.array([0.7, 0.8, 0.9])
    sure = np.clip(np.round(1 - difficulty + 0.2 * random.standard_normal((400, 3)), 4), 0, 1)
    found = frontier(sure, right, ENERGY_J, 10**7)
    for preset in ([0.9, 0.8, 0.0], [0.8, 0.7, 0.0], [0.5, 0.5, 0.0]):
        accuracy, cost = scored(Setting((0, 1, 2), preset, 0, 0), sure, right)
        assert for_budget(found, cost / 100, 100.0).accuracy >= accuracy


def test_a_target_of_either_kind_is_met():
    points = [Setting((0,), (0.0,), 0.8, 1.0), Setting((2,), (0.0,), 0.9, 100.0)]
    limits = {"max_accuracy_loss": 5.0, "energy_budget": 0.5}
    assert for_target(points, "max_accuracy_loss", *limits.values(), 0.9, 100.0) is points[1]
    assert for_target(points, "energy_budget", *limits.values(), 0.9, 100.0) is points[0]


class TestWhatCanNotBeMet:
    points = (Setting((0,), (0.0,), 0.8, 2.0), Setting((1,), (0.0,), 0.85, 9.0))

    def test_a_loss_is_told_the_least_loss(self):
        with pytest.raises(TargetError, match=r"at most 1 points.*least that can be met is 5\.00"):
            for_loss(self.points, 1, reference=0.9)

    def test_a_budget_is_told_the_cheapest_model(self):
        with pytest.raises(TargetError, match=r"at most 0\.01 .*least that can be met is 0\.0200"):
            for_budget(self.points, 0.01, reference_j=100.0)


def test_a_setting_survives_its_row():
    setting = Setting((0, 2), (0.75, 0.0), 0.9, 12.5)
    row = setting.row(POOL)
    assert row["models"] == ["light", "heavy"]
    assert Setting.of_row(row, POOL) == setting
